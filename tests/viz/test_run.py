"""Pictures of real runs: recorded under check, on copies, with faults kept."""

import numpy as np
import pytest

from workshop.dtype import DType
from workshop.errors import BarrierError, BoundsError, LaunchError, RaceError
from workshop.gpu import AddressSpace, barrier, kernel, stack_allocation, thread_idx
from workshop.gpu.host import DeviceContext
from workshop.gpu.record import Blank, record
from workshop.layout import Layout, LayoutTensor
from workshop.puzzles import solutions
from workshop.viz import play, story_of, who_touched

VALUES = np.array([3, -7, 12, 5, 8], np.float32)


@kernel
def double(output, a):
    output[thread_idx.x] = 2 * a[thread_idx.x]


@kernel
def read_left(output, a, *, TPB):
    shared = stack_allocation(TPB, a.dtype, AddressSpace.SHARED)
    shared[thread_idx.x] = a[thread_idx.x]
    if thread_idx.x > 0:
        output[thread_idx.x] = shared[thread_idx.x - 1]


@kernel
def lonely_barrier(output):
    if thread_idx.x < 3:
        barrier()
    output[thread_idx.x] = 1


def test_a_recording_holds_values_marks_and_leaves_the_arguments_alone() -> None:
    given = VALUES.copy()
    recording = record(double, Blank((5,)), given, grid_dim=1, block_dim=5)
    assert recording.fault is None and np.array_equal(given, VALUES)
    assert np.array_equal(recording.arrays["output"], 2 * VALUES)
    assert not recording.written_before["output"].any() and recording.written["output"].all()
    assert (recording.function.name, recording.grid) == ("double", (1, 1, 1))


def test_buffers_of_any_context_and_tensors_are_copied() -> None:
    ctx = DeviceContext(api="checked")
    buffer = ctx.enqueue_create_buffer[DType.float32](4).enqueue_fill(7)
    tensor = LayoutTensor(buffer, Layout.row_major(2, 2))
    recording = record(solutions.add_10_2d, Blank((2, 2)), tensor, 2, grid_dim=1, block_dim=(3, 3))
    assert recording.arrays["output"].tolist() == [[17, 17], [17, 17]]
    assert buffer.to_numpy().tolist() == [7, 7, 7, 7]


def test_a_fault_is_kept_and_a_refused_launch_is_raised() -> None:
    recording = record(double, Blank((5,)), VALUES, grid_dim=1, block_dim=8)
    assert type(recording.fault) is BoundsError
    with pytest.raises(LaunchError, match="2048 threads"):
        record(double, Blank((5,)), VALUES, grid_dim=1, block_dim=2048)


def test_a_story_names_lines_as_they_stand_in_the_source() -> None:
    story = story_of(double, record(double, Blank((5,)), VALUES, grid_dim=1, block_dim=5))
    assert story.lines[0] == "@kernel" and [step.kind for step in story.steps] == ["read", "write"]
    assert {step.line - story.first_line for step in story.steps} == {2}
    assert repr(play(double, Blank((5,)), VALUES, grid_dim=1, block_dim=5)).endswith(
        "all 5 threads write output"
    )


def test_shared_memory_stands_in_each_block_and_barriers_are_steps() -> None:
    recording = record(solutions.add_10_shared, Blank((5,)), VALUES, 5, TPB=4, grid_dim=2, block_dim=4)
    story = story_of(solutions.add_10_shared, recording)
    assert [s.block for s in story.strips if s.space == "shared"] == [(0, 0, 0), (1, 0, 0)]
    kinds = [step.kind for step in story.steps]
    assert kinds == ["read", "write", "barrier", "read", "write"]
    assert len(story.steps[0].touches) == 5 and len(story.steps[2].touches) == 8


def test_out_of_bounds_shows_the_good_reads_of_the_same_access_too() -> None:
    story = story_of(double, record(double, Blank((5,)), VALUES, grid_dim=1, block_dim=8))
    good, bad = story.steps
    assert len(good.touches) == 5 and not good.fault
    assert (bad.touches[0].thread, bad.touches[0].index, bad.touches[0].value) == ((5, 0, 0), (5,), None)
    assert bad.fault.startswith("read of a[5] is out of bounds")


def test_a_race_shows_both_threads_on_one_element() -> None:
    recording = record(read_left, Blank((4,)), VALUES[:4], TPB=4, grid_dim=1, block_dim=4)
    last = story_of(read_left, recording).steps[-1]
    assert type(recording.fault) is RaceError and "data race on shared[0]" in last.fault
    assert [touch.thread for touch in last.touches] == [(0, 0, 0), (1, 0, 0)]
    assert {touch.index for touch in last.touches} == {(0,)}


def test_a_barrier_that_not_all_reach_is_a_step_without_an_element() -> None:
    recording = record(lonely_barrier, Blank((4,)), grid_dim=1, block_dim=4)
    last = story_of(lonely_barrier, recording).steps[-1]
    assert type(recording.fault) is BarrierError and last.kind == "barrier" and "3 of 4 threads" in last.fault
    assert "barrier() reached by 3 of 4" in repr(play(lonely_barrier, Blank((4,)), grid_dim=1, block_dim=4))


def test_the_same_run_draws_the_same_bytes() -> None:
    first, second = (
        who_touched(double, Blank((5,)), VALUES, grid_dim=1, block_dim=5)._repr_html_() for _ in range(2)
    )
    assert first == second
