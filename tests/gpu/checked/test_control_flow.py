"""Kernels without barriers mean what the same Python means, run thread by thread."""

import builtins
import math
import types

import numpy as np
import pytest

from workshop.gpu.checked.statements import trips
from workshop.gpu.intrinsics import block_dim, block_idx, global_idx, grid_dim, min, sqrt, thread_idx


class Place:
    def __init__(self, x, y):
        self.x, self.y, self.z = x, y, 0


def by_hand(kernel, *args, grid, block):
    """Run the kernel's own Python once per thread, with plain integers as ids."""
    for by in range(grid[1]):
        for bx in range(grid[0]):
            for ty in range(block[1]):
                for tx in range(block[0]):
                    world = {
                        **kernel.__globals__,
                        "thread_idx": Place(tx, ty),
                        "block_idx": Place(bx, by),
                        "block_dim": Place(*block),
                        "grid_dim": Place(*grid),
                        "global_idx": Place(bx * block[0] + tx, by * block[1] + ty),
                        "sqrt": math.sqrt,
                        "min": builtins.min,
                    }
                    types.FunctionType(kernel.__code__, world)(*args)


def nested_exits(out, n):
    i = global_idx.x
    total = 0
    for a in range(i % 7):
        if a == 4:
            break
        b = n
        while b > a:
            b -= 1
            if (a + b + i) % 3 == 0:
                continue
            if b * a > 20:
                break
            total += a * 100 + b
            for c in range(b, -1, -2):
                if c == i % 5:
                    break
                total += c
                if total > 5000:
                    out[i] = -total
                    return
        total -= 1
    out[i] = total


def early_returns(out, n):
    i = global_idx.x
    if i % 4 == 1:
        return
    if i % 4 == 2:
        out[i] = 2
        return
    for k in range(i):
        if k * k > n:
            out[i] = k
            return
    out[i] = -1


def selects(out, n):
    i = global_idx.x
    low = i if i < n else n
    high = n - i if i % 2 == 0 and i < n or i == n + 3 else i * 2 if not i % 3 else min(i, 9)
    if 3 < i <= n and low != high or i == 0:
        out[i] = high - low
    elif i > 2 * n:
        out[i] = low
    else:
        out[i] = low * high


def uneven_ranges(out, n):
    i = global_idx.x
    total = 0
    for k in range(i - 5, n, i % 4 + 1):
        total += k
        k += 100  # a loop is not disturbed by assignments to its variable
        total ^= k
    for k in range(n, i - 20, -(i % 3) - 1):
        total = total * 3 + k
    out[i] = total


def escape_time(out, n):
    i = global_idx.x
    x, y, cx, cy = 0, 0, (i % 8) * 40 - 200, (i // 8) * 30 - 100
    count = 0
    while count < n and x * x + y * y < 4 * 10_000:
        x, y = (x * x - y * y) // 100 + cx, 2 * x * y // 100 + cy
        count += 1
    out[i] = count


def two_dimensions(out, n):
    row, col = global_idx.y, global_idx.x
    width = grid_dim.x * block_dim.x
    here = row * width + col
    out[here] = thread_idx.x * 1000 + thread_idx.y * 100 + block_idx.x * 10 + block_idx.y
    if row > col:
        value = int(sqrt(float(row * row - col * col)))
        out[here] += value if value < n else -value


@pytest.mark.parametrize(
    "kernel", [nested_exits, early_returns, selects, uneven_ranges, escape_time, two_dimensions],
    ids=lambda kernel: kernel.__name__,
)  # fmt: skip
@pytest.mark.parametrize("n", [0, 3, 11])
def test_a_kernel_means_its_python(run, kernel, n):
    got, want = np.full(96, 77), np.full(96, 77)
    grid, block = ((2, 2), (6, 4)) if kernel is two_dimensions else ((3, 1), (32, 1))
    run(kernel, got, n, grid=grid, block=block)
    by_hand(kernel, want, n, grid=grid, block=block)
    assert got.tolist() == want.tolist()


def test_the_trips_of_an_uneven_range_are_pythons__also_at_the_ends_of_int64():
    ends = [-(2**63), -(2**63) + 1, -7, -1, 0, 1, 2, 9, 2**63 - 2, 2**63 - 1]
    start, stop, step = (grid.ravel() for grid in np.meshgrid(*[np.array(ends, np.int64)] * 3))
    got = trips(start, stop, step)
    for a, b, by, count in zip(start.tolist(), stop.tolist(), step.tolist(), got.tolist(), strict=True):
        assert count == (0 if by == 0 else -(-(b - a) // by) if (b - a) * by > 0 else 0)
