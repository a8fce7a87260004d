"""The tree reduction in numba's CUDA simulator: run as a script, prints the best time of a launch in ms."""

import os
import sys
import time

os.environ["NUMBA_ENABLE_CUDASIM"] = "1"

import numpy as np
from numba import cuda, float32

THREADS = 256


@cuda.jit
def reduction(out, a):
    shared = cuda.shared.array(THREADS, float32)
    t = cuda.threadIdx.x
    i = cuda.grid(1)
    shared[t] = a[i] if i < a.size else 0.0
    cuda.syncthreads()
    stride = THREADS // 2
    while stride > 0:
        if t < stride:
            shared[t] += shared[t + stride]
        cuda.syncthreads()
        stride //= 2
    if t == 0:
        out[cuda.blockIdx.x] = shared[0]


def main(threads: int, launches: int) -> None:
    a = np.ones(threads, np.float32)
    out = np.zeros(threads // THREADS, np.float32)
    best = float("inf")
    for _ in range(launches):
        start = time.perf_counter()
        reduction[threads // THREADS, THREADS](out, a)
        best = min(best, time.perf_counter() - start)
    if out.sum() != threads:
        raise SystemExit(f"the simulator's sum is {out.sum()}, not {threads}")
    print(best * 1e3)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
