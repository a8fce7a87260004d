"""Several rows of a block in step: a loop with the same trips for all is written once around their bodies.

In a product of matrices the rows then share what they load, and their sums do not wait for each other.
"""

from __future__ import annotations

from collections.abc import Sequence

from workshop.gpu import ir
from workshop.gpu.analysis import Shapes, leaves, statements
from workshop.gpu.cpu.threads import Threads
from workshop.gpu.regions import Plan

ROWS = 4


class Together:
    """Writes statements for rows in step."""

    def __init__(self, plan: Plan) -> None:
        everywhere = {"x": None, "y": None, "z": None}
        self.shapes = Shapes(plan.function, plan.flow, everywhere)
        self.block = plan.function.block

    def worth(self, body: ir.Body) -> bool:
        """True where rows have a long loop in common."""
        loops = (s for s in statements(body) if isinstance(s, ir.For))
        return self.block[1] % ROWS == 0 and any(self._common(s) and not _short(s) for s in loops)

    def body(self, rows: Sequence[Threads], body: ir.Body) -> None:
        """Write a body for every row."""
        for stmt in body:
            self._statement(rows, stmt)

    def _statement(self, rows: Sequence[Threads], stmt: ir.Stmt) -> None:
        if len(rows) == 1:
            rows[0].statement(stmt)
            return
        known = rows[0].proof.assumed.get(id(stmt))
        if isinstance(stmt, ir.If) and known is not None:
            self.body(rows, stmt.then if known else stmt.orelse)
        elif isinstance(stmt, ir.For) and self._common(stmt) and not rows[0].masks:
            rows[0].count(stmt, rows[1:], lambda: self.body(rows, stmt.body))
        else:
            for threads in rows:
                threads.statement(stmt)

    def _common(self, stmt: ir.For) -> bool:
        bounds = (stmt.start, stmt.stop, stmt.step)
        return not leaves(stmt.body) and all(self.shapes.of(e) == 0 for e in bounds)


def _short(stmt: ir.For) -> bool:
    return (
        isinstance(stmt.start, ir.Constant) and isinstance(stmt.stop, ir.Constant) and stmt.stop.value <= 16
    )
