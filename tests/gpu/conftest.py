"""One body, every back end: `ctx` is a context of each api in turn, `apply` runs a kernel on arrays."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from workshop.driver import accelerator_count
from workshop.dtype import DType
from workshop.gpu.host import DeviceContext


@pytest.fixture(params=["checked", "cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
def ctx(request: pytest.FixtureRequest) -> DeviceContext:
    """A context of each api."""
    if request.param == "cuda" and not accelerator_count():
        pytest.skip("needs an NVIDIA GPU")
    return DeviceContext(api=request.param)


@pytest.fixture
def apply(ctx: DeviceContext) -> Callable[..., list[Any]]:
    """Run a kernel: arrays become device buffers (or row-major tensors) and come back."""

    def run(kernel: Any, *args: Any, grid: Any = 1, block: Any = 1, **parameters: Any) -> list[Any]:
        from workshop.layout import Layout, LayoutTensor

        bound, arrays = [], []
        for arg in args:
            if not isinstance(arg, np.ndarray):
                bound.append(arg)
                continue
            buffer = ctx.enqueue_create_buffer(DType.from_numpy(arg.dtype), arg.size)
            with buffer.map_to_host() as host:
                host[:] = arg.reshape(-1)
            arrays.append((buffer, arg.shape))
            bound.append(buffer if arg.ndim == 1 else LayoutTensor(buffer, Layout.row_major(*arg.shape)))
        ctx.enqueue_function(kernel, *bound, grid_dim=grid, block_dim=block, **parameters)
        ctx.synchronize()
        return [buffer.to_numpy().reshape(shape) for buffer, shape in arrays]

    return run
