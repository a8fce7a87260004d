"""The cache on disk, the thread pool, forks, cancelling, and the printed source."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from workshop.dtype import DType
from workshop.gpu import AddressSpace, barrier, block_idx, global_idx, kernel, stack_allocation, thread_idx
from workshop.gpu.cpu import CpuBackend
from workshop.gpu.cpu.pool import Pool
from workshop.gpu.host import DeviceContext
from workshop.gpu.launch import HostArray, Launch

ROOT = Path(__file__).parents[3]


@kernel
def double(out: Any, a: Any, n: Any) -> None:
    i = global_idx.x
    if i < n:
        out[i] = a[i] * 2


@kernel
def endless(out: Any, n: Any) -> None:
    k = 0
    while n > 0:
        k += 1
    out[0] = k


@kernel
def tile_sum(out: Any, a: Any, n: Any, *, TPB: int) -> None:
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


def warm(kernel_: Any = double, n: int = 64, *args: Any, **parameters: Any) -> Any:
    """Launch once, so that the kernel has its IR."""
    ctx = DeviceContext(api="cpu")
    out, a = (ctx.enqueue_create_buffer(DType.float32, n) for _ in range(2))
    ctx.enqueue_fill(a, 3)
    ctx.enqueue_function(kernel_, out, a, n, grid_dim=-(-n // 64), block_dim=64, **parameters)
    ctx.synchronize()
    return kernel_.last.function


def run_on(backend: CpuBackend, function: Any, n: int = 64) -> Any:
    a, out = np.full(n, 3, np.float32), np.zeros(n, np.float32)
    arrays = [HostArray(x, (n,), (1,)) for x in (out, a)]
    backend.run(Launch(function, [*arrays, np.int64(n)], (-(-n // 64), 1, 1), "key"))
    return out


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("WORKSHOP_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_machine_code_is_kept_and_found_again(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    function = warm()
    run_on(CpuBackend(), function)
    (kept,) = cache.glob("*.o")
    monkeypatch.setattr("workshop.gpu.cpu.build.optimised", None)  # compiling would fail
    assert np.all(run_on(CpuBackend(), function) == 6)
    assert list(cache.iterdir()) == [kept]


@pytest.mark.parametrize("damage", [b"", b"nonsense", None])
def test_a_damaged_file_is_thrown_away(cache: Path, damage: bytes | None) -> None:
    function = warm()
    run_on(CpuBackend(), function)
    (kept,) = cache.glob("*.o")
    good = kept.read_bytes()
    kept.write_bytes(good[:-1] + bytes([good[-1] ^ 1]) if damage is None else damage)
    assert np.all(run_on(CpuBackend(), function) == 6)
    assert kept.read_bytes() == good


def test_a_cache_that_cannot_be_written_is_no_obstacle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    monkeypatch.setenv("WORKSHOP_CACHE", str(blocked))
    assert np.all(run_on(CpuBackend(), warm()) == 6)


def test_processes_that_compile_at_once_agree(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "from workshop.gpu import *\n"
        "from workshop.dtype import DType\n"
        "from workshop.gpu.host import DeviceContext\n"
        "@kernel\n"
        "def twice(out, a):\n"
        "    i = global_idx.x\n"
        "    out[i] = a[i] * 2\n"
        "ctx = DeviceContext(api='cpu')\n"
        "a = ctx.enqueue_create_buffer(DType.float32, 64)\n"
        "ctx.enqueue_fill(a, 2)\n"
        "ctx.enqueue_function(twice, a, a, grid_dim=1, block_dim=64)\n"
        "print(a.to_numpy().sum())\n"
        "import sys; assert 'numba' not in sys.modules\n"
    )
    environment = os.environ | {"WORKSHOP_CACHE": str(tmp_path / "cache"), "PYTHONPATH": str(ROOT / "src")}
    command = [sys.executable, str(script)]
    running = [
        subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) for _ in range(4)
    ]
    assert [p.communicate()[0].strip() for p in running] == ["256.0"] * 4
    assert [p.suffix for p in (tmp_path / "cache").iterdir()] == [".o"]


def test_two_threads_may_launch_at_once() -> None:
    n = 1 << 20
    backend, function = CpuBackend(), warm(double, 64)
    failures: list[Any] = []

    def work() -> None:
        for _ in range(20):
            if not np.all(run_on(backend, function, n) == 6):
                failures.append("wrong")

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


class Counting:
    """Work that notes which blocks it ran."""

    def __init__(self, count: int, fails_at: int = -1) -> None:
        self.seen = np.zeros(count, np.int64)
        self.workers: set[int] = set()
        self.fails_at = fails_at
        self.lock = threading.Lock()
        self.pace = 0.0

    def span(self, lo: int, hi: int) -> None:
        time.sleep(5e-5)
        self.seen[lo:hi] += 1

    def take(self, worker: int, pieces: Any) -> None:
        self.workers.add(worker)
        at = ctypes.c_int64.from_address(pieces.address)
        while True:
            with self.lock:
                lo = at.value
                at.value = hi = min(lo + max((pieces.count - lo) // pieces.parts, pieces.least), pieces.count)
            if lo >= hi:
                return
            self.span(lo, hi)
            if lo <= self.fails_at < hi:
                raise ValueError("a piece failed")


@pytest.mark.parametrize("align", [1, 10])
@pytest.mark.parametrize("count", [1, 2, 7, 100, 12345])
def test_the_pool_covers_every_block_once(count: int, align: int) -> None:
    pool, work = Pool(3), Counting(count)
    for times in (1, 2):  # the second time its pace is known
        pool.run(work, count, align)
        assert np.all(work.seen == times)
        assert count < 100 or work.workers == {0, 1, 2}


def test_a_failure_in_a_thread_reaches_the_caller() -> None:
    pool = Pool(2)
    with pytest.raises(ValueError, match="a piece failed"):
        pool.run(Counting(1000, fails_at=900), 1000)
    again = Counting(1000)
    pool.run(again, 1000)
    assert np.all(again.seen == 1)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child_launches_with_threads_of_its_own() -> None:
    n = 1 << 21
    backend, function = CpuBackend(), warm(double, 64)
    assert np.all(run_on(backend, function, n) == 6)
    child = os.fork()
    if child == 0:
        os._exit(0 if np.all(run_on(backend, function, n) == 6) else 1)
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            assert os.waitstatus_to_exitcode(status) == 0
            return
        time.sleep(0.01)
    os.kill(child, 9)
    pytest.fail("the child hangs")


def test_an_endless_while_can_be_cancelled() -> None:
    ctx = DeviceContext(api="cpu")
    out = ctx.enqueue_create_buffer(DType.float32, 1)
    ctx.enqueue_function(endless, out, 0, grid_dim=1, block_dim=1)
    ctx.synchronize()
    function = endless.last.function  # type: ignore[attr-defined]
    target = HostArray(np.zeros(1, np.float32), (1,), (1,))
    launch = Launch(function, [target, np.int64(1)], (64, 1, 1), "endless")
    thread = threading.Thread(target=CpuBackend().run, args=(launch,))
    thread.start()
    thread.join(0.2)
    assert thread.is_alive()
    launch.cancel.set()
    thread.join(10)
    assert not thread.is_alive()


def test_ten_sizes_compile_once(cache: Path) -> None:
    before = double.specializations
    functions = {id(warm(double, n)) for n in range(100, 200, 10)}
    assert len(functions) == 1 and double.specializations <= before + 1
    backend = CpuBackend()
    for n in range(100, 200, 10):
        assert np.all(run_on(backend, warm(), n) == 6)
    assert len(list(cache.glob("*.o"))) == 1


def test_source_shows_the_versions_of_a_guarded_kernel() -> None:
    warm()
    assert double.source("cpu") == (
        "def double(out, a, n):\n"
        "    for block_idx in blocks:\n"
        "        if all(i < n) and inside(out[i]) and inside(a[i]):"
        "  # one test at the corners of the block\n"
        "            for thread_idx.x in lanes(64):  # 16 at a time\n"
        "                i = ((block_idx.x * 64) + thread_idx.x)\n"
        "                out[i] = (a[i] * 2.0)\n"
        "        else:\n"
        "            for thread_idx.x in lanes(64):  # 16 at a time\n"
        "                i = ((block_idx.x * 64) + thread_idx.x)\n"
        "                if (i < n):\n"
        "                    out[i] = (a[i] * 2.0)  # tested: a[i], out[i]\n"
    )


def test_source_cuts_a_kernel_at_its_barriers() -> None:
    warm(tile_sum, 64, TPB=64)
    text = tile_sum.source("cpu")
    assert text.count("# barrier: all threads have come this far") == 2
    assert "while (stride > 0):" in text and "shared = array(64, float32)" in text
    assert (
        "vfmadd" in double.asm()
        or "fmul" in double.asm()
        or "vmulps" in double.asm()
        or "vaddps" in double.asm()
    )
    assert "define void @launch_range" in double.llvm()


@kernel
def product(c: Any, a: Any, b: Any, n: Any) -> None:
    row = global_idx.y
    col = global_idx.x
    if row < n and col < n:
        total = 0.0
        for k in range(n):
            if k != row:
                total += a[row, k] * b[k, col]
        c[row, col] = total


@pytest.mark.parametrize("n", [16, 37, 64])
def test_rows_that_run_in_step_compute_what_they_compute_alone(n: int) -> None:
    ctx = DeviceContext(api="cpu")
    rng = np.random.default_rng(n)
    buffers = [ctx.enqueue_create_buffer(DType.float32, n * n) for _ in range(3)]
    for buffer in buffers[1:]:
        with buffer.map_to_host() as host:
            host[:] = rng.integers(0, 9, n * n)
    grid = -(-n // 16)
    tensors = [buffer.layout(n, n) for buffer in buffers]
    ctx.enqueue_function(product, *tensors, n, grid_dim=(grid, grid), block_dim=(16, 16))
    c, a, b = (buffer.to_numpy().reshape(n, n) for buffer in buffers)
    assert np.array_equal(c, (a * (1 - np.eye(n))) @ b)
    assert "for thread_idx.y in range(16):  # 4 rows in step" in product.source("cpu")
