"""Generating text token by token: read the prompt once, then feed back what was chosen.

B batch, T tokens.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from workshop.errors import caller_loc
from workshop.nn import ModelError
from workshop.pipelines.kv_cache import KVCache
from workshop.pipelines.model import LanguageModel

Tokens = npt.NDArray[np.int64]


def generate(
    model: LanguageModel,
    prompt: Sequence[int],
    max_new_tokens: int = 32,
    *,
    stop: Sequence[int] = (),
    cache: KVCache | None = None,
) -> Iterator[int]:
    """Yield greedy tokens after a prompt, each as soon as it is known; a token in `stop` is the last.

    A cache that is given keeps the sequence, so a later prompt continues it. Raises ModelError, before the
    first token, where prompt and new tokens do not fit.
    """
    steps = generate_batch(model, [list(prompt)], max_new_tokens, cache=cache)
    return _first_of_each(steps, set(stop))


def _first_of_each(steps: Iterator[Tokens], stop: set[int]) -> Iterator[int]:
    for chosen in steps:
        token = int(chosen[0])
        yield token
        if token in stop:
            return


def generate_batch(
    model: LanguageModel, prompts: Any, max_new_tokens: int = 32, *, cache: KVCache | None = None
) -> Iterator[Tokens]:
    """Yield the next greedy token of every sequence, [B], for prompts of one length, [B, T]."""
    if max_new_tokens < 0:
        raise ModelError(f"max_new_tokens must be 0 or more, got {max_new_tokens}", caller_loc())
    tokens = _as_tokens(prompts)
    needed = tokens.shape[1] + max(max_new_tokens - 1, 0)  # the last token is never fed back
    store = model.new_cache(len(tokens), needed) if cache is None else cache
    store.check_room(needed)
    return _steps(model, tokens, max_new_tokens, store)


def _steps(model: LanguageModel, tokens: Tokens, count: int, cache: KVCache) -> Iterator[Tokens]:
    for _ in range(count):
        chosen = model.logits(tokens, cache)[:, -1].argmax(axis=-1)  # (B,)
        yield chosen
        tokens = chosen[:, None]  # (B, 1)


def _as_tokens(prompts: Any) -> Tokens:
    lengths = sorted({len(prompt) for prompt in prompts})
    if len(lengths) != 1 or lengths[0] == 0:
        text = f"prompts must all have one length of at least 1, got lengths {lengths}"
        raise ModelError(text, caller_loc())
    return np.asarray(prompts)
