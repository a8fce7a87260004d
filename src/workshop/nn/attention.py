"""Causal self-attention with rotary positions, grouped key-value heads and a cache.

B batch, T tokens now, S tokens seen (cached and now), H heads, K key-value heads, G = H / K heads that share
one, D head size, E hidden size.
"""

from __future__ import annotations

import math

from workshop.driver import Device
from workshop.dtype import DType
from workshop.errors import caller_loc
from workshop.graph import DeviceRef, Dim, TensorValue, ops
from workshop.nn.kv_cache import KVCacheValues
from workshop.nn.linear import Linear
from workshop.nn.module import ModelError, Module
from workshop.nn.rotary_embedding import RotaryEmbedding


def causal_mask(tokens: Dim, seen: Dim, device: DeviceRef) -> TensorValue:
    """Tell which of `seen` positions each of the last `tokens` may see, its own and earlier: bool [T, S]."""
    rows = ops.range(seen - tokens, seen, dtype=DType.int64, device=device)
    columns = ops.range(0, seen, dtype=DType.int64, device=device)
    return ops.unsqueeze(rows, 1) >= columns


class Attention(Module):
    """Lets each token gather from earlier ones: softmax(q k' / sqrt(D)) v, with q and k rotated by position.

    Weights: q_proj [H D, E], k_proj and v_proj [K D, E], o_proj [E, H D]. Raises ModelError where the
    key-value heads do not divide the heads.
    """

    def __init__(
        self,
        *,
        rope: RotaryEmbedding,
        num_attention_heads: int,
        num_key_value_heads: int,
        hidden_size: int,
        dtype: DType = DType.float32,
        device: Device | DeviceRef | None = None,
        has_bias: bool = False,
        scale: float | None = None,
    ) -> None:
        if num_attention_heads % num_key_value_heads:
            text = f"{num_attention_heads} heads cannot share {num_key_value_heads} key-value heads evenly"
            raise ModelError(text, caller_loc())
        self.n_heads = num_attention_heads
        self.n_kv_heads = num_key_value_heads
        self.rope = rope
        self.scale = 1 / math.sqrt(rope.head_dim) if scale is None else scale
        width, kv_width = (heads * rope.head_dim for heads in (num_attention_heads, num_key_value_heads))
        self.q_proj = Linear(hidden_size, width, dtype, device, has_bias)
        self.k_proj = Linear(hidden_size, kv_width, dtype, device, has_bias)
        self.v_proj = Linear(hidden_size, kv_width, dtype, device, has_bias)
        self.o_proj = Linear(width, hidden_size, dtype, device, has_bias)

    def __call__(
        self,
        x: TensorValue,
        freqs_cis: TensorValue,
        kv_collection: KVCacheValues | None = None,
        layer_idx: int = 0,
    ) -> TensorValue:
        """Attend from each of the T tokens of x [B, T, E] to itself, those before it and the cached ones."""
        q, k, v = self.heads(x, freqs_cis)
        if kv_collection is not None:
            k, v = kv_collection.extend(layer_idx, k, v)  # (B, S, K, D)
        gathered = self.weights(q, k) @ ops.unsqueeze(v.permute([0, 2, 1, 3]), 2)  # (B, K, G, T, D)
        batch, tokens = x.shape[:2]
        rows = gathered.permute([0, 3, 1, 2, 4]).reshape([batch, tokens, self.n_heads * self.rope.head_dim])
        return self.o_proj(rows)

    def heads(self, x: TensorValue, freqs_cis: TensorValue) -> tuple[TensorValue, TensorValue, TensorValue]:
        """Cut each token into queries [B, T, H, D], keys and values [B, T, K, D]; rotate the first two."""

        def cut(rows: TensorValue, heads: int) -> TensorValue:
            return rows.reshape([*x.shape[:2], heads, self.rope.head_dim])

        q, k = cut(self.q_proj(x), self.n_heads), cut(self.k_proj(x), self.n_kv_heads)
        v = cut(self.v_proj(x), self.n_kv_heads)
        return self.rope.rotate(q, freqs_cis), self.rope.rotate(k, freqs_cis), v

    def weights(self, q: TensorValue, k: TensorValue) -> TensorValue:
        """Return how much each query takes from each key: [B, K, G, T, S], every row adding up to 1."""
        batch, tokens, _, head_dim = q.shape
        groups = self.n_heads // self.n_kv_heads
        q = q.reshape([batch, tokens, self.n_kv_heads, groups, head_dim]).permute([0, 2, 3, 1, 4])
        k = ops.unsqueeze(k.permute([0, 2, 3, 1]), 2)  # (B, K, 1, D, S): heads of a group share it, uncopied
        scores = q @ k * self.scale  # (B, K, G, T, S)
        mask = causal_mask(tokens, k.shape[-1], q.device)
        return ops.softmax(ops.where(mask, scores, float("-inf")))


AttentionWithRope = Attention
