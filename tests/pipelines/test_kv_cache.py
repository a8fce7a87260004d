"""A cache grows by what a call made, hands out its own memory, and says when it is full."""

import numpy as np
import pytest

from workshop.dtype import DType
from workshop.nn import KVCacheParams, ModelError
from workshop.pipelines import KVCache

PARAMS = KVCacheParams(n_kv_heads=2, head_dim=4, num_layers=3)


def entries(tokens: int, value: float = 0) -> np.ndarray:
    return np.full((tokens, 3, 2, 1, 2, 4), value, np.float32)


def test_entries_are_the_tokens_in_order_without_a_copy() -> None:
    cache = KVCache(PARAMS, batch=1, max_length=8)
    cache.append(entries(2, 1))
    cache.append(entries(1, 2))
    assert cache.entries()[:, 0, 0, 0, 0, 0].tolist() == [1, 1, 2]
    assert np.shares_memory(cache.entries(), cache.entries()) and cache.entries().flags.c_contiguous


def test_an_empty_cache_has_entries_of_length_0() -> None:
    assert KVCache(PARAMS, batch=5, max_length=8).entries().shape == (0, 3, 2, 5, 2, 4)


def test_the_memory_is_what_the_parameters_say() -> None:
    half = KVCacheParams(n_kv_heads=2, head_dim=4, num_layers=3, dtype=DType.bfloat16)
    assert KVCache(PARAMS, 5, 8).nbytes == 8 * 5 * PARAMS.bytes_per_token == 2 * KVCache(half, 5, 8).nbytes


def test_reset_forgets_the_newest_tokens() -> None:
    cache = KVCache(PARAMS, batch=1, max_length=4)
    cache.append(entries(3))
    cache.reset(1)
    assert cache.length == 1
    with pytest.raises(ModelError, match="the cache holds 1 tokens, it cannot keep 2"):
        cache.reset(2)


def test_what_does_not_fit_is_refused_and_changes_nothing() -> None:
    cache = KVCache(PARAMS, batch=1, max_length=2)
    cache.append(entries(1))
    with pytest.raises(ModelError, match="the cache holds 1 of 2 tokens, 2 more do not fit"):
        cache.append(entries(2))
    with pytest.raises(ModelError, match=r"entries are \[1, 3, 2, 5, 2, 4\], .* \[tokens, 3, 2, 1, 2, 4\]"):
        cache.append(np.zeros((1, 3, 2, 5, 2, 4), np.float32))
    assert cache.length == 1


def test_a_cache_of_nothing_is_refused() -> None:
    with pytest.raises(ModelError, match="got batch 0, max_length 8"):
        KVCache(PARAMS, batch=0, max_length=8)
