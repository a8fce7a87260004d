"""What the graph's tests share: running one op, and comparing with numpy."""

import numpy as np
import pytest

from workshop.dtype import DType
from workshop.engine import InferenceSession
from workshop.graph import Graph, TensorType


def _run(forward, *arrays, shapes=None, weights=None):
    """Run `forward` on arrays, with the given shapes in the graph (names allowed); one output is unpacked."""
    shapes = shapes or [array.shape for array in arrays]
    types = [TensorType(DType.from_numpy(a.dtype), shape) for a, shape in zip(arrays, shapes, strict=True)]
    graph = Graph("test", forward, types)
    outputs = InferenceSession().load(graph, weights_registry=weights)(*arrays)
    made = [output.to_numpy() for output in outputs]
    for array, type in zip(made, graph.output_types, strict=True):
        assert array.ndim == type.rank
        assert DType.from_numpy(array.dtype) is type.dtype
        assert all(
            dim == extent for dim, extent in zip(type.shape, array.shape, strict=True) if isinstance(dim, int)
        )
    return made[0] if len(made) == 1 else made


def _close(got, want, rtol=2e-6):
    want = np.asarray(want)
    assert got.shape == want.shape
    np.testing.assert_allclose(got.astype(np.float64), want.astype(np.float64), rtol=rtol, atol=rtol)


@pytest.fixture(scope="session")
def run():
    return _run


@pytest.fixture(scope="session")
def close():
    return _close
