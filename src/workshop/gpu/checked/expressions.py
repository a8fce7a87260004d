"""Expressions of the IR, compiled once to closures over (batch, lanes)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from workshop.gpu import ir
from workshop.gpu.checked import access, arithmetic, reports
from workshop.gpu.checked.batch import Batch, Site
from workshop.gpu.checked.lanes import Lanes, Value, lane_values

Eval = Callable[[Batch, Lanes], Value]


@dataclass(slots=True)
class Names:
    """Where a function's variables and arrays stand in a batch, and the sites of its accesses."""

    variables: dict[str, int]
    memories: dict[str, int]
    sites: list[Site] = field(default_factory=list)

    def site(self, node: ir.Load | ir.Store, kind: Literal["read", "write"]) -> int:
        """Number an access."""
        self.sites.append(Site(node.loc, kind))
        return len(self.sites) - 1


def compile_expr(node: ir.Expr, names: Names) -> Eval:
    """Make the closure of an expression."""
    return _COMPILERS[type(node)](node, names)


def _constant(node: ir.Constant, names: Names) -> Eval:
    value = node.dtype.to_numpy().type(node.value)
    return lambda batch, lanes: value


def _variable(node: ir.Variable, names: Names) -> Eval:
    number, name, loc = names.variables[node.name], node.name, node.loc

    def read(batch: Batch, lanes: Lanes) -> Value:
        slot = batch.slots[number]
        if slot.known is not True and (lane := slot.missing(lanes)) is not None:
            raise reports.unassigned(batch, name, lane, loc)
        return slot.read(lanes)

    return read


def _argument(node: ir.Argument, names: Names) -> Eval:
    name = node.name
    return lambda batch, lanes: batch.scalars[name]


def _id(node: ir.Id, names: Names) -> Eval:
    key = (str(node.kind), str(node.axis))
    return lambda batch, lanes: lanes.take(key, batch.ids[key])


def _extent(node: ir.Extent, names: Names) -> Eval:
    number, axis = names.memories[node.memory.name], node.axis
    return lambda batch, lanes: np.int64(batch.places[number].shape[axis])


def _load(node: ir.Load, names: Names) -> Eval:
    number, indices = names.memories[node.memory.name], [compile_expr(i, names) for i in node.indices]
    site = names.site(node, "read")
    if len(indices) == 1:
        (only,) = indices
        return lambda batch, lanes: access.load(
            batch, lanes, batch.places[number], (only(batch, lanes),), site
        )
    return lambda batch, lanes: access.load(
        batch, lanes, batch.places[number], [index(batch, lanes) for index in indices], site
    )


def _unary(node: ir.Unary, names: Names) -> Eval:
    function, operand = arithmetic.unary(node.op, node.operand.dtype), compile_expr(node.operand, names)
    return lambda batch, lanes: function(operand(batch, lanes))


def _binary(node: ir.Binary, names: Names) -> Eval:
    function = arithmetic.binary(node.op, node.dtype)
    left, right = compile_expr(node.left, names), compile_expr(node.right, names)
    if node.dtype.is_integral() and node.op in ("floordiv", "mod"):
        if not (isinstance(node.right, ir.Constant) and node.right.value != 0):
            return _division(node, function, left, right)
    elif node.op in ("shl", "shr") and not _valid_count(node):
        return _shift(node, function, left, right)
    return lambda batch, lanes: function(left(batch, lanes), right(batch, lanes))


def _valid_count(node: ir.Binary) -> bool:
    return isinstance(node.right, ir.Constant) and 0 <= node.right.value < node.dtype.bits


def _division(node: ir.Binary, function: arithmetic.Function, left: Eval, right: Eval) -> Eval:
    def divide(batch: Batch, lanes: Lanes) -> Value:
        a, b = left(batch, lanes), right(batch, lanes)
        zero = b == 0
        if zero.any():
            where = int(np.atleast_1d(zero).argmax())
            value = int(lane_values(a, lanes.n)[where])
            raise reports.zero_division(batch, node.op, value, lanes.number(where), node.loc)
        return function(a, b)

    return divide


def _shift(node: ir.Binary, function: arithmetic.Function, left: Eval, right: Eval) -> Eval:
    bits = node.dtype.bits

    def shift(batch: Batch, lanes: Lanes) -> Value:
        a, count = left(batch, lanes), right(batch, lanes)
        bad = (count < 0) | (count >= bits)
        if bad.any():
            where = int(np.atleast_1d(bad).argmax())
            wrong = int(lane_values(count, lanes.n)[where])
            raise reports.bad_shift(batch, wrong, bits, lanes.number(where), node.loc)
        return function(a, count)

    return shift


def _compare(node: ir.Compare, names: Names) -> Eval:
    function = arithmetic.compare(node.op, node.left.dtype)
    left, right = compile_expr(node.left, names), compile_expr(node.right, names)
    return lambda batch, lanes: function(left(batch, lanes), right(batch, lanes))


def _cast(node: ir.Cast, names: Names) -> Eval:
    operand = compile_expr(node.operand, names)
    if node.operand.dtype is node.dtype:
        return operand
    function = arithmetic.cast(node.operand.dtype, node.dtype)
    return lambda batch, lanes: function(operand(batch, lanes))


def _call(node: ir.Call, names: Names) -> Eval:
    function = arithmetic.call(node.name, node.args[0].dtype)
    args = [compile_expr(arg, names) for arg in node.args]
    if len(args) == 1:
        (only,) = args
        return lambda batch, lanes: function(only(batch, lanes))
    return lambda batch, lanes: function(*[arg(batch, lanes) for arg in args])


def harmless(node: ir.Expr, names: Names) -> Callable[[Batch], bool] | None:
    """Return a test that no lane can fault in the expression; None where one may."""
    variables: set[int] = set()
    for part in ir.walk(node):
        if isinstance(part, ir.Load):
            return None
        if isinstance(part, ir.Variable):
            variables.add(names.variables[part.name])
        elif isinstance(part, ir.Binary) and part.op in ("floordiv", "mod", "shl", "shr") and not _sure(part):
            return None
    numbers = sorted(variables)
    return lambda batch: all(batch.slots[number].known is True for number in numbers)


def _sure(node: ir.Binary) -> bool:
    if node.op in ("shl", "shr"):
        return _valid_count(node)
    return node.dtype.is_float() or (isinstance(node.right, ir.Constant) and node.right.value != 0)


def _logic(node: ir.Logic, names: Names) -> Eval:
    left, right = compile_expr(node.left, names), compile_expr(node.right, names)
    is_and, safe = node.op == "and", harmless(node.right, names)
    both: Any = np.logical_and if is_and else np.logical_or

    def logic(batch: Batch, lanes: Lanes) -> Value:
        first = left(batch, lanes)
        if type(first) is not np.ndarray:
            return right(batch, lanes) if bool(first) is is_and else first
        if safe is not None and safe(batch):
            return both(first, right(batch, lanes))
        open_lanes = first if is_and else ~first  # where the right side decides
        more, _ = lanes.split(open_lanes)
        if more.n == 0:
            return first
        second = right(batch, more)
        if more is lanes:
            return second
        result = first.copy()
        result[open_lanes] = second
        return result

    return logic


def _select(node: ir.Select, names: Names) -> Eval:
    condition = compile_expr(node.condition, names)
    yes, no = compile_expr(node.yes, names), compile_expr(node.no, names)
    dtype = node.dtype.to_numpy()
    tests = [harmless(side, names) for side in (node.yes, node.no)]

    def select(batch: Batch, lanes: Lanes) -> Value:
        chosen = condition(batch, lanes)
        if type(chosen) is not np.ndarray:
            return (yes if chosen else no)(batch, lanes)
        if all(test is not None and test(batch) for test in tests):
            return np.where(chosen, yes(batch, lanes), no(batch, lanes))
        here, there = lanes.split(chosen)
        if here.n == 0 or there.n == 0:
            return (yes if here.n else no)(batch, lanes)
        result = np.empty(lanes.n, dtype)
        result[chosen] = yes(batch, here)
        result[~chosen] = no(batch, there)
        return result

    return select


_COMPILERS: dict[type[ir.Expr], Callable[[Any, Names], Eval]] = {
    ir.Constant: _constant,
    ir.Variable: _variable,
    ir.Argument: _argument,
    ir.Id: _id,
    ir.Extent: _extent,
    ir.Load: _load,
    ir.Unary: _unary,
    ir.Binary: _binary,
    ir.Compare: _compare,
    ir.Logic: _logic,
    ir.Select: _select,
    ir.Cast: _cast,
    ir.Call: _call,
}
