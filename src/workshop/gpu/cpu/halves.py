"""float16 and bfloat16 by our own bit code: LLVM's conversions crash on CPUs without F16C.

In registers a 16-bit float is the float32 of the same value; `rounded` makes one out of any float32 (to
nearest, ties to even), `pack` and `unpack` go to and from the 16 stored bits.
"""

from __future__ import annotations

from workshop.dtype import DType
from workshop.gpu.cpu.text import Op, Text, constant


def rounded(t: Text, dtype: DType, x: Op) -> Op:
    """Round a float32 to the nearest value of a 16-bit float type."""
    return _round_bfloat16(t, x) if dtype is DType.bfloat16 else _round_float16(t, x)


def pack(t: Text, dtype: DType, x: Op) -> Op:
    """Turn a float32 that is a value of the 16-bit type into its bits."""
    bits = t.convert("bitcast", x, "i32")
    if dtype is DType.bfloat16:
        return t.convert("trunc", t.same("lshr", bits, _i(x, 16)), "i16")
    size = t.same("and", bits, _i(x, 0x7FFFFFFF))
    sign = t.same("and", t.same("lshr", bits, _i(x, 16)), _i(x, 0x8000))
    normal = t.same("lshr", t.same("sub", size, _i(x, 0x38000000)), _i(x, 13))
    half = t.same("fadd", t.convert("bitcast", size, "float"), constant("float", x.lanes, 0.5))
    tiny = t.same("and", t.convert("bitcast", half, "i32"), _i(x, 0x7FF))
    out = t.select(t.compare("icmp ult", size, _i(x, 0x38800000)), tiny, normal)
    out = t.select(t.compare("icmp uge", size, _i(x, 0x47800000)), _i(x, 0x7C00), out)
    out = t.select(t.compare("icmp ugt", size, _i(x, 0x7F800000)), _i(x, 0x7E00), out)
    return t.convert("trunc", t.same("or", out, sign), "i16")


def unpack(t: Text, dtype: DType, bits: Op) -> Op:
    """Turn the bits of a 16-bit float into the float32 of the same value."""
    wide = t.convert("zext", bits, "i32")
    if dtype is DType.bfloat16:
        return t.convert("bitcast", t.same("shl", wide, _i(bits, 16)), "float")
    size = t.same("and", wide, _i(bits, 0x7FFF))
    sign = t.same("shl", t.same("and", wide, _i(bits, 0x8000)), _i(bits, 16))
    shifted = t.same("shl", size, _i(bits, 13))
    normal = t.same("add", shifted, _i(bits, 0x38000000))
    scaled = t.same("fmul", t.convert("uitofp", size, "float"), constant("float", bits.lanes, 2.0**-24))
    out = t.select(t.compare("icmp ult", size, _i(bits, 0x400)), t.convert("bitcast", scaled, "i32"), normal)
    special = t.same("or", shifted, _i(bits, 0x7F800000))
    out = t.select(t.compare("icmp uge", size, _i(bits, 0x7C00)), special, out)
    return t.convert("bitcast", t.same("or", out, sign), "float")


def narrowed(t: Text, x: Op) -> Op:
    """Convert float64 to float32 so that a second rounding to 16 bits is as good as one (round to odd)."""
    near = t.convert("fptrunc", x, "float")
    back = t.convert("fpext", near, "double")
    bits = t.convert("bitcast", near, "i32")
    larger = t.compare("fcmp ogt", t.intrinsic("fabs", back), t.intrinsic("fabs", x))
    even = t.compare("icmp eq", t.same("and", bits, _i(x, 1)), _i(x, 0))
    inexact = t.same("and", t.compare("fcmp one", back, x), even)
    odd = t.select(larger, t.same("sub", bits, _i(x, 1)), t.same("add", bits, _i(x, 1)))
    return t.convert("bitcast", t.select(inexact, odd, bits), "float")


def _i(like: Op, value: int) -> Op:
    return constant("i32", like.lanes, value - (1 << 32) if value >= 1 << 31 else value)


def _round_bfloat16(t: Text, x: Op) -> Op:
    bits = t.convert("bitcast", x, "i32")
    tie = t.same("and", t.same("lshr", bits, _i(x, 16)), _i(x, 1))
    up = t.same("add", bits, t.same("add", tie, _i(x, 0x7FFF)))
    nan = t.same("or", bits, _i(x, 0x400000))
    out = t.select(t.compare("fcmp uno", x, x), nan, up)
    return t.convert("bitcast", t.same("and", out, _i(x, 0xFFFF0000)), "float")


def _round_float16(t: Text, x: Op) -> Op:
    bits = t.convert("bitcast", x, "i32")
    size = t.same("and", bits, _i(x, 0x7FFFFFFF))
    sign = t.same("and", bits, _i(x, 0x80000000))
    tie = t.same("and", t.same("lshr", size, _i(x, 13)), _i(x, 1))
    normal = t.same("and", t.same("add", size, t.same("add", tie, _i(x, 0xFFF))), _i(x, 0xFFFFE000))
    half = constant("float", x.lanes, 0.5)  # the unit of 0.5 in float32 is the smallest float16
    tiny = t.same("fsub", t.same("fadd", t.convert("bitcast", size, "float"), half), half)
    out = t.select(t.compare("icmp ult", size, _i(x, 0x38800000)), t.convert("bitcast", tiny, "i32"), normal)
    out = t.select(t.compare("icmp uge", out, _i(x, 0x47800000)), _i(x, 0x7F800000), out)
    out = t.select(t.compare("fcmp uno", x, x), size, out)
    return t.convert("bitcast", t.same("or", out, sign), "float")
