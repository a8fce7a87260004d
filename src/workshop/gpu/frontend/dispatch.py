"""Finds who lowers a node, and the questions every lowering asks of a value."""

from __future__ import annotations

import ast
import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from workshop.dtype import DType
from workshop.errors import KernelTypeError
from workshop.gpu import intrinsics, ir
from workshop.gpu.frontend import values
from workshop.gpu.frontend.scope import Scope
from workshop.gpu.frontend.values import Value, is_runtime

Handler = Callable[[Scope, Any], Value]
_HANDLERS: dict[type, Handler] = {}


def lowers(kind: type) -> Callable[[Handler], Handler]:
    """Register the function that lowers one kind of expression or statement."""

    def register(handler: Handler) -> Handler:
        _HANDLERS[kind] = handler
        return handler

    return register


_INLINE: list[Any] = []


def inlines(function: Any) -> Any:
    """Register the function that inlines helpers, which stands on what is here."""
    _INLINE.append(function)
    return function


def inlined(scope: Scope, node: ast.expr, function: Any, arguments: list[Value]) -> Value:
    """Inline a helper, method or operator of the user's."""
    return _INLINE[0](scope, node, function, arguments, {})


@dataclass(frozen=True, slots=True)
class Method:
    """A method of an array, named but not called yet."""

    memory: ir.Memory
    name: str


def value(scope: Scope, node: ast.expr) -> Value:
    """Lower one expression."""
    handler = _HANDLERS.get(type(node))
    if handler is None:
        known = UNSUPPORTED.get(type(node), f"{type(node).__name__} is not in the kernel language")
        scope.syntax(node, known)
    return handler(scope, node)


def body(scope: Scope, statements: Sequence[ast.stmt], *, last: bool = False) -> None:
    """Lower statements in order; `last` says that the function ends after them."""
    for position, node in enumerate(statements):
        handler = _HANDLERS.get(type(node))
        if handler is None:
            known = UNSUPPORTED.get(type(node), f"{type(node).__name__} is not in the kernel language")
            scope.syntax(node, known)
        scope.tail = last and position == len(statements) - 1
        handler(scope, node)
        if isinstance(node, (ast.Return, ast.Break, ast.Continue)):
            return


def in_order(scope: Scope, *lowerings: Callable[[], Value]) -> list[Value]:
    """Lower operands from left to right.

    Where one needs statements (an inlined helper), those before it are computed first, as Python would.
    """
    found: list[Value] = []
    for lower in lowerings:
        with scope.collect() as out:
            result = lower()
        if out:
            found = [scope.pinned(v) for v in found]
            scope.out.extend(out)
        found.append(result)
    return found


def operands(scope: Scope, nodes: Sequence[ast.expr]) -> list[Value]:
    """Lower expressions from left to right."""
    return in_order(scope, *(functools.partial(value, scope, node) for node in nodes))


def number(scope: Scope, node: ast.expr, what: str = "this") -> Value:
    """Lower an expression that must be a number."""
    result = value(scope, node)
    return require_number(scope, node, result, what)


def require_number(scope: Scope, node: ast.AST, result: Value, what: str = "this") -> Value:
    """Refuse values that are no numbers (arrays, functions, tuples ...)."""
    if is_runtime(result) or values.is_number(result):
        return result
    if isinstance(result, ir.Memory):
        indices = ", ".join("ijk"[: result.rank]) or "i"
        scope.type(node, f"{what} is the whole array {result.name}; index it: {result.name}[{indices}]")
    if isinstance(result, intrinsics.Index3):
        scope.type(node, f"{result} has three coordinates; write {result}.x (or .y, .z)")
    if result is None:
        _returned_nothing(scope, node)
    scope.type(node, f"{what} must be a number in a kernel, not {describe(result)}")


def _returned_nothing(scope: Scope, node: ast.AST) -> None:
    """Refuse a helper that forgot its `return`, at its own `def`."""
    call = node if isinstance(node, ast.Call) else getattr(node, "value", None)
    if isinstance(call, ast.Call) and isinstance(call.func, ast.Name):
        helper = value(scope, call.func)
        if helper in scope.unit.sources:
            place = scope.unit.sources[helper]
            text = f"{helper.__name__}() returns nothing, and its result is needed; end it with `return ...`"
            raise KernelTypeError(text, place.loc(place.tree))


def describe(result: Value) -> str:
    """Name a value in an error message."""
    if is_runtime(result):
        return f"a run-time {(result.expr if isinstance(result, values.Weak) else result).dtype}"
    if isinstance(result, ir.Memory):
        return f"the array {result.name}"
    if isinstance(result, values.Struct):
        return f"a {result.kind.__name__}"
    if isinstance(result, Method):
        return f"the method {result.memory.name}.{result.name}"
    if callable(result) and hasattr(result, "__name__"):
        return f"the function {result.__name__}"
    return f"{type(result).__name__} {result!r}" if len(repr(result)) < 60 else f"a {type(result).__name__}"


def as_dtype(scope: Scope, node: ast.AST, result: Value, dtype: DType) -> ir.Expr:
    """Cast a number to a dtype at this place."""
    with scope.typing(node):
        return values.cast(require_number(scope, node, result), dtype, scope.loc(node))


def condition(scope: Scope, node: ast.expr) -> Value:
    """Lower a truth value: a Python bool, or a bool expression."""
    return truth(scope, node, number(scope, node, "a condition"))


def truth(scope: Scope, node: ast.AST, result: Value) -> Value:
    """Turn a number into a truth value."""
    return as_dtype(scope, node, result, DType.bool) if is_runtime(result) else bool(result)


def index(scope: Scope, node: ast.AST, result: Value) -> ir.Expr:
    """Turn a number into an int64 index."""
    result = require_number(scope, node, result, "an index")
    dtype = result.dtype if isinstance(result, ir.Expr) else None
    if values.weak_kind(result) is float or (dtype is not None and dtype.is_float()):
        found = dtype or (result if values.is_number(result) else "a float")
        divided = isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div)
        cure = "divide with //, which rounds down" if divided else "write int(...) around it"
        scope.type(node, f"an index must be an integer, not {found}; {cure}")
    return as_dtype(scope, node, result, DType.int64)


UNSUPPORTED: dict[type, str] = {
    ast.NamedExpr: "`:=` is not in the kernel language; assign on a line of its own",
    ast.ListComp: "comprehensions are not in the kernel language; write a loop over range(n)",
    ast.GeneratorExp: "comprehensions are not in the kernel language; write a loop over range(n)",
    ast.SetComp: "comprehensions are not in the kernel language; write a loop over range(n)",
    ast.DictComp: "comprehensions are not in the kernel language; write a loop over range(n)",
    ast.List: "lists are not in the kernel language; use stack_allocation(n, dtype) for a local array",
    ast.Dict: "dicts are not in the kernel language; pass arrays as arguments",
    ast.Set: "sets are not in the kernel language; pass arrays as arguments",
    ast.Lambda: "a lambda inside a kernel is not in the language; define a helper function outside",
    ast.JoinedStr: "strings are allowed inside print(...) only",
    ast.Starred: "*arguments are not in the kernel language; write each argument",
    ast.Await: "await is not in the kernel language",
    ast.Yield: "yield is not in the kernel language",
    ast.FunctionDef: "a function inside a kernel is not in the language; define the helper outside",
    ast.ClassDef: "a class inside a kernel is not in the language; define it outside",
    ast.Assert: "assert is not in the kernel language: a thread cannot raise; test on the host",
    ast.Raise: "raise is not in the kernel language: a thread cannot raise; write a flag to an output array",
    ast.Try: "try is not in the kernel language: a thread cannot raise",
    ast.With: "with is not in the kernel language",
    ast.Match: "match is not in the kernel language; use if/elif",
    ast.Global: "global is not in the kernel language; pass values as arguments",
    ast.Nonlocal: "nonlocal is not in the kernel language; pass values as arguments",
    ast.Import: "imports belong outside the kernel",
    ast.ImportFrom: "imports belong outside the kernel",
    ast.Delete: "del is not in the kernel language",
}
