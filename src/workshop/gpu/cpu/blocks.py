"""Code of whole blocks: which run in what order, and what stands around the barriers."""

from __future__ import annotations

from workshop.gpu import ir
from workshop.gpu.analysis import assigned, leaves
from workshop.gpu.cpu.corners import Corners
from workshop.gpu.cpu.folding import fold
from workshop.gpu.cpu.frame import AXES, Proof
from workshop.gpu.cpu.intervals import Interval
from workshop.gpu.cpu.lanes import Expressions
from workshop.gpu.cpu.nests import Nests
from workshop.gpu.cpu.text import Op, integer
from workshop.gpu.cpu.threads import Threads
from workshop.gpu.regions import Barrier, Choice, Count, Exit, Once, Part, Parts, Plan, Region, Repeat, Scope

MOST_TRIPS = 16  # of a loop around barriers with known bounds, written one after the other


class Blocks(Nests):
    """Writes the function that runs a range of blocks."""

    def __init__(self, plan: Plan) -> None:
        super().__init__(plan)
        self.ends: dict[str, str] = {}
        self.stop = ""
        self.corners: dict[int, Corners] = {}  # by id of a region's body, for whoever prints them
        self._flat() if plan.flat else self._one_by_one()

    # -- all blocks

    def _one_by_one(self) -> None:
        t, frame = self.t, self.frame
        lo, hi = Op("i64", 0, "%lo"), Op("i64", 0, "%hi")
        slots = {axis: t.alloca("i64", 8) for axis in AXES}
        for axis, start in self._ids(lo).items():
            t.store(start, slots[axis])
        with t.loop(lo, hi, 1, "block", unroll=False) as b, t.when(self._not_cancelled()):
            frame.block_number = b
            frame.block = {axis: t.load("i64", 0, slots[axis]) for axis in AXES}
            self.stop = t.label("block_stop")
            self.parts(self.plan.parts)
            t.jump(self.stop)
            t.place(self.stop)
            self._advance(slots)

    def _advance(self, slots: dict[str, Op]) -> None:
        """Step block ids to the next block: division would cost as much as a small block."""
        t = self.t
        carry = Op("i1", 0, "true")
        for axis in AXES:
            now = self.frame.block[axis]
            up = t.same("add", now, t.convert("zext", carry, "i64"))
            carry = t.compare("icmp eq", up, self.frame.grid[axis])
            t.store(t.select(carry, integer(0), up), slots[axis])

    def _flat(self) -> None:
        """Walk rows of blocks: with no barrier, a row of blocks may run one row of threads at a time."""
        t, frame = self.t, self.frame
        now = t.alloca("i64", 8)
        t.store(Op("i64", 0, "%lo"), now)
        head, row, end = t.label("rows"), t.label("row"), t.label("rows_end")
        t.jump(head)
        t.place(head)
        at = t.load("i64", 0, now)
        more = t.compare("icmp slt", at, Op("i64", 0, "%hi"))
        t.branch(t.same("and", more, self._not_cancelled()), row, end)
        t.place(row)
        ids = self._ids(at)
        left = t.same("sub", Op("i64", 0, "%hi"), at)
        count = t.intrinsic("smin", t.same("sub", frame.grid["x"], ids["x"]), left)
        frame.block = ids
        self._pieces(ids["x"], t.same("add", ids["x"], count), t.same("sub", at, ids["x"]))
        t.store(t.same("add", at, count), now)
        t.jump(head)
        t.place(end)

    def _pieces(self, first: Op, end: Op, before: Op) -> None:
        """Run blocks first..end of a row in pieces that pass the corner test, else one block at a time."""
        t = self.t
        part = self.plan.parts[0]
        assert isinstance(part, Region)
        begin, attempt = t.alloca("i64", 8), t.alloca("i64", 8)
        t.store(first, begin)
        head, choose, done = t.label("piece"), t.label("choose"), t.label("pieces_end")
        test, fast, again, slow = (t.label(n) for n in ("test", "fast", "again", "slow"))
        t.jump(head)
        t.place(head)
        p = t.load("i64", 0, begin)
        t.store(integer(0), attempt)
        t.branch(t.compare("icmp slt", p, end), choose, done)
        t.place(choose)
        tries = t.load("i64", 0, attempt)
        shorter = t.select(t.compare("icmp eq", tries, integer(0)), end, t.same("sub", end, integer(1)))
        e = t.select(t.compare("icmp eq", tries, integer(2)), t.same("add", p, integer(1)), shorter)
        t.branch(t.compare("icmp sgt", e, p), test, again)
        t.place(test)
        moving = {"x": Interval(p, t.same("sub", e, integer(1)), 32)}
        corners = self.corners[id(part.body)] = Corners(self.frame, part.body, moving)
        t.branch(self._all(corners.tests), fast, again)
        t.place(fast)
        self._threads(part.body, corners.proof, (p, e, before))
        t.store(e, begin)
        t.jump(head)
        t.place(again)
        t.store(t.same("add", tries, integer(1)), attempt)
        t.branch(t.compare("icmp slt", tries, integer(2)), choose, slow)
        t.place(slow)
        if corners.tests:
            self._threads(part.body, corners.static, (p, t.same("add", p, integer(1)), before))
        t.store(t.same("add", p, integer(1)), begin)
        t.jump(head)
        t.place(done)

    # -- parts of one block

    def parts(self, parts: Parts) -> None:
        """Write parts in order."""
        for part in parts:
            self._part(part)

    def _part(self, part: Part) -> None:
        t = self.t
        match part:
            case Region():
                self._region(part.body)
            case Once():
                self._once(part.stmt)
            case Exit():
                t.jump(self.ends[part.label])
                t.place(t.label("after"))
            case Barrier():
                if self.frame.masks and part.stmt.scope == "block":
                    self._arrive(part.stmt)
            case Choice():
                self._masked_choice(part) if part.masked else self._choice(part)
            case Count():
                self._count(part)
            case Repeat():
                self._repeat(part)
            case Scope():
                self._scope(part)

    def _region(self, body: ir.Body) -> None:
        t = self.t
        corners = self.corners[id(body)] = Corners(self.frame, body, {})
        if not corners.tests:
            return self._threads(body, corners.proof)
        if any(test.ref == "false" for test in corners.tests):
            return self._threads(body, corners.static)
        fast, slow, end = t.label("fast"), t.label("slow"), t.label("region_end")
        t.branch(self._all(corners.tests), fast, slow)
        for label, proof in ((fast, corners.proof), (slow, corners.static)):
            t.place(label)
            self._threads(body, proof)
            t.jump(end)
        t.place(end)
        return None

    def _once(self, stmt: ir.Assign) -> None:
        value = self._block_value(stmt.value)
        known = fold(stmt.value, self.frame.constants)
        if known is None:
            self.frame.constants.pop(stmt.name, None)
        else:
            self.frame.constants[stmt.name] = known
        self._set(stmt.name, value)

    def _forget(self, *bodies: ir.Body) -> None:
        """Stop knowing the values of variables that these statements may have changed."""
        for name in assigned(*bodies):
            self.frame.constants.pop(name, None)

    def _block_value(self, e: ir.Expr) -> Op:
        return Expressions(self.frame, Proof(), None).value(e).op

    def _set(self, name: str, value: Op) -> None:
        self.t.store(value, self.frame.variables[name])

    def _choice(self, part: Choice) -> None:
        t = self.t
        known = fold(part.stmt.condition, self.frame.constants)
        if known is not None:
            return self.parts(part.then if known else part.orelse)
        before = dict(self.frame.constants)
        then, orelse, end = t.label("then"), t.label("else"), t.label("endif")
        t.branch(self._block_value(part.stmt.condition), then, orelse)
        for label, parts in ((then, part.then), (orelse, part.orelse)):
            t.place(label)
            self.frame.constants = dict(before)
            self.parts(parts)
            t.jump(end)
        t.place(end)
        self._forget(part.stmt.then, part.stmt.orelse)
        return None

    def _count(self, part: Count) -> None:
        t, stmt = self.t, part.stmt
        known = [fold(e, self.frame.constants) for e in (stmt.start, stmt.stop, stmt.step)]
        if None not in known and known[2] and len(trips := range(*known)) <= MOST_TRIPS:  # type: ignore[arg-type]
            for trip in trips:
                self.frame.constants[stmt.var] = trip
                self._set(stmt.var, integer(trip))
                self.parts(part.parts)
            return
        self._forget((stmt,))
        start, stop, step = (self._block_value(e) for e in (stmt.start, stmt.stop, stmt.step))
        counter = t.alloca("i64", 8)
        t.store(start, counter)
        head, inside, end = t.label("for"), t.label("trip"), t.label("endfor")
        t.jump(head)
        t.place(head)
        now = t.load("i64", 0, counter)
        zero = integer(0)
        up = t.same("and", t.compare("icmp sgt", step, zero), t.compare("icmp slt", now, stop))
        down = t.same("and", t.compare("icmp slt", step, zero), t.compare("icmp sgt", now, stop))
        t.branch(self._and_any(t.same("or", up, down)), inside, end)
        t.place(inside)
        self._set(stmt.var, now)
        t.store(t.same("add", now, step), counter)
        self.parts(part.parts)
        t.jump(head, t.no_unroll())
        t.place(end)
        self._forget((stmt,))

    def _repeat(self, part: Repeat) -> None:
        t = self.t
        for _ in range(0 if part.masked or self.frame.masks else self._trips(part)):
            self.parts(part.parts)
        if fold(part.stmt.condition, self.frame.constants) == 0:
            return
        self._forget(part.stmt.body)
        if part.masked:
            self.frame.masks.append(self._copied_mask())
        head, inside, end = t.label("while"), t.label("trip"), t.label("endwhile")
        t.jump(head)
        t.place(head)
        if part.masked:
            going = self._narrow_masks(part.stmt.condition, (self.frame.masks[-1],))[0]
        else:
            going = self._and_any(self._block_value(part.stmt.condition))
        t.branch(going, inside, end)
        t.place(inside)
        self.parts(part.parts)
        t.branch(self._not_cancelled(), head, end)
        t.place(end)
        self._forget(part.stmt.body)
        if part.masked:
            self.frame.masks.pop()

    def _trips(self, part: Repeat) -> int:
        """Count the trips of a loop that can be followed while writing; 0 where it cannot, or is long."""
        known = dict(self.frame.constants)
        for trips in range(MOST_TRIPS + 1):
            going = fold(part.stmt.condition, known)
            if going is None:
                return 0
            if not going:
                return trips
            for inner in part.parts:
                if isinstance(inner, Once) and (value := fold(inner.stmt.value, known)) is not None:
                    known[inner.stmt.name] = value
                elif not isinstance(inner, (Region, Barrier)):
                    return 0
        return 0

    def _scope(self, part: Scope) -> None:
        t, label = self.t, part.stmt.label
        self.ends[label] = t.label("scope_end")
        if part.masked:
            mask = self._copied_mask()
            self.frame.scopes[label] = len(self.frame.masks)
            self.frame.masks.append(mask)
        self.parts(part.parts)
        t.jump(self.ends[label])
        t.place(self.ends[label])
        if label in leaves(part.stmt.body):
            self._forget(part.stmt.body)
        if part.masked:
            self.frame.masks.pop()

    def _masked_choice(self, part: Choice) -> None:
        then, orelse = self._new_mask(), self._new_mask()
        some = self._narrow_masks(part.stmt.condition, (then, orelse))
        for mask, any_on, parts in ((then, some[0], part.then), (orelse, some[1], part.orelse)):
            before = dict(self.frame.constants)
            with self.t.when(any_on):
                self.frame.masks.append(mask)
                self.parts(parts)
                self.frame.masks.pop()
            self.frame.constants = before
            self._forget(part.stmt.then, part.stmt.orelse)

    def _arrive(self, stmt: ir.Sync) -> None:
        """Count the threads at a barrier; where only some arrive, report it and give the block up."""
        t, n = self.t, self.frame.lanes
        arrived, missing = t.alloca("i64", 8), t.alloca("i64", 8)
        t.store(integer(0), arrived)
        t.store(integer(-1), missing)
        x, y, z = self.plan.function.block

        def write(threads: Threads) -> None:
            assert threads.group is not None
            threads.open(())
            on = threads.mask()
            assert on is not None
            bits = t.convert("zext", t.op(f"i{n}", 0, f"bitcast {on} to i{n}"), "i64")
            t.store(
                t.same("add", t.load("i64", 0, arrived), t.call("i64", 0, "llvm.ctpop.i64", bits)), arrived
            )
            lane = t.call("i64", 0, "llvm.cttz.i64", t.same("xor", bits, integer(-1)), Op("i1", 0, "false"))
            valid = t.intrinsic("smin", integer(n), t.same("sub", integer(x), threads.group.x))
            before = t.load("i64", 0, missing)
            new = t.compare("icmp slt", before, integer(0))
            first = t.same("and", new, t.compare("icmp slt", lane, valid))
            here = t.same("add", threads.group.first_thread, lane)
            t.store(t.select(first, here, before), missing)

        self._groups(Proof(), write)
        count = t.load("i64", 0, arrived)
        some = t.compare("icmp ne", count, integer(0))
        with t.when(t.same("and", some, t.compare("icmp ne", count, integer(x * y * z))), "torn"):
            t.store(count, self.frame.indices)
            site, record = integer(self.frame.site(stmt)), self.frame.record
            thread = t.load("i64", 0, missing)
            args = (record, site, self.frame.block_number, thread, integer(1), self.frame.indices)
            t.line(
                f"call void @fault({', '.join(str(o) for o in (*args, integer(1), integer(1), integer(0)))})"
            )
            t.jump(self.stop)
            t.place(t.label("after"))
