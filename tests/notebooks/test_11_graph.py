"""The exercise of notebook 11 is solved by adding its lines, and wrong lines are not praised."""

from pathlib import Path

import pytest

from workshop.notebooks.files import pairs
from workshop.notebooks.refresh import run
from workshop.notebooks.text import canonical

ROOT = Path(__file__).parents[2]
SOLVED = "shares = ops.exp(x - largest)\n    return shares / ops.sum(shares)"


def printed(lines: str) -> str:
    """Run the whole notebook with lines added to the skeleton; return what its last code cell prints."""
    (pair,) = pairs(ROOT, ["11"])
    notebook = canonical(pair)
    (skeleton,) = [cell for cell in notebook.cells if "# your turn (2 lines)" in cell.source]
    skeleton.source += f"\n    {lines}"
    done = run(notebook, pair)
    return str([cell for cell in done.cells if cell.cell_type == "code"][-1].outputs[0].text)


def test_solved_notebook_runs_to_its_end() -> None:
    assert printed(SOLVED) == "yours: right\nours:  right\n"


@pytest.mark.parametrize(
    ("lines", "verdict"),
    [
        ("return ops.exp(x - largest)", "not yet: for [[1.0, 2.0, 3.0]] it gives [[0.13533"),
        (SOLVED.replace(" - largest", ""), "not yet: for [[1000.0, 999.0], [-1000.0, -999.0]] it gives"),
        (SOLVED.replace("ops.sum(shares)", "ops.sum(shares, axis=0)"), "not yet: for [[1.0, 2.0, 3.0]]"),
    ],
    ids=["not shares", "overflows", "wrong axis"],
)
def test_the_check_says_what_is_wrong(lines: str, verdict: str) -> None:
    assert printed(lines).startswith(f"yours: {verdict}")
