"""A puzzle as a learner holds it: skeleton, hints, check, solution."""

from __future__ import annotations

from typing import Any

from workshop.puzzles.check import check
from workshop.puzzles.contract import Contract, PuzzleError
from workshop.puzzles.result import CheckResult
from workshop.puzzles.source import Source, cut_skeleton, solution_text


class Puzzle(Contract):
    """One puzzle; `puzzle(3)` returns it."""

    __slots__ = ()

    @property
    def skeleton(self) -> Source:
        """The kernel with the learner's lines left out."""
        return cut_skeleton(self.kernel)

    def solution(self) -> Source:
        """Return the source of a kernel that solves the puzzle; only ever the skeleton with lines added."""
        return solution_text(self.kernel)

    def hint(self, level: int = 1) -> Source:
        """Return one hint; level 1 nudges, the last one nearly says it.

        Raises:
            PuzzleError: no such level.
        """
        if not 1 <= level <= len(self.hints):
            raise PuzzleError(f"{self.name} has hints 1 to {len(self.hints)}, not {level}")
        return Source(f"hint {level} of {len(self.hints)}: {self.hints[level - 1]}")

    def check(self, kernel: Any) -> CheckResult:
        """Run a kernel at every size, checked and then on the device, and say what is wrong with it."""
        return check(self, kernel)

    def __repr__(self) -> str:
        sizes = "; ".join(str(case) for case in self.cases)
        lines = [self.name, f"  {self.task}", f"  {self.contract}", f"  tried at: {sizes}"]
        lines.append(f"  {self.call}.hint(1) to .hint({len(self.hints)}), .check({self.kernel}), .solution()")
        return "\n".join(lines)
