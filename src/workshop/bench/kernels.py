"""The kernels that `workshop bench kernels` measures, as a learner would write them."""

from __future__ import annotations

from typing import Any

from workshop.gpu import AddressSpace, barrier, block_idx, global_idx, kernel, stack_allocation, thread_idx


@kernel
def saxpy(y: Any, x: Any, a: Any, n: Any) -> None:
    """Compute y = a * x + y."""
    i = global_idx.x
    if i < n:
        y[i] = a * x[i] + y[i]


@kernel
def map2d(out: Any, a: Any, rows: Any, cols: Any) -> None:
    """Compute out = 2 * a + 1 over a matrix."""
    row = global_idx.y
    col = global_idx.x
    if row < rows and col < cols:
        out[row, col] = a[row, col] * 2.0 + 1.0


@kernel
def matmul(c: Any, a: Any, b: Any, size: Any, *, TILE: int) -> None:
    """Compute c = a @ b with square tiles in shared memory; TILE divides size."""
    a_tile = stack_allocation((TILE, TILE), a.dtype, AddressSpace.SHARED)
    b_tile = stack_allocation((TILE, TILE), b.dtype, AddressSpace.SHARED)
    ty = thread_idx.y
    tx = thread_idx.x
    row = block_idx.y * TILE + ty
    col = block_idx.x * TILE + tx
    total = 0.0
    for tile in range(size // TILE):
        a_tile[ty, tx] = a[row, tile * TILE + tx]
        b_tile[ty, tx] = b[tile * TILE + ty, col]
        barrier()
        for k in range(TILE):
            total += a_tile[ty, k] * b_tile[k, tx]
        barrier()
    c[row, col] = total


@kernel
def reduction(out: Any, a: Any, n: Any, *, TPB: int) -> None:
    """Add up each block's elements by a tree in shared memory."""
    shared = stack_allocation(TPB, a.dtype, AddressSpace.SHARED)
    t = thread_idx.x
    i = global_idx.x
    shared[t] = a[i] if i < n else 0.0
    barrier()
    stride = TPB // 2
    while stride > 0:
        if t < stride:
            shared[t] += shared[t + stride]
        barrier()
        stride //= 2
    if t == 0:
        out[block_idx.x] = shared[0]


@kernel
def scale(out: Any, a: Any, n: Any) -> None:
    """Compute out = 2 * a."""
    i = global_idx.x
    if i < n:
        out[i] = a[i] * 2.0
