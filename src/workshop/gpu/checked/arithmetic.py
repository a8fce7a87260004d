"""The number rules of the kernel language on numpy scalars and arrays (kernel-language.md, section 3).

Integers wrap at their width; `//` and `%` floor. float16 and bfloat16 compute in float32 and round after each
operation. `sqrt`, `/` and `fma` are correctly rounded; float32 transcendentals are computed in float64 and
rounded, float64 ones are the C library's. Nothing is contracted.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np

from workshop.dtype import DType
from workshop.gpu.checked.lanes import Array, Value

Function = Callable[..., Value]

UNARY: dict[str, Function] = {"neg": np.negative, "invert": np.invert, "not": np.logical_not}
COMPARE: dict[str, Function] = {
    "lt": np.less, "le": np.less_equal, "gt": np.greater, "ge": np.greater_equal,
    "eq": np.equal, "ne": np.not_equal,
}  # fmt: skip
BINARY: dict[str, Function] = {
    "add": np.add, "sub": np.subtract, "mul": np.multiply, "div": np.true_divide,
    "floordiv": np.floor_divide, "mod": np.remainder,
    "and": np.bitwise_and, "or": np.bitwise_or, "xor": np.bitwise_xor,
    "shl": np.left_shift, "shr": np.right_shift, "min": np.minimum, "max": np.maximum,
}  # fmt: skip


def is_narrow(dtype: DType) -> bool:
    """Whether operations on a dtype are done in float32 and rounded."""
    return dtype in (DType.float16, DType.bfloat16)


def unary(op: str, dtype: DType) -> Function:
    """The function of a unary operator on operands of a dtype."""
    return _rounded(UNARY[op], dtype) if is_narrow(dtype) else UNARY[op]


def compare(op: str, dtype: DType) -> Function:
    """The function of a comparison of operands of a dtype."""
    return _widened(COMPARE[op]) if is_narrow(dtype) else COMPARE[op]


def binary(op: str, dtype: DType) -> Function:
    """The function of a binary operator on operands of a dtype; divisors and shift counts are valid."""
    function = BINARY[op]
    if dtype.is_float() and op in ("min", "max"):
        function = np.fmin if op == "min" else np.fmax
    return _rounded(function, dtype) if is_narrow(dtype) else function


def _widened(function: Function) -> Function:
    return lambda *args: function(*(arg.astype(np.float32) for arg in args))


def _rounded(function: Function, dtype: DType) -> Function:
    to, wide = dtype.to_numpy(), _widened(function)
    return lambda *args: wide(*args).astype(to)


def cast(source: DType, target: DType) -> Function:
    """The conversion from one dtype to another."""
    to = target.to_numpy()
    if target is DType.bool:
        return compare_with_zero(source)
    if source.is_float() and target.is_integral():
        return lambda value: _saturate(value.astype(np.float64), to)
    if is_narrow(target) or is_narrow(source):
        return lambda value: value.astype(np.float32).astype(to)
    return lambda value: value.astype(to)


def compare_with_zero(dtype: DType) -> Function:
    """The truth of a number."""
    differs = compare("ne", dtype)
    zero = dtype.to_numpy().type(0)
    return lambda value: differs(value, zero)


def _saturate(value: Value, to: np.dtype[Any]) -> Value:
    """Truncate float64 to an integer type: the nearest value it has, 0 for NaN."""
    low, high = int(np.iinfo(to).min), int(np.iinfo(to).max)
    top = float(high) if to.itemsize < 8 else math.nextafter(float(high), 0.0)
    safe = np.where(value == value, np.clip(value, float(low), top), 0.0)
    result = safe.astype(to)
    if to.itemsize == 8:
        result = np.where(value >= float(high), to.type(high), result)
    return result if type(value) is np.ndarray else result[()]


def erf(value: Value) -> Value:
    """The error function of float64, by the C library (within 1 ulp)."""
    if type(value) is not np.ndarray:
        return np.float64(math.erf(value))
    return np.array([math.erf(v) for v in value.tolist()], np.float64)


EXACT: dict[str, Function] = {
    "sqrt": np.sqrt, "abs": np.abs, "floor": np.floor, "ceil": np.ceil, "round": np.rint, "trunc": np.trunc,
}  # fmt: skip
NEAR: dict[str, Function] = {
    "rsqrt": lambda v: 1.0 / np.sqrt(v), "exp": np.exp, "exp2": np.exp2, "log": np.log, "log2": np.log2,
    "sin": np.sin, "cos": np.cos, "tanh": np.tanh, "erf": erf, "pow": np.power,
}  # fmt: skip
TEST: dict[str, Function] = {"isnan": np.isnan, "isinf": np.isinf}


def call(name: str, dtype: DType) -> Function:
    """The function of a math word on arguments of a dtype."""
    if is_narrow(dtype):
        if name in TEST:
            return _widened(TEST[name])
        return _rounded(call(name, DType.float32), dtype)
    if name in TEST:
        return TEST[name]
    if name in EXACT:
        return EXACT[name]
    if name == "fma":
        return fma32 if dtype is DType.float32 else fma64
    if dtype is DType.float32:
        near = NEAR[name]
        return lambda *args: near(*(arg.astype(np.float64) for arg in args)).astype(np.float32)
    return NEAR[name]


def _two_sum(a: Array, b: Array) -> tuple[Array, Array]:
    """a + b as a rounded sum and its exact error."""
    total = a + b
    back = total - a
    return total, (a - (total - back)) + (b - back)


def _odd_sum(a: Array, b: Array) -> Array:
    """a + b rounded to odd: an inexact sum becomes the neighbour whose last bit is 1.

    A second rounding, to fewer bits, is then as good as one.
    """
    total, error = _two_sum(a, b)
    bits = np.ascontiguousarray(total).view(np.int64)
    step = np.where((error > 0) == (total > 0), 1, -1)
    inexact = (error != 0) & np.isfinite(error) & np.isfinite(total) & (bits & 1 == 0)
    return np.where(inexact, bits + step, bits).view(np.float64)


def fma32(a: Value, b: Value, c: Value) -> Value:
    """a * b + c in float32 with one rounding: exact product in float64, sum rounded to odd there."""
    scalar = type(a) is not np.ndarray and type(b) is not np.ndarray and type(c) is not np.ndarray
    x, y, z = (np.atleast_1d(v).astype(np.float64) for v in (a, b, c))
    result = _odd_sum(*np.broadcast_arrays(x * y, z)).astype(np.float32)
    return result[0] if scalar else result


def fma64(a: Value, b: Value, c: Value) -> Value:
    """a * b + c in float64 with one rounding.

    Exact products and sums (Dekker, Knuth), the two errors added to odd (Boldo and Melquiond); where
    exponents come near the ends of the range, exact fractions.
    """
    scalar = type(a) is not np.ndarray and type(b) is not np.ndarray and type(c) is not np.ndarray
    x, y, z = (np.ascontiguousarray(v) for v in np.broadcast_arrays(*(np.atleast_1d(v) for v in (a, b, c))))
    high = x * y
    xh, yh = _upper(x), _upper(y)
    xl, yl = x - xh, y - yh
    low = ((xh * yh - high) + xh * yl + xl * yh) + xl * yl
    inner, inner_error = _two_sum(z, low)
    total, error = _two_sum(high, inner)
    result = total + _odd_sum(inner_error, error)
    plain = np.isfinite(x) & np.isfinite(y) & np.isfinite(z)
    sizes = np.stack([np.abs(x), np.abs(y), np.abs(high), np.abs(z)])
    tame = ((sizes == 0) | ((sizes > 1e-200) & (sizes < 1e200))).all(axis=0) & (high != 0)
    plain &= (x != 0) & (y != 0)
    result = np.where(plain, result, high + z)
    for k in np.flatnonzero(plain & ~tame):
        result[k] = _exact_fma(float(x[k]), float(y[k]), float(z[k]))
    return result[0] if scalar else result


def _upper(value: Array) -> Array:
    """The upper 26 bits of a float64 (Veltkamp)."""
    big = value * 134217729.0
    return big - (big - value)


def _exact_fma(a: float, b: float, c: float) -> float:
    exact = Fraction(a) * Fraction(b) + Fraction(c)
    if exact == 0:
        return a * b + c if a == 0 or b == 0 else 0.0
    try:
        return float(exact)
    except OverflowError:
        return math.inf if exact > 0 else -math.inf
