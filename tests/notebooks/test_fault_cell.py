"""A cell that shows one of our errors shows its message and the learner's line, and none of our frames."""

import importlib.util
import json
from pathlib import Path

from workshop.notebooks.refresh import refresh

spec = importlib.util.spec_from_file_location("trial", Path(__file__).with_name("trial.py"))
assert spec is not None and spec.loader is not None
trial = importlib.util.module_from_spec(spec)
spec.loader.exec_module(trial)

FAULT = """\
# %% tags=["raises-exception"]
from workshop.errors import LaunchError, caller_loc

def launch():
    raise LaunchError("block_dim=2048 has too many threads", caller_loc())

launch()"""


def test_a_fault_cell_stores_message_line_and_caret_only(tmp_path: Path) -> None:
    pair = trial.make_project(tmp_path, [FAULT])
    refresh(pair)
    (output,) = json.loads(pair.notebook.read_text())["cells"][0]["outputs"]
    assert output["ename"] == "LaunchError"
    lines = "".join(output["traceback"]).split("\n")
    assert lines[0] == "\x1b[31mLaunchError\x1b[39m: block_dim=2048 has too many threads"
    assert lines[1] == "  cell [1], line 4"
    assert len(lines) == 4 and set(lines[3].strip()) == {"^"}
