"""A tiny Llama from safetensors: transformers' logits to 1e-4, and its greedy tokens."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from workshop.dtype import DType
from workshop.nn import ModelError, ReturnLogits
from workshop.pipelines import (
    LanguageModel,
    LlamaConfig,
    SupportedArchitecture,
    architecture,
    architecture_of,
    generate,
    generate_batch,
    register,
)

CLOSE = {"rtol": 0, "atol": 1e-4}
PROMPT = [3, 17, 92, 5, 64, 11, 120]


def tokens(batch: int, count: int, seed: int = 0) -> Any:
    return np.random.default_rng(seed).integers(0, 128, (batch, count))


def test_prefill_logits_are_transformers(llama: Any) -> None:
    ids = tokens(2, 12)
    wanted = llama.their_logits(ids)
    assert abs(wanted).max() > 1
    np.testing.assert_allclose(llama.ours.logits(ids), wanted, **CLOSE)


@pytest.mark.parametrize("pieces", [[12], [5, 7], [5, 1, 1, 5], [1] * 12])
def test_cached_logits_are_transformers_however_the_tokens_are_cut(llama: Any, pieces: list[int]) -> None:
    ids = tokens(2, 12, seed=1)
    cache = llama.ours.new_cache(batch=2, max_length=12)
    cuts = np.split(ids, np.cumsum(pieces)[:-1], axis=1)
    logits = np.concatenate([llama.ours.logits(cut, cache) for cut in cuts], axis=1)
    np.testing.assert_allclose(logits, llama.their_logits(ids), **CLOSE)
    assert cache.length == 12


def test_32_greedy_tokens_are_transformers(llama: Any) -> None:
    wanted = llama.their_greedy(PROMPT, 32)
    assert len(set(wanted)) > 5
    assert list(generate(llama.ours, PROMPT, 32)) == wanted


@pytest.mark.parametrize(
    "options",
    [
        {"num_key_value_heads": 4},
        {"num_key_value_heads": 1},
        {"tie_word_embeddings": True},
        {"attention_bias": True, "mlp_bias": True},
        {"head_dim": 24},
        {"rope_parameters": {"rope_type": "default", "rope_theta": 500.0}, "rms_norm_eps": 1e-2},
    ],
    ids=["full heads", "one kv head", "tied", "biases", "wide heads", "theta and eps"],
)
def test_every_shape_of_llama_has_transformers_logits(make_llama: Any, options: dict[str, Any]) -> None:
    pair = make_llama(**options)
    ids = tokens(1, 9)
    np.testing.assert_allclose(pair.ours.logits(ids), pair.their_logits(ids), **CLOSE)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_a_16_bit_checkpoint_is_read_exactly(make_llama: Any, dtype: str) -> None:
    import torch

    pair = make_llama(dtype=getattr(torch, dtype))
    ids = tokens(1, 9)
    np.testing.assert_allclose(pair.ours.logits(ids), pair.their_logits(ids), **CLOSE)


def test_sharded_files_are_read_like_one(llama: Any, tmp_path: Path) -> None:
    llama.theirs.save_pretrained(tmp_path, max_shard_size="200KB")
    assert len(list(tmp_path.glob("*.safetensors"))) > 1
    ids = tokens(1, 5)
    np.testing.assert_array_equal(LanguageModel.load(tmp_path).logits(ids), llama.ours.logits(ids))


def test_a_bfloat16_model_runs_in_bfloat16(llama: Any) -> None:
    model = LanguageModel.load(llama.folder, dtype=DType.bfloat16)
    ids = tokens(1, 9)
    ours, theirs = model.logits(ids).ravel(), llama.their_logits(ids).ravel()
    assert ours @ theirs / np.sqrt((ours @ ours) * (theirs @ theirs)) > 0.99
    assert model.new_cache(max_length=1).nbytes * 2 == llama.ours.new_cache(max_length=1).nbytes


def test_last_token_logits_are_the_last_of_all(llama: Any) -> None:
    model = LanguageModel.load(llama.folder, return_logits=ReturnLogits.LAST_TOKEN)
    ids = tokens(2, 6)
    made = model.logits(ids)
    assert made.shape == (2, 1, 128)
    np.testing.assert_allclose(made, llama.ours.logits(ids)[:, -1:], atol=1e-5)
    assert list(generate(model, PROMPT, 4)) == list(generate(llama.ours, PROMPT, 4))


# --- generating


def test_generate_yields_each_token_before_the_next_is_computed(llama: Any) -> None:
    cache = llama.ours.new_cache(max_length=40)
    stream = generate(llama.ours, PROMPT, 8, cache=cache)
    assert cache.length == 0
    next(stream)
    assert cache.length == len(PROMPT)
    next(stream)
    assert cache.length == len(PROMPT) + 1


def test_generate_stops_with_a_stop_token(llama: Any) -> None:
    free = list(generate(llama.ours, PROMPT, 8))
    stopped = list(generate(llama.ours, PROMPT, 8, stop=[free[3]]))
    assert stopped == free[: free.index(free[3]) + 1]


def test_a_cache_that_was_kept_continues_the_sequence(llama: Any) -> None:
    whole = list(generate(llama.ours, PROMPT, 6))
    cache = llama.ours.new_cache(max_length=40)
    first = list(generate(llama.ours, PROMPT, 3, cache=cache))
    assert first + list(generate(llama.ours, first[-1:], 3, cache=cache)) == whole


def test_each_sequence_of_a_batch_is_generated_as_if_alone(llama: Any) -> None:
    prompts = [PROMPT, PROMPT[::-1], [1] * len(PROMPT)]
    together = np.stack(list(generate_batch(llama.ours, prompts, 6)), axis=1)
    assert together.tolist() == [list(generate(llama.ours, prompt, 6)) for prompt in prompts]


def test_no_tokens_are_generated_when_none_are_wanted(llama: Any) -> None:
    assert list(generate(llama.ours, PROMPT, 0)) == []


# --- wrong input: each is refused before anything is computed, and the cache stays as it was


@pytest.mark.parametrize(
    ("prompt", "count", "complaint"),
    [
        ([], 4, "one length of at least 1, got lengths \\[0\\]"),
        (PROMPT, 91, "this model takes 96 tokens at most, not 97"),
        (PROMPT, -1, "max_new_tokens must be 0 or more, got -1"),
    ],
)
def test_what_cannot_be_generated_is_refused_at_once(
    llama: Any, prompt: list[int], count: int, complaint: str
) -> None:
    with pytest.raises(ModelError, match=complaint):
        generate(llama.ours, prompt, count)


def test_prompts_of_several_lengths_are_refused(llama: Any) -> None:
    with pytest.raises(ModelError, match=r"got lengths \[1, 2\]"):
        generate_batch(llama.ours, [[1], [1, 2]])


@pytest.mark.parametrize(
    ("ids", "complaint"),
    [
        ([[5, 128]], "token 128 is not in the vocabulary, 0 to 127"),
        ([[-1]], "token -1 is not in the vocabulary"),
        ([5], r"tokens are integers \[batch, seq\], .* got int64 \[1\]"),
        ([[0.5]], "got float64"),
        (np.zeros((1, 0), np.int64), r"at least one token; got int64 \[1, 0\]"),
    ],
)
def test_wrong_tokens_are_refused(llama: Any, ids: Any, complaint: str) -> None:
    cache = llama.ours.new_cache(max_length=4)
    with pytest.raises(ModelError, match=complaint):
        llama.ours.logits(ids, cache)
    assert cache.length == 0


def test_a_full_cache_is_refused_and_stays_usable(llama: Any) -> None:
    cache = llama.ours.new_cache(max_length=4)
    llama.ours.logits([[1, 2, 3]], cache)
    with pytest.raises(ModelError, match="the cache holds 3 of 4 tokens, 2 more do not fit; .*max_length"):
        llama.ours.logits([[4, 5]], cache)
    assert llama.ours.logits([[4]], cache).shape == (1, 1, 128)


def test_a_cache_for_another_batch_is_refused(llama: Any) -> None:
    with pytest.raises(ModelError, match="tokens are of 2 sequences, the cache is of 1"):
        llama.ours.logits([[1], [2]], llama.ours.new_cache(batch=1))


# --- wrong folders


def write_config(folder: Path, config: dict[str, Any]) -> None:
    (folder / "config.json").write_text(json.dumps(config))


def test_a_folder_without_a_config_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="there is no config.json in"):
        LanguageModel.load(tmp_path)


def test_an_unknown_architecture_is_refused_with_the_known_ones(tmp_path: Path) -> None:
    write_config(tmp_path, {"architectures": ["LamaForCausalLM"]})
    with pytest.raises(ModelError, match=r"known are: .*LlamaForCausalLM.*did you mean LlamaForCausalLM\?"):
        LanguageModel.load(tmp_path)


CONFIG = {
    "vocab_size": 8,
    "hidden_size": 8,
    "intermediate_size": 8,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
}


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"hidden_size": None}, "needs integers for hidden_size"),
        ({"hidden_act": "gelu"}, "hidden_act 'gelu' is not built"),
        ({"rope_scaling": {"rope_type": "yarn"}}, "rotary scaling of type 'yarn' is not built"),
        ({"rope_scaling": {"type": "linear"}}, "rotary scaling of type 'linear' is not built"),
    ],
)
def test_a_config_we_cannot_build_is_refused(change: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ModelError, match=complaint):
        LlamaConfig.from_dict({**CONFIG, **change})


def test_older_config_files_are_read_too() -> None:
    config = LlamaConfig.from_dict({**CONFIG, "rope_theta": 5e5, "rope_scaling": None})
    assert (config.rope_theta, config.num_key_value_heads, config.head_dim) == (5e5, 2, 4)


def test_weights_of_another_config_are_refused_with_both_shapes(llama: Any, tmp_path: Path) -> None:
    config = json.loads((llama.folder / "config.json").read_text()) | {"intermediate_size": 96}
    write_config(tmp_path, config)
    (tmp_path / "model.safetensors").symlink_to(llama.folder / "model.safetensors")
    with pytest.raises(
        ModelError, match=r"'layers.0.mlp.gate_proj.weight' is float32\[96, 64\] in the model"
    ):
        LanguageModel.load(tmp_path)


def test_an_architecture_of_ones_own_can_be_registered_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(architecture, "_known", dict(architecture._known))
    known = architecture_of({"architectures": ["LlamaForCausalLM"]})
    mine = SupportedArchitecture("MyLlama", known.build, known.weight_name)
    assert register(mine) is architecture_of({"architectures": ["MyLlama"]})
    with pytest.raises(ModelError, match="an architecture MyLlama already exists"):
        register(SupportedArchitecture("MyLlama", known.build, str))
