"""The CUDA C++ of whole kernels: what it looks like, and what it computes."""

from pathlib import Path
from typing import Any

import cuda_kernels as kernels
import numpy as np
import pytest
from cuda_emulator import needs_cpp, run
from cuda_programs import F32, I32, I64, array, lowered, scalar

from workshop.dtype import DType
from workshop.errors import Loc
from workshop.gpu import ir
from workshop.gpu.cuda import source
from workshop.gpu.cuda.ranges import Assumptions
from workshop.gpu.cuda.translation import translate

WIDE = Assumptions(index32=False, disjoint=False)
BOTH = pytest.mark.parametrize("assumptions", [Assumptions(), WIDE], ids=["narrow", "wide"])

SAXPY = """\
extern "C" __global__ void __launch_bounds__(128) saxpy(
    float* __restrict__ y,
    const float* __restrict__ x,
    float alpha,
    int size) {
    int i = blockDim.x * blockIdx.x + threadIdx.x;
    if (i < size) {
        y[i] = alpha * x[i] + y[i];
    }
}
"""
ADD_10 = """\
extern "C" __global__ void __launch_bounds__(4) add_10_shared(
    float* __restrict__ output,
    const float* __restrict__ a,
    int size) {
    __shared__ float shared[4];
    int i = blockDim.x * blockIdx.x + threadIdx.x;
    if (i < size) {
        shared[threadIdx.x] = a[i];
    }
    __syncthreads();
    if (i < size) {
        output[i] = shared[threadIdx.x] + 10.0f;
    }
}
"""
BLOCK_SUM = """\
extern "C" __global__ void __launch_bounds__(128) block_sum(
    float* __restrict__ output,
    const float* __restrict__ a,
    int a_size) {
    __shared__ float shared[128];
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    shared[threadIdx.x] = i < a_size ? a[i] : 0.0f;
    __syncthreads();
    int stride = 64;
    while (stride > 0) {
        if (threadIdx.x < stride) {
            shared[threadIdx.x] += shared[threadIdx.x + stride];
        }
        __syncthreads();
        stride /= 2;
    }
    if (threadIdx.x == 0) {
        output[blockIdx.x] = shared[0];
    }
}
"""


def saxpy(dtype: DType = F32) -> Any:
    return lowered(
        kernels.saxpy, array("y", dtype), array("x", dtype), scalar("alpha", dtype), scalar("size")
    )


def test_golden_source() -> None:
    assert source(saxpy()) == SAXPY
    shared = lowered(
        kernels.add_10_shared, array("output"), array("a"), scalar("size"), TPB=4, block=(4, 1, 1)
    )
    assert source(shared) == ADD_10
    assert source(lowered(kernels.block_sum, array("output"), array("a"), TPB=128)) == BLOCK_SUM


def test_without_the_assumptions_indices_are_64_bits_and_nothing_is_restrict() -> None:
    text = translate(saxpy(), WIDE).text
    assert "long long size" in text
    assert "long long i = (long long)blockDim.x * blockIdx.x + threadIdx.x;" in text
    assert "restrict" not in text


def test_an_extent_is_passed_only_where_it_is_read() -> None:
    program = translate(
        lowered(kernels.matmul_tiled, *(array(n, rank=2) for n in "cab"), T=16, block=(16, 16, 1))
    )
    passed = [(p.role, p.index, p.axis) for p in program.parameters if p.role == "extent"]
    assert sorted(passed) == [("extent", 0, 0), ("extent", 0, 1), ("extent", 1, 0), ("extent", 1, 1),
                              ("extent", 2, 0), ("extent", 2, 1)]  # fmt: skip
    assert [p.role for p in translate(saxpy()).parameters] == ["array", "array", "scalar", "scalar"]


@needs_cpp
@BOTH
def test_saxpy_and_its_guard(assumptions: Assumptions, tmp_path: Path) -> None:
    x, y = np.arange(10, dtype=np.float32), np.full(10, 0.5, np.float32)
    run(lowered(kernels.saxpy, array("y"), array("x"), scalar("alpha", F32), scalar("size"), block=(4, 1, 1)),
        [y, x, 2.0, 9], (3, 1, 1), tmp_path, assumptions)  # fmt: skip
    assert y.tolist() == [0.5 + 2 * i for i in range(9)] + [0.5]


@needs_cpp
@BOTH
def test_block_sum(assumptions: Assumptions, tmp_path: Path) -> None:
    a, out = np.arange(50, dtype=np.int32), np.zeros(4, np.int32)
    function = lowered(kernels.block_sum, array("output", I32), array("a", I32), TPB=16, block=(16, 1, 1))
    run(function, [out, a], (4, 1, 1), tmp_path, assumptions)
    assert out.tolist() == [int(a[k : k + 16].sum()) for k in range(0, 64, 16)]


@needs_cpp
@BOTH
def test_tiled_matmul__uneven_shapes(assumptions: Assumptions, tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    a, b = (
        random.integers(-9, 9, (7, 10)).astype(np.float32),
        random.integers(-9, 9, (10, 5)).astype(np.float32),
    )
    c = np.zeros((7, 5), np.float32)
    function = lowered(kernels.matmul_tiled, *(array(n, rank=2) for n in "cab"), T=4, block=(4, 4, 1))
    run(function, [c, a, b], (2, 2, 1), tmp_path, assumptions)
    assert (c == a @ b).all()


@needs_cpp
@BOTH
def test_jumps(assumptions: Assumptions, tmp_path: Path) -> None:
    a = np.array([3, -1, 4, 1, -5, 9, 2, 6, 60, 7], np.int32)
    out, n = np.full(12, -7, np.int32), 10
    function = lowered(kernels.jumps, array("out", I32), array("a", I32), scalar("n"), block=(6, 1, 1))
    run(function, [out, a, n], (2, 1, 1), tmp_path, assumptions)
    want = [-7] * 12
    for i in range(n):
        total = 0
        for j in range(n):
            if a[j] < 0:
                continue
            if a[j] > 50:
                break
            for k in range(j, -1, -2):
                if k == i:
                    break
                if a[k] != a[i]:
                    total += int(a[k])
        want[i] = (total + 12) * 100 + 7
    assert out.tolist() == want
    assert "goto" not in source(function)


@needs_cpp
@BOTH
def test_helpers_that_return_early(assumptions: Assumptions, tmp_path: Path) -> None:
    a, out = np.array([3, -1, 0, 9, 4, 9], np.int32), np.zeros(6, np.int32)
    function = lowered(kernels.helpers, array("out", I32), array("a", I32), block=(4, 1, 1))
    run(function, [out, a], (2, 1, 1), tmp_path, assumptions)
    sign = np.sign(a)
    first = [next((j for j in range(6) for k in range(2) if a[j] + k > v), 6) for v in a]
    assert out.tolist() == (sign * 1000 + first).tolist()


@needs_cpp
@BOTH
def test_loop_bounds_are_taken_once_and_steps_may_be_known_late(
    assumptions: Assumptions, tmp_path: Path
) -> None:
    out, n = np.zeros(6, np.int64), 9
    run(lowered(kernels.bounds, array("out", I64), scalar("n"), block=(6, 1, 1)), [out, n], (1, 1, 1),
        tmp_path, assumptions)  # fmt: skip
    want = []
    for i in range(6):
        trips = list(range(0, n, i - 2)) if i != 2 else []
        end = 0 if trips else n
        count = sum(trips) + sum(10 * k + 5 for k in range(end, -n, -1 - i))
        while True:
            count += 1
            if count % 7 == 3:
                break
        want.append(count)
    assert out.tolist() == want


@needs_cpp
def test_a_bound_from_memory_is_read_once(tmp_path: Path) -> None:
    out, a = np.zeros(5, np.int32), np.array([3], np.int32)
    run(
        lowered(kernels.shrinking, array("out", I32), array("a", I32), block=(1, 1, 1)),
        [out, a],
        (1, 1, 1),
        tmp_path,
    )
    assert out.tolist() == [1, 1, 1, 0, 0]


@needs_cpp
def test_leaving_an_outer_block_from_an_inner_loop(tmp_path: Path) -> None:
    """No Python says this, inlined helpers do: out[i] counts the inner trips before j reaches k."""
    loc = Loc("outer.py", 1)
    out = ir.Memory("out", "global", I64, (None,), "row_major", loc)
    k, j, count = (ir.Variable(I64, loc, name) for name in ("k", "j", "count"))
    zero, one, four = (ir.Constant(I64, loc, n) for n in (0, 1, 4))
    reached = ir.If(loc, ir.Compare(DType.bool, loc, "eq", j, k), (ir.Leave(loc, "trip"),), ())
    add = ir.Assign(loc, "count", ir.Binary(I64, loc, "add", count, one))
    inner = ir.For(loc, "j", zero, four, one, (reached, add))
    after = ir.Assign(loc, "count", ir.Binary(I64, loc, "add", count, ir.Constant(I64, loc, 100)))
    trips = ir.For(loc, "k", zero, ir.Constant(I64, loc, 6), one, (ir.Block(loc, "trip", (inner, after)),))
    body = (ir.Assign(loc, "count", zero), trips, ir.Store(loc, out, (zero,), count))
    variables = dict.fromkeys(("k", "j", "count"), I64)
    function = ir.Function("outer", (out,), variables, body, (1, 1, 1), 32, loc)
    result = np.zeros(1, np.int64)
    run(function, [result], (1, 1, 1), tmp_path)
    assert result[0] == 0 + 1 + 2 + 3 + 104 + 104
    assert "goto trip;" in source(function)


@needs_cpp
@BOTH
def test_ids_below_zero(assumptions: Assumptions, tmp_path: Path) -> None:
    out = np.zeros(8, np.int32)
    run(
        lowered(kernels.minus_ids, array("out", I32), block=(8, 1, 1)),
        [out],
        (1, 1, 1),
        tmp_path,
        assumptions,
    )
    want = [(i - 1 if i >= 1 else 100) + (1000 if i - 2 < 0 else 0) for i in range(8)]
    for i in range(3):
        want[i] += 10 * min(i - 3, -1) + (i - 4) // 2
    assert out.tolist() == want


@needs_cpp
@BOTH
def test_strided_arrays(assumptions: Assumptions, tmp_path: Path) -> None:
    a = np.asfortranarray(np.arange(15, dtype=np.float32).reshape(3, 5))
    out = np.zeros((5, 3), np.float32)
    function = lowered(
        kernels.transpose, array("out", rank=2), array("a", rank=2, layout="strided"), block=(4, 4, 1)
    )
    assert [p.axis for p in translate(function).parameters if p.role == "stride"] == [0, 1]
    run(function, [out, a], (2, 1, 1), tmp_path, assumptions)
    assert (out == a.T).all()


@needs_cpp
def test_names_that_c_keeps_for_itself(tmp_path: Path) -> None:
    out = np.zeros(4, np.int32)
    function = lowered(kernels.register, array("auto", I32), scalar("int_"), goto=3, block=(4, 1, 1))
    run(function, [out, 5], (1, 1, 1), tmp_path)
    assert out.tolist() == [2 * (i + 3) + 5 for i in range(4)]


@needs_cpp
@BOTH
def test_local_arrays(assumptions: Assumptions, tmp_path: Path) -> None:
    out = np.zeros(6, np.int16)
    function = lowered(
        kernels.local_array, array("out", DType.int16), scalar("n", DType.int16), block=(6, 1, 1)
    )
    run(function, [out, 7], (1, 1, 1), tmp_path, assumptions)
    assert out.tolist() == [i * (i % 4) + 7 for i in range(6)]


@needs_cpp
@pytest.mark.parametrize("dtype", [DType.float16, DType.bfloat16, DType.float32, DType.float64, DType.int8])
def test_printed_lines_come_back_as_python_would_print_them(dtype: DType, tmp_path: Path) -> None:
    native = dtype.to_numpy()
    a, b = np.array([0.1, 1.5, 2.75, -3], native), np.array([5, 2**63, 7, 2**64 - 1], np.uint64)
    function = lowered(kernels.speaking, array("a", dtype), array("b", DType.uint64), block=(4, 1, 1))
    output = run(function, [a, b], (2, 1, 1), tmp_path)
    lines = sorted(output.lines, key=lambda p: (p.block, p.thread, p.sequence))
    want = []
    for block in range(2):
        for i in range(4):
            mine = [f"{block}/{i}: a={a[i]} b={b[i]} {a[i] > 2}"] if a[i] > 1 else []
            want += [(block, i, n, text) for n, text in enumerate([*mine, f"done {i - 2}"])]
    assert [(p.block, p.thread, p.sequence, p.text) for p in lines] == want
    assert output.dropped == 0


@needs_cpp
def test_lines_over_the_limit_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workshop.gpu.cuda.translation.PRINT_LIMIT", 100)
    monkeypatch.setattr("workshop.gpu.printing.PRINT_LIMIT", 100)
    a, b = np.zeros(16, np.float32), np.zeros(16, np.uint64)
    function = lowered(kernels.speaking, array("a"), array("b", DType.uint64), block=(16, 1, 1))
    output = run(function, [a, b], (40, 1, 1), tmp_path)
    assert (len(output.lines), output.dropped) == (100, 540)
