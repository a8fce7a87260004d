"""The exercise of notebook 14 can be solved by adding its one line, and a wrong line is not praised."""

from pathlib import Path

import pytest

from workshop.notebooks.text import read_text

TWIN = Path(__file__).parents[2] / "notebooks" / "text" / "14_llm_block.py"
TURN = "        # your turn (1 line): return the gated and narrowed rows\n"


def run_until_check(line: str) -> None:
    """Run the notebook's code cells up to the check, with a line added to the skeleton."""
    pytest.importorskip("transformers", reason="needs transformers (pip install transformers)")
    space: dict[str, object] = {}
    for cell in read_text(TWIN).cells:
        if cell.cell_type == "code":
            exec(compile(cell.source.replace(TURN, f"{TURN}        {line}\n"), "<cell>", "exec"), space)
            if "check(FeedForward" in cell.source:
                return
    raise AssertionError("the notebook has no check of FeedForward")


@pytest.mark.parametrize(
    ("line", "verdict"),
    [
        ("return self.down_proj(ops.silu(self.gate_proj(x)) * self.up_proj(x))", "equals transformers"),
        ("return self.down_proj(self.gate_proj(x) * self.up_proj(x))", "not yet what transformers computes"),
        ("return self.up_proj(x)", "not yet what transformers computes"),
        ("pass", "not yet what transformers computes"),
    ],
    ids=["solved", "no gate", "not narrowed", "untouched"],
)
def test_the_check_tells_right_from_wrong(
    line: str, verdict: str, capsys: pytest.CaptureFixture[str]
) -> None:
    run_until_check(line)
    assert f"yours: {verdict}\nours:  equals transformers" in capsys.readouterr().out
