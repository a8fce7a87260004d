"""What ops accept as a tensor, and how two operands come to one dtype without losing bits.

Graph values are strong: two of them meet in the wider dtype, when every value of the other is exact in it.
Python numbers, numpy scalars, arrays and dimensions are weak: they take the tensor's dtype when their value
survives. A Python float may be rounded (0.1 is a float32), it may not overflow; an int may not change at all.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from workshop.driver import Buffer, Device
from workshop.dtype import DType
from workshop.graph.dim import Dim, StaticDim
from workshop.graph.op import Op, Refusal, building, described, emit, public
from workshop.graph.shape import Shape
from workshop.graph.type import DeviceRef, TensorType
from workshop.graph.value import TensorValue, TensorValueLike, Value
from workshop.graph.weight import Weight

Array = npt.NDArray[Any]

CONSTANT = Op("constant", lambda *, value, type: type, lambda *, value, type: value)
SHAPE_TO_TENSOR = Op(
    "shape_to_tensor",
    lambda *, shape: TensorType(DType.int64, [len(shape)], DeviceRef.CPU()),
    lambda *, shape: np.array(shape, np.int64).reshape(len(shape)),
)
DIM_TO_TENSOR = Op(
    "dim_to_tensor",
    lambda *, shape: TensorType(DType.int64, [], DeviceRef.CPU()),
    lambda *, shape: np.array(shape[0], np.int64),
)
CAST = Op(
    "cast",
    lambda x, *, dtype: x.cast(dtype),
    lambda x, *, dtype: cast_array(x, dtype),
)


def tensor(value: TensorValueLike, like: TensorType | None = None) -> TensorValue:
    """Make a tensor of anything that can be one; a weak value takes dtype and device of `like`."""
    if type(value) is TensorValue:
        return value
    if isinstance(value, Weight):
        joined: TensorValue = building().add_weight(value)
        return joined
    if isinstance(value, Value):
        return value.tensor
    if isinstance(value, Dim):
        return _dim_tensor(value, like)
    if like is not None and isinstance(value, (int, float)):
        quick = _quick_number(value, like.dtype)
        if quick is not None:
            return constant_value(quick, like.dtype, like.device)
    array = _as_array(value)
    if like is None:
        return constant_value(array, DType.from_numpy(array.dtype), DeviceRef.CPU())
    return constant_value(_fitted(value, array, like.dtype), like.dtype, like.device)


def pair(lhs: TensorValueLike, rhs: TensorValueLike) -> tuple[TensorValue, TensorValue]:
    """Bring two operands to one dtype; raises Refusal for an unsafe cast or two devices."""
    if isinstance(lhs, Value):
        left = tensor(lhs)
        right = tensor(rhs, left.type)
    elif isinstance(rhs, Value):
        right = tensor(rhs)
        left = tensor(lhs, right.type)
    else:
        left, right = tensor(lhs), tensor(rhs)
    same_device(left, right)
    if left.type.dtype is right.type.dtype:
        return left, right
    dtype = promoted(left.dtype, right.dtype)
    return cast_value(left, dtype), cast_value(right, dtype)


def same_device(*values: TensorValue) -> None:
    """Raise Refusal unless all values live on one device."""
    first = values[0].type.device
    for value in values:
        if value.type.device != first:
            places = ", ".join(str(v.type.device) for v in values)
            raise Refusal(f"inputs must be on the same device, got {places}; move one with x.to(device)")


def promoted(a: DType, b: DType) -> DType:
    """Return the dtype in which all values of both are exact.

    >>> promoted(DType.uint8, DType.int16), promoted(DType.bool, DType.float16)
    (DType.int16, DType.float16)
    """
    small, large = sorted((a, b), key=lambda d: (d.is_float(), d.bits, d.is_signed_integral()))
    if is_exact(small, large):
        return large
    raise Refusal(
        f"Unsafe cast from {small.value} to {large.value}: not every {small.value} is a {large.value}. "
        f"Cast one operand yourself, as in x.cast(DType.{large.value})"
    )


def is_exact(small: DType, large: DType) -> bool:
    """True when every value of one dtype is a value of the other.

    >>> is_exact(DType.int16, DType.float32), is_exact(DType.int32, DType.float32)
    (True, False)
    """
    if small is large or small is DType.bool:
        return True
    if small.is_float():
        return (
            large in _digits and _digits[small] <= _digits[large] and _exponents[small] <= _exponents[large]
        )
    value_bits: int = small.bits - small.is_signed_integral()
    if large.is_float():
        return value_bits <= _digits[large]
    if small.is_signed_integral() and not large.is_signed_integral():
        return False
    room: int = large.bits - large.is_signed_integral()
    return value_bits <= room


_digits: dict[DType, int] = {DType.float16: 11, DType.bfloat16: 8, DType.float32: 24, DType.float64: 53}
_exponents: dict[DType, int] = {DType.float16: 5, DType.bfloat16: 8, DType.float32: 8, DType.float64: 11}


def cast_value(value: TensorValue, dtype: DType) -> TensorValue:
    """Convert, or return the value itself when it has that dtype."""
    if value.type.dtype is dtype:
        return value
    made: TensorValue = emit(CAST, value, dtype=dtype)
    return made


def cast_array(x: Array, dtype: DType) -> Array:
    """Convert as kernels do: ints wrap, float to int truncates and saturates, NaN gives 0."""
    if dtype.is_integral() and DType.from_numpy(x.dtype).is_float():
        info = np.iinfo(dtype.to_numpy())
        wide = np.nan_to_num(x.astype(np.float64), nan=0.0, posinf=np.inf, neginf=-np.inf)
        inside = np.clip(np.trunc(wide), float(info.min), float(info.max))
        made = np.where(inside >= float(info.max), info.max, 0).astype(dtype.to_numpy())
        np.copyto(made, inside.astype(dtype.to_numpy(), copy=False), where=inside < float(info.max))
        return made
    return x.astype(dtype.to_numpy())


def constant_value(array: Array, dtype: DType, device: DeviceRef) -> TensorValue:
    """Add a constant; the array is not copied and must not change any more."""
    made: TensorValue = emit(CONSTANT, value=array, type=TensorType(dtype, array.shape, device))
    return made


def _as_array(value: Any) -> Array:
    if isinstance(value, bool):
        return np.array(value)
    if isinstance(value, int):
        if not -(2**63) <= value < 2**63:
            raise Refusal(f"{value} is out of range for int64; use a smaller number or a float")
        return np.array(value, np.int64)
    if isinstance(value, float) and not isinstance(value, np.generic):
        narrow = -3e38 < value < 3e38 or value != value or value in (np.inf, -np.inf)
        return np.array(value, np.float32 if narrow else np.float64)
    if isinstance(value, (np.ndarray, np.generic)):
        return np.array(_known_dtype(np.asarray(value)))
    if isinstance(value, Buffer) or hasattr(value, "__dlpack__"):
        return Buffer.from_dlpack(value).to_numpy().copy()
    if isinstance(value, (list, tuple)):
        raise Refusal(
            f"{described(value)} is no tensor; write ops.constant({described(value)}, dtype, device)"
        )
    raise Refusal(
        f"{described(value)} ({type(value).__name__}) cannot be a tensor; pass a tensor, number or array"
    )


def _known_dtype(array: Array) -> Array:
    try:
        DType.from_numpy(array.dtype)
    except TypeError as error:
        raise Refusal(str(error)) from None
    return array


def _quick_number(value: int | float, dtype: DType) -> Array | None:
    """Convert the usual case: a small whole number or a usual float; None asks for the full test."""
    if type(value) is int and -128 <= value <= 127 and (value >= 0 or not dtype.is_unsigned_integral()):
        return None if dtype is DType.bool else np.array(value, dtype.to_numpy())
    if dtype in (DType.float32, DType.float64) and type(value) is float and -1e38 < value < 1e38:
        return np.array(value, dtype.to_numpy())
    return None


def _fitted(value: Any, array: Array, dtype: DType) -> Array:
    """Convert a weak value, or refuse where its value would not survive."""
    source = DType.from_numpy(array.dtype)
    with np.errstate(all="ignore"):
        if isinstance(value, (float, np.floating)) and dtype.is_float():
            made = np.array(float(value)).astype(dtype.to_numpy())
            survives = bool(np.isfinite(made) or not np.isfinite(float(value)))
        elif dtype is source:
            return array
        elif dtype is DType.bool:
            made, survives = array, False
        else:
            made = cast_array(array, dtype)
            back = made.astype(np.float64) if source.is_float() else cast_array(made, source)
            survives = bool(np.array_equal(back, array, equal_nan=source.is_float()))
            survives = survives and not _changes_sign(array, made)
    if survives:
        return made
    shown = f"{value!r} ({type(value).__name__})" if array.ndim == 0 else f"an array of {source.value}"
    raise Refusal(
        f"Unsafe cast: {shown} does not survive in {dtype.value}. "
        f"Cast the tensor, as in x.cast(DType.{source.value}), or round the number yourself"
    )


def _changes_sign(before: Array, after: Array) -> bool:
    return bool(np.any((before < 0) != (after < 0)))


def _dim_tensor(dim: Dim, like: TensorType | None) -> TensorValue:
    if isinstance(dim, StaticDim):
        return tensor(dim.dim, like)
    value: TensorValue = emit(DIM_TO_TENSOR, shape=Shape([dim]))
    if like is None:
        return value
    if like.device != value.device:
        value = transferred(value, like.device)
    return cast_value(value, like.dtype)


def transferred(value: TensorValue, device: DeviceRef | Device) -> TensorValue:
    """Add a transfer to another device, or return the value itself when it is there."""
    target = DeviceRef.from_device(device)
    if value.device == target:
        return value
    moved: TensorValue = emit(TRANSFER, value, device=target)
    return moved


TRANSFER = Op(
    "transfer_to",
    lambda x, *, device: TensorType(x.dtype, x.shape, device),
    lambda x, *, device: x,
)


@public
def as_tensor(value: TensorValueLike) -> TensorValue:
    """Make a tensor of a number, an array, a dimension or a weight."""
    return tensor(value)


def axis_index(axis: int, rank: int) -> int:
    """Return the axis counted from the front; raises Refusal outside the rank."""
    if not isinstance(axis, (int, np.integer)) or isinstance(axis, bool):
        raise Refusal(f"an axis is an int, got {axis!r}")
    if not -rank <= axis < rank:
        allowed = f"out of range [{-rank}, {rank - 1}]" if rank else "the tensor has no axes"
        raise Refusal(f"axis {axis} out of bounds for rank {rank}: {allowed}")
    return int(axis) % rank


def unique_axes(axes: list[int], rank: int) -> list[int]:
    """Return axes counted from the front; raises Refusal where one repeats."""
    front = [axis_index(axis, rank) for axis in axes]
    if len(set(front)) != len(front):
        raise Refusal(f"axes {list(axes)} name one axis twice")
    return front
