"""The number rules, against a definition in exact Python arithmetic, one thread at a time."""

import math
import operator
from fractions import Fraction

import ml_dtypes
import numpy as np
import pytest

from workshop.dtype import DType
from workshop.errors import Loc
from workshop.gpu import ir
from workshop.gpu.checked import CheckedBackend
from workshop.gpu.launch import HostArray, Launch

LOC = Loc("spec.py", 1)
INTS = [d for d in DType if d.is_integral()]
FLOATS = [d for d in DType if d.is_float()]


def evaluate(make, *operands, dtype, block=32):
    """Run `out[i] = make(operand loads...)` on checked; `dtype` is the result's."""
    n = len(operands[0])
    arrays = [HostArray(np.array(o), (n,), (1,)) for o in operands]
    memories = [ir.Memory(f"a{k}", "global", DType.from_numpy(a.flat.dtype), (None,), "row_major", LOC)
                for k, a in enumerate(arrays)]  # fmt: skip
    out = HostArray(np.zeros(n, dtype.to_numpy()), (n,), (1,))
    target = ir.Memory("out", "global", dtype, (None,), "row_major", LOC)
    x, width = ir.Id(DType.int64, LOC, "block_idx", "x"), ir.Constant(DType.int64, LOC, block)
    scaled = ir.Binary(DType.int64, LOC, "mul", x, width)
    i = ir.Binary(DType.int64, LOC, "add", scaled, ir.Id(DType.int64, LOC, "thread_idx", "x"))
    loads = [ir.Load(m.dtype, LOC, m, (i,)) for m in memories]
    store = ir.Store(LOC, target, (i,), make(*loads))
    guard = ir.If(LOC, ir.Compare(DType.bool, LOC, "lt", i, ir.Constant(DType.int64, LOC, n)), (store,), ())
    function = ir.Function("spec", (*memories, target), {}, (guard,), (block, 1, 1), 32, LOC)
    CheckedBackend().run(Launch(function, [*arrays, out], (-(-n // block), 1, 1), ""))
    return out.flat


def bits_of(dtype):
    """(precision, lowest exponent, highest exponent) of a float format."""
    info = ml_dtypes.finfo(dtype.to_numpy())
    return info.nmant + 1, int(info.minexp) - info.nmant, int(info.maxexp)


def rounded(exact, dtype):
    """The float of `dtype` nearest to a fraction, ties to even, as a Python float."""
    if exact == 0:
        return 0.0
    precision, lowest, highest = bits_of(dtype)
    sign, size = (-1 if exact < 0 else 1), abs(exact)
    exponent = math.frexp(float(size))[1] if Fraction(1, 2**1000) < size < 2**1000 else _exponent(size)
    while size >= Fraction(2) ** exponent:
        exponent += 1
    while size < Fraction(2) ** (exponent - 1):
        exponent -= 1
    unit = Fraction(2) ** max(exponent - precision, lowest)
    steps = round(size / unit)  # Fraction rounds ties to even
    if steps * unit >= Fraction(2) ** highest:
        return sign * math.inf
    return sign * float(steps * unit)


def _exponent(size):
    return size.numerator.bit_length() - size.denominator.bit_length()


def wrap(value, dtype):
    value &= (1 << dtype.bits) - 1
    return value - (1 << dtype.bits) if dtype.is_signed_integral() and value >> (dtype.bits - 1) else value


def int_samples(dtype, count=60):
    rng = np.random.default_rng(dtype.bits)
    info = np.iinfo(dtype.to_numpy())
    edge = [info.min, info.min + 1, info.max, info.max - 1, 0, 1, 2, 3, 7]
    edge += [-1, -2, -3] if info.min else []
    return np.array([*edge, *(rng.integers(info.min, info.max, count, info.dtype).tolist())], info.dtype)


def float_samples(dtype, count=60):
    """Ordinary numbers, wide exponents, subnormals, ties, infinities and NaN."""
    rng = np.random.default_rng(dtype.bits)
    precision, lowest, highest = bits_of(dtype)
    wide = rng.standard_normal(count) * 2.0 ** rng.integers(lowest // 2, highest // 2, count)
    edge = [0.0, -0.0, 1.0, -1.0, 2.0**lowest, -3 * 2.0**lowest, math.inf, -math.inf, math.nan, 0.5, 1.5, 2.5]
    edge += [1 + 2.0 ** (1 - precision), 2.0**precision + 1, math.ldexp(1 - 2.0**-precision, highest)]
    with np.errstate(over="ignore"):
        return np.array([*edge, *rng.standard_normal(count), *wide], np.float64).astype(dtype.to_numpy())


def pairs(samples):
    left, right = np.meshgrid(samples, samples)
    return left.ravel(), right.ravel()


def same(got, want):
    """Equal, NaN equal to NaN, zeros equal in sign."""
    if math.isnan(want):
        return math.isnan(got)
    return got == want and (want != 0 or math.copysign(1, got) == math.copysign(1, want))


# -- integers


INT_SPEC = {
    "add": operator.add, "sub": operator.sub, "mul": operator.mul, "floordiv": operator.floordiv,
    "mod": operator.mod, "and": operator.and_, "or": operator.or_, "xor": operator.xor,
    "min": min, "max": max,
}  # fmt: skip


@pytest.mark.parametrize("dtype", INTS, ids=str)
@pytest.mark.parametrize("op", INT_SPEC)
def test_integers_wrap_and_floor(op, dtype):
    a, b = pairs(int_samples(dtype, 15))
    if op in ("floordiv", "mod"):
        a, b = a[b != 0], b[b != 0]
    got = evaluate(lambda x, y: ir.Binary(dtype, LOC, op, x, y), a, b, dtype=dtype)
    want = [wrap(INT_SPEC[op](x, y), dtype) for x, y in zip(a.tolist(), b.tolist(), strict=True)]
    assert got.tolist() == want


@pytest.mark.parametrize("dtype", INTS, ids=str)
@pytest.mark.parametrize("op", ["shl", "shr"])
def test_shifts_within_the_width(op, dtype):
    values = int_samples(dtype, 10)
    a, b = (m.ravel() for m in np.meshgrid(values, np.arange(dtype.bits, dtype=values.dtype)))
    got = evaluate(lambda x, y: ir.Binary(dtype, LOC, op, x, y), a, b, dtype=dtype)
    shift = operator.lshift if op == "shl" else operator.rshift
    assert got.tolist() == [wrap(shift(x, y), dtype) for x, y in zip(a.tolist(), b.tolist(), strict=True)]


@pytest.mark.parametrize("dtype", INTS, ids=str)
def test_negation_inversion_and_abs_wrap(dtype):
    a = int_samples(dtype)
    for make, spec in [
        (lambda x: ir.Unary(dtype, LOC, "neg", x), operator.neg),
        (lambda x: ir.Unary(dtype, LOC, "invert", x), operator.invert),
        (lambda x: ir.Call(dtype, LOC, "abs", (x,)), abs),
    ]:
        assert evaluate(make, a, dtype=dtype).tolist() == [wrap(spec(x), dtype) for x in a.tolist()]


# -- floats


FLOAT_SPEC = {"add": operator.add, "sub": operator.sub, "mul": operator.mul, "div": operator.truediv}


def float_spec(op, x, y, dtype):
    """One float operation on Python floats that hold `dtype` numbers: exact, then rounded."""
    try:
        wide = FLOAT_SPEC[op](x, y)
    except ZeroDivisionError:
        wide = math.nan if x == 0 or math.isnan(x) else math.copysign(math.inf, x) * math.copysign(1, y)
    if not all(map(math.isfinite, (x, y))) or (op == "div" and y == 0):
        return wide
    exact = FLOAT_SPEC[op](Fraction(x), Fraction(y))
    if exact == 0:
        return wide  # the sign of zero
    single = rounded(exact, DType.float32) if dtype.bits == 16 else rounded(exact, dtype)
    if dtype.bits == 16 and math.isfinite(single) and single != 0:
        single = rounded(Fraction(single), dtype)
    return single if single != 0 else math.copysign(0.0, exact)


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
@pytest.mark.parametrize("op", ["add", "sub", "mul", "div"])
def test_floats_round_once_in_their_own_width__16_bits_through_float32(op, dtype):
    a, b = pairs(float_samples(dtype, 12))
    got = evaluate(lambda x, y: ir.Binary(dtype, LOC, op, x, y), a, b, dtype=dtype).astype(np.float64)
    for x, y, z in zip(a.tolist(), b.tolist(), got.tolist(), strict=True):
        assert same(z, float_spec(op, float(x), float(y), dtype)), (x, op, y, z)


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
def test_float_floor_division_and_remainder_are_pythons(dtype):
    values = np.array([-7.5, -2.0, -0.5, 0.25, 1.0, 3.0, 7.5, 96.0]).astype(dtype.to_numpy())
    a, b = pairs(values)
    for op, spec in [("floordiv", operator.floordiv), ("mod", operator.mod)]:
        got = evaluate(lambda x, y, op=op: ir.Binary(dtype, LOC, op, x, y), a, b, dtype=dtype)
        want = [spec(float(x), float(y)) for x, y in zip(a, b, strict=True)]
        assert (
            got.astype(np.float64).tolist()
            == np.array(want).astype(dtype.to_numpy()).astype(np.float64).tolist()
        )


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
def test_min_and_max_return_the_other_operand_when_one_is_nan(dtype):
    a, b = pairs(np.array([math.nan, -math.inf, -1.5, 2.0, math.inf]).astype(dtype.to_numpy()))
    for op, spec in [("min", min), ("max", max)]:
        got = evaluate(lambda x, y, op=op: ir.Binary(dtype, LOC, op, x, y), a, b, dtype=dtype).astype(
            np.float64
        )
        for x, y, z in zip(a.astype(float), b.astype(float), got, strict=True):
            numbers = [v for v in (x, y) if not math.isnan(v)]
            assert same(z, spec(numbers) if numbers else math.nan)


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
@pytest.mark.parametrize("op", ["lt", "le", "gt", "ge", "eq", "ne"])
def test_comparisons_with_nan_are_false_except_ne(op, dtype):
    a, b = pairs(np.array([math.nan, -0.0, 0.0, 1.0, math.inf]).astype(dtype.to_numpy()))
    got = evaluate(lambda x, y: ir.Compare(DType.bool, LOC, op, x, y), a, b, dtype=DType.bool)
    want = [getattr(operator, op)(float(x), float(y)) for x, y in zip(a, b, strict=True)]
    assert got.tolist() == want


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
def test_fma_rounds_once(dtype):
    rng = np.random.default_rng(3)
    samples = float_samples(dtype, 8)
    a, b, c = (rng.choice(samples, 3000) for _ in range(3))
    with np.errstate(all="ignore"):  # every third sum cancels
        c[::3] = (-(a[::3].astype(np.float64) * b[::3].astype(np.float64))).astype(dtype.to_numpy())
    got = evaluate(lambda x, y, z: ir.Call(dtype, LOC, "fma", (x, y, z)), a, b, c, dtype=dtype).astype(
        np.float64
    )
    single = DType.float32 if dtype.bits == 16 else dtype
    for x, y, z, r in zip(*(v.astype(np.float64).tolist() for v in (a, b, c)), got.tolist(), strict=True):
        if not all(map(math.isfinite, (x, y, z))):
            continue
        exact = Fraction(x) * Fraction(y) + Fraction(z)
        want = rounded(exact, single)
        if dtype.bits == 16 and math.isfinite(want):
            want = rounded(Fraction(want), dtype)
        assert r == want, (x, y, z)


def test_fma_in_float32_is_not_rounded_twice():
    a, b = np.float32([2**-12 * (1 + 2**-23)]), np.float32([2**-12 * (1 - 2**-23)])
    c = np.float32([1 + 2**-23])  # the exact sum lies 2**-70 below a tie
    got = evaluate(
        lambda x, y, z: ir.Call(DType.float32, LOC, "fma", (x, y, z)), a, b, c, dtype=DType.float32
    )
    assert got[0] == c[0]


def test_fma_keeps_infinities_and_nan():
    a = np.array([math.inf, math.inf, math.nan, 2.0, 1e308], np.float64)
    b = np.array([2.0, 0.0, 1.0, 3.0, 10.0], np.float64)
    c = np.array([1.0, 1.0, 1.0, -math.inf, 0.0], np.float64)
    got = evaluate(
        lambda x, y, z: ir.Call(DType.float64, LOC, "fma", (x, y, z)), a, b, c, dtype=DType.float64
    )
    assert str(got.tolist()) == "[inf, nan, nan, -inf, inf]"


MATH = {
    "exp": math.exp, "exp2": lambda v: 2.0**v, "log": math.log, "log2": math.log2, "sin": math.sin,
    "cos": math.cos, "tanh": math.tanh, "erf": math.erf, "sqrt": math.sqrt,
    "rsqrt": lambda v: 1 / math.sqrt(v),
}  # fmt: skip


def ulps(got, want, dtype):
    """The distance in units of the last place of `want`."""
    precision, lowest, _ = bits_of(dtype)
    exponent = math.frexp(want)[1] if want else lowest
    return abs(Fraction(got) - Fraction(want)) / Fraction(2) ** max(exponent - precision, lowest)


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
@pytest.mark.parametrize("name", MATH)
def test_math_words_are_within_4_ulp__sqrt_exact(name, dtype):
    positive = name in ("log", "log2", "rsqrt", "sqrt")
    rng = np.random.default_rng(5)
    values = rng.uniform(0.01 if positive else -9, 9, 400).astype(dtype.to_numpy())
    got = evaluate(lambda x: ir.Call(dtype, LOC, name, (x,)), values, dtype=dtype).astype(np.float64)
    for x, y in zip(values.astype(np.float64).tolist(), got.tolist(), strict=True):
        want = MATH[name](x)
        if name == "sqrt" and dtype.bits != 16:
            assert y == rounded(Fraction(want), dtype) or dtype is DType.float64 and y == want
        assert ulps(y, want, dtype) <= (4 if dtype.bits != 16 else Fraction(3, 4))


def test_pow_within_4_ulp():
    rng = np.random.default_rng(6)
    a, b = rng.uniform(0.1, 5, 300).astype(np.float32), rng.uniform(-5, 5, 300).astype(np.float32)
    got = evaluate(lambda x, y: ir.Call(DType.float32, LOC, "pow", (x, y)), a, b, dtype=DType.float32)
    for x, y, z in zip(a.tolist(), b.tolist(), got.tolist(), strict=True):
        assert ulps(z, math.pow(x, y), DType.float32) <= 1


def test_the_ends_of_the_math_words():
    a = np.array([-math.inf, math.inf, math.nan, 0.0], np.float32)
    want = {
        "exp": [0.0, math.inf, math.nan, 1.0], "erf": [-1.0, 1.0, math.nan, 0.0],
        "tanh": [-1.0, 1.0, math.nan, 0.0], "log": [math.nan, math.inf, math.nan, -math.inf],
        "sqrt": [math.nan, math.inf, math.nan, 0.0], "rsqrt": [math.nan, 0.0, math.nan, math.inf],
    }  # fmt: skip
    for name, ends in want.items():
        got = evaluate(lambda x, name=name: ir.Call(DType.float32, LOC, name, (x,)), a, dtype=DType.float32)
        assert str(got.tolist()) == str(ends), name


def test_round_is_to_even_and_trunc_floor_ceil_differ():
    a = np.array([-2.5, -1.5, -0.5, 0.5, 1.5, 2.5, 0.49999997], np.float32)
    for name, spec in [("round", round), ("trunc", math.trunc), ("floor", math.floor), ("ceil", math.ceil)]:
        got = evaluate(lambda x, name=name: ir.Call(DType.float32, LOC, name, (x,)), a, dtype=DType.float32)
        assert got.tolist() == [spec(v) for v in a.tolist()]


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
def test_isnan_and_isinf(dtype):
    a = np.array([math.nan, math.inf, -math.inf, 1.0]).astype(dtype.to_numpy())
    for name, want in [("isnan", [True, False, False, False]), ("isinf", [False, True, True, False])]:
        got = evaluate(lambda x, name=name: ir.Call(DType.bool, LOC, name, (x,)), a, dtype=DType.bool)
        assert got.tolist() == want


# -- casts


@pytest.mark.parametrize("target", INTS, ids=str)
@pytest.mark.parametrize("source", FLOATS, ids=str)
def test_float_to_int_truncates_and_saturates__nan_gives_0(source, target):
    info = np.iinfo(target.to_numpy())
    edge = [v for e in (info.min, info.max) for v in (e, e * 0.5, e * 1.5, float(e) + 1, float(e) - 1)]
    values = np.array([*edge, -1.9, -0.9, 0.9, 1.9, 2.0**63, -(2.0**63), 2.0**64], np.float64)
    with np.errstate(over="ignore"):
        a = np.concatenate([values.astype(source.to_numpy()), float_samples(source, 20)])
    got = evaluate(lambda x: ir.Cast(target, LOC, x), a, dtype=target)
    for x, y in zip(a.astype(np.float64).tolist(), got.tolist(), strict=True):
        if math.isnan(x):
            want = 0
        elif math.isinf(x):
            want = info.max if x > 0 else info.min
        else:
            want = min(max(math.trunc(x), info.min), info.max)
        assert y == want, x


@pytest.mark.parametrize("target", INTS, ids=str)
@pytest.mark.parametrize("source", INTS, ids=str)
def test_int_to_int_wraps(source, target):
    a = int_samples(source)
    got = evaluate(lambda x: ir.Cast(target, LOC, x), a, dtype=target)
    assert got.tolist() == [wrap(v, target) for v in a.tolist()]


@pytest.mark.parametrize("target", FLOATS, ids=str)
@pytest.mark.parametrize("source", [DType.int64, DType.uint64, DType.int32, DType.uint8], ids=str)
def test_int_to_float_rounds_to_even(source, target):
    a = int_samples(source)
    got = evaluate(lambda x: ir.Cast(target, LOC, x), a, dtype=target).astype(np.float64)
    for x, y in zip(a.tolist(), got.tolist(), strict=True):
        want = rounded(Fraction(x), DType.float32 if target.bits == 16 else target)
        assert y == (rounded(Fraction(want), target) if target.bits == 16 else want)


@pytest.mark.parametrize("source", list(DType), ids=str)
def test_to_bool_is_not_zero(source):
    a = np.array([0, 1, 0, 3]).astype(source.to_numpy())
    assert evaluate(lambda x: ir.Cast(DType.bool, LOC, x), a, dtype=DType.bool).tolist() == [0, 1, 0, 1]


def test_nan_is_true_and_no_warning_leaks():
    a = np.array([math.nan, 1e-45, -0.0], np.float32)
    assert evaluate(lambda x: ir.Cast(DType.bool, LOC, x), a, dtype=DType.bool).tolist() == [1, 1, 0]
