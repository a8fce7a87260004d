"""Random kernels: the checked and the compiled back end agree to the last bit, with no false alarm."""

import importlib.util
import sys

import numpy as np
import pytest

from workshop.dtype import DType
from workshop.gpu.fuzz import BLOCK, SIZE, module
from workshop.gpu.host import DeviceContext

SEEDS = range(24)


@pytest.fixture(scope="module")
def kernels(tmp_path_factory):
    path = tmp_path_factory.mktemp("fuzz") / "fuzzed_kernels.py"
    path.write_text(module(SEEDS))
    spec = importlib.util.spec_from_file_location("fuzzed_kernels", path)
    made = importlib.util.module_from_spec(spec)
    sys.modules["fuzzed_kernels"] = made
    spec.loader.exec_module(made)
    yield made
    del sys.modules["fuzzed_kernels"]


def run(kernel, api):
    random = np.random.default_rng(0)
    given = [
        np.zeros(SIZE, np.int32), np.zeros(SIZE, np.float32),
        random.integers(-9, 9, SIZE).astype(np.float32), random.integers(-1000, 1000, SIZE).astype(np.int32),
    ]  # fmt: skip
    ctx = DeviceContext(api=api)
    buffers = []
    for array in given:
        buffer = ctx.enqueue_create_buffer(DType.from_numpy(array.dtype), SIZE)
        with buffer.map_to_host() as host:
            host[:] = array
        buffers.append(buffer)
    ctx.enqueue_function(kernel, *buffers, SIZE, TPB=BLOCK, grid_dim=-(-SIZE // BLOCK), block_dim=BLOCK)
    return [buffer.to_numpy() for buffer in buffers[:2]]


@pytest.mark.parametrize("seed", SEEDS)
def test_random_kernel__is_the_same_on_checked_and_cpu(kernels, seed):
    kernel = getattr(kernels, f"kernel_{seed}")
    for checked, compiled in zip(run(kernel, "checked"), run(kernel, "cpu"), strict=True):
        np.testing.assert_array_equal(compiled, checked)
