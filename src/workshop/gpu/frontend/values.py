"""What an expression of a kernel is worth while compiling, and how dtypes meet.

A value is one of
- an `ir.Expr`: known at run time, with a strong dtype;
- a `Weak`: an expression whose variable has only had literals assigned so far (during inference only);
- any Python object: known while compiling. Numbers among these are weak literals.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import numpy as np

from workshop.dtype import DType
from workshop.errors import Loc
from workshop.gpu import ir

Value = Any
WEAK_DTYPE = {bool: DType.bool, int: DType.int64, float: DType.float32}


@dataclass(frozen=True, slots=True)
class Weak:
    """A run-time expression that still behaves like a literal of `kind`."""

    expr: ir.Expr
    kind: type


@dataclass(frozen=True, slots=True)
class Struct:
    """A value of a frozen dataclass: its class and the value of each field."""

    kind: type
    fields: tuple[tuple[str, Value], ...]


class TypeProblem(Exception):
    """Two dtypes that do not meet; the caller knows the place."""


def from_outside(value: Value, loc: Loc) -> Value:
    """Turn a numpy scalar into a constant of its dtype; other values pass."""
    if not isinstance(value, np.generic):
        return value
    try:
        dtype = DType.from_numpy(value.dtype)
    except TypeError:
        return value
    number = float(value) if dtype.is_float() else value.item()
    return ir.Constant(dtype, loc, number)


def is_number(value: Value) -> bool:
    """True for a compile-time bool, int or float."""
    return isinstance(value, (bool, int, float))


def is_runtime(value: Value) -> bool:
    """True for a value known only at run time."""
    return isinstance(value, (ir.Expr, Weak))


def weak_kind(value: Value) -> type | None:
    """The literal kind (bool, int, float) of a weak value, None for a strong one."""
    if isinstance(value, Weak):
        return value.kind
    return type(value) if is_number(value) else None


def meet(left: DType, right: DType) -> DType:
    """Return the dtype two strong operands agree on; raise TypeProblem where they must not."""
    if left is right:
        return left
    if left is DType.bool or right is DType.bool:
        return meet(*(DType.int32 if d is DType.bool else d for d in (left, right)))
    if left.is_float() != right.is_float():
        return left if left.is_float() else right
    if left.is_float():
        if left.bits == right.bits:
            raise TypeProblem(f"{left} and {right} hold different numbers in 16 bits; cast one of them")
        return max(left, right, key=lambda d: d.bits)
    signed, unsigned = (left, right) if left.is_signed_integral() else (right, left)
    if left.is_signed_integral() != right.is_signed_integral() and unsigned.bits >= signed.bits:
        raise TypeProblem(
            f"{signed} with {unsigned}: one is signed, the other is not; cast one, e.g. Int64(x)"
        )
    return max(left, right, key=lambda d: d.bits)


def meet_weak(kind: type, dtype: DType) -> DType:
    """Return the dtype a literal of this kind and a strong operand agree on: the operand's, if it can."""
    if kind is bool or dtype.is_float():
        return dtype
    if kind is int:
        return DType.int32 if dtype is DType.bool else dtype
    return DType.float32


def wider_kind(left: type, right: type) -> type:
    """Return the later of two literal kinds in the order bool, int, float."""
    return max(left, right, key=[bool, int, float].index)


def common(*operands: Value) -> DType:
    """Return the dtype several numbers compute in; literals follow the strong operands."""
    kinds = [kind for v in operands if (kind := weak_kind(v)) is not None]
    strong_dtypes = [v.dtype for v in operands if weak_kind(v) is None]
    if not strong_dtypes:
        return WEAK_DTYPE[functools.reduce(wider_kind, kinds)]
    dtype: DType = functools.reduce(meet, strong_dtypes)
    return functools.reduce(lambda met, kind: meet_weak(kind, met), kinds, dtype)


def constant(number: Any, dtype: DType, loc: Loc) -> ir.Constant:
    """Make a constant of this dtype; raise TypeProblem where an integer literal does not fit."""
    if dtype.is_integral() and isinstance(number, (bool, int)):
        info = np.iinfo(dtype.to_numpy())
        if not info.min <= number <= info.max:
            raise TypeProblem(f"the literal {number} does not fit {dtype} ({info.min} to {info.max})")
        return ir.Constant(dtype, loc, int(number))
    if dtype is DType.bool:
        return ir.Constant(dtype, loc, bool(number))
    if dtype.is_float():
        with np.errstate(over="ignore"):
            return ir.Constant(dtype, loc, float(dtype.to_numpy().type(number)))
    return ir.Constant(dtype, loc, saturate(float(number), dtype))


def extreme(op: str, left: Any, right: Any) -> Any:
    """Return the smaller (op "min") or larger number; the other one where one is NaN."""
    if left != left or right != right:
        return right if left != left else left
    return min(left, right) if op == "min" else max(left, right)


def saturate(number: float, dtype: DType) -> int:
    """Convert a float to an integer as a kernel does: truncate, saturate, NaN gives 0."""
    if number != number:
        return 0
    info = np.iinfo(dtype.to_numpy())
    if number in (float("inf"), float("-inf")):
        return int(info.max if number > 0 else info.min)
    return int(min(max(int(number), info.min), info.max))


def cast(value: Value, dtype: DType, loc: Loc) -> ir.Expr:
    """Turn a number or expression into an expression of this dtype."""
    if is_number(value):
        return constant(value, dtype, loc)
    expr: ir.Expr = value.expr if isinstance(value, Weak) else value
    if expr.dtype is dtype:
        return expr
    if isinstance(expr, ir.Constant) and not isinstance(value, Weak):
        if dtype.is_integral() and not isinstance(expr.value, float):
            wrapped = int(expr.value) & ((1 << dtype.bits) - 1)
            negative = dtype.is_signed_integral() and wrapped >> (dtype.bits - 1)
            return ir.Constant(dtype, loc, wrapped - (1 << dtype.bits) if negative else wrapped)
        return constant(expr.value, dtype, loc)
    return ir.Cast(dtype, loc, expr)


def strong(value: Value, loc: Loc) -> ir.Expr:
    """Turn a number or expression into an expression, literals with their default dtype."""
    kind = weak_kind(value)
    if isinstance(value, ir.Expr):
        return value
    assert kind is not None
    return cast(value, WEAK_DTYPE[kind], loc)


def keep_weak(result: ir.Expr, *operands: Value) -> Value:
    """Mark a result weak when every operand was (so that inference is not misled by a provisional dtype)."""
    if any(isinstance(v, Weak) for v in operands) and all(weak_kind(v) is not None for v in operands):
        kind = float if result.dtype.is_float() else bool if result.dtype is DType.bool else int
        return Weak(result, kind)
    return result


@dataclass(slots=True)
class Local:
    """What inference knows of one variable: the strong dtype and the weak kind assigned, and where."""

    strong: DType | None = None
    strong_loc: Loc | None = None
    kind: type | None = None

    @property
    def dtype(self) -> DType:
        """The dtype as known so far."""
        if self.strong is None:
            return WEAK_DTYPE[self.kind or int]
        return self.strong if self.kind is None else meet_weak(self.kind, self.strong)

    def assign(self, value: Value, loc: Loc) -> bool:
        """Take note of one more assigned value; say whether that changed anything.

        Raises TypeProblem where a strong integer and a strong float meet.
        """
        before = (self.strong, self.kind)
        kind = weak_kind(value)
        if kind is not None:
            self.kind = kind if self.kind is None else wider_kind(kind, self.kind)
        elif self.strong is None:
            self.strong, self.strong_loc = value.dtype, loc
        else:
            new = value.dtype
            if DType.bool not in (new, self.strong) and new.is_float() != self.strong.is_float():
                raise TypeProblem(
                    f"one path gives {self.strong} ({self.strong_loc.where if self.strong_loc else ''}), "
                    f"another gives {new}; cast one so that both agree"
                )
            self.strong = meet(self.strong, new)
        return before != (self.strong, self.kind)
