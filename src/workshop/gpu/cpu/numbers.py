"""What operators and casts do to numbers (kernel-language.md, section 3), on scalars and vectors alike."""

from __future__ import annotations

from workshop.dtype import DType
from workshop.gpu import ir
from workshop.gpu.cpu import halves, maths
from workshop.gpu.cpu.text import REGISTER, Op, Text, constant, mangle

HALVES = (DType.float16, DType.bfloat16)
FLOAT = {"add": "fadd contract", "sub": "fsub contract", "mul": "fmul contract", "div": "fdiv"}
WHOLE = {"add": "add", "sub": "sub", "mul": "mul", "and": "and", "or": "or", "xor": "xor"}


def binary(t: Text, op: ir.BinaryOp, dtype: DType, a: Op, b: Op, divisor: int | None = None) -> Op:
    """Write a binary operation; `divisor` is b where it is a known integer."""
    if dtype.is_float():
        return finish(t, dtype, _binary_float(t, op, dtype, a, b))
    if op in WHOLE:
        return t.same(WHOLE[op], a, b)
    if op in ("min", "max"):
        sign = "s" if dtype.is_signed_integral() else "u"
        return t.intrinsic(f"{sign}{op}", a, b)
    if op in ("shl", "shr"):
        count = t.same("and", b, constant(b.scalar, b.lanes, dtype.bits - 1))
        right = "ashr" if dtype.is_signed_integral() else "lshr"
        return t.same("shl" if op == "shl" else right, a, count)
    return _divide(t, op, dtype, a, b, divisor)


def finish(t: Text, dtype: DType, x: Op) -> Op:
    """Round a float32 result to its 16-bit type; other types are left alone."""
    return halves.rounded(t, dtype, x) if dtype in HALVES else x


def unary(t: Text, op: ir.UnaryOp, dtype: DType, a: Op) -> Op:
    """Write neg, invert or not."""
    if op == "neg" and dtype.is_float():
        return t.same("fneg", a)
    if op == "neg":
        return t.same("sub", constant(a.scalar, a.lanes, 0), a)
    return t.same("xor", a, constant(a.scalar, a.lanes, 1 if dtype is DType.bool else -1))


def compare(t: Text, op: ir.CompareOp, dtype: DType, a: Op, b: Op) -> Op:
    """Write a comparison of two values of one dtype."""
    if dtype.is_float():
        return t.compare(f"fcmp {'u' if op == 'ne' else 'o'}{op}", a, b)
    sign = "" if op in ("eq", "ne") else "s" if dtype.is_signed_integral() else "u"
    return t.compare(f"icmp {sign}{op}", a, b)


def call(t: Text, name: str, dtype: DType, args: list[Op]) -> Op:
    """Write a math word on operands of one dtype."""
    if name == "abs" and not dtype.is_float():
        if not dtype.is_signed_integral():
            return args[0]
        return t.call(
            args[0].scalar, args[0].lanes, f"llvm.abs.{mangle(args[0])}", args[0], Op("i1", 0, "false")
        )
    out = maths.call(t, name, dtype, args)
    return out if out.scalar == "i1" else finish(t, dtype, out)


def cast(t: Text, a: Op, source: DType, target: DType) -> Op:
    """Write a conversion: ints wrap, float to int truncates and saturates (NaN gives 0), to bool is != 0."""
    if source is target:
        return a
    scalar = REGISTER[target]
    if target is DType.bool:
        return compare(t, "ne", source, a, constant(a.scalar, a.lanes, 0))
    if source.is_float() and target.is_float():
        return _cast_float(t, a, source, target)
    if source.is_float():
        kind = "fptosi" if target.is_signed_integral() else "fptoui"
        out = Op(scalar, a.lanes, "")
        return t.call(scalar, a.lanes, f"llvm.{kind}.sat.{mangle(out)}.{mangle(a)}", a)
    signed = source.is_signed_integral()
    if target.is_float():
        return finish(t, target, t.convert("sitofp" if signed else "uitofp", a, scalar))
    if target.bits < source.bits:
        return t.convert("trunc", a, scalar)
    if target.bits == source.bits:
        return a
    return t.convert("sext" if signed else "zext", a, scalar)


def _cast_float(t: Text, a: Op, source: DType, target: DType) -> Op:
    if target in HALVES:
        return halves.rounded(t, target, halves.narrowed(t, a) if source is DType.float64 else a)
    if target is DType.float64:
        return t.convert("fpext", a, "double")
    return t.convert("fptrunc", a, "float") if source is DType.float64 else a


def _binary_float(t: Text, op: ir.BinaryOp, dtype: DType, a: Op, b: Op) -> Op:
    if op in FLOAT:
        # contraction would skip the rounding to 16 bits between two operations
        return t.same(FLOAT[op].split()[0] if dtype in HALVES else FLOAT[op], a, b)
    if op in ("min", "max"):
        return t.intrinsic(f"{op}num", a, b)
    return _floor_divide(t, op, a, b)


def _floor_divide(t: Text, op: ir.BinaryOp, a: Op, b: Op) -> Op:
    """Python's divmod on floats; a zero divisor gives a / b and NaN."""
    zero = constant(a.scalar, a.lanes, 0.0)
    rest = t.same("frem", a, b)
    fix = t.same("xor", t.compare("fcmp olt", rest, zero), t.compare("fcmp olt", b, zero))
    fix = t.same("and", fix, t.compare("fcmp one", rest, zero))
    if op == "mod":
        rest = t.select(fix, t.same("fadd", rest, b), rest)
        signed_zero = t.intrinsic("copysign", zero, b)
        return t.select(t.compare("fcmp oeq", rest, zero), signed_zero, rest)
    quotient = t.same("fdiv", t.same("fsub", a, rest), b)  # before the step down: b may be infinite
    one = constant(a.scalar, a.lanes, 1.0)
    quotient = t.select(fix, t.same("fsub", quotient, one), quotient)
    low = t.intrinsic("floor", quotient)
    half = constant(a.scalar, a.lanes, 0.5)
    up = t.compare("fcmp ogt", t.same("fsub", quotient, low), half)
    near = t.select(up, t.same("fadd", low, one), low)
    exact = t.same("fdiv", a, b)
    near = t.select(t.compare("fcmp oeq", quotient, zero), t.intrinsic("copysign", zero, exact), near)
    return t.select(t.compare("fcmp oeq", b, zero), exact, near)


def _divide(t: Text, op: ir.BinaryOp, dtype: DType, a: Op, b: Op, divisor: int | None) -> Op:
    signed = dtype.is_signed_integral()
    if divisor is not None and divisor > 0 and divisor & (divisor - 1) == 0:
        if op == "mod":
            return t.same("and", a, constant(a.scalar, a.lanes, divisor - 1))
        return t.same("ashr" if signed else "lshr", a, constant(a.scalar, a.lanes, divisor.bit_length() - 1))
    zero, one = constant(a.scalar, a.lanes, 0), constant(a.scalar, a.lanes, 1)
    nothing = t.compare("icmp eq", b, zero)
    unsafe = nothing
    if signed:  # the most negative number over -1 wraps to itself
        lowest = t.compare("icmp eq", a, constant(a.scalar, a.lanes, -(1 << (dtype.bits - 1))))
        unsafe = t.same(
            "or", nothing, t.same("and", lowest, t.compare("icmp eq", b, constant(b.scalar, b.lanes, -1)))
        )
    by = t.select(unsafe, one, b)
    quotient = t.same("sdiv" if signed else "udiv", a, by)
    rest = t.same("sub", a, t.same("mul", quotient, by))
    if signed:
        apart = t.compare("icmp slt", t.same("xor", rest, by), zero)
        down = t.same("and", apart, t.compare("icmp ne", rest, zero))
        quotient = t.same("sub", quotient, t.select(down, one, zero))
        rest = t.same("add", rest, t.select(down, by, zero))
    return t.select(nothing, zero, rest if op == "mod" else quotient)
