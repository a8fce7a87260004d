"""Norms with a learned scale."""

from __future__ import annotations

from workshop.driver import Device
from workshop.dtype import DType
from workshop.graph import DeviceRef, TensorValue, Weight, ops
from workshop.nn.module import Module


class RMSNorm(Module):
    """Scales each row to a root mean square of 1, then by a learned weight [dim]:
    x / sqrt(mean(x * x) + eps) * (weight + weight_offset).

    With 16-bit floats `multiply_before_cast` says whether the product with the weight is still in float32.
    """

    def __init__(
        self,
        dim: int,
        dtype: DType = DType.float32,
        eps: float = 1e-6,
        weight_offset: float = 0.0,
        multiply_before_cast: bool = True,
        *,
        device: Device | DeviceRef | None = None,
    ) -> None:
        self.weight = Weight("weight", dtype, [dim], device)
        self.eps = eps
        self.weight_offset = weight_offset
        self.multiply_before_cast = multiply_before_cast

    def __call__(self, x: TensorValue) -> TensorValue:
        """Scale along the last dimension: [..., dim] -> [..., dim]."""
        return ops.rms_norm(x, self.weight, self.eps, self.weight_offset, self.multiply_before_cast)
