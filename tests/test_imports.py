"""`import workshop.gpu` and `import workshop.graph` stay light: heavy libraries load where they are used."""

import subprocess
import sys
from pathlib import Path

import pytest

SRC = Path(__file__).parents[1] / "src"
HEAVY = ["numba", "llvmlite", "torch", "cupy", "matplotlib", "ipywidgets", "transformers", "jupytext"]
LIGHT = [
    "gpu",
    "gpu.host",
    "graph",
    "nn",
    "pipelines",
    "layout",
    "dtype",
    "driver",
    "compiler",
    "cli",
    "notebooks",
    "doctor",
]


def heavy_after(statement: str) -> list[str]:
    """Names of the heavy libraries that a fresh Python holds after `statement`."""
    code = f"{statement}\nimport sys\nprint([name for name in {HEAVY!r} if name in sys.modules])"
    command = [sys.executable, "-c", f"import sys\nsys.path.insert(0, {str(SRC)!r})\n{code}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip().strip("[]").replace("'", "").split(", ") if done.stdout.strip() != "[]" else []


@pytest.mark.parametrize("module", LIGHT)
def test_importing_it_loads_no_heavy_library(module: str) -> None:
    assert heavy_after(f"import workshop.{module}") == []


def test_a_heavy_import_would_be_seen() -> None:
    assert heavy_after("import llvmlite") == ["llvmlite"]
