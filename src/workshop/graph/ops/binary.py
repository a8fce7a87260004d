"""Elementwise ops of two tensors, which are broadcast and brought to one dtype first."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from workshop.dtype import DType
from workshop.graph.dim import StaticDim
from workshop.graph.op import Op, Refusal, emit, public
from workshop.graph.ops.elementwise import BOOL, FLOAT, NUMBER, Takes, checked
from workshop.graph.ops.operands import cast_value, pair, same_device, tensor
from workshop.graph.shape import Shape
from workshop.graph.type import TensorType
from workshop.graph.value import TensorValue, TensorValueLike

Array = npt.NDArray[Any]

ANY = Takes("any", lambda dtype: True, "")


def broadcast(*shapes: Shape) -> Shape:
    """Return the shape that all broadcast to, as numpy does; raises Refusal where there is none."""
    first = shapes[0]
    if all(shape is first or shape == first for shape in shapes[1:]):
        return first
    result: Shape = Shape()
    for place in range(max(len(shape) for shape in shapes)):
        dims = [shape[-1 - place] for shape in shapes if place < len(shape)]
        wide = [dim for dim in dims if dim != 1]
        if any(dim != wide[0] for dim in wide):
            raise Refusal(_no_broadcast(shapes, wide, place))
        result.insert(0, wide[0] if wide else StaticDim(1))
    return result


def _no_broadcast(shapes: tuple[Shape, ...], dims: list[Any], place: int) -> str:
    text = " and ".join(str(shape) for shape in shapes)
    names = sorted({str(dim) for dim in dims})
    cure = (
        f"If they are equal when the model runs, say so: x.rebind({shapes[0]})"
        if any(not isinstance(dim, StaticDim) for dim in dims)
        else "One of them must be 1, or they must be equal; see reshape, unsqueeze and broadcast_to"
    )
    return f"shapes {text} do not broadcast: axis {-1 - place} is {' and '.join(names)}. {cure}"


def _power(x: Array, y: Array) -> Array:
    if x.dtype.kind not in "iu":
        return np.power(x, y)
    made = np.power(x, np.maximum(y, y.dtype.type(0)))
    inverse = np.where(x == 1, 1, np.where(x == -1, 1 - 2 * (y % 2), 0))
    return np.asarray(np.where(y < 0, inverse, made), x.dtype)


def _binary_op(name: str, takes: Takes, meaning: Callable[..., Array], result: DType | None = None) -> Op:
    def rule(lhs: TensorType, rhs: TensorType) -> TensorType:
        checked(takes, lhs)
        shape = broadcast(lhs.shape, rhs.shape)
        if result is None and shape is lhs.shape:
            return lhs
        return TensorType(result or lhs.dtype, shape, lhs.device)

    return Op(name, rule, meaning)


_TABLE: dict[str, Op] = {
    op.name: op
    for op in (
        _binary_op("add", NUMBER, np.add),
        _binary_op("sub", NUMBER, np.subtract),
        _binary_op("mul", NUMBER, np.multiply),
        _binary_op("div", FLOAT, np.true_divide),
        _binary_op("floor_div", NUMBER, np.floor_divide),
        _binary_op("mod", NUMBER, np.remainder),
        _binary_op("pow", NUMBER, _power),
        _binary_op("equal", ANY, np.equal, DType.bool),
        _binary_op("not_equal", ANY, np.not_equal, DType.bool),
        _binary_op("less", ANY, np.less, DType.bool),
        _binary_op("less_equal", ANY, np.less_equal, DType.bool),
        _binary_op("greater", ANY, np.greater, DType.bool),
        _binary_op("greater_equal", ANY, np.greater_equal, DType.bool),
        _binary_op("logical_and", BOOL, np.logical_and),
        _binary_op("logical_or", BOOL, np.logical_or),
        _binary_op("logical_xor", BOOL, np.logical_xor),
        _binary_op("maximum", ANY, np.maximum),
        _binary_op("minimum", ANY, np.minimum),
    )
}

WHERE = Op(
    "where",
    lambda c, x, y: TensorType(x.dtype, broadcast(c.shape, x.shape, y.shape), x.device),
    lambda c, x, y: np.where(c, x, y),
)


def _binary(name: str, lhs: TensorValueLike, rhs: TensorValueLike) -> TensorValue:
    left, right = pair(lhs, rhs)
    made: TensorValue = emit(_TABLE[name], left, right)
    return made


def maximum(lhs: TensorValueLike, rhs: TensorValueLike) -> TensorValue:
    """Return the greater of two elements, NaN where one is NaN; `ops.max(x, y)` calls it."""
    return _binary("maximum", lhs, rhs)


def minimum(lhs: TensorValueLike, rhs: TensorValueLike) -> TensorValue:
    """Return the lesser of two elements, NaN where one is NaN; `ops.min(x, y)` calls it."""
    return _binary("minimum", lhs, rhs)


@public
def where(condition: TensorValueLike, x: TensorValueLike, y: TensorValueLike) -> TensorValue:
    """Take elements of `x` where the condition is True, of `y` elsewhere; all three broadcast."""
    chosen = tensor(condition)
    if chosen.dtype is not DType.bool:
        raise Refusal(
            f"the condition needs bool dtype, got {chosen.dtype.value}; compare first, as in x != 0"
        )
    left, right = pair(x, y)
    same_device(chosen, left)
    made: TensorValue = emit(WHERE, chosen, left, right)
    return made


@public
def add(lhs: TensorValueLike, rhs: TensorValueLike) -> TensorValue:
    """Add element by element."""
    return _binary("add", lhs, rhs)


@public
def sub(lhs: TensorValueLike, rhs: TensorValueLike) -> TensorValue:
    """Subtract element by element."""
    return _binary("sub", lhs, rhs)


@public
def mul(lhs: TensorValueLike, rhs: TensorValueLike) -> TensorValue:
    """Multiply element by element."""
    return _binary("mul", lhs, rhs)


@public
def div(lhs: TensorValueLike, rhs: TensorValueLike) -> TensorValue:
    """Divide element by element; integers are divided as float64."""
    left, right = pair(lhs, rhs)
    if not left.dtype.is_float():
        left, right = cast_value(left, DType.float64), cast_value(right, DType.float64)
    made: TensorValue = emit(_TABLE["div"], left, right)
    return made


@public
def floor_div(lhs: TensorValueLike, rhs: TensorValueLike) -> TensorValue:
    """Divide and round down, as Python's `//`; an integer divided by 0 gives 0."""
    return _binary("floor_div", lhs, rhs)


@public
def mod(lhs: TensorValueLike, rhs: TensorValueLike) -> TensorValue:
    """Return the rest of `floor_div`, which has the divisor's sign."""
    return _binary("mod", lhs, rhs)


@public
def pow(lhs: TensorValueLike, rhs: TensorValueLike) -> TensorValue:
    """Raise to a power; an integer to a negative power gives its inverse, rounded to 0."""
    return _binary("pow", lhs, rhs)


@public
def equal(lhs: TensorValueLike, rhs: TensorValueLike) -> TensorValue:
    """Tell where two tensors are equal."""
    return _binary("equal", lhs, rhs)


@public
def not_equal(lhs: TensorValueLike, rhs: TensorValueLike) -> TensorValue:
    """Tell where two tensors differ."""
    return _binary("not_equal", lhs, rhs)


@public
def less(lhs: TensorValueLike, rhs: TensorValueLike) -> TensorValue:
    """Tell where the first is less than the second."""
    return _binary("less", lhs, rhs)


@public
def less_equal(lhs: TensorValueLike, rhs: TensorValueLike) -> TensorValue:
    """Tell where the first is less than or equal to the second."""
    return _binary("less_equal", lhs, rhs)


@public
def greater(lhs: TensorValueLike, rhs: TensorValueLike) -> TensorValue:
    """Tell where the first is greater than the second."""
    return _binary("greater", lhs, rhs)


@public
def greater_equal(lhs: TensorValueLike, rhs: TensorValueLike) -> TensorValue:
    """Tell where the first is greater than or equal to the second."""
    return _binary("greater_equal", lhs, rhs)


@public
def logical_and(lhs: TensorValueLike, rhs: TensorValueLike) -> TensorValue:
    """Tell where both are True."""
    return _binary("logical_and", lhs, rhs)


@public
def logical_or(lhs: TensorValueLike, rhs: TensorValueLike) -> TensorValue:
    """Tell where at least one is True."""
    return _binary("logical_or", lhs, rhs)


@public
def logical_xor(lhs: TensorValueLike, rhs: TensorValueLike) -> TensorValue:
    """Tell where exactly one is True."""
    return _binary("logical_xor", lhs, rhs)
