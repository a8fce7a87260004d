"""The typed IR every back end reads: a structured tree, no control-flow graph.

Meaning in short (kernel-language.md has the long form):

- Every expression carries its result `dtype`; operands of an operation already agree (the front end put
  `Cast` nodes where they did not), so a back end infers nothing. Indices and ids are int64.
- `Select` and `Logic` are lazy: the side that is not chosen is not evaluated, so its loads do not happen.
- `Block`/`Leave` is the one structured exit. `return` leaves the kernel's outermost block (label "return"),
  `break` a block around the loop, `continue` a block around the loop's body, `return` in an inlined helper
  a block around that body.
- A variable exists once per thread, function-wide, with one dtype (`Function.variables`). Reading one that
  the thread never assigned is an UninitializedError in `checked`, an unspecified value elsewhere.
- A `For` evaluates start, stop, step once (step is never 0 at compile time; at run time 0 means no trips),
  assigns `var` at the start of each trip, and is not disturbed by assignments to `var` in its body.
- `block_dim` is a compile-time constant (`Function.block`), so no node reads it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from typing import Any, Literal

from workshop.dtype import DType
from workshop.errors import Loc

Space = Literal["global", "shared", "local"]
Axis = Literal["x", "y", "z"]


# -- what a kernel is given ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Memory:
    """Names an array: an argument (global) or an allocation (shared: one per block, local: one per thread).

    `shape` holds compile-time extents; None at run-time ones (arguments). `layout` is "row_major" (strides
    follow from the extents) or "strided" (run-time strides, in elements, one per axis).
    """

    name: str
    space: Space
    dtype: DType
    shape: tuple[int | None, ...]
    layout: Literal["row_major", "strided"]
    loc: Loc

    @property
    def rank(self) -> int:
        """Number of indices an access takes."""
        return len(self.shape)


@dataclass(frozen=True, slots=True)
class Scalar:
    """Names a run-time scalar argument."""

    name: str
    dtype: DType


# -- expressions ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Expr:
    """Base of expressions: a dtype and a place."""

    dtype: DType
    loc: Loc


@dataclass(frozen=True, slots=True)
class Constant(Expr):
    """A number: Python bool, int or float, already in range of `dtype`."""

    value: bool | int | float


@dataclass(frozen=True, slots=True)
class Variable(Expr):
    """Reads a local variable."""

    name: str


@dataclass(frozen=True, slots=True)
class Argument(Expr):
    """Reads a scalar argument."""

    name: str


@dataclass(frozen=True, slots=True)
class Id(Expr):
    """An index or extent of the launch (int64): kind is thread_idx, block_idx or grid_dim."""

    kind: Literal["thread_idx", "block_idx", "grid_dim"]
    axis: Axis


@dataclass(frozen=True, slots=True)
class Extent(Expr):
    """The run-time extent (int64) of one axis of an array argument."""

    memory: Memory
    axis: int


@dataclass(frozen=True, slots=True)
class Load(Expr):
    """Reads `memory[indices]`; rank indices in logical order, int64."""

    memory: Memory
    indices: tuple[Expr, ...]


UnaryOp = Literal["neg", "invert", "not"]
BinaryOp = Literal[
    "add", "sub", "mul", "div", "floordiv", "mod", "and", "or", "xor", "shl", "shr", "min", "max"
]
CompareOp = Literal["lt", "le", "gt", "ge", "eq", "ne"]


@dataclass(frozen=True, slots=True)
class Unary(Expr):
    """neg (numbers), invert (integers: bitwise), not (bool)."""

    op: UnaryOp
    operand: Expr


@dataclass(frozen=True, slots=True)
class Binary(Expr):
    """Both operands have this node's dtype. div is on floats only; floordiv and mod floor; and/or/xor also
    take bool.

    shl and shr take the left operand's dtype on both sides; shr is arithmetic on signed types.
    """

    op: BinaryOp
    left: Expr
    right: Expr


@dataclass(frozen=True, slots=True)
class Compare(Expr):
    """bool result; both operands have one dtype."""

    op: CompareOp
    left: Expr
    right: Expr


@dataclass(frozen=True, slots=True)
class Logic(Expr):
    """Short-circuit and/or on bool."""

    op: Literal["and", "or"]
    left: Expr
    right: Expr


@dataclass(frozen=True, slots=True)
class Select(Expr):
    """`yes if condition else no`; only the chosen side is evaluated."""

    condition: Expr
    yes: Expr
    no: Expr


@dataclass(frozen=True, slots=True)
class Cast(Expr):
    """Converts to `dtype`: ints wrap, float to int truncates and saturates (NaN gives 0), to bool is `!=
    0`."""

    operand: Expr


CALLS = (
    "sqrt", "rsqrt", "exp", "exp2", "log", "log2", "sin", "cos", "tanh", "erf", "pow", "fma", "abs", "floor",
    "ceil", "round", "trunc", "isnan", "isinf",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Call(Expr):
    """A math word of CALLS; arguments have this node's dtype (isnan, isinf: a float argument, bool result).

    abs also takes integers; round is to even.
    """

    name: str
    args: tuple[Expr, ...]


# -- statements ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Stmt:
    """Base of statements: a place."""

    loc: Loc


Body = tuple[Stmt, ...]


@dataclass(frozen=True, slots=True)
class Assign(Stmt):
    """Sets a local variable; the value has the variable's dtype."""

    name: str
    value: Expr


@dataclass(frozen=True, slots=True)
class Store(Stmt):
    """Writes `memory[indices] = value`; the value has the memory's dtype."""

    memory: Memory
    indices: tuple[Expr, ...]
    value: Expr


@dataclass(frozen=True, slots=True)
class If(Stmt):
    """Runs one of two bodies."""

    condition: Expr
    then: Body
    orelse: Body


@dataclass(frozen=True, slots=True)
class For(Stmt):
    """Python's `for var in range(start, stop, step)`; all int64."""

    var: str
    start: Expr
    stop: Expr
    step: Expr
    body: Body


@dataclass(frozen=True, slots=True)
class While(Stmt):
    """Runs the body as long as the condition holds; may never end, so back ends make it cancellable."""

    condition: Expr
    body: Body


@dataclass(frozen=True, slots=True)
class Block(Stmt):
    """A body that `Leave(label)` inside it jumps to the end of; labels are unique in a function."""

    label: str
    body: Body


@dataclass(frozen=True, slots=True)
class Leave(Stmt):
    """Jumps to the end of the enclosing `Block` with this label."""

    label: str


@dataclass(frozen=True, slots=True)
class Sync(Stmt):
    """barrier() (scope "block") or syncwarp() (scope "warp")."""

    scope: Literal["block", "warp"]


@dataclass(frozen=True, slots=True)
class Allocate(Stmt):
    """Makes a shared or local array; only at the top level of a function's body. Its contents start
    poisoned."""

    memory: Memory


@dataclass(frozen=True, slots=True)
class Print(Stmt):
    """Records one printed line: text pieces and values, in order, joined without separators."""

    parts: tuple[str | Expr, ...]


@dataclass(frozen=True, slots=True)
class Function:
    """One specialised kernel.

    `params` are the run-time arguments in order; `body` is one Block "return" where the kernel returns
    early, else plain statements.
    """

    name: str
    params: tuple[Memory | Scalar, ...]
    variables: dict[str, DType]
    body: Body
    block: tuple[int, int, int]
    warp_size: int
    loc: Loc

    @property
    def memories(self) -> tuple[Memory, ...]:
        """Every array of the function: arguments first, then allocations."""
        own = tuple(s.memory for s in walk(self.body) if isinstance(s, Allocate))
        return tuple(p for p in self.params if isinstance(p, Memory)) + own


Node = Expr | Stmt


def children(node: Node) -> Iterator[Node]:
    """Yield the direct sub-nodes of a node, in evaluation order."""
    for field in fields(node):
        value = getattr(node, field.name)
        if isinstance(value, (Expr, Stmt)):
            yield value
        elif isinstance(value, tuple):
            yield from (item for item in value if isinstance(item, (Expr, Stmt)))


def walk(*roots: Node | Body) -> Iterator[Node]:
    """Yield every node under the roots (bodies or nodes), each before its children."""
    stack: list[Any] = list(reversed(roots))
    while stack:
        node = stack.pop()
        if isinstance(node, tuple):
            stack.extend(reversed(node))
        else:
            yield node
            stack.extend(reversed(list(children(node))))


def rebuild(node: Any, change: Any) -> Any:
    """Return the node with `change` applied to each direct child (expressions, statements, bodies).

    `change(child)` returns a node, or for statements in a body also a tuple of statements.
    """
    updates: dict[str, Any] = {}
    for field in fields(node):
        value = getattr(node, field.name)
        if isinstance(value, (Expr, Stmt)):
            updates[field.name] = change(value)
        elif isinstance(value, tuple) and any(isinstance(item, (Expr, Stmt)) for item in value):
            new: list[Any] = []
            for item in value:
                result = change(item) if isinstance(item, (Expr, Stmt)) else item
                new.extend(result) if isinstance(result, tuple) else new.append(result)
            updates[field.name] = tuple(new)
    return replace(node, **updates) if updates else node
