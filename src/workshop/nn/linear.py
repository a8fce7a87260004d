"""Products with a learned matrix, and rows of a learned table."""

from __future__ import annotations

from workshop.driver import Device
from workshop.dtype import DType
from workshop.graph import DeviceRef, TensorValue, TensorValueLike, Weight, ops
from workshop.nn.module import Module


class Linear(Module):
    """Computes x @ weight.T + bias, with weight [out_dim, in_dim] and bias [out_dim].

    `tied_weight` shares another layer's weight, as the output of many language models shares its embedding.

    >>> Linear(4, 8, has_bias=True)
    Linear(weight: float32[8, 4], bias: float32[8])
    """

    def __init__(
        self,
        in_dim: int,
        out_dim: int,
        dtype: DType = DType.float32,
        device: Device | DeviceRef | None = None,
        has_bias: bool = False,
        *,
        tied_weight: Weight | None = None,
    ) -> None:
        if tied_weight is None:
            tied_weight = Weight("weight", dtype, [out_dim, in_dim], device)
        self.weight = tied_weight
        self.bias = Weight("bias", dtype, [out_dim], device) if has_bias else None

    def __call__(self, x: TensorValue) -> TensorValue:
        """Map the last dimension: [..., in_dim] -> [..., out_dim]."""
        product = x @ self.weight.T
        return product if self.bias is None else product + self.bias


class Embedding(Module):
    """Looks up rows of a table [vocab_size, hidden_dim]: [...] integers -> [..., hidden_dim]."""

    def __init__(
        self,
        vocab_size: int,
        hidden_dim: int,
        dtype: DType = DType.float32,
        device: Device | DeviceRef | None = None,
    ) -> None:
        self.weight = Weight("weight", dtype, [vocab_size, hidden_dim], device)

    def __call__(self, indices: TensorValueLike) -> TensorValue:
        """Take a row for each index; one outside the table is refused when the model runs."""
        return ops.gather(self.weight, indices, axis=0)
