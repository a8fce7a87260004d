"""What a checked run saw, as plain data: pictures and step-through are drawn from it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from workshop.errors import Coordinates, Loc

Number = bool | int | float


@dataclass(frozen=True, slots=True)
class Event:
    """One thread doing one thing: it read or wrote `array[index]`, or passed a barrier (array "", index ()).

    Events with the same `step` happened in one lockstep access; later steps have larger numbers.
    """

    step: int
    block: Coordinates
    thread: Coordinates
    array: str
    index: tuple[int, ...]
    kind: Literal["read", "write", "barrier"]
    value: Number | None
    loc: Loc


@dataclass(slots=True)
class Trace:
    """Collects the events of checked runs, in execution order; at most `limit`, `dropped` counts the rest.

    >>> Trace(limit=10)
    Trace(limit=10, events=[], dropped=0)
    """

    limit: int = 100_000
    events: list[Event] = field(default_factory=list)
    dropped: int = 0

    @property
    def next_step(self) -> int:
        """The number of the next lockstep access."""
        return self.events[-1].step + 1 if self.events else 0

    def of(self, array: str) -> list[Event]:
        """Return the reads and writes of one array, in execution order."""
        return [event for event in self.events if event.array == array]
