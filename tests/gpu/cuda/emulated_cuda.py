"""A pytest plugin (`-p emulated_cuda`): this process has a GPU, namely g++ and the pretended cupy.

Where a CUDA compiler is at hand, every kernel launched is also compiled for real, for sm_80 and sm_90.
"""

import functools
import sys
import tempfile
import types
from pathlib import Path
from typing import Any

import pytest
from cuda_emulator import shared_library
from cuda_programs import float64_instructions
from fake_cupy import FakeCupy, pinned

import workshop.driver
from workshop.gpu.cuda import compiler, runtime

FOLDER = tempfile.TemporaryDirectory(prefix="workshop-emulated-")


@functools.cache
def library(program: Any) -> Path:
    if not isinstance(compiler.find_compiler(), str):
        compiler.compiled(program, "sm_80", "cubin")
        ptx = compiler.compiled(program, "sm_90", "ptx").decode()
        assert "double" in program.text or not float64_instructions(ptx), program.text
    return shared_library(program, Path(FOLDER.name))


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests() -> None:
    """Pretend only when loaded as a plugin, before any test module looks for a GPU."""
    sys.modules["cupy"] = FakeCupy()
    sys.modules["cupyx"] = types.SimpleNamespace(empty_pinned=pinned)  # type: ignore[assignment]
    workshop.driver.accelerator_count = lambda: 1  # type: ignore[assignment]
    runtime.compiled_file = lambda program, arch: library(program)
