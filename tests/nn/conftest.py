"""Running one layer alone, and transformers' own modules to compare with."""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from workshop.dtype import DType
from workshop.engine import InferenceSession
from workshop.graph import Graph, TensorType
from workshop.nn import Module

Array = npt.NDArray[Any]


def run_layer(layer: Module, forward: Callable[..., Any], *arrays: Array) -> Array:
    """Build a graph of `forward`, load the layer's weights and run it once."""
    types = [TensorType(DType.from_numpy(array.dtype), array.shape) for array in arrays]
    graph = Graph("layer", forward, types)
    model = InferenceSession().load(graph, weights_registry=layer.weights_registry())
    return model.execute(*arrays)[0].to_numpy()


@pytest.fixture(name="run_layer")
def run_layer_fixture() -> Callable[..., Array]:
    return run_layer


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(7)


@pytest.fixture
def tiny() -> Any:
    """The config of a tiny Llama whose four heads share two key-value heads."""
    pytest.importorskip("torch", reason="needs torch (pip install torch)")
    transformers = pytest.importorskip("transformers", reason="needs transformers (pip install transformers)")
    import torch

    torch.manual_seed(0)
    return transformers.LlamaConfig(
        vocab_size=96,
        hidden_size=48,
        intermediate_size=112,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=64,
        rms_norm_eps=1e-5,
        attn_implementation="eager",
    )
