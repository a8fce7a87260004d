"""Puzzles: a skeleton, hints, a check that says what is wrong, a solution."""

from workshop.puzzles.catalog import PUZZLES, puzzle
from workshop.puzzles.command import main
from workshop.puzzles.contract import Case, PuzzleError
from workshop.puzzles.puzzle import Puzzle
from workshop.puzzles.result import CheckResult, Difference, Failure

__all__ = [
    "PUZZLES", "Case", "CheckResult", "Difference", "Failure", "Puzzle", "PuzzleError", "main", "puzzle",
]  # fmt: skip
