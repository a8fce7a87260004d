"""What a picture of a run is drawn from: the arrays, the threads and who touched what, step by step.

Plain data: a `Story` may come from a checked run (`Story.of`) or be written by hand in a test.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Dim3 = tuple[int, int, int]
Index = tuple[int, ...]
Kind = Literal["read", "write", "atomic", "barrier"]
Number = int | float | bool


@dataclass(frozen=True, slots=True)
class Strip:
    """One array as drawn: an argument (`block` is None) or one block's shared memory.

    `given` holds its values before the run, last axis fastest, None where there was none; `stored` says
    whether the kernel has a line that writes it.
    """

    name: str
    space: Literal["global", "shared"]
    dtype: str
    shape: tuple[int, ...]
    block: Dim3 | None = None
    given: tuple[Number | None, ...] = ()
    stored: bool = False

    @property
    def size(self) -> int:
        """Number of elements."""
        count = 1
        for extent in self.shape:
            count *= extent
        return count

    def indices(self) -> Iterable[Index]:
        """Yield every index, last axis fastest."""
        for flat in range(self.size):
            index: list[int] = []
            for extent in reversed(self.shape):
                flat, at = divmod(flat, extent)
                index.append(at)
            yield tuple(reversed(index))

    def holds(self, index: Index) -> bool:
        """True where the index lies inside the array."""
        return len(index) == len(self.shape) and all(
            0 <= i < n for i, n in zip(index, self.shape, strict=True)
        )


@dataclass(frozen=True, slots=True)
class Touch:
    """One thread's access to one element: `strip` counts into `Story.strips`; `value` is what moved.

    `value` is None where nothing could be read or written; `strip` is -1 where a thread passed a barrier.
    """

    block: Dim3
    thread: Dim3
    strip: int
    index: Index
    value: Number | None


@dataclass(frozen=True, slots=True)
class Step:
    """What all threads did at one place of the source, at one time; `fault` is its message, if it was one."""

    line: int
    kind: Kind
    touches: tuple[Touch, ...]
    fault: str = ""

    @property
    def strip(self) -> int:
        """The array that this step touched."""
        return self.touches[0].strip


@dataclass(frozen=True, slots=True)
class Story:
    """One launch, ready to draw: `lines` are the kernel's source, the first of them line `first_line`."""

    kernel: str
    lines: tuple[str, ...]
    first_line: int
    grid: Dim3
    block: Dim3
    strips: tuple[Strip, ...]
    steps: tuple[Step, ...]

    @property
    def threads(self) -> list[tuple[Dim3, Dim3]]:
        """Every (block, thread) of the launch, x fastest."""
        return [(block, thread) for block in places(self.grid) for thread in places(self.block)]

    def start(self) -> dict[tuple[int, Index], Number]:
        """Values that elements had before the run: given, or read before anybody wrote them."""
        values: dict[tuple[int, Index], Number] = {}
        for at, strip in enumerate(self.strips):
            known = zip(strip.indices(), strip.given, strict=False)
            values |= {(at, index): value for index, value in known if value is not None}
        written: set[tuple[int, Index]] = set()
        for step in self.steps:
            for touch in step.touches:
                key = (touch.strip, touch.index)
                if step.kind == "write":
                    written.add(key)
                elif key not in written and touch.value is not None:
                    values.setdefault(key, touch.value)
        return values

    def end(self) -> dict[tuple[int, Index], Number]:
        """Values after the run, as far as they are known."""
        values = self.start()
        for step in self.steps:
            if step.kind == "write":
                values |= {(t.strip, t.index): t.value for t in step.touches if t.value is not None}
        return values

    def who(self, kind: Kind) -> dict[tuple[int, Index], list[tuple[Dim3, Dim3]]]:
        """Map each element to the (block, thread) pairs that did `kind` to it, in order, each once."""
        found: dict[tuple[int, Index], list[tuple[Dim3, Dim3]]] = {}
        for step in self.steps:
            for touch in step.touches if step.kind == kind else ():
                doers = found.setdefault((touch.strip, touch.index), [])
                if (touch.block, touch.thread) not in doers:
                    doers.append((touch.block, touch.thread))
        return found


def places(extent: Dim3) -> list[Dim3]:
    """List every (x, y, z) below `extent`, x fastest.

    >>> places((2, 2, 1))
    [(0, 0, 0), (1, 0, 0), (0, 1, 0), (1, 1, 0)]
    """
    return [(x, y, z) for z in range(extent[2]) for y in range(extent[1]) for x in range(extent[0])]


def short(place: Dim3, extent: Dim3) -> str:
    """Write an (x, y, z) place with as many numbers as its extent needs.

    >>> short((3, 0, 0), (8, 1, 1)), short((1, 2, 0), (4, 4, 1))
    ('3', '1,2')
    """
    axes = 3 if extent[2] > 1 else 2 if extent[1] > 1 else 1
    return ",".join(str(i) for i in place[:axes])


def figure(value: Number) -> str:
    """Write a value in a few characters.

    >>> figure(2.0), figure(0.5), figure(1/3), figure(True)
    ('2', '0.5', '0.333', 'True')
    """
    if isinstance(value, bool):
        return str(value)
    return f"{value:.3g}" if isinstance(value, float) and value != int_or_self(value) else f"{value:.0f}"


def int_or_self(value: float) -> float:
    """Return the whole number nearest to `value`, or `value` itself where it has none (NaN, infinities).

    >>> int_or_self(2.4), int_or_self(float("inf"))
    (2.0, inf)
    """
    return float(round(value)) if abs(value) < 1e15 else value
