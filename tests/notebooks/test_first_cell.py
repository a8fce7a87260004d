"""The first cell of every notebook: the header with our kernel, the cure with any other."""

import os
import re
import subprocess
import sys
from pathlib import Path

import workshop
from workshop.notebooks import FIRST_CELL, header

SRC = Path(workshop.__file__).parents[1]


def run_cell(*options: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *options, "-c", FIRST_CELL]
    settings = os.environ | environment
    return subprocess.run(command, env=settings, capture_output=True, text=True, check=False)


def test_our_kernel_prints_one_line_of_device_and_versions() -> None:
    assert re.fullmatch(r"Device: [^\n]+ \| Python 3\.\S+ \| workshop \S+ \| numpy \S+", header())
    assert run_cell(PYTHONPATH=str(SRC)).stdout == f"{header()}\n"


def test_a_foreign_kernel_says_which_to_choose_and_how_to_get_it() -> None:
    done = run_cell("-I", "-S")  # a Python that has neither the workshop nor numpy
    last = done.stderr[done.stderr.index("ImportError: ") :]
    assert last.startswith("ImportError: This kernel has no 'workshop'. Choose the workshop's own")
    assert "run `make lab`" in last and "VS Code: Select Kernel" in last and "ipykernel install" in last


def test_the_cell_fits_on_a_page() -> None:
    assert len(FIRST_CELL.splitlines()) <= 15
    assert max(len(line) for line in FIRST_CELL.splitlines()) <= 110
