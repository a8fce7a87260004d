"""Statements of one group of threads: assignments to slots, branches and loops with and without masks."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from workshop.dtype import DType
from workshop.gpu import ir
from workshop.gpu.analysis import Stride, assigned, leaves, variables
from workshop.gpu.cpu import numbers
from workshop.gpu.cpu.frame import Frame, Proof, stored
from workshop.gpu.cpu.lanes import Expressions, Group, Value
from workshop.gpu.cpu.maths import any_lane
from workshop.gpu.cpu.text import REGISTER, Op, constant, integer


class Threads(Expressions):
    """Writes the body of a region for one group."""

    def __init__(self, frame: Frame, proof: Proof, group: Group) -> None:
        super().__init__(frame, proof, group)
        self.blocks: dict[str, tuple[str, int, Op | None]] = {}  # label: (end, masks outside, its own mask)

    # -- the region's beginning and end

    def open(self, body: ir.Body) -> None:
        """Switch lanes beyond the block off, take over the block's masks, and fetch variables."""
        t = self.t
        if self.frame.partial:
            x = self.spread(Value(DType.int64, 1, self.group.x))  # type: ignore[union-attr]
            limit = constant("i64", self.lanes, self.frame.plan.function.block[0])
            self._push(t.compare("icmp slt", x, limit))
        for array in self.frame.masks:
            at = t.offset(array, f"i{self.lanes}", self.group.number)  # type: ignore[union-attr]
            bits = t.load(f"i{self.lanes}", 0, at)
            self._push(t.op("i1", self.lanes, f"bitcast {bits} to <{self.lanes} x i1>"))
        placed = self.frame.plan.pure.keys() | self.frame.variables.keys()
        for name in sorted((set(variables(body)) | assigned(body)) - placed):
            self._fetch(name)

    def close(self, body: ir.Body) -> None:
        """Put back what lives beyond the region: variables that were written, masks that shrank."""
        t = self.t
        for name in sorted(assigned(body) & self.frame.crossing.keys()):
            dtype = self.frame.plan.function.variables[name]
            value = t.load(REGISTER[dtype], self.lanes, self.slots[name][1])
            value = t.convert("zext", value, "i8") if dtype is DType.bool else value
            t.store(value, self._cell(name), 64 if self.lanes == 16 else 0)
        if leaves(body):
            own = self.masks[-len(self.frame.masks) :] if self.frame.masks else []
            for array, slot in zip(self.frame.masks, own, strict=True):
                mask = t.load("i1", self.lanes, slot)
                bits = t.op(f"i{self.lanes}", 0, f"bitcast {mask} to i{self.lanes}")
                t.store(bits, t.offset(array, f"i{self.lanes}", self.group.number))  # type: ignore[union-attr]

    def _push(self, mask: Op) -> Op:
        slot = self.t.alloca(mask.type, 8)
        self.t.store(mask, slot)
        self.masks.append(slot)
        return slot

    def _fetch(self, name: str) -> None:
        t, dtype = self.t, self.frame.plan.function.variables[name]
        crosses = name in self.frame.crossing
        stride: Stride = None if crosses else self.frame.shapes.strides.get(name, 0)
        lanes = self.lanes if stride is None else 0
        slot = t.alloca(Op(REGISTER[dtype], lanes, "").type)
        value = constant(REGISTER[dtype], lanes, 0)
        if crosses:
            value = t.load(stored(dtype), lanes, self._cell(name))
            value = t.compare("icmp ne", value, constant("i8", lanes, 0)) if dtype is DType.bool else value
        t.store(value, slot)
        self.slots[name] = (stride, slot)

    def _cell(self, name: str) -> Op:
        dtype = self.frame.plan.function.variables[name]
        type_ = Op(stored(dtype), self.lanes, "").type
        return self.t.offset(self.frame.crossing[name], type_, self.group.number)  # type: ignore[union-attr]

    # -- statements

    def body(self, body: ir.Body) -> None:
        """Write statements in order."""
        for stmt in body:
            self.statement(stmt)

    def statement(self, stmt: ir.Stmt) -> None:
        """Write one statement."""
        match stmt:
            case ir.Assign():
                if stmt.name not in self.frame.plan.pure:
                    self.assign(stmt.name, self.value(stmt.value))
            case ir.Store():
                self.store(stmt)
            case ir.If():
                self._if(stmt)
            case ir.For():
                self.count(stmt, (), lambda: self.body(stmt.body))
            case ir.While():
                self._while(stmt)
            case ir.Block():
                self._block(stmt)
            case ir.Leave():
                self._leave(stmt.label)
            case ir.Print():
                self._print(stmt)
            case ir.Allocate():
                pass
            case _:
                raise AssertionError(f"no code for {type(stmt).__name__}")

    def assign(self, name: str, v: Value) -> None:
        """Set a variable in the lanes that are on."""
        stride, slot = self.slots[name]
        if stride is not None:
            assert v.stride == stride, f"{name} was taken to grow by {stride} a lane"
            self.t.store(v.op, slot)
            return
        new, mask = self.spread(v), self.mask()
        if mask is not None and (name in self.frame.crossing or self.frame.plan.flow.single(name) is None):
            new = self.t.select(mask, new, self.t.load(new.scalar, new.lanes, slot))
        self.t.store(new, slot)

    def _if(self, stmt: ir.If) -> None:
        known = self.proof.assumed.get(id(stmt))
        if known is not None:
            return self.body(stmt.then if known else stmt.orelse)
        condition = self.value(stmt.condition)
        if condition.op.ref in ("true", "false"):
            return self.body(stmt.then if condition.op.ref == "true" else stmt.orelse)
        if condition.stride == 0:
            return self._branch(stmt, condition.op)
        every = constant("i1", self.lanes, True)
        other = self.t.same("xor", condition.op, every)
        before = self.mask()
        for body, test in ((stmt.then, condition.op), (stmt.orelse, other)):
            if body:
                slot = self._push(test if before is None else self.t.same("and", before, test))
                with self.t.when(any_lane(self.t, self.t.load("i1", self.lanes, slot)), "some"):
                    self.body(body)
                self.masks.pop()
        return None

    def _branch(self, stmt: ir.If, condition: Op) -> None:
        t = self.t
        then, orelse, end = t.label("then"), t.label("else"), t.label("endif")
        t.branch(condition, then, orelse if stmt.orelse else end)
        t.place(then)
        self.body(stmt.then)
        t.jump(end)
        if stmt.orelse:
            t.place(orelse)
            self.body(stmt.orelse)
            t.jump(end)
        t.place(end)

    def count(self, stmt: ir.For, others: Sequence[Threads], body: Callable[[], None]) -> None:
        """Write a for; rows of threads that run in step with this one take its counter."""
        t = self.t
        start, stop, step = (self.value(e) for e in (stmt.start, stmt.stop, stmt.step))
        if start.stride is None or step.stride != 0:
            start, step = (Value(DType.int64, None, self.spread(v)) for v in (start, step))
        counter = t.alloca(start.op.type, 8)
        t.store(start.op, counter)
        same = start.stride == 0 and stop.stride == 0 and step.stride == 0
        if not same:
            self._push(self.mask() or constant("i1", self.lanes, True))
        head, inside, end = t.label("for"), t.label("trip"), t.label("endfor")
        t.jump(head)
        t.place(head)
        now = Value(DType.int64, start.stride, t.load("i64", start.op.lanes, counter))
        going = self._counting(now, stop, step)
        if not same:
            mask = t.same("and", t.load("i1", self.lanes, self.masks[-1]), going)
            t.store(mask, self.masks[-1])
            going = any_lane(t, mask)
        elif self.masks and leaves(stmt.body):
            going = t.same("and", going, self.active())
        t.branch(going, inside, end)
        t.place(inside)
        for threads in (self, *others):
            threads.assign(stmt.var, now)
        # only lanes that are on have not passed their last value, so the step cannot wrap for them
        t.store(t.same("add", now.op, step.op), counter)
        body()
        t.jump(head)
        t.place(end)
        if not same:
            self.masks.pop()

    def _counting(self, now: Value, stop: Value, step: Value) -> Op:
        t = self.t
        a, b, by = self.alike(now, stop, step)
        if step.op.ref.lstrip("-").isdigit():
            return t.compare("icmp slt" if int(step.op.ref) > 0 else "icmp sgt", a, b)
        zero = constant("i64", by.lanes, 0)
        up = t.same("and", t.compare("icmp sgt", by, zero), t.compare("icmp slt", a, b))
        down = t.same("and", t.compare("icmp slt", by, zero), t.compare("icmp sgt", a, b))
        return t.same("or", up, down)

    def _while(self, stmt: ir.While) -> None:
        t = self.t
        parting = self.frame.shapes.of(stmt.condition) != 0
        if parting:
            self._push(self.mask() or constant("i1", self.lanes, True))
        head, inside, end = t.label("while"), t.label("trip"), t.label("endwhile")
        t.jump(head)
        t.place(head)
        condition = self.value(stmt.condition)
        going = condition.op
        if parting:
            mask = t.same("and", t.load("i1", self.lanes, self.masks[-1]), self.spread(condition))
            t.store(mask, self.masks[-1])
            going = any_lane(t, mask)
        elif self.masks and leaves(stmt.body):
            going = t.same("and", going, self.active())
        t.branch(going, inside, end)
        t.place(inside)
        self.body(stmt.body)
        stop = t.op("i8", 0, f"load volatile i8, {self.frame.cancel}")
        t.branch(t.compare("icmp eq", stop, Op("i8", 0, "0")), head, end)
        t.place(end)
        if parting:
            self.masks.pop()

    def _block(self, stmt: ir.Block) -> None:
        t = self.t
        end = t.label("block_end")
        own = None
        if stmt.label in self.frame.shapes.parted and stmt.label in self._left(stmt.body):
            own = self._push(self.mask() or constant("i1", self.lanes, True))
        self.blocks[stmt.label] = (end, len(self.masks), own)
        self.body(stmt.body)
        t.jump(end)
        t.place(end)
        if own is not None:
            self.masks.pop()

    def _left(self, body: ir.Body) -> set[str]:
        """Return the labels left in code that this version keeps."""
        found: set[str] = set()
        for stmt in body:
            known = self.proof.assumed.get(id(stmt))
            if isinstance(stmt, ir.If) and known is not None:
                found |= self._left(stmt.then if known else stmt.orelse)
            elif isinstance(stmt, ir.If):
                found |= self._left(stmt.then) | self._left(stmt.orelse)
            else:
                inner = getattr(stmt, "body", ())
                found |= {stmt.label} if isinstance(stmt, ir.Leave) else self._left(inner)
        return found

    def _leave(self, label: str) -> None:
        t = self.t
        if label in self.blocks:
            end, depth, _ = self.blocks[label]
            if len(self.masks) == depth:
                t.jump(end)
                t.place(t.label("after"))
                return
        else:  # a block around barriers: its mask is the first of those that the region took over
            depth = (1 if self.frame.partial else 0) + self.frame.scopes[label] + 1
        mask = self.mask()
        assert mask is not None
        stay = t.same("xor", mask, constant("i1", self.lanes, True))
        for slot in self.masks[depth - 1 :]:
            t.store(t.same("and", t.load("i1", self.lanes, slot), stay), slot)

    def _print(self, stmt: ir.Print) -> None:
        """Append one record per lane that is on: place, block, thread, values."""
        t = self.t
        values = [self.value(p) for p in stmt.parts if isinstance(p, ir.Expr)]
        wide = [self._bits(v) for v in values]
        mask = self.mask() or constant("i1", self.lanes, True)
        bits = t.convert("zext", t.op(f"i{self.lanes}", 0, f"bitcast {mask} to i{self.lanes}"), "i64")
        left = t.alloca("i64", 8)
        t.store(bits, left)
        head, inside, end = t.label("print"), t.label("line"), t.label("printed")
        t.jump(head)
        t.place(head)
        now = t.load("i64", 0, left)
        t.branch(t.compare("icmp ne", now, integer(0)), inside, end)
        t.place(inside)
        lane = t.call("i64", 0, "llvm.cttz.i64", now, Op("i1", 0, "true"))
        t.store(t.same("and", now, t.same("sub", now, integer(1))), left)
        at = t.load("i64", 0, self.frame.prints)
        t.store(t.same("add", at, integer(1)), self.frame.prints)
        room = t.load("i64", 0, t.offset(self.frame.prints, "i64", integer(1)))
        with t.when(t.compare("icmp slt", at, room), "room"):
            thread = t.same("add", self.group.first_thread, lane)  # type: ignore[union-attr]
            row = [integer(self.frame.site(stmt)), self.frame.block_number, thread]
            row += [t.op("i64", 0, f"extractelement {w}, {lane}") for w in wide]
            base = t.same("add", t.same("mul", at, integer(self.frame.print_width)), integer(2))
            for i, word in enumerate(row):
                t.store(word, t.offset(self.frame.prints, "i64", t.same("add", base, integer(i))))
        t.jump(head)
        t.place(end)

    def _bits(self, v: Value) -> Op:
        op = self.spread(v)
        if v.dtype.is_float():
            op = numbers.cast(self.t, op, DType.float32, DType.float64) if op.scalar == "float" else op
            return self.t.convert("bitcast", op, "i64")
        return (
            op
            if op.scalar == "i64"
            else self.t.convert("sext" if v.dtype.is_signed_integral() else "zext", op, "i64")
        )
