"""Ops that join tensors and cut them into pieces."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from workshop.graph.dim import Dim, DimLike, StaticDim, exact_quotient
from workshop.graph.op import Op, Refusal, emit, emit_all, public
from workshop.graph.ops.movement import checked_shape, unsqueeze
from workshop.graph.ops.operands import axis_index, cast_value, promoted, same_device, tensor
from workshop.graph.shape import Shape
from workshop.graph.type import TensorType
from workshop.graph.value import TensorValue, TensorValueLike


def _concat_rule(*types: TensorType, axis: int) -> TensorType:
    total: Dim = StaticDim(0)
    first = types[0].shape
    for position, type in enumerate(types):
        same = len(type.shape) == len(first) and all(
            a == b for place, (a, b) in enumerate(zip(type.shape, first, strict=True)) if place != axis
        )
        if not same:
            raise Refusal(
                f"tensor {position} is {type.shape}, tensor 0 is {first}: only axis {axis} may differ"
            )
        total = total + type.shape[axis]
    return types[0].with_shape(Shape([*first[:axis], total, *first[axis + 1 :]]))


CONCAT = Op("concat", _concat_rule, lambda *arrays, axis: np.concatenate(arrays, axis))


def _one_dtype(values: Iterable[TensorValueLike]) -> list[TensorValue]:
    tensors = [tensor(value) for value in values]
    if not tensors:
        raise Refusal("needs at least one tensor")
    same_device(*tensors)
    dtype = tensors[0].dtype
    for value in tensors[1:]:
        dtype = promoted(dtype, value.dtype)
    return [cast_value(value, dtype) for value in tensors]


@public
def concat(original_vals: Iterable[TensorValueLike], axis: int = 0) -> TensorValue:
    """Put tensors one behind the other along an axis; the other dimensions are the same."""
    tensors = _one_dtype(original_vals)
    made: TensorValue = emit(CONCAT, *tensors, axis=axis_index(axis, tensors[0].rank))
    return made


@public
def stack(values: Iterable[TensorValueLike], axis: int = 0) -> TensorValue:
    """Put tensors of one shape one behind the other along a new axis."""
    tensors = _one_dtype(values)
    for position, value in enumerate(tensors):
        if value.shape != tensors[0].shape:
            raise Refusal(
                f"tensor {position} is {value.shape}, tensor 0 is {tensors[0].shape}: they must be the same"
            )
    place = axis_index(axis, tensors[0].rank + 1)
    made: TensorValue = emit(CONCAT, *[unsqueeze(value, place) for value in tensors], axis=place)
    return made


def _split_rule(x: TensorType, *, sizes: Shape, axis: int) -> tuple[TensorType, ...]:
    total: Dim = StaticDim(0)
    for size in sizes:
        total = total + size
    if total != x.shape[axis]:
        raise Refusal(f"pieces {sizes} add up to {total}, axis {axis} of {x.shape} is {x.shape[axis]}")
    return tuple(x.with_shape(Shape([*x.shape[:axis], size, *x.shape[axis + 1 :]])) for size in sizes)


SPLIT = Op(
    "split",
    _split_rule,
    lambda x, *, sizes, axis: tuple(np.split(x, np.cumsum(sizes)[:-1], axis)),
)


@public
def split(x: TensorValueLike, split_sizes: Sequence[DimLike], axis: int = 0) -> list[TensorValue]:
    """Cut a tensor into pieces of the given sizes along an axis."""
    value = tensor(x)
    sizes = checked_shape(split_sizes)
    if not sizes:
        raise Refusal("needs at least one size")
    return list(emit_all(SPLIT, value, sizes=sizes, axis=axis_index(axis, value.rank)))


@public
def chunk(x: TensorValueLike, chunks: int, axis: int = 0) -> list[TensorValue]:
    """Cut a tensor into `chunks` equal pieces along an axis."""
    value = tensor(x)
    place = axis_index(axis, value.rank)
    piece = exact_quotient(value.shape[place], Dim(chunks)) if chunks > 0 else None
    if piece is None:
        raise Refusal(
            f"axis {axis} of {value.shape} is {value.shape[place]}, which {chunks} chunks do not divide"
        )
    return list(emit_all(SPLIT, value, sizes=Shape([piece] * chunks), axis=place))
