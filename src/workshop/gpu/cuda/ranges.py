"""Which values an integer expression can take, so that int64 may be computed in 32 bits where that is safe.

One interval per variable, whatever the place: assignments are joined until nothing grows. An interval that
keeps growing (a counter in a loop) is widened to its whole dtype, so the answer is always safe.
"""

from __future__ import annotations

from dataclasses import dataclass

from workshop.dtype import DType
from workshop.gpu import ir

Interval = tuple[int, int]
INT32: Interval = (-(2**31), 2**31 - 1)
SIZE = 2**30  # sizes up to this leave room in 32 bits for `size + block - 1` and the like
INT64: Interval = (-(2**63), 2**63 - 1)
PATIENCE = 70  # halving a 64-bit number down to 0 settles within this many rounds


@dataclass(frozen=True, slots=True)
class Assumptions:
    """What is known about the launches a piece of CUDA code is for; the launch checks it before use.

    `index32`: grid extents times block extents, array extents, strides and int64 scalars are at most SIZE
    (2**30), and every array spans fewer than 2**31 elements.
    `disjoint`: no array that the kernel writes overlaps another argument.
    """

    index32: bool = True
    disjoint: bool = True


def whole(dtype: DType) -> Interval:
    """Return the interval of all values of an integer dtype (or bool)."""
    if dtype is DType.bool:
        return 0, 1
    if dtype.is_unsigned_integral():
        return 0, 2**dtype.bits - 1
    return -(2 ** (dtype.bits - 1)), 2 ** (dtype.bits - 1) - 1


def join(a: Interval | None, b: Interval | None) -> Interval | None:
    """Return the smallest interval around both; None is the empty one."""
    if a is None or b is None:
        return a or b
    return min(a[0], b[0]), max(a[1], b[1])


class Ranges:
    """Answers `of(expression)` for the integer expressions of one function; None means never evaluated."""

    def __init__(self, function: ir.Function, assumptions: Assumptions) -> None:
        self.function = function
        self.index32 = assumptions.index32
        self.variables: dict[str, Interval | None] = {}
        self._settle()

    def _settle(self) -> None:
        statements = [s for s in ir.walk(self.function.body) if isinstance(s, ir.Assign | ir.For)]
        for round_ in range(PATIENCE + 2):
            changed = False
            for statement in statements:
                name = statement.name if isinstance(statement, ir.Assign) else statement.var
                dtype = self.function.variables[name]
                if not (dtype.is_integral() or dtype is DType.bool):
                    continue
                old = self.variables.get(name)
                new = self._assigned(statement)
                joined = join(old, new)
                if joined != old:
                    self.variables[name] = whole(dtype) if round_ >= PATIENCE else joined
                    changed = True
            if not changed:
                return

    def _assigned(self, statement: ir.Assign | ir.For) -> Interval | None:
        if isinstance(statement, ir.Assign):
            return self.of(statement.value)
        start, stop, step = (self.of(e) for e in (statement.start, statement.stop, statement.step))
        if start is None or stop is None or step is None:
            return None
        up = (start[0], stop[1] - 1) if step[1] > 0 and start[0] < stop[1] else None
        down = (stop[0] + 1, start[1]) if step[0] < 0 and stop[0] < start[1] else None
        return join(up, down)

    def of(self, e: ir.Expr) -> Interval | None:
        """Return the values an integer expression can take."""
        found = self.unwrapped(e)
        limits = whole(e.dtype)
        fits = found is not None and limits[0] <= found[0] and found[1] <= limits[1]
        return found if found is None or fits else limits

    def unwrapped(self, e: ir.Expr) -> Interval | None:
        """Return the values an operation would have in unlimited width, its operands being in theirs."""
        match e:
            case ir.Constant():
                return int(e.value), int(e.value)
            case ir.Variable():
                return self.variables.get(e.name)
            case ir.Argument():
                return (-SIZE, SIZE) if self.index32 and e.dtype is DType.int64 else whole(e.dtype)
            case ir.Id():
                return self._id(e)
            case ir.Extent():
                static = e.memory.shape[e.axis]
                return (static, static) if static is not None else (0, SIZE if self.index32 else 2**48)
            case ir.Select():
                return join(self.of(e.yes), self.of(e.no))
            case ir.Cast() if e.operand.dtype.is_integral() or e.operand.dtype is DType.bool:
                return self.of(e.operand) if e.dtype is not DType.bool else (0, 1)
            case ir.Unary(op="neg"):
                inner = self.of(e.operand)
                return inner and (-inner[1], -inner[0])
            case ir.Unary(op="invert"):
                inner = self.of(e.operand)
                return inner and (-inner[1] - 1, -inner[0] - 1)
            case ir.Binary() if e.dtype.is_integral():
                left, right = self.of(e.left), self.of(e.right)
                return None if left is None or right is None else _binary(e.op, left, right)
        return whole(e.dtype)

    def _id(self, e: ir.Id) -> Interval:
        block = self.function.block["xyz".index(e.axis)]
        if e.kind == "thread_idx":
            return 0, block - 1
        blocks = INT32[1] if e.axis == "x" else 65535
        if self.index32:
            blocks = max(min(blocks, SIZE // block), 1)
        return (1, blocks) if e.kind == "grid_dim" else (0, blocks - 1)


def _binary(op: ir.BinaryOp, a: Interval, b: Interval) -> Interval:
    match op:
        case "add":
            return a[0] + b[0], a[1] + b[1]
        case "sub":
            return a[0] - b[1], a[1] - b[0]
        case "mul":
            corners = [x * y for x in a for y in b]
            return min(corners), max(corners)
        case "floordiv" if b[0] > 0:
            corners = [x // y for x in a for y in b]
            return min(corners), max(corners)
        case "floordiv" if a[0] >= 0 and b[0] >= 0:  # by zero gives 0
            return 0, a[1]
        case "mod" if a[0] >= 0 and b[0] >= 0:
            return 0, min(a[1], max(b[1] - 1, 0))
        case "mod" if b[0] > 0:
            return 0, b[1] - 1
        case "min":
            return min(a[0], b[0]), min(a[1], b[1])
        case "max":
            return max(a[0], b[0]), max(a[1], b[1])
        case "and" if a[0] >= 0 or b[0] >= 0:
            return 0, min(x[1] for x in (a, b) if x[0] >= 0)
        case "or" | "xor" if a[0] >= 0 and b[0] >= 0:
            return 0, (1 << max(a[1], b[1]).bit_length()) - 1
        case "shl" if a[0] >= 0 and b[0] >= 0 and b[1] < 64:
            return a[0] << b[0], a[1] << b[1]
        case "shr" if b[0] >= 0 and b[1] < 8:
            corners = [x >> y for x in a for y in b]
            return min(corners), max(corners)
    return INT64[0], 2**64  # no knowledge; `of` cuts it to the dtype
