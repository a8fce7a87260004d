"""Faulty kernels: `checked` names the class, the line, the block and the thread; for a race both sides."""

import threading

import numpy as np
import pytest

from workshop import errors
from workshop.dtype import DType
from workshop.gpu.checked import CheckedBackend
from workshop.gpu.intrinsics import (
    AddressSpace,
    barrier,
    block_dim,
    block_idx,
    global_idx,
    grid_dim,
    lane_id,
    stack_allocation,
    syncwarp,
    thread_idx,
)
from workshop.gpu.launch import HostArray

SHARED, LOCAL = AddressSpace.SHARED, AddressSpace.LOCAL


def zeros(shape, dtype="float32"):
    return np.zeros(shape, dtype)


def ones(shape, dtype="float32"):
    return np.ones(shape, dtype)


# -- bounds


def unguarded_read(out, a):
    i = global_idx.x
    out[i] = a[i]  # fault


def test_read_past_the_end(fault_of):
    fault = fault_of(unguarded_read, zeros(16), ones(10), grid=4, block=4)
    assert type(fault) is errors.BoundsError
    assert (fault.block, fault.thread) == ((2, 0, 0), (2, 0, 0))
    assert "read of a[10] is out of bounds: a has 10 elements" in fault.message


def unguarded_write(out, a):
    i = global_idx.x
    out[i] = a[0]  # fault


def test_write_past_the_end__the_rest_of_the_memory_stays(fault_of):
    out = zeros(10)
    fault = fault_of(unguarded_write, out, ones(1), grid=4, block=4)
    assert type(fault) is errors.BoundsError
    assert (fault.block, fault.thread) == ((2, 0, 0), (2, 0, 0))
    assert "write of out[10]" in fault.message and set(out) <= {0.0, 1.0}


def left_neighbour(out, a):
    i = global_idx.x
    out[i] = a[i - 1]  # fault


def test_a_negative_index_is_out_of_bounds(fault_of):
    fault = fault_of(left_neighbour, zeros(8), ones(8), grid=2, block=4)
    assert type(fault) is errors.BoundsError and "a[-1]" in fault.message
    assert (fault.block, fault.thread) == ((0, 0, 0), (0, 0, 0))


def wrong_column(out, a):
    y, x = thread_idx.y, thread_idx.x
    out[y, x] = a[y, x + 1]  # fault


def test_bounds_are_judged_per_dimension(fault_of):
    fault = fault_of(wrong_column, zeros((3, 4)), ones((3, 4)), block=(4, 3))
    assert type(fault) is errors.BoundsError and "a[0, 4]" in fault.message and "axis 1" in fault.message
    assert fault.thread == (3, 0, 0)


def test_bounds_are_judged_in_logical_size_not_the_buffers(fault_of):
    view = HostArray(ones(100), (4,), (2,), 10)
    fault = fault_of(unguarded_read, zeros(16), view, block=8)
    assert type(fault) is errors.BoundsError and fault.thread == (4, 0, 0) and "4 elements" in fault.message


def shared_overrun(out, *, TPB):
    shared = stack_allocation(TPB, out.dtype, SHARED)
    t = thread_idx.x
    shared[t + 1] = 1  # fault
    barrier()
    out[t] = shared[t]


def test_a_write_past_the_end_of_shared_memory(fault_of):
    fault = fault_of(shared_overrun, zeros(16), grid=2, block=8, TPB=8)
    assert type(fault) is errors.BoundsError
    assert (fault.block, fault.thread) == ((0, 0, 0), (7, 0, 0))


def local_overrun(out):
    scratch = stack_allocation(4, out.dtype, LOCAL)
    i = thread_idx.x
    for k in range(i):
        scratch[k] = 1  # fault
    out[i] = 0


def test_a_write_past_the_end_of_local_memory(fault_of):
    fault = fault_of(local_overrun, zeros(8), block=8)
    assert type(fault) is errors.BoundsError and fault.thread == (5, 0, 0)


def data_dependent(out, a, index):
    i = thread_idx.x
    out[i] = a[index[i]]  # fault


def test_an_index_read_from_memory(fault_of):
    index = np.array([0, 1, 1 << 40, -5], "int64")
    fault = fault_of(data_dependent, zeros(4), ones(4), index, block=4)
    assert type(fault) is errors.BoundsError and fault.thread == (2, 0, 0) and str(1 << 40) in fault.message


def empty_array(out, a):
    out[0] = a[0]  # fault


def test_an_empty_array_has_no_elements(fault_of):
    fault = fault_of(empty_array, zeros(1), zeros(0))
    assert type(fault) is errors.BoundsError and "0 elements" in fault.message


# -- races


def no_barrier(out, a, *, TPB):
    shared = stack_allocation(TPB, a.dtype, SHARED)
    t = thread_idx.x
    shared[t] = a[t]  # other
    out[t] = shared[TPB - 1 - t]  # fault


def test_a_missing_barrier_between_write_and_read(fault_of):
    fault = fault_of(no_barrier, zeros(8), ones(8), block=8, TPB=8)
    assert type(fault) is errors.RaceError
    assert (fault.thread, fault.other.thread) == ((0, 0, 0), (7, 0, 0))
    assert fault.other.kind == "write" and "barrier()" in fault.message
    text = str(fault)
    assert "shared[t] = a[t]" in text and "out[t] = shared[TPB - 1 - t]" in text


def read_then_write(out, a, *, TPB):
    shared = stack_allocation(TPB, a.dtype, SHARED)
    t = thread_idx.x
    shared[t] = a[t]
    barrier()
    left = shared[(t + 1) % TPB]  # other
    shared[t] = left  # fault


def test_a_missing_barrier_between_read_and_write(fault_of):
    fault = fault_of(read_then_write, zeros(8), ones(8), block=8, TPB=8)
    assert type(fault) is errors.RaceError and fault.other.kind == "read"
    assert (fault.thread, fault.other.thread) == ((0, 0, 0), (7, 0, 0))


def everyone_writes_one(out):
    out[0] = 1  # fault


def test_two_threads_write_one_address__equal_values(fault_of):
    fault = fault_of(everyone_writes_one, zeros(1), block=4)
    assert type(fault) is errors.RaceError and fault.other.kind == "write"
    assert (fault.thread, fault.other.thread) == ((0, 0, 0), (1, 0, 0))


def test_two_blocks_write_one_address(fault_of):
    fault = fault_of(everyone_writes_one, zeros(1), grid=4)
    assert type(fault) is errors.RaceError
    assert (fault.block, fault.other.block) == ((0, 0, 0), (1, 0, 0))


def test_two_blocks_far_apart_write_one_address(fault_of):
    def same_slot(out):
        out[global_idx.x % 90_000] = 1  # fault

    fault = fault_of(same_slot, zeros(90_000), grid=200, block=512)
    assert type(fault) is errors.RaceError
    low = fault.other.block[0] * 512 + fault.other.thread[0]
    high = fault.block[0] * 512 + fault.thread[0]
    assert (low, high) == (0, 90_000)


def read_of_another_block(out, scratch):
    i = global_idx.x
    scratch[i] = 1  # other
    barrier()
    out[i] = scratch[(i + block_dim.x) % (block_dim.x * grid_dim.x)]  # fault


def test_a_barrier_does_not_order_blocks(fault_of, blank):
    fault = fault_of(read_of_another_block, zeros(16), blank(16), grid=4, block=4)
    assert type(fault) is errors.RaceError and fault.other.kind == "write"
    assert (fault.block, fault.other.block) == ((0, 0, 0), (1, 0, 0))
    assert "launches" in fault.message


def written_after_another_block_read(a):
    i = global_idx.x
    left = a[(i + block_dim.x) % (block_dim.x * grid_dim.x)]  # other
    for _ in range(3):
        barrier()
    a[i] = left  # fault


def test_a_write_after_a_read_by_another_block(fault_of):
    fault = fault_of(written_after_another_block_read, ones(16), grid=4, block=4)
    assert type(fault) is errors.RaceError and fault.other.kind == "read"
    assert fault.block == (0, 0, 0) and fault.other.block == (3, 0, 0)


def in_place_stencil(a, size):
    i = global_idx.x
    if 0 < i < size:
        a[i] = a[i - 1] + 1  # fault


def test_an_in_place_stencil(fault_of):
    fault = fault_of(in_place_stencil, ones(64), 64, grid=2, block=32)
    assert type(fault) is errors.RaceError and fault.other.kind == "read"
    assert (fault.thread, fault.other.thread) == ((1, 0, 0), (2, 0, 0))


def warp_without_sync(out, a, *, TPB):
    shared = stack_allocation(TPB, a.dtype, SHARED)
    t = thread_idx.x
    shared[t] = a[t]
    barrier()
    if t < 16:
        shared[t] += shared[t + 16]
    if t < 8:
        shared[t] += shared[t + 8]  # fault


def test_threads_of_a_warp_are_concurrent(run):
    with pytest.raises(errors.RaceError) as caught:
        run(warp_without_sync, zeros(1), ones(32), block=32, TPB=32)
    assert caught.value.thread == (0, 0, 0) and caught.value.other.thread == (8, 0, 0)
    assert caught.value.other.kind == "write" and caught.value.loc.line == caught.value.other.loc.line + 2


def syncwarp_across_warps(out, a, *, TPB):
    shared = stack_allocation(TPB, a.dtype, SHARED)
    t = thread_idx.x
    shared[t] = a[t]  # other
    syncwarp()
    out[t] = shared[(t + 16) % TPB]  # fault


def test_syncwarp_orders_its_warp_only(fault_of):
    fault = fault_of(syncwarp_across_warps, zeros(64), ones(64), block=64, TPB=64)
    assert type(fault) is errors.RaceError
    assert (fault.thread, fault.other.thread) == ((16, 0, 0), (32, 0, 0))


def warp_read_then_write(out, a, *, TPB):
    shared = stack_allocation(TPB, a.dtype, SHARED)
    t = thread_idx.x
    shared[t] = a[t]
    barrier()
    out[t] = shared[t % 4]  # other
    syncwarp()
    if t == 32:
        shared[1] = 0  # fault


def test_a_write_after_reads_by_several_warps(fault_of):
    fault = fault_of(warp_read_then_write, zeros(64), ones(64), block=64, TPB=64)
    assert type(fault) is errors.RaceError and fault.thread == (32, 0, 0)
    assert fault.other.thread[0] < 32 and fault.other.kind == "read"


def barrier_only_half_the_way(out, a, *, TPB):
    shared = stack_allocation(TPB, a.dtype, SHARED)
    t = thread_idx.x
    total = a.dtype(0)
    for stage in range(3):
        shared[t] = a[stage, t]  # fault
        barrier()
        total += shared[TPB - 1 - t]  # other
    out[t] = total


def test_a_loop_that_lacks_its_second_barrier(fault_of):
    fault = fault_of(barrier_only_half_the_way, zeros(8), ones((3, 8)), block=8, TPB=8)
    assert type(fault) is errors.RaceError and fault.other.kind == "read"
    assert (fault.thread, fault.other.thread) == ((0, 0, 0), (7, 0, 0))


def two_names_for_one_buffer(out, a):
    i = thread_idx.x
    out[i] = a[i + 1]  # fault


def test_two_arguments_in_one_buffer(fault_of):
    memory = ones(9)
    out, a = HostArray(memory, (8,), (1,)), HostArray(memory, (9,), (1,))
    fault = fault_of(two_names_for_one_buffer, out, a, block=8)
    assert type(fault) is errors.RaceError and fault.other.kind == "read"
    assert (fault.thread, fault.other.thread) == ((1, 0, 0), (0, 0, 0))


def test_a_view_into_another_argument(fault_of):
    memory = ones(12)
    out, a = HostArray(memory[4:], (8,), (1,)), HostArray(memory, (12,), (1,))
    fault = fault_of(two_names_for_one_buffer, out, a, block=8)
    assert type(fault) is errors.RaceError
    assert (fault.thread, fault.other.thread) == ((0, 0, 0), (3, 0, 0))


def spin(flag, out):
    if block_idx.x == 0:
        flag[0] = 1  # other
    else:
        while flag[0] == 0:  # fault
            out[block_idx.x] = 1


def test_a_flag_that_another_block_waits_for(fault_of):
    fault = fault_of(spin, zeros(1, "int32"), zeros(2), grid=2)
    assert type(fault) is errors.RaceError and (fault.block, fault.other.block) == ((1, 0, 0), (0, 0, 0))


# -- uninitialised reads


def skipped_by_the_guard(out, a, size, *, TPB):
    shared = stack_allocation(TPB, a.dtype, SHARED)
    t, i = thread_idx.x, global_idx.x
    if i < size:
        shared[t] = a[i]
    barrier()
    out[i] = shared[TPB - 1 - t]  # fault


def test_a_read_of_shared_memory_nobody_wrote(fault_of):
    fault = fault_of(skipped_by_the_guard, zeros(16), ones(12), 12, grid=2, block=8, TPB=8)
    assert type(fault) is errors.UninitializedError and "shared[7]" in fault.message
    assert (fault.block, fault.thread) == ((1, 0, 0), (0, 0, 0))


def test_shared_memory_is_poisoned_again_in_every_batch_of_blocks(fault_of):
    def only_early_blocks_write(out, *, TPB):
        shared = stack_allocation(TPB, out.dtype, SHARED)
        if block_idx.x < 100:
            shared[thread_idx.x] = 1
        barrier()
        out[global_idx.x] = shared[thread_idx.x]  # fault

    fault = fault_of(only_early_blocks_write, zeros(1024 * 101), grid=101, block=1024, TPB=1024)
    assert type(fault) is errors.UninitializedError
    assert (fault.block, fault.thread) == ((100, 0, 0), (0, 0, 0))


def never_filled(out, a):
    i = global_idx.x
    out[i] = a[i]  # fault


def test_a_read_of_device_memory_nobody_wrote(fault_of, blank):
    a = blank(8)
    a.written[:5] = True
    fault = fault_of(never_filled, zeros(8), a, grid=2, block=4)
    assert type(fault) is errors.UninitializedError and "a[5]" in fault.message
    assert (fault.block, fault.thread) == ((1, 0, 0), (1, 0, 0))


def scratch_read_first(out):
    scratch = stack_allocation(2, out.dtype, LOCAL)
    i = thread_idx.x
    if i != 3:
        scratch[0] = 1
    out[i] = scratch[0]  # fault


def test_a_read_of_local_memory_its_thread_never_wrote(fault_of):
    fault = fault_of(scratch_read_first, zeros(8), block=8)
    assert type(fault) is errors.UninitializedError and fault.thread == (3, 0, 0)


def test_local_memory_is_poisoned_again_in_every_batch_of_blocks(fault_of):
    def only_early_threads_write(out):
        scratch = stack_allocation(2, out.dtype, LOCAL)
        if block_idx.x < 100:
            scratch[1] = 1
        out[global_idx.x] = scratch[1]  # fault

    fault = fault_of(only_early_threads_write, zeros(1024 * 101), grid=101, block=1024)
    assert type(fault) is errors.UninitializedError
    assert (fault.block, fault.thread) == ((100, 0, 0), (0, 0, 0))


def assigned_in_one_branch(out):
    i = thread_idx.x
    if i < 5:
        value = 1.0
    out[i] = value  # fault


def test_a_variable_its_thread_never_assigned(fault_of):
    fault = fault_of(assigned_in_one_branch, zeros(8), block=8)
    assert type(fault) is errors.UninitializedError and fault.thread == (5, 0, 0)
    assert "value" in fault.message


def test_variables_are_unassigned_again_in_every_batch_of_blocks(fault_of):
    def only_early_threads_assign(out):
        if block_idx.x < 100:
            value = 1.0
        out[global_idx.x] = value  # fault

    fault = fault_of(only_early_threads_assign, zeros(1024 * 101), grid=101, block=1024)
    assert type(fault) is errors.UninitializedError
    assert (fault.block, fault.thread) == ((100, 0, 0), (0, 0, 0))


# -- barriers


def barrier_in_a_branch(out):
    t = thread_idx.x
    if t < 12:
        barrier()  # fault
    out[t] = 1


def test_a_barrier_that_some_threads_skip(fault_of):
    fault = fault_of(barrier_in_a_branch, zeros(64), grid=2, block=32)
    assert type(fault) is errors.BarrierError and "12 of 32" in fault.message
    assert (fault.block, fault.thread) == ((0, 0, 0), (12, 0, 0))


def return_before_a_barrier(out, size):
    i = global_idx.x
    if i >= size:
        return
    barrier()  # fault
    out[i] = 1


def test_a_thread_that_returned_never_arrives(fault_of):
    fault = fault_of(return_before_a_barrier, zeros(50), 50, grid=2, block=32)
    assert type(fault) is errors.BarrierError and "18 of 32" in fault.message
    assert (fault.block, fault.thread) == ((1, 0, 0), (18, 0, 0))


def two_barriers(out):
    t = thread_idx.x
    if t < 4:
        barrier()  # fault
    else:
        barrier()
    out[t] = 1


def test_two_different_barriers_do_not_meet(fault_of):
    fault = fault_of(two_barriers, zeros(8), block=8)
    assert type(fault) is errors.BarrierError and fault.thread == (4, 0, 0)


def barriers_in_an_uneven_loop(out):
    t = thread_idx.x
    for _ in range(t // 4):
        barrier()  # fault
    out[t] = 1


def test_barriers_in_a_loop_that_threads_leave_early(fault_of):
    fault = fault_of(barriers_in_an_uneven_loop, zeros(8), block=8)
    assert type(fault) is errors.BarrierError and fault.thread == (0, 0, 0) and "4 of 8" in fault.message


# -- arithmetic and loops


def divides(out, a):
    i = thread_idx.x
    out[i] = 100 // a[i]  # fault


@pytest.mark.parametrize("dtype", ["int8", "int32", "uint16", "int64"])
def test_integer_division_by_zero(fault_of, dtype):
    a = np.array([3, 1, 0, 2], dtype)
    fault = fault_of(divides, zeros(4, "int32"), a, block=4)
    assert type(fault) is errors.ArithmeticFault and fault.thread == (2, 0, 0) and "100 // 0" in fault.message


def remainder(out, a, n):
    i = thread_idx.x
    out[i] = a[i] % n  # fault


def test_integer_remainder_by_a_zero_argument(fault_of):
    fault = fault_of(remainder, zeros(4, "int64"), np.arange(4), 0, block=4)
    assert type(fault) is errors.ArithmeticFault and fault.thread == (0, 0, 0)


def shifts(out, a):
    i = thread_idx.x
    out[i] = a[i] << (a[i] + 28)  # fault


def test_a_shift_count_outside_the_width(fault_of):
    fault = fault_of(shifts, zeros(8, "int32"), np.arange(8, dtype="int32"), block=8)
    assert type(fault) is errors.ArithmeticFault and fault.thread == (4, 0, 0) and "32" in fault.message


def never_ends(out):
    i = thread_idx.x
    n = 0
    while n < 10:  # fault
        if i != 3:
            n += 1
    out[i] = n


def test_a_while_loop_that_never_ends(launch):
    record = launch(never_ends, zeros(8), block=8)
    with pytest.raises(errors.KernelFault, match="1,000 trips") as caught:
        CheckedBackend(step_budget=1000).run(record)
    fault = caught.value
    assert type(fault) is errors.KernelFault and fault.thread == (3, 0, 0)
    assert fault.loc.source.strip().startswith("while n < 10")


def test_a_cancelled_launch_ends_quietly(launch):
    record = launch(never_ends, zeros(8), block=8)
    record.cancel.set()
    CheckedBackend(step_budget=10**12).run(record)


def test_a_launch_cancelled_from_another_thread_ends_soon(launch):
    record = launch(never_ends, zeros(8), block=8)
    timer = threading.Timer(0.05, record.cancel.set)
    timer.start()
    CheckedBackend(step_budget=10**12).run(record)
    timer.join()


def long_for(out, n):
    for k in range(n):
        out[0] = k


def long_uneven_for(out, n):
    for k in range(thread_idx.x, n):
        out[thread_idx.x] = k


@pytest.mark.parametrize("kernel", [long_for, long_uneven_for])
def test_a_cancelled_for_loop_ends_soon(launch, kernel):
    record = launch(kernel, zeros(2, "int64"), 3_000_000, block=2 if kernel is long_uneven_for else 1)
    timer = threading.Timer(0.05, record.cancel.set)
    timer.start()
    CheckedBackend().run(record)
    timer.join()
    assert record.arguments[0].flat.max() < 2_999_999


# -- the order of faults


def two_faults(out, a, index):
    i = thread_idx.x
    out[i] = a[index[i]]  # fault


def test_of_one_access_the_lowest_thread_is_named(fault_of, blank):
    a = blank(4)
    a.written[0] = True
    low_blank = fault_of(two_faults, zeros(4), a, np.array([0, 1, 9, 0]), block=4)
    assert type(low_blank) is errors.UninitializedError and low_blank.thread == (1, 0, 0)
    low_bounds = fault_of(two_faults, zeros(4), a, np.array([0, 9, 1, 0]), block=4)
    assert type(low_bounds) is errors.BoundsError and low_bounds.thread == (1, 0, 0)


def test_an_earlier_statement_comes_before_a_lower_thread(run):
    def late_and_early(out):
        i = thread_idx.x
        if i == 7:
            out[8] = 1
        if i == 0:
            out[9] = 1

    with pytest.raises(errors.BoundsError) as caught:
        run(late_and_early, zeros(8), block=8)
    assert caught.value.thread == (7, 0, 0)


def test_the_back_end_works_on_after_a_fault(run):
    out, a, backend = zeros(4), ones(4), CheckedBackend()
    with pytest.raises(errors.BoundsError):
        run(unguarded_read, out, a, grid=2, block=4, backend=backend)
    run(unguarded_read, out, a + 1, block=4, backend=backend)
    assert (out == 2).all()


def test_a_warp_of_64_is_ordered_by_its_syncwarp(run):
    def swap(out, *, TPB):
        shared = stack_allocation(TPB, DType.int64, SHARED)
        shared[thread_idx.x] = lane_id()
        syncwarp()
        out[thread_idx.x] = shared[TPB - 1 - thread_idx.x]

    out = zeros(64, "int64")
    run(swap, out, block=64, warp_size=64, TPB=64)
    assert (out == np.arange(64)[::-1]).all()
    with pytest.raises(errors.RaceError):
        run(swap, out, block=64, warp_size=32, TPB=64)
