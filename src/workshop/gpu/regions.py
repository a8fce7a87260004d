"""The second, small IR of the cpu back end: a kernel cut at its barriers.

Code between barriers is a `Region`, one loop nest over the threads of the block. What holds a barrier
stays around the regions: taken by the block as a whole where all threads agree by construction, else
under one mask per thread.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from workshop.dtype import DType
from workshop.gpu import ir
from workshop.gpu.analysis import Event, Flow, Shapes, assigned, bodies, leaves, statements, variables


@dataclass(frozen=True, slots=True, eq=False)
class Region:
    """Runs a barrier-free body for every thread of the block."""

    body: ir.Body


@dataclass(frozen=True, slots=True, eq=False)
class Once:
    """Assigns a variable that the whole block shares."""

    stmt: ir.Assign


@dataclass(frozen=True, slots=True, eq=False)
class Barrier:
    """A barrier that threads may fail to reach; everything before it has run for all threads."""

    stmt: ir.Sync


@dataclass(frozen=True, slots=True, eq=False)
class Exit:
    """The whole block leaves a scope."""

    label: str


@dataclass(frozen=True, slots=True, eq=False)
class Choice:
    """An if that holds barriers; masked where threads may differ."""

    stmt: ir.If
    then: Parts
    orelse: Parts
    masked: bool


@dataclass(frozen=True, slots=True, eq=False)
class Count:
    """A for that holds barriers, with the same trips for the whole block."""

    stmt: ir.For
    parts: Parts


@dataclass(frozen=True, slots=True, eq=False)
class Repeat:
    """A while that holds barriers; masked where threads may differ."""

    stmt: ir.While
    parts: Parts
    masked: bool


@dataclass(frozen=True, slots=True, eq=False)
class Scope:
    """A block that holds barriers; masked where some threads may leave it early."""

    stmt: ir.Block
    parts: Parts
    masked: bool


Part = Region | Once | Barrier | Exit | Choice | Count | Repeat | Scope
Parts = tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """A kernel ready for the cpu: its parts and where each variable and array lives.

    Variables are recomputed from ids wherever they are used (`pure`), kept once per block
    (`shared_by_block`), kept in one element per thread because they live across a barrier (`crossing`),
    or else registers of their region.
    """

    function: ir.Function
    flow: Flow
    parts: Parts
    pure: dict[str, ir.Expr]
    shared_by_block: frozenset[str]
    crossing: frozenset[str]
    shared: tuple[ir.Memory, ...]
    local: tuple[ir.Memory, ...]
    crossing_local: frozenset[str]
    inner: dict[str, ir.Expr] = field(default_factory=dict)

    @property
    def flat(self) -> bool:
        """True where no block needs a place of its own: one region, nothing shared."""
        return len(self.parts) == 1 and isinstance(self.parts[0], Region) and not self.shared

    @property
    def by_rows(self) -> bool:
        """True where a row of blocks is best walked one row of threads at a time: no barrier, and no loop
        whose data the rows of a block share."""
        loops = any(isinstance(s, (ir.For, ir.While)) for s in statements(self.function.body))
        return self.flat and not loops and self.function.block[1] * self.function.block[2] > 1


def plan(function: ir.Function) -> Plan:
    """Cut a kernel into regions."""
    function = _spell_out_divergent_loops(function)
    flow = Flow(function.body)
    shapes = Shapes(function, flow, {"x": None, "y": None, "z": None})
    cut = _Cut(function, flow, shapes)
    parts = cut.parts(function.body)
    regions = list(walk_regions(parts))
    memories = [s.memory for s in statements(function.body) if isinstance(s, ir.Allocate)]
    return Plan(
        function,
        flow,
        parts,
        cut.pure,
        frozenset(cut.block_variables),
        frozenset(_crossing(regions, set(cut.pure) | cut.block_variables)),
        tuple(m for m in memories if m.space == "shared"),
        tuple(m for m in memories if m.space == "local"),
        frozenset(_crossing_memories(regions)),
        {name: single.value for name in function.variables if (single := flow.single(name)) is not None},
    )


def walk_regions(parts: Parts, looped: bool = False) -> Iterator[tuple[ir.Body, bool]]:
    """Yield each body that runs per thread (masked conditions too), and whether it may run again."""
    for part in parts:
        match part:
            case Region():
                yield part.body, looped
            case Choice():
                if part.masked:
                    yield (replace(part.stmt, then=(), orelse=()),), looped
                yield from walk_regions(part.then, looped)
                yield from walk_regions(part.orelse, looped)
            case Repeat():
                if part.masked:
                    yield (replace(part.stmt, body=()),), True
                yield from walk_regions(part.parts, True)
            case Count():
                yield from walk_regions(part.parts, True)
            case Scope():
                yield from walk_regions(part.parts, looped)


class _Cut:
    """Decides which statements the block runs as a whole, and cuts bodies there."""

    def __init__(self, function: ir.Function, flow: Flow, shapes: Shapes) -> None:
        self.function, self.flow, self.shapes = function, flow, shapes
        self.pure = _pure_variables(function, flow)
        self.block_variables: set[str] = set()
        size = -1
        while size != len(self.block_variables):
            size = len(self.block_variables)
            self._grow(function.body)

    def whole(self, stmt: ir.Stmt) -> bool:
        """True where a statement cannot lie in a region."""
        if isinstance(stmt, ir.Sync):
            return True
        inner = bodies(stmt)
        if any(isinstance(s, ir.Sync) for s in statements(*inner)):
            return True
        if (assigned(*inner, (stmt,)) - set(self.pure)) & self.block_variables:
            return True
        return any(self._leaves_whole(label) for label in leaves((stmt,)))

    def parts(self, body: ir.Body) -> Parts:
        """Cut a body into parts."""
        out: list[Part] = []
        run: list[ir.Stmt] = []

        def flush() -> None:
            if run:
                out.append(Region(tuple(run)))
                run.clear()

        for stmt in body:
            if isinstance(stmt, ir.Allocate) or (isinstance(stmt, ir.Assign) and stmt.name in self.pure):
                continue
            if not self.whole(stmt):
                run.append(stmt)
            elif isinstance(stmt, ir.Assign) and not self._moves_over(stmt, run):
                flush()
                out.append(Once(stmt))
            elif isinstance(stmt, ir.Assign):
                out.append(Once(stmt))
            else:
                flush()
                out.append(self._part(stmt))
        flush()
        return tuple(out)

    def _part(self, stmt: ir.Stmt) -> Part:
        masked = not self.shapes.uniform(stmt)
        match stmt:
            case ir.Sync():
                return Barrier(stmt)
            case ir.Leave():
                return Exit(stmt.label)
            case ir.If():
                return Choice(stmt, self.parts(stmt.then), self.parts(stmt.orelse), masked)
            case ir.For():
                return Count(stmt, self.parts(stmt.body))
            case ir.While():
                return Repeat(stmt, self.parts(stmt.body), masked)
            case ir.Block():
                return Scope(stmt, self.parts(stmt.body), stmt.label in self.shapes.parted)
        raise AssertionError(f"{type(stmt).__name__} cannot hold a barrier")

    def _moves_over(self, stmt: ir.Assign, run: list[ir.Stmt]) -> bool:
        loads = any(isinstance(n, ir.Load) for n in ir.walk(stmt.value))
        return not loads and stmt.name not in set(variables(tuple(run)))

    def _leaves_whole(self, label: str) -> bool:
        """True where all threads leave this block together and it cannot lie in a region."""
        if label in self.shapes.parted:
            return False
        blocks = (s for s in statements(self.function.body) if isinstance(s, ir.Block) and s.label == label)
        return self.whole(next(blocks))

    def _grow(self, body: ir.Body) -> None:
        """Add the variables that conditions and bounds around barriers need."""
        for stmt in body:
            if not self.whole(stmt):
                continue
            if isinstance(stmt, ir.For):
                self._need(stmt.start, stmt.stop, stmt.step)
                self.block_variables.add(stmt.var)
            elif isinstance(stmt, ir.Assign):
                self._need(stmt.value)
            elif isinstance(stmt, (ir.If, ir.While)) and self.shapes.uniform(stmt):
                self._need(stmt.condition)
            for inner in bodies(stmt):
                self._grow(inner)

    def _need(self, *exprs: ir.Expr) -> None:
        for name in variables(*exprs):
            if name in self.pure:
                self._need(self.pure[name])
            else:
                self.block_variables.add(name)


def _pure_variables(function: ir.Function, flow: Flow) -> dict[str, ir.Expr]:
    """Find variables that are cheap to recompute from ids, arguments and constants wherever they are read."""
    pure: dict[str, ir.Expr] = {}
    for stmt in statements(function.body):
        if isinstance(stmt, ir.Assign) and flow.single(stmt.name) is stmt and flow.written_at_top(stmt.name):
            kinds = (ir.Load, ir.Call, ir.Select)
            cheap = not function.variables[stmt.name].is_float()
            known = all(name in pure for name in variables(stmt.value))
            if cheap and known and not any(isinstance(n, kinds) for n in ir.walk(stmt.value)):
                pure[stmt.name] = stmt.value
    return pure


def _crossing(regions: list[tuple[ir.Body, bool]], placed: set[str]) -> set[str]:
    """Find variables that one region writes and another, or the same one in a later trip, reads."""
    count: dict[str, int] = {}
    carried: set[str] = set()
    for body, looped in regions:
        names = (set(variables(body)) | assigned(body)) - placed
        for name in names:
            count[name] = count.get(name, 0) + 1
        if looped:
            flow = Flow(body)
            carried |= {name for name in names if not _set_first(flow.events[name])}
    return carried | {name for name, n in count.items() if n > 1}


def _set_first(events: list[Event]) -> bool:
    first = events[0]
    return first.writes and all(e.chain[: len(first.chain)] == first.chain for e in events)


def _crossing_memories(regions: list[tuple[ir.Body, bool]]) -> set[str]:
    seen: dict[str, int] = {}
    for body, looped in regions:
        used = {n.memory.name for n in ir.walk(body) if isinstance(n, (ir.Load, ir.Store))}
        for name in used:
            seen[name] = seen.get(name, 0) + (2 if looped else 1)
    return {name for name, n in seen.items() if n > 1}


def _spell_out_divergent_loops(function: ir.Function) -> ir.Function:
    """Turn a for that holds a barrier but differs among threads into a while with its own counter."""
    flow = Flow(function.body)
    shapes = Shapes(function, flow, {"x": None, "y": None, "z": None})
    extra: dict[str, DType] = {}

    def change(node: ir.Node) -> ir.Node | tuple[ir.Stmt, ...]:
        divergent = isinstance(node, ir.For) and not shapes.uniform(node)
        if not isinstance(node, ir.Stmt):
            return node
        new = ir.rebuild(node, change)
        if not (divergent and any(isinstance(s, ir.Sync) for s in statements(new.body))):
            return new  # type: ignore[no-any-return]
        names = [f"{new.var}.{len(extra)}.{what}" for what in ("next", "stop", "step")]
        extra.update(dict.fromkeys(names, DType.int64))
        return _as_while(new, names)

    body: list[ir.Stmt] = []
    for stmt in function.body:
        new = change(stmt)
        body.extend(new if isinstance(new, tuple) else (new,))  # type: ignore[arg-type]
    if not extra:
        return function
    return replace(function, body=tuple(body), variables={**function.variables, **extra})


def _as_while(loop: ir.For, names: list[str]) -> tuple[ir.Stmt, ...]:
    loc, int64 = loop.loc, DType.int64
    after, stop, step = (ir.Variable(int64, loc, n) for n in names)
    zero = ir.Constant(int64, loc, 0)

    def compare(op: ir.CompareOp, a: ir.Expr, b: ir.Expr) -> ir.Expr:
        return ir.Compare(DType.bool, loc, op, a, b)

    up = ir.Logic(DType.bool, loc, "and", compare("gt", step, zero), compare("lt", after, stop))
    down = ir.Logic(DType.bool, loc, "and", compare("lt", step, zero), compare("gt", after, stop))
    more = ir.Logic(DType.bool, loc, "or", up, down)
    advance = (
        ir.Assign(loc, loop.var, after),
        ir.Assign(loc, names[0], ir.Binary(int64, loc, "add", after, step)),
    )
    values = zip(names, (loop.start, loop.stop, loop.step), strict=True)
    return (*(ir.Assign(loc, n, e) for n, e in values), ir.While(loc, more, (*advance, *loop.body)))
