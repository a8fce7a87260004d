"""A tree reduction with every check on stays within its time."""

import time

import numpy as np
import pytest

from workshop.gpu.checked import CheckedBackend
from workshop.gpu.intrinsics import AddressSpace, barrier, block_idx, global_idx, stack_allocation, thread_idx


def tree_sum(out, a, size, *, TPB):
    shared = stack_allocation(TPB, a.dtype, AddressSpace.SHARED)
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


@pytest.mark.perf
@pytest.mark.parametrize(("threads", "target_ms"), [(2_048, 30), (65_536, 500)])
def test_a_tree_reduction_with_race_checks(launch, threads, target_ms):
    a, out = np.ones(threads, "float32"), np.zeros(threads // 256, "float32")
    record = launch(tree_sum, out, a, threads, grid=threads // 256, block=256, TPB=256)
    backend, times_ms = CheckedBackend(), []
    for _ in range(5):
        start = time.perf_counter()
        backend.run(record)
        times_ms.append((time.perf_counter() - start) * 1e3)
    assert (out == 256).all()
    assert min(times_ms) <= target_ms, f"{min(times_ms):.1f} ms"
