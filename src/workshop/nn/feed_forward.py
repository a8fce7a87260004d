"""The feed-forward part of a Transformer block."""

from __future__ import annotations

from workshop.driver import Device
from workshop.dtype import DType
from workshop.graph import DeviceRef, TensorValue, ops
from workshop.nn.linear import Linear
from workshop.nn.module import Module


class FeedForward(Module):
    """Widens each row, gates it and narrows it again: down(silu(gate(x)) * up(x)), as Llama does.

    Weights: gate_proj and up_proj [feed_forward_length, hidden_dim], down_proj the other way round.
    MAX calls this layer MLP, and so may you.
    """

    def __init__(
        self,
        hidden_dim: int,
        feed_forward_length: int,
        dtype: DType = DType.float32,
        device: Device | DeviceRef | None = None,
        has_bias: bool = False,
    ) -> None:
        self.gate_proj = Linear(hidden_dim, feed_forward_length, dtype, device, has_bias)
        self.up_proj = Linear(hidden_dim, feed_forward_length, dtype, device, has_bias)
        self.down_proj = Linear(feed_forward_length, hidden_dim, dtype, device, has_bias)

    def __call__(self, x: TensorValue) -> TensorValue:
        """Map each row by itself: [..., hidden_dim] -> [..., hidden_dim]."""
        return self.down_proj(ops.silu(self.gate_proj(x)) * self.up_proj(x))


MLP = FeedForward
