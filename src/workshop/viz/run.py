"""Pictures of the learner's own kernel: run once under check, then drawn."""

from __future__ import annotations

import linecache
from itertools import groupby
from typing import Any

import numpy as np

from workshop.errors import KernelFault, RaceError
from workshop.gpu import ir
from workshop.gpu.kernel import kernel_of
from workshop.gpu.record import Recording, record
from workshop.gpu.trace import Event
from workshop.viz.play import Animation
from workshop.viz.story import Dim3, Number, Step, Story, Strip, Touch, places
from workshop.viz.who import Picture

Array = np.ndarray[Any, np.dtype[Any]]
BLOCKS_WITH_SHARED = 64  # above this the shared memory of further blocks is left out


def who_touched(
    kernel: Any, *arguments: Any, grid_dim: Any, block_dim: Any, id: str = "", **parameters: Any
) -> Picture:
    """Run a kernel under check, on copies of its arguments, and draw which thread read and wrote what.

    A fault is drawn too, not raised.
    """
    recording = record(kernel, *arguments, grid_dim=grid_dim, block_dim=block_dim, **parameters)
    return Picture(story_of(kernel, recording), id or f"who-{recording.function.name}")


def play(
    kernel: Any,
    *arguments: Any,
    grid_dim: Any,
    block_dim: Any,
    id: str = "",
    code: bool = True,
    scale: float = 1.0,
    **parameters: Any,
) -> Animation:
    """Run a kernel under check, on copies of its arguments, and make an animation of its steps."""
    recording = record(kernel, *arguments, grid_dim=grid_dim, block_dim=block_dim, **parameters)
    return Animation(story_of(kernel, recording), id or f"play-{recording.function.name}", code, scale)


def story_of(kernel: Any, recording: Recording) -> Story:
    """Turn what a checked run saw into what pictures are drawn from."""
    made, _ = kernel_of(kernel)
    lines, first = _source(made)
    strips = _strips(recording)
    number = {(strip.name, strip.block): at for at, strip in enumerate(strips)}
    steps = []
    for _, together in groupby(recording.trace.events, key=lambda event: event.step):
        step = _step(list(together), number)
        if step is not None:
            steps.append(step)
    if recording.fault is not None:
        step = _fault_step(recording.fault, number)
        if step is not None:
            steps.append(step)
    function = recording.function
    return Story(function.name, lines, first, recording.grid, function.block, strips, tuple(steps))


def _source(made: Any) -> tuple[tuple[str, ...], int]:
    tree = made.syntax.tree
    first = min([tree.lineno, *(decorator.lineno for decorator in tree.decorator_list)])
    lines = linecache.getlines(made.syntax.file)[first - 1 : tree.end_lineno]
    cut = len(lines[0]) - len(lines[0].lstrip()) if lines else 0
    return tuple(line[cut:].rstrip("\n") for line in lines), first


def _strips(recording: Recording) -> tuple[Strip, ...]:
    stored = {node.memory.name for node in ir.walk(recording.function.body) if isinstance(node, ir.Store)}
    strips = []
    for name, array in recording.before.items():
        values = values_of(array, recording.written_before[name])
        strips.append(Strip(name, "global", str(array.dtype), array.shape, None, values, name in stored))
    for memory in recording.function.memories:
        if memory.space == "shared":
            shape = tuple(extent or 0 for extent in memory.shape)
            blocks = places(recording.grid)[:BLOCKS_WITH_SHARED]
            strips += [Strip(memory.name, "shared", memory.dtype.value, shape, block) for block in blocks]
    return tuple(strips)


def _step(events: list[Event], number: dict[tuple[str, Dim3 | None], int]) -> Step | None:
    """One lockstep access; None for what is not drawn (local arrays, blocks past the limit)."""
    first = events[0]
    if first.kind == "barrier":
        touches = tuple(Touch(e.block, e.thread, -1, (), None) for e in events)
        return Step(first.loc.line, "barrier", touches)
    drawn = [(e, _strip(e.array, e.block, number)) for e in events]
    touches = tuple(Touch(e.block, e.thread, at, e.index, e.value) for e, at in drawn if at is not None)
    return Step(first.loc.line, first.kind, touches) if touches else None


def _strip(array: str, block: Dim3, number: dict[tuple[str, Dim3 | None], int]) -> int | None:
    return number.get((array, None), number.get((array, block)))


def _fault_step(fault: KernelFault, number: dict[tuple[str, Dim3 | None], int]) -> Step | None:
    """The access that failed, by one thread, or by two where they raced."""
    if fault.loc is None or fault.block is None or fault.thread is None:
        return None
    who = [(fault.block, fault.thread)]
    if isinstance(fault, RaceError) and fault.other is not None:
        who.insert(0, (fault.other.block, fault.other.thread))
    text = fault.message.splitlines()[0]
    at = _strip(fault.array, fault.block, number)
    if at is None:
        touches = tuple(Touch(block, thread, -1, (), None) for block, thread in who)
        return Step(fault.loc.line, "barrier", touches, text)
    touches = tuple(Touch(block, thread, at, fault.index, None) for block, thread in who)
    return Step(fault.loc.line, "read", touches, text)


def values_of(array: Array, written: Array) -> tuple[Number | None, ...]:
    """Return an array's elements as plain numbers, None where nobody wrote.

    >>> values_of(np.int32([7, 8]), np.array([True, False]))
    (7, None)
    """
    marks = written.reshape(-1).tolist()
    numbers = array.reshape(-1).tolist()
    plain = (n if isinstance(n, bool | int | float) else float(n) for n in numbers)  # bfloat16 gives objects
    return tuple(number if mark else None for number, mark in zip(plain, marks, strict=True))
