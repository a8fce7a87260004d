"""Prints what runs on the cpu as Python-like source: one loop nest per region, one version per corner test.

It is written from the regions and corner tests that the LLVM IR was emitted from, so what is printed is
what runs.
"""

from __future__ import annotations

from collections.abc import Iterator

from workshop.gpu import ir, printer
from workshop.gpu.analysis import assigned, variables
from workshop.gpu.cpu.build import Writing
from workshop.gpu.cpu.corners import Corners
from workshop.gpu.cpu.frame import Frame, Proof, elements
from workshop.gpu.cpu.together import ROWS, Together
from workshop.gpu.regions import Barrier, Choice, Count, Exit, Once, Part, Parts, Region, Repeat, Scope


def source(function: ir.Function) -> str:
    """Return the loop nests of a kernel as readable source."""
    writing = Writing(function)
    return "\n".join(Source(writing.frame, writing.corners).lines()) + "\n"


class Source:
    """Prints one kernel."""

    def __init__(self, frame: Frame, corners: dict[int, Corners]) -> None:
        self.frame, self.plan, self.corners = frame, frame.plan, corners
        self.together = Together(frame.plan)

    def lines(self) -> Iterator[str]:
        """Yield the source line by line."""
        function, plan = self.plan.function, self.plan
        yield f"def {function.name}({', '.join(p.name for p in function.params)}):"
        if plan.by_rows:
            yield "    for block_idx.z, block_idx.y in rows:  # row by row of threads"
        else:
            yield "    for block_idx in blocks:"
        for m in plan.shared:
            yield f"        {m.name} = array({elements(m)}, {m.dtype.value})  # shared: one for the block"
        threads = self.frame.groups * self.frame.lanes
        for m in plan.local:
            yield f"        {m.name} = array(({elements(m)}, {threads}), {m.dtype.value})  # local"
        for name in sorted(plan.crossing):
            kind = function.variables[name].value
            yield f"        {name} = array({threads}, {kind})  # one each: lives across a barrier"
        yield from _indented(_indented(self._parts(plan.parts)))

    def _parts(self, parts: Parts) -> Iterator[str]:
        for part in parts:
            yield from self._part(part)

    def _part(self, part: Part) -> Iterator[str]:
        match part:
            case Region():
                yield from self._region(part.body)
            case Once():
                yield f"{part.stmt.name} = {printer.expression(part.stmt.value)}"
            case Barrier():
                word = "barrier" if part.stmt.scope == "block" else "syncwarp"
                yield f"# {word}: all threads have come this far"
            case Exit():
                yield f"leave {part.label}"
            case Choice():
                yield f"if {printer.expression(part.stmt.condition)}:{_masked(part.masked)}"
                yield from _indented(self._parts(part.then))
                if part.orelse:
                    yield "else:"
                    yield from _indented(self._parts(part.orelse))
            case Count():
                s = part.stmt
                bounds = ", ".join(printer.expression(e) for e in (s.start, s.stop, s.step))
                yield f"for {s.var} in range({bounds}):"
                yield from _indented(self._parts(part.parts))
            case Repeat():
                yield f"while {printer.expression(part.stmt.condition)}:{_masked(part.masked)}"
                yield from _indented(self._parts(part.parts))
            case Scope():
                yield f"block {part.stmt.label}:{_masked(part.masked)}"
                yield from _indented(self._parts(part.parts))

    def _region(self, body: ir.Body) -> Iterator[str]:
        corners = self.corners[id(body)]
        tested = list(self._tested(body, corners.proof, corners.static))
        if not corners.tests:
            yield from self._nest(body, corners.proof)
            return
        yield f"if {' and '.join(tested) or 'small indices'}:  # one test at the corners of the block"
        yield from _indented(self._nest(body, corners.proof))
        yield "else:"
        yield from _indented(self._nest(body, corners.static))

    def _tested(self, body: ir.Body, proof: Proof, static: Proof) -> Iterator[str]:
        seen: set[str] = set()
        for node in ir.walk(body):
            text = ""
            if (
                isinstance(node, (ir.If, ir.Select))
                and id(node) in proof.assumed
                and id(node) not in static.assumed
            ):
                text = printer.expression(node.condition)
                text = text if text.startswith("(") else f"({text})"
                text = f"all{text}" if proof.assumed[id(node)] else f"not any{text}"
            elif isinstance(node, (ir.Load, ir.Store)) and id(node) in proof.safe - static.safe:
                text = f"inside({_access(node)})"
            if text and text not in seen:
                seen.add(text)
                yield text

    def _nest(self, body: ir.Body, proof: Proof) -> Iterator[str]:
        """Print the loops over a block's threads, and its body."""
        x, y, z = self.plan.function.block
        depth = 0
        for axis, extent in (("z", z), ("y", y)):
            if extent > 1:
                in_step = axis == "y" and proof.fast and self.together.worth(body)
                note = f"  # {ROWS} rows in step" if in_step else ""
                yield "    " * depth + f"for thread_idx.{axis} in range({extent}):{note}"
                depth += 1
        if self.plan.by_rows:
            yield "    " * depth + "for block_idx.x in row:"
            depth += 1
        yield "    " * depth + f"for thread_idx.x in lanes({x}):  # {self.frame.lanes} at a time"
        kept = (set(variables(body)) | assigned(body)) & self.plan.pure.keys()
        recomputed = [n for n in self.plan.pure if n in self._needed(kept)]
        lines = [f"{n} = {printer.expression(self.plan.pure[n])}" for n in recomputed]
        rest = [*lines, *self._body(body, proof)]
        yield from ("    " * (depth + 1) + line for line in rest)

    def _needed(self, names: set[str]) -> set[str]:
        grown = set(names)
        for name in names:
            grown |= self._needed(set(variables(self.plan.pure[name])))
        return grown

    def _body(self, body: ir.Body, proof: Proof) -> Iterator[str]:
        for stmt in body:
            known = proof.assumed.get(id(stmt))
            if isinstance(stmt, ir.If) and known is not None:
                yield from self._body(stmt.then if known else stmt.orelse, proof)
            elif isinstance(stmt, ir.Assign) and stmt.name in self.plan.pure:
                continue
            elif isinstance(stmt, (ir.If, ir.For, ir.While, ir.Block)):
                yield from self._compound(stmt, proof)
            else:
                yield from (line + self._remark(stmt, proof) for line in printer.body((stmt,)))

    def _compound(self, stmt: ir.If | ir.For | ir.While | ir.Block, proof: Proof) -> Iterator[str]:
        head = next(iter(printer.body((stmt,))))
        yield head + self._remark(stmt, proof)
        yield from _indented(self._body(stmt.then if isinstance(stmt, ir.If) else stmt.body, proof))
        if isinstance(stmt, ir.If) and stmt.orelse:
            yield "else:"
            yield from _indented(self._body(stmt.orelse, proof))

    def _remark(self, stmt: ir.Stmt, proof: Proof) -> str:
        own = [c for c in ir.children(stmt) if isinstance(c, ir.Expr)]
        nodes = [n for n in ir.walk(*own) if isinstance(n, ir.Load)] + (
            [stmt] if isinstance(stmt, ir.Store) else []
        )
        tested = [_access(n) for n in nodes if id(n) not in proof.safe]
        return f"  # tested: {', '.join(dict.fromkeys(tested))}" if tested else ""


def _masked(masked: bool) -> str:
    return "  # thread by thread" if masked else ""


def _access(node: ir.Load | ir.Store) -> str:
    return f"{node.memory.name}[{', '.join(printer.expression(i) for i in node.indices)}]"


def _indented(lines: Iterator[str]) -> Iterator[str]:
    empty = True
    for line in lines:
        empty = False
        yield "    " + line
    if empty:
        yield "    pass"
