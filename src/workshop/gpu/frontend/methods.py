"""Lowers the methods of arrays: extents by axis, and element access spelled as a call."""

from __future__ import annotations

import ast

from workshop.gpu import ir
from workshop.gpu.frontend.arrays import coordinates, extent
from workshop.gpu.frontend.dispatch import Method, as_dtype
from workshop.gpu.frontend.scope import Scope
from workshop.gpu.frontend.values import Value


def call_method(scope: Scope, node: ast.Call, method: Method, arguments: list[Value]) -> Value:
    """Lower `a.dim(axis)`, `a.dim_size(axis)`, `a.load(index)` or `a.store(index, value)`."""
    memory, loc = method.memory, scope.loc(node)
    if node.keywords:
        scope.type(node, f"{memory.name}.{method.name}() takes no argument named {node.keywords[0].arg}")
    if method.name == "load":
        return ir.Load(memory.dtype, loc, memory, coordinates(scope, node, memory, arguments))
    if method.name == "store":
        if len(arguments) < 2:
            scope.type(node, f"{memory.name}.store(index, value) takes an index and a value")
        *place, stored = arguments
        where = coordinates(scope, node, memory, place)
        scope.emit(ir.Store(loc, memory, where, as_dtype(scope, node, stored, memory.dtype)))
        return None
    return _extent(scope, node, method, arguments)


def _extent(scope: Scope, node: ast.Call, method: Method, arguments: list[Value]) -> Value:
    memory = method.memory
    if len(arguments) != 1 or not isinstance(arguments[0], int) or isinstance(arguments[0], bool):
        scope.type(node, f"{memory.name}.{method.name}(axis) takes one compile-time axis")
    axis = arguments[0]
    if not 0 <= axis < memory.rank:
        scope.type(node, f"axis {axis} is out of range: {memory.name} has {memory.rank} dimensions")
    return extent(memory, axis, scope.loc(node))
