"""Correct kernels: `checked` computes their result and says nothing."""

import numpy as np
import pytest

from workshop.dtype import DType
from workshop.gpu.intrinsics import (
    AddressSpace,
    barrier,
    block_dim,
    block_idx,
    global_idx,
    grid_dim,
    lane_id,
    stack_allocation,
    static_range,
    syncwarp,
    thread_idx,
    warp_id,
)
from workshop.gpu.launch import HostArray

SHARED, LOCAL = AddressSpace.SHARED, AddressSpace.LOCAL
f32 = DType.float32


def numbers(n, dtype="float32"):
    return np.random.default_rng(7).integers(0, 50, n).astype(dtype)


def guarded_add(out, a, size):
    i = global_idx.x
    if i < size:
        out[i] = a[i] + 10


def test_a_guarded_map__last_block_half_full(run):
    a, out = numbers(1000), np.zeros(1000, "float32")
    run(guarded_add, out, a, 1000, grid=8, block=128)
    assert (out == a + 10).all()


def test_more_threads_than_a_batch_holds(run):
    a, out = numbers(200_000), np.zeros(200_000, "float32")
    run(guarded_add, out, a, 200_000, grid=1563, block=128)
    assert (out == a + 10).all()


def test_input_and_output_in_one_buffer__each_thread_its_own_element(run):
    memory = numbers(100)
    want = memory + 10
    run(guarded_add, HostArray(memory, (100,), (1,)), HostArray(memory, (100,), (1,)), 100, grid=4, block=32)
    assert (memory == want).all()


def copy_2d(out, a):
    x, y = global_idx.x, global_idx.y
    if y < out.dim(0) and x < out.dim(1):
        out[y, x] = a[y, x] + 1


def test_column_major_and_offset_views(run):
    a, memory = numbers((6, 10)), np.zeros(64, "float32")
    run(copy_2d, HostArray(memory, (6, 10), (1, 6), 4), a, grid=(3, 2), block=(4, 4))
    assert (a + 1 == memory[4:].reshape(10, 6).T).all() and (memory[:4] == 0).all()


def test_the_odd_and_the_even_elements_of_one_buffer_do_not_meet(run):
    memory = numbers(64)
    want = memory.copy()
    want[1::2] = want[::2] + 10
    odd, even = HostArray(memory, (32,), (2,), 1), HostArray(memory, (32,), (2,), 0)
    run(guarded_add, odd, even, 32, grid=2, block=16)
    assert (memory == want).all()


def half_precision(out, a):
    i = global_idx.x
    acc = a.dtype(0)
    for k in range(20):
        acc += a[i] * a.dtype(k)
    out[i] = acc


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_16_bit_floats_round_after_each_operation(run, dtype):
    to = DType(dtype).to_numpy()
    a, out = (np.arange(1, 33) / 7).astype(to), np.zeros(32, to)
    run(half_precision, out, a, grid=1, block=32)
    want = np.zeros(32, to)
    for k in range(20):
        product = (a.astype("float32") * np.float32(k)).astype(to)
        want = (want.astype("float32") + product.astype("float32")).astype(to)
    assert (out == want).all()


def early_return(out, a, size):
    i = global_idx.x
    if i >= size:
        return
    out[i] = a[i] * 2


def test_early_return_without_a_barrier(run):
    a, out = numbers(100), np.zeros(100, "float32")
    run(early_return, out, a, 100, grid=4, block=32)
    assert (out == a * 2).all()


def in_place(a, size):
    i = global_idx.x
    if i < size:
        a[i] = a[i] + 1
        a[i] += a[i]


def test_each_thread_rewrites_its_own_element(run):
    a = numbers(1000)
    want = (a + 1) * 2
    run(in_place, a, 1000, grid=8, block=128)
    assert (a == want).all()


def tree_sum(out, a, size, *, TPB):
    shared = stack_allocation(TPB, a.dtype, SHARED)
    i, t = global_idx.x, thread_idx.x
    shared[t] = a[i] if i < size else 0
    barrier()
    stride = TPB // 2
    while stride > 0:
        if t < stride:
            shared[t] += shared[t + stride]
        barrier()
        stride //= 2
    if t == 0:
        out[block_idx.x] = shared[0]


def test_tree_reduction(run):
    a, out = numbers(2000), np.zeros(16, "float32")
    run(tree_sum, out, a, 2000, grid=16, block=128, TPB=128)
    assert (out == np.pad(a, (0, 48)).reshape(16, 128).sum(1)).all()


def tiled_matmul(c, a, b, size, *, TILE):
    ta = stack_allocation((TILE, TILE), f32, SHARED)
    tb = stack_allocation((TILE, TILE), f32, SHARED)
    row, col = global_idx.y, global_idx.x
    ty, tx = thread_idx.y, thread_idx.x
    acc = 0.0
    for tile in range((size + TILE - 1) // TILE):
        ta[ty, tx] = a[row, tile * TILE + tx] if row < size and tile * TILE + tx < size else 0
        tb[ty, tx] = b[tile * TILE + ty, col] if tile * TILE + ty < size and col < size else 0
        barrier()
        for k in range(TILE):
            acc += ta[ty, k] * tb[k, tx]
        barrier()
    if row < size and col < size:
        c[row, col] = acc


@pytest.mark.parametrize("size", [16, 13])
def test_tiled_matmul__uneven_shapes(run, size):
    a, b, c = numbers((size, size)), numbers((size, size)), np.zeros((size, size), "float32")
    run(tiled_matmul, c, a, b, size, grid=(4, 4), block=(4, 4), TILE=4)
    assert (c == a @ b).all()


def scan_two_buffers(out, a, *, TPB):
    buffers = stack_allocation((2, TPB), a.dtype, SHARED)
    t = thread_idx.x
    buffers[0, t] = a[t]
    barrier()
    source, offset = 0, 1
    while offset < TPB:
        if t >= offset:
            buffers[1 - source, t] = buffers[source, t] + buffers[source, t - offset]
        else:
            buffers[1 - source, t] = buffers[source, t]
        barrier()
        source = 1 - source
        offset *= 2
    out[t] = buffers[source, t]


def test_prefix_sum_with_two_buffers(run):
    a, out = numbers(64), np.zeros(64, "float32")
    run(scan_two_buffers, out, a, block=64, TPB=64)
    assert (out == np.cumsum(a)).all()


def scan_read_then_write(out, a, *, TPB):
    shared = stack_allocation(TPB, a.dtype, SHARED)
    t = thread_idx.x
    shared[t] = a[t]
    barrier()
    offset = 1
    while offset < TPB:
        left = a.dtype(0)
        if t >= offset:
            left = shared[t - offset]
        barrier()
        shared[t] += left
        barrier()
        offset *= 2
    out[t] = shared[t]


def test_prefix_sum_reads_before_and_writes_after_a_barrier(run):
    a, out = numbers(64), np.zeros(64, "float32")
    run(scan_read_then_write, out, a, block=64, TPB=64)
    assert (out == np.cumsum(a)).all()


def transpose(out, a, *, TILE):
    tile = stack_allocation((TILE, TILE + 1), a.dtype, SHARED)
    x, y = thread_idx.x, thread_idx.y
    tile[y, x] = a[block_idx.y * TILE + y, block_idx.x * TILE + x]
    barrier()
    out[block_idx.x * TILE + y, block_idx.y * TILE + x] = tile[x, y]


def test_transpose_through_a_padded_tile(run):
    a, out = numbers((12, 20)), np.zeros((20, 12), "float32")
    run(transpose, out, a, grid=(5, 3), block=(4, 4), TILE=4)
    assert (out == a.T).all()


def block_stride(out, a, size):
    for i in range(global_idx.x, size, grid_dim.x * block_dim.x):
        out[i] = a[i] + 1


def test_a_grid_stride_loop__uneven_trips(run):
    a, out = numbers(1000), np.zeros(1000, "float32")
    run(block_stride, out, a, 1000, grid=3, block=32)
    assert (out == a + 1).all()


def stencil(out, a, size):
    i = global_idx.x
    if 0 < i < size - 1:
        out[i] = a[i - 1] + a[i] + a[i + 1]


def test_a_stencil_between_two_buffers(run):
    a, out = numbers(100), np.zeros(100, "float32")
    run(stencil, out, a, 100, grid=4, block=32)
    assert (out[1:-1] == a[:-2] + a[1:-1] + a[2:]).all()


def unread_garbage(out, a, *, TPB):
    shared = stack_allocation(2 * TPB, a.dtype, SHARED)  # the upper half is never written and never read
    scratch = stack_allocation(4, a.dtype, LOCAL)
    t = thread_idx.x
    shared[t] = a[t]
    scratch[1] = shared[t]
    if t < TPB // 2:
        extra = a[t]
    if t < TPB // 2:
        scratch[1] += extra
    barrier()
    out[t] = scratch[1] + shared[TPB - 1 - t]


def test_what_is_uninitialised_but_never_read(run):
    a, out = numbers(32), np.zeros(32, "float32")
    run(unread_garbage, out, a, block=32, TPB=32)
    assert (out == a + np.where(np.arange(32) < 16, a, 0) + a[::-1]).all()


def uniform_barriers(out, a, flag, *, TPB):
    shared = stack_allocation(TPB, a.dtype, SHARED)
    t = thread_idx.x
    shared[t] = a[block_idx.x * TPB + t]
    if flag > 0:
        barrier()
    if block_idx.x % 2 == 0:  # all threads of a block agree
        for _ in range(block_idx.x + 1):
            barrier()
            value = shared[TPB - 1 - t]
            barrier()
            shared[t] = value
    out[block_idx.x * TPB + t] = shared[t]


@pytest.mark.parametrize("flag", [0, 1])
def test_barriers_under_conditions_that_a_block_agrees_on(run, flag):
    a, out = numbers(4 * 32), np.zeros(4 * 32, "float32")
    run(uniform_barriers, out, a, flag, grid=4, block=32, TPB=32)
    want = a.reshape(4, 32).copy()
    want[[0, 2]] = want[[0, 2], ::-1]
    assert (out.reshape(4, 32) == want).all()


def data_dependent_but_uniform(out, rounds, *, TPB):
    shared = stack_allocation(TPB, out.dtype, SHARED)
    t = thread_idx.x
    shared[t] = 1
    n = 0
    while n < rounds[block_idx.x]:  # every thread of a block reads the same number
        barrier()
        got = shared[(t + 1) % TPB]
        barrier()
        shared[t] = got + 1
        n += 1
    out[block_idx.x * TPB + t] = shared[t]


def test_a_loop_with_barriers_whose_length_differs_from_block_to_block(run):
    rounds, out = np.array([3, 0, 5], "int32"), np.zeros(48, "float32")
    run(data_dependent_but_uniform, out, rounds, grid=3, block=16, TPB=16)
    assert (out.reshape(3, 16) == [[4], [1], [6]]).all()


def whole_blocks_return(out, a, size, *, TPB):
    shared = stack_allocation(TPB, a.dtype, SHARED)
    if block_idx.x * TPB >= size:
        return
    t = thread_idx.x
    shared[t] = a[block_idx.x * TPB + t]
    barrier()
    out[block_idx.x * TPB + t] = shared[TPB - 1 - t]


def test_whole_blocks_may_return_before_a_barrier(run):
    a, out = numbers(64), np.zeros(64, "float32")
    run(whole_blocks_return, out, a, 64, grid=4, block=32, TPB=32)
    assert (out.reshape(2, 32) == a.reshape(2, 32)[:, ::-1]).all()


def warp_tree(out, a, *, TPB):
    shared = stack_allocation(TPB, a.dtype, SHARED)
    t, lane = thread_idx.x, lane_id()
    shared[t] = a[t]
    syncwarp()
    for step in static_range(5):
        offset = 16 >> step
        if lane < offset:
            shared[t] += shared[t + offset]
        syncwarp()
    if lane == 0:
        out[warp_id()] = shared[t]


def test_a_warp_reduces_with_syncwarp_alone(run):
    a, out = numbers(128), np.zeros(4, "float32")
    run(warp_tree, out, a, block=128, TPB=128)
    assert (out == a.reshape(4, 32).sum(1)).all()


def warps_then_block(out, a, *, TPB):
    shared = stack_allocation(TPB, a.dtype, SHARED)
    t = thread_idx.x
    shared[t] = a[t]
    syncwarp()
    other = shared[t ^ 1]
    syncwarp()
    shared[t] += other
    barrier()
    out[t] = shared[TPB - 1 - t]
    barrier()
    shared[t] = 0
    syncwarp()


def test_syncwarp_and_barrier_together(run):
    a, out = numbers(64), np.zeros(64, "float32")
    run(warps_then_block, out, a, block=64, TPB=64)
    assert (out == (a + a.reshape(-1, 2)[:, ::-1].reshape(-1))[::-1]).all()


def bitonic(out, a, *, TPB):
    shared = stack_allocation(TPB, a.dtype, SHARED)
    t = thread_idx.x
    shared[t] = a[t]
    barrier()
    size = 2
    while size <= TPB:
        stride = size // 2
        while stride > 0:
            partner = t ^ stride
            if partner > t:
                low, high = shared[t], shared[partner]
                if (low > high) == (t & size == 0):
                    shared[t] = high
                    shared[partner] = low
            barrier()
            stride //= 2
        size *= 2
    out[t] = shared[t]


def test_bitonic_sort(run):
    a, out = numbers(64), np.zeros(64, "float32")
    run(bitonic, out, a, block=64, TPB=64)
    assert (out == np.sort(a)).all()


def one_owner_histogram(out, a, size, *, BINS):
    b = thread_idx.x
    count = 0
    for i in range(size):
        if a[i] == b:
            count += 1
    out[b] = count


def test_a_histogram_in_which_each_thread_owns_a_bin(run):
    a, out = numbers(300, "int32"), np.zeros(50, "int32")
    run(one_owner_histogram, out, a, 300, block=50, BINS=50)
    assert (out == np.bincount(a, minlength=50)).all()


def collatz(out, *, LIMIT):
    n, steps = global_idx.x + 1, 0
    while n != 1:
        if n % 2 == 0:
            n //= 2
        else:
            n = 3 * n + 1
        steps += 1
        if steps == LIMIT:
            break
    out[global_idx.x] = steps


def test_a_divergent_while_with_break(run):
    def steps(n):
        count = 0
        while n != 1 and count < 50:
            n, count = n // 2 if n % 2 == 0 else 3 * n + 1, count + 1
        return count

    out = np.zeros(256, "int64")
    run(collatz, out, grid=4, block=64, LIMIT=50)
    assert out.tolist() == [steps(n + 1) for n in range(256)]


def rotating_ring(out, a, *, TPB):
    ring = stack_allocation((3, TPB), a.dtype, SHARED)
    t = thread_idx.x
    total = a.dtype(0)
    for stage in range(9):
        ring[stage % 3, t] = a[stage, t]
        barrier()
        total += ring[stage % 3, TPB - 1 - t]
    out[t] = total


def test_a_ring_of_three_buffers_needs_one_barrier_a_stage(run):
    a, out = numbers((9, 32)), np.zeros(32, "float32")
    run(rotating_ring, out, a, block=32, TPB=32)
    assert (out == a.sum(0)[::-1]).all()


def global_exchange(a, scratch, *, TPB):
    i = global_idx.x
    scratch[i] = a[i]
    barrier()
    a[i] = scratch[block_idx.x * TPB + TPB - 1 - thread_idx.x]


def test_a_block_exchanges_through_global_memory(run, blank):
    a, scratch = numbers(64), blank(64)
    want = a.reshape(2, 32)[:, ::-1].reshape(-1).copy()
    run(global_exchange, a, scratch, grid=2, block=32, TPB=32)
    assert (a == want).all() and scratch.written.all()


def everyone_reads_the_same(out, a):
    out[global_idx.x] = a[0] + a[thread_idx.x // 4]


def test_many_blocks_read_one_element(run):
    a, out = numbers(8), np.zeros(64, "float32")
    run(everyone_reads_the_same, out, a, grid=2, block=32)
    assert (out == a[0] + np.tile(np.repeat(a, 4), 2)).all()


def continue_and_nested_loops(out, size):
    i = global_idx.x
    total = 0
    for j in range(size):
        if j % 2 == i % 2:
            continue
        for k in range(i):
            if k > 3:
                break
            total += j * k
    out[i] = total


def test_continue_and_break_in_nested_loops(run):
    out = np.zeros(8, "int64")
    run(continue_and_nested_loops, out, 5, block=8)
    want = [sum(j * k for j in range(5) if j % 2 != i % 2 for k in range(i) if k <= 3) for i in range(8)]
    assert out.tolist() == want


def copies(out):
    i = thread_idx.x
    a = i * 2
    b = a
    if i < 8:
        b = 0
    c = b
    if i < 4:
        c = 1
    d = c
    if i < 2:
        c = 2
    out[i] = ((a * 100 + b) * 100 + c) * 100 + d


def test_changing_a_copy_under_a_guard_leaves_the_original(run):
    out = np.zeros(16, "int64")
    run(copies, out, block=16)
    for i, got in enumerate(out.tolist()):
        a, b = 2 * i, 0 if i < 8 else 2 * i
        d = 1 if i < 4 else b
        c = 2 if i < 2 else d
        assert got == ((a * 100 + b) * 100 + c) * 100 + d


def lazy_guards(out, a, size):
    i = global_idx.x
    if i < 2 * size and (i >= size or a[i] > 10):
        out[i % size] = a[i] if i < size and a[i] > 10 else a[i % size] if i == size + 100 else 0


def test_the_side_that_is_not_chosen_is_not_read(run):
    a, out = numbers(64), np.zeros(64, "float32")
    run(lazy_guards, out, a, 64, block=64, grid=1)
    assert (out == np.where(a > 10, a, 0)).all()
