"""Lowers calls: kernel words, casts, array methods, compile-time Python functions."""

from __future__ import annotations

import ast
import builtins
import math
from collections.abc import Callable
from types import BuiltinFunctionType, FunctionType, MethodType
from typing import Any

from workshop.dtype import DType
from workshop.errors import WorkshopError
from workshop.gpu import intrinsics, ir
from workshop.gpu.frontend import values
from workshop.gpu.frontend.arrays import extent
from workshop.gpu.frontend.dispatch import (
    Method,
    as_dtype,
    describe,
    lowers,
    operands,
    require_number,
    truth,
    value,
)
from workshop.gpu.frontend.inline import inline, needs_inlining
from workshop.gpu.frontend.methods import call_method
from workshop.gpu.frontend.scope import Scope
from workshop.gpu.frontend.structs import construct, is_struct_type, lifted
from workshop.gpu.frontend.values import Value, is_runtime, keep_weak

Word = Callable[[Scope, ast.Call, list[Value]], Value]
_WORDS: dict[Any, tuple[Word, int, int]] = {}


def word(*names: Any, least: int, most: int | None = None) -> Callable[[Word], Word]:
    """Register the lowering of words, with how many arguments they take."""

    def register(lower: Word) -> Word:
        for name in names:
            _WORDS[name] = (lower, least, least if most is None else most)
        return lower

    return register


@lowers(ast.Call)
def call(scope: Scope, node: ast.Call) -> Value:
    """Lower a call by what is called."""
    function = value(scope, node.func)
    if function is intrinsics.print or function is builtins.print:
        return _print(scope, node)
    for keyword in node.keywords:
        if keyword.arg is None:
            scope.syntax(node, "**arguments are not in the kernel language; write each argument")
    given = operands(scope, [*node.args, *(k.value for k in node.keywords)])
    arguments = given[: len(node.args)]
    keywords = {k.arg: v for k, v in zip(node.keywords, given[len(node.args) :], strict=True) if k.arg}
    if isinstance(function, Method):
        return call_method(scope, node, function, arguments)
    if isinstance(function, DType):
        return _cast(scope, node, function, arguments)
    entry = _WORDS.get(function) if _hashable(function) else None
    if entry is not None:
        return _word(scope, node, function, entry, arguments, keywords)
    function = getattr(function, "__wrapped__", function)
    if is_struct_type(function):
        return construct(scope, node, function, arguments, keywords)
    if isinstance(function, MethodType) and isinstance(function.__func__, FunctionType):
        arguments, function = [function.__self__, *arguments], function.__func__
    if isinstance(function, FunctionType) and needs_inlining(function, [*arguments, *keywords.values()]):
        return inline(scope, node, function, arguments, keywords)
    return _at_compile_time(scope, node, function, arguments, keywords)


def _hashable(function: Any) -> bool:
    return not is_runtime(function) and getattr(function, "__hash__", None) is not None


def _word(
    scope: Scope,
    node: ast.Call,
    function: Any,
    entry: Any,
    arguments: list[Value],
    keywords: dict[str, Value],
) -> Value:
    lower, least, most = entry
    if function is intrinsics.stack_allocation:
        named = ("dtype", "space", "address_space")
        arguments = arguments + [keywords.pop(k) for k in named if k in keywords]
    name = getattr(function, "__name__", str(function))
    if keywords:
        scope.type(node, f"{name}() takes no argument named {next(iter(keywords))}")
    if not least <= len(arguments) <= most:
        wanted = str(least) if least == most else f"{least} or more" if most > 90 else f"{least} to {most}"
        scope.type(node, f"{name}() takes {wanted} argument{'s' * (wanted != '1')}, not {len(arguments)}")
    return lower(scope, node, arguments)


def _at_compile_time(
    scope: Scope, node: ast.Call, function: Any, arguments: list[Value], keywords: dict[str, Value]
) -> Value:
    """Run an ordinary Python function now, as everything it needs is known."""
    if not callable(function):
        scope.type(node, f"{describe(function)} cannot be called")
    known = [*arguments, *keywords.values()]
    if any(is_runtime(v) or isinstance(v, ir.Memory) for v in known):
        name = getattr(function, "__name__", repr(function))
        module = getattr(function, "__module__", None)
        hint = f"; write `from workshop.gpu import {name}`" if name in vars(intrinsics) else ""
        scope.type(node, f"{module}.{name}() is not in the kernel language{hint}" if module else
                   f"{name}() is not in the kernel language{hint}")  # fmt: skip
    if not isinstance(function, (FunctionType, BuiltinFunctionType, type)):
        scope.type(node, f"{describe(function)} cannot be called while compiling")
    if isinstance(function, FunctionType):
        scope.depend_on_names(function)
    try:
        return lifted(scope, node, values.from_outside(function(*arguments, **keywords), scope.loc(node)))
    except WorkshopError:
        raise
    except Exception as problem:
        scope.type(node, f"running {function.__name__}() while compiling failed: {problem}")


def _cast(scope: Scope, node: ast.AST, dtype: DType, arguments: list[Value]) -> Value:
    if len(arguments) != 1:
        scope.type(node, f"{dtype} casts one value, not {len(arguments)}")
    operand = require_number(scope, node, arguments[0], f"the argument of {dtype}")
    if isinstance(operand, int) and not isinstance(operand, bool):
        operand = ir.Constant(DType.int64, scope.loc(node), operand)  # a cast wraps; a weak literal must fit
    return as_dtype(scope, node, operand, dtype)


def _print(scope: Scope, node: ast.Call) -> Value:
    if node.keywords:
        scope.type(node, f"print in a kernel takes no {node.keywords[0].arg}=; join pieces in an f-string")
    parts: list[str | ir.Expr] = []
    for position, item in enumerate(node.args):
        if position:
            parts.append(" ")
        parts.extend(_pieces(scope, item))
    merged: list[str | ir.Expr] = []
    for part in parts:
        if isinstance(part, str) and merged and isinstance(merged[-1], str):
            merged[-1] += part
        else:
            merged.append(part)
    scope.emit(ir.Print(scope.loc(node), tuple(merged)))
    return None


def _pieces(scope: Scope, item: ast.expr) -> list[str | ir.Expr]:
    if isinstance(item, ast.JoinedStr):
        found: list[str | ir.Expr] = []
        for piece in item.values:
            if isinstance(piece, ast.FormattedValue):
                if piece.format_spec is not None or piece.conversion != -1:
                    scope.syntax(item, "format specifications are not in the kernel language; print {x}")
                found.extend(_pieces(scope, piece.value))
            else:
                found.extend(_pieces(scope, piece))
        return found
    result = value(scope, item)
    if isinstance(result, values.Weak):
        return [result.expr]
    if isinstance(result, ir.Expr):
        return [result]
    if isinstance(result, ir.Memory):
        require_number(scope, item, result, "an argument of print")
    return [str(result)]


# -- words: where and when


@word(intrinsics.barrier, least=0)
def _barrier(scope: Scope, node: ast.Call, arguments: list[Value]) -> Value:
    scope.emit(ir.Sync(scope.loc(node), "block"))


@word(intrinsics.syncwarp, least=0)
def _syncwarp(scope: Scope, node: ast.Call, arguments: list[Value]) -> Value:
    scope.emit(ir.Sync(scope.loc(node), "warp"))


def _linear_thread(scope: Scope, node: ast.AST) -> ir.Expr:
    """thread_idx.x + block_dim.x * (thread_idx.y + block_dim.y * thread_idx.z), axes of extent 1 left out."""
    loc, dtype = scope.loc(node), DType.int64
    result: ir.Expr | None = None
    stride = 1
    for axis, size in zip(("x", "y", "z"), scope.unit.block, strict=True):
        if size > 1:
            term: ir.Expr = ir.Id(dtype, loc, "thread_idx", axis)  # type: ignore[arg-type]
            if stride > 1:
                term = ir.Binary(dtype, loc, "mul", term, ir.Constant(dtype, loc, stride))
            result = term if result is None else ir.Binary(dtype, loc, "add", result, term)
        stride *= size
    return result or ir.Constant(dtype, loc, 0)


@word(intrinsics.lane_id, least=0)
def _lane_id(scope: Scope, node: ast.Call, arguments: list[Value]) -> Value:
    size = ir.Constant(DType.int64, scope.loc(node), scope.unit.warp_size)
    return ir.Binary(DType.int64, scope.loc(node), "mod", _linear_thread(scope, node), size)


@word(intrinsics.warp_id, least=0)
def _warp_id(scope: Scope, node: ast.Call, arguments: list[Value]) -> Value:
    size = ir.Constant(DType.int64, scope.loc(node), scope.unit.warp_size)
    return ir.Binary(DType.int64, scope.loc(node), "floordiv", _linear_thread(scope, node), size)


@word(intrinsics.stack_allocation, least=2, most=3)
def _stack_allocation(scope: Scope, node: ast.Call, arguments: list[Value]) -> Value:
    shape, dtype, *rest = arguments
    space = rest[0] if rest else intrinsics.AddressSpace.LOCAL
    if not isinstance(dtype, DType):
        scope.type(node, f"stack_allocation(shape, dtype) takes a dtype like a.dtype, not {describe(dtype)}")
    if not isinstance(space, intrinsics.AddressSpace):
        scope.type(node, "the third argument of stack_allocation is AddressSpace.SHARED or .LOCAL")
    extents = shape if isinstance(shape, tuple) else (shape,)
    for item in extents:
        if is_runtime(item):
            scope.type(
                node,
                "the shape of stack_allocation must be known while compiling; make it a keyword-only "
                "parameter (def kernel(..., *, TPB)) or a constant",
            )
        if not isinstance(item, int) or isinstance(item, bool) or item < 1:
            scope.type(node, f"the shape of stack_allocation must be positive integers, not {item!r}")
    if scope.unit.nesting:
        scope.syntax(node, "stack_allocation must stand at the top level of the kernel or helper, not inside "
                     "an if or a loop")  # fmt: skip
    loc = scope.loc(node)
    name = scope.unit.unique(scope.naming or space.value)
    memory = ir.Memory(name, space.value, dtype, tuple(extents), "row_major", loc)
    scope.unit.allocations.append(ir.Allocate(loc, memory))
    return memory


# -- words: numbers


def _float_call(scope: Scope, node: ast.Call, name: str, arguments: list[Value]) -> Value:
    numbers = [require_number(scope, node, v, f"an argument of {name}") for v in arguments]
    with scope.typing(node):
        if not any(is_runtime(v) for v in numbers):
            return _PYTHON[name](*numbers)
        shared = values.common(*numbers)
        if not shared.is_float():
            shared = DType.float32
        loc = scope.loc(node)
        result = ir.Call(shared, loc, name, tuple(values.cast(v, shared, loc) for v in numbers))
        return keep_weak(result, *numbers)


_PYTHON: dict[str, Callable[..., Any]] = {
    "sqrt": math.sqrt, "exp": math.exp, "exp2": math.exp2, "log": math.log, "log2": math.log2,
    "sin": math.sin,
    "cos": math.cos, "tanh": math.tanh, "erf": math.erf, "rsqrt": lambda x: 1.0 / math.sqrt(x),
    "floor": lambda x: float(math.floor(x)), "ceil": lambda x: float(math.ceil(x)),
    "round": lambda x: float(round(x)),
    "pow": pow, "fma": lambda x, y, z: x * y + z,
}  # fmt: skip


def _float_word(*names: Any, least: int = 1) -> None:
    """Register words that are one math call, named after the first."""
    title = names[0].__name__

    def lower(scope: Scope, node: ast.Call, arguments: list[Value]) -> Value:
        return _float_call(scope, node, title, arguments)

    word(*names, least=least)(lower)


for _each in (
    intrinsics.sqrt, intrinsics.rsqrt, intrinsics.exp, intrinsics.exp2, intrinsics.log, intrinsics.log2,
    intrinsics.sin, intrinsics.cos, intrinsics.tanh, intrinsics.erf, intrinsics.floor, intrinsics.ceil,
):  # fmt: skip
    _float_word(_each)
_float_word(intrinsics.round, builtins.round)
_float_word(intrinsics.pow, builtins.pow, least=2)
_float_word(intrinsics.fma, least=3)


def _extreme(scope: Scope, node: ast.Call, op: ir.BinaryOp, arguments: list[Value]) -> Value:
    result = require_number(scope, node, arguments[0], f"an argument of {op}")
    for other in arguments[1:]:
        other = require_number(scope, node, other, f"an argument of {op}")
        if not is_runtime(result) and not is_runtime(other):
            result = values.extreme(op, result, other)
            continue
        with scope.typing(node):
            dtype = values.common(result, other)
            dtype = DType.int32 if dtype is DType.bool else dtype
            loc = scope.loc(node)
            both = values.cast(result, dtype, loc), values.cast(other, dtype, loc)
            result = keep_weak(ir.Binary(dtype, loc, op, *both), result, other)
    return result


@word(intrinsics.min, builtins.min, least=2, most=99)
def _min(scope: Scope, node: ast.Call, arguments: list[Value]) -> Value:
    return _extreme(scope, node, "min", arguments)


@word(intrinsics.max, builtins.max, least=2, most=99)
def _max(scope: Scope, node: ast.Call, arguments: list[Value]) -> Value:
    return _extreme(scope, node, "max", arguments)


@word(intrinsics.clamp, least=3)
def _clamp(scope: Scope, node: ast.Call, arguments: list[Value]) -> Value:
    return _extreme(scope, node, "min", [_extreme(scope, node, "max", arguments[:2]), arguments[2]])


@word(intrinsics.abs, builtins.abs, least=1)
def _abs(scope: Scope, node: ast.Call, arguments: list[Value]) -> Value:
    operand = require_number(scope, node, arguments[0], "the argument of abs")
    if not is_runtime(operand):
        return builtins.abs(operand)
    expr = values.strong(operand.expr if isinstance(operand, values.Weak) else operand, scope.loc(node))
    if expr.dtype is DType.bool:
        expr = as_dtype(scope, node, expr, DType.int32)
    return keep_weak(ir.Call(expr.dtype, scope.loc(node), "abs", (expr,)), operand)


def _classify(scope: Scope, node: ast.Call, name: str, arguments: list[Value]) -> Value:
    operand = require_number(scope, node, arguments[0], f"the argument of {name}")
    if not is_runtime(operand):
        return bool(getattr(math, name)(operand))
    expr = values.strong(operand.expr if isinstance(operand, values.Weak) else operand, scope.loc(node))
    if not expr.dtype.is_float():
        return False
    return ir.Call(DType.bool, scope.loc(node), name, (expr,))


@word(intrinsics.isnan, least=1)
def _isnan(scope: Scope, node: ast.Call, arguments: list[Value]) -> Value:
    return _classify(scope, node, "isnan", arguments)


@word(intrinsics.isinf, least=1)
def _isinf(scope: Scope, node: ast.Call, arguments: list[Value]) -> Value:
    return _classify(scope, node, "isinf", arguments)


@word(intrinsics.select, least=3)
def _select(scope: Scope, node: ast.Call, arguments: list[Value]) -> Value:
    test, yes, no = (require_number(scope, node, v, "an argument of select") for v in arguments)
    test = truth(scope, node, test)
    loc = scope.loc(node)
    # Both sides are evaluated before the choice, unlike in `a if c else b`.
    yes, no = (scope.temporary("side", v, loc, node) for v in (yes, no))
    if not is_runtime(test):
        return yes if test else no
    with scope.typing(node):
        dtype = values.common(yes, no)
        chosen = ir.Select(dtype, loc, test, values.cast(yes, dtype, loc), values.cast(no, dtype, loc))
        return keep_weak(chosen, yes, no)


@word(builtins.int, least=1)
def _int(scope: Scope, node: ast.Call, arguments: list[Value]) -> Value:
    if isinstance(arguments[0], int):
        return int(arguments[0])
    if values.is_number(arguments[0]):
        return values.saturate(arguments[0], DType.int64)
    return _cast(scope, node, DType.int64, arguments)


@word(builtins.float, least=1)
def _float(scope: Scope, node: ast.Call, arguments: list[Value]) -> Value:
    if isinstance(arguments[0], (bool, int, float, str)):
        with scope.typing(node):
            return float(arguments[0])
    return _cast(scope, node, scope.unit.float_dtype, arguments)


@word(builtins.bool, least=1)
def _bool(scope: Scope, node: ast.Call, arguments: list[Value]) -> Value:
    return truth(scope, node, require_number(scope, node, arguments[0], "the argument of bool"))


@word(builtins.len, least=1)
def _len(scope: Scope, node: ast.Call, arguments: list[Value]) -> Value:
    operand = arguments[0]
    if isinstance(operand, ir.Memory):
        return extent(operand, 0, scope.loc(node))
    if isinstance(operand, tuple):
        return len(operand)
    scope.type(node, f"len() takes an array or a tuple, not {describe(operand)}")


@word(builtins.range, intrinsics.static_range, least=1, most=3)
def _range(scope: Scope, node: ast.Call, arguments: list[Value]) -> Value:
    scope.syntax(node, "range exists as `for i in range(...)` only")
