"""What a checked run says and what it saw."""

import numpy as np
import pytest

from workshop.errors import BoundsError
from workshop.gpu.checked import CheckedBackend
from workshop.gpu.intrinsics import AddressSpace, barrier, block_idx, global_idx, stack_allocation, thread_idx
from workshop.gpu.launch import PRINT_LIMIT
from workshop.gpu.trace import Trace


def hello(a):
    print(f"a[{global_idx.x}] =", a[global_idx.x])
    if thread_idx.x == 1:
        print("block", block_idx.x, True, a[0] > 1)


def test_print_records_block_thread_and_sequence(run):
    record = run(hello, np.array([0.1, 2.0, 1e-9, 4.0], "float32"), grid=2, block=2)
    lines = sorted(record.output.lines, key=lambda p: (p.block, p.thread, p.sequence))
    assert [(p.block, p.thread, p.sequence, p.text) for p in lines] == [
        (0, 0, 0, "a[0] = 0.1"),
        (0, 1, 0, "a[1] = 2.0"),
        (0, 1, 1, "block 0 True False"),
        (1, 0, 0, "a[2] = 1e-09"),
        (1, 1, 0, "a[3] = 4.0"),
        (1, 1, 1, "block 1 True False"),
    ]


def chatter(n):
    print(global_idx.x)
    print("again")


def test_after_10_000_lines_the_rest_is_counted(run):
    record = run(chatter, 0, grid=60, block=100)
    assert len(record.output.lines) == PRINT_LIMIT and record.output.dropped == 2000
    assert record.output.lines[0].text == "0"


def test_lines_printed_before_a_fault_are_kept(launch):
    def talks_then_faults(a):
        print("here")
        a[5] = 1

    record = launch(talks_then_faults, np.zeros(2))
    with pytest.raises(BoundsError):
        CheckedBackend().run(record)
    assert [line.text for line in record.output.lines] == ["here"]


def swap(out, a, *, TPB):
    shared = stack_allocation(TPB, a.dtype, AddressSpace.SHARED)
    shared[thread_idx.x] = a[thread_idx.x]
    barrier()
    out[0, thread_idx.x] = shared[TPB - 1 - thread_idx.x]


def test_a_trace_holds_every_access_in_lockstep_order(run):
    trace = Trace()
    a = np.array([5, 6], "int32")
    run(swap, np.zeros((1, 2), "int32"), a, block=2, TPB=2, backend=CheckedBackend(trace=trace))
    seen = [(e.step, e.thread[0], e.kind, e.array, e.index, e.value) for e in trace.events]
    assert seen == [
        (0, 0, "read", "a", (0,), 5), (0, 1, "read", "a", (1,), 6),
        (1, 0, "write", "shared", (0,), 5), (1, 1, "write", "shared", (1,), 6),
        (2, 0, "barrier", "", (), None), (2, 1, "barrier", "", (), None),
        (3, 0, "read", "shared", (1,), 6), (3, 1, "read", "shared", (0,), 5),
        (4, 0, "write", "out", (0, 0), 6), (4, 1, "write", "out", (0, 1), 5),
    ]  # fmt: skip
    assert trace.events[0].loc.source.strip() == "shared[thread_idx.x] = a[thread_idx.x]"
    assert [e.index for e in trace.of("out")] == [(0, 0), (0, 1)]


def test_a_full_trace_counts_what_it_dropped(run):
    trace = Trace(limit=3)
    run(swap, np.zeros((1, 4)), np.ones(4), block=4, TPB=4, backend=CheckedBackend(trace=trace))
    assert len(trace.events) == 3 and trace.dropped == 4 * 5 - 3
