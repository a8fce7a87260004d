"""What a person would write by hand with numba for the jobs of `workshop bench kernels`: flat loops."""

import numba
import numpy as np


@numba.njit(parallel=True, fastmath=False)
def saxpy(y, x, a):
    for i in numba.prange(y.size):
        y[i] = a * x[i] + y[i]


@numba.njit(parallel=True)
def map2d(out, a):
    for row in numba.prange(a.shape[0]):
        for col in range(a.shape[1]):
            out[row, col] = a[row, col] * np.float32(2.0) + np.float32(1.0)


@numba.njit(parallel=True, fastmath={"contract"})
def matmul(c, a, b):
    for i in numba.prange(a.shape[0]):
        for j in range(b.shape[1]):
            c[i, j] = np.float32(0.0)
        for k in range(a.shape[1]):
            left = a[i, k]
            for j in range(b.shape[1]):
                c[i, j] += left * b[k, j]


@numba.njit(parallel=True, fastmath=True)
def reduction(a):
    total = np.float32(0.0)
    for i in numba.prange(a.size):
        total += a[i]
    return total
