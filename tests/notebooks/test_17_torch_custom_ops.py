"""The exercise of notebook 17 is solved by adding its line, and a wrong line is not praised."""

from pathlib import Path

import pytest

from workshop.notebooks.files import pairs
from workshop.notebooks.refresh import run
from workshop.notebooks.text import canonical

ROOT = Path(__file__).parents[2]
TURN = "    # your turn (1 line): give back the negative instead\n"


@pytest.mark.parametrize(
    ("line", "verdict"),
    [
        ("return 1 - grey", "right\n"),
        ("return -grey", "not yet: the negative of 0.21 is 0.79, yours is -0.21\n"),
    ],
    ids=["solved", "below zero"],
)
def test_the_check_tells_right_from_wrong(line: str, verdict: str) -> None:
    pytest.importorskip("torch", reason="needs torch (pip install torch)")
    (pair,) = pairs(ROOT, ["17"])
    notebook = canonical(pair)
    (skeleton,) = [cell for cell in notebook.cells if TURN in cell.source]
    skeleton.source = skeleton.source.replace(TURN, f"{TURN}    {line}\n")
    (check,) = [cell for cell in run(notebook, pair).cells if '"right" if' in cell.source]
    assert check.outputs[0].text == verdict
