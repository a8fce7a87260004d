"""Elementwise ops of one tensor: one table of meanings, one function each for people and editors."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from workshop.dtype import DType
from workshop.graph.op import Op, Refusal, emit, public
from workshop.graph.ops.operands import cast_value, tensor
from workshop.graph.type import TensorType
from workshop.graph.value import TensorValue, TensorValueLike

Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class Takes:
    """Says which dtypes an op takes, and what to do with the others."""

    name: str
    accepts: Callable[[DType], bool]
    cure: str


FLOAT = Takes("a float", DType.is_float, "cast it first, as in x.cast(DType.float32)")
NUMBER = Takes("a number", lambda dtype: dtype is not DType.bool, "cast it first, as in x.cast(DType.int32)")
BOOL = Takes("bool", lambda dtype: dtype is DType.bool, "compare first, as in x != 0")


def checked(takes: Takes, type: TensorType) -> TensorType:
    """Return the type where the op takes it; raises Refusal otherwise."""
    if not takes.accepts(type.dtype):
        raise Refusal(f"needs {takes.name} dtype, got {type.dtype.value}; {takes.cure}")
    return type


def in_float32(function: Callable[..., Array]) -> Callable[..., Array]:
    """Compute the 16-bit floats in float32, and round once at the end."""

    def call(x: Array, *rest: Any) -> Array:
        if x.dtype.itemsize == 2 and x.dtype.kind not in "iu":
            return function(x.astype(np.float32), *rest).astype(x.dtype)
        return function(x, *rest)

    return call


def _erf(x: Array) -> Array:
    return np.asarray(_erf_of(x), x.dtype)


_erf_of = np.frompyfunc(math.erf, 1, 1)


def _relu(x: Array) -> Array:
    return np.asarray(np.maximum(x, x.dtype.type(0)))


def _rsqrt(x: Array) -> Array:
    return np.asarray(1 / np.sqrt(x))


def _sigmoid(x: Array) -> Array:
    small = np.exp(-np.abs(x))
    return np.asarray(np.where(x >= 0, 1, small) / (1 + small), x.dtype)


def _silu(x: Array) -> Array:
    return np.asarray(x * _sigmoid(x))


def _gelu(x: Array) -> Array:
    return np.asarray(x * (0.5 * (1 + _erf(x * x.dtype.type(math.sqrt(0.5))))), x.dtype)


def _gelu_tanh(x: Array) -> Array:
    inner = x.dtype.type(math.sqrt(2 / math.pi)) * (x + x.dtype.type(0.044715) * x * x * x)
    return np.asarray(x * (0.5 * (1 + np.tanh(inner))), x.dtype)


def _gelu_quick(x: Array) -> Array:
    return x * _sigmoid(x.dtype.type(1.702) * x)


def _unary_op(name: str, takes: Takes, meaning: Callable[[Array], Array], result: DType | None = None) -> Op:
    def rule(x: TensorType) -> TensorType:
        checked(takes, x)
        return x if result is None else x.cast(result)

    return Op(name, rule, meaning if result is not None or takes is not FLOAT else in_float32(meaning))


_TABLE: dict[str, Op] = {
    op.name: op
    for op in (
        _unary_op("abs", NUMBER, np.abs),
        _unary_op("acos", FLOAT, np.arccos),
        _unary_op("atanh", FLOAT, np.arctanh),
        _unary_op("ceil", FLOAT, np.ceil),
        _unary_op("cos", FLOAT, np.cos),
        _unary_op("erf", FLOAT, _erf),
        _unary_op("exp", FLOAT, np.exp),
        _unary_op("floor", FLOAT, np.floor),
        _unary_op("log", FLOAT, np.log),
        _unary_op("log1p", FLOAT, np.log1p),
        _unary_op("logical_not", BOOL, np.logical_not),
        _unary_op("negate", NUMBER, np.negative),
        _unary_op("relu", NUMBER, _relu),
        _unary_op("round", FLOAT, np.rint),
        _unary_op("rsqrt", FLOAT, _rsqrt),
        _unary_op("sigmoid", FLOAT, _sigmoid),
        _unary_op("silu", FLOAT, _silu),
        _unary_op("sin", FLOAT, np.sin),
        _unary_op("sqrt", FLOAT, np.sqrt),
        _unary_op("tanh", FLOAT, np.tanh),
        _unary_op("trunc", FLOAT, np.trunc),
        _unary_op("is_inf", FLOAT, np.isinf, DType.bool),
        _unary_op("is_nan", FLOAT, np.isnan, DType.bool),
        _unary_op("gelu", FLOAT, _gelu),
        _unary_op("gelu_tanh", FLOAT, _gelu_tanh),
        _unary_op("gelu_quick", FLOAT, _gelu_quick),
    )
}


def _unary(name: str, x: TensorValueLike) -> TensorValue:
    made: TensorValue = emit(_TABLE[name], tensor(x))
    return made


@public
def cast(x: TensorValueLike, dtype: DType) -> TensorValue:
    """Convert the elements: ints wrap, float to int drops the fraction and saturates, NaN gives 0."""
    if not isinstance(dtype, DType):
        raise Refusal(f"needs a DType such as DType.float32, got {dtype!r}")
    return cast_value(tensor(x), dtype)


@public
def gelu(x: TensorValueLike, approximate: Literal["none", "tanh", "quick"] = "none") -> TensorValue:
    """Return x * Phi(x) of each element, with erf, with tanh, or as x * sigmoid(1.702 x)."""
    names = {"none": "gelu", "tanh": "gelu_tanh", "quick": "gelu_quick"}
    if approximate not in names:
        raise Refusal(f"approximate is 'none', 'tanh' or 'quick', not {approximate!r}")
    return _unary(names[approximate], x)


@public
def abs(x: TensorValueLike) -> TensorValue:
    """Drop the sign of each element."""
    return _unary("abs", x)


@public
def acos(x: TensorValueLike) -> TensorValue:
    """Return the arc cosine of each element, in radians; NaN outside -1 to 1. Takes floats."""
    return _unary("acos", x)


@public
def atanh(x: TensorValueLike) -> TensorValue:
    """Return the inverse hyperbolic tangent of each element. Takes floats."""
    return _unary("atanh", x)


@public
def ceil(x: TensorValueLike) -> TensorValue:
    """Round each element up to a whole number. Takes floats."""
    return _unary("ceil", x)


@public
def cos(x: TensorValueLike) -> TensorValue:
    """Return the cosine of each element, given in radians. Takes floats."""
    return _unary("cos", x)


@public
def erf(x: TensorValueLike) -> TensorValue:
    """Return the error function of each element. Takes floats."""
    return _unary("erf", x)


@public
def exp(x: TensorValueLike) -> TensorValue:
    """Raise e to each element. Takes floats."""
    return _unary("exp", x)


@public
def floor(x: TensorValueLike) -> TensorValue:
    """Round each element down to a whole number. Takes floats."""
    return _unary("floor", x)


@public
def log(x: TensorValueLike) -> TensorValue:
    """Return the natural logarithm of each element; NaN below 0. Takes floats."""
    return _unary("log", x)


@public
def log1p(x: TensorValueLike) -> TensorValue:
    """Return log(1 + x) of each element, exact near 0. Takes floats."""
    return _unary("log1p", x)


@public
def logical_not(x: TensorValueLike) -> TensorValue:
    """Turn True to False and False to True. Takes bools."""
    return _unary("logical_not", x)


@public
def negate(x: TensorValueLike) -> TensorValue:
    """Change the sign of each element; unsigned integers wrap."""
    return _unary("negate", x)


@public
def relu(x: TensorValueLike) -> TensorValue:
    """Replace what is below 0 with 0."""
    return _unary("relu", x)


@public
def round(x: TensorValueLike) -> TensorValue:
    """Round each element to the nearest whole number, halves to even. Takes floats."""
    return _unary("round", x)


@public
def rsqrt(x: TensorValueLike) -> TensorValue:
    """Return 1 / sqrt(x) of each element. Takes floats."""
    return _unary("rsqrt", x)


@public
def sigmoid(x: TensorValueLike) -> TensorValue:
    """Return 1 / (1 + exp(-x)) of each element. Takes floats."""
    return _unary("sigmoid", x)


@public
def silu(x: TensorValueLike) -> TensorValue:
    """Return x * sigmoid(x) of each element. Takes floats."""
    return _unary("silu", x)


@public
def sin(x: TensorValueLike) -> TensorValue:
    """Return the sine of each element, given in radians. Takes floats."""
    return _unary("sin", x)


@public
def sqrt(x: TensorValueLike) -> TensorValue:
    """Return the square root of each element; NaN below 0. Takes floats."""
    return _unary("sqrt", x)


@public
def tanh(x: TensorValueLike) -> TensorValue:
    """Return the hyperbolic tangent of each element. Takes floats."""
    return _unary("tanh", x)


@public
def trunc(x: TensorValueLike) -> TensorValue:
    """Drop the fraction of each element. Takes floats."""
    return _unary("trunc", x)


@public
def is_inf(x: TensorValueLike) -> TensorValue:
    """Tell which elements are infinite. Takes floats."""
    return _unary("is_inf", x)


@public
def is_nan(x: TensorValueLike) -> TensorValue:
    """Tell which elements are NaN. Takes floats."""
    return _unary("is_nan", x)
