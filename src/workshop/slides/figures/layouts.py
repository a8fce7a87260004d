"""Layouts as coloured grids: the number and the colour of a cell say where in memory it lies."""

from __future__ import annotations

from collections.abc import Sequence

from workshop.slides.figures.svg import figure, ink, rect, text
from workshop.viz.look import LIGHT, ink_on, lane_colour

_CELL = 78.0


def layout_grids(
    grids: Sequence[tuple[str, str, Sequence[Sequence[int]]]],
    name: str = "figure-layouts",
    width: float = 1152,
) -> str:
    """Draw each `(title, note, offsets[row][column])` as a grid, and under all the memory they number."""
    size = 1 + max(offset for *_, rows in grids for row in rows for offset in row)
    gap = (width - sum(_CELL * len(rows[0]) for *_, rows in grids)) / max(len(grids) - 1, 1)
    parts: list[str] = []
    x, deepest = 0.0, 0.0
    for title, note, rows in grids:
        parts.append(text(x + 2, 12, title, 22, anchor="start", weight=600, css="mono"))
        parts.append(text(x + 2, 42, note, 20, ink("quiet"), anchor="start", css="mono"))
        for r, row in enumerate(rows):
            parts += [_cell(x + c * _CELL, 64 + r * _CELL, offset, size) for c, offset in enumerate(row)]
        x += _CELL * len(rows[0]) + gap
        deepest = max(deepest, 64 + _CELL * len(rows))
    parts += _memory(deepest + 40, size, width)
    label = "; ".join(f"{title}: {[list(row) for row in rows]}" for title, _, rows in grids)
    return figure(name, width, deepest + 40 + 32 + _CELL, parts, label)


def _memory(y: float, size: int, width: float) -> list[str]:
    pitch = width / size
    parts = [text(2, y + 8, "the same memory, in order of address", fill=ink("quiet"), anchor="start")]
    return parts + [_cell(n * pitch, y + 30, n, size, pitch) for n in range(size)]


def _cell(x: float, y: float, offset: int, size: int, wide: float = _CELL) -> str:
    fill = lane_colour(LIGHT, offset, size)
    label = text(x + wide / 2, y + _CELL / 2, offset, 24, ink_on(fill), weight=600)
    return rect(x + 2, y + 2, wide - 4, _CELL - 4, fill) + label
