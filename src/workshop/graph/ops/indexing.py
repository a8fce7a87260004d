"""Ops that read or write at places given by an integer tensor.

A negative place counts from the end, as in Python; one outside is refused when the model runs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from workshop.dtype import DType
from workshop.graph.dim import Dim, DimLike, StaticDim
from workshop.graph.op import Op, Refusal, emit, public
from workshop.graph.ops.operands import axis_index, same_device, tensor
from workshop.graph.shape import Shape
from workshop.graph.type import TensorType
from workshop.graph.value import TensorValue, TensorValueLike

Array = npt.NDArray[Any]


def _places(indices: TensorType) -> None:
    if not indices.dtype.is_integral():
        raise Refusal(
            f"indices need an integer dtype, got {indices.dtype.value}; write indices.cast(DType.int64)"
        )


def _inside(indices: Array, extent: int, axis: int) -> Array:
    wrong = (indices < -extent) | (indices >= extent)
    if wrong.any():
        raise Refusal(f"index {indices[wrong].flat[0]} is out of bounds for axis {axis} of extent {extent}")
    return indices


# --- gather


def _gather_rule(x: TensorType, indices: TensorType, *, axis: int) -> TensorType:
    _places(indices)
    return x.with_shape(Shape([*x.shape[:axis], *indices.shape, *x.shape[axis + 1 :]]))


GATHER = Op(
    "gather",
    _gather_rule,
    lambda x, indices, *, axis: np.take(x, _inside(indices, x.shape[axis], axis), axis),
)


@public
def gather(input: TensorValueLike, indices: TensorValueLike, axis: int) -> TensorValue:
    """Take whole slices along an axis; the shape of `indices` stands in the axis's place.

    Shapes: input [A, axis, B], indices [I] -> [A, I, B]; an embedding is `gather(table, tokens, axis=0)`.
    """
    value, places = tensor(input), tensor(indices)
    same_device(value, places)
    made: TensorValue = emit(GATHER, value, places, axis=axis_index(axis, value.rank))
    return made


def _gather_nd_rule(x: TensorType, indices: TensorType, *, batch_dims: int) -> TensorType:
    _places(indices)
    depth = _depth(x, indices, batch_dims)
    if x.shape[:batch_dims] != indices.shape[:batch_dims]:
        raise Refusal(f"the first {batch_dims} dimensions of {x.shape} and {indices.shape} must be the same")
    return x.with_shape(Shape([*indices.shape[:-1], *x.shape[batch_dims + depth :]]))


def _depth(x: TensorType, indices: TensorType, batch_dims: int) -> int:
    if not 0 <= batch_dims < min(x.rank, indices.rank):
        raise Refusal(f"batch_dims {batch_dims} is out of range for {x.shape} and {indices.shape}")
    last = indices.shape[-1]
    if not isinstance(last, StaticDim):
        raise Refusal(
            f"the last dimension of indices says how many axes they name, so it is a number, not '{last}'"
        )
    if last.dim > x.rank - batch_dims:
        raise Refusal(
            f"indices name {last} axes, {x.shape} has {x.rank - batch_dims} after {batch_dims} batch axes"
        )
    return last.dim


def _nd_index(x: Array, indices: Array, batch_dims: int = 0) -> tuple[Array, ...]:
    batch = np.meshgrid(*[np.arange(n) for n in indices.shape[:batch_dims]], indexing="ij", sparse=True)
    extra = indices.ndim - 1 - batch_dims
    grids = [grid.reshape(grid.shape + (1,) * extra) for grid in batch]
    parts = [
        _inside(indices[..., i], x.shape[batch_dims + i], batch_dims + i) for i in range(indices.shape[-1])
    ]
    return (*grids, *parts)


GATHER_ND = Op(
    "gather_nd",
    _gather_nd_rule,
    lambda x, indices, *, batch_dims: x[_nd_index(x, indices, batch_dims)],
)


@public
def gather_nd(input: TensorValueLike, indices: TensorValueLike, batch_dims: int = 0) -> TensorValue:
    """Take elements or slices at places whose coordinates lie along the last dimension of `indices`.

    Shapes: input [B, D1..Dk, E], indices [B, I, k] -> [B, I, E], B being the first `batch_dims` dimensions.
    """
    value, places = tensor(input), tensor(indices)
    same_device(value, places)
    made: TensorValue = emit(GATHER_ND, value, places, batch_dims=batch_dims)
    return made


# --- scatter


def _check_updates(x: TensorType, updates: TensorType) -> None:
    if updates.dtype is not x.dtype:
        raise Refusal(f"updates are {updates.dtype.value}, the input is {x.dtype.value}; cast the updates")


def _scatter_rule(x: TensorType, updates: TensorType, indices: TensorType, *, axis: int) -> TensorType:
    _places(indices)
    _check_updates(x, updates)
    if updates.shape != indices.shape:
        raise Refusal(f"updates {updates.shape} and indices {indices.shape} must have the same shape")
    if updates.rank != x.rank:
        raise Refusal(f"updates {updates.shape} and input {x.shape} must have the same rank")
    for place, (small, large) in enumerate(zip(updates.shape, x.shape, strict=True)):
        both = isinstance(small, StaticDim) and isinstance(large, StaticDim)
        if place != axis and (small.dim > large.dim if both else small != large):  # type: ignore[attr-defined]
            raise Refusal(f"updates {updates.shape} do not fit into {x.shape} at axis {place}")
    return x


def _scatter_meaning(combine: Callable[..., Any] | None) -> Callable[..., Array]:
    def call(x: Array, updates: Array, indices: Array, *, axis: int) -> Array:
        made = x.copy()
        index = list(np.meshgrid(*[np.arange(n) for n in indices.shape], indexing="ij", sparse=True))
        index[axis] = _inside(indices, x.shape[axis], axis)
        _put(made, tuple(index), updates, combine)
        return made

    return call


def _put(made: Array, index: tuple[Array, ...], updates: Array, combine: Callable[..., Any] | None) -> None:
    if combine is None:
        made[index] = updates
    else:
        combine.at(made, index, updates)  # type: ignore[attr-defined]


def _scatter_nd_rule(x: TensorType, updates: TensorType, indices: TensorType) -> TensorType:
    _places(indices)
    _check_updates(x, updates)
    depth = _depth(x, indices, 0)
    wanted = Shape([*indices.shape[:-1], *x.shape[depth:]])
    if updates.shape != wanted:
        raise Refusal(f"updates are {updates.shape}, indices {indices.shape} into {x.shape} need {wanted}")
    return x


def _scatter_nd_meaning(combine: Callable[..., Any] | None) -> Callable[..., Array]:
    def call(x: Array, updates: Array, indices: Array) -> Array:
        made = x.copy()
        _put(made, _nd_index(x, indices), updates, combine)
        return made

    return call


_COMBINE = {"": None, "_add": np.add, "_max": np.maximum, "_min": np.minimum, "_mul": np.multiply}
_SCATTER = {end: Op(f"scatter{end}", _scatter_rule, _scatter_meaning(f)) for end, f in _COMBINE.items()}
_SCATTER_ND = {
    end: Op(f"scatter_nd{end}", _scatter_nd_rule, _scatter_nd_meaning(f)) for end, f in _COMBINE.items()
}


def _scatter(end: str, x: Any, updates: Any, indices: Any, axis: int) -> TensorValue:
    value = tensor(x)
    changed, places = tensor(updates, value.type), tensor(indices)
    same_device(value, changed, places)
    made: TensorValue = emit(_SCATTER[end], value, changed, places, axis=axis_index(axis, value.rank))
    return made


def _scatter_nd(end: str, x: Any, updates: Any, indices: Any) -> TensorValue:
    value = tensor(x)
    changed, places = tensor(updates, value.type), tensor(indices)
    same_device(value, changed, places)
    made: TensorValue = emit(_SCATTER_ND[end], value, changed, places)
    return made


@public
def scatter(
    input: TensorValueLike, updates: TensorValueLike, indices: TensorValueLike, axis: int = -1
) -> TensorValue:
    """Copy the input and write `updates[i, j]` to `[indices[i, j], j]` (for axis 0).

    Of equal places the last wins.
    """
    return _scatter("", input, updates, indices, axis)


@public
def scatter_add(
    input: TensorValueLike, updates: TensorValueLike, indices: TensorValueLike, axis: int = -1
) -> TensorValue:
    """Copy the input and add `updates` at places along an axis; equal places add up."""
    return _scatter("_add", input, updates, indices, axis)


@public
def scatter_max(
    input: TensorValueLike, updates: TensorValueLike, indices: TensorValueLike, axis: int = -1
) -> TensorValue:
    """Copy the input and keep the greater of it and `updates` at places along an axis."""
    return _scatter("_max", input, updates, indices, axis)


@public
def scatter_min(
    input: TensorValueLike, updates: TensorValueLike, indices: TensorValueLike, axis: int = -1
) -> TensorValue:
    """Copy the input and keep the lesser of it and `updates` at places along an axis."""
    return _scatter("_min", input, updates, indices, axis)


@public
def scatter_mul(
    input: TensorValueLike, updates: TensorValueLike, indices: TensorValueLike, axis: int = -1
) -> TensorValue:
    """Copy the input and multiply it by `updates` at places along an axis."""
    return _scatter("_mul", input, updates, indices, axis)


@public
def scatter_nd(input: TensorValueLike, updates: TensorValueLike, indices: TensorValueLike) -> TensorValue:
    """Copy the input and write `updates` at places.

    The coordinates of a place lie along the last dimension of `indices`.
    """
    return _scatter_nd("", input, updates, indices)


@public
def scatter_nd_add(input: TensorValueLike, updates: TensorValueLike, indices: TensorValueLike) -> TensorValue:
    """Copy the input and add `updates` at places given as in `scatter_nd`."""
    return _scatter_nd("_add", input, updates, indices)


@public
def scatter_nd_max(input: TensorValueLike, updates: TensorValueLike, indices: TensorValueLike) -> TensorValue:
    """Copy the input and keep the greater of it and `updates` at places given as in `scatter_nd`."""
    return _scatter_nd("_max", input, updates, indices)


@public
def scatter_nd_min(input: TensorValueLike, updates: TensorValueLike, indices: TensorValueLike) -> TensorValue:
    """Copy the input and keep the lesser of it and `updates` at places given as in `scatter_nd`."""
    return _scatter_nd("_min", input, updates, indices)


@public
def scatter_nd_mul(input: TensorValueLike, updates: TensorValueLike, indices: TensorValueLike) -> TensorValue:
    """Copy the input and multiply it by `updates` at places given as in `scatter_nd`."""
    return _scatter_nd("_mul", input, updates, indices)


# --- masks


def _nonzero_rule(x: TensorType, *, out_dim: Dim) -> TensorType:
    if x.rank == 0:
        raise Refusal("needs a tensor with dimensions, got a scalar")
    return TensorType(DType.int64, [out_dim, x.rank], x.device)


NONZERO = Op("nonzero", _nonzero_rule, lambda x, *, out_dim: np.argwhere(x).astype(np.int64))


@public
def nonzero(x: TensorValueLike, out_dim: DimLike) -> TensorValue:
    """Return the coordinates of the elements other than 0 as [out_dim, rank]; the run says how many."""
    made: TensorValue = emit(NONZERO, tensor(x), out_dim=Dim(out_dim))
    return made
