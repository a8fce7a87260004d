"""A tensor that comes from a file of weights when the model is loaded."""

from __future__ import annotations

from workshop.driver import Device
from workshop.dtype import DType
from workshop.graph.type import DeviceRef, ShapeLike, TensorType
from workshop.graph.value import TensorValue


class Weight(TensorValue):
    """Names a weight and says its type; used like any tensor, it joins the graph being built.

    >>> Weight("layers.0.weight", DType.float32, [4, 8], DeviceRef.CPU())
    Weight('layers.0.weight', float32[4, 8])
    """

    __slots__ = ("name",)
    name: str

    def __new__(
        cls, name: str, dtype: DType, shape: ShapeLike, device: Device | DeviceRef | None = None
    ) -> Weight:
        self = object.__new__(cls)
        self.name = name
        self.type = TensorType(dtype, shape, DeviceRef.CPU() if device is None else device)
        self.graph = self.node = None
        return self

    def __repr__(self) -> str:
        return f"Weight({self.name!r}, {self.type})"
