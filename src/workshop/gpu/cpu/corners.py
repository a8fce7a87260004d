"""Tests at a block's corners: one comparison that stands for those of all its threads.

Every index is bounded from below and above over the threads of a block (and the trips of counted loops) by interval
arithmetic on run-time scalars. Where all intervals lie inside their arrays, and guards such as `i < n` hold throughout,
the region runs without tests. Each bound carries the number of bits it can need, so that corner arithmetic that might
overflow is given up while compiling and never trusted.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from workshop.dtype import DType
from workshop.gpu import ir
from workshop.gpu.analysis import assigned, leaves
from workshop.gpu.cpu import numbers
from workshop.gpu.cpu.frame import Frame, Proof, number
from workshop.gpu.cpu.lanes import Expressions
from workshop.gpu.cpu.text import Op, integer

Bound = int | Op
LEAF_BITS, MOST_BITS = 40, 62


@dataclass(frozen=True, slots=True)
class Interval:
    """Bounds of a value, both inclusive, and the bits their size can need."""

    low: Bound
    high: Bound
    bits: int


class Corners:
    """Finds which accesses and guards of a region one test can stand for, and writes the test."""

    def __init__(self, frame: Frame, body: ir.Body, ids: dict[str, Interval]) -> None:
        self.frame, self.t, self.ids = frame, frame.t, ids
        self.written = assigned(body)
        self.tests: list[Op] = []
        self.proof = Proof()
        self.static = Proof()
        self.known: list[tuple[Any, Interval]] = []
        self.loops: dict[str, Interval | None] = {}
        self.defined: set[str] = set()
        self.failed: set[int] = set()
        self.loose = 0  # loops around in which lanes that are switched off run past their bounds
        self.scalars = Expressions(frame, Proof(), None)
        self._body(body)
        for proof in (self.proof, self.static):
            proof.safe -= self.failed
            proof.anyway -= self.failed

    # -- bounds

    def interval(self, e: ir.Expr) -> Interval | None:
        """Bound an integer expression over the region's threads, narrowed by the conditions around it."""
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
        """Return what an expression says, wherever it stands; None where its value may change inside the region."""
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
                return ("variable", e.name) if e.name in self.loops or e.name in self.frame.variables else None
            case ir.Binary() | ir.Cast() | ir.Unary():
                parts = [self.key(c) for c in ir.children(e) if isinstance(c, ir.Expr)]
                return None if None in parts else (getattr(e, "op", "cast"), e.dtype, *parts)
        return None

    def _definition(self, name: str) -> ir.Expr | None:
        """Return the expression a variable stands for: recomputed anywhere, or set once earlier in this region."""
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
        bits = a.bits + b.bits if op == "mul" else max(a.bits, b.bits) + 1
        if bits > MOST_BITS:
            return None
        if op == "add":
            return Interval(self._op("add", a.low, b.low), self._op("add", a.high, b.high), bits)
        if op == "sub":
            return Interval(self._op("sub", a.low, b.high), self._op("sub", a.high, b.low), bits)
        if op == "mul":
            ends = [self._op("mul", x, y) for x in _ends(a) for y in _ends(b)]
            return Interval(self._least(ends), self._most(ends), bits)
        if op in ("min", "max"):
            pick = self._min if op == "min" else self._max
            return Interval(pick(a.low, b.low), pick(a.high, b.high), bits)
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
        if e.op == "mod" and a and isinstance(a.low, int) and isinstance(a.high, int) and 0 <= a.low and a.high < c:
            return a
        return Interval(0, c - 1 if e.op == "mod" else c, c.bit_length())

    # -- arithmetic that folds constants

    def _op(self, op: str, a: Bound, b: Bound) -> Bound:
        if isinstance(a, int) and isinstance(b, int):
            return {"add": a + b, "sub": a - b, "mul": a * b}[op]
        return self.t.same(f"{op} nsw", _as_op(a), _as_op(b))

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

    # -- statements

    def _body(self, body: ir.Body) -> None:
        mark = set(self.defined)
        for stmt in body:
            self._statement(stmt)
        self.defined = mark

    def _statement(self, stmt: ir.Stmt) -> None:
        match stmt:
            case ir.If():
                self._if(stmt)
                return
            case ir.For():
                self._for(stmt)
                return
            case ir.While():
                self._accesses(stmt.condition)
                self._body(stmt.body)
                return
            case ir.Block():
                self._body(stmt.body)
                return
        for child in ir.children(stmt):
            if isinstance(child, ir.Expr):
                self._accesses(child)
        if isinstance(stmt, ir.Store):
            self._access(stmt, stmt.memory, stmt.indices)
        if isinstance(stmt, ir.Assign):
            self.defined.add(stmt.name)

    def _for(self, stmt: ir.For) -> None:
        for e in (stmt.start, stmt.stop, stmt.step):
            self._accesses(e)
        outer = self.loops.get(stmt.var, self)
        fixed = stmt.var not in assigned(stmt.body)
        self.loops[stmt.var] = self._trips(stmt) if fixed else None
        parting = not self.frame.shapes.uniform(stmt)
        self.loose += parting
        self._body(stmt.body)
        self.loose -= parting
        if outer is self:
            del self.loops[stmt.var]
        else:
            self.loops[stmt.var] = outer  # type: ignore[assignment]

    def _trips(self, stmt: ir.For) -> Interval | None:
        start, stop, step = (self.interval(e) for e in (stmt.start, stmt.stop, stmt.step))
        if start is None or stop is None or step is None or not isinstance(step.low, int) or step.low != step.high:
            return None
        bits = max(start.bits, stop.bits) + 1
        if bits > MOST_BITS or step.low == 0:
            return None
        if step.low > 0:
            return Interval(start.low, self._op("sub", stop.high, 1), bits)
        return Interval(self._op("add", stop.low, 1), start.high, bits)

    def _if(self, stmt: ir.If) -> None:
        self._accesses(stmt.condition)
        verdict = self._assume(stmt)
        marks = len(self.known)
        if verdict is not False:
            if verdict is None:
                self._refine(stmt.condition)
            self._body(stmt.then)
            del self.known[marks:]
        if verdict is not True:
            self._body(stmt.orelse)

    def _accesses(self, e: ir.Expr) -> None:
        """Judge every load under an expression; what a lazy operator guards is judged under its guard."""
        if isinstance(e, ir.Logic):
            self._accesses(e.left)
            marks = len(self.known)
            if e.op == "and":
                self._refine(e.left)
            self._accesses(e.right)
            del self.known[marks:]
            return
        if isinstance(e, ir.Select):
            self._accesses(e.condition)
            marks = len(self.known)
            self._refine(e.condition)
            self._accesses(e.yes)
            del self.known[marks:]
            self._accesses(e.no)
            return
        for child in ir.children(e):
            if isinstance(child, ir.Expr):
                self._accesses(child)
        if isinstance(e, ir.Load):
            self._access(e, e.memory, e.indices)

    def _access(self, node: ir.Node, memory: ir.Memory, indices: tuple[ir.Expr, ...]) -> None:
        before = len(self.tests)
        known, self.known = self.known, []
        anyway = None if self.loose else self._test(memory, indices, required=False)
        self.known = known
        if anyway is True:
            self.proof.anyway.add(id(node))
            self.static.anyway.add(id(node))
            return self._safe(node, static=len(self.tests) == before)
        del self.tests[before:]
        tested = self._test(memory, indices, required=True)
        if tested is None:
            self.failed.add(id(node))
            del self.tests[before:]
            return None
        return self._safe(node, static=tested)

    def _safe(self, node: ir.Node, static: bool) -> None:
        self.proof.safe.add(id(node))
        if static:
            self.static.safe.add(id(node))

    def _test(self, memory: ir.Memory, indices: tuple[ir.Expr, ...], required: bool) -> bool | None:
        """Test that indices lie inside; True: always so, False: a test decides, None: cannot be told."""
        always = True
        for index, extent in zip(indices, self.frame.arrays[memory.name].shape, strict=True):
            found = self.interval(index)
            if found is None:
                return None
            ends = (self._at_most(0, found.low), self._at_most(self._op("add", found.high, 1), _bound(extent)))
            always = always and ends == (True, True)
            if False in ends:
                return None
            if required:
                for end in ends:
                    self._require(end)
        return always

    # -- conditions

    def _assume(self, stmt: ir.If) -> bool | None:
        """Give a guard the value that full blocks give it, and make the fast version depend on that."""
        if self.frame.shapes.of(stmt.condition) == 0 and not self._uses_moving_block(stmt.condition):
            return None
        for wanted in self._likely(stmt):
            before = len(self.tests)
            tests = self._holds(stmt.condition, wanted)
            if tests is None:
                del self.tests[before:]
                continue
            for test in tests:
                self._require(test)
            self.proof.assumed[id(stmt)] = wanted
            if len(self.tests) == before:
                self.static.assumed[id(stmt)] = wanted
            return wanted
        return None

    def _uses_moving_block(self, e: ir.Expr) -> bool:
        return bool(self.ids) and any(isinstance(n, (ir.Id, ir.Variable)) for n in ir.walk(e))

    def _likely(self, stmt: ir.If) -> tuple[bool, ...]:
        only_leaves = bool(leaves(stmt.then)) and not stmt.orelse
        return (False, True) if only_leaves else (True, False)

    def _holds(self, e: ir.Expr, wanted: bool) -> list[Op | bool] | None:
        """Return tests under which a condition has one value for every thread; None: it cannot, or cannot be told."""
        if isinstance(e, ir.Unary) and e.op == "not":
            return self._holds(e.operand, not wanted)
        if isinstance(e, ir.Variable) and (value := self._definition(e.name)) is not None:
            return self._holds(value, wanted)
        if isinstance(e, ir.Logic) or (isinstance(e, ir.Binary) and e.op in ("and", "or")):
            every = (e.op == "and") == wanted
            sides = [self._holds(side, wanted) for side in (e.left, e.right)]
            if every:
                return None if sides[0] is None or sides[1] is None else sides[0] + sides[1]
            return next((side for side in sides if side is not None), None)
        if not isinstance(e, ir.Compare):
            return None
        return self._compares(e, wanted)

    def _compares(self, e: ir.Compare, wanted: bool) -> list[Op | bool] | None:
        flip = {"lt": "ge", "le": "gt", "gt": "le", "ge": "lt", "eq": "ne", "ne": "eq"}
        op = e.op if wanted else flip[e.op]
        a, b = self.interval(e.left), self.interval(e.right)
        if a is None or b is None or self._within_block(e) or op == "ne":
            return None
        if op in ("gt", "ge"):
            a, b, op = b, a, {"gt": "lt", "ge": "le"}[op]
        if op == "eq":
            tests = [self._at_most(a.high, b.low), self._at_most(b.high, a.low)]
        else:
            tests = [self._at_most(a.high if op == "le" else self._op("add", a.high, 1), b.low)]
        return None if False in tests else tests

    def _within_block(self, e: ir.Compare) -> bool:
        """True for a test that tells threads of every block apart, such as `thread_idx.x < stride`."""
        names = [n.name for n in ir.walk(e) if isinstance(n, ir.Variable) and n.name not in self.frame.plan.pure]
        return any(name in self.frame.variables for name in names)

    def _refine(self, e: ir.Expr) -> None:
        """Narrow what is known where a condition holds."""
        if isinstance(e, ir.Logic) and e.op == "and":
            self._refine(e.left)
            self._refine(e.right)
        elif isinstance(e, ir.Variable) and (value := self._definition(e.name)) is not None:
            self._refine(value)
        elif isinstance(e, ir.Compare) and e.op != "ne" and e.left.dtype.is_integral():
            a, b = self.interval(e.left), self.interval(e.right)
            if a is None or b is None:
                return
            op, left, right = e.op, e.left, e.right
            if op in ("gt", "ge"):
                op, a, b, left, right = ("lt" if op == "gt" else "le"), b, a, right, left
            off = 1 if op == "lt" else 0
            self._limit(left, Interval(b.low if op == "eq" else a.low, self._op("sub", b.high, off), b.bits + 1))
            self._limit(right, Interval(self._op("add", a.low, off), a.high if op == "eq" else b.high, a.bits + 1))

    def _limit(self, e: ir.Expr, found: Interval) -> None:
        key = self.key(e)
        if key is not None and not isinstance(e, ir.Constant):
            self.known.append((key, found))


def _ends(i: Interval) -> list[Bound]:
    return [i.low] if i.low == i.high else [i.low, i.high]


def _as_op(b: Bound) -> Op:
    return integer(b) if isinstance(b, int) else b


def _bound(op: Op) -> Bound:
    known = number(op)
    return op if known is None else known
