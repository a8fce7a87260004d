"""The CUDA run time: on a pretended cupy everywhere, on a real GPU in the tests marked `gpu`."""

import functools
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cuda_kernels as kernels
import numpy as np
import pytest
from cuda_emulator import needs_cpp, shared_library
from fake_cupy import CUDARuntimeError, FakeCupy, ndarray, pinned

from workshop.driver import accelerator_count
from workshop.dtype import DType
from workshop.errors import AlignmentFault, BoundsError, KernelFault, LaunchError
from workshop.gpu import kernel
from workshop.gpu.host import DeviceAttribute, DeviceContext
from workshop.layout import Layout, LayoutTensor

saxpy = kernel(kernels.saxpy)
speaking = kernel(kernels.speaking)
matmul_tiled = kernel(kernels.matmul_tiled)
transpose = kernel(kernels.transpose)
F32 = DType.float32

pytestmark = needs_cpp


@functools.cache
def library(program: Any, folder: Path) -> Path:
    return shared_library(program, folder)


@pytest.fixture
def cupy(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FakeCupy]:
    fake = FakeCupy()
    folder = tmp_path_factory.getbasetemp()
    monkeypatch.setitem(__import__("sys").modules, "cupy", fake)
    monkeypatch.setitem(__import__("sys").modules, "cupyx", types.SimpleNamespace(empty_pinned=pinned))
    monkeypatch.setattr("workshop.gpu.host.context.accelerator_count", lambda: 1)
    monkeypatch.setattr(
        "workshop.gpu.cuda.runtime.compiled_file", lambda program, arch: library(program, folder)
    )
    yield fake
    fake.failure, fake.busy = None, False


@pytest.fixture
def ctx(cupy: FakeCupy) -> Iterator[DeviceContext]:
    made = DeviceContext(api="cuda")
    yield made
    cupy.failure = None
    made.synchronize()


def filled(ctx: DeviceContext, values: Any, dtype: DType = F32) -> Any:
    buffer = ctx.enqueue_create_buffer(dtype, len(values))
    with buffer.map_to_host() as host:
        host[:] = values
    return buffer


def test_a_context_knows_the_device_from_the_driver(ctx: DeviceContext) -> None:
    assert ctx.name() == "NVIDIA H100 80GB HBM3"
    assert ctx.get_attribute(DeviceAttribute.MULTIPROCESSOR_COUNT) == 132
    assert ctx.limits.arch == "sm_90"
    assert ctx.limits.memory_bandwidth == pytest.approx(3.35e12, rel=0.01)
    assert ctx.limits.flops_float32 == pytest.approx(66.9e12, rel=0.01)


def test_a_launch_passes_addresses_scalars_and_computes(ctx: DeviceContext, cupy: FakeCupy) -> None:
    y, x = filled(ctx, [1] * 10), filled(ctx, range(10))
    ctx.enqueue_function(saxpy, y, x, 2.0, 10, grid_dim=3, block_dim=4)
    assert y.to_numpy().tolist() == [1 + 2 * i for i in range(10)]
    [(name, grid, block, arguments)] = cupy.launches
    assert (name, grid, block) == ("saxpy", (3, 1, 1), (4, 1, 1))
    assert [type(a) for a in arguments] == [np.uint64, np.uint64, np.float32, np.int32]
    assert arguments[0] == y.memory.data.ptr


def test_ten_sizes_load_one_module(ctx: DeviceContext, cupy: FakeCupy) -> None:
    for n in range(1, 11):
        y, x = filled(ctx, [0] * n), filled(ctx, range(n))
        ctx.enqueue_function(saxpy, y, x, 1.0, n, grid_dim=3, block_dim=4)
        assert y.to_numpy().tolist() == list(range(n))
    assert len(cupy.loads) == 1


def test_arguments_that_overlap_take_the_code_without_restrict(ctx: DeviceContext, cupy: FakeCupy) -> None:
    both = filled(ctx, [1, 2, 3])
    ctx.enqueue_function(saxpy, both, both, 2.0, 3, grid_dim=1, block_dim=4)
    assert both.to_numpy().tolist() == [3, 6, 9]
    y, x = filled(ctx, [0] * 3), filled(ctx, [1, 2, 3])
    ctx.enqueue_function(saxpy, y, x, 2.0, 3, grid_dim=1, block_dim=4)
    assert [assumptions.disjoint for _, assumptions in ctx.runtime._loaded] == [False, True]  # type: ignore[attr-defined]
    assert len(cupy.loads) == 2


def test_a_large_int_takes_the_64_bit_code(ctx: DeviceContext, cupy: FakeCupy) -> None:
    y, x = filled(ctx, [0] * 3), filled(ctx, [1, 2, 3])
    ctx.enqueue_function(saxpy, y, x, 1.0, 2**40, grid_dim=1, block_dim=3)
    assert y.to_numpy().tolist() == [1, 2, 3]
    assert type(cupy.launches[-1][3][3]) is np.int64


def test_tensors_pass_extents_and_strides(ctx: DeviceContext) -> None:
    a = filled(ctx, range(15))
    out = filled(ctx, [0] * 15)
    strided = LayoutTensor(a, Layout((3, 5), (1, 3)))
    ctx.enqueue_function(
        transpose, LayoutTensor(out, Layout.row_major(5, 3)), strided, grid_dim=(2, 1), block_dim=(4, 4)
    )
    assert out.to_numpy().tolist() == list(range(15))


def test_matmul_through_the_context(ctx: DeviceContext) -> None:
    a, b = np.arange(12).reshape(3, 4), np.arange(20).reshape(4, 5)
    c = filled(ctx, [0] * 15)
    views = [c.layout(3, 5), filled(ctx, a.ravel()).layout(3, 4), filled(ctx, b.ravel()).layout(4, 5)]
    ctx.enqueue_function(matmul_tiled, *views, T=4, grid_dim=(2, 1), block_dim=(4, 4))
    assert (c.to_numpy().reshape(3, 5) == a @ b).all()


@pytest.mark.parametrize(
    "dtype", [DType.bfloat16, DType.float16, DType.bool, DType.int64], ids=lambda d: d.value
)
def test_copies_and_fills_keep_every_bit(ctx: DeviceContext, dtype: DType) -> None:
    values = np.array([0, 1, 1, 0, 1], dtype.to_numpy())
    device, host = ctx.enqueue_create_buffer(dtype, 5), ctx.enqueue_create_host_buffer(dtype, 5)
    other, back = ctx.enqueue_create_buffer(dtype, 5), np.zeros(5, dtype.to_numpy())
    host[:] = values
    ctx.enqueue_copy(device, host)
    ctx.enqueue_copy(other, device)
    ctx.enqueue_copy(back, other)
    ctx.synchronize()
    assert back.tolist() == values.tolist()
    ctx.enqueue_copy(host, back)
    ctx.enqueue_fill(other, 1)
    ctx.enqueue_copy(host, other)
    ctx.synchronize()
    assert host.to_numpy().tolist() == np.ones(5, dtype.to_numpy()).tolist()


@pytest.mark.parametrize("dtype", [DType.int8, DType.uint64, DType.float16, DType.bfloat16, DType.float64])
def test_scalars_arrive_in_their_own_size(ctx: DeviceContext, dtype: DType) -> None:
    y, x = filled(ctx, [0, 1], dtype), filled(ctx, [1, 1], dtype)
    ctx.enqueue_function(saxpy, y, x, dtype(3), 2, grid_dim=1, block_dim=2)
    assert y.to_numpy().tolist() == [3, 4]


def test_printed_lines_come_out_sorted_at_the_next_wait(ctx: DeviceContext, capsys: Any) -> None:
    a, b = filled(ctx, [0, 1.5, 0, 0.1]), filled(ctx, [0.1] * 4)
    ctx.enqueue_function(speaking, a, b, grid_dim=1, block_dim=4)
    assert capsys.readouterr().out == ""
    assert not ctx.idle
    ctx.synchronize()
    assert capsys.readouterr().out == "done -2\n0/1: a=1.5 b=0.1 False\ndone -1\ndone 0\ndone 1\n"
    assert ctx.idle


@pytest.mark.parametrize(("status", "kind"), [(700, BoundsError), (716, AlignmentFault), (719, KernelFault)])
def test_an_asynchronous_fault_names_the_kernel_and_the_line(
    ctx: DeviceContext, cupy: FakeCupy, status: int, kind: type[KernelFault]
) -> None:
    y, x = filled(ctx, [0] * 3), filled(ctx, [1] * 3)
    cupy.busy = True
    line = __import__("sys")._getframe().f_lineno + 1
    ctx.enqueue_function(saxpy, y, x, 1.0, 3, grid_dim=1, block_dim=3)
    cupy.failure = CUDARuntimeError(status, "cudaErrorSome: an illegal memory access was encountered")
    with pytest.raises(KernelFault) as caught:
        ctx.synchronize()
    assert type(caught.value) is kind
    assert caught.value.message.startswith(
        f"the GPU stopped in `saxpy`, launched at test_runtime.py, line {line}: cudaErrorSome"
    )
    assert caught.value.loc is not None and caught.value.loc.line == line


def test_of_several_launches_in_flight_the_fault_names_all(ctx: DeviceContext, cupy: FakeCupy) -> None:
    y, x = filled(ctx, [0] * 4), filled(ctx, [1] * 4)
    ctx.enqueue_function(saxpy, y, x, 1.0, 4, grid_dim=1, block_dim=4)  # ends before the next: no suspect
    cupy.busy = True
    ctx.enqueue_function(saxpy, y, x, 1.0, 4, grid_dim=1, block_dim=4)
    ctx.enqueue_function(speaking, y, x, grid_dim=1, block_dim=4)
    cupy.failure = CUDARuntimeError(700, "cudaErrorIllegalAddress")
    with pytest.raises(
        BoundsError, match=r"stopped in `saxpy` or `speaking`, launched at .* line \d+ or .* line"
    ):
        ctx.synchronize()


def test_a_fault_that_shows_while_enqueuing_is_told_the_same_way(ctx: DeviceContext, cupy: FakeCupy) -> None:
    y, x = filled(ctx, [0] * 4), filled(ctx, [1] * 4)
    cupy.busy = True
    ctx.enqueue_function(saxpy, y, x, 1.0, 4, grid_dim=1, block_dim=4)
    cupy.failure = CUDARuntimeError(700, "cudaErrorIllegalAddress")
    with pytest.raises(BoundsError, match="the GPU stopped in `saxpy`, launched at test_runtime.py"):
        ctx.enqueue_function(speaking, y, x, grid_dim=1, block_dim=4)


def test_too_large_a_buffer_names_the_numbers(ctx: DeviceContext) -> None:
    with pytest.raises(LaunchError, match="take 17179869184 bytes; .* has 1073741824 of 85899345920 free"):
        ctx.enqueue_create_buffer[F32](2**32)


def test_events_order_streams_and_tell_the_time(ctx: DeviceContext) -> None:
    one, two = ctx.create_stream(), ctx.create_stream()
    y, x = filled(ctx, [0] * 4), filled(ctx, [1] * 4)
    start, done = ctx.create_event(), ctx.create_event()
    one.record_event(start)
    ctx.enqueue_function(saxpy, y, x, 1.0, 4, grid_dim=1, block_dim=4, stream=one)
    one.record_event(done)
    two.enqueue_wait_for(done)
    done.synchronize()
    assert done.elapsed_ms(start) > 0


def test_memory_lives_until_its_launch_has_ended(ctx: DeviceContext, cupy: FakeCupy) -> None:
    import gc
    import weakref

    cupy.busy = True
    y, x = filled(ctx, [0] * 4), filled(ctx, [1] * 4)
    alive = weakref.ref(y.memory)
    ctx.enqueue_function(saxpy, y, x, 1.0, 4, grid_dim=1, block_dim=4)
    del y
    gc.collect()
    assert alive() is not None
    cupy.busy = False
    ctx.synchronize()
    gc.collect()
    assert alive() is None


def test_arrays_of_the_wrong_place_are_refused(ctx: DeviceContext) -> None:
    from workshop.driver import Buffer

    x = filled(ctx, [1] * 4)
    with pytest.raises(LaunchError, match=r"lies on .*cpu.*use buffer.to\(Accelerator\(0\)\)"):
        ctx.enqueue_function(saxpy, Buffer.zeros(4, F32), x, 1.0, 4, grid_dim=1, block_dim=4)
    elsewhere = ndarray(np.zeros(4, np.float32))
    elsewhere.device = types.SimpleNamespace(id=1)
    with pytest.raises(LaunchError, match="lies on GPU 1, the launch runs on GPU 0"):
        ctx.enqueue_function(saxpy, elsewhere, x, 1.0, 4, grid_dim=1, block_dim=4)


def test_a_cupy_array_is_used_in_place(ctx: DeviceContext) -> None:
    y, x = ndarray(np.zeros(4, np.float32)), filled(ctx, range(4))
    ctx.enqueue_function(saxpy, y, x, 2.0, 4, grid_dim=1, block_dim=4)
    ctx.synchronize()
    assert y.host.tolist() == [0, 2, 4, 6]


def test_static_shared_memory_over_48_KB_is_refused(ctx: DeviceContext) -> None:
    def big(out: Any) -> None:
        from_shared = kernels.stack_allocation(13_000, DType.float32, kernels.AddressSpace.SHARED)
        from_shared[0] = 1
        out[0] = from_shared[0]

    with pytest.raises(
        LaunchError, match=r"`big` allocates 52000 bytes of shared memory; .* allows 49152 \(48 KB\)"
    ):
        ctx.enqueue_function(big, filled(ctx, [0]), grid_dim=1, block_dim=1)


def test_a_gpu_without_cupy_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workshop.gpu.host.context.accelerator_count", lambda: 1)
    monkeypatch.setitem(__import__("sys").modules, "cupy", None)
    with pytest.raises(
        LaunchError, match=r"needs cupy, which is not installed: pip install 'workshop\[cuda\]'"
    ):
        DeviceContext(api="cuda")


@pytest.mark.gpu
@pytest.mark.skipif(accelerator_count() == 0, reason="needs an NVIDIA GPU")
@pytest.mark.parametrize("dtype", [DType.float32, DType.float16, DType.bfloat16, DType.float64, DType.int32])
def test_on_a_real_gpu_saxpy_computes(dtype: DType) -> None:
    ctx = DeviceContext(api="cuda")
    y, x = filled(ctx, [1] * 1000, dtype), filled(ctx, [i % 8 for i in range(1000)], dtype)
    ctx.enqueue_function(saxpy, y, x, dtype(2), 1000, grid_dim=8, block_dim=128)
    assert y.to_numpy().tolist() == [1 + 2 * (i % 8) for i in range(1000)]
