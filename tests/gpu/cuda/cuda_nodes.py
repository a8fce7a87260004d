"""One kernel per dtype that holds every expression the IR has at that dtype, with what each has to give."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from workshop.dtype import DType
from workshop.errors import Loc
from workshop.gpu import ir

LOC = Loc("cuda_nodes.py", 1)
FLOATS = [d for d in DType if d.is_float()]
INTEGERS = [d for d in DType if d.is_integral()]
COMPARES = ("lt", "le", "gt", "ge", "eq", "ne")


@dataclass(frozen=True)
class Case:
    """An expression of x[i] and y[i], and a function from their Python values to the exact result."""

    name: str
    expression: ir.Expr
    expect: Callable[[Any, Any], Any]


def memory(name: str, dtype: DType) -> ir.Memory:
    return ir.Memory(name, "global", dtype, (None,), "row_major", LOC)


INDEX = ir.Id(DType.int64, LOC, "thread_idx", "x")


def operands(dtype: DType) -> tuple[ir.Expr, ir.Expr]:
    return tuple(ir.Load(dtype, LOC, memory(name, dtype), (INDEX,)) for name in "xy")  # type: ignore[return-value]


def wrap(value: int, dtype: DType) -> int:
    value &= 2**dtype.bits - 1
    return value - 2**dtype.bits if dtype.is_signed_integral() and value >> (dtype.bits - 1) else value


def saturate(value: float, dtype: DType) -> int:
    low = -(2 ** (dtype.bits - 1)) if dtype.is_signed_integral() else 0
    high = low + 2**dtype.bits - 1
    if math.isnan(value):
        return 0
    return high if value == math.inf else low if value == -math.inf else max(low, min(high, int(value)))


def values(dtype: DType) -> tuple[list[Any], list[Any]]:
    """Operands that meet every corner: all pairs of the awkward values."""
    if dtype is DType.bool:
        some: list[Any] = [False, True]
    elif dtype.is_float():
        big = float(np.finfo(dtype.to_numpy()).max) if dtype is not DType.bfloat16 else 3e38
        some = [0.0, -0.0, 1.0, -1.5, 2.5, 0.1, -7.25, 1e-4, 300.0, big, -big, math.inf, -math.inf, math.nan]
        some = [float(dtype(v)) for v in some]
    else:
        top = 2 ** (dtype.bits - dtype.is_signed_integral())
        some = [0, 1, 2, 3, 7, 31, 100, top - 1, top // 2]
        some += (
            [-1, -2, -3, -7, -100, -top, -top + 1] if dtype.is_signed_integral() else [top - 2, top // 2 + 1]
        )
    return [x for x in some for _ in some], [y for _ in some for y in some]


def integer_cases(dtype: DType) -> Iterator[Case]:
    x, y = operands(dtype)
    mask = dtype.bits - 1
    exact: dict[str, Callable[[int, int], int]] = {
        "add": lambda a, b: a + b,
        "sub": lambda a, b: a - b,
        "mul": lambda a, b: a * b,
        "floordiv": lambda a, b: a // b if b else 0,
        "mod": lambda a, b: a % b if b else 0,
        "and": lambda a, b: a & b,
        "or": lambda a, b: a | b,
        "xor": lambda a, b: a ^ b,
        "shl": lambda a, b: a << (b & mask),
        "shr": lambda a, b: a >> (b & mask),
        "min": min,
        "max": max,
    }
    for op, meaning in exact.items():
        yield Case(op, ir.Binary(dtype, LOC, op, x, y), lambda a, b, f=meaning: wrap(f(a, b), dtype))  # type: ignore[arg-type]
        three = ir.Constant(dtype, LOC, 3)
        yield Case(
            f"{op} 3", ir.Binary(dtype, LOC, op, x, three), lambda a, b, f=meaning: wrap(f(a, 3), dtype)
        )  # type: ignore[arg-type]
    yield Case("neg", ir.Unary(dtype, LOC, "neg", x), lambda a, b: wrap(-a, dtype))
    yield Case("invert", ir.Unary(dtype, LOC, "invert", x), lambda a, b: wrap(~a, dtype))
    yield Case("abs", ir.Call(dtype, LOC, "abs", (x,)), lambda a, b: wrap(abs(a), dtype))
    small = ir.Binary(dtype, LOC, "and", y, ir.Constant(dtype, LOC, 7))
    yield Case("pow", ir.Call(dtype, LOC, "pow", (x, small)), lambda a, b: wrap(a ** (b & 7), dtype))
    for name in ("floor", "ceil", "round", "trunc"):
        yield Case(name, ir.Call(dtype, LOC, name, (x,)), lambda a, b: a)


def float_cases(dtype: DType) -> Iterator[Case]:
    """Arithmetic in float32 (float64 for float64), each result rounded to the dtype."""
    x, y = operands(dtype)
    wide: Any = np.float64 if dtype is DType.float64 else np.float32
    rules: dict[str, Any] = {
        "add": np.add,
        "sub": np.subtract,
        "mul": np.multiply,
        "div": np.divide,
        "floordiv": np.floor_divide,
        "mod": np.mod,
        "min": np.fmin,
        "max": np.fmax,
    }
    for op, rule in rules.items():
        yield Case(op, ir.Binary(dtype, LOC, op, x, y), lambda a, b, f=rule: f(wide(a), wide(b)))  # type: ignore[arg-type]
    chain = ir.Binary(dtype, LOC, "sub", ir.Binary(dtype, LOC, "mul", x, y), x)
    narrow = dtype.to_numpy().type
    yield Case("mul sub", chain, lambda a, b: wide(narrow(wide(a) * wide(b))) - wide(a))
    yield Case("neg", ir.Unary(dtype, LOC, "neg", x), lambda a, b: -wide(a))
    yield Case("neg neg", ir.Unary(dtype, LOC, "neg", ir.Unary(dtype, LOC, "neg", x)), lambda a, b: wide(a))
    one: dict[str, Any] = {
        "sqrt": np.sqrt, "abs": np.abs, "floor": np.floor, "ceil": np.ceil, "round": np.rint,
        "trunc": np.trunc, "rsqrt": lambda v: 1 / np.sqrt(v),
        "exp": np.exp, "exp2": np.exp2, "log": np.log, "log2": np.log2,
        "sin": np.sin, "cos": np.cos, "tanh": np.tanh, "erf": np.vectorize(math.erf),
    }  # fmt: skip
    for name, rule in one.items():
        yield Case(name, ir.Call(dtype, LOC, name, (x,)), lambda a, b, f=rule: f(np.float64(a)))
    yield Case("pow", ir.Call(dtype, LOC, "pow", (x, y)), lambda a, b: np.power(np.float64(a), np.float64(b)))
    yield Case("fma", ir.Call(dtype, LOC, "fma", (x, y, x)), lambda a, b: fused(a, b, a))


def fused(a: float, b: float, c: float) -> float:
    """a * b + c with one rounding."""
    if not all(map(math.isfinite, (a, b, c))):
        return a * b + c
    exact = Fraction(a) * Fraction(b) + Fraction(c)
    try:
        return float(exact)
    except OverflowError:
        return math.inf if exact > 0 else -math.inf


def bool_cases() -> Iterator[Case]:
    x, y = operands(DType.bool)
    yield Case("not", ir.Unary(DType.bool, LOC, "not", x), lambda a, b: not a)
    for op, rule in {"and": lambda a, b: a & b, "or": lambda a, b: a | b, "xor": lambda a, b: a ^ b}.items():
        yield Case(op, ir.Binary(DType.bool, LOC, op, x, y), rule)  # type: ignore[arg-type]
    yield Case("Logic and", ir.Logic(DType.bool, LOC, "and", x, y), lambda a, b: a and b)
    yield Case("Logic or", ir.Logic(DType.bool, LOC, "or", x, y), lambda a, b: a or b)


def common_cases(dtype: DType) -> Iterator[Case]:
    x, y = operands(dtype)
    compares: dict[str, Callable[[Any, Any], bool]] = {
        "lt": lambda a, b: a < b, "le": lambda a, b: a <= b, "gt": lambda a, b: a > b,
        "ge": lambda a, b: a >= b, "eq": lambda a, b: a == b, "ne": lambda a, b: a != b,
    }  # fmt: skip
    for op, rule in compares.items():
        condition = ir.Compare(DType.bool, LOC, op, x, y)  # type: ignore[arg-type]
        chosen = ir.Select(dtype, LOC, condition, x, ir.Select(dtype, LOC, condition, x, y))
        yield Case(f"select {op}", chosen, lambda a, b, f=rule: a if f(a, b) else b)
    for source in DType:
        yield Case(
            f"cast to {source.value} and back", _there_and_back(x, dtype, source), _round_trip(dtype, source)
        )


def _there_and_back(x: ir.Expr, dtype: DType, other: DType) -> ir.Expr:
    return ir.Cast(dtype, LOC, ir.Cast(other, LOC, x))


def _round_trip(dtype: DType, other: DType) -> Callable[[Any, Any], Any]:
    return lambda a, b: convert(convert(a, other), dtype)


def convert(value: Any, target: DType) -> Any:
    if target is DType.bool:
        return bool(value != 0)
    if target.is_integral():
        return saturate(value, target) if isinstance(value, float) else wrap(int(value), target)
    if target is DType.bfloat16:
        return float(target(np.float32(value)))
    return float(target(np.float64(value) if isinstance(value, float) else value))


def cases(dtype: DType) -> list[Case]:
    own = (
        bool_cases()
        if dtype is DType.bool
        else float_cases(dtype)
        if dtype.is_float()
        else integer_cases(dtype)
    )
    return [*own, *common_cases(dtype)]


def kernel(dtype: DType, chosen: list[Case]) -> ir.Function:
    """Store case k of element i at out[k, i]."""
    out = ir.Memory("out", "global", dtype, (None, None), "row_major", LOC)
    body = tuple(
        ir.Store(LOC, out, (ir.Constant(DType.int64, LOC, k), INDEX), case.expression)
        for k, case in enumerate(chosen)
    )
    threads = len(values(dtype)[0])
    return ir.Function(
        "nodes", (out, memory("x", dtype), memory("y", dtype)), {}, body, (threads, 1, 1), 32, LOC
    )
