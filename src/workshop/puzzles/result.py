"""What a check found out, in words and in a picture."""

from __future__ import annotations

import html
from dataclasses import dataclass
from typing import Literal

from workshop.errors import WorkshopError
from workshop.puzzles.contract import Case, Contract
from workshop.viz.heat import heat_map
from workshop.viz.story import Number, Story, figure
from workshop.viz.who import Picture

SHOWN = 5  # differing elements that a report lists
TEXT = "margin: 0; padding: 0 8px; font-size: 13px; line-height: 1.4"  # as JupyterLab shows printed text


@dataclass(frozen=True, slots=True)
class Difference:
    """One element that is not what it should be; `got` is NaN where nobody wrote it."""

    index: int
    got: Number
    expected: Number


@dataclass(frozen=True, slots=True)
class Failure:
    """One launch that went wrong.

    `where` is "checked" or "device"; `error` is what the launch raised (a fault, or a complaint about the
    kernel); `differences` lists every element of `output` that differs; `demand` says what the puzzle asks
    and the kernel does not do.
    """

    case: Case
    where: Literal["checked", "device"]
    error: WorkshopError | None = None
    differences: tuple[Difference, ...] = ()
    output: tuple[Number, ...] = ()
    expected: tuple[Number, ...] = ()
    demand: str = ""

    @property
    def headline(self) -> str:
        """The failure in one line."""
        return f"{self.case}: {self._what()}"

    def _what(self) -> str:
        if self.error is not None:
            return type(self.error).__name__
        if self.demand:
            return self.demand
        device = " on the device, though not in the checked run" if self.where == "device" else ""
        return f"{len(self.differences)} of {len(self.expected)} elements differ{device}"

    def lines(self) -> list[str]:
        """Say everything: the fault with its line and thread, or the first elements that differ."""
        told = [self.headline]
        if self.error is not None:
            told += [f"  {line}" for line in str(self.error).splitlines()]
        if self.differences:
            rows = [("index", "got", "expected")]
            for one in self.differences[:SHOWN]:
                got = "not written" if one.got != one.got else figure(one.got)
                rows.append((str(one.index), got, figure(one.expected)))
            widths = [max(len(row[column]) for row in rows) for column in range(3)]
            told += [
                "  " + "  ".join(word.rjust(width) for word, width in zip(row, widths, strict=True))
                for row in rows
            ]
            if len(self.differences) > SHOWN:
                told.append(f"  and {len(self.differences) - SHOWN} more")
        return told


@dataclass(frozen=True, slots=True, repr=False)
class CheckResult:
    """The outcome of `puzzle(n).check(kernel)`: true where the kernel solves the puzzle.

    `.failures` holds one entry for each launch that went wrong, in the order they were tried; `.unfilled` is
    true while the kernel is still the skeleton.
    """

    puzzle: Contract
    failures: tuple[Failure, ...] = ()
    unfilled: bool = False
    story: Story | None = None
    note: str = ""

    @property
    def passed(self) -> bool:
        """True where every launch gave what the puzzle asks."""
        return not self.failures and not self.unfilled

    def __bool__(self) -> bool:
        return self.passed

    def __repr__(self) -> str:
        return "\n".join(self._lines())

    def _repr_html_(self) -> str:
        picture = self._picture()
        return f'<pre style="{TEXT}">{html.escape(repr(self))}</pre>' + picture

    def _lines(self) -> list[str]:
        name, cases = self.puzzle.name, self.puzzle.cases
        width = max(len(str(case)) for case in cases) + 2
        if self.unfilled:
            rows = [f"  {str(case):<{width}}not yet" for case in cases]
            return [f"{name}: not yet", *rows, f"  stuck? {self.puzzle.call}.hint(1)"]
        if not self.failures:
            rows = [f"  {str(case):<{width}}right" for case in cases]
            return [f"{name}: solved", *rows, *([f"  {self.note}"] if self.note else [])]
        tried = f"{len(self.failures)} of {len(cases)} launches went wrong"
        first, *others = self.failures
        told = [f"{name}: not solved, {tried}", *(f"  {line}" for line in first.lines())]
        return told + [f"  {failure.headline}" for failure in others]

    def _picture(self) -> str:
        id = f"puzzle-{self.puzzle.number}{self.puzzle.variant}"
        if self.failures and self.failures[0].differences:
            first = self.failures[0]
            return heat_map(first.output, first.expected).image(id=f"{id}-heat")
        return Picture(self.story, f"{id}-who")._repr_html_() if self.story else ""
