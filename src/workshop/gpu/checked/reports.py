"""The faults only a checked run can find, in words: who, where, with which numbers, and what to do."""

from __future__ import annotations

from collections.abc import Sequence

from workshop.errors import Access, ArithmeticFault, KernelFault, Loc, RaceError, UninitializedError
from workshop.gpu.checked.batch import Batch
from workshop.gpu.checked.places import Place
from workshop.gpu.checked.races import Hit


def element(place: Place, index: Sequence[int]) -> str:
    """Write an element as the kernel does: `shared[3]`, `tile[1, 2]`."""
    return f"{place.name}[{', '.join(str(i) for i in index)}]"


def race(batch: Batch, place: Place, index: Sequence[int], hit: Hit, kind: str, loc: Loc) -> RaceError:
    """Build the error of a race; the fault is the later access (or the lower thread of one access)."""
    block, thread = batch.who(hit.lane)
    if hit.other:
        site = batch.sites[batch.clock.site(hit.other)]
        other = Access(site.loc, *batch.who_of(int(batch.clock.thread(hit.other))), site.kind)
    else:
        other = Access(loc, *batch.who(hit.peer), kind)
    verb = {"read": "reads", "write": "writes"}
    same = " in the same access" if not hit.other else f" at {other.loc.where}"
    message = (
        f"data race on {element(place, index)}: thread {thread} of block {block} {verb[kind]} it, "
        f"thread {other.thread} of block {other.block} {verb[other.kind]} it{same}, "
        f"and nothing orders the two.\n{_cure(block == other.block, other, place, bool(hit.other))}"
    )
    return RaceError(message, loc, block, thread, other).at(place.name, index)


def _cure(same_block: bool, other: Access, place: Place, earlier: bool) -> str:
    if not earlier:
        return f"Give each thread its own element of {place.name}, or let one thread write it."
    if same_block:
        return "Put a barrier() between them, reached by every thread of the block."
    return "Blocks cannot wait for each other: use two launches, or give each block its own elements."


def uninitialized(
    batch: Batch, place: Place, index: Sequence[int], lane: int, loc: Loc
) -> UninitializedError:
    """Build the error of reading an element that nobody wrote."""
    block, thread = batch.who(lane)
    cure = {
        "global": "Fill the buffer first: enqueue_fill, enqueue_copy or map_to_host.",
        "shared": "Shared memory starts undefined in every block: write the element first, then barrier().",
        "local": "Local memory starts undefined in every thread: write the element first.",
    }[place.space]
    message = (
        f"read of {element(place, index)}, which was never written: thread {thread} of block {block}.\n{cure}"
    )
    return UninitializedError(message, loc, block, thread).at(place.name, index)


def unassigned(batch: Batch, name: str, lane: int, loc: Loc) -> UninitializedError:
    """Build the error of reading a variable that its thread never assigned."""
    block, thread = batch.who(lane)
    message = (
        f"variable {name} is read but thread {thread} of block {block} never assigned it.\n"
        f"Assign {name} before the branch or loop that this thread skipped."
    )
    return UninitializedError(message, loc, block, thread)


def zero_division(batch: Batch, op: str, value: int, lane: int, loc: Loc) -> ArithmeticFault:
    """Build the error of an integer division by zero."""
    block, thread = batch.who(lane)
    sign = {"floordiv": "//", "mod": "%"}[op]
    message = (
        f"integer division by zero: {value} {sign} 0 in thread {thread} of block {block}.\n"
        "Test the divisor first."
    )
    return ArithmeticFault(message, loc, block, thread)


def bad_shift(batch: Batch, count: int, bits: int, lane: int, loc: Loc) -> ArithmeticFault:
    """Build the error of a shift by a count outside the width."""
    block, thread = batch.who(lane)
    message = (
        f"shift by {count} in thread {thread} of block {block}: "
        f"a {bits}-bit integer shifts by 0 to {bits - 1}.\n"
        "Keep the count in that range."
    )
    return ArithmeticFault(message, loc, block, thread)


def endless(batch: Batch, lane: int, loc: Loc) -> KernelFault:
    """Build the error of a while loop that used up its budget of trips."""
    block, thread = batch.who(lane)
    message = (
        f"this while loop did not end within {batch.step_budget:,} trips: thread {thread} of block {block} "
        "is still in it.\nMake sure that each trip changes what the condition reads; a loop that waits for "
        "another thread never ends."
    )
    return KernelFault(message, loc, block, thread)
