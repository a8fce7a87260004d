"""What a launch accepts as arrays beside device buffers: driver Buffers and torch tensors, in place."""

import numpy as np
import pytest

from workshop.driver import CPU, Buffer
from workshop.dtype import DType
from workshop.errors import LaunchError
from workshop.gpu import kernel, thread_idx


@kernel
def double(out, a):
    i, j = thread_idx.y, thread_idx.x
    out[i, j] = a[i, j] * 2


@pytest.fixture
def host_ctx(ctx):
    if ctx.api() == "cuda":
        pytest.skip("the arrays of these tests lie on the host")
    return ctx


def launch(ctx, out, a):
    ctx.enqueue_function(double, out, a, grid_dim=1, block_dim=(3, 2))
    ctx.synchronize()


def test_driver_buffers__are_used_in_place(host_ctx):
    a = Buffer.from_numpy(np.arange(6, dtype=np.float32).reshape(2, 3))
    out = Buffer.zeros((2, 3), a.dtype)
    launch(host_ctx, out, a)
    np.testing.assert_array_equal(out.to_numpy(), [[0, 2, 4], [6, 8, 10]])


def test_torch_tensors__contiguous_transposed_and_bfloat16(host_ctx):
    torch = pytest.importorskip("torch")
    a = torch.arange(6, dtype=torch.float32).reshape(3, 2).t()
    out = torch.zeros(2, 3)
    launch(host_ctx, out, a)
    assert torch.equal(out, a * 2)
    transposed = torch.zeros(3, 2).t()
    launch(host_ctx, transposed, a)
    assert torch.equal(transposed, a * 2)
    half = torch.arange(6, dtype=torch.bfloat16).reshape(2, 3)
    result = torch.zeros(2, 3, dtype=torch.bfloat16)
    launch(host_ctx, result, half)
    assert torch.equal(result, half * 2)


def test_rank__is_checked_against_the_kernel(host_ctx):
    a = Buffer.zeros((6,), Buffer.from_numpy(np.zeros(1, np.float32)).dtype)
    with pytest.raises(Exception, match="a has 1 dimension"):
        launch(host_ctx, a, a)


def test_read_only_memory__may_be_read_but_not_written(host_ctx):
    frozen = np.arange(6, dtype=np.float32).reshape(2, 3)
    frozen.flags.writeable = False
    out = Buffer.zeros((2, 3), DType.float32)
    launch(host_ctx, out, Buffer._wrap(frozen, DType.float32, CPU()))
    np.testing.assert_array_equal(out.to_numpy(), frozen * 2)
    with pytest.raises(LaunchError, match="writes to out, which is read-only memory"):
        launch(host_ctx, Buffer._wrap(frozen, DType.float32, CPU()), out)


def test_negative_strides__are_refused(host_ctx):
    a = Buffer.from_numpy(np.zeros((2, 3), np.float32))
    with pytest.raises(LaunchError, match="negative stride"):
        launch(host_ctx, a, a[::-1])
