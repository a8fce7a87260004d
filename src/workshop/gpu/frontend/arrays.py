"""Lowers attributes and indexing: coordinates, the properties of arrays, element loads."""

from __future__ import annotations

import ast
import enum
from types import ModuleType
from typing import Any

import numpy as np

from workshop.dtype import DType
from workshop.gpu import intrinsics, ir
from workshop.gpu.frontend import structs
from workshop.gpu.frontend.dispatch import Method, describe, index, lowers, operands, value
from workshop.gpu.frontend.expressions import arithmetic
from workshop.gpu.frontend.scope import MISSING, Scope
from workshop.gpu.frontend.values import Struct, Value, from_outside, is_runtime


@lowers(ast.Attribute)
def _attribute(scope: Scope, node: ast.Attribute) -> Value:
    owner = value(scope, node.value)
    loc = scope.loc(node)
    if isinstance(owner, intrinsics.Index3):
        return _coordinate(scope, node, owner)
    if isinstance(owner, ir.Memory):
        return _memory_attribute(scope, node, owner)
    if isinstance(owner, Struct):
        return structs.attribute(scope, node, owner)
    if is_runtime(owner):
        scope.type(node, f"a number has no attribute .{node.attr}")
    if isinstance(owner, (ModuleType, DType, type)) or not callable(owner):
        found = getattr(owner, node.attr, MISSING)
        if found is not MISSING:
            if not _frozen(owner):
                scope.depend_on_attribute(owner, node.attr, found)
            return from_outside(found, loc)
    scope.type(node, f"{describe(owner)} has no attribute .{node.attr} ({loc.source.strip()})")


def _frozen(owner: Any) -> bool:
    """True for what cannot change between two launches."""
    parameters = getattr(type(owner), "__dataclass_params__", None)
    return isinstance(owner, enum.Enum) or bool(parameters and parameters.frozen)


def _coordinate(scope: Scope, node: ast.Attribute, owner: intrinsics.Index3) -> Value:
    if node.attr not in ("x", "y", "z"):
        scope.type(node, f"{owner} has the coordinates .x, .y and .z, not .{node.attr}")
    axis: Any = node.attr
    loc = scope.loc(node)
    extent = scope.unit.block["xyz".index(axis)]
    if owner is intrinsics.block_dim:
        return ir.Constant(DType.int64, loc, extent)
    if owner is not intrinsics.global_idx:
        kind: Any = repr(owner)
        return ir.Id(DType.int64, loc, kind, axis)
    block, thread = (ir.Id(DType.int64, loc, kind, axis) for kind in ("block_idx", "thread_idx"))
    start = ir.Binary(DType.int64, loc, "mul", block, ir.Constant(DType.int64, loc, extent))
    return ir.Binary(DType.int64, loc, "add", start, thread)


def extent(memory: ir.Memory, axis: int, loc: Any) -> Value:
    """The extent of one axis: a compile-time int where it is known."""
    known = memory.shape[axis]
    return known if known is not None else ir.Extent(DType.int64, loc, memory, axis)


METHODS = ("dim", "dim_size", "load", "store")
MEMORY_ATTRIBUTES = ("dtype", "shape", "rank", "size", *METHODS)


def _memory_attribute(scope: Scope, node: ast.Attribute, memory: ir.Memory) -> Value:
    loc = scope.loc(node)
    if node.attr == "dtype":
        return memory.dtype
    if node.attr == "rank":
        return memory.rank
    if node.attr == "shape":
        return tuple(extent(memory, axis, loc) for axis in range(memory.rank))
    if node.attr == "size":
        total: Value = 1
        for axis in range(memory.rank):
            total = (
                arithmetic(scope, node, ast.Mult, extent(memory, axis, loc), total)
                if axis
                else extent(memory, 0, loc)
            )
        return total
    if node.attr in METHODS:
        return Method(memory, node.attr)
    scope.type(
        node,
        f"the array {memory.name} has no attribute .{node.attr} in a kernel; it has "
        + ", ".join(f".{name}" for name in MEMORY_ATTRIBUTES),
    )


def indices(scope: Scope, node: ast.Subscript, memory: ir.Memory) -> tuple[ir.Expr, ...]:
    """Lower the indices of an access; exactly rank of them."""
    parts = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
    for part in parts:
        if isinstance(part, ast.Slice):
            scope.syntax(part, "slices are not in the kernel language; a thread reads one element at a time")
    return coordinates(scope, node, memory, operands(scope, parts))


def coordinates(
    scope: Scope, node: ast.Subscript | ast.Call, memory: ir.Memory, parts: list[Value]
) -> tuple[ir.Expr, ...]:
    """Turn index values, tuples among them, into exactly rank indices."""
    found: list[Value] = []
    for item in parts:
        found.extend(item if isinstance(item, tuple) else [item])
    if len(found) != memory.rank:
        shape = ", ".join("?" if e is None else str(e) for e in memory.shape)
        scope.type(
            node,
            f"{memory.name} has {memory.rank} dimension{'s' * (memory.rank != 1)} ({shape}) "
            f"but is given {len(found)} ind{'ex' if len(found) == 1 else 'ices'}",
        )
    at = node.slice if isinstance(node, ast.Subscript) else node
    return tuple(index(scope, at, item) for item in found)


def _from_outside(scope: Scope, node: ast.expr) -> bool:
    """True for a global, a closed-over name or an attribute: what may change before the next launch."""
    return isinstance(node, ast.Attribute) or (isinstance(node, ast.Name) and scope.webs.name(node) is None)


@lowers(ast.Subscript)
def _subscript(scope: Scope, node: ast.Subscript) -> Value:
    owner = value(scope, node.value)
    if isinstance(owner, ir.Memory):
        return ir.Load(owner.dtype, scope.loc(node), owner, indices(scope, node, owner))
    if is_runtime(owner):
        scope.type(node, "a number cannot be indexed")
    if isinstance(owner, (list, dict, set, np.ndarray)) and _from_outside(scope, node.value):
        scope.type(
            node,
            f"{ast.unparse(node.value)} is a {type(owner).__name__}, which a kernel cannot read: pass its "
            "elements in a device buffer, or make it a tuple to have them as constants",
        )
    position = value(scope, node.slice)
    if is_runtime(position):
        scope.type(node, f"{describe(owner)} exists while compiling only; its index must too")
    try:
        return owner[position]
    except (TypeError, LookupError) as problem:
        scope.type(node, f"cannot index {describe(owner)}: {problem}")
