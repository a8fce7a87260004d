"""A tiny Llama of random weights, written by transformers into a folder."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from workshop.pipelines import LanguageModel

OPTIONS = {
    "vocab_size": 128,
    "hidden_size": 64,
    "intermediate_size": 160,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 96,
    "initializer_range": 0.25,  # wide enough that no two logits are nearly equal
    "bos_token_id": None,
    "eos_token_id": None,
}


@dataclass
class Pair:
    """transformers' model, the folder it was saved to, and ours read from there."""

    theirs: Any
    folder: Path
    ours: LanguageModel

    def their_logits(self, tokens: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
        import torch

        with torch.no_grad():
            logits: npt.NDArray[np.float32] = self.theirs(torch.tensor(tokens)).logits.float().numpy()
        return logits

    def their_greedy(self, prompt: list[int], count: int) -> list[int]:
        import torch

        made = self.theirs.generate(torch.tensor([prompt]), do_sample=False, max_new_tokens=count)
        tokens: list[int] = made[0, len(prompt) :].tolist()
        return tokens


def make_pair(folder: Path, **options: Any) -> Pair:
    pytest.importorskip("torch", reason="needs torch (pip install torch)")
    transformers = pytest.importorskip("transformers", reason="needs transformers (pip install transformers)")
    import torch

    transformers.utils.logging.disable_progress_bar()
    torch.manual_seed(0)
    dtype = options.pop("dtype", torch.float32)
    config = transformers.LlamaConfig(**{**OPTIONS, **options})
    transformers.LlamaForCausalLM(config).to(dtype).save_pretrained(folder)
    theirs = transformers.LlamaForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    return Pair(theirs, folder, LanguageModel.load(folder))


@pytest.fixture(scope="session")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    return make_pair(tmp_path_factory.mktemp("llama"))


@pytest.fixture
def make_llama(tmp_path: Path) -> Any:
    return lambda **options: make_pair(tmp_path, **options)
