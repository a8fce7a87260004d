"""Structs (frozen dataclasses with methods) and tuples: values of several numbers."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import sys
from types import FunctionType, MethodType
from typing import Any

from workshop.dtype import DType
from workshop.gpu.frontend.dispatch import as_dtype, inlined
from workshop.gpu.frontend.scope import MISSING, Scope
from workshop.gpu.frontend.values import Struct, Value, is_runtime

OPERATORS: dict[type, str] = {
    ast.Add: "add", ast.Sub: "sub", ast.Mult: "mul", ast.Div: "truediv", ast.FloorDiv: "floordiv",
    ast.Mod: "mod", ast.Pow: "pow", ast.BitAnd: "and", ast.BitOr: "or", ast.BitXor: "xor",
    ast.LShift: "lshift", ast.RShift: "rshift", ast.MatMult: "matmul",
}  # fmt: skip


def is_struct_type(function: Any) -> bool:
    """True for a frozen dataclass, which a kernel can make values of."""
    return isinstance(function, type) and dataclasses.is_dataclass(function)


def construct(
    scope: Scope, node: ast.AST, kind: Any, arguments: list[Value], keywords: dict[str, Value]
) -> Value:
    """Make a struct value: fields annotated with a dtype are cast to it."""
    if not kind.__dataclass_params__.frozen:
        scope.type(node, f"{kind.__name__} must be frozen to be used in a kernel: @dataclass(frozen=True)")
    if hasattr(kind, "__post_init__"):
        scope.type(
            node, f"{kind.__name__}.__post_init__ is not in the kernel language; compute in a function"
        )
    try:
        bound = inspect.signature(kind).bind(*arguments, **keywords)
    except TypeError as problem:
        scope.type(node, f"{kind.__name__}(): {problem}")
    bound.apply_defaults()
    fields = {}
    for field in dataclasses.fields(kind):
        value = bound.arguments[field.name]
        dtype = _dtype_of(kind, field.type)
        fields[field.name] = value if dtype is None else as_dtype(scope, node, value, dtype)
    return Struct(kind, tuple(fields.items()))


def lifted(scope: Scope, node: ast.AST, value: Value) -> Value:
    """Turn a dataclass instance of the user's, known while compiling, into a struct value."""
    kind = type(value)
    if not dataclasses.is_dataclass(kind) or kind.__module__.startswith("workshop."):
        return value
    fields = {f.name: lifted(scope, node, getattr(value, f.name)) for f in dataclasses.fields(kind)}
    return construct(scope, node, kind, [], fields)


def _dtype_of(kind: type, annotation: Any) -> DType | None:
    """The dtype an annotation names, also as text (`from __future__ import annotations`)."""
    if isinstance(annotation, str):
        value: Any = vars(sys.modules[kind.__module__])
        for part in annotation.split("."):
            value = value.get(part) if isinstance(value, dict) else getattr(value, part, None)
        annotation = value
    return annotation if isinstance(annotation, DType) else None


def attribute(scope: Scope, node: ast.Attribute, owner: Struct) -> Value:
    """Read a field, name a method, or run a property."""
    fields = dict(owner.fields)
    if node.attr in fields:
        return fields[node.attr]
    found = inspect.getattr_static(owner.kind, node.attr, MISSING)
    if isinstance(found, property):
        assert isinstance(found.fget, FunctionType)
        return inlined(scope, node, found.fget, [owner])
    if isinstance(found, staticmethod):
        return found.__func__
    if isinstance(found, FunctionType):
        return MethodType(found, owner)
    if found is not MISSING:
        return found
    scope.type(node, f"{owner.kind.__name__} has no field or method {node.attr}; it has {', '.join(fields)}")


def operator(scope: Scope, node: ast.expr, kind: type, left: Value, right: Value) -> Value:
    """Apply a binary operator that a struct defines as a method."""
    name = OPERATORS.get(kind, "")
    for owner, other, method in ((left, right, f"__{name}__"), (right, left, f"__r{name}__")):
        found = getattr(owner.kind, method, None) if isinstance(owner, Struct) else None
        if isinstance(found, FunctionType):
            return inlined(scope, node, found, [owner, other])
    owner = left if isinstance(left, Struct) else right
    scope.type(node, f"{owner.kind.__name__} defines no __{name}__, so this operator has no meaning for it")


def is_aggregate(value: Value) -> bool:
    """True for a tuple or struct that holds a run-time number somewhere."""
    if isinstance(value, tuple):
        return any(is_runtime(v) or is_aggregate(v) for v in value)
    return isinstance(value, Struct)
