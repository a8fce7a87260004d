"""Skeletons and solutions as text, and whether a kernel is still the skeleton."""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from importlib import resources
from typing import Any

TURN = re.compile(r"^\s*# your turn")


class Source(str):
    """Text that shows itself as it is, with its line breaks, where a notebook cell ends in it."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


def solution_text(name: str) -> Source:
    """Return the region `name` of solutions.py: a kernel that solves a puzzle."""
    text = (resources.files(__package__) / "solutions.py").read_text(encoding="utf-8")
    region = re.search(rf"^# region: {name}\n(.*?)^# endregion: {name}$", text, re.DOTALL | re.MULTILINE)
    if region is None:
        raise KeyError(f"solutions.py has no region {name}")  # a mistake of ours, not of a learner
    return Source(region[1].rstrip("\n"))


def cut_skeleton(name: str) -> Source:
    """Return the solution's lines up to and with `# your turn`."""
    lines = solution_text(name).splitlines()
    turn = next(at for at, line in enumerate(lines) if TURN.match(line))
    return Source("\n".join(lines[: turn + 1]))


def is_unfilled(kernel: Any, name: str) -> bool:
    """True while a kernel has the skeleton's syntax tree: comments, blank lines and `pass` do not count."""
    function = getattr(kernel, "__wrapped__", kernel)
    try:
        own = textwrap.dedent(inspect.getsource(function))
    except (OSError, TypeError):  # typed at a prompt, or no function at all: then it is not our skeleton
        return False
    return _shape(own) == _shape(str(cut_skeleton(name)))


def _shape(source: str) -> str:
    for node in ast.parse(source).body:
        if isinstance(node, ast.FunctionDef):
            body = [statement for statement in node.body if not _says_nothing(statement)]
            return ast.dump(node.args) + "".join(ast.dump(statement) for statement in body)
    return ""


def _says_nothing(statement: ast.stmt) -> bool:
    constant = isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
    return constant or isinstance(statement, ast.Pass)
