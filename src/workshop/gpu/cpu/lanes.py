"""Code of a group of threads that run side by side along x, one per lane of a vector.

A value keeps its shape as long as it can: one scalar where all lanes agree, a scalar and a constant
stride for indices, a vector else. Branches on which lanes differ run both ways under masks; loops go on
while any lane does.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from workshop.dtype import DType
from workshop.gpu import ir
from workshop.gpu.analysis import Stride, combine
from workshop.gpu.cpu import numbers
from workshop.gpu.cpu.frame import Array, Frame, Proof
from workshop.gpu.cpu.maths import any_lane
from workshop.gpu.cpu.memory import Memory
from workshop.gpu.cpu.text import REGISTER, Op, Text, constant, integer, number

COMPARE: dict[str, Callable[[int, int], bool]] = {
    "lt": operator.lt,
    "le": operator.le,
    "gt": operator.gt,
    "ge": operator.ge,
    "eq": operator.eq,
    "ne": operator.ne,
}


@dataclass(frozen=True, slots=True)
class Value:
    """A value in every lane: stride 0 a scalar, k a scalar that grows by k a lane, None a vector."""

    dtype: DType
    stride: Stride
    op: Op


@dataclass(frozen=True, slots=True)
class Group:
    """The ids of a group: thread_idx of its first lane, its number in the block."""

    x: Op
    y: Op
    z: Op
    number: Op
    first_thread: Op


class Expressions:
    """Writes expressions for one group; with no group, for the block as a whole (scalars only)."""

    def __init__(self, frame: Frame, proof: Proof, group: Group | None) -> None:
        self.frame, self.proof, self.group = frame, proof, group
        self.t: Text = frame.t
        self.lanes = frame.lanes if group else 0
        self.memory = Memory(frame, self.lanes, group.number if group else integer(0))
        self.masks: list[Op] = []
        self._perhaps_none = 1 if frame.masks or frame.shapes.parted else 0  # code may run with no lane on
        self.slots: dict[str, tuple[Stride, Op]] = {}

    # -- masks

    def mask(self) -> Op | None:
        """Return the lanes that are on now; None where all are."""
        return self.t.load("i1", self.lanes, self.masks[-1]) if self.masks else None

    @contextmanager
    def masked(self, condition: Op) -> Iterator[None]:
        """Run what is written inside only in lanes where a vector condition holds too."""
        outer = self.mask()
        slot = self.t.alloca(f"<{self.lanes} x i1>", 8)
        self.t.store(condition if outer is None else self.t.same("and", outer, condition), slot)
        self.masks.append(slot)
        self._perhaps_none += 1
        yield
        self._perhaps_none -= 1
        self.masks.pop()

    def active(self) -> Op:
        """Tell whether any lane is on."""
        mask = self.mask()
        return Op("i1", 0, "true") if mask is None else any_lane(self.t, mask)

    # -- shapes

    def spread(self, v: Value) -> Op:
        """Turn a value into a vector (for the block as a whole: a scalar)."""
        if v.stride is None or not self.lanes:
            return v.op
        return self.memory.spread(v.op, v.stride)

    def alike(self, *values: Value) -> list[Op]:
        """Return operands of one shape: scalars where all are, else vectors."""
        if all(v.stride == 0 for v in values):
            return [v.op for v in values]
        return [self.spread(v) for v in values]

    def _made(self, dtype: DType, op: Op) -> Value:
        return Value(dtype, None if op.lanes else 0, op)

    # -- expressions

    def value(self, e: ir.Expr) -> Value:
        """Write an expression and return its value."""
        t = self.t
        match e:
            case ir.Constant():
                return Value(e.dtype, 0, constant(REGISTER[e.dtype], 0, _exact(e)))
            case ir.Argument():
                return Value(e.dtype, 0, self.frame.scalars[e.name])
            case ir.Extent():
                return Value(e.dtype, 0, self.frame.arrays[e.memory.name].shape[e.axis])
            case ir.Id():
                return self._id(e)
            case ir.Variable():
                return self._variable(e)
            case ir.Load():
                return self.load(e)
            case ir.Unary():
                a = self.value(e.operand)
                if a.stride is not None and e.op == "neg" and e.dtype is DType.int64:
                    return Value(e.dtype, -a.stride, numbers.unary(t, e.op, e.dtype, a.op))
                return self._made(e.dtype, numbers.unary(t, e.op, e.dtype, *self.alike(a)))
            case ir.Binary():
                return self._binary(e)
            case ir.Compare():
                return self._compare(e, self.value(e.left), self.value(e.right))
            case ir.Logic():
                return self._logic(e)
            case ir.Select():
                return self._select(e)
            case ir.Cast():
                a = self.value(e.operand)
                if e.operand.dtype is e.dtype:
                    return a
                (x,) = self.alike(a)
                return self._made(e.dtype, numbers.cast(t, x, e.operand.dtype, e.dtype))
            case ir.Call():
                args = self.alike(*(self.value(a) for a in e.args))
                return self._made(e.dtype, numbers.call(t, e.name, e.args[0].dtype, args))
        raise AssertionError(f"no code for {type(e).__name__}")

    def _id(self, e: ir.Id) -> Value:
        if e.kind != "thread_idx":
            return Value(e.dtype, 0, (self.frame.grid if e.kind == "grid_dim" else self.frame.block)[e.axis])
        assert self.group is not None
        return Value(e.dtype, 1 if e.axis == "x" else 0, getattr(self.group, e.axis))

    def _variable(self, e: ir.Variable) -> Value:
        if e.name in self.frame.plan.pure:
            return self.value(self.frame.plan.pure[e.name])
        if e.name in self.slots:
            stride, slot = self.slots[e.name]
            lanes = self.lanes if stride is None else 0
            return Value(e.dtype, stride, self.t.load(REGISTER[e.dtype], lanes, slot))
        if e.name in self.frame.constants:
            return Value(e.dtype, 0, constant(REGISTER[e.dtype], 0, self.frame.constants[e.name]))
        return Value(e.dtype, 0, self.t.load(REGISTER[e.dtype], 0, self.frame.variables[e.name]))

    def _binary(self, e: ir.Binary) -> Value:
        a, b = self.value(e.left), self.value(e.right)
        stride = combine(e, a.stride, b.stride)
        divisor = int(e.right.value) if isinstance(e.right, ir.Constant) and not e.dtype.is_float() else None
        x, y = (a.op, b.op) if stride is not None else (self.spread(a), self.spread(b))
        return Value(e.dtype, stride, numbers.binary(self.t, e.op, e.dtype, x, y, divisor))

    def _compare(self, e: ir.Compare, a: Value, b: Value) -> Value:
        known = number(a.op), number(b.op)
        if a.stride is not None and b.stride is not None and known[0] is not None and known[1] is not None:
            test = COMPARE[e.op]
            each = [test(known[0] + a.stride * n, known[1] + b.stride * n) for n in range(max(self.lanes, 1))]
            if len(set(each)) == 1:
                return Value(e.dtype, 0, constant("i1", 0, each[0]))
        x, y = self.alike(a, b)
        return self._made(e.dtype, numbers.compare(self.t, e.op, e.left.dtype, x, y))

    def _logic(self, e: ir.Logic) -> Value:
        left = self.value(e.left)
        if _free(e.right):
            return self._made(e.dtype, self.t.same(e.op, *self.alike(left, self.value(e.right))))
        decided = constant("i1", 0, e.op == "or")
        if left.stride == 0:
            go = left.op if e.op == "and" else self.t.same("xor", left.op, constant("i1", 0, True))
            return self._either(e.dtype, go, e.right, decided)
        go = left.op if e.op == "and" else self.t.same("xor", left.op, constant("i1", self.lanes, True))
        with self.masked(go):
            right = self.value(e.right)
        return self._made(e.dtype, self.t.same(e.op, *self.alike(left, right)))

    def _select(self, e: ir.Select) -> Value:
        known = self.proof.assumed.get(id(e))
        if known is not None:
            v = self.value(e.yes if known else e.no)
            # variables were given their shapes without this knowledge
            return v if self.frame.shapes.of(e) == 0 else Value(e.dtype, None, self.spread(v))
        condition = self.value(e.condition)
        if condition.stride == 0 and not (_free(e.yes) and _free(e.no)):
            return self._either(e.dtype, condition.op, e.yes, e.no)
        if _free(e.yes) and _free(e.no):
            yes, no = self.value(e.yes), self.value(e.no)
        else:
            with self.masked(condition.op):
                yes = self.value(e.yes)
            with self.masked(self.t.same("xor", condition.op, constant("i1", self.lanes, True))):
                no = self.value(e.no)
        if condition.stride == 0:
            a, b = self.alike(yes, no)
            return self._made(e.dtype, self.t.select(condition.op, a, b))
        c, a, b = self.alike(condition, yes, no)
        return self._made(e.dtype, self.t.select(c, a, b))

    def _either(self, dtype: DType, condition: Op, yes: ir.Expr, no: ir.Expr | Op) -> Value:
        """Evaluate one of two sides by a branch that all lanes take together."""
        t = self.t
        labels = t.label("yes"), t.label("no"), t.label("either")
        uniform = self.lanes == 0 or all(
            isinstance(side, Op) or self.frame.shapes.of(side) == 0 for side in (yes, no)
        )
        lanes = 0 if uniform else self.lanes
        slot = t.alloca(Op(REGISTER[dtype], lanes, "").type)
        t.branch(condition, labels[0], labels[1])
        for label, side in zip(labels, (yes, no), strict=False):
            t.place(label)
            v = Value(dtype, 0, side) if isinstance(side, Op) else self.value(side)
            t.store(v.op if uniform else self.spread(v), slot)
            t.jump(labels[2])
        t.place(labels[2])
        return self._made(dtype, t.load(REGISTER[dtype], lanes, slot))

    # -- memory

    def load(self, e: ir.Load) -> Value:
        """Write a load; an access that is not known to be safe is tested first and gives 0 outside."""
        array = self.frame.arrays[e.memory.name]
        index = [self.value(i) for i in e.indices]
        if all(v.stride == 0 for v in index) and e.memory.space != "local":
            return Value(e.dtype, 0, self._load_one(e, array, index))
        offset = self._offset(array, index)
        if id(e) not in self.proof.safe:
            mask: Op | None = self._inside(e, array, index, self.mask())
        else:
            free = id(e) in self.proof.anyway and not self.frame.partial
            mask = None if free or self._spare(array, offset) else self.mask()
        return Value(e.dtype, None, self.memory.load(array, offset, mask))

    def store(self, s: ir.Store) -> None:
        """Write a store, tested like a load; outside the array nothing is written."""
        array = self.frame.arrays[s.memory.name]
        value = self.value(s.value)
        index = [self.value(i) for i in s.indices]
        if all(v.stride == 0 for v in index) and s.memory.space != "local":
            with self._one_inside(s, array, index):
                one = value.op if value.stride == 0 else self._any_active_lane(self.spread(value))
                self.memory.store_one(array, self._offset(array, index)[0], one)
            return
        mask, new, offset = self.mask(), self.spread(value), self._offset(array, index)
        if id(s) not in self.proof.safe:
            mask = self._inside(s, array, index, mask)
        elif mask is not None and self._spare(array, offset):
            # the block's own memory, which only this thread of the machine touches: a blend is cheaper
            new, mask = self.t.select(mask, new, self.memory.load(array, offset, None)), None
        self.memory.store(array, offset, new, mask)

    def _spare(self, array: Array, offset: tuple[Op, Stride]) -> bool:
        """True where a whole vector may be touched: the block's own memory has room at its edges for it."""
        return array.memory.space != "global" and offset[1] == 1 and not self._perhaps_none

    def _load_one(self, e: ir.Load, array: Array, index: list[Value]) -> Op:
        if id(e) in self.proof.anyway:
            return self.memory.load_one(array, self._offset(array, index)[0])
        slot = self.t.alloca(REGISTER[e.dtype])
        self.t.store(constant(REGISTER[e.dtype], 0, 0), slot)
        with self._one_inside(e, array, index):
            self.t.store(self.memory.load_one(array, self._offset(array, index)[0]), slot)
        return self.t.load(REGISTER[e.dtype], 0, slot)

    @contextmanager
    def _one_inside(self, node: ir.Load | ir.Store, array: Array, index: list[Value]) -> Iterator[None]:
        """Run what is written inside where a lane is on and the lanes' one index lies in the array."""
        t = self.t
        done = t.label("done")
        if self.masks:
            some = t.label("some")
            t.branch(self.active(), some, done)
            t.place(some)
        if id(node) not in self.proof.safe:
            inside, outside = t.label("inside"), t.label("outside")
            t.branch(self.memory.inside(array, [v.op for v in index]), inside, outside)
            t.place(outside)
            self._fault(node, [v.op for v in index], self.mask())
            t.jump(done)
            t.place(inside)
        yield
        t.jump(done)
        t.place(done)

    def _inside(self, node: ir.Load | ir.Store, array: Array, index: list[Value], mask: Op | None) -> Op:
        """Test an access per lane; report lanes outside, return the others."""
        t = self.t
        ops = [self.spread(v) for v in index]
        ok = self.memory.inside(array, ops)
        bad = t.same("xor", ok, constant("i1", self.lanes, True))
        if mask is not None:
            bad, ok = t.same("and", bad, mask), t.same("and", ok, mask)
        with t.when(any_lane(t, bad), "outside"):
            self._fault(node, ops, bad)
        return ok

    def _fault(self, node: ir.Node, indices: list[Op], mask: Op | None) -> None:
        t = self.t
        bits = integer(1)
        if mask is not None:
            narrow = t.op(f"i{self.lanes}", 0, f"bitcast {mask} to i{self.lanes}")
            bits = t.convert("zext", narrow, "i64")
        pitch = max(indices[0].lanes, 1)
        for axis, index in enumerate(indices):
            t.store(index, t.offset(self.frame.indices, "i64", integer(axis * pitch)), 8)
        first = self.group.first_thread if self.group else integer(0)
        head = (self.frame.record, integer(self.frame.site(node)), self.frame.block_number, first, bits)
        tail = (
            self.frame.indices,
            integer(len(indices)),
            integer(pitch),
            integer(1 if indices[0].lanes else 0),
        )
        t.line(f"call void @fault({', '.join(str(o) for o in (*head, *tail))})")

    def _offset(self, array: Array, index: list[Value]) -> tuple[Op, Stride]:
        return self.memory.offset(array, [(v.op, v.stride) for v in index])

    def _any_active_lane(self, value: Op) -> Op:
        mask = self.mask()
        if mask is None:
            return self.t.op(value.scalar, 0, f"extractelement {value}, i64 0")
        lane = self.memory.first_lane(mask)
        return self.t.op(value.scalar, 0, f"extractelement {value}, {lane}")


def _exact(e: ir.Constant) -> float:
    return float(e.dtype(e.value)) if e.dtype.is_float() else e.value


def _free(e: ir.Expr) -> bool:
    """True where evaluating an expression needlessly does no harm."""
    return not any(isinstance(n, ir.Load) for n in ir.walk(e))
