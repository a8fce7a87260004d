"""The exercise of notebook 12 is solved by adding its lines, and wrong lines are not praised."""

from pathlib import Path

import pytest

from workshop.notebooks.files import pairs
from workshop.notebooks.refresh import run
from workshop.notebooks.text import canonical

ROOT = Path(__file__).parents[2]
SOLVED = """
        def mix(idx):
            return share * lhs.load(idx) + (1 - share) * rhs.load(idx)
        foreach(mix, output, ctx)"""


def printed(lines: str) -> str:
    """Run the whole notebook with lines added to the skeleton; return what its check prints."""
    (pair,) = pairs(ROOT, ["12"])
    notebook = canonical(pair)
    (skeleton,) = [cell for cell in notebook.cells if "# your turn (3 lines)" in cell.source]
    skeleton.source += lines
    (check,) = [cell for cell in run(notebook, pair).cells if "check(" in cell.source]
    return str(check.outputs[0].text)


def test_solved_notebook_runs_to_its_end() -> None:
    assert printed(SOLVED) == "right\n"


@pytest.mark.parametrize(
    ("lines", "verdict"),
    [
        (SOLVED.replace("share * lhs", "0.25 * lhs"), "not yet: wrong with share 0.5 and 4 elements\n"),
        (SOLVED.replace("1 - share", "share"), "not yet: wrong with share 0.25 and 4 elements\n"),
    ],
    ids=["a fixed share", "not the rest"],
)
def test_the_check_says_what_is_wrong(lines: str, verdict: str) -> None:
    assert printed(lines) == verdict
