"""`workshop puzzle check N FILE`, and show, hint and solution beside it."""

from __future__ import annotations

import argparse
import ast
import importlib.util
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from workshop import gpu
from workshop.errors import Loc
from workshop.gpu.kernel import Kernel
from workshop.puzzles.catalog import PUZZLES, puzzle
from workshop.puzzles.contract import PuzzleError
from workshop.puzzles.puzzle import Puzzle


def main(argv: Sequence[str]) -> int:
    """Run one command; return 0 where a check passed, 1 where it did not.

    Raises:
        PuzzleError: no such puzzle or file, or no kernel in the file.
    """
    options = _parser().parse_args(argv)
    chosen = [
        puzzle(options.number),
        *(row for row in PUZZLES if row.number == options.number and row.variant),
    ]
    if options.action == "check":
        return _check(chosen, Path(options.file))
    for row in chosen:
        shown = {
            "show": f"{row!r}\n\n{_with_imports(row.skeleton)}\n",
            "solution": f"{_with_imports(row.solution())}\n",
        }
        print(shown[options.action] if options.action in shown else row.hint(options.level))
    return 0


def _with_imports(source: str) -> str:
    """Put the import of every kernel word before a kernel, so that the text is a whole file."""
    names = {node.id for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Name)}
    words = sorted(name for name in names if hasattr(gpu, name))
    rest = "from workshop.dtype import DType\n" if "DType" in names else ""
    return f"{rest}from workshop.gpu import {', '.join(words)}\n\n{source}"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="workshop puzzle", description="Puzzles: see one, check an answer.")
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    for name, help in (
        ("show", "the task and the skeleton"),
        ("check", "try the kernel in a Python file"),
        ("hint", "one hint, of three"),
        ("solution", "a kernel that solves it"),
    ):
        sub = actions.add_parser(name, help=help, description=help)
        sub.add_argument("number", type=int, metavar="N", help="the puzzle's number")
        if name == "check":
            sub.add_argument("file", metavar="FILE", help="a Python file that defines the kernel")
        if name == "hint":
            sub.add_argument("level", type=int, nargs="?", default=1, metavar="LEVEL")
    return parser


def _check(chosen: list[Puzzle], path: Path) -> int:
    module = _load(path)
    found = [(row, getattr(module, row.kernel)) for row in chosen if hasattr(module, row.kernel)]
    if not found:
        found = [(chosen[0], _only_kernel(module, chosen[0], path))]
    results = [row.check(kernel) for row, kernel in found]
    print("\n".join(map(repr, results)))
    return 0 if all(result.passed for result in results) else 1


def _load(path: Path) -> ModuleType:
    """Run a Python file as a module of its own.

    Raises:
        PuzzleError: it is missing, no Python file, or fails itself; with the line at fault.
    """
    if path.suffix != ".py":
        cure = (
            "in a notebook, run the cell with .check(...) instead"
            if path.suffix == ".ipynb"
            else "give a .py"
        )
        raise PuzzleError(f"{path.name} is no Python file: {cure}")
    if not path.is_file():
        raise PuzzleError(f"there is no file {path}: give the path of the file with your kernel")
    spec = importlib.util.spec_from_file_location("answer", path)
    if spec is None or spec.loader is None:
        raise PuzzleError(f"{path.name} cannot be loaded as Python")
    module = importlib.util.module_from_spec(spec)
    sys.modules["answer"] = module
    try:
        spec.loader.exec_module(module)
    except SyntaxError as error:
        loc = Loc(str(path), error.lineno or 1, (error.offset or 1) - 1, (error.offset or 1))
        raise PuzzleError(f"{path.name} is not Python: {error.msg}", loc) from None
    except Exception as error:  # the learner's own code failed: say where, without our frames
        lines = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
        at = Loc(str(path), lines[-1].lineno or 1) if lines else None
        raise PuzzleError(f"{path.name} stopped with {type(error).__name__}: {error}", at) from None
    return module


def _only_kernel(module: ModuleType, wanted: Puzzle, path: Path) -> Any:
    """The one kernel a file defines under another name.

    Raises:
        PuzzleError: it has none, or several.
    """
    kernels = [value for value in vars(module).values() if isinstance(value, Kernel)]
    if len(kernels) == 1:
        return kernels[0]
    has = f"it has {len(kernels)} kernels of other names" if kernels else "it has no kernel"
    raise PuzzleError(
        f"{path.name} does not define {wanted.kernel}, the kernel of {wanted.name}; {has}. "
        f"`workshop puzzle show {wanted.number}` prints where to start."
    )
