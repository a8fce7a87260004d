"""From files to text: weights, architectures, caches, generation."""

from workshop.pipelines.architecture import (
    SupportedArchitecture,
    architecture_of,
    architectures,
    register,
)
from workshop.pipelines.generate import generate, generate_batch
from workshop.pipelines.kv_cache import KVCache
from workshop.pipelines.llama import LlamaConfig, build_llama, llama_block
from workshop.pipelines.model import LanguageModel, language_model_graph
from workshop.pipelines.weights import load_weights, rename

__all__ = [
    "KVCache",
    "LanguageModel",
    "LlamaConfig",
    "SupportedArchitecture",
    "architecture_of",
    "architectures",
    "build_llama",
    "generate",
    "generate_batch",
    "language_model_graph",
    "llama_block",
    "load_weights",
    "register",
    "rename",
]
