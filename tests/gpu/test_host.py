"""Contexts, buffers and streams: order, asynchrony, printing, faults, interrupts, forks."""

import _thread
import os
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import numpy as np
import pytest

import workshop
from workshop.dtype import DType
from workshop.errors import BoundsError, LaunchError
from workshop.gpu import block_idx, global_idx, kernel, print, thread_idx
from workshop.gpu.host import DeviceAttribute, DeviceContext


@kernel
def increment(a, n):
    i = global_idx.x
    if i < n:
        a[i] += 1


@kernel
def unguarded(a):
    a[global_idx.x] = 1


@kernel
def hello():
    print("block", block_idx.x, "thread", thread_idx.x)


@kernel
def endless(a):
    while a[0] == 0:
        a[1] += 0


def zeros(ctx, n, dtype=DType.int32):
    return ctx.enqueue_create_buffer(dtype, n).enqueue_fill(0)


def test_stream__keeps_order(ctx):
    a, b = zeros(ctx, 1000), zeros(ctx, 1000)
    for _ in range(5):
        ctx.enqueue_function(increment, a, 1000, grid_dim=10, block_dim=100)
    ctx.enqueue_copy(b, a)
    a.enqueue_fill(9)
    assert set(b.to_numpy().tolist()) == {5} and set(a.to_numpy().tolist()) == {9}


def test_large_launch__returns_before_it_is_done():
    ctx = DeviceContext(api="checked")
    n = 1 << 19
    a = zeros(ctx, n)
    ctx.synchronize()
    start = time.perf_counter()
    ctx.enqueue_function(increment, a, n, grid_dim=n // 512, block_dim=512)
    enqueued = time.perf_counter() - start
    ctx.synchronize()
    assert enqueued < (time.perf_counter() - start) / 2
    assert set(a.to_numpy().tolist()) == {1}


def test_fault__surfaces_once_at_the_next_wait_and_the_context_works_on(ctx):
    if ctx.api() == "cuda":
        pytest.skip("a GPU is not bounds-checked")
    a = zeros(ctx, 6)
    ctx.enqueue_function(unguarded, a, grid_dim=2, block_dim=4)
    with pytest.raises(BoundsError) as caught:
        a.to_numpy()
    assert caught.value.block == (1, 0, 0) and caught.value.thread == (2, 0, 0)
    ctx.synchronize()
    ctx.enqueue_function(increment, a, 6, grid_dim=2, block_dim=4)
    ctx.synchronize()


def test_print__sorted_by_block_and_thread(ctx, capsys):
    ctx.enqueue_function(hello, grid_dim=2, block_dim=2)
    assert capsys.readouterr().out == ""
    ctx.synchronize()
    expected = [f"block {b} thread {t}" for b in range(2) for t in range(2)]
    assert capsys.readouterr().out.splitlines() == expected


def test_print__scheduled_is_reproducible_and_interleaved(capsys):
    outs = []
    for _ in range(2):
        ctx = DeviceContext(api="checked", print_order="scheduled", seed=7)
        ctx.enqueue_function(hello, grid_dim=4, block_dim=2)
        ctx.synchronize()
        outs.append(capsys.readouterr().out.splitlines())
    assert outs[0] == outs[1] != sorted(outs[0])
    assert sorted(outs[0]) == [f"block {b} thread {t}" for b in range(4) for t in range(2)]


def test_print__beyond_ten_thousand_lines_says_how_many_are_missing(ctx, capsys):
    ctx.enqueue_function(hello, grid_dim=60, block_dim=256)
    ctx.synchronize()
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 10_001 and "5360 more lines" in lines[-1]


@pytest.mark.parametrize("api", ["checked", "cpu"])
def test_interrupt__cancels_an_endless_while(api):
    ctx = DeviceContext(api=api)
    if api == "checked":
        ctx.runtime.backend.step_budget = 10**9
    a = zeros(ctx, 2)
    try:
        ctx.enqueue_function(endless, a, grid_dim=1, block_dim=1)
        threading.Timer(0.3, _thread.interrupt_main).start()
        with pytest.raises(KeyboardInterrupt, match="the running kernel was stopped"):
            ctx.synchronize()
    finally:
        if api == "checked":
            ctx.runtime.backend.step_budget = 200_000
    ctx.enqueue_function(increment, a, 2, grid_dim=1, block_dim=2)
    assert a.to_numpy().tolist() == [1, 1]


def test_two_threads__launch_at_once(ctx):
    results = {}

    def work(name):
        a = zeros(ctx, 4096)
        for _ in range(20):
            ctx.enqueue_function(increment, a, 4096, grid_dim=16, block_dim=256)
        results[name] = set(a.to_numpy().tolist())

    threads = [threading.Thread(target=work, args=(k,)) for k in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == {0: {20}, 1: {20}}


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize("api", ["checked", "cpu"])
def test_fork__the_child_launches_too(api):
    ctx = DeviceContext(api=api)
    n = 1 << 17
    a = zeros(ctx, n)
    ctx.enqueue_function(increment, a, n, grid_dim=n // 256, block_dim=256)
    ctx.synchronize()
    child = os.fork()
    if child == 0:
        ctx.enqueue_function(increment, a, n, grid_dim=n // 256, block_dim=256)
        os._exit(0 if set(a.to_numpy().tolist()) == {2} else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert set(a.to_numpy().tolist()) == {1}


def test_map_to_host__writes_back_after_an_exception_too(ctx):
    a = zeros(ctx, 2)
    with pytest.raises(ZeroDivisionError), a.map_to_host() as host:
        host[:] = 5
        _ = 1 // 0
    assert a.to_numpy().tolist() == [5, 5]


def test_streams__are_ordered_in_themselves(ctx):
    one, two = ctx.create_stream(), ctx.create_stream()
    a, b = zeros(ctx, 64), zeros(ctx, 64)
    ctx.synchronize()
    for _ in range(3):
        ctx.enqueue_function(increment, a, 64, grid_dim=1, block_dim=64, stream=one)
        ctx.enqueue_function(increment, b, 64, grid_dim=1, block_dim=64, stream=two)
    one.synchronize()
    two.synchronize()
    assert a.to_numpy().tolist() == b.to_numpy().tolist() == [3] * 64


def test_event__orders_two_streams_and_times_them(ctx):
    one, two = ctx.create_stream(), ctx.create_stream()
    n = 1 << 18
    a, b = zeros(ctx, n), zeros(ctx, n)
    ctx.synchronize()
    start, done = ctx.create_event(), ctx.create_event()
    one.record_event(start)
    ctx.enqueue_function(increment, a, n, grid_dim=n // 256, block_dim=256, stream=one)
    one.record_event(done)
    two.enqueue_wait_for(done)
    ctx.enqueue_copy(b, a, stream=two)
    two.synchronize()
    done.synchronize()
    assert set(b.to_numpy().tolist()) == {1} and done.elapsed_ms(start) > 0


def test_execution_time__is_nanoseconds_per_iteration(ctx):
    a = zeros(ctx, 64)
    calls = []

    def body(context):
        calls.append(context)
        context.enqueue_function(increment, a, 64, grid_dim=1, block_dim=64)

    assert ctx.execution_time(body, 4) > 100
    assert calls == [ctx] * 4 and a.to_numpy()[0] == 4


def test_limits__of_another_gpu():
    ctx = DeviceContext(api="checked", limits="MI300X")
    assert ctx.get_attribute(DeviceAttribute.WARP_SIZE) == 64 and ctx.name() == "CPU"


def run_python(*arguments, **environment):
    """Run a Python of its own that finds the package these tests import."""
    found = {"PYTHONPATH": str(Path(workshop.__file__).parents[1])}
    environment = {**os.environ, **found, **environment}
    return subprocess.run(
        [sys.executable, *arguments], env=environment, capture_output=True, text=True, timeout=60
    )


def test_environment__names_the_default_api():
    show = "from workshop.gpu.host import DeviceContext; print(DeviceContext().api())"
    assert run_python("-c", show, WORKSHOP_DEVICE="checked").stdout.strip() == "checked"
    wrong = run_python("-c", show, WORKSHOP_DEVICE="tpu")
    assert "use one of cuda, cpu, checked" in wrong.stderr
    assert wrong.returncode != 0


def test_environment__cuda_without_a_gpu_is_an_error():
    from workshop.driver import accelerator_count

    if accelerator_count():
        pytest.skip("this machine has a GPU")
    with pytest.raises(LaunchError, match="asks for a GPU"):
        DeviceContext(api="cuda")


def test_exit__warns_of_a_fault_nobody_waited_for(tmp_path):
    script = tmp_path / "forgotten.py"
    script.write_text(
        textwrap.dedent("""
        from workshop.dtype import DType
        from workshop.gpu import thread_idx
        from workshop.gpu.host import DeviceContext

        def k(a):
            a[thread_idx.x] = 1

        ctx = DeviceContext(api="checked")
        ctx.enqueue_function(k, ctx.enqueue_create_buffer(DType.int32, 3), grid_dim=1, block_dim=4)
        """)
    )
    done = run_python(script)
    assert "nobody waited for it" in done.stderr and "BoundsError" in done.stderr and done.returncode == 0


def test_buffer__outlives_a_launch_in_flight(ctx):
    a = zeros(ctx, 1 << 16)
    b = zeros(ctx, 1 << 16)
    ctx.synchronize()
    ctx.enqueue_function(increment, a, 1 << 16, grid_dim=256, block_dim=256)
    del a
    junk = [zeros(ctx, 1 << 16) for _ in range(3)]
    ctx.synchronize()
    assert not b.to_numpy().any() and not any(j.to_numpy().any() for j in junk)


def test_copy__to_and_from_numpy_arrays_of_any_strides(ctx):
    device = ctx.enqueue_create_buffer[DType.int32](6)
    ctx.enqueue_copy(device, np.arange(12, dtype=np.int32).reshape(3, 4)[:, ::2])
    back = np.zeros((3, 4), np.int32)
    if ctx.api() != "cuda":
        ctx.enqueue_copy(back[:, 1::2], device)
        ctx.synchronize()
        np.testing.assert_array_equal(back[:, 1::2].reshape(-1), [0, 2, 4, 6, 8, 10])
    np.testing.assert_array_equal(device.to_numpy(), [0, 2, 4, 6, 8, 10])


def test_host_buffer__round_trip(ctx):
    host = ctx.enqueue_create_host_buffer[DType.float32](4)
    host[:] = np.arange(4)
    device = ctx.enqueue_create_buffer[DType.float32](4)
    back = ctx.enqueue_create_host_buffer[DType.float32](4)
    ctx.enqueue_copy(device, host)
    ctx.enqueue_copy(back, device)
    ctx.synchronize()
    np.testing.assert_array_equal(back.to_numpy(), [0, 1, 2, 3])
