"""Who touched which element, and when: a recorded run played step by step, labels large enough for slides."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from math import prod

from workshop.slides.figures.svg import figure, group, ink, line, polygon, rect, text
from workshop.viz.story import Index, Story
from workshop.viz.story import figure as short_number

Access = tuple[
    int, Index, str, Index, str, int
]  # step from 1, thread (x, y, z), array, index, kind, source line

_LARGEST, _GUTTER, _ARROW = 84.0, 96.0, 72.0  # pitch of the cells, room for names, room for arrows


@dataclass(frozen=True, slots=True)
class Panel:
    """Place one array or one block of threads: its shape (rows, columns), first cell's corner, label."""

    name: str
    shape: tuple[int, int]
    x: float
    y: float
    pitch: float
    label: tuple[float, float]

    def cell(self, row: int, column: int) -> tuple[float, float]:
        """Return the centre of a cell."""
        return self.x + (column + 0.5) * self.pitch, self.y + (row + 0.5) * self.pitch


def access_animation(story: Story, name: str, width: float = 560) -> str:
    """Return a figure that plays a run of one block step by step; without JavaScript it shows all steps.

    `name` is the figure's id. ValueError for a run of several blocks or with shared memory.
    """
    if story.grid != (1, 1, 1) or any(strip.space != "global" for strip in story.strips):
        raise ValueError(
            f"{story.kernel} ran on grid {story.grid}; this figure draws one block and global arrays"
        )
    accesses = _accesses(story)
    shapes = {strip.name: strip.shape for strip in story.strips}
    written = {access[2] for access in accesses if access[4] != "read"}
    sources, targets = [n for n in shapes if n not in written], [n for n in shapes if n in written]
    flat = story.block[1:] == (1, 1) and all(len(shape) == 1 for shape in shapes.values())
    boxes = [(array, _rows(shapes[array])) for array in sources]
    boxes += [
        ("threads", (story.block[1], story.block[0])),
        *((array, _rows(shapes[array])) for array in targets),
    ]
    panels, height = (_stacked if flat else _beside)(boxes, width)
    # arrows first: what they pass lies over them
    parts = [_arrow(panels, access) for access in accesses] if flat else _bundles(panels, accesses)
    parts += [_threads(panels["threads"], accesses)]
    parts += [_array(panels[array], _values(story, array), accesses) for array in [*sources, *targets]]
    counts = f"{len(accesses)} accesses in {len(story.steps)} steps by {prod(story.block)} threads"
    return figure(name, width, height, parts, f"{story.kernel}: {counts}", _player(name, story))


def _accesses(story: Story) -> list[Access]:
    return [
        (
            at,
            touch.thread,
            story.strips[touch.strip].name,
            touch.index,
            "read" if step.kind == "read" else "write",
            step.line,
        )
        for at, step in enumerate(story.steps, 1)
        for touch in step.touches
    ]


def _values(story: Story, array: str) -> list[str]:
    """What each element holds after the run, in row-major order; a dot where nothing is known."""
    at = next(n for n, strip in enumerate(story.strips) if strip.name == array)
    known = story.end()
    return [short_number(known[at, i]) if (at, i) in known else "\u00b7" for i in story.strips[at].indices()]


def _rows(shape: tuple[int, ...]) -> tuple[int, int]:
    return (1, shape[0]) if len(shape) == 1 else (prod(shape[:-1]), shape[-1])


def _stacked(boxes: list[tuple[str, tuple[int, int]]], width: float) -> tuple[dict[str, Panel], float]:
    """One row under the other, for one-dimensional launches."""
    pitch = min(_LARGEST, (width - _GUTTER) / max(shape[1] for _, shape in boxes))
    panels = {}
    for at, (name, shape) in enumerate(boxes):
        y = at * (pitch + _ARROW)
        panels[name] = Panel(name, shape, _GUTTER, y, pitch, (0, y + pitch / 2))
    return panels, (len(boxes) - 1) * (pitch + _ARROW) + pitch


def _beside(boxes: list[tuple[str, tuple[int, int]]], width: float) -> tuple[dict[str, Panel], float]:
    """Side by side and centred, for two-dimensional launches."""
    tallest, columns = max(shape[0] for _, shape in boxes), sum(shape[1] for _, shape in boxes)
    pitch = min(_LARGEST, (width - _ARROW * (len(boxes) - 1)) / columns)
    gap = (width - columns * pitch) / max(len(boxes) - 1, 1)
    panels, x = {}, 0.0
    for name, shape in boxes:
        y = 34 + (tallest - shape[0]) * pitch / 2
        panels[name] = Panel(name, shape, x, y, pitch, (x + 4, y - 18))
        x += shape[1] * pitch + gap
    return panels, 34 + tallest * pitch


def _title(panel: Panel) -> str:
    words = "threads (x,y)" if panel.name == "threads" and panel.shape[0] > 1 else panel.name
    return text(*panel.label, words, fill=ink("quiet"), anchor="start", weight=600)


def _threads(panel: Panel, accesses: Sequence[Access]) -> str:
    parts = [_title(panel)]
    rows, columns = panel.shape
    for row in range(rows):
        for column in range(columns):
            mine = {a[0]: a[4] for a in accesses if a[1][:2] == (column, row)}
            x, y = panel.cell(row, column)
            words = str(column) if rows == 1 else f"{column},{row}"
            parts += _disc(x, y, panel.pitch - 12, words, mine)
    return group(parts)


def _disc(x: float, y: float, wide: float, words: str, mine: dict[int, str]) -> list[str]:
    """A thread; dashed and grey where it never touches memory."""
    box = (x - wide / 2, y - wide / 2, wide, wide)
    fill, edge = (ink("surface"), ink("ink")) if mine else (ink("idle-soft"), ink("idle-mark"))
    dash = "none" if mine else "5 5"
    parts = [rect(*box, fill, edge, rx=wide / 2, stroke_dasharray=dash)]
    parts.append(text(x, y, words, fill=ink("ink" if mine else "idle-text"), weight=600))
    for step, kind in mine.items():
        mark = ink(f"{kind}-mark")
        parts.append(rect(*box, mark, mark, rx=wide / 2, css="now", data_step=step))
        parts.append(text(x, y, words, fill=ink(f"{kind}-on"), weight=700, css="now", data_step=step))
    return parts


def _array(panel: Panel, values: Sequence[str], accesses: Sequence[Access]) -> str:
    parts = [_title(panel)]
    for n, value in enumerate(values):
        row, column = divmod(n, panel.shape[1])
        x, y = panel.cell(row, column)
        touched = {a[0]: a[4] for a in accesses if a[2] == panel.name and _flat(a[3], panel.shape[1]) == n}
        wide = panel.pitch - 8
        box = (x - wide / 2, y - wide / 2, wide, wide)
        parts.append(rect(*box, ink("panel"), ink("line")))
        for step, kind in touched.items():
            parts.append(rect(*box, ink(f"{kind}-soft"), ink(f"{kind}-mark"), css="done", data_step=step))
        first = min((step for step, kind in touched.items() if kind == "write"), default=0)
        late: dict[str, object] = {"css": "done", "data_step": first} if first else {}
        parts.append(text(x, y, value, 22, "", weight=600, **late))
    return group(parts)


def _flat(index: Index, columns: int) -> int:
    return index[0] if len(index) == 1 else index[0] * columns + index[1]


def _arrow(panels: dict[str, Panel], access: Access) -> str:
    """From the element to the thread for a read, from the thread to the element for a write."""
    step, thread, array, index, kind, _ = access
    columns = panels[array].shape[1]
    element = panels[array].cell(*divmod(_flat(index, columns), columns))
    who = panels["threads"].cell(thread[1], thread[0])
    (x1, y1), (x2, y2) = (element, who) if kind == "read" else (who, element)
    down = panels["threads"].pitch / 2 if y2 > y1 else -panels["threads"].pitch / 2
    back = down + (14 if down > 0 else -14)
    tip = [(x2, y2 - down), (x2 - 8, y2 - back), (x2 + 8, y2 - back)]
    colour = ink(f"{kind}-mark")
    return group(
        [line(x1, y1 + down, x2, y2 - back, colour), polygon(tip, colour)], css="done arrow", data_step=step
    )


def _bundles(panels: dict[str, Panel], accesses: Sequence[Access]) -> list[str]:
    """One thick arrow for a step's accesses to an array: in two dimensions single ones hide the cells."""
    parts = []
    for (step, array, kind), count in Counter((a[0], a[2], a[4]) for a in accesses).items():
        first, second = (array, "threads") if kind == "read" else ("threads", array)
        left, right = panels[first], panels[second]
        x1, x2 = left.x + left.shape[1] * left.pitch + 6, right.x - 6
        y = left.y + left.shape[0] * left.pitch / 2
        tip = [(x2 - 18, y - 6), (x2 - 18, y - 15), (x2, y), (x2 - 18, y + 15), (x2 - 18, y + 6)]
        words = text((x1 + x2) / 2, y - 32, count, 22, ink(f"{kind}-text"), weight=700)
        arrow = polygon([(x1, y - 6), *tip, (x1, y + 6)], ink(f"{kind}-mark"))
        parts.append(group([arrow, words], css="done arrow", data_step=step))
    return parts


def _player(name: str, story: Story) -> str:
    """The caption, the two buttons and the script that plays the steps."""
    captions = [f"{prod(story.block)} threads are launched"]
    for step in story.steps:
        arrays = ", ".join(dict.fromkeys(story.strips[touch.strip].name for touch in step.touches))
        captions.append(f"{len(step.touches)} threads {step.kind} {arrays} together")
    data = json.dumps({"lines": [0, *(step.line for step in story.steps)], "captions": captions})
    script = (resources.files("workshop.slides.figures") / "access.js").read_text(encoding="utf-8")
    return (
        '<div class="player"><button type="button" data-do="play">Pause</button>'
        '<button type="button" data-do="step">Step</button><span class="caption"></span></div>'
        f"<script>{script.replace('NAME', json.dumps(name)).replace('DATA', data)}</script>"
    )
