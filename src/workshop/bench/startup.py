"""Times what a learner waits for besides running: the first compile, the cached one, one small launch."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from workshop.bench import kernels
from workshop.bench.cases import PEERS
from workshop.bench.measure import Row, best_of, within
from workshop.dtype import DType
from workshop.gpu.host import DeviceContext

COLD_MS, CACHED_MS, LAUNCH_MS = 2000.0, 200.0, 0.040
SIMULATED_THREADS, SPEEDUP = 2048, 100_000
FIRST_LAUNCH = """
import sys, time
from workshop.bench import startup
print(startup.first_launch(sys.argv[1]))
assert "numba" not in sys.modules
"""


def first_launch(name: str) -> float:
    """Return the milliseconds of the first launch of a bench kernel in this process."""
    ctx = DeviceContext(api="cpu")
    n = 256
    buffers = [ctx.enqueue_create_buffer(DType.float32, n) for _ in range(3)]
    for buffer in buffers:
        ctx.enqueue_fill(buffer, 1)
    ctx.synchronize()
    start = time.perf_counter()
    if name == "saxpy":
        ctx.enqueue_function(kernels.saxpy, *buffers[:2], 2.0, n, grid_dim=1, block_dim=256)
    elif name == "reduction":
        ctx.enqueue_function(kernels.reduction, *buffers[:2], n, TPB=256, grid_dim=1, block_dim=256)
    else:
        tensors = [b.layout(16, 16) for b in buffers]
        if name == "map2d":
            ctx.enqueue_function(kernels.map2d, *tensors[:2], 16, 16, grid_dim=1, block_dim=(16, 16))
        else:
            ctx.enqueue_function(kernels.matmul, *tensors, 16, TILE=16, grid_dim=1, block_dim=(16, 16))
    ctx.synchronize()
    return (time.perf_counter() - start) * 1e3


def compile_rows() -> list[Row]:
    """Time the first launch of each kernel in a new process: with an empty cache, then with a full one."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        environment = os.environ | {"WORKSHOP_CACHE": folder}
        times: dict[str, list[float]] = {}
        for name in ("saxpy", "map2d", "matmul", "reduction"):
            times[name] = [_in_new_process(name, environment) for _ in range(2)]
    for turn, (what, limit) in enumerate((("cold", COLD_MS), ("cached", CACHED_MS))):
        slowest, name = max((each[turn], name) for name, each in times.items())
        rows.append(within(f"first launch, {what} (slowest: {name})", slowest, limit))
    return rows


def _in_new_process(name: str, environment: dict[str, str]) -> float:
    command = [sys.executable, "-c", FIRST_LAUNCH, name]
    return float(subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout)


def ten_sizes_row(ctx: DeviceContext) -> Row:
    """Launch one kernel at ten sizes and count its specialisations."""
    before = kernels.saxpy.specializations
    start = time.perf_counter()
    for n in range(1000, 2000, 100):
        buffers = [ctx.enqueue_create_buffer(DType.float32, n) for _ in range(2)]
        for buffer in buffers:
            ctx.enqueue_fill(buffer, 1)
        ctx.enqueue_function(kernels.saxpy, *buffers, 2.0, n, grid_dim=-(-n // 128), block_dim=128)
    ctx.synchronize()
    elapsed = (time.perf_counter() - start) * 1e3
    made = kernels.saxpy.specializations - before
    verdict = "pass" if made == 1 else "FAIL"
    return Row("ten sizes, compiled", elapsed, "limit", None, float(made), "1 compile", verdict)


def launch_row(ctx: DeviceContext, rounds: int = 2000) -> Row:
    """Time enqueue + synchronize of a 2 x 4 launch with 3 arguments, warm: the median."""
    x, y = (ctx.enqueue_create_buffer(DType.float32, 8) for _ in range(2))
    for buffer in (x, y):
        ctx.enqueue_fill(buffer, 1)
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        ctx.enqueue_function(kernels.scale, y, x, 8, grid_dim=2, block_dim=4)
        ctx.synchronize()
        times.append((time.perf_counter() - start) * 1e3)
    return within("launch 2x4, 3 arguments, median", statistics.median(times), LAUNCH_MS)


def simulator_rows(ctx: DeviceContext, root: Path, rounds: int) -> list[Row]:
    """Compare the tree reduction with numba's CUDA simulator, by time per thread."""
    script = root / PEERS / "simulator.py"
    command = [sys.executable, str(script), str(SIMULATED_THREADS), "2"]
    environment = os.environ | {"NUMBA_ENABLE_CUDASIM": "1"}
    run = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    simulated = float(run.stdout)
    rows = []
    for threads in (SIMULATED_THREADS, 1 << 24):
        ours = _reduction_time(ctx, threads, rounds)
        factor = (simulated / SIMULATED_THREADS) / (ours / threads)
        name = f"simulator x, ours at {threads if threads < 1 << 20 else '16 M'} threads"
        verdict = "pass" if factor >= SPEEDUP else "FAIL"
        peer = f"numba CUDA simulator, {SIMULATED_THREADS} threads"
        rows.append(Row(name, ours, peer, simulated, factor, f">= {SPEEDUP:,} x a thread", verdict))
    return rows


def _reduction_time(ctx: DeviceContext, threads: int, rounds: int) -> float:
    blocks = threads // 256
    source = ctx.enqueue_create_buffer(DType.float32, threads)
    target = ctx.enqueue_create_buffer(DType.float32, blocks)
    ctx.enqueue_fill(source, 1)

    def run() -> None:
        ctx.enqueue_function(
            kernels.reduction, target, source, threads, TPB=256, grid_dim=blocks, block_dim=256
        )
        ctx.synchronize()

    run()
    return best_of(run, rounds)
