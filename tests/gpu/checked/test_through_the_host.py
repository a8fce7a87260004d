"""The checked device as a learner meets it: buffers, launches, faults at the next synchronisation."""

import numpy as np
import pytest

from workshop.dtype import DType
from workshop.errors import BarrierError, BoundsError, RaceError, UninitializedError
from workshop.gpu import AddressSpace, barrier, block_dim, block_idx, kernel, stack_allocation, thread_idx
from workshop.gpu.host import DeviceContext


@kernel
def add_10_shared(output, a, size, *, TPB):
    shared = stack_allocation(TPB, a.dtype, AddressSpace.SHARED)
    i = block_dim.x * block_idx.x + thread_idx.x
    if i < size:
        shared[thread_idx.x] = a[i]
    barrier()
    if i < size:
        output[i] = shared[thread_idx.x] + 10


@kernel
def mirrored(output, a, *, TPB):
    shared = stack_allocation(TPB, a.dtype, AddressSpace.SHARED)
    shared[thread_idx.x] = a[thread_idx.x]
    output[thread_idx.x] = shared[TPB - 1 - thread_idx.x]


@kernel
def guarded_barrier(output, size):
    if thread_idx.x < size:
        barrier()
        output[thread_idx.x] = 1


@pytest.fixture
def ctx():
    return DeviceContext(api="checked")


def filled(ctx, values):
    buffer = ctx.enqueue_create_buffer[DType.float32](len(values))
    with buffer.map_to_host() as host:
        host[:] = values
    return buffer


def test_a_correct_kernel_is_silent(ctx):
    a, out = filled(ctx, range(8)), ctx.enqueue_create_buffer[DType.float32](8)
    ctx.enqueue_function(add_10_shared, out, a, 8, TPB=4, grid_dim=2, block_dim=4)
    ctx.synchronize()
    with out.map_to_host() as host:
        assert host.tolist() == [i + 10 for i in range(8)]


def test_faults_come_at_the_next_synchronisation_and_the_context_works_on(ctx):
    a, out = filled(ctx, range(8)), filled(ctx, [0] * 8)
    ctx.enqueue_function(add_10_shared, out, a, 9, TPB=4, grid_dim=3, block_dim=4)
    with pytest.raises(BoundsError, match=r"a\[8\]"):
        ctx.synchronize()
    ctx.enqueue_function(mirrored, out, a, TPB=8, grid_dim=1, block_dim=8)
    with pytest.raises(RaceError) as caught:
        ctx.synchronize()
    assert caught.value.other.loc.line == caught.value.loc.line - 1
    ctx.enqueue_function(guarded_barrier, out, 3, grid_dim=1, block_dim=8)
    with pytest.raises(BarrierError, match="3 of 8"):
        ctx.synchronize()
    ctx.enqueue_function(add_10_shared, out, a, 8, TPB=4, grid_dim=2, block_dim=4)
    ctx.synchronize()
    with out.map_to_host() as host:
        assert np.array_equal(host, np.arange(8) + 10)


def test_a_fresh_buffer_is_uninitialised_until_it_is_filled(ctx):
    a, out = ctx.enqueue_create_buffer[DType.float32](8), filled(ctx, [0] * 8)
    ctx.enqueue_function(add_10_shared, out, a, 8, TPB=4, grid_dim=2, block_dim=4)
    with pytest.raises(UninitializedError, match="enqueue_fill"):
        ctx.synchronize()
    ctx.enqueue_fill(a, 1)
    ctx.enqueue_function(add_10_shared, out, a, 8, TPB=4, grid_dim=2, block_dim=4)
    ctx.synchronize()
    with out.map_to_host() as host:
        assert (host == 11).all()
