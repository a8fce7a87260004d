"""Ops that scale along an axis: softmax and the norms. 16-bit floats are computed in float32.

E last dimension, C channels.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from workshop.graph.op import Op, Refusal, emit, public
from workshop.graph.ops.elementwise import FLOAT, checked, in_float32
from workshop.graph.ops.operands import axis_index, same_device, tensor
from workshop.graph.type import TensorType
from workshop.graph.value import TensorValue, TensorValueLike

Array = npt.NDArray[Any]


def _softmax(x: Array, axis: int) -> Array:
    powers = np.exp(x - np.max(x, axis=axis, keepdims=True, initial=-np.inf))
    return np.asarray(powers / np.sum(powers, axis=axis, keepdims=True), x.dtype)


def _logsoftmax(x: Array, axis: int) -> Array:
    below = x - np.max(x, axis=axis, keepdims=True, initial=-np.inf)
    return np.asarray(below - np.log(np.sum(np.exp(below), axis=axis, keepdims=True)), x.dtype)


SOFTMAX = Op(
    "softmax", lambda x, *, axis: checked(FLOAT, x), lambda x, *, axis: in_float32(_softmax)(x, axis)
)
LOGSOFTMAX = Op(
    "logsoftmax", lambda x, *, axis: checked(FLOAT, x), lambda x, *, axis: in_float32(_logsoftmax)(x, axis)
)


@public
def softmax(value: TensorValueLike, axis: int = -1) -> TensorValue:
    """Return exp(x - max) / sum(exp(x - max)) along an axis: positive numbers that add up to 1."""
    x = tensor(value)
    made: TensorValue = emit(SOFTMAX, x, axis=axis_index(axis, x.rank))
    return made


@public
def logsoftmax(value: TensorValueLike, axis: int = -1) -> TensorValue:
    """Return the logarithm of softmax along an axis, without its underflow."""
    x = tensor(value)
    made: TensorValue = emit(LOGSOFTMAX, x, axis=axis_index(axis, x.rank))
    return made


def _norm_rule(x: TensorType, *weights: TensorType, epsilon: float, **_: Any) -> TensorType:
    checked(FLOAT, x)
    if not x.rank:
        raise Refusal("needs a tensor with dimensions, got a scalar")
    if not epsilon > 0:
        raise Refusal(f"epsilon must be positive, got {epsilon}; 1e-5 is usual")
    for weight in weights:
        if weight.shape != x.shape[-1:]:
            raise Refusal(
                f"a weight is {weight.shape}, the last dimension of {x.shape} needs [{x.shape[-1]}]"
            )
        if weight.dtype is not x.dtype:
            raise Refusal(f"a weight is {weight.dtype.value}, the input is {x.dtype.value}; cast one of them")
    return x


def _layer_norm(x: Array, gamma: Array, beta: Array, epsilon: float) -> Array:
    wide, dtype = _wide(x), x.dtype
    centred = wide - np.mean(wide, axis=-1, keepdims=True)
    scale = 1 / np.sqrt(np.mean(centred * centred, axis=-1, keepdims=True) + wide.dtype.type(epsilon))
    return np.asarray(centred * scale * _wide(gamma) + _wide(beta), dtype)


def _rms_norm(
    x: Array, weight: Array, epsilon: float, weight_offset: float, multiply_before_cast: bool
) -> Array:
    wide, dtype = _wide(x), x.dtype
    normed = wide / np.sqrt(np.mean(wide * wide, axis=-1, keepdims=True) + wide.dtype.type(epsilon))
    factor = _wide(weight) + wide.dtype.type(weight_offset)
    if multiply_before_cast:
        return np.asarray(normed * factor, dtype)
    return np.asarray(np.asarray(normed, dtype) * np.asarray(factor, dtype))


def _wide(x: Array) -> Array:
    return x.astype(np.float32) if x.dtype.itemsize == 2 else x


def _group_norm(x: Array, gamma: Array, beta: Array, num_groups: int, epsilon: float) -> Array:
    wide = _wide(x).reshape(x.shape[0], num_groups, -1)
    centred = wide - np.mean(wide, axis=-1, keepdims=True)
    scale = 1 / np.sqrt(np.mean(centred * centred, axis=-1, keepdims=True) + wide.dtype.type(epsilon))
    channels = (1, -1) + (1,) * (x.ndim - 2)
    normed = (centred * scale).reshape(x.shape)
    scaled = normed * _wide(gamma).reshape(channels) + _wide(beta).reshape(channels)
    return np.asarray(scaled, x.dtype)


def _group_norm_rule(x: TensorType, *weights: TensorType, num_groups: int, epsilon: float) -> TensorType:
    checked(FLOAT, x)
    if x.rank < 2:
        raise Refusal(f"the tensor must have at least 2 dimensions [N, C, ...], got {x.shape}")
    if not epsilon > 0:
        raise Refusal(f"epsilon must be positive, got {epsilon}; 1e-5 is usual")
    if num_groups < 1 or x.shape[1] // num_groups * num_groups != x.shape[1]:
        raise Refusal(f"{x.shape[1]} channels do not split into {num_groups} groups")
    for weight in weights:
        if weight.shape != x.shape[1:2] or weight.dtype is not x.dtype:
            raise Refusal(f"a weight is {weight}, the channels of {x} need {x.dtype.value}[{x.shape[1]}]")
    return x


LAYER_NORM = Op("layer_norm", _norm_rule, lambda *arrays, **options: _layer_norm(*arrays, **options))
RMS_NORM = Op("rms_norm", _norm_rule, lambda *arrays, **options: _rms_norm(*arrays, **options))
GROUP_NORM = Op("group_norm", _group_norm_rule, lambda *arrays, **options: _group_norm(*arrays, **options))


def _with_weights(input: TensorValueLike, *weights: TensorValueLike) -> list[TensorValue]:
    x = tensor(input)
    values = [x, *(tensor(weight, x.type) for weight in weights)]
    same_device(*values)
    return values


@public
def layer_norm(
    input: TensorValueLike, gamma: TensorValueLike, beta: TensorValueLike, epsilon: float
) -> TensorValue:
    """Return (x - mean) / sqrt(var + epsilon) * gamma + beta over the last dimension.

    Shapes: input [..., E], gamma and beta [E].
    """
    made: TensorValue = emit(LAYER_NORM, *_with_weights(input, gamma, beta), epsilon=epsilon)
    return made


@public
def rms_norm(
    input: TensorValueLike,
    weight: TensorValueLike,
    epsilon: float,
    weight_offset: float = 0.0,
    multiply_before_cast: bool = False,
) -> TensorValue:
    """Return x / sqrt(mean(x * x) + epsilon) * (weight + weight_offset) over the last dimension.

    Shapes: input [..., E], weight [E]. With 16-bit floats the norm is rounded before the product with the
    weight (as Llama does), or only after it when `multiply_before_cast`.
    """
    values = _with_weights(input, weight)
    made: TensorValue = emit(
        RMS_NORM,
        *values,
        epsilon=epsilon,
        weight_offset=weight_offset,
        multiply_before_cast=multiply_before_cast,
    )
    return made


@public
def group_norm(
    input: TensorValueLike, gamma: TensorValueLike, beta: TensorValueLike, num_groups: int, epsilon: float
) -> TensorValue:
    """Normalize each group of channels: input [N, C, ...], gamma and beta [C]."""
    values = _with_weights(input, gamma, beta)
    made: TensorValue = emit(GROUP_NORM, *values, num_groups=num_groups, epsilon=epsilon)
    return made
