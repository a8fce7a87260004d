"""Prints IR expressions as C++: each operator at its dtype, int64 in 32 bits where that is proven safe."""

from __future__ import annotations

from workshop.dtype import DType
from workshop.gpu import ir
from workshop.gpu.cuda.casts import Casts
from workshop.gpu.cuda.kinds import (
    ADD,
    AND,
    BOTH,
    CHOICE,
    EITHER,
    EQUAL,
    MUL,
    NARROW,
    OR,
    ORDER,
    POSTFIX,
    PREFIX,
    SHIFT,
    XOR,
    Text,
    inside,
    spelled,
)  # fmt: skip
from workshop.gpu.cuda.ranges import INT32, INT64, Assumptions, Interval
from workshop.gpu.cuda.words import Names, literal

OPERATORS: dict[str, tuple[str, int]] = {
    "add": ("+", ADD),
    "sub": ("-", ADD),
    "mul": ("*", MUL),
    "div": ("/", MUL),
    "floordiv": ("/", MUL),
    "mod": ("%", MUL),
    "and": ("&", AND),
    "or": ("|", OR),
    "xor": ("^", XOR),
    "shl": ("<<", SHIFT),
    "shr": (">>", SHIFT),
}
COMPARISONS = {"lt": "<", "le": "<=", "gt": ">", "ge": ">=", "eq": "==", "ne": "!="}
HELPER_OF = {
    "add": "wrap_add",
    "sub": "wrap_sub",
    "mul": "wrap_mul",
    "floordiv": "floor_div",
    "mod": "floor_mod",
    "shl": "shift_left",
    "shr": "shift_right",
}
IDS = {"thread_idx": "threadIdx", "block_idx": "blockIdx", "grid_dim": "gridDim"}


class Expressions(Casts):
    """Prints the expressions of one function and remembers which extents and strides they read."""

    def __init__(self, function: ir.Function, assumptions: Assumptions, names: Names) -> None:
        super().__init__(function, assumptions, names)
        self._printed: dict[int, Text] = {}
        self.extents: dict[tuple[str, int], str] = {}
        self.strides: dict[tuple[str, int], str] = {}

    # -- leaves -------------------------------------------------------------------------------------

    def text(self, e: ir.Expr) -> Text:
        """Print an expression."""
        if id(e) not in self._printed:  # operands are looked at more than once; the tree keeps every id alive
            self._printed[id(e)] = self._text(e)
        return self._printed[id(e)]

    def _text(self, e: ir.Expr) -> Text:
        match e:
            case ir.Constant():
                narrow = e.dtype is DType.int64 and inside((int(e.value), int(e.value)), INT32)
                return spelled(e.value, DType.int32 if narrow else e.dtype)
            case ir.Variable():
                return Text(self.names["variable", e.name], POSTFIX, self.variable_kind(e.name))
            case ir.Argument():
                kind = self.size_kind if e.dtype is DType.int64 else e.dtype
                return Text(self.names["argument", e.name], POSTFIX, kind)
            case ir.Id():
                return Text(f"{IDS[e.kind]}.{e.axis}", POSTFIX, DType.uint32)
            case ir.Extent():
                return self._extent(e.memory, e.axis)
            case ir.Load():
                return Text(self.place(e.memory, e.indices), POSTFIX, e.memory.dtype)
            case ir.Unary():
                return self._unary(e)
            case ir.Binary():
                return self._binary(e)
            case ir.Compare():
                return self._compare(e)
            case ir.Logic():
                symbol, binding = ("&&", BOTH) if e.op == "and" else ("||", EITHER)
                left, right = self.text(e.left).within(binding), self.text(e.right).within(binding + 1)
                return Text(f"{left} {symbol} {right}", binding, DType.bool)
            case ir.Select():
                return self._select(e)
            case ir.Cast():
                return self._cast(e)
            case ir.Call():
                return self._call(e)
        raise AssertionError(f"no CUDA spelling for {type(e).__name__}")

    def _extent(self, memory: ir.Memory, axis: int) -> Text:
        static = memory.shape[axis]
        if static is not None:
            return spelled(static, DType.int32)
        key = memory.name, axis
        if key not in self.extents:
            suffix = "size" if memory.rank == 1 else f"dim{axis}"
            self.extents[key] = self.names.fresh(f"{self.names['array', memory.name]}_{suffix}")
        return Text(self.extents[key], POSTFIX, self.size_kind)

    def _stride(self, memory: ir.Memory, axis: int) -> Text:
        key = memory.name, axis
        if key not in self.strides:
            self.strides[key] = self.names.fresh(f"{self.names['array', memory.name]}_stride{axis}")
        return Text(self.strides[key], POSTFIX, self.size_kind)

    # -- memory -------------------------------------------------------------------------------------

    def place(self, memory: ir.Memory, indices: tuple[ir.Expr, ...]) -> str:
        """Print an element: `tile[y][x]` for our own arrays, one flat index for arguments."""
        name = self.names["array", memory.name]
        if not indices:
            return f"{name}[0]"
        if memory.space != "global":
            return name + "".join(f"[{self._plain(i).text}]" for i in indices)
        if memory.layout == "strided":
            return f"{name}[{self._strided(memory, indices)}]"
        return f"{name}[{self._row_major(memory, indices).text}]"

    def _row_major(self, memory: ir.Memory, indices: tuple[ir.Expr, ...]) -> Text:
        """Fold the indices into one; in 32 bits where the array's size was checked at launch."""
        flat = self._plain(indices[0])
        for axis, index in enumerate(indices[1:], start=1):
            if flat.kind in NARROW and self.size_kind is DType.int64:
                flat = self.convert(flat, DType.int64)
            row = f"{flat.within(MUL)} * {self._extent(memory, axis).text}"
            inner = self._plain(index)
            flat = Text(f"{row} + {inner.within(ADD)}", ADD, self._wider(flat.kind, inner.kind))
        return flat

    def _strided(self, memory: ir.Memory, indices: tuple[ir.Expr, ...]) -> str:
        """Sum index times stride; ids are cast, since a stride may be negative."""
        terms = []
        for axis, index in enumerate(indices):
            text = self._plain(index)
            kind = self._wider(text.kind, self.size_kind)
            signed = self.convert(text, DType.int32 if kind is DType.uint32 else kind)
            terms.append(f"{signed.within(MUL)} * {self._stride(memory, axis).text}")
        return " + ".join(terms)

    @staticmethod
    def _wider(a: DType, b: DType) -> DType:
        if DType.int64 in (a, b):
            return DType.int64
        return DType.uint32 if DType.uint32 in (a, b) else DType.int32

    # -- operators ----------------------------------------------------------------------------------

    def _unary(self, e: ir.Unary) -> Text:
        if e.op == "not":
            return Text(f"!{self.text(e.operand).within(PREFIX)}", PREFIX, DType.bool)
        if e.dtype.is_float():
            return self._rounded(f"-{self._signed_operand(self.text(e.operand))}", PREFIX, e.dtype)
        kind = self._result_kind(e)
        operand = self.as_kind(e.operand, kind)
        if e.op == "invert":
            text = f"~{operand.within(PREFIX)}"
            return (
                Text(text, PREFIX, kind)
                if kind.bits >= 32
                else self.convert(Text(text, PREFIX, DType.int32), kind)
            )
        if self._plain_arithmetic(e, kind):
            return Text(f"-{self._signed_operand(operand)}", PREFIX, kind)
        return Text(self._helper("wrap_sub", literal(0, kind), operand.text), POSTFIX, kind)

    @staticmethod
    def _signed_operand(operand: Text) -> str:
        text = operand.within(PREFIX)
        return f"({text})" if text.startswith("-") else text  # never `--x`

    def _plain_arithmetic(self, e: ir.Expr, kind: DType) -> bool:
        """True where the bare C++ operator is defined and exact: unsigned, or proven not to overflow."""
        if kind in (DType.uint32, DType.uint64):
            return True
        return kind.bits >= 32 and self._fits(e, INT32 if kind is DType.int32 else INT64)

    def _fits(self, e: ir.Expr, limits: Interval) -> bool:
        """True where the values, computed without wrapping, are proven to lie within the limits."""
        found = self.ranges.unwrapped(e)
        return found is None or inside(found, limits)

    def _binary(self, e: ir.Binary) -> Text:
        if e.op in ("min", "max"):
            return self._extremum(e)
        if e.dtype is DType.bool:
            symbol, binding = ("!=", EQUAL) if e.op == "xor" else OPERATORS[e.op]
            left, right = self.text(e.left).within(binding + 1), self.text(e.right).within(binding + 1)
            return Text(f"{left} {symbol} {right}", binding, DType.bool)
        if e.dtype.is_float():
            return self._float_binary(e)
        return self._integer_binary(e)

    def _float_binary(self, e: ir.Binary) -> Text:
        left, right = self.text(e.left), self.text(e.right)
        if e.op in ("floordiv", "mod"):
            base = "double" if e.dtype is DType.float64 else "float"
            name = f"{base}_floor_{'div' if e.op == 'floordiv' else 'mod'}"
            return self._rounded(self._helper(name, left.text, right.text), POSTFIX, e.dtype)
        symbol, binding = OPERATORS[e.op]
        text = f"{left.within(binding)} {symbol} {right.within(binding + 1)}"
        return self._rounded(text, binding, e.dtype)

    def _integer_binary(self, e: ir.Binary) -> Text:
        symbol, binding = OPERATORS[e.op]
        kind = self._result_kind(e)
        if block := self._block_extent(e):
            return block
        if self._bare(e, kind):
            if e.dtype is DType.int64:
                texts, kind = self._operands64(e, kind)
            else:
                texts = [self.as_kind(e.left, kind), self.as_kind(e.right, kind)]
            return Text(f"{texts[0].within(binding)} {symbol} {texts[1].within(binding + 1)}", binding, kind)
        left, right = self.as_kind(e.left, kind), self.as_kind(e.right, kind)
        if e.op in ("and", "or", "xor"):  # 8 and 16 bits: C++ computes in int
            text = f"{left.within(binding)} {symbol} {right.within(binding + 1)}"
            return self.convert(Text(text, binding, DType.int32), kind)
        return Text(self._helper(HELPER_OF[e.op], left.text, right.text), POSTFIX, kind)

    def _operands64(self, e: ir.Binary, kind: DType) -> tuple[list[Text], DType]:
        if kind is not DType.int64:
            return self._meet((e.left, e.right), self.ranges.of(e))
        first, second = self.text(e.left), self._plain(e.right)
        if DType.int64 not in (first.kind, second.kind):
            first = self.convert(first, DType.int64)  # C++ computes in the wider of the two
        return [first, second], DType.int64

    def _bare(self, e: ir.Binary, kind: DType) -> bool:
        """True where C++'s operator means the same as ours."""
        left, right = self.ranges.of(e.left), self.ranges.of(e.right)
        match e.op:
            case "add" | "sub" | "mul":
                return self._plain_arithmetic(e, kind)
            case "floordiv" | "mod":
                safe = left is not None and right is not None and left[0] >= 0 and right[0] > 0
                return safe and kind.bits >= 32
            case "and" | "or" | "xor":
                return kind.bits >= 32
            case "shl":
                nonnegative = left is not None and left[0] >= 0
                return nonnegative and inside(right, (0, kind.bits - 1)) and self._plain_arithmetic(e, kind)
            case _:
                return inside(right, (0, kind.bits - 1)) and kind.bits >= 32

    def _block_extent(self, e: ir.Binary) -> Text | None:
        """Print `block_idx.x * block_dim.x` by its name, as a CUDA programmer writes it, not by its value."""
        if e.op != "mul" or e.dtype is not DType.int64:
            return None
        narrow = inside(self.ranges.of(e), INT32)
        for i, constant, order in ((e.left, e.right, 1), (e.right, e.left, -1)):
            if isinstance(i, ir.Id) and i.kind == "block_idx" and isinstance(constant, ir.Constant):
                if constant.value != self.function.block["xyz".index(i.axis)]:
                    return None
                factors = [f"blockIdx.{i.axis}", f"blockDim.{i.axis}"][::order]
                wide = "" if narrow else "(long long)"
                return Text(wide + " * ".join(factors), MUL, DType.uint32 if narrow else DType.int64)
        return None

    def _extremum(self, e: ir.Binary) -> Text:
        if e.dtype.is_float():
            name = f"f{e.op}" if e.dtype is DType.float64 else f"f{e.op}f"
            arguments = f"{self.text(e.left).text}, {self.text(e.right).text}"
            return self._rounded(f"{name}({arguments})", POSTFIX, e.dtype)
        kind = self._unified((e.left, e.right)) if e.dtype is DType.int64 else e.dtype
        left, right = self.as_kind(e.left, kind), self.as_kind(e.right, kind)
        text = Text(f"{e.op}({left.text}, {right.text})", POSTFIX, kind)
        return text if kind.bits >= 32 else self.convert(Text(text.text, POSTFIX, DType.int32), kind)

    def _compare(self, e: ir.Compare) -> Text:
        if e.left.dtype is DType.int64:
            (left, right), _ = self._meet((e.left, e.right))
        else:
            left, right = self.text(e.left), self.text(e.right)
        binding = EQUAL if e.op in ("eq", "ne") else ORDER
        text = f"{left.within(binding + 1)} {COMPARISONS[e.op]} {right.within(binding + 1)}"
        return Text(text, binding, DType.bool)

    def _select(self, e: ir.Select) -> Text:
        kind = self._unified((e.yes, e.no)) if e.dtype is DType.int64 else e.dtype
        yes, no = self.as_kind(e.yes, kind), self.as_kind(e.no, kind)
        condition = self.text(e.condition).within(CHOICE + 1)
        return Text(f"{condition} ? {yes.within(CHOICE + 1)} : {no.within(CHOICE)}", CHOICE, kind)
