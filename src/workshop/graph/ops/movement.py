"""Ops that move elements without changing them: shapes, orders, pieces, copies."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from workshop.graph.dim import Dim, DimLike, StaticDim, exact_quotient
from workshop.graph.op import Op, Refusal, emit, public
from workshop.graph.ops.binary import broadcast
from workshop.graph.ops.operands import (
    axis_index,
    tensor,
    unique_axes,
)
from workshop.graph.shape import Shape
from workshop.graph.type import ShapeLike, TensorType
from workshop.graph.value import TensorValue, TensorValueLike

Array = npt.NDArray[Any]

# --- reshape and its kin


def _reshape_rule(x: TensorType, *, shape: Shape) -> TensorType:
    have, want = x.shape.num_elements, shape.num_elements
    if have != want:
        cure = (
            ""
            if Shape.is_static([have, want])
            else ". If they are equal when the model runs, use x.rebind(...)"
        )
        raise Refusal(f"{x.shape} has {have} elements, {shape} has {want}{cure}")
    return x.with_shape(shape)


RESHAPE = Op("reshape", _reshape_rule, lambda x, *, shape: x.reshape(shape))


def checked_shape(shape: ShapeLike) -> Shape:
    """Make a shape; raises Refusal for what is no dimension or is negative."""
    try:
        made = Shape(shape)
    except (TypeError, ValueError) as error:
        raise Refusal(str(error)) from None
    for dim in made:
        if isinstance(dim, StaticDim) and dim.dim < 0:
            raise Refusal(f"dimensions must be non-negative, got {made}")
    return made


def _without_minus_one(have: Shape, shape: ShapeLike) -> Shape:
    wanted = list(shape)
    holes = [place for place, dim in enumerate(wanted) if isinstance(dim, (int, Dim)) and dim == -1]
    if len(holes) > 1:
        raise Refusal(f"only one dimension may be -1, got {wanted}")
    if not holes:
        return checked_shape(wanted)
    given = checked_shape(wanted[: holes[0]] + wanted[holes[0] + 1 :])
    known = list(given)
    left: list[Dim] = []
    for dim in have:  # what stands on both sides needs no division
        known.remove(dim) if dim in known else left.append(dim)
    hole = exact_quotient(Shape(left).num_elements, Shape(known).num_elements)
    if hole is None:
        raise Refusal(
            f"the -1 in {wanted} has no value: {have.num_elements} elements do not split into {given}"
        )
    given.insert(holes[0], hole)
    return given


@public
def reshape(x: TensorValueLike, shape: ShapeLike) -> TensorValue:
    """Give the same elements, in the same order, another shape; one dimension may be -1."""
    value = tensor(x)
    made: TensorValue = emit(RESHAPE, value, shape=_without_minus_one(value.shape, shape))
    return made


@public
def flatten(x: TensorValueLike, start_dim: int = 0, end_dim: int = -1) -> TensorValue:
    """Merge the dimensions from `start_dim` to `end_dim`, both included, into one."""
    value = tensor(x)
    if value.rank == 0:
        return reshape(value, [1])
    start, end = axis_index(start_dim, value.rank), axis_index(end_dim, value.rank)
    if start > end:
        raise Refusal(f"start_dim {start_dim} comes after end_dim {end_dim} in {value.shape}")
    middle = Shape(value.shape[start : end + 1]).num_elements
    made: TensorValue = emit(
        RESHAPE, value, shape=Shape([*value.shape[:start], middle, *value.shape[end + 1 :]])
    )
    return made


@public
def unsqueeze(x: TensorValueLike, axis: int) -> TensorValue:
    """Insert a dimension of extent 1 before `axis`; -1 appends it."""
    value = tensor(x)
    place = axis_index(axis, value.rank + 1)
    made: TensorValue = emit(RESHAPE, value, shape=Shape([*value.shape[:place], 1, *value.shape[place:]]))
    return made


@public
def squeeze(x: TensorValueLike, axis: int) -> TensorValue:
    """Drop a dimension of extent 1."""
    value = tensor(x)
    place = axis_index(axis, value.rank)
    if value.shape[place] != 1:
        raise Refusal(
            f"axis {axis} of {value.shape} is {value.shape[place]}, only an extent of 1 can be dropped"
        )
    made: TensorValue = emit(RESHAPE, value, shape=Shape([*value.shape[:place], *value.shape[place + 1 :]]))
    return made


def _rebind_rule(x: TensorType, *, shape: Shape, message: str) -> TensorType:
    if len(shape) != x.rank:
        raise Refusal(
            f"rebind shape check failed: {x.shape} has rank {x.rank}, {shape} has rank {len(shape)}"
        )
    for have, want in zip(x.shape, shape, strict=True):
        if isinstance(have, StaticDim) and isinstance(want, StaticDim) and have != want:
            raise Refusal(
                f"rebind shape check failed: {x.shape} is not {shape}. {message}".rstrip(". ") + "."
            )
    return x.with_shape(shape)


REBIND = Op("rebind", _rebind_rule, lambda x, *, shape, message: x)


@public
def rebind(x: TensorValueLike, shape: ShapeLike, message: str = "") -> TensorValue:
    """Assert another shape: what cannot be shown now is checked when the model runs."""
    made: TensorValue = emit(REBIND, tensor(x), shape=checked_shape(shape), message=message)
    return made


# --- order of dimensions

PERMUTE = Op(
    "permute",
    lambda x, *, dims: x.with_shape(Shape(x.shape[axis] for axis in dims)),
    lambda x, *, dims: x.transpose(dims),
)


@public
def permute(x: TensorValueLike, dims: Sequence[int]) -> TensorValue:
    """Order the dimensions anew: result dimension i is dimension `dims[i]` of `x`."""
    value = tensor(x)
    order = unique_axes(list(dims), value.rank)
    if len(order) != value.rank:
        raise Refusal(f"needs all {value.rank} dimensions of {value.shape}, got {list(dims)}")
    made: TensorValue = emit(PERMUTE, value, dims=order)
    return made


@public
def transpose(x: TensorValueLike, axis_1: int, axis_2: int) -> TensorValue:
    """Exchange two dimensions."""
    value = tensor(x)
    if value.rank < 2:
        raise Refusal(f"the tensor must have at least 2 dimensions, got {value.shape}")
    order = list(range(value.rank))
    first, second = axis_index(axis_1, value.rank), axis_index(axis_2, value.rank)
    order[first], order[second] = order[second], order[first]
    made: TensorValue = emit(PERMUTE, value, dims=order)
    return made


# --- copies


def _broadcast_to_rule(x: TensorType, *, shape: Shape) -> TensorType:
    if broadcast(x.shape, shape) != shape:
        raise Refusal(f"{x.shape} does not broadcast to {shape}: only an extent of 1 can be repeated")
    return x.with_shape(shape)


BROADCAST_TO = Op("broadcast_to", _broadcast_to_rule, lambda x, *, shape: np.broadcast_to(x, shape))


@public
def broadcast_to(x: TensorValueLike, shape: ShapeLike) -> TensorValue:
    """Repeat dimensions of extent 1, and add leading ones, to reach a shape."""
    made: TensorValue = emit(BROADCAST_TO, tensor(x), shape=checked_shape(shape))
    return made


def _tile_rule(x: TensorType, *, repeats: Shape) -> TensorType:
    if len(repeats) != x.rank:
        raise Refusal(f"needs one repeat for each of the {x.rank} dimensions of {x.shape}, got {repeats}")
    return x.with_shape(Shape(dim * times for dim, times in zip(x.shape, repeats, strict=True)))


TILE = Op("tile", _tile_rule, lambda x, *, repeats: np.tile(x, repeats))


@public
def tile(x: TensorValueLike, repeats: Iterable[DimLike]) -> TensorValue:
    """Repeat the whole tensor `repeats[i]` times along dimension i."""
    made: TensorValue = emit(TILE, tensor(x), repeats=checked_shape(repeats))
    return made


REPEAT = Op(
    "repeat_interleave",
    lambda x, *, repeats, axis: x.with_shape(
        Shape([*x.shape[:axis], x.shape[axis] * repeats, *x.shape[axis + 1 :]])
    ),
    lambda x, *, repeats, axis: np.repeat(x, repeats, axis),
)


@public
def repeat_interleave(x: TensorValueLike, repeats: int, axis: int | None = None) -> TensorValue:
    """Repeat each element `repeats` times in a row along an axis, of the flattened tensor by default."""
    value = tensor(x)
    if not isinstance(repeats, (int, np.integer)):
        raise Refusal(f"repeats must be an int, got {repeats!r}")
    if repeats < 0:
        raise Refusal(f"repeats must be non-negative, got {repeats}")
    if axis is None:
        value, axis = flatten(value), 0
    made: TensorValue = emit(REPEAT, value, repeats=int(repeats), axis=axis_index(axis, value.rank))
    return made


# --- borders


def _pad_rule(x: TensorType, *, paddings: list[int], mode: str, value: Any) -> TensorType:
    if len(paddings) != 2 * x.rank:
        raise Refusal(
            f"needs before and after for each dimension of {x.shape}: {2 * x.rank} numbers, got {paddings}"
        )
    if any(amount < 0 for amount in paddings):
        raise Refusal(f"paddings must be non-negative, got {paddings}")
    pairs = zip(x.shape, paddings[::2], paddings[1::2], strict=True)
    for dim, before, after in pairs:
        if mode == "reflect" and isinstance(dim, StaticDim) and max(before, after) >= max(dim.dim, 1):
            raise Refusal(
                f"paddings {before} and {after} are out of range: reflecting {dim} elements gives {dim - 1}"
            )
    return x.with_shape(
        Shape(
            d + before + after
            for d, before, after in zip(x.shape, paddings[::2], paddings[1::2], strict=True)
        )
    )


def _pad_meaning(x: Array, *, paddings: list[int], mode: str, value: Any) -> Array:
    widths = list(zip(paddings[::2], paddings[1::2], strict=True))
    if mode == "constant":
        return np.pad(x, widths, constant_values=value)
    return np.pad(x, widths, mode=mode)  # type: ignore[call-overload,no-any-return]


PAD = Op("pad", _pad_rule, _pad_meaning)


@public
def pad(
    input: TensorValueLike,
    paddings: Iterable[int],
    mode: Literal["constant", "reflect", "edge"] = "constant",
    value: float = 0,
) -> TensorValue:
    """Add elements around a tensor: `paddings` is (before, after) of dimension 0, then of dimension 1 ..."""
    if mode not in ("constant", "reflect", "edge"):
        raise Refusal(f"mode is 'constant', 'reflect' or 'edge', not {mode!r}")
    made: TensorValue = emit(PAD, tensor(input), paddings=[int(p) for p in paddings], mode=mode, value=value)
    return made


def _band_rule(x: TensorType, *, lower: int | None, upper: int | None, exclude: bool) -> TensorType:
    if x.rank < 2:
        raise Refusal(f"the tensor must have at least 2 dimensions, got {x.shape}")
    return x


def _band_meaning(x: Array, *, lower: int | None, upper: int | None, exclude: bool) -> Array:
    row, column = np.arange(x.shape[-2])[:, None], np.arange(x.shape[-1])
    inside = ((lower is None) | (row - column <= (lower or 0))) & (
        (upper is None) | (column - row <= (upper or 0))
    )
    return np.where(inside ^ exclude, x, x.dtype.type(0))


BAND_PART = Op("band_part", _band_rule, _band_meaning)


@public
def band_part(
    x: TensorValueLike, num_lower: int | None = None, num_upper: int | None = None, exclude: bool = False
) -> TensorValue:
    """Keep a band around the diagonal of the last two dimensions and zero the rest; None keeps all of a side.

    `exclude=True` zeroes the band and keeps the rest.
    """
    for side, width in (("num_lower", num_lower), ("num_upper", num_upper)):
        if width is not None and width < 0:
            raise Refusal(f"{side} must be non-negative, got {width}; None keeps that whole side")
    made: TensorValue = emit(BAND_PART, tensor(x), lower=num_lower, upper=num_upper, exclude=exclude)
    return made
