"""A language model from a folder: config.json and safetensors in, logits out.

B batch, T tokens now, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from workshop.dtype import DType
from workshop.engine import InferenceSession
from workshop.errors import caller_loc
from workshop.graph import Graph, TensorType, TensorValue
from workshop.nn import KVCacheValues, ModelError, ReturnLogits, Transformer
from workshop.pipelines.architecture import architecture_of
from workshop.pipelines.kv_cache import KVCache
from workshop.pipelines.weights import load_weights, read_json, rename

Array = npt.NDArray[Any]


def language_model_graph(layers: Transformer, name: str = "language_model") -> Graph:
    """Build the one graph that serves prompts and single tokens: (tokens, cache) -> (logits, new entries).

    Shapes: tokens int64 [batch, seq]; cache [past, layers, 2, batch, kv heads, head_dim], `past` may be 0.
    """
    tokens = TensorType(DType.int64, ["batch", "seq"])

    def forward(tokens: TensorValue, cache: TensorValue) -> tuple[TensorValue, TensorValue]:
        kv_collection = KVCacheValues(layers.kv_params, cache)
        logits = layers(tokens, kv_collection)
        return logits, kv_collection.new_entries()

    return Graph(name, forward, input_types=[tokens, layers.kv_params.input_type()])


class LanguageModel:
    """Computes logits of tokens, with a cache of what it saw before.

    `LanguageModel.load(folder)` reads a model that transformers wrote. Layers whose weights are loaded can be
    given directly.
    """

    def __init__(self, layers: Transformer, config: Mapping[str, Any] | None = None) -> None:
        self.layers = layers
        self.config = dict(config or {})
        self.graph = language_model_graph(layers)
        self._model = InferenceSession().load(self.graph, weights_registry=layers.weights_registry())

    @classmethod
    def load(
        cls,
        folder: str | Path,
        dtype: DType = DType.float32,
        return_logits: ReturnLogits = ReturnLogits.ALL,
    ) -> LanguageModel:
        """Read config.json and the safetensors beside it; floats are converted to `dtype`.

        Raises ModelError for an unknown architecture, a broken file, or weights that do not fit the config.
        """
        config = read_json(Path(folder) / "config.json")
        architecture = architecture_of(config)
        layers = architecture.build(config, dtype, return_logits)
        weights = rename(load_weights(folder, dtype), architecture.weight_name)
        if config.get("tie_word_embeddings"):
            weights.pop("lm_head.weight", None)  # some files hold the shared table twice
        layers.load_state_dict(weights)
        return cls(layers, config)

    @property
    def vocab_size(self) -> int:
        """How many tokens there are."""
        return int(self.layers.embed_tokens.weight.shape[0])

    @property
    def max_length(self) -> int:
        """The greatest number of tokens in a sequence."""
        return self.layers.rope.max_seq_len

    def new_cache(self, batch: int = 1, max_length: int | None = None) -> KVCache:
        """Return an empty cache for `batch` sequences of up to `max_length` tokens."""
        length = self.max_length if max_length is None else max_length
        if length > self.max_length:
            raise ModelError(f"this model takes {self.max_length} tokens at most, not {length}", caller_loc())
        return KVCache(self.layers.kv_params, batch, length)

    def logits(self, tokens: Any, cache: KVCache | None = None) -> npt.NDArray[np.float32]:
        """Compute logits [B, T, V] of tokens [B, T] that follow those in the cache, and add them to it.

        Raises ModelError for tokens outside the vocabulary, and where they do not fit into the cache.
        """
        ids = self._checked(tokens)
        batch, count = ids.shape
        store = self.new_cache(batch, count) if cache is None else cache
        if store.batch != batch:
            raise ModelError(f"tokens are of {batch} sequences, the cache is of {store.batch}", caller_loc())
        store.check_room(count)
        logits, entries = self._model.execute(ids, store.entries())
        store.append(entries.to_numpy())
        return logits.to_numpy()

    def _checked(self, tokens: Any) -> npt.NDArray[np.int64]:
        ids = np.asarray(tokens)
        if ids.ndim != 2 or ids.size == 0 or ids.dtype.kind not in "iu":
            found = f"got {ids.dtype} {list(ids.shape)}"
            raise ModelError(f"tokens are integers [batch, seq], at least one token; {found}", caller_loc())
        wrong = ids[(ids < 0) | (ids >= self.vocab_size)]
        if wrong.size:
            text = f"token {wrong.flat[0]} is not in the vocabulary, 0 to {self.vocab_size - 1}"
            raise ModelError(text, caller_loc())
        return ids.astype(np.int64)

    def __repr__(self) -> str:
        params = self.layers.kv_params
        count = sum(weight.type.num_elements() for weight in self.layers.raw_state_dict().values())
        return f"LanguageModel({params.num_layers} layers, {count} parameters, vocabulary {self.vocab_size})"
