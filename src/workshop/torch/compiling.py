"""Whether torch.compile can work here: on the CPU it writes C++ and needs a compiler for it."""

from __future__ import annotations

import os
import shutil
import sys


def cpp_compiler() -> str | None:
    """Return the C++ compiler that `torch.compile` will call on the CPU, or None where it finds none.

    That is the program named by the environment variable CXX, else g++ (clang++ on a Mac, cl on Windows).
    """
    usual = {"darwin": "clang++", "win32": "cl"}.get(sys.platform, "g++")
    name = os.environ.get("CXX", usual)
    return name if shutil.which(name) else None
