"""What the code of one kernel shares while it is written: arguments, ids, places of arrays and variables."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from workshop.dtype import DType
from workshop.gpu import ir
from workshop.gpu.analysis import Shapes
from workshop.gpu.cpu.text import MEMORY, REGISTER, Op, Text, integer, number, vector
from workshop.gpu.regions import Plan

STACK_LIMIT = 128 * 1024
AXES = ("x", "y", "z")
KINDS: dict[type, str] = {ir.Load: "read", ir.Store: "write", ir.Sync: "barrier", ir.Print: "print"}


@dataclass(frozen=True, slots=True)
class Array:
    """Where an array's elements are: base + the sum of index * stride, in elements; all are i64."""

    memory: ir.Memory
    base: Op
    shape: tuple[Op, ...]
    strides: tuple[Op, ...]
    pitch: int = (
        0  # local arrays: elements between two elements of one thread; neighbouring threads lie side by side
    )


@dataclass(frozen=True, slots=True)
class Site:
    """A place in the source that may fault or print."""

    kind: str  # read, write, barrier, print
    node: ir.Node


@dataclass(slots=True)
class Proof:
    """What holds in one version of a region: conditions with a known value, accesses that need no test.

    `anyway` are accesses inside their array even in lanes that are switched off. All are ids of nodes.
    """

    assumed: dict[int, bool] = field(default_factory=dict)
    safe: set[int] = field(default_factory=set)
    anyway: set[int] = field(default_factory=set)
    fast: bool = False


class Frame:
    """The state of a kernel's code outside its threads."""

    def __init__(self, t: Text, plan: Plan, shapes: Shapes, lanes: int) -> None:
        self.t, self.plan, self.shapes, self.lanes = t, plan, shapes, lanes
        self.arrays: dict[str, Array] = {}
        self.scalars: dict[str, Op] = {}
        self.grid: dict[str, Op] = {}
        self.block: dict[str, Op] = {}
        self.block_number = integer(0)
        self.variables: dict[str, Op] = {}  # one per block
        self.constants: dict[str, int] = {}  # those of them whose value is known where code is being written
        self.crossing: dict[str, Op] = {}  # one vector per group of threads
        self.masks: list[Op] = []  # per group of threads, innermost last
        self.sites: list[Site] = []
        self._numbers: dict[int, int] = {}
        self.stack = 0
        self.scratch = 0
        self.record, self.cancel = Op("ptr", 0, "%record"), Op("ptr", 0, "%cancel")
        self.prints = Op("ptr", 0, "%prints")
        self.indices = t.alloca("i64", 64, 8 * max(lanes, 1))
        x, y, z = plan.function.block
        self.per_row = -(-x // lanes)
        self.groups = self.per_row * y * z
        self.scopes: dict[
            str, int
        ] = {}  # blocks around barriers that threads leave one by one: their mask's depth
        self.print_width = 3 + max(
            (
                sum(isinstance(p, ir.Expr) for p in n.parts)
                for n in ir.walk(plan.function.body)
                if isinstance(n, ir.Print)
            ),
            default=0,
        )
        self._number_sites()

    @property
    def partial(self) -> bool:
        """True where the last group of a row has lanes beyond the block."""
        return self.plan.function.block[0] % self.lanes != 0

    def site(self, node: ir.Node) -> int:
        """Return the number of a place; numbers grow in order of evaluation."""
        return self._numbers[id(node)]

    def place(self, scalar: str, lanes: int, count: int) -> Op:
        """Reserve room for `count` values: on the stack, or in the worker's scratch where they are many."""
        bits = 64 if scalar == "double" else 32 if scalar == "float" else int(scalar[1:])
        size = -(-max(bits // 8, 1) * max(lanes, 1) * count // 64) * 64
        if self.stack + size <= STACK_LIMIT:
            self.stack += size
            return self.t.alloca(vector(scalar, lanes), 64, count)
        at, self.scratch = self.scratch, self.scratch + size
        out = self.t.name("far")
        self.t.head.append(f"  {out} = getelementptr i8, ptr %scratch, i64 {at}")
        return Op("ptr", 0, out)

    def open_arguments(self) -> None:
        """Read the launch's arguments: grid, then pointers, extents and strides of arrays, and scalars."""
        at = 0

        def take(scalar: str) -> Op:
            nonlocal at
            at += 1
            return self.t.load(scalar, 0, self.t.offset(Op("ptr", 0, "%args"), "i64", integer(at - 1)), 8)

        self.grid = {axis: take("i64") for axis in AXES}
        for p in self.plan.function.params:
            if isinstance(p, ir.Scalar):
                raw = "i8" if p.dtype is DType.bool else REGISTER[p.dtype]
                value = take(raw)
                self.scalars[p.name] = (
                    self.t.compare("icmp ne", value, Op("i8", 0, "0"))
                    if raw == "i8" and (p.dtype is DType.bool)
                    else value
                )
                continue
            base = take("ptr")
            shape = tuple(take("i64") for _ in p.shape)
            strides = tuple(take("i64") for _ in p.shape) if p.layout == "strided" else self._row_major(shape)
            self.arrays[p.name] = Array(p, base, shape, strides)

    def open_allocations(self) -> None:
        """Reserve shared arrays, local arrays and what lives across barriers."""
        plan, lanes = self.plan, self.lanes
        for m in plan.shared:
            shape = tuple(integer(n or 0) for n in m.shape)
            base = self.place(MEMORY[m.dtype], lanes, -(-elements(m) // lanes) + 2)
            base = self.t.offset(base, MEMORY[m.dtype], integer(lanes))  # a whole vector fits at either edge
            self.arrays[m.name] = Array(m, base, shape, self._row_major(shape))
        for m in plan.local:
            groups = self.groups if m.name in plan.crossing_local else 1
            shape = tuple(integer(n or 0) for n in m.shape)
            base = self.place(MEMORY[m.dtype], lanes, elements(m) * groups)
            self.arrays[m.name] = Array(m, base, shape, self._row_major(shape), groups * lanes)
        for name in sorted(plan.crossing):
            self.crossing[name] = self.place(stored(plan.function.variables[name]), lanes, self.groups)
        for name in sorted(plan.shared_by_block):
            self.variables[name] = self.t.alloca(REGISTER[plan.function.variables[name]], 8)

    def _row_major(self, shape: tuple[Op, ...]) -> tuple[Op, ...]:
        strides: list[Op] = [integer(1)]
        for extent in reversed(shape[1:]):
            known, last = number(extent), number(strides[-1])
            both = known is not None and last is not None
            strides.append(
                integer((known or 0) * (last or 0)) if both else self.t.same("mul", strides[-1], extent)
            )
        return tuple(reversed(strides))

    def _number_sites(self) -> None:
        for node in evaluated(self.plan.function.body):
            kind = KINDS.get(type(node))
            if kind is not None and id(node) not in self._numbers:
                self._numbers[id(node)] = len(self.sites)
                self.sites.append(Site(kind, node))


def evaluated(body: ir.Body) -> Iterator[ir.Node]:
    """Yield every node after what it needs: in order of evaluation, loops once."""

    def visit(node: ir.Node) -> Iterator[ir.Node]:
        for child in ir.children(node):
            yield from visit(child)
        yield node

    for stmt in body:
        yield from visit(stmt)


def stored(dtype: DType) -> str:
    """Return the type a register of this dtype has while it lies in memory between regions."""
    return "i8" if dtype is DType.bool else REGISTER[dtype]


def elements(memory: ir.Memory) -> int:
    """Count the elements of an allocation."""
    count = 1
    for extent in memory.shape:
        count *= extent or 0
    return count
