"""Bounds of integer expressions over all threads of a block, as run-time scalars.

Each bound carries the number of bits it can need, so that arithmetic on bounds that might overflow is
given up while compiling and never trusted.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from workshop.dtype import DType
from workshop.gpu import ir
from workshop.gpu.cpu import numbers
from workshop.gpu.cpu.frame import Frame, Proof
from workshop.gpu.cpu.lanes import Expressions
from workshop.gpu.cpu.text import Op, integer, number

Bound = int | Op
LEAF_BITS, MOST_BITS = 40, 62


@dataclass(frozen=True, slots=True)
class Interval:
    """Bounds of a value, both inclusive, and the bits their size can need."""

    low: Bound
    high: Bound
    bits: int


class Intervals:
    """Bounds expressions of one region; writes the arithmetic and collects the tests it relies on."""

    def __init__(self, frame: Frame, ids: dict[str, Interval]) -> None:
        self.frame, self.t, self.ids = frame, frame.t, ids
        self.tests: list[Op] = []
        self.known: list[tuple[Any, Interval]] = []  # what conditions around the present place tell
        self.loops: dict[str, Interval | None] = {}
        self.defined: set[str] = set()  # variables set so far
        self.scalars = Expressions(frame, Proof(), None)

    # -- bounds

    def interval(self, e: ir.Expr) -> Interval | None:
        """Bound an integer expression over all threads, narrowed by the conditions around it."""
        found = self._natural(e)
        if found is None:
            return None
        if not isinstance(e, ir.Constant) and self.known:
            key = self.key(e)
            for other, limit in self.known:
                if key is not None and key == other:
                    low, high = self._max(found.low, limit.low), self._min(found.high, limit.high)
                    found = Interval(low, high, max(found.bits, limit.bits))
        return found

    def key(self, e: ir.Expr) -> Any:
        """Return what an expression says, wherever it stands; None where its value may change."""
        match e:
            case ir.Constant():
                return e.value
            case ir.Argument():
                return ("argument", e.name)
            case ir.Extent():
                return ("extent", e.memory.name, e.axis)
            case ir.Id():
                return (e.kind, e.axis)
            case ir.Variable():
                value = self._definition(e.name)
                if value is not None:
                    return self.key(value)
                return (
                    ("variable", e.name) if e.name in self.loops or e.name in self.frame.variables else None
                )
            case ir.Binary() | ir.Cast() | ir.Unary():
                parts = [self.key(c) for c in ir.children(e) if isinstance(c, ir.Expr)]
                return None if None in parts else (getattr(e, "op", "cast"), e.dtype, *parts)
        return None

    def _definition(self, name: str) -> ir.Expr | None:
        """Return the expression a variable stands for: recomputed, or set once earlier in this region."""
        plan = self.frame.plan
        if name in plan.pure:
            return plan.pure[name]
        here = name in self.defined and name not in self.frame.crossing
        return plan.inner[name] if here and name in plan.inner else None

    def _natural(self, e: ir.Expr) -> Interval | None:
        match e:
            case ir.Constant() if e.dtype.is_integral():
                return Interval(int(e.value), int(e.value), max(int(e.value).bit_length(), 1))
            case ir.Argument() if e.dtype.is_integral():
                return self._leaf(e)
            case ir.Extent():
                here = self.frame.arrays[e.memory.name].shape[e.axis]
                return Interval(here, here, LEAF_BITS)
            case ir.Id():
                return self._id(e)
            case ir.Variable():
                return self._variable(e)
            case ir.Cast() if e.dtype.is_integral() and e.operand.dtype.is_integral():
                return self._fits(self.interval(e.operand), e.dtype)
            case ir.Unary(op="neg") if e.dtype.is_integral():
                zero = ir.Constant(e.dtype, e.loc, 0)
                return self.interval(ir.Binary(e.dtype, e.loc, "sub", zero, e.operand))
            case ir.Binary(op="mod" | "and", right=ir.Constant(value=c)) if e.dtype.is_integral() and c > 0:
                return self._remainder(e, int(c))
            case ir.Binary() if e.dtype.is_integral():
                a, b = self.interval(e.left), self.interval(e.right)
                return None if a is None or b is None else self._fits(self._binary(e.op, a, b), e.dtype)
        return None

    def _id(self, e: ir.Id) -> Interval:
        if e.kind == "thread_idx":
            extent = self.frame.plan.function.block["xyz".index(e.axis)]
            return Interval(0, extent - 1, 11)
        if e.kind == "block_idx" and e.axis in self.ids:
            return self.ids[e.axis]
        here = (self.frame.grid if e.kind == "grid_dim" else self.frame.block)[e.axis]
        return Interval(here, here, 32)

    def _variable(self, e: ir.Variable) -> Interval | None:
        if e.name in self.loops:
            return self.loops[e.name]
        value = self._definition(e.name)
        if value is not None:
            return self.interval(value)
        return self._leaf(e) if e.name in self.frame.variables and e.dtype.is_integral() else None

    def _leaf(self, e: ir.Expr) -> Interval:
        """Take a value that the whole block shares, tested to be of moderate size."""
        op = self._wide(self.scalars.value(e).op, e.dtype)
        if e.dtype.bits <= 32:
            return Interval(op, op, 33)
        limit = integer(1 << LEAF_BITS)
        t = self.t
        self._require(t.compare("icmp ult", t.same("add", op, limit), integer(1 << (LEAF_BITS + 1))))
        return Interval(op, op, LEAF_BITS)

    def _wide(self, op: Op, dtype: DType) -> Op:
        if op.scalar == "i64":
            return op
        return self.t.convert("sext" if dtype.is_signed_integral() else "zext", op, "i64")

    def _fits(self, found: Interval | None, dtype: DType) -> Interval | None:
        """Require bounds to be values of a type, so that nothing has wrapped."""
        if found is None or dtype is DType.int64:
            return found
        low = -(1 << (dtype.bits - 1)) if dtype.is_signed_integral() else 0
        high = (1 << (dtype.bits - (1 if dtype.is_signed_integral() else 0))) - 1
        self._require(self._at_most(low, found.low))
        if high < 1 << 62:
            self._require(self._at_most(found.high, high))
        return found

    def _binary(self, op: str, a: Interval, b: Interval) -> Interval | None:
        if op in ("min", "max"):
            pick = self._min if op == "min" else self._max
            return Interval(pick(a.low, b.low), pick(a.high, b.high), max(a.bits, b.bits))
        if op in ("add", "sub", "mul"):
            return self._sum_or_product(op, a, b)
        c = b.low
        if not isinstance(c, int) or b.high != c or c <= 0:
            return None
        if op == "floordiv":
            return Interval(self._floor(a.low, c), self._floor(a.high, c), a.bits)
        if op == "shr":
            return self._binary("floordiv", a, Interval(1 << c, 1 << c, c + 1)) if c < 31 else None
        if op == "shl":
            return self._binary("mul", a, Interval(1 << c, 1 << c, c + 1)) if c < 31 else None
        return None

    def _remainder(self, e: ir.Binary, c: int) -> Interval:
        """Bound x % c or x & c, which hold whatever x is; a small x is unchanged by %."""
        a = self.interval(e.left) if isinstance(e.left, (ir.Id, ir.Variable)) else None
        if (
            e.op == "mod"
            and a
            and isinstance(a.low, int)
            and isinstance(a.high, int)
            and a.low >= 0
            and a.high < c
        ):
            return a
        return Interval(0, c - 1 if e.op == "mod" else c, c.bit_length())

    # -- arithmetic that folds constants

    def _sum_or_product(self, op: str, a: Interval, b: Interval) -> Interval | None:
        bits = a.bits + b.bits if op == "mul" else max(a.bits, b.bits) + 1
        if op == "mul":
            pairs = [(x, y) for x in _ends(a) for y in _ends(b)]
        else:
            pairs = [(a.low, b.low), (a.high, b.high)] if op == "add" else [(a.low, b.high), (a.high, b.low)]
        if bits > MOST_BITS:
            ends = [self._careful(op, x, y) for x, y in pairs]
            bits = MOST_BITS - 2
        else:
            ends = [self._op(op, x, y) for x, y in pairs]
        if any(isinstance(end, int) and end.bit_length() > MOST_BITS - 2 for end in ends):
            return None
        if op == "mul":
            return Interval(self._least(ends), self._most(ends), bits)
        low, high = ends
        return Interval(low, high, bits)

    def _op(self, op: str, a: Bound, b: Bound) -> Bound:
        if isinstance(a, int) and isinstance(b, int):
            return {"add": a + b, "sub": a - b, "mul": a * b}[op]
        return self.t.same(f"{op} nsw", _as_op(a), _as_op(b))

    def _careful(self, op: str, a: Bound, b: Bound) -> Bound:
        """Compute a bound that might overflow, and require that it did not and is of moderate size."""
        if isinstance(a, int) and isinstance(b, int):
            return {"add": a + b, "sub": a - b, "mul": a * b}[op]
        t = self.t
        both = t.call("{i64, i1}", 0, f"llvm.s{op}.with.overflow.i64", _as_op(a), _as_op(b))
        out = t.op("i64", 0, f"extractvalue {both}, 0")
        lost = t.op("i1", 0, f"extractvalue {both}, 1")
        self._require(t.same("xor", lost, Op("i1", 0, "true")))
        half = integer(1 << (MOST_BITS - 2))
        self._require(t.compare("icmp ult", t.same("add", out, half), integer(1 << (MOST_BITS - 1))))
        return out

    def _floor(self, a: Bound, c: int) -> Bound:
        if isinstance(a, int):
            return a // c
        return numbers.binary(self.t, "floordiv", DType.int64, a, integer(c), c)

    def _min(self, a: Bound, b: Bound) -> Bound:
        if isinstance(a, int) and isinstance(b, int):
            return min(a, b)
        return self.t.intrinsic("smin", _as_op(a), _as_op(b))

    def _max(self, a: Bound, b: Bound) -> Bound:
        if isinstance(a, int) and isinstance(b, int):
            return max(a, b)
        return self.t.intrinsic("smax", _as_op(a), _as_op(b))

    def _least(self, ends: list[Bound]) -> Bound:
        out = ends[0]
        for end in ends[1:]:
            out = self._min(out, end)
        return out

    def _most(self, ends: list[Bound]) -> Bound:
        out = ends[0]
        for end in ends[1:]:
            out = self._max(out, end)
        return out

    def _at_most(self, a: Bound, b: Bound) -> Op | bool:
        if isinstance(a, int) and isinstance(b, int):
            return a <= b
        return self.t.compare("icmp sle", _as_op(a), _as_op(b))

    def _require(self, test: Op | bool) -> None:
        """Make the fast version depend on a test; one known to fail makes it unreachable."""
        if test is not True:
            self.tests.append(Op("i1", 0, "false") if test is False else test)


def _ends(i: Interval) -> list[Bound]:
    return [i.low] if i.low == i.high else [i.low, i.high]


def _as_op(b: Bound) -> Op:
    return integer(b) if isinstance(b, int) else b


def as_bound(op: Op) -> Bound:
    known = number(op)
    return op if known is None else known
