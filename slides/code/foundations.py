"""The code of the deck 01_foundations; tests/slides/test_foundations.py runs every region on a slide."""

import numpy as np

from workshop.dtype import DType
from workshop.errors import BoundsError
from workshop.gpu import block_idx, kernel, thread_idx
from workshop.gpu.host import DeviceContext
from workshop.gpu.record import Blank, record
from workshop.layout import Layout
from workshop.slides.figures import access_animation, layout_grids
from workshop.viz import story_of


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
    print(f"block {block} thread {thread}")
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


def unguarded():
    """Print what the checked mode says of eight threads on four elements with no guard."""
    ctx = DeviceContext(api="checked")
    a, output = (ctx.enqueue_create_buffer(DType.float32, 4) for _ in range(2))
    ctx.enqueue_fill(a, 0)
    ctx.enqueue_function(add_10, output, a, grid_dim=1, block_dim=8)
    try:
        ctx.synchronize()
    except BoundsError as fault:
        print(fault)


def play_map() -> str:
    """Play puzzle 1: four threads, four elements."""
    return _played(add_10, Blank((4,)), _floats(4), block_dim=4)


def play_guard() -> str:
    """Play puzzle 3: eight threads, four elements."""
    return _played(add_10_guarded, Blank((4,)), _floats(4), 4, block_dim=8)


def play_2d() -> str:
    """Play puzzle 4: 3 x 3 threads, 2 x 2 elements."""
    return _played(add_10_2d, Blank((2, 2)), _floats(4).reshape(2, 2), 2, block_dim=(3, 3))


def layouts() -> str:
    """Draw twelve elements in row-major, column-major and tiled order."""
    named = {
        "row_major(3, 4)": Layout.row_major(3, 4),
        "col_major(3, 4)": Layout.col_major(3, 4),
        "tiles of 3 x 2": Layout((3, (2, 2)), (2, (1, 6))),
    }
    grids = []
    for name, layout in named.items():
        offsets = [[layout(row, col) for col in range(4)] for row in range(3)]
        grids.append((name, f"{layout.shape}:{layout.stride}", offsets))
    return layout_grids(grids)


def _played(kernel, *arguments, block_dim) -> str:
    """Run a kernel once under check and draw what the run recorded."""
    recording = record(kernel, *arguments, grid_dim=1, block_dim=block_dim)
    return access_animation(story_of(kernel, recording), f"figure-{recording.function.name}")


def _floats(count: int) -> np.ndarray:
    return np.arange(count, dtype=np.float32)
