"""Loops over the threads of a block, in groups of lanes, and the masks of control flow around barriers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from workshop.dtype import DType
from workshop.gpu import ir
from workshop.gpu.analysis import Shapes
from workshop.gpu.cpu.frame import Frame, Proof
from workshop.gpu.cpu.lanes import Group
from workshop.gpu.cpu.maths import any_lane
from workshop.gpu.cpu.text import Op, Text, constant, integer
from workshop.gpu.cpu.threads import Threads
from workshop.gpu.cpu.together import ROWS, Together
from workshop.gpu.regions import Plan

LANES = 16
MOST_COPIED = 512  # nodes of the IR in groups that are written one after the other


def lanes_for(block: tuple[int, int, int]) -> int:
    """Choose how many threads run side by side: a power of two that covers a short row once, else 16.

    >>> lanes_for((8, 8, 1)), lanes_for((256, 1, 1)), lanes_for((3, 3, 1))
    (8, 16, 4)
    """
    return min(LANES, 1 << (block[0] - 1).bit_length())


class Nests:
    """Writes loop nests over threads."""

    def __init__(self, plan: Plan) -> None:
        self.plan, self.t = plan, Text()
        lanes = lanes_for(plan.function.block)
        shapes = Shapes(plan.function, plan.flow, {"x": 1, "y": 0, "z": 0}, plan.crossing)
        self.frame = Frame(self.t, plan, shapes, lanes)
        self.together = Together(plan)
        self.frame.open_arguments()
        self.frame.open_allocations()

    def _ids(self, b: Op) -> dict[str, Op]:
        t, grid = self.t, self.frame.grid
        x, rest = t.same("urem", b, grid["x"]), t.same("udiv", b, grid["x"])
        return {"x": x, "y": t.same("urem", rest, grid["y"]), "z": t.same("udiv", rest, grid["y"])}

    def _not_cancelled(self) -> Op:
        flag = self.t.op("i8", 0, f"load volatile i8, {self.frame.cancel}")
        return self.t.compare("icmp eq", flag, Op("i8", 0, "0"))

    def _all(self, tests: list[Op]) -> Op:
        out = Op("i1", 0, "true")
        for test in tests:
            out = self.t.same("and", out, test) if out.ref != "true" else test
        return out

    # -- loops over the threads of a block

    def _threads(self, body: ir.Body, proof: Proof, row: tuple[Op, Op, Op] | None = None) -> None:
        copies = self.frame.groups * sum(1 for _ in ir.walk(body)) if row is None else MOST_COPIED + 1

        def write(*rows: Threads) -> None:
            for threads in rows:
                threads.open(body)
            self.together.body(rows, body)
            for threads in rows:
                threads.close(body)

        rows = ROWS if proof.fast and self.together.worth(body) else 1
        self._groups(proof, write, row, (copies <= MOST_COPIED, rows))

    def _groups(
        self,
        proof: Proof,
        write: Callable[..., None],
        row: tuple[Op, Op, Op] | None = None,
        how: tuple[bool, int] = (False, 1),
    ) -> None:
        """Write loops over z, y and groups along x; with a row of blocks also over these.

        `write(*threads)` writes the code of one group of lanes, or of as many rows of them as `how` says;
        `how` also says whether groups along x are written one after the other.
        """
        t = self.t
        _, y, z = self.plan.function.block
        copied, rows = how
        rows = rows if y % rows == 0 else 1
        with ExitStack() as loops:
            if row is not None and not self.plan.by_rows:
                loops.enter_context(self._blocks_of(row))
            tz = loops.enter_context(self._axis(z, "z"))
            ty = loops.enter_context(self._axis(y, "y", rows))
            if row is not None and self.plan.by_rows:
                loops.enter_context(self._blocks_of(row))
            lines = [t.same("add", ty, integer(n)) for n in range(rows)]
            self._line(proof, write, (lines, tz), copied)

    @contextmanager
    def _blocks_of(self, row: tuple[Op, Op, Op]) -> Iterator[None]:
        first, end, before = row
        frame = self.frame
        outer, number = frame.block, frame.block_number
        with self.t.loop(first, end, 1, "bx", False) as bx:
            frame.block = {**outer, "x": bx}
            frame.block_number = self.t.same("add", before, bx)
            yield
        frame.block, frame.block_number = outer, number

    @contextmanager
    def _axis(self, extent: int, name: str, step: int = 1) -> Iterator[Op]:
        if extent == step:
            yield integer(0)
        else:
            with self.t.loop(integer(0), integer(extent), step, name, False) as i:
                yield i

    def _line(self, proof: Proof, write: Callable[..., None], at: tuple[list[Op], Op], copied: bool) -> None:
        t, frame = self.t, self.frame
        x, y, _ = self.plan.function.block

        def made(g: Op, tx: Op, ty: Op) -> Threads:
            line = t.same("add", t.same("mul", at[1], integer(y)), ty)
            number = t.same("add", t.same("mul", line, integer(frame.per_row)), g)
            first = t.same("add", t.same("mul", line, integer(x)), tx)
            return Threads(frame, proof, Group(tx, ty, at[1], number, first))

        def group(g: Op) -> None:
            tx = t.same("mul", g, integer(frame.lanes))
            write(*(made(g, tx, ty) for ty in at[0]))

        if frame.per_row == 1 or copied:
            for n in range(frame.per_row):
                group(integer(n))
            return
        with t.loop(integer(0), integer(frame.per_row), 1, "x") as g:
            group(g)

    # -- masks of a block, bits for each group of threads: for branches around barriers where threads differ

    def _new_mask(self) -> Op:
        return self.frame.place(f"i{self.frame.lanes}", 0, self.frame.groups)

    def _copied_mask(self) -> Op:
        mask = self._new_mask()
        true = ir.Constant(DType.bool, self.plan.function.loc, True)
        self._narrow_masks(true, (mask,))
        return mask

    def _narrow_masks(self, condition: ir.Expr, targets: tuple[Op, ...]) -> list[Op]:
        """Store the lanes in which a condition holds (second: does not); tell whether any is on."""
        t, n = self.t, self.frame.lanes
        flags = [t.alloca("i1", 1) for _ in targets]
        for flag in flags:
            t.store(constant("i1", 0, False), flag)
        stub = (ir.If(condition.loc, condition, (), ()),)

        def write(threads: Threads) -> None:
            threads.open(stub)
            holds = threads.spread(threads.value(condition))
            around = threads.mask() or constant("i1", n, True)
            sides = [holds, t.same("xor", holds, constant("i1", n, True))]
            for target, flag, side in zip(targets, flags, sides, strict=False):
                on = t.same("and", around, side)
                bits = t.op(f"i{n}", 0, f"bitcast {on} to i{n}")
                t.store(bits, t.offset(target, f"i{n}", threads.group.number))  # type: ignore[union-attr]
                t.store(t.same("or", t.load("i1", 0, flag), any_lane(t, on)), flag)

        self._groups(Proof(), write)
        return [t.load("i1", 0, flag) for flag in flags]

    def _and_any(self, condition: Op) -> Op:
        """Go on only while some thread has not left (the block itself takes no notice of threads leaving)."""
        if not self.frame.masks:
            return condition
        true = ir.Constant(DType.bool, self.plan.function.loc, True)
        return self.t.same("and", condition, self._narrow_masks(true, (self._new_mask(),))[0])
