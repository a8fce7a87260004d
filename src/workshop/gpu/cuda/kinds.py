"""A piece of C++ with its binding and type, and the kinds (C types) in which values are held.

`Text.kind` is the C type of a piece of text. It is the node's dtype, except for int64 nodes: those may print
as `int`, or as `unsigned int` (ids), always with the same value.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from workshop.dtype import DType
from workshop.gpu import ir
from workshop.gpu.cuda.ranges import INT32, Assumptions, Interval, Ranges
from workshop.gpu.cuda.words import C_TYPES, HALVES, Names, literal

POSTFIX, PREFIX, MUL, ADD, SHIFT, ORDER, EQUAL, AND, XOR, OR, BOTH, EITHER, CHOICE = range(13, 0, -1)
NARROW = (DType.int32, DType.uint32)


@dataclass(frozen=True, slots=True)
class Text:
    """A piece of C++: how tightly it binds and which C type it has."""

    text: str
    binding: int
    kind: DType

    def within(self, binding: int) -> str:
        """Return the text, in parentheses where its surroundings bind tighter."""
        return self.text if self.binding >= binding else f"({self.text})"


class Kinds:
    """Chooses C types for the values of one function, and remembers which helpers were used."""

    def __init__(self, function: ir.Function, assumptions: Assumptions, names: Names) -> None:
        self.function = function
        self.assumptions = assumptions
        self.names = names
        self.ranges = Ranges(function, assumptions)
        self.wide: set[str] = set()  # int64 variables to keep in 64 bits although their values fit
        self.helpers: set[str] = set()
        self.casts: dict[str, str] = {}

    def text(self, e: ir.Expr) -> Text:
        """Print an expression."""
        raise NotImplementedError

    @property
    def size_kind(self) -> DType:
        """The C type of extents, strides and int64 arguments."""
        return DType.int32 if self.assumptions.index32 else DType.int64

    def variable_kind(self, name: str) -> DType:
        """Return the C type of a variable: its dtype, or int for an int64 that fits."""
        dtype = self.function.variables[name]
        if dtype is DType.int64 and name not in self.wide and inside(self.ranges.variables.get(name), INT32):
            return DType.int32
        return dtype

    def as_kind(self, e: ir.Expr, kind: DType) -> Text:
        """Print an expression with exactly this C type."""
        if isinstance(e, ir.Constant):
            return spelled(e.value, kind)
        return self.convert(self.text(e), kind)

    def convert(self, text: Text, kind: DType) -> Text:
        """Cast a text to a C type that holds its value."""
        if text.kind is kind:
            return text
        return Text(f"({C_TYPES[kind]}){text.within(PREFIX)}", PREFIX, kind)

    def _unified(self, operands: Iterable[ir.Expr]) -> DType:
        """Choose the C type in which int64 operands meet."""
        operands = list(operands)
        kinds = [self.text(e).kind for e in operands if not isinstance(e, ir.Constant)]
        if DType.int64 in kinds or not all(inside(self.ranges.of(e), INT32) for e in operands):
            return DType.int64
        return DType.uint32 if kinds and all(kind is DType.uint32 for kind in kinds) else DType.int32

    def _result_kind(self, e: ir.Expr) -> DType:
        """The C type an integer operation is done in: int for an int64 whose operands and result all fit."""
        if e.dtype is not DType.int64:
            return e.dtype
        operands = [x for x in ir.children(e) if isinstance(x, ir.Expr)]
        narrow = inside(self.ranges.of(e), INT32) and self._unified(operands) is not DType.int64
        if isinstance(e, ir.Binary) and e.op in ("shl", "shr"):
            narrow = narrow and inside(self.ranges.of(e.right), (0, 31))
        return DType.int32 if narrow else DType.int64

    def _meet(
        self, operands: tuple[ir.Expr, ...], result: Interval | None = (0, 0)
    ) -> tuple[list[Text], DType]:
        """Print int64 operands of one operator so that C++ computes the right value, with few casts."""
        kind = self._unified(operands)
        ranges = [self.ranges.of(e) for e in operands]
        if kind is not DType.int64 and all(r is not None and r[0] >= 0 for r in (*ranges, result)):
            texts = [
                self._plain(e) for e in operands
            ]  # int and unsigned mix safely where nothing is negative
            unsigned = any(text.kind is DType.uint32 for text in texts)
            return texts, DType.uint32 if unsigned else DType.int32
        kind = DType.int32 if kind is DType.uint32 else kind
        texts = [self._plain(e) if isinstance(e, ir.Constant) else self.as_kind(e, kind) for e in operands]
        return texts, kind

    def _plain(self, e: ir.Expr) -> Text:
        """Print an int64 operand; a small constant stands bare, as C++ widens it by itself."""
        if isinstance(e, ir.Constant) and inside((int(e.value), int(e.value)), INT32):
            return spelled(e.value, DType.int32)
        return self.text(e)

    def _rounded(self, text: str, binding: int, dtype: DType) -> Text:
        """Round a float32 result to 16 bits where the operation's dtype asks for it."""
        return (
            Text(f"{self._half(dtype)}({text})", POSTFIX, dtype)
            if dtype in HALVES
            else Text(text, binding, dtype)
        )

    def _half(self, dtype: DType) -> str:
        self.helpers.add(dtype.value)
        return dtype.value

    def _helper(self, name: str, *arguments: str) -> str:
        self.helpers.add(name)
        return f"{name}({', '.join(arguments)})"


def spelled(value: bool | int | float, kind: DType) -> Text:
    text = literal(value, kind)
    return Text(text, PREFIX if text.startswith(("-", "(s", "(u")) else POSTFIX, kind)


def inside(found: Interval | None, limits: Interval) -> bool:
    """True for a known interval within limits; also for the empty one: what never runs always fits."""
    return found is None or (limits[0] <= found[0] and found[1] <= limits[1])
