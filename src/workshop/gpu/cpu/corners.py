"""Tests at a block's corners: one comparison that stands for those of all its threads.

Every index is bounded over the threads of a block and the trips of counted loops. Where all bounds lie
inside their arrays, and guards such as `i < n` hold throughout, the region runs without tests.
"""

from __future__ import annotations

from collections.abc import Callable

from workshop.gpu import ir
from workshop.gpu.analysis import assigned, leaves
from workshop.gpu.cpu.frame import Frame, Proof
from workshop.gpu.cpu.intervals import MOST_BITS, Interval, Intervals, as_bound
from workshop.gpu.cpu.text import Op


class Corners(Intervals):
    """Finds which accesses and guards of a region one test can stand for, and writes the test."""

    def __init__(self, frame: Frame, body: ir.Body, ids: dict[str, Interval]) -> None:
        super().__init__(frame, ids)
        self.proof = Proof(fast=True)  # where the tests pass
        self.static = Proof()  # always
        self.failed: set[int] = set()
        self.loose = 0  # loops around in which lanes that are switched off run past their bounds
        self._body(body)
        for proof in (self.proof, self.static):
            proof.safe -= self.failed
            proof.anyway -= self.failed

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
        if (
            start is None
            or stop is None
            or step is None
            or not isinstance(step.low, int)
            or step.low != step.high
        ):
            return None
        bits = max(start.bits, stop.bits) + 1
        if bits > MOST_BITS or step.low == 0:
            return None
        if step.low > 0:
            return Interval(start.low, self._op("sub", stop.high, 1), bits)
        return Interval(self._op("add", stop.low, 1), start.high, bits)

    def _if(self, stmt: ir.If) -> None:
        self._choose(stmt, lambda: self._body(stmt.then), lambda: self._body(stmt.orelse))

    def _choose(self, node: ir.If | ir.Select, yes: Callable[[], None], no: Callable[[], None]) -> None:
        """Judge both sides of a condition, or the one that the fast version keeps."""
        self._accesses(node.condition)
        verdict = self._assume(node)
        marks = len(self.known)
        if verdict is not False:
            if verdict is None:
                self._refine(node.condition)
            yes()
            del self.known[marks:]
        if verdict is not True:
            no()

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
            self._choose(e, lambda: self._accesses(e.yes), lambda: self._accesses(e.no))
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
            ends = (
                self._at_most(0, found.low),
                self._at_most(self._op("add", found.high, 1), as_bound(extent)),
            )
            always = always and ends == (True, True)
            if False in ends:
                return None
            if required:
                for end in ends:
                    self._require(end)
        return always

    # -- conditions

    def _assume(self, stmt: ir.If | ir.Select) -> bool | None:
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

    def _likely(self, stmt: ir.If | ir.Select) -> tuple[bool, ...]:
        only_leaves = isinstance(stmt, ir.If) and bool(leaves(stmt.then)) and not stmt.orelse
        return (False, True) if only_leaves else (True, False)

    def _holds(self, e: ir.Expr, wanted: bool) -> list[Op | bool] | None:
        """Return tests under which a condition has this value for every thread; None where there are none."""
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
        names = [
            n.name for n in ir.walk(e) if isinstance(n, ir.Variable) and n.name not in self.frame.plan.pure
        ]
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
            self._limit(
                left, Interval(b.low if op == "eq" else a.low, self._op("sub", b.high, off), b.bits + 1)
            )
            self._limit(
                right, Interval(self._op("add", a.low, off), a.high if op == "eq" else b.high, a.bits + 1)
            )

    def _limit(self, e: ir.Expr, found: Interval) -> None:
        key = self.key(e)
        if key is not None and not isinstance(e, ir.Constant):
            self.known.append((key, found))
