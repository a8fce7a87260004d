"""Section 3 of the kernel language, element by element: Python's own integers, numpy's rounding."""

from __future__ import annotations

import math
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from workshop.dtype import DType
from workshop.errors import Loc
from workshop.gpu import ir

LOC = Loc("made_up.py", 1)

INTEGERS = [d for d in DType if d.is_integral()]
FLOATS = [DType.float16, DType.bfloat16, DType.float32, DType.float64]


def wrap(value: int, dtype: DType) -> int:
    value &= (1 << dtype.bits) - 1
    return value - (1 << dtype.bits) if dtype.is_signed_integral() and value >> (dtype.bits - 1) else value


def pairs_of_integers(dtype: DType) -> tuple[Any, Any]:
    low, high = int(np.iinfo(dtype.to_numpy()).min), int(np.iinfo(dtype.to_numpy()).max)
    values = sorted(
        {low, low + 1, high, high - 1, 0, 1, 2, 3, 5, 7, 64, high // 3, wrap(-1, dtype), wrap(-7, dtype)}
    )
    a, b = np.meshgrid(np.array(values, dtype.to_numpy()), np.array(values, dtype.to_numpy()))
    return a.ravel().copy(), b.ravel().copy()


def spec(op: str, a: int, b: int, dtype: DType) -> int:
    """What the language says about two integers."""
    if op in ("floordiv", "mod"):
        return 0 if b == 0 else wrap(a // b if op == "floordiv" else a % b, dtype)
    if op in ("shl", "shr"):
        count = b & (dtype.bits - 1)
        return wrap(a << count if op == "shl" else a >> count, dtype)
    plain = {
        "add": a + b, "sub": a - b, "mul": a * b, "and": a & b, "or": a | b, "xor": a ^ b,
        "min": min(a, b), "max": max(a, b),
    }  # fmt: skip
    return wrap(plain[op], dtype)


@pytest.mark.parametrize("dtype", INTEGERS, ids=lambda d: d.value)
def test_integer_operations(dtype: DType, elementwise: Any) -> None:
    a, b = pairs_of_integers(dtype)
    for op in ("add", "sub", "mul", "and", "or", "xor", "min", "max", "floordiv", "mod", "shl", "shr"):
        found = elementwise(lambda x, y, op=op: ir.Binary(dtype, LOC, op, x, y), dtype, a, b)
        wanted = [spec(op, int(x), int(y), dtype) for x, y in zip(a, b, strict=True)]
        assert found.tolist() == wanted, op


@pytest.mark.parametrize("divisor", [1, 2, 8, 3, -4, -1])
def test_division_by_a_constant_floors(divisor: int, elementwise: Any) -> None:
    a = np.array([-9, -8, -1, 0, 1, 7, 8, 2**62, -(2**63)], np.int64)
    for op in ("floordiv", "mod"):
        by = ir.Constant(DType.int64, LOC, divisor)
        found = elementwise(lambda x, op=op, by=by: ir.Binary(DType.int64, LOC, op, x, by), DType.int64, a)
        assert found.tolist() == [spec(op, int(x), divisor, DType.int64) for x in a]


def floats(dtype: DType) -> Any:
    special = [
        0.0,
        -0.0,
        1.0,
        -1.5,
        2.75,
        3e-5,
        6e-8,
        65504.0,
        -65520.0,
        1e30,
        math.inf,
        -math.inf,
        math.nan,
        0.1,
    ]
    rng = np.random.default_rng(7)
    values = np.concatenate(
        [special, rng.standard_normal(40), rng.standard_normal(20) * 1e4, rng.standard_normal(20) * 1e-6]
    )
    with np.errstate(over="ignore"):
        return values.astype(dtype.to_numpy())


def same(found: Any, wanted: Any) -> bool:
    with np.errstate(invalid="ignore"):  # signalling NaNs
        found, wanted = np.asarray(found, np.float64), np.asarray(wanted, np.float64)
    zeros = np.signbit(found) == np.signbit(wanted)
    return bool(np.all(np.isnan(found) & np.isnan(wanted) | (found == wanted) & zeros))


@pytest.mark.parametrize("dtype", FLOATS, ids=lambda d: d.value)
def test_float_operations_round_correctly(dtype: DType, elementwise: Any) -> None:
    a, b = (m.ravel().copy() for m in np.meshgrid(floats(dtype), floats(dtype)))
    wide = np.float64 if dtype is DType.float64 else np.float32
    numpy = {"add": np.add, "sub": np.subtract, "mul": np.multiply, "div": np.divide}
    for op, function in numpy.items():
        found = elementwise(lambda x, y, op=op: ir.Binary(dtype, LOC, op, x, y), dtype, a, b)
        with np.errstate(all="ignore"):
            wanted = function(a.astype(wide), b.astype(wide)).astype(dtype.to_numpy())
        assert same(found, wanted), op


@pytest.mark.parametrize("dtype", FLOATS, ids=lambda d: d.value)
def test_float_floor_division_and_remainder_are_pythons(dtype: DType, elementwise: Any) -> None:
    values = floats(dtype)
    values = values[np.isfinite(values.astype(np.float64)) & (np.abs(values.astype(np.float64)) < 1e3)]
    a, b = (m.ravel().copy() for m in np.meshgrid(values, values))
    keep = (b != 0) & (np.abs(b.astype(np.float64)) > 1e-3)
    a, b = a[keep], b[keep]
    wide = np.float64 if dtype is DType.float64 else np.float32
    for op, function in {"floordiv": np.floor_divide, "mod": np.mod}.items():
        found = elementwise(lambda x, y, op=op: ir.Binary(dtype, LOC, op, x, y), dtype, a, b)
        with np.errstate(over="ignore"):
            wanted = function(a.astype(wide), b.astype(wide)).astype(dtype.to_numpy())
        assert same(found, wanted), op


@pytest.mark.parametrize("dtype", FLOATS, ids=lambda d: d.value)
def test_min_and_max_return_the_number_beside_a_nan(dtype: DType, elementwise: Any) -> None:
    a, b = (m.ravel().copy() for m in np.meshgrid(floats(dtype), floats(dtype)))
    for op, function in {"min": np.fmin, "max": np.fmax}.items():
        found = elementwise(lambda x, y, op=op: ir.Binary(dtype, LOC, op, x, y), dtype, a, b)
        wanted = function(a.astype(np.float64), b.astype(np.float64))
        assert np.array_equal(found.astype(np.float64), wanted, equal_nan=True), op


def test_comparisons_with_nan_are_false_but_for_ne(elementwise: Any) -> None:
    a = np.array([math.nan, 1.0, 2.0, math.nan], np.float32)
    b = np.array([1.0, 1.0, 1.0, math.nan], np.float32)
    for op, wanted in {
        "lt": a < b,
        "le": a <= b,
        "gt": a > b,
        "ge": a >= b,
        "eq": a == b,
        "ne": a != b,
    }.items():
        found = elementwise(lambda x, y, op=op: ir.Compare(DType.bool, LOC, op, x, y), DType.bool, a, b)
        assert found.tolist() == wanted.tolist(), op


@pytest.mark.parametrize("target", INTEGERS, ids=lambda d: d.value)
@pytest.mark.parametrize("source", FLOATS, ids=lambda d: d.value)
def test_float_to_int_truncates_and_saturates(source: DType, target: DType, elementwise: Any) -> None:
    a = floats(source)
    found = elementwise(lambda x: ir.Cast(target, LOC, x), target, a)
    limits = np.iinfo(target.to_numpy())

    def one(x: float) -> int:
        if math.isnan(x):
            return 0
        return int(limits.max if x > limits.max else limits.min if x < limits.min else int(x))

    assert found.tolist() == [one(float(x)) for x in a]


@pytest.mark.parametrize("target", list(DType), ids=lambda d: d.value)
@pytest.mark.parametrize("source", [d for d in DType if not d.is_float()], ids=lambda d: d.value)
def test_int_casts_wrap_and_round(source: DType, target: DType, elementwise: Any) -> None:
    a = np.array([False, True]) if source is DType.bool else pairs_of_integers(source)[0]
    found = elementwise(lambda x: ir.Cast(target, LOC, x), target, a)
    if target.is_integral():
        assert found.tolist() == [wrap(int(x), target) for x in a]
    elif target is DType.bool:
        assert found.tolist() == [bool(x) for x in a]
    else:
        wide = a.astype(np.float64 if target is DType.float64 else np.float32)
        with np.errstate(over="ignore"):
            assert same(found, wide.astype(target.to_numpy()))


@pytest.mark.parametrize("target", FLOATS, ids=lambda d: d.value)
@pytest.mark.parametrize("source", FLOATS, ids=lambda d: d.value)
def test_float_casts_round_to_nearest_even(source: DType, target: DType, elementwise: Any) -> None:
    a = floats(source)
    ties = np.array(
        [
            1 + 2**-11,
            1 + 3 * 2**-11,
            1 + 2**-8 + 2**-9,
            2**-24 * 1.5,
            2**-25,
            65519.99,
            65520.0,
            1 + 2**-11 + 2**-40,
        ]
    )
    with np.errstate(over="ignore"):
        a = np.concatenate([a, ties.astype(source.to_numpy())])
    found = elementwise(lambda x: ir.Cast(target, LOC, x), target, a)
    with np.errstate(over="ignore"):
        assert same(found, a.astype(target.to_numpy()))


@pytest.mark.parametrize("dtype", [DType.float16, DType.bfloat16], ids=lambda d: d.value)
def test_every_16_bit_float_survives_load_and_store(dtype: DType, elementwise: Any) -> None:
    bits = np.arange(1 << 16, dtype=np.uint16)
    a = bits.view(dtype.to_numpy())
    one = ir.Constant(dtype, LOC, 1.0)
    found = elementwise(lambda x: ir.Binary(dtype, LOC, "mul", x, one), dtype, a, block=256)
    assert same(found, a)


def test_bfloat16_keeps_its_dtype_on_the_host(elementwise: Any) -> None:
    a = np.array([1.0, 2.0], ml_dtypes.bfloat16)
    found = elementwise(lambda x: ir.Binary(DType.bfloat16, LOC, "add", x, x), DType.bfloat16, a)
    assert found.dtype == ml_dtypes.bfloat16 and found.tolist() == [2.0, 4.0]


def test_subnormals_are_kept(elementwise: Any) -> None:
    a = np.array([1e-45, 3e-39], np.float32)
    half = ir.Constant(DType.float32, LOC, 0.5)
    found = elementwise(lambda x: ir.Binary(DType.float32, LOC, "mul", x, half), DType.float32, a)
    assert found.tolist() == (a * np.float32(0.5)).tolist()


def test_a_square_root_is_correctly_rounded(elementwise: Any) -> None:
    a = np.random.default_rng(3).random(5000, np.float32) * 1e3
    found = elementwise(lambda x: ir.Call(DType.float32, LOC, "sqrt", (x,)), DType.float32, a)
    assert np.array_equal(found, np.sqrt(a))
