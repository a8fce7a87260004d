"""Prints casts and math calls: every one with the meaning of the language, whatever C++ leaves open."""

from __future__ import annotations

from workshop.dtype import DType
from workshop.gpu import ir
from workshop.gpu.cuda.kinds import EQUAL, NARROW, POSTFIX, Kinds, Text, inside
from workshop.gpu.cuda.prelude import saturating_cast
from workshop.gpu.cuda.ranges import INT32
from workshop.gpu.cuda.words import C_TYPES, HALVES, literal

FLOAT_CALLS = {"abs": "fabs", "round": "rint", "sin": "sin_float", "cos": "cos_float"}


class Casts(Kinds):
    """Prints Cast and Call nodes."""

    def _cast(self, e: ir.Cast) -> Text:
        source, target = e.operand.dtype, e.dtype
        operand = self.text(e.operand)
        if source is target:
            return operand
        if target is DType.bool:
            zero = literal(0, operand.kind if operand.kind not in HALVES else DType.float32)
            return Text(f"{operand.within(EQUAL + 1)} != {zero}", EQUAL, DType.bool)
        if target.is_integral() and source.is_float():
            return self._float_to_integer(operand, target)
        if target is DType.int64 and inside(self.ranges.of(e.operand), INT32):
            return operand if operand.kind in NARROW else self.convert(operand, DType.int32)
        if target in HALVES:
            return self._to_half(operand, target)
        return self.convert(operand, target)

    def _to_half(self, operand: Text, target: DType) -> Text:
        if operand.kind is DType.float64 and target is DType.float16:
            return Text(self._helper("float16_of_double", operand.text), POSTFIX, target)
        single = operand if operand.kind in (DType.float32, *HALVES) else self.convert(operand, DType.float32)
        return Text(f"{self._half(target)}({single.text})", POSTFIX, target)

    def _float_to_integer(self, operand: Text, target: DType) -> Text:
        wide = operand.kind is DType.float64
        name = f"{target.value}_of_{'double' if wide else 'float'}"
        low, high = whole_literals(target)
        top = 2 ** (target.bits - (1 if target.is_signed_integral() else 0))
        kind = DType.float64 if wide else DType.float32
        bounds = literal(-top if target.is_signed_integral() else 0, kind), literal(top, kind)
        source = "double" if wide else "float"
        self.casts[name] = saturating_cast(C_TYPES[target], name, source, low, high, bounds)
        return Text(f"{name}({operand.text})", POSTFIX, target)

    def _call(self, e: ir.Call) -> Text:
        if e.name in ("isnan", "isinf"):
            kind = e.args[0].dtype
            argument = self.text(e.args[0])
            inner = self.convert(argument, DType.float32) if kind in HALVES else argument
            return Text(f"{e.name}({inner.text})", POSTFIX, DType.bool)
        if not e.dtype.is_float():
            return self._integer_call(e)
        arguments = ", ".join(self.text(a).text for a in e.args)
        if e.dtype is DType.float64:
            name = {"abs": "fabs", "round": "rint"}.get(e.name, e.name)
            return Text(f"{name}({arguments})", POSTFIX, e.dtype)
        name = FLOAT_CALLS.get(e.name, e.name)
        if name in ("sin_float", "cos_float"):
            return self._rounded(self._helper(name, arguments), POSTFIX, e.dtype)
        return self._rounded(f"{name}f({arguments})", POSTFIX, e.dtype)

    def _integer_call(self, e: ir.Call) -> Text:
        """abs and pow of integers; the rounding words leave an integer as it is."""
        kind = self._result_kind(e)
        arguments = [self.as_kind(a, kind).text for a in e.args]
        if e.name == "abs" and kind.is_signed_integral():
            return Text(self._helper("wrap_abs", *arguments), POSTFIX, kind)
        if e.name == "pow":
            return Text(self._helper("int_pow", *arguments), POSTFIX, kind)
        assert e.name in ("abs", "floor", "ceil", "round", "trunc"), e.name
        return self.as_kind(e.args[0], kind)


def whole_literals(dtype: DType) -> tuple[str, str]:
    """Spell the least and greatest value of an integer dtype."""
    signed = dtype.is_signed_integral()
    low = -(2 ** (dtype.bits - 1)) if signed else 0
    return literal(low, dtype), literal(2 ** (dtype.bits - signed) - 1, dtype)
