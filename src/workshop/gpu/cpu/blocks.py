"""Code of whole blocks: regions as loops over groups of threads, and what stands around the barriers."""

from __future__ import annotations

from collections.abc import Callable

from workshop.dtype import DType
from workshop.gpu import ir
from workshop.gpu.analysis import Shapes
from workshop.gpu.cpu.corners import Corners
from workshop.gpu.cpu.frame import Frame, Proof
from workshop.gpu.cpu.intervals import Interval
from workshop.gpu.cpu.lanes import Expressions, Group
from workshop.gpu.cpu.maths import any_lane
from workshop.gpu.cpu.text import Op, Text, constant, integer
from workshop.gpu.cpu.threads import Threads
from workshop.gpu.regions import Barrier, Choice, Count, Exit, Once, Part, Parts, Plan, Region, Repeat, Scope

LANES = 16


def lanes_for(block: tuple[int, int, int]) -> int:
    """Choose how many threads run side by side: a power of two that covers a short row once, else 16.

    >>> lanes_for((8, 8, 1)), lanes_for((256, 1, 1)), lanes_for((3, 3, 1))
    (8, 16, 4)
    """
    return min(LANES, 1 << (block[0] - 1).bit_length())


class Blocks:
    """Writes the function that runs a range of blocks."""

    def __init__(self, plan: Plan) -> None:
        self.plan, self.t = plan, Text()
        lanes = lanes_for(plan.function.block)
        shapes = Shapes(plan.function, plan.flow, {"x": 1, "y": 0, "z": 0}, plan.crossing)
        self.frame = Frame(self.t, plan, shapes, lanes)
        self.ends: dict[str, str] = {}
        self.stop = ""
        self.corners: dict[int, Corners] = {}  # by id of a region's body, for whoever prints them
        self.frame.open_arguments()
        self.frame.open_allocations()
        self._flat() if plan.flat else self._one_by_one()

    # -- all blocks

    def _one_by_one(self) -> None:
        t, frame = self.t, self.frame
        lo, hi = Op("i64", 0, "%lo"), Op("i64", 0, "%hi")
        with t.loop(lo, hi, 1, "block", unroll=False) as b, t.when(self._not_cancelled()):
            frame.block_number = b
            frame.block = self._ids(b)
            self.stop = t.label("block_stop")
            self.parts(self.plan.parts)
            t.jump(self.stop)
            t.place(self.stop)

    def _ids(self, b: Op) -> dict[str, Op]:
        t, grid = self.t, self.frame.grid
        x, rest = t.same("urem", b, grid["x"]), t.same("udiv", b, grid["x"])
        return {"x": x, "y": t.same("urem", rest, grid["y"]), "z": t.same("udiv", rest, grid["y"])}

    def _not_cancelled(self) -> Op:
        flag = self.t.op("i8", 0, f"load volatile i8, {self.frame.cancel}")
        return self.t.compare("icmp eq", flag, Op("i8", 0, "0"))

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

    def _all(self, tests: list[Op]) -> Op:
        out = Op("i1", 0, "true")
        for test in tests:
            out = self.t.same("and", out, test) if out.ref != "true" else test
        return out

    # -- loops over the threads of a block

    def _threads(self, body: ir.Body, proof: Proof, row: tuple[Op, Op, Op] | None = None) -> None:
        def write(threads: Threads) -> None:
            threads.open(body)
            threads.body(body)
            threads.close(body)

        self._groups(proof, write, row)

    def _groups(
        self, proof: Proof, write: Callable[[Threads], None], row: tuple[Op, Op, Op] | None = None
    ) -> None:
        """Write loops over z, y and groups along x; with a row, over its blocks between y and x."""
        t, frame = self.t, self.frame
        x, y, z = self.plan.function.block
        with (
            t.loop(integer(0), integer(z), 1, "z", False) as tz,
            t.loop(integer(0), integer(y), 1, "y", False) as ty,
        ):
            line = t.same("add", t.same("mul", tz, integer(y)), ty)
            if row is None:
                self._line(proof, write, (ty, tz, line))
                return
            first, end, before = row
            outer, number = frame.block, frame.block_number
            with t.loop(first, end, 1, "bx", False) as bx:
                frame.block = {**outer, "x": bx}
                frame.block_number = t.same("add", before, bx)
                self._line(proof, write, (ty, tz, line))
            frame.block, frame.block_number = outer, number

    def _line(self, proof: Proof, write: Callable[[Threads], None], at: tuple[Op, Op, Op]) -> None:
        t, frame = self.t, self.frame
        ty, tz, line = at
        x = self.plan.function.block[0]
        with t.loop(integer(0), integer(frame.per_row), 1, "x") as g:
            tx = t.same("mul", g, integer(frame.lanes))
            number = t.same("add", t.same("mul", line, integer(frame.per_row)), g)
            first = t.same("add", t.same("mul", line, integer(x)), tx)
            write(Threads(frame, proof, Group(tx, ty, tz, number, first)))

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
                self._set(part.stmt.name, self._block_value(part.stmt.value))
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

    def _block_value(self, e: ir.Expr) -> Op:
        return Expressions(self.frame, Proof(), None).value(e).op

    def _set(self, name: str, value: Op) -> None:
        self.t.store(value, self.frame.variables[name])

    def _choice(self, part: Choice) -> None:
        t = self.t
        then, orelse, end = t.label("then"), t.label("else"), t.label("endif")
        t.branch(self._block_value(part.stmt.condition), then, orelse)
        for label, parts in ((then, part.then), (orelse, part.orelse)):
            t.place(label)
            self.parts(parts)
            t.jump(end)
        t.place(end)

    def _count(self, part: Count) -> None:
        t, stmt = self.t, part.stmt
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

    def _repeat(self, part: Repeat) -> None:
        t = self.t
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
        if part.masked:
            self.frame.masks.pop()

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
        if part.masked:
            self.frame.masks.pop()

    # -- masks of a block, bits for each group of threads: for branches around barriers where threads differ

    def _masked_choice(self, part: Choice) -> None:
        then, orelse = self._new_mask(), self._new_mask()
        some = self._narrow_masks(part.stmt.condition, (then, orelse))
        for mask, any_on, parts in ((then, some[0], part.then), (orelse, some[1], part.orelse)):
            with self.t.when(any_on):
                self.frame.masks.append(mask)
                self.parts(parts)
                self.frame.masks.pop()

    def _new_mask(self) -> Op:
        return self.frame.place(f"i{self.frame.lanes}", 0, self.frame.groups)

    def _copied_mask(self) -> Op:
        mask = self._new_mask()
        true = ir.Constant(DType.bool, self.plan.function.loc, True)
        self._narrow_masks(true, (mask,))
        return mask

    def _narrow_masks(self, condition: ir.Expr, targets: tuple[Op, ...]) -> list[Op]:
        """Store the lanes in which a condition holds (second: does not); tell whether any is on."""
        t, n = self.t, self.frame.lanes
        flags = [t.alloca("i1", 1) for _ in targets]
        for flag in flags:
            t.store(constant("i1", 0, False), flag)
        stub = (ir.If(condition.loc, condition, (), ()),)

        def write(threads: Threads) -> None:
            threads.open(stub)
            holds = threads.spread(threads.value(condition))
            around = threads.mask() or constant("i1", n, True)
            sides = [holds, t.same("xor", holds, constant("i1", n, True))]
            for target, flag, side in zip(targets, flags, sides, strict=False):
                on = t.same("and", around, side)
                bits = t.op(f"i{n}", 0, f"bitcast {on} to i{n}")
                t.store(bits, t.offset(target, f"i{n}", threads.group.number))  # type: ignore[union-attr]
                t.store(t.same("or", t.load("i1", 0, flag), any_lane(t, on)), flag)

        self._groups(Proof(), write)
        return [t.load("i1", 0, flag) for flag in flags]

    def _and_any(self, condition: Op) -> Op:
        """Go on only while some thread has not left (the block itself takes no notice of threads leaving)."""
        if not self.frame.masks:
            return condition
        true = ir.Constant(DType.bool, self.plan.function.loc, True)
        return self.t.same("and", condition, self._narrow_masks(true, (self._new_mask(),))[0])

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
