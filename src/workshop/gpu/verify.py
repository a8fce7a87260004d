"""Checks that IR keeps its promises (see `ir`); run after the front end and after every rewrite.

A failure is our own bug, so it is an AssertionError with the node printed.
"""

from __future__ import annotations

from workshop.dtype import DType
from workshop.gpu import ir, printer


def verify(function: ir.Function) -> None:
    """Raise AssertionError where the function breaks a rule of the IR."""
    memories = {m.name: m for m in function.memories}
    _expect(len(memories) == len(function.memories), function.body, "two arrays share a name")
    scalars = {p.name: p.dtype for p in function.params if isinstance(p, ir.Scalar)}
    for node in ir.walk(function.body):
        if isinstance(node, ir.Expr):
            _expression(node, function, scalars)
        else:
            _statement(node, function)
        if isinstance(node, (ir.Load, ir.Store, ir.Extent)):
            _expect(memories.get(node.memory.name) == node.memory, node, "an unknown array")
    _labels(function.body, frozenset())


def _expect(holds: bool, node: object, rule: str) -> None:
    if not holds:
        shown = printer.expression(node) if isinstance(node, ir.Expr) else repr(node)
        raise AssertionError(f"broken IR: {rule}: {shown}")


def _expression(node: ir.Expr, function: ir.Function, scalars: dict[str, DType]) -> None:
    if isinstance(node, ir.Variable):
        _expect(function.variables.get(node.name) is node.dtype, node, "a variable of another dtype")
    elif isinstance(node, ir.Argument):
        _expect(scalars.get(node.name) is node.dtype, node, "an argument of another dtype")
    elif isinstance(node, ir.Load):
        _expect(node.dtype is node.memory.dtype, node, "a load has its array's dtype")
        _indices(node, node.memory, node.indices)
    elif isinstance(node, ir.Binary):
        _expect(node.left.dtype is node.dtype is node.right.dtype, node, "operands have the result's dtype")
        _expect(node.op != "div" or node.dtype.is_float(), node, "div is on floats")
    elif isinstance(node, ir.Unary):
        _expect(node.operand.dtype is node.dtype, node, "the operand has the result's dtype")
    elif isinstance(node, ir.Compare):
        _expect(node.left.dtype is node.right.dtype, node, "both sides have one dtype")
        _expect(node.dtype is DType.bool, node, "a comparison is a bool")
    elif isinstance(node, ir.Logic):
        _expect({node.dtype, node.left.dtype, node.right.dtype} == {DType.bool}, node, "logic is on bools")
    elif isinstance(node, ir.Select):
        _expect(node.condition.dtype is DType.bool, node, "a condition is a bool")
        _expect(node.yes.dtype is node.dtype is node.no.dtype, node, "sides have the result's dtype")
    elif isinstance(node, ir.Call):
        _expect(node.name in ir.CALLS, node, "an unknown math word")
        if node.name not in ("isnan", "isinf"):
            _expect(all(a.dtype is node.dtype for a in node.args), node, "arguments have the result's dtype")


def _indices(node: object, memory: ir.Memory, indices: tuple[ir.Expr, ...]) -> None:
    _expect(len(indices) == memory.rank, node, "rank many indices")
    _expect(all(i.dtype is DType.int64 for i in indices), node, "indices are int64")


def _statement(node: ir.Node, function: ir.Function) -> None:
    if isinstance(node, ir.Assign):
        _expect(function.variables.get(node.name) is node.value.dtype, node, "the variable's dtype")
    elif isinstance(node, ir.Store):
        _expect(node.value.dtype is node.memory.dtype, node, "a store has its array's dtype")
        _indices(node, node.memory, node.indices)
    elif isinstance(node, (ir.If, ir.While)):
        _expect(node.condition.dtype is DType.bool, node, "a condition is a bool")
    elif isinstance(node, ir.For):
        _expect(function.variables.get(node.var) is DType.int64, node, "loop variables are int64")
        bounds = (node.start, node.stop, node.step)
        _expect(all(b.dtype is DType.int64 for b in bounds), node, "loop bounds are int64")


def _labels(body: ir.Body, inside: frozenset[str]) -> None:
    for node in body:
        if isinstance(node, ir.Leave):
            _expect(node.label in inside, node, "leave without its block")
        elif isinstance(node, ir.Block):
            _expect(node.label not in inside, node, "labels are unique")
            _labels(node.body, inside | {node.label})
        elif isinstance(node, ir.If):
            _labels(node.then, inside)
            _labels(node.orelse, inside)
        elif isinstance(node, (ir.For, ir.While)):
            _labels(node.body, inside)
