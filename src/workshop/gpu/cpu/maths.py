"""Math words on scalars and vectors alike.

float32 transcendentals are evaluated in float64 by polynomials fitted for this file (Chebyshev, relative
error below 2e-9) and rounded once, so results are within one unit in the last place, and subnormals,
infinities and overflow need no cases of their own. float64 goes to the C library.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from workshop.dtype import DType
from workshop.gpu.cpu.text import Op, Text, constant, integer

EXP2 = (
    1.0, 0.6931472067028326, 0.24022650922288757, 0.05550327226670302, 0.009618056678524637,
    0.0013400428177615838, 0.0001546144469856913,
)  # fmt: skip
LOG2 = (
    2.8853900817778504, 0.9617966941123531, 0.5770779426322548, 0.4122092271136529,
    0.3199066703689245, 0.2828870394156083,
)  # fmt: skip
SIN = (
    0.9999999999999957, -0.16666666666616622, 0.008333333323868534, -0.0001984126329340407,
    2.7555270854294648e-06, -2.4756483920178162e-08,
)  # fmt: skip
COS = (
    0.9999999999999444, -0.4999999999935029, 0.04166666654378641, -0.0013888880387304867,
    2.4798927406774083e-05, -2.7173332698723485e-07,
)  # fmt: skip
TANH = (
    0.9999999999948793, -0.3333333303215652, 0.133333045475298, -0.05395815374225322,
    0.021708219464897288, -0.007657372396617717,
)  # fmt: skip
ERF_SMALL = (
    1.1283791670946768, -0.3761263888963531, 0.11283791308604582, -0.026866133235095593,
    0.005223783477189248, -0.0008542637997087229, 0.0001195656256820733, -1.3909340021874599e-05,
    1.058938064107502e-06,
)  # fmt: skip
ERF_LARGE = (
    0.999593047982555, 0.003267270355306891, -0.012252830409892758, 0.028187406266242877,
    -0.0436514785727652, 0.04638958373278701, -0.03186845073341878, 0.00957930563355203,
    0.006637864138699411, -0.010411845236463657, 0.0046670288066926685, 0.0015429110747725804,
    -0.002032798774481577, 9.497238351300817e-05, 0.00025800609880068196,
)  # fmt: skip
ROUND = 1.5 * 2.0**52  # adding it leaves the nearest integer in the low bits
PLAIN = {  # LLVM has these
    "floor": "floor",
    "ceil": "ceil",
    "trunc": "trunc",
    "round": "roundeven",
    "sqrt": "sqrt",
    "abs": "fabs",
    "fma": "fma",
}


def call(t: Text, name: str, dtype: DType, args: list[Op]) -> Op:
    """Write a math word; the operands are float (16-bit ones as float32), the caller rounds."""
    x = args[0]
    if name in ("isnan", "isinf"):
        if name == "isnan":
            return t.compare("fcmp uno", x, x)
        return t.compare("fcmp oeq", t.intrinsic("fabs", x), constant(x.scalar, x.lanes, math.inf))
    if name in PLAIN:
        return t.intrinsic(PLAIN[name], *args)
    if name == "rsqrt":
        return t.same("fdiv", constant(x.scalar, x.lanes, 1.0), t.intrinsic("sqrt", x))
    if dtype is DType.float64:
        return each_lane(t, name, args)
    wide = [t.convert("fpext", a, "double") for a in args]
    return t.convert("fptrunc", SINGLE[name](t, *wide), "float")


def each_lane(t: Text, name: str, args: list[Op]) -> Op:
    """Write one call of a C library function per lane."""
    x = args[0]
    if not x.lanes:
        return t.call("double", 0, name, *args)
    out = constant("double", x.lanes, 0.0)
    for lane in range(x.lanes):
        at = integer(lane)
        parts = [t.op("double", 0, f"extractelement {a}, {at}") for a in args]
        out = t.op("double", x.lanes, f"insertelement {out}, {t.call('double', 0, name, *parts)}, {at}")
    return out


def _f(like: Op, value: float) -> Op:
    return constant("double", like.lanes, value)


def _fma(t: Text, a: Op, b: Op, c: Op) -> Op:
    return t.intrinsic("fma", a, b, c)


def _polynomial(t: Text, coefficients: tuple[float, ...], x: Op) -> Op:
    out = _f(x, coefficients[-1])
    for c in reversed(coefficients[:-1]):
        out = _fma(t, out, x, _f(x, c))
    return out


def _exp2(t: Text, y: Op) -> Op:
    y = t.select(t.compare("fcmp olt", y, _f(y, -200.0)), _f(y, -200.0), y)
    y = t.select(t.compare("fcmp ogt", y, _f(y, 200.0)), _f(y, 200.0), y)
    shifted = t.same("fadd", y, _f(y, ROUND))
    rest = t.same("fsub", y, t.same("fsub", shifted, _f(y, ROUND)))
    exponent = t.same("shl", t.convert("bitcast", shifted, "i64"), constant("i64", y.lanes, 52))
    bits = t.convert("bitcast", _polynomial(t, EXP2, rest), "i64")
    return t.convert("bitcast", t.same("add", bits, exponent), "double")


def _exp(t: Text, x: Op) -> Op:
    return _exp2(t, t.same("fmul", x, _f(x, math.log2(math.e))))


def _log2(t: Text, x: Op) -> Op:
    bits = t.convert("bitcast", x, "i64")
    above = t.same("sub", bits, constant("i64", x.lanes, 0x3FE6A09E667F3BCD))  # the bits of sqrt(1/2)
    exponent = t.same("ashr", above, constant("i64", x.lanes, 52))
    mantissa = t.same("sub", bits, t.same("shl", exponent, constant("i64", x.lanes, 52)))
    m = t.convert("bitcast", mantissa, "double")
    s = t.same("fdiv", t.same("fsub", m, _f(x, 1.0)), t.same("fadd", m, _f(x, 1.0)))
    p = _polynomial(t, LOG2, t.same("fmul", s, s))
    out = _fma(t, s, p, t.convert("sitofp", exponent, "double"))
    out = t.select(t.compare("fcmp oeq", x, _f(x, math.inf)), x, out)
    out = t.select(t.compare("fcmp oeq", x, _f(x, 0.0)), _f(x, -math.inf), out)
    return t.select(
        t.compare("fcmp uge", x, _f(x, 0.0)), t.select(t.compare("fcmp uno", x, x), x, out), _f(x, math.nan)
    )


def _log(t: Text, x: Op) -> Op:
    return t.same("fmul", _log2(t, x), _f(x, math.log(2.0)))


def _trigonometric(t: Text, name: str, x: Op) -> Op:
    shifted = t.same("fadd", t.same("fmul", x, _f(x, 2 / math.pi)), _f(x, ROUND))
    turns = t.same("fneg", t.same("fsub", shifted, _f(x, ROUND)))
    r = _fma(t, turns, _f(x, math.pi / 2), x)
    r = _fma(t, turns, _f(x, 6.123233995736766e-17), r)
    r2 = t.same("fmul", r, r)
    sine = t.same("fmul", r, _polynomial(t, SIN, r2))
    cosine = _polynomial(t, COS, r2)
    quadrant = t.convert("bitcast", shifted, "i64")
    if name == "cos":
        quadrant = t.same("add", quadrant, constant("i64", x.lanes, 1))
    odd = t.compare(
        "icmp ne", t.same("and", quadrant, constant("i64", x.lanes, 1)), constant("i64", x.lanes, 0)
    )
    sign = t.same("shl", t.same("and", quadrant, constant("i64", x.lanes, 2)), constant("i64", x.lanes, 62))
    bits = t.convert("bitcast", t.select(odd, cosine, sine), "i64")
    near = t.convert("bitcast", t.same("xor", bits, sign), "double")
    far = t.compare("fcmp ugt", t.intrinsic("fabs", x), _f(x, 2.0**28))  # also NaN
    out = t.alloca(x.type)
    t.store(near, out)
    with t.when(any_lane(t, far), "far"):
        t.store(each_lane(t, name, [x]), out)
    return t.load("double", x.lanes, out)


def _tanh(t: Text, x: Op) -> Op:
    small = t.same("fmul", x, _polynomial(t, TANH, t.same("fmul", x, x)))
    grown = _exp2(t, t.same("fmul", x, _f(x, 2 * math.log2(math.e))))
    large = t.same("fdiv", t.same("fsub", grown, _f(x, 1.0)), t.same("fadd", grown, _f(x, 1.0)))
    return t.select(t.compare("fcmp olt", t.intrinsic("fabs", x), _f(x, 0.35)), small, large)


def _erf(t: Text, x: Op) -> Op:
    size = t.intrinsic("fabs", x)
    near = t.same("fmul", size, _polynomial(t, ERF_SMALL, t.same("fmul", x, x)))
    capped = t.select(t.compare("fcmp ogt", size, _f(x, 4.0)), _f(x, 4.0), size)
    u = t.same("fmul", t.same("fsub", capped, _f(x, 2.5)), _f(x, 1 / 1.5))
    far = _polynomial(t, ERF_LARGE, u)
    out = t.select(t.compare("fcmp olt", size, _f(x, 1.0)), near, far)
    return t.intrinsic("copysign", out, x)


def _pow(t: Text, x: Op, y: Op) -> Op:
    size = t.intrinsic("fabs", x)
    one, zero, inf = _f(x, 1.0), _f(x, 0.0), _f(x, math.inf)
    z = t.same("fmul", y, _log2(t, size))
    z = t.select(t.compare("fcmp oeq", size, one), zero, t.select(t.compare("fcmp oeq", y, zero), zero, z))
    out = _exp2(t, z)
    whole = t.compare("fcmp oeq", t.intrinsic("trunc", y), y)
    half = t.same("fmul", y, _f(x, 0.5))
    odd = t.same("and", whole, t.compare("fcmp one", t.intrinsic("trunc", half), half))
    negative = t.compare("icmp slt", t.convert("bitcast", x, "i64"), constant("i64", x.lanes, 0))
    out = t.select(t.same("and", negative, odd), t.same("fneg", out), out)
    fraction = t.same(
        "and", t.compare("fcmp olt", x, zero), t.compare("fcmp une", t.intrinsic("trunc", y), y)
    )
    fraction = t.same("and", fraction, t.compare("fcmp one", size, inf))
    lost = t.same("and", t.compare("fcmp uno", y, y), t.compare("fcmp une", x, one))
    return t.select(t.same("or", fraction, lost), _f(x, math.nan), out)


def any_lane(t: Text, mask: Op) -> Op:
    """Tell whether a condition holds in any lane."""
    if not mask.lanes:
        return mask
    bits = t.op(f"i{mask.lanes}", 0, f"bitcast {mask} to i{mask.lanes}")
    return t.compare("icmp ne", bits, Op(bits.scalar, 0, "0" if mask.lanes > 1 else "false"))


SINGLE: dict[str, Callable[..., Op]] = {
    "exp": _exp,
    "exp2": _exp2,
    "log": _log,
    "log2": _log2,
    "sin": lambda t, x: _trigonometric(t, "sin", x),
    "cos": lambda t, x: _trigonometric(t, "cos", x),
    "tanh": _tanh,
    "erf": _erf,
    "pow": _pow,
}
