"""Llama: its config.json, its layers, and the names of its weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from workshop.dtype import DType
from workshop.errors import caller_loc
from workshop.nn import (
    Attention,
    Embedding,
    FeedForward,
    KVCacheParams,
    Linear,
    ModelError,
    ReturnLogits,
    RMSNorm,
    RotaryEmbedding,
    Transformer,
    TransformerBlock,
)
from workshop.pipelines.architecture import SupportedArchitecture, register

REQUIRED = ("hidden_size", "intermediate_size", "num_attention_heads", "num_hidden_layers", "vocab_size")


@dataclass(frozen=True, slots=True, kw_only=True)
class LlamaConfig:
    """Holds the numbers that shape a Llama, under the names of its config.json."""

    vocab_size: int
    hidden_size: int
    intermediate_size: int
    num_hidden_layers: int
    num_attention_heads: int
    num_key_value_heads: int
    head_dim: int
    max_position_embeddings: int = 2048
    rms_norm_eps: float = 1e-6
    rope_theta: float = 10000.0
    attention_bias: bool = False
    mlp_bias: bool = False
    tie_word_embeddings: bool = False

    @classmethod
    def from_dict(cls, config: Mapping[str, Any]) -> LlamaConfig:
        """Read what config.json holds; raises ModelError for what is missing or what we do not have."""
        missing = [name for name in REQUIRED if not isinstance(config.get(name), int)]
        if missing:
            raise ModelError(f"the config of a Llama needs integers for {', '.join(missing)}", caller_loc())
        _check_supported(config)
        given = {name: config[name] for name in cls.__slots__ if config.get(name) is not None}
        heads = config["num_attention_heads"]
        given.setdefault("num_key_value_heads", heads)
        given.setdefault("head_dim", config["hidden_size"] // heads)
        given["rope_theta"] = float(_rope(config).get("rope_theta", given.get("rope_theta", 10000.0)))
        return cls(**given)

    def kv_params(self, dtype: DType = DType.float32) -> KVCacheParams:
        """What one token leaves in the cache."""
        return KVCacheParams(self.num_key_value_heads, self.head_dim, self.num_hidden_layers, dtype)


def _rope(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """Newer files hold rope_parameters, older ones rope_theta and rope_scaling."""
    return config.get("rope_parameters") or config.get("rope_scaling") or {}


def _check_supported(config: Mapping[str, Any]) -> None:
    kind = _rope(config).get("rope_type", _rope(config).get("type", "default"))
    if kind != "default":
        raise ModelError(f"rotary scaling of type '{kind}' is not built; only 'default' is", caller_loc())
    activation = config.get("hidden_act", "silu")
    if activation != "silu":
        raise ModelError(f"hidden_act '{activation}' is not built for Llama; only 'silu' is", caller_loc())


def build_llama(
    config: Mapping[str, Any] | LlamaConfig,
    dtype: DType = DType.float32,
    return_logits: ReturnLogits = ReturnLogits.ALL,
) -> Transformer:
    """Make the layers of a Llama; its weights come with `load_state_dict`."""
    c = config if isinstance(config, LlamaConfig) else LlamaConfig.from_dict(config)
    rope = RotaryEmbedding(
        c.hidden_size,
        c.num_attention_heads,
        c.rope_theta,
        c.max_position_embeddings,
        c.head_dim,
        interleaved=False,
    )
    embedding = Embedding(c.vocab_size, c.hidden_size, dtype)
    tied = embedding.weight if c.tie_word_embeddings else None
    return Transformer(
        layers=[llama_block(c, rope, dtype) for _ in range(c.num_hidden_layers)],
        norm=_norm(c, dtype),
        output=Linear(c.hidden_size, c.vocab_size, dtype, tied_weight=tied),
        embedding=embedding,
        kv_params=c.kv_params(dtype),
        rope=rope,
        return_logits=return_logits,
    )


def llama_block(c: LlamaConfig, rope: RotaryEmbedding, dtype: DType = DType.float32) -> TransformerBlock:
    """Make one block of a Llama."""
    return TransformerBlock(
        attention=Attention(
            rope=rope,
            num_attention_heads=c.num_attention_heads,
            num_key_value_heads=c.num_key_value_heads,
            hidden_size=c.hidden_size,
            dtype=dtype,
            has_bias=c.attention_bias,
        ),
        mlp=FeedForward(c.hidden_size, c.intermediate_size, dtype, has_bias=c.mlp_bias),
        attention_norm=_norm(c, dtype),
        mlp_norm=_norm(c, dtype),
    )


def _norm(c: LlamaConfig, dtype: DType) -> RMSNorm:
    return RMSNorm(c.hidden_size, dtype, c.rms_norm_eps, multiply_before_cast=False)


def weight_name(name: str) -> str | None:
    """Turn a name in a checkpoint of transformers into ours.

    >>> weight_name("model.layers.0.mlp.up_proj.weight")
    'layers.0.mlp.up_proj.weight'
    """
    if name.endswith("rotary_emb.inv_freq"):  # old files store it; it follows from the config
        return None
    return name.removeprefix("model.")


LLAMA = register(SupportedArchitecture("LlamaForCausalLM", build_llama, weight_name))
