"""What is known about a value while a graph is built: element type, shape and device."""

from __future__ import annotations

import enum
from collections.abc import Iterable
from typing import Any

from workshop.driver import CPU, Accelerator, Device
from workshop.dtype import DType
from workshop.errors import GraphError, caller_loc
from workshop.graph.dim import DimLike, StaticDim
from workshop.graph.shape import Shape

ShapeLike = Iterable[DimLike]
"""What a shape may be written as: dimensions in order."""


class DeviceKind(enum.StrEnum):
    """Names the kinds of device: "cpu" and "gpu"."""

    CPU = "cpu"
    GPU = "gpu"


class DeviceRef:
    """Says where a value lives, whether or not this machine has such a device.

    >>> DeviceRef.CPU(), DeviceRef.GPU(1), DeviceRef("gpu") == DeviceRef.GPU()
    (cpu:0, gpu:1, True)
    """

    __slots__ = ("device_type", "id")

    def __init__(self, device_type: DeviceKind | str, id: int = 0) -> None:
        self.device_type = DeviceKind(device_type)
        self.id = id

    @staticmethod
    def CPU(id: int = 0) -> DeviceRef:
        """Return the host."""
        return _CPU if id == 0 else DeviceRef(DeviceKind.CPU, id)

    @staticmethod
    def GPU(id: int = 0) -> DeviceRef:
        """Return a GPU."""
        return DeviceRef(DeviceKind.GPU, id)

    @staticmethod
    def from_device(device: Device | DeviceRef) -> DeviceRef:
        """Return the reference to a device of this machine; a reference is returned as it is."""
        return device if isinstance(device, DeviceRef) else DeviceRef(device.label, device.id)

    def to_device(self) -> Device:
        """Return the device itself; raises RuntimeError where this machine has none."""
        return CPU(self.id) if self.is_cpu() else Accelerator(self.id)

    def is_cpu(self) -> bool:
        """True for the host."""
        return self.device_type is DeviceKind.CPU

    def is_gpu(self) -> bool:
        """True for a GPU."""
        return self.device_type is DeviceKind.GPU

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        return isinstance(other, DeviceRef) and (self.device_type, self.id) == (other.device_type, other.id)

    def __hash__(self) -> int:
        return hash((self.device_type, self.id))

    def __repr__(self) -> str:
        return f"{self.device_type.value}:{self.id}"


_CPU = DeviceRef(DeviceKind.CPU)


class Type:
    """Base of the types of graph values."""

    __slots__ = ()


class TensorType(Type):
    """Describes a tensor: its element type, its shape and where it lives.

    >>> TensorType(DType.float32, ["batch", 10], DeviceRef.CPU())
    TensorType(DType.float32, [batch, 10], cpu:0)

    Raises GraphError for a negative dimension.
    """

    __slots__ = ("device", "dtype", "shape")

    def __init__(self, dtype: DType, shape: ShapeLike, device: Device | DeviceRef = _CPU) -> None:
        self.dtype = dtype
        if isinstance(shape, (int, str)):
            raise GraphError(f"a shape is a list of dimensions: [{shape!r}], not {shape!r}", caller_loc())
        self.shape = shape if type(shape) is Shape else Shape(shape)
        self.device = device if isinstance(device, DeviceRef) else DeviceRef.from_device(device)
        if not isinstance(dtype, DType):
            raise GraphError(
                f"TensorType needs a DType, got {dtype!r}; try DType.from_numpy(...)", caller_loc()
            )
        for dim in self.shape:
            if type(dim) is StaticDim and dim.dim < 0:
                text = f"dimensions must be non-negative, but the shape is {self.shape}"
                raise GraphError(text, caller_loc())

    @property
    def rank(self) -> int:
        """The number of dimensions."""
        return len(self.shape)

    def num_elements(self) -> int:
        """The number of elements; raises TypeError where the shape has names."""
        return int(self.shape.num_elements)

    def cast(self, dtype: DType) -> TensorType:
        """Return the type with another element type."""
        return TensorType(dtype, self.shape, self.device)

    def with_shape(self, shape: ShapeLike) -> TensorType:
        """Return the type with another shape."""
        return TensorType(self.dtype, shape, self.device)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TensorType) and self._key() == other._key()

    def __hash__(self) -> int:
        dtype, shape, device = self._key()
        return hash((dtype, tuple(shape), device))

    def _key(self) -> tuple[Any, ...]:
        return (self.dtype, self.shape, self.device)

    def __str__(self) -> str:
        place = "" if self.device.is_cpu() else f" on {self.device}"
        return f"{self.dtype.value}{self.shape}{place}"

    def __repr__(self) -> str:
        return f"TensorType({self.dtype}, {self.shape}, {self.device})"
