"""Inlines helper functions: their bodies become part of the kernel, each call with variables of its own."""

from __future__ import annotations

import ast
import builtins
import inspect
import sys
from collections.abc import Iterator
from types import FunctionType
from typing import Any

from workshop.gpu import intrinsics, ir
from workshop.gpu.frontend import source
from workshop.gpu.frontend.dispatch import body, inlines
from workshop.gpu.frontend.scope import MISSING, Result, Scope
from workshop.gpu.frontend.structs import is_aggregate
from workshop.gpu.frontend.values import Struct, Value, is_number, is_runtime

_WORDS = {id(v) for k, v in vars(intrinsics).items() if not k.startswith("_")}


_HOST_LIBRARIES = sys.stdlib_module_names - {"__main__"} | {"numpy", "scipy", "torch", "cupy", "numba", "jax"}


def outer_values(function: FunctionType) -> Iterator[Any]:
    """Yield what a function's outside names are worth now."""
    code = function.__code__
    for name in code.co_names:
        yield function.__globals__.get(name, getattr(builtins, name, None))
    for cell in function.__closure__ or ():
        try:
            yield cell.cell_contents
        except ValueError:  # not assigned yet
            continue


def uses_words(function: FunctionType, seen: frozenset[int] = frozenset()) -> bool:
    """True when a function, or one it calls, speaks of threads, barriers or memory."""
    if id(function) in seen:
        return False
    seen |= {id(function)}
    for item in outer_values(function):
        if id(item) in _WORDS and not isinstance(item, type) and not is_number(item):
            return True
        if isinstance(item, FunctionType) and uses_words(item, seen):
            return True
    return False


def needs_inlining(function: FunctionType, arguments: list[Value]) -> bool:
    """True unless the call can simply run now: only compile-time arguments and no kernel words."""
    if function.__module__.split(".")[0] in _HOST_LIBRARIES:
        return False
    dynamic = any(_dynamic(v) for v in arguments)
    return dynamic or uses_words(function)


def _dynamic(value: Value) -> bool:
    if isinstance(value, tuple):
        return any(_dynamic(v) for v in value)
    return is_runtime(value) or isinstance(value, (ir.Memory, intrinsics.Index3, Struct))


@inlines
def inline(
    scope: Scope, node: ast.expr, function: FunctionType, arguments: list[Value], keywords: dict[str, Value]
) -> Value:
    """Lower a helper's body at the place of its call and return its result."""
    if function.__code__ in scope.unit.inlining:
        scope.syntax(node, f"{function.__name__}() calls itself; recursion is not in the kernel language, "
                     "write a loop")  # fmt: skip
    sources = scope.unit.sources
    captured = sources.get(function) or source.capture(function)
    sources[function] = captured
    inner = Scope(scope.unit, captured, (source.without_chain(scope.loc(node)), *scope.chain))
    inner.out = scope.out
    label = scope.unit.unique(f"{function.__name__.strip('<>')}_end")
    inner.result = Result(label)
    _bind(scope, inner, node, function, arguments, keywords)
    scope.unit.inlining.append(function.__code__)
    nesting, scope.unit.nesting = scope.unit.nesting, 0
    try:
        with inner.collect() as out:
            body(inner, captured.body, last=True)
    finally:
        scope.unit.inlining.pop()
        scope.unit.nesting = nesting
    if label in inner.left:
        scope.emit(ir.Block(scope.loc(node), label, tuple(out)))
    else:
        scope.out.extend(out)
    return _result(scope, node, inner.result)


def _bind(
    scope: Scope,
    inner: Scope,
    node: ast.expr,
    function: FunctionType,
    arguments: list[Value],
    keywords: dict[str, Value],
) -> None:
    """Bind a helper's parameters: compile-time values as such, run-time ones through a variable."""
    try:
        bound = inspect.signature(function).bind(*arguments, **keywords)
    except TypeError as problem:
        scope.type(node, f"{function.__name__}(): {problem}")
    bound.apply_defaults()
    names = (n for n in ast.walk(inner.source.tree) if isinstance(n, ast.Name))
    assigned = {n.id for n in names if isinstance(n.ctx, ast.Store)}
    for name, value in bound.arguments.items():
        if is_runtime(value) or (is_number(value) and name in assigned):
            variable = inner.variable(name)
            scope.assign(variable, value, scope.loc(node), node)
        elif is_aggregate(value):
            inner.bind(name, scope.keep(inner.variable(name), value, scope.loc(node), node))
        else:
            inner.bind(name, value)


def _result(scope: Scope, node: ast.expr, result: Result) -> Value:
    if result.direct is not MISSING:
        return result.direct
    return None if result.variable is None else scope.read(result.variable, scope.loc(node))
