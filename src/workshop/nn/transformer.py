"""The Transformer block and the stack of blocks that makes a language model.

B batch, T tokens, E hidden size, V vocabulary.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence

from workshop.dtype import DType
from workshop.graph import TensorValue
from workshop.nn.kv_cache import KVCacheParams, KVCacheValues
from workshop.nn.linear import Embedding, Linear
from workshop.nn.module import LayerList, Module
from workshop.nn.rotary_embedding import RotaryEmbedding


class ReturnLogits(enum.StrEnum):
    """Says for which tokens a Transformer returns logits."""

    LAST_TOKEN = "last_token"
    ALL = "all"


class TransformerBlock(Module):
    """Adds attention and then the feed-forward part to a stream of rows, each reading it normalised.

    x = x + attention(norm(x)); x = x + mlp(norm(x)), each sum's right side times `residual_multiplier`.
    """

    def __init__(
        self,
        attention: Module,
        mlp: Module,
        attention_norm: Module,
        mlp_norm: Module,
        residual_multiplier: float = 1.0,
    ) -> None:
        self.self_attn = attention
        self.mlp = mlp
        self.input_layernorm = attention_norm
        self.post_attention_layernorm = mlp_norm
        self.residual_multiplier = residual_multiplier

    def __call__(
        self,
        x: TensorValue,
        freqs_cis: TensorValue,
        kv_collection: KVCacheValues | None = None,
        layer_idx: int = 0,
    ) -> TensorValue:
        """Map the stream [B, T, E] -> [B, T, E]."""
        x = x + self._scaled(self.self_attn(self.input_layernorm(x), freqs_cis, kv_collection, layer_idx))
        return x + self._scaled(self.mlp(self.post_attention_layernorm(x)))

    def _scaled(self, x: TensorValue) -> TensorValue:
        return x if self.residual_multiplier == 1.0 else x * self.residual_multiplier


class Transformer(Module):
    """Turns tokens into logits: embedding, blocks, norm, output.

    Weight names: embed_tokens, layers.0 and on, norm, lm_head.
    """

    def __init__(
        self,
        layers: Sequence[TransformerBlock],
        norm: Module,
        output: Linear,
        embedding: Embedding,
        kv_params: KVCacheParams,
        rope: RotaryEmbedding,
        return_logits: ReturnLogits = ReturnLogits.ALL,
    ) -> None:
        self.embed_tokens = embedding
        self.layers = LayerList(layers)
        self.norm = norm
        self.lm_head = output
        self.rope = rope
        self.kv_params = kv_params
        self.return_logits = return_logits

    def __call__(self, tokens: TensorValue, kv_collection: KVCacheValues | None = None) -> TensorValue:
        """Map tokens [B, T] to float32 logits [B, T, V], or [B, 1, V] where only the last are wanted."""
        start = 0 if kv_collection is None else kv_collection.length
        freqs_cis = self.rope.freqs_cis(start, tokens.shape[1])
        x = self.embed_tokens(tokens)  # (B, T, E)
        for index, layer in enumerate(self.layers):
            x = layer(x, freqs_cis, kv_collection, index)
        if self.return_logits is ReturnLogits.LAST_TOKEN:
            x = x[:, -1:]
        return self.lm_head(self.norm(x)).cast(DType.float32)
