"""The code of the deck 01_foundations: tests/slides/test_foundations.py runs every region that a slide shows."""

from workshop.dtype import DType
from workshop.errors import BoundsError
from workshop.gpu import block_idx, kernel, thread_idx
from workshop.gpu.host import DeviceContext
from workshop.layout import Layout, LayoutTensor
from workshop.slides.figures import access_animation, layout_grids


# region: add_10
@kernel
def add_10(output, a):
    i = thread_idx.x
    output[i] = a[i] + 10
# endregion: add_10


# region: guarded
@kernel
def add_10_guarded(output, a, size):
    i = thread_idx.x
    if i < size:
        output[i] = a[i] + 10
# endregion: guarded


# region: add_10_2d
@kernel
def add_10_2d(output, a, size):
    row, col = thread_idx.y, thread_idx.x
    if row < size and col < size:
        output[row, col] = a[row, col] + 10
# endregion: add_10_2d


# region: hello
@kernel
def hello():
    block = block_idx.x
    thread = thread_idx.x
    print(f"block {block}, thread {thread}")
# endregion: hello


def beside_cuda():
    """Print what the Python half of the comparison prints."""
    # region: host
    f32 = DType.float32
    ctx = DeviceContext()
    a = ctx.enqueue_create_buffer(f32, 4)
    output = ctx.enqueue_create_buffer(f32, 4)
    with a.map_to_host() as host:
        host[:] = range(4)
    ctx.enqueue_function(
        add_10, output, a,
        grid_dim=1, block_dim=4,
    )
    with output.map_to_host() as host:
        print(host)
    # endregion: host


def first_launch():
    """Print what the first launch prints."""
    # region: launch
    ctx = DeviceContext()
    ctx.enqueue_function(
        hello, grid_dim=2, block_dim=4
    )
    print("launched")
    ctx.synchronize()
    print("done")
    # endregion: launch
