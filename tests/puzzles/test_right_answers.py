"""Kernels that solve their puzzle in other ways than ours; the check must not cry wolf."""

from collections.abc import Callable
from typing import Any

import pytest

from workshop.gpu import (
    AddressSpace,
    Float32,
    barrier,
    block_dim,
    block_idx,
    global_idx,
    grid_dim,
    kernel,
    stack_allocation,
    thread_idx,
)
from workshop.puzzles import PUZZLES, Puzzle, puzzle, solutions

RIGHT: list[tuple[int, str, Any]] = []
BACKENDS = ["checked", None]  # None: the default device


def right(number: int, variant: str = "") -> Callable[[Any], Any]:
    def add(function: Any) -> Any:
        RIGHT.append((number, variant, function))
        return function

    return add


@right(0)
@kernel
def uses_global_idx(output):
    output[global_idx.x] = global_idx.x


@right(0)
@kernel
def counts_blocks_in_a_loop(output):
    before = 0
    for _ in range(block_idx.x):
        before += block_dim.x
    output[before + thread_idx.x] = before + thread_idx.x


@right(1)
@kernel
def uses_a_helper(output, a):
    output[thread_idx.x] = ten_more(a[thread_idx.x])


def ten_more(x):
    return x + 10


@right(1)
@kernel
def loops_over_the_data(output, a):
    for i in range(thread_idx.x, output.dim(0), block_dim.x):
        output[i] = a[i] + 10.0


@right(1)
@kernel
def reverses_the_threads(output, a):
    i = block_dim.x - 1 - thread_idx.x
    output[i] = 10 + a[i]


@right(1)
def is_a_plain_function(output, a):
    output[thread_idx.x] = a[thread_idx.x] + Float32(10)


@right(2)
@kernel
def adds_the_other_way_round(output, a, b):
    i = thread_idx.x
    output[i] = b[i]
    output[i] = output[i] + a[i]


@right(2)
@kernel
def counts_with_global_ids(output, a, b):
    i = global_idx.x
    total = a[i]
    total += b[i]
    output[i] = total


@right(3)
@kernel
def returns_early(output, a, size):
    i = thread_idx.x
    if i >= size:
        return
    output[i] = a[i] + 10


@right(3)
@kernel
def asks_the_array(output, a, size):
    i = thread_idx.x
    if i < a.dim(0):
        output[i] = a[i] + 10


@right(3)
@kernel
def lets_each_thread_do_every_second(output, a, size):
    half = (size + 1) // 2
    if thread_idx.x < half:
        for i in range(2 * thread_idx.x, min(2 * thread_idx.x + 2, size)):
            output[i] = a[i] + 10


@right(8)
@kernel
def adds_before_the_barrier(output, a, size, *, TPB):
    shared = stack_allocation(TPB, a.dtype, AddressSpace.SHARED)
    if global_idx.x < size:
        shared[thread_idx.x] = a[global_idx.x] + 10
    barrier()
    if global_idx.x < size:
        output[global_idx.x] = shared[thread_idx.x]


@right(8)
@kernel
def fills_every_place(output, a, size, *, TPB):
    shared = stack_allocation(TPB, a.dtype, AddressSpace.SHARED)
    i = global_idx.x
    shared[thread_idx.x] = a[i] if i < size else 0.0
    barrier()
    if i < size:
        output[i] = shared[thread_idx.x] + 10


@right(8)
@kernel
def stores_backwards(output, a, size, *, TPB):
    shared = stack_allocation(TPB, a.dtype, AddressSpace.SHARED)
    i = global_idx.x
    if i < size:
        shared[TPB - 1 - thread_idx.x] = a[i]
    barrier()
    if i < size:
        output[i] = shared[TPB - 1 - thread_idx.x] + 10


@right(8)
@kernel
def strides_over_the_grid(output, a, size, *, TPB):
    shared = stack_allocation(TPB, a.dtype, AddressSpace.SHARED)
    for i in range(global_idx.x, size, TPB * grid_dim.x):
        shared[thread_idx.x] = a[i]
        output[i] = shared[thread_idx.x] + 10


@right(8, "left")
@kernel
def reads_zero_at_the_edge(output, a, size, *, TPB):
    shared = stack_allocation(TPB, a.dtype, AddressSpace.SHARED)
    t, i = thread_idx.x, global_idx.x
    if i < size:
        shared[t] = a[i]
    barrier()
    left = shared[t - 1] if t > 0 and i < size else 0
    if i < size:
        output[i] = shared[t] + left


@right(8, "left")
@kernel
def shifts_by_one(output, a, size, *, TPB):
    shared = stack_allocation(TPB + 1, a.dtype, AddressSpace.SHARED)
    t, i = thread_idx.x, global_idx.x
    if t == 0:
        shared[0] = 0
    if i < size:
        shared[t + 1] = a[i]
    barrier()
    if i < size:
        output[i] = shared[t + 1] + shared[t]


@pytest.fixture(params=BACKENDS, ids=lambda api: api or "device", autouse=True)
def device(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param:
        monkeypatch.setenv("WORKSHOP_DEVICE", request.param)


@pytest.mark.parametrize("row", PUZZLES, ids=lambda row: row.call)
def test_our_solution_passes(row: Puzzle) -> None:
    result = row.check(getattr(solutions, row.kernel))
    assert result.passed, repr(result)


@pytest.mark.parametrize("case", RIGHT, ids=lambda case: f"{case[0]}{case[1]}-{case[2].__name__}")
def test_another_right_kernel_passes(case: tuple[int, str, Any]) -> None:
    number, variant, answer = case
    result = puzzle(number, variant).check(answer)
    assert result.passed, repr(result)


def test_a_kernel_without_a_needless_barrier_passes_with_a_note() -> None:
    result = puzzle(8).check(strides_over_the_grid)
    assert result.note == "no barrier was needed: each thread read only what it wrote itself"
    assert puzzle(8).check(solutions.add_10_shared).note == ""
