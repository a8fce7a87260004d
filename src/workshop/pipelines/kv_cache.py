"""The memory that holds the keys and values of earlier tokens between the calls of a model."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from workshop.errors import caller_loc
from workshop.nn import KVCacheParams, ModelError

Array = npt.NDArray[Any]


class KVCache:
    """Holds up to `max_length` tokens for each of `batch` sequences, which grow together.

    >>> cache = KVCache(KVCacheParams(n_kv_heads=2, head_dim=4, num_layers=1), batch=1, max_length=8)
    >>> cache.append(np.ones((3, 1, 2, 1, 2, 4), np.float32))
    >>> cache, cache.entries().shape
    (KVCache(3 of 8 tokens, batch 1, 512 bytes), (3, 1, 2, 1, 2, 4))
    """

    def __init__(self, params: KVCacheParams, batch: int, max_length: int) -> None:
        if batch < 1 or max_length < 1:
            text = f"got batch {batch}, max_length {max_length}; a cache holds one token or more"
            raise ModelError(text, caller_loc())
        self.params = params
        self.batch = batch
        self.max_length = max_length
        self.length = 0
        self._memory = np.zeros((max_length, *_entry_shape(params, batch)), params.dtype.to_numpy())

    @property
    def nbytes(self) -> int:
        """Bytes of memory, used or not."""
        return int(self._memory.nbytes)

    def entries(self) -> Array:
        """Return what is cached, without a copy: [length, layers, 2, batch, kv heads, head_dim]."""
        return self._memory[: self.length]

    def check_room(self, tokens: int) -> None:
        """Raise ModelError unless that many tokens more fit."""
        if self.length + tokens > self.max_length:
            text = f"the cache holds {self.length} of {self.max_length} tokens, {tokens} more do not fit"
            raise ModelError(f"{text}; make it with a greater max_length, or reset() it", caller_loc())

    def append(self, entries: Array) -> None:
        """Add the entries that a call of the model made; raises ModelError where they do not fit."""
        wanted = _entry_shape(self.params, self.batch)
        if entries.shape[1:] != wanted:
            text = f"entries are {list(entries.shape)}, this cache takes [tokens, {str(list(wanted))[1:]}"
            raise ModelError(text, caller_loc())
        self.check_room(len(entries))
        self._memory[self.length : self.length + len(entries)] = entries
        self.length += len(entries)

    def reset(self, length: int = 0) -> None:
        """Forget all tokens but the first `length`."""
        if not 0 <= length <= self.length:
            raise ModelError(f"the cache holds {self.length} tokens, it cannot keep {length}", caller_loc())
        self.length = length

    def __repr__(self) -> str:
        held = f"{self.length} of {self.max_length} tokens"
        return f"KVCache({held}, batch {self.batch}, {self.nbytes} bytes)"


def _entry_shape(params: KVCacheParams, batch: int) -> tuple[int, ...]:
    return params.num_layers, 2, batch, params.n_kv_heads, params.head_dim
