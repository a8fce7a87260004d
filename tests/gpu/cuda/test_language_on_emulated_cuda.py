"""The language's own tests also pass on the generated CUDA C++, compiled and run by g++."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from cuda_emulator import needs_cpp

import workshop.driver
from workshop.driver import accelerator_count

HERE = Path(__file__).parent
SRC = HERE.parents[2] / "src"


@needs_cpp
@pytest.mark.skipif(accelerator_count() > 0, reason="a real GPU runs these tests itself")
def test_the_language_suite_passes_on_the_generated_code() -> None:
    environment = dict(os.environ, PYTHONPATH=os.pathsep.join([str(HERE), str(SRC)]))
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-p",
        "emulated_cuda",
        "-p",
        "no:cacheprovider",
        "-q",
        "-k",
        "cuda",
    ]
    suite = str(HERE.parent / "test_language.py")
    done = subprocess.run([*command, suite], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    passed = re.search(r"(\d+) passed", done.stdout)
    assert passed is not None and int(passed[1]) >= 20, done.stdout[-2000:]


def test_importing_the_plugin_pretends_nothing() -> None:
    import emulated_cuda  # pytest's doctest collection imports it as well

    assert not isinstance(sys.modules.get("cupy"), emulated_cuda.FakeCupy)
    assert workshop.driver.accelerator_count.__name__ == "accelerator_count"
