"""Layers of language models in MAX's names; calling one adds nodes to the graph being built."""

from workshop.nn.attention import Attention, AttentionWithRope, causal_mask
from workshop.nn.feed_forward import MLP, FeedForward
from workshop.nn.kv_cache import KVCacheParams, KVCacheValues
from workshop.nn.linear import Embedding, Linear
from workshop.nn.module import Layer, LayerList, ModelError, Module, Sequential
from workshop.nn.norm import RMSNorm
from workshop.nn.rotary_embedding import RotaryEmbedding
from workshop.nn.transformer import ReturnLogits, Transformer, TransformerBlock

__all__ = [
    "MLP",
    "Attention",
    "AttentionWithRope",
    "Embedding",
    "FeedForward",
    "KVCacheParams",
    "KVCacheValues",
    "Layer",
    "LayerList",
    "Linear",
    "ModelError",
    "Module",
    "RMSNorm",
    "ReturnLogits",
    "RotaryEmbedding",
    "Sequential",
    "Transformer",
    "TransformerBlock",
    "causal_mask",
]
