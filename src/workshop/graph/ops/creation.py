"""Ops that make tensors of nothing: constants, ranges, shapes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from workshop.driver import Buffer, Device
from workshop.dtype import DType
from workshop.graph.dim import Dim, DimLike, StaticDim
from workshop.graph.op import Op, Refusal, emit, public
from workshop.graph.ops.movement import checked_shape
from workshop.graph.ops.operands import (
    SHAPE_TO_TENSOR,
    TRANSFER,
    constant_value,
    same_device,
    tensor,
    transferred,
)
from workshop.graph.type import DeviceRef, TensorType
from workshop.graph.value import TensorValue, TensorValueLike

Array = npt.NDArray[Any]


@public
def constant(value: Any, dtype: DType | None = None, device: Device | DeviceRef | None = None) -> TensorValue:
    """Make a constant of a number, nested lists, or an array; what it holds is copied now.

    Without `dtype` a list or Python number is int64, float32 or bool, an array keeps its own. Raises
    GraphError where a number is out of range for the dtype.
    """
    place = DeviceRef.CPU() if device is None else DeviceRef.from_device(device)
    given = _read(value)
    found = DType.from_numpy(given.dtype)
    if dtype is None:  # Python's floats are weak: float32, unless an array says otherwise
        dtype = DType.float32 if found is DType.float64 and not hasattr(value, "dtype") else found
    if dtype.is_integral() and found.is_float() and not np.array_equal(np.trunc(given), given):
        raise Refusal(f"{value!r} is no {dtype.value}; round it, or give a float dtype")
    if dtype.is_integral() and given.size:
        info = np.iinfo(dtype.to_numpy())
        low, high = given.min(), given.max()
        if low < info.min or high > info.max:
            worst = low if low < info.min else high
            raise Refusal(f"{worst} is out of range for {dtype.value}, which holds {info.min} to {info.max}")
    with np.errstate(all="ignore"):
        return constant_value(given.astype(dtype.to_numpy()), dtype, place)


def _read(value: Any) -> Array:
    if isinstance(value, (np.ndarray, np.generic)):
        array = np.asarray(value)
    elif isinstance(value, Buffer) or hasattr(value, "__dlpack__"):
        return Buffer.from_dlpack(value).to_numpy().copy()
    else:
        try:
            array = np.array(value)
        except (ValueError, TypeError, OverflowError) as error:
            raise Refusal(f"{value!r} is no tensor: {error}") from None
    try:
        DType.from_numpy(array.dtype)
    except TypeError as error:
        raise Refusal(str(error)) from None
    return array


def _range_rule(*bounds: TensorType, out_dim: Dim, dtype: DType, device: DeviceRef, **_: Any) -> TensorType:
    return TensorType(dtype, [out_dim], device)


def _range_meaning(
    *bounds: Array, start: Any, stop: Any, step: Any, out_dim: int, dtype: DType, device: DeviceRef
) -> Array:
    first, last, stride = (bounds[b[1]][()] if isinstance(b, tuple) else b for b in (start, stop, step))
    if stride == 0:
        raise Refusal("a range's step must not be 0")
    count = max(int(np.ceil((last - first) / stride)), 0)
    return (first + np.arange(count) * stride).astype(dtype.to_numpy())


RANGE = Op("range", _range_rule, _range_meaning)


@public
def range(
    start: TensorValueLike,
    stop: TensorValueLike,
    step: TensorValueLike = 1,
    out_dim: DimLike | None = None,
    *,
    dtype: DType,
    device: Device | DeviceRef,
) -> TensorValue:
    """Return start, start + step, ... before `stop`, as [out_dim].

    Bounds are numbers, dimensions or scalar tensors; `out_dim` is found from numbers and dimensions, and
    named by the caller for tensors.
    """
    inputs: list[TensorValue] = []
    bounds = [_bound(bound, inputs) for bound in (start, stop, step)]
    extent = Dim(out_dim) if out_dim is not None else _extent(*bounds)
    first, last, stride = (b.dim if isinstance(b, StaticDim) else b for b in bounds)
    made: TensorValue = emit(
        RANGE,
        *inputs,
        start=first,
        stop=last,
        step=stride,
        out_dim=extent,
        dtype=dtype,
        device=DeviceRef.from_device(device),
    )
    return made


def _bound(bound: Any, inputs: list[TensorValue]) -> Any:
    if isinstance(bound, (Dim, int, float, np.integer, np.floating)):
        return bound
    value = tensor(bound)
    if value.rank:
        raise Refusal(f"a bound is a scalar, got {value.type}")
    inputs.append(value)
    return ("input", len(inputs) - 1)


def _extent(start: Any, stop: Any, step: Any) -> Dim:
    if any(isinstance(bound, tuple) for bound in (start, stop, step)):
        raise Refusal("a tensor bound is known only when the model runs: name the extent, out_dim='count'")
    if any(isinstance(bound, Dim) and not isinstance(bound, StaticDim) for bound in (start, stop, step)):
        count: Dim = -((Dim(start) - stop) // Dim(step))
        return count
    first, last, stride = (
        bound.dim if isinstance(bound, StaticDim) else bound for bound in (start, stop, step)
    )
    if stride == 0:
        raise Refusal("a range's step must not be 0")
    return Dim(max(int(np.ceil((last - first) / stride)), 0))


@public
def shape_to_tensor(shape: Iterable[DimLike]) -> TensorValue:
    """Return a shape as an int64 tensor on the host, its names replaced by numbers when the model runs."""
    made: TensorValue = emit(SHAPE_TO_TENSOR, shape=checked_shape(shape))
    return made


@public
def transfer_to(x: TensorValueLike, device: Device | DeviceRef) -> TensorValue:
    """Return the value on another device."""
    return transferred(tensor(x), device)


@public
def assert_same_device(*values: TensorValue, **named_values: TensorValue) -> None:
    """Raise GraphError unless all values live on one device."""
    everything = [tensor(value) for value in (*values, *named_values.values())]
    if everything:
        same_device(*everything)


__all__ = ["TRANSFER", "assert_same_device", "constant", "range", "shape_to_tensor", "transfer_to"]
