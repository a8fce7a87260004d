"""Evaluates what is known about a block while its code is being written."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping

from workshop.dtype import DType
from workshop.gpu import ir

OPERATIONS: dict[str, Callable[[int, int], int]] = {
    "add": operator.add, "sub": operator.sub, "mul": operator.mul, "min": min, "max": max,
    "lt": operator.lt, "le": operator.le, "gt": operator.gt, "ge": operator.ge,
    "eq": operator.eq, "ne": operator.ne,
}  # fmt: skip
LIMIT = 1 << 62


def fold(e: ir.Expr, constants: Mapping[str, int]) -> int | None:
    """Return the value of an int64 or bool expression of known variables; None where it is not known.

    >>> from workshop.errors import Loc
    >>> two = ir.Constant(DType.int64, Loc("k.py", 1), 2)
    >>> fold(ir.Binary(DType.int64, two.loc, "mul", two, ir.Variable(DType.int64, two.loc, "n")), {"n": 21})
    42
    """
    if e.dtype not in (DType.int64, DType.bool):
        return None
    match e:
        case ir.Constant():
            return int(e.value)
        case ir.Variable():
            return constants.get(e.name)
        case ir.Unary(op="not"):
            inner = fold(e.operand, constants)
            return None if inner is None else int(not inner)
        case ir.Binary() | ir.Compare() | ir.Logic():
            left, right = fold(e.left, constants), fold(e.right, constants)
            return None if left is None or right is None else _apply(e.op, left, right)
    return None


def _apply(op: str, a: int, b: int) -> int | None:
    if op in ("floordiv", "mod"):
        found = 0 if b == 0 else a // b if op == "floordiv" else a % b
    elif op in ("and", "or"):
        found = a & b if op == "and" else a | b
    elif op in ("shl", "shr") and 0 <= b < 62:
        found = a << b if op == "shl" else a >> b
    elif op in OPERATIONS:
        found = int(OPERATIONS[op](a, b))
    else:
        return None
    return found if -LIMIT < found < LIMIT else None
