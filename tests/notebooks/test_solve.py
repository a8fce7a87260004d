"""Each notebook with its puzzles solved, as a learner would leave it: every check says so."""

from pathlib import Path
from typing import Any

import pytest

from workshop.notebooks.files import pairs
from workshop.notebooks.refresh import run
from workshop.notebooks.text import canonical
from workshop.puzzles import PUZZLES

ROOT = Path(__file__).parents[2]
SOLUTIONS = {str(row.skeleton): (row, str(row.solution())) for row in PUZZLES}
ASKED = {"01": [0], "04": [1, 2, 3]}  # notebook -> the puzzles it asks


def solve(notebook: Any) -> list[int]:
    """Fill in every skeleton; return the puzzles' numbers."""
    solved = []
    for cell in notebook.cells:
        if cell.source.rstrip() in SOLUTIONS:
            row, cell.source = SOLUTIONS[cell.source.rstrip()]
            solved.append(row.number)
    return solved


def text_of(cell: Any) -> str:
    return "\n".join(output.data["text/plain"] for output in cell.outputs if "data" in output)


@pytest.mark.parametrize("number", ASKED)
def test_solved_notebook_runs_and_every_check_passes(number: str) -> None:
    (pair,) = pairs(ROOT, [number])
    notebook = canonical(pair)
    assert solve(notebook) == ASKED[number]
    done = run(notebook, pair)
    told = [
        text_of(cell)
        for cell in done.cells
        if cell.source.startswith("puzzle(") or "\npuzzle(" in cell.source
    ]
    assert sum(": solved" in text for text in told) == len(ASKED[number])
    assert not any("not yet" in text for text in told)


def test_every_exercise_is_solved_in_a_test() -> None:
    for pair in pairs(ROOT):
        tested = pair.number in ASKED or Path(__file__).with_name(f"test_{pair.name}.py").exists()
        asks = any("# your turn (" in cell.source for cell in canonical(pair).cells)
        assert tested or not asks, f"{pair.name} asks an exercise that no test solves"
        assert asks or pair.number not in ASKED, pair.name
