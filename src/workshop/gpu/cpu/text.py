"""A writer of LLVM IR text: names, blocks, allocas at the function's head, declarations on first use."""

from __future__ import annotations

import operator
import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from workshop.dtype import DType

INTEGER = {d: f"i{d.bits}" for d in DType if not d.is_float()}
REGISTER = INTEGER | {
    # 16-bit floats are kept as the float32 of the same value: operations are in float32, then rounded
    DType.float16: "float",
    DType.bfloat16: "float",
    DType.float32: "float",
    DType.float64: "double",
}
MEMORY = REGISTER | {DType.bool: "i8", DType.float16: "i16", DType.bfloat16: "i16"}

FOLDED = {"add": operator.add, "sub": operator.sub, "mul": operator.mul}


@dataclass(frozen=True, slots=True)
class Op:
    """An LLVM operand with its type, a scalar type's name and a number of lanes (0: a scalar)."""

    scalar: str
    lanes: int
    ref: str

    @property
    def type(self) -> str:
        """The LLVM type."""
        return vector(self.scalar, self.lanes)

    def __str__(self) -> str:
        return f"{self.type} {self.ref}"


def vector(scalar: str, lanes: int) -> str:
    """Spell a vector type, or the scalar type where lanes is 0."""
    return f"<{lanes} x {scalar}>" if lanes else scalar


def literal(scalar: str, value: float) -> str:
    """Spell a number as LLVM does; floats by their bits."""
    if scalar == "i1":
        return "true" if value else "false"
    if scalar.startswith("i"):
        return str(int(value))
    if scalar == "float":
        try:
            value = struct.unpack("f", struct.pack("f", value))[0]
        except OverflowError:
            value = float("inf") if value > 0 else float("-inf")
    return f"0x{struct.unpack('<Q', struct.pack('<d', value))[0]:016X}"


def constant(scalar: str, lanes: int, *values: float) -> Op:
    """Make a constant: one value for all lanes, or one per lane."""
    if not lanes:
        return Op(scalar, 0, literal(scalar, values[0]))
    each = values * lanes if len(values) == 1 else values
    return Op(scalar, lanes, "<" + ", ".join(f"{scalar} {literal(scalar, v)}" for v in each) + ">")


class Text:
    """The body of one LLVM function being written."""

    def __init__(self) -> None:
        self.head: list[str] = []
        self.lines: list[str] = []
        self.declared: dict[str, str] = {}
        self.metadata: list[str] = []
        self._names = 0

    def name(self, stem: str = "") -> str:
        """Return a fresh local name."""
        self._names += 1
        return f"%{stem}{self._names}" if stem else f"%v{self._names}"

    def line(self, text: str) -> None:
        """Write one instruction that has no result."""
        self.lines.append("  " + text)

    def op(self, scalar: str, lanes: int, text: str) -> Op:
        """Write one instruction and return its result, of the given type."""
        out = Op(scalar, lanes, self.name())
        self.line(f"{out.ref} = {text}")
        return out

    def same(self, opcode: str, first: Op, *rest: Op) -> Op:
        """Write an instruction whose operands and result have one type; sums of known integers are folded."""
        if first.scalar == "i64" and opcode.split()[0] in FOLDED and len(rest) == 1:
            a, b = number(first), number(rest[0])
            if a is not None and b is not None:
                return integer(FOLDED[opcode.split()[0]](a, b))
        refs = ", ".join(o.ref for o in (first, *rest))
        return self.op(first.scalar, first.lanes, f"{opcode} {first.type} {refs}")

    def compare(self, opcode: str, a: Op, b: Op) -> Op:
        """Write an icmp or fcmp."""
        return self.op("i1", a.lanes, f"{opcode} {a.type} {a.ref}, {b.ref}")

    def select(self, condition: Op, yes: Op, no: Op) -> Op:
        """Write a select, lane by lane where the condition is a vector."""
        return self.op(yes.scalar, yes.lanes, f"select {condition}, {yes}, {no}")

    def convert(self, opcode: str, a: Op, scalar: str) -> Op:
        """Write a conversion to another element type."""
        return self.op(scalar, a.lanes, f"{opcode} {a} to {vector(scalar, a.lanes)}")

    def call(self, scalar: str, lanes: int, name: str, *args: Op, flags: str = "") -> Op:
        """Write a call of an outside function and declare it."""
        self._declare(vector(scalar, lanes), name, args)
        return self.op(
            scalar, lanes, f"call {flags}{vector(scalar, lanes)} @{name}({', '.join(str(a) for a in args)})"
        )

    def intrinsic(self, stem: str, first: Op, *rest: Op, flags: str = "") -> Op:
        """Write a call of an intrinsic whose operands and result have one type."""
        return self.call(first.scalar, first.lanes, f"llvm.{stem}.{mangle(first)}", first, *rest, flags=flags)

    def invoke(self, name: str, *args: Op) -> None:
        """Write a call of a function that returns nothing, and declare it."""
        self._declare("void", name, args)
        self.line(f"call void @{name}({', '.join(str(a) for a in args)})")

    def alloca(self, type_: str, align: int = 64, count: int = 1) -> Op:
        """Reserve stack space once per call of the function."""
        out = self.name("slot")
        self.head.append(f"  {out} = alloca {type_}, i64 {count}, align {align}")
        return Op("ptr", 0, out)

    def load(self, scalar: str, lanes: int, pointer: Op, align: int = 0) -> Op:
        """Write a load; align 0 means the type's own."""
        tail = f", align {align}" if align else ""
        return self.op(scalar, lanes, f"load {vector(scalar, lanes)}, {pointer}{tail}")

    def store(self, value: Op, pointer: Op, align: int = 0) -> None:
        """Write a store; align 0 means the type's own."""
        self.line(f"store {value}, {pointer}" + (f", align {align}" if align else ""))

    def offset(self, pointer: Op, scalar: str, index: Op) -> Op:
        """Compute pointer + index elements, lane by lane where the index is a vector."""
        return self.op("ptr", index.lanes, f"getelementptr {scalar}, {pointer}, {index}")

    def label(self, stem: str) -> str:
        """Return a fresh label, to be placed by `place`."""
        return self.name(stem)[1:]

    def place(self, label: str) -> None:
        """Start the block of this label; the code before must have branched."""
        self.lines.append(f"{label}:")

    def jump(self, label: str, metadata: str = "") -> None:
        """Branch to a label."""
        self.line(f"br label %{label}{metadata}")

    def branch(self, condition: Op, yes: str, no: str, metadata: str = "") -> None:
        """Branch on a scalar condition."""
        self.line(f"br {condition}, label %{yes}, label %{no}{metadata}")

    @contextmanager
    def when(self, condition: Op, stem: str = "when") -> Iterator[None]:
        """Run what is written inside only where a scalar condition holds."""
        yes, no = self.label(stem), self.label(stem + "_end")
        self.branch(condition, yes, no)
        self.place(yes)
        yield
        self.jump(no)
        self.place(no)

    @contextmanager
    def loop(self, start: Op, stop: Op, step: int, stem: str, unroll: bool = True) -> Iterator[Op]:
        """Count an i64 from start to stop; yields the counter."""
        slot = self.alloca("i64", 8)
        head, body, end = self.label(stem), self.label(stem + "_body"), self.label(stem + "_end")
        self.store(start, slot)
        self.jump(head)
        self.place(head)
        i = self.load("i64", 0, slot)
        self.branch(self.compare("icmp slt", i, stop), body, end)
        self.place(body)
        yield i
        self.store(self.same("add nsw", i, integer(step)), slot)
        self.jump(head, "" if unroll else self.no_unroll())
        self.place(end)

    def no_unroll(self) -> str:
        """Return the metadata of a loop's back edge that keeps it a loop."""
        node = len(self.metadata)
        self.metadata.append(f"!{node} = distinct !{{!{node}, !{node + 1}}}")
        self.metadata.append(f'!{node + 1} = !{{!"llvm.loop.unroll.disable"}}')
        return f", !llvm.loop !{node}"

    def _declare(self, result: str, name: str, args: Sequence[Op]) -> None:
        self.declared[name] = f"declare {result} @{name}({', '.join(a.type for a in args)})"


def integer(value: int) -> Op:
    """Make an i64 constant."""
    return Op("i64", 0, str(value))


def number(op: Op) -> int | None:
    """Return the value of an integer constant."""
    return int(op.ref) if op.ref.lstrip("-").isdigit() else None


def mangle(op: Op) -> str:
    """Spell a type as it stands in an intrinsic's name."""
    scalar = {"float": "f32", "double": "f64", "ptr": "p0"}.get(op.scalar, op.scalar)
    return f"v{op.lanes}{scalar}" if op.lanes else scalar
