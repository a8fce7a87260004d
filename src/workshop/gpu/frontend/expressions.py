"""Lowers expressions: arithmetic, comparisons, conditionals, names."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable
from typing import Any

from workshop.dtype import DType
from workshop.gpu import ir
from workshop.gpu.frontend import structs, values
from workshop.gpu.frontend.dispatch import condition, lowers, number, operands, require_number, value
from workshop.gpu.frontend.scope import Scope
from workshop.gpu.frontend.values import Struct, Value, is_runtime, keep_weak

ARITHMETIC: dict[type, tuple[ir.BinaryOp, Callable[[Any, Any], Any], str]] = {
    ast.Add: ("add", operator.add, "+"),
    ast.Sub: ("sub", operator.sub, "-"),
    ast.Mult: ("mul", operator.mul, "*"),
    ast.Div: ("div", operator.truediv, "/"),
    ast.FloorDiv: ("floordiv", operator.floordiv, "//"),
    ast.Mod: ("mod", operator.mod, "%"),
    ast.BitAnd: ("and", operator.and_, "&"),
    ast.BitOr: ("or", operator.or_, "|"),
    ast.BitXor: ("xor", operator.xor, "^"),
    ast.LShift: ("shl", operator.lshift, "<<"),
    ast.RShift: ("shr", operator.rshift, ">>"),
}
COMPARISONS: dict[type, tuple[ir.CompareOp, Callable[[Any, Any], bool], str]] = {
    ast.Lt: ("lt", operator.lt, "<"),
    ast.LtE: ("le", operator.le, "<="),
    ast.Gt: ("gt", operator.gt, ">"),
    ast.GtE: ("ge", operator.ge, ">="),
    ast.Eq: ("eq", operator.eq, "=="),
    ast.NotEq: ("ne", operator.ne, "!="),
}


def arithmetic(scope: Scope, node: Any, kind: type, left: Value, right: Value) -> Value:
    """Apply a binary operator by the number rules."""
    if isinstance(left, Struct) or isinstance(right, Struct):
        return structs.operator(scope, node, kind, left, right)
    if kind is ast.Pow:
        return _power(scope, node, left, right)
    if kind not in ARITHMETIC:
        scope.syntax(node, "the operator @ is not in the kernel language; write the sum as a loop")
    op, python, sign = ARITHMETIC[kind]
    if isinstance(left, tuple) and isinstance(right, tuple) and kind is ast.Add:
        return left + right
    left = require_number(scope, node, left, f"the left side of {sign}")
    right = require_number(scope, node, right, f"the right side of {sign}")
    with scope.typing(node):
        if not is_runtime(left) and not is_runtime(right):
            return python(left, right)
        dtype = _operating_dtype(scope, node, kind, sign, left, right)
        loc = scope.loc(node)
        result = ir.Binary(dtype, loc, op, values.cast(left, dtype, loc), values.cast(right, dtype, loc))
        return keep_weak(result, left, right)


def _operating_dtype(scope: Scope, node: ast.AST, kind: type, sign: str, left: Value, right: Value) -> DType:
    if kind in (ast.LShift, ast.RShift):
        both = [values.strong(v, scope.loc(node)).dtype for v in (left, right)]
        if any(d.is_float() for d in both):
            scope.type(node, f"{sign} shifts integers, not {both[0]} by {both[1]}")
        return DType.int32 if both[0] is DType.bool else both[0]
    dtype = values.common(left, right)
    if kind is ast.Div and not dtype.is_float():
        return DType.float32
    if kind in (ast.BitAnd, ast.BitOr, ast.BitXor):
        if dtype.is_float():
            scope.type(node, f"{sign} works on integers and bools, not on {dtype}")
        return dtype
    return DType.int32 if dtype is DType.bool else dtype


def _power(scope: Scope, node: ast.AST, base: Value, exponent: Value) -> Value:
    base = require_number(scope, node, base, "the base of **")
    exponent = require_number(scope, node, exponent, "the exponent of **")
    with scope.typing(node):
        if not is_runtime(base) and not is_runtime(exponent):
            return base**exponent
        if isinstance(exponent, int) and 1 <= exponent <= 4:
            base = scope.temporary("base", base, scope.loc(node), node)
            result = base
            for _ in range(exponent - 1):
                result = arithmetic(scope, node, ast.Mult, result, base)
            return result
        dtype = values.common(base, exponent)
        if not dtype.is_float():
            scope.type(node, f"** of integers ({dtype}) may have no integer result; write float(x) ** y")
        loc = scope.loc(node)
        call = ir.Call(dtype, loc, "pow", (values.cast(base, dtype, loc), values.cast(exponent, dtype, loc)))
        return keep_weak(call, base, exponent)


def compare(scope: Scope, node: ast.AST, kind: type, left: Value, right: Value) -> Value:
    """Compare two numbers (or two compile-time values)."""
    if kind not in COMPARISONS:
        scope.syntax(node, "`in` and `is` are not in the kernel language; compare numbers with ==")
    op, python, sign = COMPARISONS[kind]
    if not is_runtime(left) and not is_runtime(right):
        with scope.typing(node):
            return bool(python(left, right))
    left = require_number(scope, node, left, f"the left side of {sign}")
    right = require_number(scope, node, right, f"the right side of {sign}")
    with scope.typing(node):
        dtype = values.common(left, right)
        loc = scope.loc(node)
        return ir.Compare(DType.bool, loc, op, values.cast(left, dtype, loc), values.cast(right, dtype, loc))


@lowers(ast.Constant)
def _constant(scope: Scope, node: ast.Constant) -> Value:
    if isinstance(node.value, (bool, int, float, str)) or node.value is None or node.value is ...:
        return node.value
    scope.type(node, f"{type(node.value).__name__} values are not in the kernel language")


@lowers(ast.Name)
def _name(scope: Scope, node: ast.Name) -> Value:
    return structs.lifted(scope, node, values.from_outside(scope.name(node), scope.loc(node)))


@lowers(ast.Tuple)
def _tuple(scope: Scope, node: ast.Tuple) -> Value:
    return tuple(operands(scope, node.elts))


@lowers(ast.BinOp)
def _binop(scope: Scope, node: ast.BinOp) -> Value:
    left, right = operands(scope, [node.left, node.right])
    return arithmetic(scope, node, type(node.op), left, right)


@lowers(ast.UnaryOp)
def _unary(scope: Scope, node: ast.UnaryOp) -> Value:
    if isinstance(node.op, ast.Not):
        flag = condition(scope, node.operand)
        return ir.Unary(DType.bool, scope.loc(node), "not", flag) if is_runtime(flag) else not flag
    operand = number(scope, node.operand)
    loc = scope.loc(node)
    if not is_runtime(operand):
        python: dict[type, Callable[[Any], Any]] = {ast.USub: operator.neg, ast.UAdd: operator.pos}
        with scope.typing(node):
            return python.get(type(node.op), operator.invert)(operand)
    expr = operand.expr if isinstance(operand, values.Weak) else operand
    if isinstance(node.op, ast.Invert):
        if expr.dtype.is_float():
            scope.type(node, f"~ flips the bits of integers, not of {expr.dtype}")
        op: ir.UnaryOp = "not" if expr.dtype is DType.bool else "invert"
        return keep_weak(ir.Unary(expr.dtype, loc, op, expr), operand)
    if expr.dtype is DType.bool:
        expr = values.cast(expr, DType.int32, loc)
    if isinstance(node.op, ast.UAdd):
        return operand
    return keep_weak(ir.Unary(expr.dtype, loc, "neg", expr), operand)


def lazily(scope: Scope, lower: Callable[[], Value]) -> tuple[list[ir.Stmt], Value]:
    """Lower an operand that may not be evaluated; return the statements it needs first, and its value."""
    with scope.collect() as body:
        result = lower()
    return body, result


@lowers(ast.BoolOp)
def _boolop(scope: Scope, node: ast.BoolOp) -> Value:
    op: Any = "and" if isinstance(node.op, ast.And) else "or"
    result = condition(scope, node.values[0])
    for operand in node.values[1:]:
        if not is_runtime(result):
            if result is (op == "or"):
                return result
            result = condition(scope, operand)
            continue
        body, right = lazily(scope, lambda operand=operand: condition(scope, operand))  # type: ignore[misc]
        loc = scope.loc(node)
        if body:
            result = _select(scope, node, result, (body, right) if op == "and" else ([], True),
                             ([], False) if op == "and" else (body, right))  # fmt: skip
        elif not is_runtime(right):
            result = result if right is (op == "and") else right
        else:
            result = ir.Logic(DType.bool, loc, op, result, right)
    return result


@lowers(ast.IfExp)
def _ifexp(scope: Scope, node: ast.IfExp) -> Value:
    test = condition(scope, node.test)
    if not is_runtime(test):
        return value(scope, node.body if test else node.orelse)
    yes = lazily(scope, lambda: number(scope, node.body))
    no = lazily(scope, lambda: number(scope, node.orelse))
    return _select(scope, node, test, yes, no)


def _select(scope: Scope, node: ast.AST, test: Value, yes: Any, no: Any) -> Value:
    """Choose between two lazily lowered sides: a Select, or an If where a side needs statements."""
    (yes_body, yes_value), (no_body, no_value) = yes, no
    loc = scope.loc(node)
    if not yes_body and not no_body:
        with scope.typing(node):
            dtype = values.common(yes_value, no_value)
            chosen = ir.Select(
                dtype, loc, test, values.cast(yes_value, dtype, loc), values.cast(no_value, dtype, loc)
            )
            return keep_weak(chosen, yes_value, no_value)
    name = scope.unit.unique("chosen")
    bodies = []
    for body, result in (yes, no):
        with scope.collect() as out:
            out.extend(body)
            scope.assign(name, result, loc, node)
        bodies.append(tuple(out))
    scope.emit(ir.If(loc, test, *bodies))
    return scope.read(name, loc)


@lowers(ast.Compare)
def _compare(scope: Scope, node: ast.Compare) -> Value:
    left, *rights = operands(scope, [node.left, *node.comparators])
    result: Value = True
    for position, (op, right_node) in enumerate(zip(node.ops, node.comparators, strict=True)):
        right = rights[position]
        if position < len(node.ops) - 1:
            right = scope.temporary("middle", right, scope.loc(right_node), right_node)
        one = compare(scope, node, type(op), left, right)
        if not is_runtime(result) or not is_runtime(one):
            result = one if result is True else result if one is True else False
        else:
            result = ir.Logic(DType.bool, scope.loc(node), "and", result, one)
        if result is False:
            return False
        left = right
    return result
