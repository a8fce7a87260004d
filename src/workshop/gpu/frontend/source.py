"""The source of a kernel: its syntax tree, taken from the whole file so that lines are the user's."""

from __future__ import annotations

import ast
import functools
import inspect
import linecache
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from workshop.errors import KernelSyntaxError, Loc


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """A function's syntax tree beside the function itself."""

    tree: ast.FunctionDef | ast.Lambda
    file: str
    function: Callable[..., Any]

    def loc(self, node: ast.AST, chain: tuple[Loc, ...] = ()) -> Loc:
        """Place a node of the tree (its first line, when it spans several)."""
        line = getattr(node, "lineno", self.tree.lineno)
        end = node.end_col_offset if getattr(node, "end_lineno", None) == line else None  # type: ignore[attr-defined]
        return Loc(self.file, line, getattr(node, "col_offset", 0), end, chain)

    @property
    def body(self) -> list[ast.stmt]:
        """The statements; a lambda's expression as a return."""
        if isinstance(self.tree, ast.FunctionDef):
            return self.tree.body
        return [ast.copy_location(ast.Return(self.tree.body), self.tree.body)]


def without_chain(loc: Loc) -> Loc:
    """Return the place alone, without the calls that led there."""
    return replace(loc, chain=())


@functools.lru_cache(maxsize=64)
def _parse(text: str) -> ast.Module:
    return ast.parse(text)


def _functions(tree: ast.AST) -> Iterator[ast.FunctionDef | ast.Lambda]:
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.Lambda)):
            yield node


def _first_line(node: ast.FunctionDef | ast.Lambda) -> int:
    decorators = node.decorator_list if isinstance(node, ast.FunctionDef) else []
    return min([node.lineno, *(d.lineno for d in decorators)])


def _missing(function: Callable[..., Any], why: str) -> KernelSyntaxError:
    code = function.__code__
    return KernelSyntaxError(
        f"the source of {function.__name__}() is not to be found: {why}",
        Loc(code.co_filename, code.co_firstlineno) if os.path.exists(code.co_filename) else None,
    )


def capture(function: Callable[..., Any]) -> Source:
    """Find a function's syntax tree in its file or notebook cell.

    Raises KernelSyntaxError where there is none (the bare prompt, `exec`) or where the file changed since
    its import.
    """
    code = function.__code__
    if code.co_flags & (inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR):
        raise KernelSyntaxError(
            f"async def {function.__name__}() is not in the kernel language; write `def`",
            Loc(code.co_filename, code.co_firstlineno),
        )
    linecache.checkcache(code.co_filename)
    text = "".join(linecache.getlines(code.co_filename, function.__globals__))
    if not text:
        raise _missing(
            function,
            f"{code.co_filename} cannot be read. A kernel must live in a file or a notebook cell, "
            "not at the bare prompt or in exec().",
        )
    try:
        tree = _parse(text)
    except SyntaxError as problem:
        raise _missing(function, f"its file changed since it was imported and no longer parses ({problem})"
                       ) from None  # fmt: skip
    names = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
    found = [
        node
        for node in _functions(tree)
        if _first_line(node) == code.co_firstlineno
        and getattr(node, "name", "<lambda>") == code.co_name
        and tuple(a.arg for a in [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]) == names
    ]
    if not found:
        raise _missing(
            function, f"line {code.co_firstlineno} of its file no longer holds it; the file changed since it "
            "was imported. Import it again (in a notebook: restart the kernel)."
        )  # fmt: skip
    if len(found) > 1:
        raise _missing(function, "several lambdas with the same arguments stand on one line; split it")
    return Source(found[0], code.co_filename, function)
