"""What kernels mean, on every back end: ids, control flow, shared memory, helpers, numbers."""

import math

import numpy as np
import pytest

from workshop.dtype import DType
from workshop.gpu import (
    AddressSpace,
    Float32,
    Int32,
    UInt8,
    abs,
    barrier,
    block_dim,
    block_idx,
    ceil,
    clamp,
    erf,
    exp,
    floor,
    fma,
    global_idx,
    grid_dim,
    isinf,
    isnan,
    kernel,
    lane_id,
    log2,
    max,
    min,
    pow,
    round,
    rsqrt,
    select,
    sqrt,
    stack_allocation,
    static_range,
    tanh,
    thread_idx,
    warp_id,
)
from workshop.gpu.frontend.values import TypeProblem, meet


@kernel
def ids(out):
    x = global_idx.x
    y = block_idx.y * block_dim.y + thread_idx.y
    z = global_idx.z
    out[z, y, x] = x + 100 * y + 10000 * z + 1000000 * (grid_dim.x + grid_dim.y)


def test_ids__three_axes(apply):
    shape = (2, 4, 6)
    (out,) = apply(ids, np.zeros(shape, np.int64), grid=(3, 2, 1), block=(2, 2, 2))
    z, y, x = np.indices(shape)
    np.testing.assert_array_equal(out, x + 100 * y + 10000 * z + 5000000)


@kernel
def lanes(out):
    i = thread_idx.x + block_dim.x * thread_idx.y
    out[i] = warp_id() * 1000 + lane_id()


def test_lane_and_warp__follow_the_linear_thread(apply):
    (out,) = apply(lanes, np.zeros(80, np.int64), block=(16, 5))
    np.testing.assert_array_equal(out, np.arange(80) // 32 * 1000 + np.arange(80) % 32)


@kernel
def reduce_sum(out, a, n, *, TPB):
    shared = stack_allocation(TPB, a.dtype, AddressSpace.SHARED)
    i = global_idx.x
    shared[thread_idx.x] = a[i] if i < n else 0.0
    barrier()
    stride = TPB // 2
    while stride > 0:
        if thread_idx.x < stride:
            shared[thread_idx.x] += shared[thread_idx.x + stride]
        barrier()
        stride //= 2
    if thread_idx.x == 0:
        out[block_idx.x] = shared[0]


@pytest.mark.parametrize("dtype", [np.int32, np.float32, np.float64, np.float16])
def test_block_reduction(apply, dtype):
    a = (np.arange(100) % 7).astype(dtype)
    out, _ = apply(reduce_sum, np.zeros(4, dtype), a, 100, grid=4, block=32, TPB=32)
    np.testing.assert_array_equal(out, [a[k : k + 32].sum() for k in range(0, 100, 32)])


@kernel
def collatz(out):
    i = global_idx.x
    n = i + 1
    steps = 0
    while n != 1:
        if n % 2 == 0:
            n //= 2
            steps += 1
            continue
        n = 3 * n + 1
        steps += 1
        if steps > 100:
            break
    out[i] = steps


def test_while__break_and_continue(apply):
    def spec(n):
        steps = 0
        while n != 1:
            even = n % 2 == 0
            n = n // 2 if even else 3 * n + 1
            steps += 1
            if not even and steps > 100:
                break
        return steps

    (out,) = apply(collatz, np.zeros(40, np.int32), grid=5, block=8)
    np.testing.assert_array_equal(out, [spec(i + 1) for i in range(40)])


def first_above(a, n, limit):
    for i in range(n):
        if a[i] > limit:
            return i
    return -1


def swap(x, y):
    return y, x


@kernel
def helpers(out, a, n):
    i = thread_idx.x
    low, high = swap(i, n)
    low, high = high, low
    found = first_above(a, n, i) if i % 2 == 0 else -2
    out[i] = found * 1000 + low * 10 + (high - n)


def test_helpers__early_return_tuples_and_lazy_calls(apply):
    a = np.array([3, 1, 4, 1, 5, 9, 2, 6], np.int32)
    out, _ = apply(helpers, np.zeros(8, np.int32), a, 8, block=8)
    first = [next((k for k in range(8) if a[k] > i), -1) if i % 2 == 0 else -2 for i in range(8)]
    np.testing.assert_array_equal(out, [f * 1000 + i * 10 for i, f in enumerate(first)])


def bump(a, i):
    a[i] += 10
    return a[i]


@kernel
def ordered(out, a):
    i = thread_idx.x
    n = i
    pair = (n, a[i])
    n += 5
    out[0, i] = a[i] + bump(a, i)
    out[1, i] = n * 100 + pair[0] * 10 + (bump(a, i) - a[i])
    a[i] = a[i] * 1000 + bump(a, i)
    out[2, i] = pair[1]


def test_operands__are_computed_from_left_to_right(apply):
    a = np.array([1, 2], np.int32)
    out, after = apply(ordered, np.zeros((3, 2), np.int32), a, block=2)
    np.testing.assert_array_equal(out, [[12, 14], [500, 610], [1, 2]])
    np.testing.assert_array_equal(after, (a + 20) * 1000 + a + 30)


@kernel
def early(out, n):
    i = global_idx.x
    if i >= n:
        return
    for k in range(3):
        if k == i:
            return
        out[i] += 1
    out[i] += 100


def test_return__ends_the_thread(apply):
    (out,) = apply(early, np.zeros(6, np.int32), 5, grid=2, block=4)
    np.testing.assert_array_equal(out, [0, 1, 2, 103, 103, 0])


@kernel
def loops(out, n):
    i = thread_idx.x
    total = 0
    for a in range(n, 0, -2):
        total += a
    for b in range(i, n):
        total += 100 * b
    for _ in range(5, 2):
        total = -1
    for c in static_range(2, 8, 3):
        total += 10000 * c
    out[i] = total


def test_range__negative_empty_and_unrolled(apply):
    (out,) = apply(loops, np.zeros(4, np.int64), 6, block=4)
    np.testing.assert_array_equal(out, [12 + 100 * sum(range(i, 6)) + 70000 for i in range(4)])


@kernel
def lazy(out, a, n):
    i = thread_idx.x
    ok = i < n and a[i] > 0
    either = i >= n or a[i] > 2
    out[i] = (a[i] if i < n else -1) + 10 * ok + 100 * either + (1000 if not ok else 0)


def test_and_or_if__evaluate_only_what_is_needed(apply):
    a = np.array([0, 1, 2, 3], np.int32)
    out, _ = apply(lazy, np.zeros(6, np.int32), a, 4, block=6)
    expected = [a[i] + 10 * (a[i] > 0) + 100 * (a[i] > 2) + 1000 * (a[i] <= 0) for i in range(4)]
    np.testing.assert_array_equal(out, [*expected, 1099, 1099])


@kernel
def compile_time(out, *, op, scale=2, flag=True):
    i = thread_idx.x
    if flag:
        out[i] = op(i) * scale
    else:
        out[i, i, i] = 1


def test_parameters__functions_defaults_and_untaken_branches(apply):
    (out,) = apply(compile_time, np.zeros(3, np.int32), block=3, op=lambda x: x + 5)
    np.testing.assert_array_equal(out, [10, 12, 14])


@kernel
def local_array(out):
    i = thread_idx.x
    mine = stack_allocation((2, 3), DType.int32)
    for r in range(2):
        for c in range(3):
            mine[r, c] = r * 10 + c + i
    out[i] = mine[1, 2] + mine[0, 1] + len(mine) * 1000 + mine.dim(1) * 10000


def test_local_memory__belongs_to_the_thread(apply):
    (out,) = apply(local_array, np.zeros(5, np.int32), block=5)
    np.testing.assert_array_equal(out, 12 + 1 + 2 * np.arange(5) + 2000 + 30000)


@kernel
def conditional_definition(out, a, n):
    i = thread_idx.x
    if i < n:
        value = a[i] * 2
    barrier()
    if i < n:
        out[i] = value


def test_variable__assigned_in_one_branch_used_in_another(apply):
    out, _ = apply(
        conditional_definition, np.zeros(4, np.float32), np.arange(4, dtype=np.float32), 3, block=4
    )
    np.testing.assert_array_equal(out, [0, 2, 4, 0])


# -- numbers


@kernel
def integer_division(q, r, a, b):
    i = thread_idx.x
    q[i] = a[i] // b[i]
    r[i] = a[i] % b[i]


@pytest.mark.parametrize("dtype", [np.int8, np.int32, np.int64, np.uint8, np.float32])
def test_floor_division__floors_as_python(apply, dtype):
    signed = np.dtype(dtype).kind != "u"
    a = np.array([7, 8, 9, 0, 100, 3], np.int64) * (-1 if signed else 1)
    b = np.array([2, 3, 4, 5, 7, 120], np.int64)
    zeros = np.zeros(6, dtype)
    q, r, *_ = apply(integer_division, zeros, zeros, a.astype(dtype), b.astype(dtype), block=6)
    np.testing.assert_array_equal(q, (a // b).astype(dtype))
    np.testing.assert_array_equal(r, (a % b).astype(dtype))


def test_floor_division__by_infinity(apply):
    a = np.array([1, -1, 1, -1, 0], np.float32)
    b = np.array([math.inf, math.inf, -math.inf, -math.inf, math.inf], np.float32)
    q, r, *_ = apply(integer_division, a, a, a, b, block=5)
    np.testing.assert_array_equal(q, [0, -1, -1, 0, 0])
    np.testing.assert_array_equal(r, [1, math.inf, -math.inf, -1, 0])


@kernel
def wraps(out):
    i = thread_idx.x
    out[i] = UInt8(250) + UInt8(i)


def test_integers__wrap_at_their_width(apply):
    (out,) = apply(wraps, np.zeros(10, np.int64), block=10)
    np.testing.assert_array_equal(out, (250 + np.arange(10)) % 256)


@kernel
def saturates(out, a):
    i = thread_idx.x
    out[i] = Int32(a[i])


def test_float_to_int__truncates_saturates_and_nan_is_0(apply):
    a = np.array([1.9, -1.9, 3e9, -3e9, math.nan, math.inf], np.float32)
    out, _ = apply(saturates, np.zeros(6, np.int32), a, block=6)
    np.testing.assert_array_equal(out, [1, -1, 2**31 - 1, -(2**31), 0, 2**31 - 1])


@kernel
def weak(out32, out64, a32, a64, ints):
    i = thread_idx.x
    out32[i] = a32[i] * 0.1 + 2
    out64[i] = a64[i] * 0.1 + ints[i] / 4
    acc = 0
    for k in range(3):
        acc += a32[k] * 0.5
    out32[i] += acc


def test_literals__follow_the_array(apply):
    a32, a64 = np.array([1, 2, 3], np.float32), np.array([1, 2, 3], np.float64)
    ints = np.array([1, 2, 3], np.int32)
    out32, out64, *_ = apply(weak, a32 * 0, a64 * 0, a32, a64, ints, block=3)
    np.testing.assert_allclose(out32, a32 * np.float32(0.1) + 5, rtol=1e-6)
    np.testing.assert_array_equal(out64, a64 * 0.1 + (ints / np.float32(4)))


@kernel
def math_words(out, a):
    i = thread_idx.x
    x = a[i]
    out[0, i] = sqrt(x)
    out[1, i] = exp(-x)
    out[2, i] = tanh(x)
    out[3, i] = erf(x)
    out[4, i] = log2(x)
    out[5, i] = rsqrt(x)
    out[6, i] = pow(x, 1.5)
    out[7, i] = fma(x, x, 1.0)
    out[8, i] = floor(x) + 10 * ceil(x) + 100 * round(x)
    out[9, i] = clamp(x, 1.0, 2.0) + min(x, 1.5) + max(x, 2, 0.5) + abs(-x)
    out[10, i] = select(x > 1, x, -x)
    out[11, i] = isnan(x / 0.0 * 0) + 2 * isinf(x / 0.0)
    out[12, i] = x**2 + x**0.5


def test_math__within_a_few_ulp(apply):
    a = np.linspace(0.25, 4, 16, dtype=np.float32)
    out, _ = apply(math_words, np.zeros((13, 16), np.float32), a, block=16)
    x = a.astype(np.float64)
    spec = [
        np.sqrt(x), np.exp(-x), np.tanh(x), [math.erf(v) for v in x], np.log2(x), x**-0.5, x**1.5, x * x + 1,
        np.floor(x) + 10 * np.ceil(x) + 100 * np.round(x),
        np.clip(x, 1, 2) + np.minimum(x, 1.5) + np.maximum(x, 2) + x,
        np.where(x > 1, x, -x), np.full(16, 3.0), x**2 + x**0.5,
    ]  # fmt: skip
    np.testing.assert_allclose(out, np.array(spec), rtol=2e-6, atol=1e-7)


@kernel
def nan_extremes(out, a):
    i = thread_idx.x
    out[i] = min(a[i], 1.0) + 10 * max(a[i], 2.0)


def test_min_max__return_the_other_operand_for_nan(apply):
    out, _ = apply(nan_extremes, np.zeros(2, np.float32), np.array([math.nan, 5], np.float32), block=2)
    np.testing.assert_array_equal(out, [21, 51])


NAN, INFINITY = math.nan, math.inf


@kernel
def known_extremes(out):
    out[0] = min(NAN, 1.0) + 10 * max(2.0, NAN) + 100 * clamp(NAN, 3.0, 4.0)
    out[1] = int(NAN)
    out[2] = int(INFINITY) // 2**62 + int(-1.5) * 10


def test_numbers_known_while_compiling__obey_the_same_rules(apply):
    (out,) = apply(known_extremes, np.zeros(3, np.float64))
    np.testing.assert_array_equal(out, [321, 0, -9])


@kernel
def float_argument(out, scale, flag):
    out[thread_idx.x] = (float(thread_idx.x) + scale) if flag else 0


def test_scalars__ints_floats_bools(apply):
    (out,) = apply(float_argument, np.zeros(2, np.float64), 0.1, True, block=2)
    np.testing.assert_array_equal(out, [0.1, 1.1])
    (out,) = apply(float_argument, np.zeros(2, np.float32), np.float32(0.5), False, block=2)
    np.testing.assert_array_equal(out, [0, 0])


@kernel
def chained(out, a):
    i = thread_idx.x
    out[i] = (0 < a[i] <= 2) + 2 * (a[i] != 3) + 4 * (not (a[i] == 1 or a[i] < 0)) + 8 * bool(a[i])


def test_comparisons__chain(apply):
    a = np.array([0, 1, 2, 3], np.int32)
    out, _ = apply(chained, np.zeros(4, np.int32), a, block=4)
    np.testing.assert_array_equal(out, [6, 11, 15, 12])


def test_meet__mixed_signs():
    assert meet(DType.int64, DType.uint32) is DType.int64
    assert meet(DType.float32, DType.int64) is DType.float32
    with pytest.raises(TypeProblem, match="signed"):
        meet(DType.int32, DType.uint32)


def test_casts__are_the_dtypes():
    assert Float32 is DType.float32 and Float32(2) == np.float32(2)
