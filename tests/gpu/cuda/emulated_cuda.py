"""A pytest plugin (`-p emulated_cuda`): this process has a GPU, namely g++ and the pretended cupy."""

import functools
import sys
import tempfile
import types
from pathlib import Path
from typing import Any

from cuda_emulator import shared_library
from fake_cupy import FakeCupy, pinned

import workshop.driver
from workshop.gpu.cuda import runtime

FOLDER = tempfile.TemporaryDirectory(prefix="workshop-emulated-")


@functools.cache
def library(program: Any) -> Path:
    return shared_library(program, Path(FOLDER.name))


sys.modules["cupy"] = FakeCupy()
sys.modules["cupyx"] = types.SimpleNamespace(empty_pinned=pinned)  # type: ignore[assignment]
workshop.driver.accelerator_count = lambda: 1  # type: ignore[assignment]
runtime.compiled_file = lambda program, arch: library(program)
