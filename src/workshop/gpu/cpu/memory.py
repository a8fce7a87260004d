"""Loads, stores and bounds tests of one group of lanes: contiguous, gathered, or one element for all."""

from __future__ import annotations

from workshop.dtype import DType
from workshop.gpu.analysis import Stride
from workshop.gpu.cpu import halves
from workshop.gpu.cpu.frame import Array, Frame
from workshop.gpu.cpu.text import MEMORY, Op, constant, integer, mangle, number

Offset = tuple[Op, Stride]


class Memory:
    """Writes memory accesses; offsets are in elements, shaped like values (a stride or a vector)."""

    def __init__(self, frame: Frame, lanes: int, group: Op) -> None:
        self.frame, self.t, self.lanes, self.group = frame, frame.t, lanes, group

    def spread(self, op: Op, stride: int) -> Op:
        """Turn a scalar that grows by `stride` a lane into a vector."""
        t, n = self.t, self.lanes
        known = number(op)
        if known is not None and op.scalar == "i64":
            return constant("i64", n, *(known + stride * lane for lane in range(n)))
        one = t.op(op.scalar, n, f"insertelement <{n} x {op.scalar}> poison, {op}, i64 0")
        zeros = f"<{n} x i32> zeroinitializer"
        out = t.op(op.scalar, n, f"shufflevector {one}, <{n} x {op.scalar}> poison, {zeros}")
        return t.same("add", out, constant(op.scalar, n, *(stride * i for i in range(n)))) if stride else out

    def offset(self, array: Array, index: list[Offset]) -> Offset:
        """Turn indices into an offset."""
        t = self.t
        total: Offset = (integer(0), 0)
        for (op, stride), pace in zip(index, array.strides, strict=True):
            known = number(pace)
            if stride == 0 or (known is not None and stride is not None):
                step = op if known == 1 else t.same("mul", op, pace)
                total = self._plus(total, (step, stride * (known or 0)))
            else:
                wide = op if stride is None else self.spread(op, stride)
                total = self._plus(total, (t.same("mul", wide, self.spread(pace, 0)), None))
        return self._own(array, total) if array.pitch else total

    def inside(self, array: Array, index: list[Op]) -> Op:
        """Test indices against the extents (an index below 0 is a large one without sign)."""
        t = self.t
        ok: Op | None = None
        for op, extent in zip(index, array.shape, strict=True):
            limit = self.spread(extent, 0) if op.lanes else extent
            test = t.compare("icmp ult", op, limit)
            ok = test if ok is None else t.same("and", ok, test)
        return ok or constant("i1", 0, True)

    def load(self, array: Array, offset: Offset, mask: Op | None) -> Op:
        """Load one element a lane."""
        dtype, n = array.memory.dtype, self.lanes
        scalar, align = MEMORY[dtype], dtype.size_in_bytes
        op, stride = offset
        zero = constant(scalar, n, 0)
        if stride == 1:
            known = number(op) if array.memory.space == "shared" and mask is None else None
            if known is not None:
                return self._opened(dtype, self._between(array, scalar, known))
            at = self.t.offset(array.base, scalar, op)
            if mask is None:
                return self._opened(dtype, self.t.load(scalar, n, at, align))
            name = f"llvm.masked.load.{mangle(zero)}.p0"
            return self._opened(dtype, self.t.call(scalar, n, name, at, Op("i32", 0, str(align)), mask, zero))
        if stride == 0:
            raise AssertionError("an access that lanes share is not loaded lane by lane")
        at = self.t.offset(array.base, scalar, op if stride is None else self.spread(op, stride))
        lanes = mask or constant("i1", n, True)
        name = f"llvm.masked.gather.{mangle(zero)}.v{n}p0"
        return self._opened(dtype, self.t.call(scalar, n, name, at, Op("i32", 0, str(align)), lanes, zero))

    def _between(self, array: Array, scalar: str, at: int) -> Op:
        """Load from a known place by whole aligned vectors, which LLVM can then keep in registers."""
        t, n = self.t, self.lanes
        first, skip = divmod(at, n)
        align = array.memory.dtype.size_in_bytes
        places = [t.offset(array.base, scalar, integer((first + k) * n)) for k in range(2 if skip else 1)]
        parts = [t.load(scalar, n, place, align) for place in places]
        if not skip:
            return parts[0]
        lanes = ", ".join(f"i32 {skip + lane}" for lane in range(n))
        return t.op(scalar, n, f"shufflevector {parts[0]}, {parts[1]}, <{n} x i32> <{lanes}>")

    def store(self, array: Array, offset: Offset, value: Op, mask: Op | None) -> None:
        """Store one element a lane."""
        dtype, n = array.memory.dtype, self.lanes
        scalar, align = MEMORY[dtype], dtype.size_in_bytes
        op, stride = offset
        value = self._closed(dtype, value)
        size = Op("i32", 0, str(align))
        if stride == 1:
            at = self.t.offset(array.base, scalar, op)
            if mask is None:
                self.t.store(value, at, align)
            else:
                self.t.invoke(f"llvm.masked.store.{mangle(value)}.p0", value, at, size, mask)
            return
        at = self.t.offset(array.base, scalar, op if stride is None else self.spread(op, stride))
        lanes = mask or constant("i1", n, True)
        self.t.invoke(f"llvm.masked.scatter.{mangle(value)}.v{n}p0", value, at, size, lanes)

    def load_one(self, array: Array, offset: Op) -> Op:
        """Load one element for all lanes."""
        dtype = array.memory.dtype
        at = self.t.offset(array.base, MEMORY[dtype], offset)
        return self._opened(dtype, self.t.load(MEMORY[dtype], 0, at, dtype.size_in_bytes))

    def store_one(self, array: Array, offset: Op, value: Op) -> None:
        """Store one element."""
        dtype = array.memory.dtype
        at = self.t.offset(array.base, MEMORY[dtype], offset)
        self.t.store(self._closed(dtype, value), at, dtype.size_in_bytes)

    def first_lane(self, mask: Op) -> Op:
        """Return the number of the first lane that is on (lane 0 where none is)."""
        t, n = self.t, self.lanes
        bits = t.convert("zext", t.op(f"i{n}", 0, f"bitcast {mask} to i{n}"), "i64") if n < 64 else mask
        lane = t.call("i64", 0, "llvm.cttz.i64", bits, Op("i1", 0, "false"))
        return t.same("and", lane, integer(n - 1))

    def _own(self, array: Array, offset: Offset) -> Offset:
        """Place a local array's element: threads lie side by side."""
        t, (op, stride) = self.t, offset
        crossing = array.memory.name in self.frame.plan.crossing_local
        base = t.same("mul", self.group, integer(self.lanes)) if crossing else integer(0)
        if stride == 0:
            return t.same("add", t.same("mul", op, integer(array.pitch)), base), 1
        wide = op if stride is None else self.spread(op, stride)
        wide = t.same("mul", wide, self.spread(integer(array.pitch), 0))
        return t.same("add", wide, self.spread(base, 1)), None

    def _plus(self, a: Offset, b: Offset) -> Offset:
        if number(a[0]) == 0 and a[1] == 0:
            return b
        if a[1] is not None and b[1] is not None:
            return self.t.same("add", a[0], b[0]), a[1] + b[1]
        wide = [op if stride is None else self.spread(op, stride) for op, stride in (a, b)]
        return self.t.same("add", *wide), None

    def _opened(self, dtype: DType, op: Op) -> Op:
        if dtype is DType.bool:
            return self.t.compare("icmp ne", op, constant("i8", op.lanes, 0))
        return halves.unpack(self.t, dtype, op) if op.scalar == "i16" and dtype.is_float() else op

    def _closed(self, dtype: DType, op: Op) -> Op:
        if dtype is DType.bool:
            return self.t.convert("zext", op, "i8")
        return halves.pack(self.t, dtype, op) if dtype in (DType.float16, DType.bfloat16) else op
