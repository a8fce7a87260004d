"""What a kernel's control and data flow look like, as side tables over the IR (the nodes carry no flags).

Two questions, asked by the cpu back end at two widths:

- `Flow`: when is each variable read and written, and does one write dominate every read?
- `Shapes`: how does a value differ among threads that run side by side along x? Stride 0 is uniform, k means
  thread t + 1 has k more than thread t, None is anything else. With no axis known the answer is "uniform in
  the block or not".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from workshop.dtype import DType
from workshop.gpu import ir

Stride = int | None
Chain = tuple[tuple[int, int], ...]  # enclosing statements, outermost first: (id, which body)


@dataclass(frozen=True, slots=True)
class Event:
    """One read or write of a variable: its place in evaluation order and the statements around it."""

    time: int
    writes: bool
    chain: Chain
    stmt: ir.Stmt


class Flow:
    """Reads and writes of every variable of a body, in evaluation order."""

    def __init__(self, body: ir.Body) -> None:
        self.events: dict[str, list[Event]] = {}
        self.spans: dict[int, tuple[int, int]] = {}
        self.nodes: dict[int, ir.Stmt] = {}
        self._time = 0
        self._body(body, ())

    def single(self, name: str) -> ir.Assign | None:
        """Return the one assignment that dominates every read of a variable, if there is one."""
        events = self.events.get(name, [])
        writes = [e for e in events if e.writes]
        if len(writes) != 1 or not isinstance(writes[0].stmt, ir.Assign):
            return None
        write = writes[0]
        after = all(e.time >= write.time and e.chain[: len(write.chain)] == write.chain for e in events)
        return writes[0].stmt if after else None

    def written_at_top(self, name: str) -> bool:
        """True where the only write of a variable lies in no branch and no loop."""
        writes = [e for e in self.events.get(name, []) if e.writes]
        return len(writes) == 1 and all(isinstance(self.nodes[n], ir.Block) for n, _ in writes[0].chain)

    def private(self, name: str, write: Event, around: int) -> bool:
        """True where no thread that sat out the statement `around` can see what `write` inside it did."""
        start, end = self.spans[around]
        events = self.events[name]
        if any(not e.writes and e.time > end for e in events):
            return False
        depth = next(i for i, (node, _) in enumerate(write.chain) if node == around)
        loops = [node for node, _ in write.chain[:depth] if isinstance(self.nodes[node], (ir.For, ir.While))]
        for loop in loops:
            low, high = self.spans[loop]
            first = next(e for e in events if low <= e.time <= high)
            inside = [node for node, _ in first.chain]
            between = inside[inside.index(loop) + 1 :] if loop in inside else [loop]
            plain = all(node == around or isinstance(self.nodes[node], ir.Block) for node in between)
            if not (first.writes and plain):
                return False
        return True

    def _note(self, name: str, writes: bool, chain: Chain, stmt: ir.Stmt) -> None:
        self._time += 1
        self.events.setdefault(name, []).append(Event(self._time, writes, chain, stmt))

    def _reads(self, expr: ir.Expr, chain: Chain, stmt: ir.Stmt) -> None:
        for name in variables(expr):
            self._note(name, False, chain, stmt)

    def _body(self, body: ir.Body, chain: Chain) -> None:
        for stmt in body:
            self._statement(stmt, chain)

    def _statement(self, stmt: ir.Stmt, chain: Chain) -> None:
        self._time += 1
        begin = self._time
        key = id(stmt)
        self.nodes[key] = stmt
        if isinstance(stmt, ir.While):
            self._reads(stmt.condition, (*chain, (key, 0)), stmt)
        else:
            for expr in expressions(stmt):
                self._reads(expr, chain, stmt)
        if isinstance(stmt, ir.Assign):
            self._note(stmt.name, True, chain, stmt)
        if isinstance(stmt, ir.For):
            self._note(stmt.var, True, (*chain, (key, 0)), stmt)
        for which, inner in enumerate(bodies(stmt)):
            self._body(inner, (*chain, (key, which)))
        self._time += 1
        self.spans[key] = (begin, self._time)


class Shapes:
    """How values differ among neighbouring threads; `axes` gives the stride of each thread_idx axis.

    `strides` holds every variable's shape, `divergent` the ids of statements whose threads may part
    inside them, and `parted` the labels of blocks that some threads of a group may leave before others.
    Variables in `varying` are taken as anything from the start.
    """

    def __init__(
        self,
        function: ir.Function,
        flow: Flow,
        axes: Mapping[str, Stride],
        varying: frozenset[str] = frozenset(),
    ) -> None:
        self.flow, self.axes = flow, axes
        self.strides: dict[str, Stride] = dict.fromkeys(varying)
        self.divergent: set[int] = set()
        self.parted: set[str] = set()
        self._changed = True
        while self._changed:
            self._changed = False
            self._body(function.body, [])

    def of(self, expr: ir.Expr) -> Stride:
        """Return the shape of an expression: 0 uniform, k linear, None anything."""
        match expr:
            case ir.Constant() | ir.Argument() | ir.Extent():
                return 0
            case ir.Id():
                return self.axes[expr.axis] if expr.kind == "thread_idx" else 0
            case ir.Variable():
                return self.strides.get(expr.name, 0)
            case ir.Load():
                uniform = expr.memory.space != "local" and all(self.of(i) == 0 for i in expr.indices)
                return 0 if uniform else None
            case ir.Unary(op="neg", dtype=DType.int64):
                inner = self.of(expr.operand)
                return None if inner is None else -inner
            case ir.Binary():
                return combine(expr, self.of(expr.left), self.of(expr.right))
        return 0 if all(self.of(c) == 0 for c in ir.children(expr) if isinstance(c, ir.Expr)) else None

    def uniform(self, stmt: ir.Stmt) -> bool:
        """True where every thread of the group takes the statement's branches and trips together."""
        return id(stmt) not in self.divergent

    def _body(self, body: ir.Body, around: list[ir.Stmt]) -> None:
        for stmt in body:
            self._statement(stmt, around)

    def _statement(self, stmt: ir.Stmt, around: list[ir.Stmt]) -> None:
        match stmt:
            case ir.Assign():
                self._write(stmt.name, self.of(stmt.value), stmt, around)
            case ir.Leave():
                target = next(
                    n for n, s in enumerate(around) if isinstance(s, ir.Block) and s.label == stmt.label
                )
                if stmt.label not in self.parted and any(
                    id(s) in self.divergent for s in around[target + 1 :]
                ):
                    self.parted.add(stmt.label)
                    self._mark(around[target])
            case ir.If() | ir.While():
                if self.of(stmt.condition) != 0:
                    self._mark(stmt)
            case ir.For():
                start, step = self.of(stmt.start), self.of(stmt.step)
                if start != 0 or step != 0 or self.of(stmt.stop) != 0:
                    self._mark(stmt)
                self._write(stmt.var, start if step == 0 else None, stmt, [*around, stmt])
        for inner in bodies(stmt):
            self._body(inner, [*around, stmt])

    def _mark(self, stmt: ir.Stmt) -> None:
        if id(stmt) not in self.divergent:
            self.divergent.add(id(stmt))
            self._changed = True

    def _write(self, name: str, stride: Stride, stmt: ir.Stmt, around: list[ir.Stmt]) -> None:
        write = next(e for e in self.flow.events[name] if e.writes and e.stmt is stmt)
        for outer in around:
            if id(outer) in self.divergent and not self.flow.private(name, write, id(outer)):
                stride = None
        old = self.strides.get(name, stride)
        new = stride if old == stride else None
        if name not in self.strides or new != self.strides[name]:
            self.strides[name] = new
            self._changed = True


def combine(expr: ir.Binary, left: Stride, right: Stride) -> Stride:
    """Return the shape of an operation on two shaped operands."""
    if left == 0 and right == 0:
        return 0
    if left is None or right is None or expr.dtype is not DType.int64:
        return None
    if expr.op == "add":
        return left + right
    if expr.op == "sub":
        return left - right
    if expr.op == "mul" and isinstance(expr.right, ir.Constant):
        return left * int(expr.right.value)
    if expr.op == "mul" and isinstance(expr.left, ir.Constant):
        return right * int(expr.left.value)
    return None


def expressions(stmt: ir.Stmt) -> Iterator[ir.Expr]:
    """Yield a statement's own expressions in evaluation order, none of its bodies'."""
    for child in ir.children(stmt):
        if isinstance(child, ir.Expr):
            yield child


def bodies(stmt: ir.Stmt) -> tuple[ir.Body, ...]:
    """Return the bodies of a statement."""
    match stmt:
        case ir.If():
            return stmt.then, stmt.orelse
        case ir.For() | ir.While() | ir.Block():
            return (stmt.body,)
    return ()


def statements(*roots: ir.Body) -> Iterator[ir.Stmt]:
    """Yield every statement under the bodies, each before what it holds."""
    for body in roots:
        for stmt in body:
            yield stmt
            yield from statements(*bodies(stmt))


def variables(*roots: ir.Node | ir.Body) -> Iterator[str]:
    """Yield the name of every variable read under the roots, in evaluation order."""
    for node in ir.walk(*roots):
        if isinstance(node, ir.Variable):
            yield node.name


def assigned(*roots: ir.Body) -> set[str]:
    """Return the names of the variables that the bodies write."""
    found = {s.name for s in statements(*roots) if isinstance(s, ir.Assign)}
    return found | {s.var for s in statements(*roots) if isinstance(s, ir.For)}


def leaves(body: ir.Body) -> set[str]:
    """Return the labels that statements in a body leave and that lie outside it."""
    found = {s.label for s in statements(body) if isinstance(s, ir.Leave)}
    return found - {s.label for s in statements(body) if isinstance(s, ir.Block)}


def holds(node: ir.Node | ir.Body, kind: type[ir.Expr] | type[ir.Stmt]) -> bool:
    """True where a node of this kind lies in the tree."""
    return any(isinstance(n, kind) for n in ir.walk(node))
