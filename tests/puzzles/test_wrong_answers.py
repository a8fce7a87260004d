"""Kernels that do not solve their puzzle, each with what the check says about it."""

from collections.abc import Callable
from typing import Any

import pytest

from workshop.errors import (
    BarrierError,
    BoundsError,
    KernelTypeError,
    LaunchError,
    RaceError,
    UninitializedError,
)
from workshop.gpu import AddressSpace, barrier, block_dim, block_idx, kernel, stack_allocation, thread_idx
from workshop.puzzles import puzzle

Expected = type[Exception] | str
WRONG: list[tuple[int, str, Any, Expected]] = []


@pytest.fixture(autouse=True)
def checked_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKSHOP_DEVICE", "checked")


def wrong(number: int, expected: Expected, variant: str = "") -> Callable[[Any], Any]:
    """Add a kernel to the list: the check must raise nothing, pass nothing, and report `expected` first."""

    def add(function: Any) -> Any:
        WRONG.append((number, variant, kernel(function), expected))
        return function

    return add


# -- puzzle 0


@wrong(0, RaceError)
def forgets_the_block(output):
    output[thread_idx.x] = thread_idx.x


@wrong(0, "6 of 8 elements differ")
def swaps_block_and_thread(output):
    i = 2 * thread_idx.x + block_idx.x
    output[i] = block_dim.x * block_idx.x + thread_idx.x


@wrong(0, "4 of 8 elements differ")
def writes_the_local_number(output):
    output[block_dim.x * block_idx.x + thread_idx.x] = thread_idx.x


@wrong(0, BoundsError)
def starts_at_one(output):
    i = block_dim.x * block_idx.x + thread_idx.x + 1
    output[i] = i


@wrong(0, "7 of 8 elements differ")
def writes_once(output):
    if block_dim.x * block_idx.x + thread_idx.x == 0:
        output[0] = 0


# -- puzzle 1


@wrong(1, "4 of 4 elements differ")
def adds_nothing(output, a):
    output[thread_idx.x] = a[thread_idx.x]


@wrong(1, "4 of 4 elements differ")
def writes_a_constant(output, a):
    output[thread_idx.x] = 10


@wrong(1, "3 of 4 elements differ")
def reads_one_element(output, a):
    output[thread_idx.x] = a[0] + 10


@wrong(1, RaceError)
def every_thread_writes_everything(output, a):
    for i in range(4):
        output[i] = a[i] + 10


@wrong(1, "3 of 4 elements differ")
def one_thread_works(output, a):
    if thread_idx.x == 0:
        output[0] = a[0] + 10


@wrong(1, BoundsError)
def is_off_by_one(output, a):
    output[thread_idx.x] = a[thread_idx.x + 1] + 10


@wrong(1, "4 of 4 elements differ")
def reverses(output, a):
    output[block_dim.x - 1 - thread_idx.x] = a[thread_idx.x] + 10


@wrong(1, UninitializedError)
def adds_to_what_nobody_wrote(output, a):
    output[thread_idx.x] += a[thread_idx.x] + 10


@wrong(1, "4 of 4 elements differ")
def works_in_place(output, a):
    a[thread_idx.x] = a[thread_idx.x] + 10


@wrong(1, "the kernel changed its input a; only output may change")
def changes_its_input_too(output, a):
    a[thread_idx.x] = a[thread_idx.x] + 10
    output[thread_idx.x] = a[thread_idx.x]


@wrong(1, LaunchError)
def wants_more_arguments(output, a, size):
    output[thread_idx.x] = a[thread_idx.x] + 10


@wrong(1, KernelTypeError)
def uses_two_indices(output, a):
    output[thread_idx.x, 0] = a[thread_idx.x] + 10


# -- puzzle 2


@wrong(2, "4 of 4 elements differ")
def subtracts(output, a, b):
    output[thread_idx.x] = a[thread_idx.x] - b[thread_idx.x]


@wrong(2, "4 of 4 elements differ")
def forgets_b(output, a, b):
    output[thread_idx.x] = a[thread_idx.x] + a[thread_idx.x]


@wrong(2, "3 of 4 elements differ")
def adds_the_first_of_b(output, a, b):
    output[thread_idx.x] = a[thread_idx.x] + b[0]


@wrong(2, "4 of 4 elements differ")
def multiplies(output, a, b):
    output[thread_idx.x] = a[thread_idx.x] * b[thread_idx.x]


@wrong(2, "4 of 4 elements differ")
def adds_b_backwards(output, a, b):
    output[thread_idx.x] = a[thread_idx.x] + b[block_dim.x - 1 - thread_idx.x]


@wrong(2, BoundsError)
def reads_a_block_further(output, a, b):
    output[thread_idx.x] = a[thread_idx.x] + b[thread_idx.x + block_dim.x]


# -- puzzle 3


@wrong(3, BoundsError)
def has_no_guard(output, a, size):
    output[thread_idx.x] = a[thread_idx.x] + 10


@wrong(3, BoundsError)
def guards_one_too_many(output, a, size):
    if thread_idx.x <= size:
        output[thread_idx.x] = a[thread_idx.x] + 10


@wrong(3, "1 of 4 elements differ")
def guards_one_too_few(output, a, size):
    if thread_idx.x < size - 1:
        output[thread_idx.x] = a[thread_idx.x] + 10


@wrong(3, BoundsError)
def guards_only_the_write(output, a, size):
    value = a[thread_idx.x] + 10
    if thread_idx.x < size:
        output[thread_idx.x] = value


@wrong(3, BoundsError)
def guards_with_a_number(output, a, size):
    if thread_idx.x < 4:
        output[thread_idx.x] = a[thread_idx.x] + 10


@wrong(3, RaceError)
def folds_the_rest_back(output, a, size):
    output[thread_idx.x % size] = a[thread_idx.x % size] + 10


# -- puzzle 8


@wrong(8, "4 of 8 elements differ")
def loads_the_first_block_everywhere(output, a, size, *, TPB):
    shared = stack_allocation(TPB, a.dtype, AddressSpace.SHARED)
    i = block_dim.x * block_idx.x + thread_idx.x
    if thread_idx.x < size:
        shared[thread_idx.x] = a[thread_idx.x]
    barrier()
    if i < size:
        output[i] = shared[thread_idx.x] + 10


@wrong(8, BoundsError)
def indexes_shared_by_the_global_id(output, a, size, *, TPB):
    shared = stack_allocation(TPB, a.dtype, AddressSpace.SHARED)
    i = block_dim.x * block_idx.x + thread_idx.x
    if i < size:
        shared[i] = a[i]
    barrier()
    if i < size:
        output[i] = shared[i] + 10


@wrong(8, BarrierError)
def puts_the_barrier_in_the_guard(output, a, size, *, TPB):
    shared = stack_allocation(TPB, a.dtype, AddressSpace.SHARED)
    i = block_dim.x * block_idx.x + thread_idx.x
    if i < size:
        shared[thread_idx.x] = a[i]
        barrier()
        output[i] = shared[thread_idx.x] + 10


@wrong(8, UninitializedError)
def never_loads(output, a, size, *, TPB):
    shared = stack_allocation(TPB, a.dtype, AddressSpace.SHARED)
    i = block_dim.x * block_idx.x + thread_idx.x
    barrier()
    if i < size:
        output[i] = shared[thread_idx.x] + 10


@wrong(8, BoundsError)
def guards_the_end_only(output, a, size, *, TPB):
    shared = stack_allocation(TPB, a.dtype, AddressSpace.SHARED)
    i = block_dim.x * block_idx.x + thread_idx.x
    shared[thread_idx.x] = a[i]
    barrier()
    if i < size:
        output[i] = shared[thread_idx.x] + 10


@wrong(8, "the output is right, but the kernel uses no shared memory")
def goes_around_shared_memory(output, a, size, *, TPB):
    i = block_dim.x * block_idx.x + thread_idx.x
    if i < size:
        output[i] = a[i] + 10


# -- puzzle 8, left neighbour


@wrong(8, RaceError, "left")
def has_no_barrier(output, a, size, *, TPB):
    shared = stack_allocation(TPB, a.dtype, AddressSpace.SHARED)
    t = thread_idx.x
    i = block_dim.x * block_idx.x + t
    if i < size:
        shared[t] = a[i]
        output[i] = shared[t]
        if t > 0:
            output[i] = shared[t] + shared[t - 1]


@wrong(8, BoundsError, "left")
def reads_left_of_the_first(output, a, size, *, TPB):
    shared = stack_allocation(TPB, a.dtype, AddressSpace.SHARED)
    t = thread_idx.x
    i = block_dim.x * block_idx.x + t
    if i < size:
        shared[t] = a[i]
    barrier()
    if i < size:
        output[i] = shared[t] + shared[t - 1]


@wrong(8, "1 of 8 elements differ", "left")
def reaches_over_the_block(output, a, size, *, TPB):
    shared = stack_allocation(TPB, a.dtype, AddressSpace.SHARED)
    i = block_dim.x * block_idx.x + thread_idx.x
    if i < size:
        shared[thread_idx.x] = a[i]
    barrier()
    if i < size:
        output[i] = shared[thread_idx.x]
        if i > 0:
            output[i] = shared[thread_idx.x] + a[i - 1]


@wrong(8, "6 of 8 elements differ", "left")
def adds_itself(output, a, size, *, TPB):
    shared = stack_allocation(TPB, a.dtype, AddressSpace.SHARED)
    t = thread_idx.x
    i = block_dim.x * block_idx.x + t
    if i < size:
        shared[t] = a[i]
    barrier()
    if i < size:
        output[i] = shared[t]
        if t > 0:
            output[i] = shared[t] + shared[t]


@wrong(8, RaceError, "left")
def overwrites_before_the_neighbour_has_read(output, a, size, *, TPB):
    shared = stack_allocation(TPB, a.dtype, AddressSpace.SHARED)
    t = thread_idx.x
    i = block_dim.x * block_idx.x + t
    if i < size:
        shared[t] = a[i]
    barrier()
    if i < size and t > 0:
        shared[t] = shared[t] + shared[t - 1]
    if i < size:
        output[i] = shared[t]


def test_at_least_five_wrong_kernels_stand_for_each_puzzle() -> None:
    from collections import Counter

    counts = Counter((number, variant) for number, variant, _, _ in WRONG)
    assert min(counts.values()) >= 5 and len(counts) == 6


@pytest.mark.parametrize("case", WRONG, ids=lambda case: f"{case[0]}{case[1]}-{case[2].__name__}")
def test_wrong_kernel_is_rejected_for_its_own_reason(case: tuple[int, str, Any, Expected]) -> None:
    number, variant, answer, expected = case
    result = puzzle(number, variant).check(answer)
    assert not result.passed and not result and not result.unfilled
    first = result.failures[0]
    if isinstance(expected, str):
        assert first.error is None and first.headline.endswith(expected), repr(result)
    else:
        assert type(first.error) is expected, repr(result)
    assert len(repr(result).splitlines()) > 1  # never only "failed"
