"""No access ever leaves its argument: arrays end at pages that may not be touched, and the process lives."""

from __future__ import annotations

import ctypes
import mmap
import sys
from typing import Any

import numpy as np
import pytest

from workshop.dtype import DType
from workshop.errors import BarrierError, BoundsError, LaunchError
from workshop.gpu import AddressSpace, barrier, block_idx, global_idx, kernel, stack_allocation, thread_idx
from workshop.gpu.cpu import CpuBackend
from workshop.gpu.host import DeviceContext
from workshop.gpu.launch import HostArray, Launch

PAGE = mmap.PAGESIZE
NO_ACCESS = 0


class Fenced:
    """An array that starts (or ends) exactly where memory that may not be touched begins."""

    def __init__(self, values: Any, at_end: bool) -> None:
        nbytes = values.nbytes
        inner = -(-nbytes // PAGE) * PAGE
        self.map = mmap.mmap(-1, inner + 2 * PAGE)
        whole = np.frombuffer(self.map, np.uint8)
        base = whole.__array_interface__["data"][0]
        libc = ctypes.CDLL(None, use_errno=True)
        for place in (base, base + PAGE + inner):
            assert libc.mprotect(ctypes.c_void_p(place), ctypes.c_size_t(PAGE), NO_ACCESS) == 0
        start = PAGE + (inner - nbytes if at_end else 0)
        self.array = whole[start : start + nbytes].view(values.dtype)
        self.array[:] = values


@pytest.fixture(params=[True, False], ids=["end", "start"])
def fenced(request: pytest.FixtureRequest) -> Any:
    if not sys.platform.startswith("linux"):
        pytest.skip("fences memory with mprotect")
    kept: list[Fenced] = []

    def make(values: Any) -> Any:
        kept.append(Fenced(values, request.param))
        return kept[-1].array

    return make


def launch(kernel_: Any, *args: Any, grid: int, block: int, **parameters: Any) -> None:
    """Compile through a context, then run on fenced memory."""
    ctx = DeviceContext(api="cpu")
    buffers = [
        ctx.enqueue_create_buffer(DType.from_numpy(a.dtype), a.size) if isinstance(a, np.ndarray) else a
        for a in args
    ]
    for buffer, a in zip(buffers, args, strict=True):
        if isinstance(a, np.ndarray):
            with buffer.map_to_host() as host:
                host[:] = a
    try:
        ctx.enqueue_function(kernel_, *buffers, grid_dim=grid, block_dim=block, **parameters)
        ctx.synchronize()
    except BoundsError:
        pass
    function = kernel_.last.function
    bound = [HostArray(a, a.shape, (1,)) if isinstance(a, np.ndarray) else np.int64(a) for a in args]
    CpuBackend().run(Launch(function, bound, (grid, 1, 1), "fenced"))


@kernel
def no_guard(out: Any, a: Any) -> None:
    i = global_idx.x
    out[i] = a[i] + 1


@kernel
def guarded(out: Any, a: Any, n: Any) -> None:
    i = global_idx.x
    if i < n:
        out[i] = a[i] + 1


@kernel
def shifted(out: Any, a: Any, by: Any) -> None:
    i = global_idx.x
    out[i] = a[i + by]


@kernel
def gathered(out: Any, a: Any, index: Any) -> None:
    i = global_idx.x
    out[i] = a[index[i]]


@kernel
def scattered(out: Any, a: Any, index: Any) -> None:
    i = global_idx.x
    out[index[i]] = a[i]


@kernel
def strided(out: Any, a: Any, n: Any, factor: Any) -> None:
    i = global_idx.x
    if i * factor < n:
        out[i] = a[i * factor]


@kernel
def summed(out: Any, a: Any, n: Any) -> None:
    i = global_idx.x
    total = 0.0
    for k in range(n):
        total += a[k + i]
    out[i] = total


@kernel
def neighbours(out: Any, a: Any, n: Any) -> None:
    i = global_idx.x
    if i > 0 and i < n - 1:
        out[i] = a[i - 1] + a[i + 1]


def ramp(n: int) -> Any:
    return np.arange(n, dtype=np.float32)


@pytest.mark.parametrize("n", [1, 5, 31, 32, 33, 100, 1000, 4096])
def test_guarded_kernels_touch_only_their_arrays(fenced: Any, n: int) -> None:
    out, a = fenced(np.zeros(n, np.float32)), fenced(ramp(n))
    launch(guarded, out, a, n, grid=-(-n // 32) + 1, block=32)
    assert np.array_equal(out, ramp(n) + 1)
    launch(neighbours, out, a, n, grid=-(-n // 32) + 1, block=32)
    assert np.array_equal(out[1:-1], 2 * ramp(n)[1:-1])


@pytest.mark.parametrize("n", [5, 32, 100])
def test_an_unguarded_kernel_reports_the_first_thread_outside(fenced: Any, n: int) -> None:
    out, a = fenced(np.zeros(n, np.float32)), fenced(ramp(n))
    with pytest.raises(BoundsError, match=rf"read of a\[{n}\]") as caught:
        launch(no_guard, out, a, grid=8, block=32)
    assert caught.value.block == (n // 32, 0, 0) and caught.value.thread == (n % 32, 0, 0)
    assert np.array_equal(out, ramp(n) + 1)


@pytest.mark.parametrize(
    "by", [1, -1, 31, 1000, -1000, 2**31, 2**40, 2**62, 2**63 - 1, -(2**63), -(2**63) + 5]
)
def test_an_index_moved_by_any_amount_stays_inside(fenced: Any, by: int) -> None:
    out, a = fenced(np.full(64, -1, np.float32)), fenced(ramp(64))
    with pytest.raises(BoundsError, match="read of a"):
        launch(shifted, out, a, by, grid=2, block=32)
    i = np.arange(64)
    inside = [0 <= k + by < 64 for k in i.tolist()]
    wanted = [float(k + by) if ok else 0.0 for k, ok in zip(i.tolist(), inside, strict=True)]
    assert out.tolist() == wanted


@pytest.mark.parametrize("factor", [1, 3, 2**32, 2**59, 2**61 + 1, -1, -(2**58)])
def test_a_product_that_wraps_around_does_not_defeat_the_test(fenced: Any, factor: int) -> None:
    out, a = fenced(np.zeros(64, np.float32)), fenced(ramp(64))
    products = (np.arange(64, dtype=np.int64) * np.int64(factor)).tolist()
    if all(p >= 0 for p in products if p < 64):
        launch(strided, out, a, 64, factor, grid=2, block=32)
    else:
        with pytest.raises(BoundsError):
            launch(strided, out, a, 64, factor, grid=2, block=32)
    wanted = [float(p) if 0 <= p < 64 else 0.0 for p in products]
    assert out.tolist() == wanted


def test_indices_from_memory_are_tested_one_by_one(fenced: Any) -> None:
    index = np.array([0, 63, 64, -1, 2**62, -(2**63), 5, 2**63 - 1] * 8, np.int64)
    out, a = fenced(np.full(64, -1, np.float32)), fenced(ramp(64))
    with pytest.raises(BoundsError, match=r"read of a\[64\]") as caught:
        launch(gathered, out, a, fenced(index), grid=2, block=32)
    assert caught.value.thread == (2, 0, 0)
    assert out.tolist() == [float(k) if 0 <= k < 64 else 0.0 for k in index.tolist()]
    out[:] = -1
    with pytest.raises(BoundsError, match=r"write of out\[64\]"):
        launch(scattered, out, a, fenced(index), grid=2, block=32)
    assert set(np.flatnonzero(out != -1)) == {0, 5, 63}


@pytest.mark.parametrize("n", [0, 1, 33, 34, -5])
def test_a_loop_as_long_as_an_argument_says(fenced: Any, n: int) -> None:
    out, a = fenced(np.zeros(32, np.float32)), fenced(np.ones(64, np.float32))
    if n == 34:
        with pytest.raises(BoundsError, match=r"read of a\[64\]"):
            launch(summed, out, a, n, grid=1, block=32)
    else:
        launch(summed, out, a, n, grid=1, block=32)
        assert np.all(out == max(n, 0))


def test_the_lowest_block_and_thread_is_reported_whoever_ran_first() -> None:
    ctx = DeviceContext(api="cpu")
    out = ctx.enqueue_create_buffer(DType.float32, 100_000)
    a = ctx.enqueue_create_buffer(DType.float32, 100_000)
    ctx.enqueue_fill(a, 1)
    for _ in range(5):
        with pytest.raises(BoundsError) as caught:
            ctx.enqueue_function(no_guard, out, a, grid_dim=2000, block_dim=64)
            ctx.synchronize()
        assert (caught.value.block, caught.value.thread) == ((1562, 0, 0), (32, 0, 0))


def test_a_layout_larger_than_its_buffer_is_refused() -> None:
    ctx = DeviceContext(api="cpu")
    a = ctx.enqueue_create_buffer(DType.float32, 64)
    ctx.enqueue_fill(a, 1)
    ctx.enqueue_function(no_guard, a, a, grid_dim=2, block_dim=32)
    ctx.synchronize()
    function = no_guard.last.function  # type: ignore[attr-defined]
    short = HostArray(np.zeros(10, np.float32), (64,), (1,))
    with pytest.raises(LaunchError, match="reaches element 63 of a buffer with 10"):
        CpuBackend().run(Launch(function, [short, short], (2, 1, 1), "short"))


@kernel
def divergent_barrier(out: Any, limit: Any) -> None:
    t = thread_idx.x
    if t < limit:
        barrier()
    out[t] = t


@kernel
def loop_of_barriers(out: Any, trips: Any) -> None:
    t = thread_idx.x
    for _ in range(t * trips + 2):
        barrier()
    out[t] = 1


@kernel
def early_return(out: Any, n: Any) -> None:
    shared = stack_allocation(32, DType.float32, AddressSpace.SHARED)
    t = thread_idx.x
    if t >= n:
        return
    shared[t] = t
    barrier()
    out[t] = shared[n - 1 - t]


@pytest.fixture
def out() -> Any:
    ctx = DeviceContext(api="cpu")
    buffer = ctx.enqueue_create_buffer(DType.float32, 32)
    ctx.enqueue_fill(buffer, -1)
    return buffer


def go(out: Any, kernel_: Any, argument: int) -> Any:
    out.context.enqueue_function(kernel_, out, argument, grid_dim=1, block_dim=32)
    out.context.synchronize()
    return out.to_numpy()


def test_a_barrier_that_all_threads_reach_under_a_condition(out: Any) -> None:
    assert go(out, divergent_barrier, 32).tolist() == list(range(32))
    assert go(out, divergent_barrier, 0).tolist() == list(range(32))


def test_a_barrier_that_some_threads_miss(out: Any) -> None:
    with pytest.raises(BarrierError, match="reached by 7 of 32 threads") as caught:
        go(out, divergent_barrier, 7)
    assert caught.value.thread == (7, 0, 0)


def test_a_loop_around_a_barrier_whose_trips_differ(out: Any) -> None:
    assert go(out, loop_of_barriers, 0).tolist() == [1.0] * 32
    with pytest.raises(BarrierError, match="reached by 31 of 32 threads") as caught:
        go(out, loop_of_barriers, 1)
    assert caught.value.thread == (0, 0, 0)


def test_a_thread_that_returned_never_arrives(out: Any) -> None:
    assert go(out, early_return, 32).tolist() == list(range(31, -1, -1))
    with pytest.raises(BarrierError, match="reached by 5 of 32") as caught:
        go(out, early_return, 5)
    assert caught.value.thread == (5, 0, 0)


@kernel
def big_locals(out: Any, *, COUNT: int) -> None:
    mine = stack_allocation(COUNT, DType.float32)
    for k in range(COUNT):
        mine[k] = k
    barrier()
    total = 0.0
    for k in range(COUNT):
        total += mine[k]
    out[thread_idx.x] = total + block_idx.x


def test_arrays_too_large_for_a_stack() -> None:
    ctx = DeviceContext(api="cpu")
    out = ctx.enqueue_create_buffer(DType.float32, 256)
    ctx.enqueue_function(big_locals, out, COUNT=2000, grid_dim=1, block_dim=256)
    ctx.synchronize()
    assert np.all(out.to_numpy() == sum(range(2000)))


def test_one_array_given_twice() -> None:
    ctx = DeviceContext(api="cpu")
    a = ctx.enqueue_create_buffer(DType.float32, 100)
    ctx.enqueue_fill(a, 3)
    ctx.enqueue_function(guarded, a, a, 100, grid_dim=4, block_dim=32)
    ctx.synchronize()
    assert np.all(a.to_numpy() == 4)
