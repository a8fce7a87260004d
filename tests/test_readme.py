"""What the README shows is true: its kernel runs as printed; its notebooks and make targets exist."""

import os
import re
import subprocess
import sys
from pathlib import Path

TOP = Path(__file__).parents[1]
README = (TOP / "README.md").read_text(encoding="utf-8")


def test_its_first_kernel_runs_as_printed(tmp_path: Path) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    script = tmp_path / "readme.py"  # a kernel's source is read from its file
    script.write_text(code, encoding="utf-8")
    environment = os.environ | {"PYTHONPATH": str(TOP / "src")}
    command = [sys.executable, str(script)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)
    assert done.stdout.split("[")[-1].strip() == "10. 11. 12. 13. 14. 15. 16. 17.]", done.stderr


def test_it_lists_every_notebook_and_no_other() -> None:
    listed = re.findall(r"`(\d\d_\w+)`", README.split("## What to open first")[1].split("##")[0])
    assert sorted(listed) == sorted(path.stem for path in TOP.glob("notebooks/[0-9]*.ipynb"))


def test_every_make_target_it_names_exists() -> None:
    targets = set(re.findall(r"^(\w+):", (TOP / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    named = set(re.findall(r"(?:^|`)(?:WORKSHOP_DEVICE=cuda )?make (\w+)", README, re.MULTILINE))
    assert {"lab", "test", "doctor"} <= named <= targets
