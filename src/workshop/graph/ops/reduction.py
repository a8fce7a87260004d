"""Ops along one axis: reductions, which keep the axis with extent 1; scans and sorts, which keep it whole."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from workshop.dtype import DType
from workshop.graph.dim import StaticDim
from workshop.graph.op import Op, Refusal, emit, emit_all, public
from workshop.graph.ops.binary import maximum, minimum
from workshop.graph.ops.elementwise import FLOAT, NUMBER, Takes, checked
from workshop.graph.ops.operands import axis_index, tensor
from workshop.graph.shape import Shape
from workshop.graph.type import TensorType
from workshop.graph.value import TensorValue, TensorValueLike

Array = npt.NDArray[Any]


def accumulated(function: Callable[..., Any]) -> Callable[..., Array]:
    """Sum 16-bit floats in float32, and give the result the input's dtype."""

    def call(x: Array, **options: Any) -> Array:
        wide = x.astype(np.float32) if x.dtype.itemsize == 2 and x.dtype.kind not in "iu" else x
        return np.asarray(function(wide, **options)).astype(x.dtype, copy=False)

    return call


def _variance(x: Array, *, axis: int, keepdims: bool) -> Array:
    return np.asarray(np.var(x, axis=axis, keepdims=keepdims))


def _mean(x: Array, *, axis: int, keepdims: bool) -> Array:
    if x.dtype.kind in "iu":
        return np.sum(x, axis=axis, keepdims=keepdims, dtype=x.dtype) // max(x.shape[axis], 1)
    return np.asarray(np.mean(x, axis=axis, keepdims=keepdims))


def _sum(x: Array, **options: Any) -> Array:
    return np.asarray(np.sum(x, dtype=x.dtype, **options))


def _product(x: Array, **options: Any) -> Array:
    return np.asarray(np.prod(x, dtype=x.dtype, **options))


def _reduction_op(
    name: str,
    takes: Takes,
    function: Callable[..., Any],
    needs_elements: bool = False,
    result: DType | None = None,
) -> Op:
    def rule(x: TensorType, *, axis: int) -> TensorType:
        checked(takes, x)
        if needs_elements and x.shape[axis] == 0:
            raise Refusal(f"axis {axis} has no elements, and {name} of nothing has no value")
        shape = Shape(x.shape)
        shape[axis] = StaticDim(1)
        return TensorType(result or x.dtype, shape, x.device)

    def meaning(x: Array, *, axis: int) -> Array:
        made = function(x, axis=axis, keepdims=True)
        return made if result is None else np.asarray(made, result.to_numpy())

    return Op(name, rule, meaning)


_TABLE: dict[str, Op] = {
    op.name: op
    for op in (
        _reduction_op("sum", NUMBER, accumulated(_sum)),
        _reduction_op("prod", NUMBER, accumulated(_product)),
        _reduction_op("mean", NUMBER, accumulated(_mean)),
        _reduction_op("var", FLOAT, accumulated(_variance)),
        _reduction_op("max", NUMBER, np.max, needs_elements=True),
        _reduction_op("min", NUMBER, np.min, needs_elements=True),
        _reduction_op("argmax", NUMBER, np.argmax, needs_elements=True, result=DType.int64),
        _reduction_op("argmin", NUMBER, np.argmin, needs_elements=True, result=DType.int64),
    )
}


def _reduce(name: str, x: TensorValueLike, axis: int) -> TensorValue:
    value = tensor(x)
    made: TensorValue = emit(_TABLE[name], value, axis=axis_index(axis, value.rank))
    return made


@public
def sum(x: TensorValueLike, axis: int = -1) -> TensorValue:
    """Add up along an axis, which stays with extent 1."""
    return _reduce("sum", x, axis)


@public
def prod(x: TensorValueLike, axis: int = -1) -> TensorValue:
    """Multiply along an axis, which stays with extent 1."""
    return _reduce("prod", x, axis)


@public
def mean(x: TensorValueLike, axis: int = -1) -> TensorValue:
    """Average along an axis, which stays with extent 1; integers round down."""
    return _reduce("mean", x, axis)


@public
def var(x: TensorValueLike, axis: int = -1) -> TensorValue:
    """Return the mean square distance from the mean along an axis, which stays with extent 1."""
    return _reduce("var", x, axis)


@public
def argmax(x: TensorValueLike, axis: int = -1) -> TensorValue:
    """Return where the greatest element is along an axis, as int64; the first of equals."""
    return _reduce("argmax", x, axis)


@public
def argmin(x: TensorValueLike, axis: int = -1) -> TensorValue:
    """Return where the least element is along an axis, as int64; the first of equals."""
    return _reduce("argmin", x, axis)


@public
def max(x: TensorValueLike, y: TensorValueLike | None = None, /, axis: int | None = None) -> TensorValue:
    """Return the greatest element along an axis (the last by default), or the greater of `x` and `y`."""
    if y is None:
        return _reduce("max", x, -1 if axis is None else axis)
    if axis is not None:
        raise Refusal("takes a second tensor or an axis, not both")
    return maximum(x, y)


@public
def min(x: TensorValueLike, y: TensorValueLike | None = None, /, axis: int | None = None) -> TensorValue:
    """Return the least element along an axis (the last by default), or the lesser of `x` and `y`."""
    if y is None:
        return _reduce("min", x, -1 if axis is None else axis)
    if axis is not None:
        raise Refusal("takes a second tensor or an axis, not both")
    return minimum(x, y)


def _cumsum(x: Array, *, axis: int, exclusive: bool, reverse: bool) -> Array:
    wide = x.astype(np.float32) if x.dtype.itemsize == 2 and x.dtype.kind not in "iu" else x
    ordered = np.flip(wide, axis) if reverse else wide
    total = np.cumsum(ordered, axis=axis, dtype=wide.dtype)
    if exclusive:
        total = np.roll(total, 1, axis)
        total[(slice(None),) * axis + (slice(0, 1),)] = 0
    return np.asarray(np.flip(total, axis) if reverse else total, x.dtype)


CUMSUM = Op("cumsum", lambda x, **options: checked(NUMBER, x), _cumsum)


@public
def cumsum(x: TensorValueLike, axis: int = -1, exclusive: bool = False, reverse: bool = False) -> TensorValue:
    """Add up to each place along an axis.

    `exclusive` leaves the place itself out, `reverse` starts at the end.
    """
    value = tensor(x)
    axis = axis_index(axis, value.rank)
    made: TensorValue = emit(CUMSUM, value, axis=axis, exclusive=exclusive, reverse=reverse)
    return made


def _order(x: Array, axis: int, ascending: bool) -> Array:
    """Sort stably; NaN comes last either way."""
    if ascending:
        return np.argsort(x, axis=axis, kind="stable")
    behind = np.flip(np.argsort(np.flip(x, axis), axis=axis, kind="stable"), axis)
    order = x.shape[axis] - 1 - behind
    if x.dtype.kind in "iub":
        return np.asarray(order)
    last = np.isnan(np.take_along_axis(x, order, axis))
    return np.take_along_axis(order, np.argsort(last, axis=axis, kind="stable"), axis)


def _argsort_rule(x: TensorType, *, ascending: bool) -> TensorType:
    if x.rank != 1:
        raise Refusal(f"sorts a tensor of one dimension, got {x.shape}; use top_k or bottom_k along an axis")
    return x.cast(DType.int64)


ARGSORT = Op("argsort", _argsort_rule, lambda x, *, ascending: _order(x, 0, ascending))


@public
def argsort(x: TensorValueLike, ascending: bool = True) -> TensorValue:
    """Return the places that put a tensor of one dimension in order, as int64; equals keep their order."""
    made: TensorValue = emit(ARGSORT, tensor(x), ascending=ascending)
    return made


def _top_rule(x: TensorType, *, k: int, axis: int, largest: bool) -> tuple[TensorType, TensorType]:
    extent = x.shape[axis]
    if k < 0:
        raise Refusal(f"k must be non-negative, got {k}")
    if isinstance(extent, StaticDim) and k > extent.dim:
        raise Refusal(f"k = {k} is out of range: axis {axis} has {extent} elements")
    shape = Shape(x.shape)
    shape[axis] = StaticDim(k)
    return x.with_shape(shape), TensorType(DType.int64, shape, x.device)


def _top_meaning(x: Array, *, k: int, axis: int, largest: bool) -> tuple[Array, Array]:
    if k > x.shape[axis]:
        raise Refusal(f"k = {k} is out of range: axis {axis} has {x.shape[axis]} elements")
    places = np.take(_order(x, axis, not largest), np.arange(k), axis)
    return np.take_along_axis(x, places, axis), places


TOP = Op("top_k", _top_rule, _top_meaning)


@public
def top_k(input: TensorValueLike, k: int, axis: int = -1) -> tuple[TensorValue, TensorValue]:
    """Return the `k` greatest elements along an axis, greatest first, and their places as int64."""
    value = tensor(input)
    values, places = emit_all(TOP, value, k=k, axis=axis_index(axis, value.rank), largest=True)
    return values, places


@public
def bottom_k(input: TensorValueLike, k: int, axis: int = -1) -> tuple[TensorValue, TensorValue]:
    """Return the `k` least elements along an axis, least first, and their places as int64."""
    value = tensor(input)
    values, places = emit_all(TOP, value, k=k, axis=axis_index(axis, value.rank), largest=False)
    return values, places
