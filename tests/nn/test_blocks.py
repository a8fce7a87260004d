"""Each block alone computes what transformers' own module computes, to 1e-5."""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from workshop.dtype import DType
from workshop.engine import InferenceSession
from workshop.errors import GraphError
from workshop.graph import Graph, TensorType
from workshop.nn import (
    Attention,
    FeedForward,
    KVCacheParams,
    KVCacheValues,
    Linear,
    ModelError,
    RMSNorm,
    RotaryEmbedding,
)
from workshop.pipelines import LlamaConfig, llama_block

Array = npt.NDArray[Any]
RunLayer = Callable[..., Array]
CLOSE = {"rtol": 0, "atol": 1e-5}


def ours(config: Any) -> LlamaConfig:
    return LlamaConfig.from_dict(config.to_dict())


def rope_of(c: LlamaConfig) -> RotaryEmbedding:
    return RotaryEmbedding(
        c.hidden_size, c.num_attention_heads, c.rope_theta, c.max_position_embeddings, interleaved=False
    )


def hidden(rng: np.random.Generator, config: Any, batch: int = 2, tokens: int = 7) -> Array:
    return rng.standard_normal((batch, tokens, config.hidden_size)).astype(np.float32)


def their_positions(config: Any, x: Array, start: int = 0) -> Any:
    import torch
    from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding

    positions = torch.arange(start, start + x.shape[1])[None]
    return LlamaRotaryEmbedding(config)(torch.tensor(x), positions)


def their_mask(tokens: int) -> Any:
    import torch

    return torch.full((tokens, tokens), -torch.inf).triu(1)[None, None]


def test_rms_norm_is_transformers(tiny: Any, rng: np.random.Generator, run_layer: RunLayer) -> None:
    import torch
    from transformers.models.llama.modeling_llama import LlamaRMSNorm

    theirs = LlamaRMSNorm(48, eps=1e-5)
    torch.nn.init.normal_(theirs.weight)
    layer = RMSNorm(48, eps=1e-5)
    layer.load_state_dict(theirs.state_dict())
    x = hidden(rng, tiny)
    with torch.no_grad():
        np.testing.assert_allclose(run_layer(layer, layer, x), theirs(torch.tensor(x)).numpy(), **CLOSE)


def test_feed_forward_is_transformers(tiny: Any, rng: np.random.Generator, run_layer: RunLayer) -> None:
    import torch
    from transformers.models.llama.modeling_llama import LlamaMLP

    theirs = LlamaMLP(tiny)
    layer = FeedForward(tiny.hidden_size, tiny.intermediate_size)
    layer.load_state_dict(theirs.state_dict())
    x = hidden(rng, tiny)
    with torch.no_grad():
        np.testing.assert_allclose(run_layer(layer, layer, x), theirs(torch.tensor(x)).numpy(), **CLOSE)


@pytest.mark.parametrize("start", [0, 40])
def test_rope_is_transformers(tiny: Any, rng: np.random.Generator, run_layer: RunLayer, start: int) -> None:
    import torch
    from transformers.models.llama.modeling_llama import apply_rotary_pos_emb

    q = rng.standard_normal((2, 9, 4, 12)).astype(np.float32)  # (B, T, H, D)
    cos, sin = their_positions(tiny, hidden(rng, tiny, tokens=9), start)
    turned, _ = apply_rotary_pos_emb(*[torch.tensor(q).transpose(1, 2)] * 2, cos, sin)
    rope = rope_of(ours(tiny))
    mine = run_layer(rope, lambda x: rope(x, start_pos=start), q)
    np.testing.assert_allclose(mine, turned.transpose(1, 2).numpy(), **CLOSE)


def test_interleaved_rope_multiplies_complex_numbers(rng: np.random.Generator, run_layer: RunLayer) -> None:
    x = rng.standard_normal((1, 5, 2, 8)).astype(np.float32)
    rope = RotaryEmbedding(16, 2, theta=100.0, max_seq_len=5)
    angles = np.outer(np.arange(5), 100.0 ** (-np.arange(0, 8, 2) / 8))  # (T, D/2)
    turned = (x[..., ::2] + 1j * x[..., 1::2]) * np.exp(1j * angles)[:, None]
    wanted = np.stack([turned.real, turned.imag], -1).reshape(x.shape)
    np.testing.assert_allclose(run_layer(rope, rope, x), wanted, **CLOSE)


def test_scores_of_rotated_heads_depend_on_distance_only(
    rng: np.random.Generator, run_layer: RunLayer
) -> None:
    rope = RotaryEmbedding(8, 1, theta=10000.0, max_seq_len=64)
    q, k = rng.standard_normal((2, 1, 1, 1, 8)).astype(np.float32)

    def score(at: int) -> float:
        turned_q = run_layer(rope, lambda x: rope(x, start_pos=at + 3), q)
        turned_k = run_layer(rope, lambda x: rope(x, start_pos=at), k)
        return float((turned_q * turned_k).sum())

    assert score(0) == pytest.approx(score(40), abs=1e-5)


def test_attention_is_transformers(tiny: Any, rng: np.random.Generator, run_layer: RunLayer) -> None:
    import torch
    from transformers.models.llama.modeling_llama import LlamaAttention

    theirs = LlamaAttention(tiny, layer_idx=0)
    rope = rope_of(ours(tiny))
    layer = Attention(rope=rope, num_attention_heads=4, num_key_value_heads=2, hidden_size=48)
    layer.load_state_dict(theirs.state_dict())
    x = hidden(rng, tiny)
    with torch.no_grad():
        wanted = theirs(torch.tensor(x), their_positions(tiny, x), their_mask(7))[0].numpy()
    mine = run_layer(layer, lambda v: layer(v, rope.freqs_cis(0, 7)), x)
    np.testing.assert_allclose(mine, wanted, **CLOSE)


def test_transformer_block_is_transformers(tiny: Any, rng: np.random.Generator, run_layer: RunLayer) -> None:
    import torch
    from transformers.models.llama.modeling_llama import LlamaDecoderLayer

    theirs = LlamaDecoderLayer(tiny, layer_idx=0)
    rope = rope_of(ours(tiny))
    block = llama_block(ours(tiny), rope)
    block.load_state_dict(theirs.state_dict())
    x = hidden(rng, tiny)
    with torch.no_grad():
        made = theirs(torch.tensor(x), their_mask(7), position_embeddings=their_positions(tiny, x))
    wanted = (made[0] if isinstance(made, tuple) else made).numpy()
    mine = run_layer(block, lambda v: block(v, rope.freqs_cis(0, 7)), x)
    np.testing.assert_allclose(mine, wanted, **CLOSE)


def attention(heads: int = 4, kv_heads: int = 2) -> Attention:
    rope = RotaryEmbedding(16, heads, theta=10000.0, max_seq_len=32, interleaved=False)
    layer = Attention(rope=rope, num_attention_heads=heads, num_key_value_heads=kv_heads, hidden_size=16)
    rng = np.random.default_rng(1)
    random = {n: rng.standard_normal(w.shape.static_dims) for n, w in layer.raw_state_dict().items()}
    layer.load_state_dict({name: array.astype(np.float32) for name, array in random.items()})
    return layer


def test_attention_in_two_pieces_with_a_cache_is_attention_at_once(
    rng: np.random.Generator, run_layer: RunLayer
) -> None:
    layer = attention()
    params = KVCacheParams(n_kv_heads=2, head_dim=4, num_layers=1)

    def forward(x: Any, cache: Any) -> Any:
        kv = KVCacheValues(params, cache)
        out = layer(x, layer.rope.freqs_cis(kv.length, x.shape[1]), kv)
        return out, kv.new_entries()

    types = [TensorType(DType.float32, ["batch", "seq", 16]), params.input_type()]
    model = InferenceSession().load(Graph("cached", forward, types), weights_registry=layer.state_dict())
    x = rng.standard_normal((3, 6, 16)).astype(np.float32)
    first, entries = model.execute(x[:, :4], np.zeros((0, 1, 2, 3, 2, 4), np.float32))
    second, _ = model.execute(np.ascontiguousarray(x[:, 4:]), entries)
    whole = run_layer(layer, lambda v: layer(v, layer.rope.freqs_cis(0, 6)), x)
    pieces = np.concatenate([first.to_numpy(), second.to_numpy()], axis=1)
    np.testing.assert_allclose(pieces, whole, **CLOSE)


def test_attention_never_looks_ahead(rng: np.random.Generator, run_layer: RunLayer) -> None:
    layer = attention()
    x = rng.standard_normal((1, 6, 16)).astype(np.float32)
    changed = x.copy()
    changed[:, 4:] += 1

    def attend(v: Any) -> Any:
        return layer(v, layer.rope.freqs_cis(0, 6))

    before, after = run_layer(layer, attend, x), run_layer(layer, attend, changed)
    np.testing.assert_array_equal(before[:, :4], after[:, :4])
    assert not np.allclose(before[:, 4:], after[:, 4:])


def test_heads_that_do_not_divide_are_refused_with_both_numbers() -> None:
    rope = RotaryEmbedding(48, 4, theta=1e4, max_seq_len=8)
    with pytest.raises(ModelError, match="4 heads cannot share 3 key-value heads evenly"):
        Attention(rope=rope, num_attention_heads=4, num_key_value_heads=3, hidden_size=48)


def test_an_odd_head_size_is_refused() -> None:
    with pytest.raises(ModelError, match="head_dim must be even to form pairs, got 5"):
        RotaryEmbedding(10, 2, theta=1e4, max_seq_len=8)


def test_a_cache_of_other_layers_is_refused_with_both_types() -> None:
    params = KVCacheParams(n_kv_heads=2, head_dim=4, num_layers=1)
    other = KVCacheParams(n_kv_heads=2, head_dim=8, num_layers=1)
    with pytest.raises(ModelError, match=r"the cache is .*2, 8\], these parameters make it .*2, 4\]"):
        Graph("g", lambda cache: KVCacheValues(params, cache).length, [other.input_type()])


def test_layers_that_extend_a_cache_out_of_order_are_refused() -> None:
    layer, params = attention(), KVCacheParams(n_kv_heads=2, head_dim=4, num_layers=2)

    def forward(x: Any, cache: Any) -> Any:
        return layer(x, layer.rope.freqs_cis(0, 3), KVCacheValues(params, cache), layer_idx=1)

    with pytest.raises(ModelError, match="layer 1 extends the cache, but layer 0 is next of 2"):
        Graph("g", forward, [TensorType(DType.float32, [1, 3, 16]), params.input_type(batch=1)])


def test_a_wrong_width_is_reported_at_the_line_that_called_the_layer() -> None:
    layer = Linear(4, 8)
    with pytest.raises(GraphError, match="the inner dimensions differ") as caught:
        Graph("g", lambda x: layer(x), [TensorType(DType.float32, [2, 5])])
    assert "test_blocks.py" in str(caught.value) and "layer(x)" in str(caught.value)
