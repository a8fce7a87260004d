"""Where threads and elements stand in a picture of a run: rows for 1D runs, grids for 2D ones."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from workshop.viz.scene import Label, text_width
from workshop.viz.story import Dim3, Index, Story, short

CELL, GAP, LEFT, PAD, WIRES = 34, 4, 116, 14, 44
Key = tuple[int, Index]
Corner = tuple[float, float]


@dataclass(slots=True)
class Plan:
    """The top left corner of each thread, element and block, in pixels, and the words beside them."""

    threads: dict[tuple[Dim3, Dim3], Corner] = field(default_factory=dict)
    cells: dict[Key, Corner] = field(default_factory=dict)
    labels: list[Label] = field(default_factory=list)
    width: float = 0
    height: float = 0

    def boxes(self, story: Story) -> dict[Dim3, tuple[float, float, float, float]]:
        """Return (x, y, width, height) of the box around each block's threads and shared memory."""
        found: dict[Dim3, tuple[float, float, float, float]] = {}
        for block in dict.fromkeys(block for block, _ in self.threads):
            corners = [at for (b, _), at in self.threads.items() if b == block]
            corners += [at for (s, _), at in self.cells.items() if story.strips[s].block == block]
            left, top = min(x for x, _ in corners), min(y for _, y in corners)
            right, bottom = max(x for x, _ in corners) + CELL, max(y for _, y in corners) + CELL
            found[block] = (left - 8, top - 24, right - left + 16, bottom - top + 32)
        return found


def plan(story: Story) -> Plan:
    """Lay a run out: rows where threads and arrays are 1D, else grids side by side."""
    flat = (
        story.block[1:] == (1, 1)
        and story.grid[1:] == (1, 1)
        and all(len(s.shape) == 1 for s in story.strips)
    )
    made = _rows(story) if flat else _grids(story)
    for block, (x, y, *_) in made.boxes(story).items():
        made.labels.append(Label(x + 8, y + 16, f"block {short(block, story.grid)}", "quiet", 12))
    return made


def sources_and_targets(story: Story) -> tuple[list[int], list[int]]:
    """Split the global arrays: those only read (drawn before the threads) and those written (after)."""
    written = {touch.strip for step in story.steps if step.kind == "write" for touch in step.touches}
    written |= {at for at, strip in enumerate(story.strips) if strip.stored}
    ours = [at for at, strip in enumerate(story.strips) if strip.space == "global"]
    return [at for at in ours if at not in written], [at for at in ours if at in written]


def outside(story: Story, at: int) -> list[Index]:
    """List the indices that lie outside array `at` and were touched all the same."""
    touches = (touch for step in story.steps for touch in step.touches if touch.strip == at)
    return sorted({touch.index for touch in touches if not story.strips[at].holds(touch.index)})


def _rows(story: Story) -> Plan:
    """Put read arrays on top, each block's threads and shared memory in its box, written arrays below."""
    sources, targets = sources_and_targets(story)
    made, y = Plan(), float(PAD)
    top = y + len(sources) * (CELL + 24) + (WIRES if sources else 0)
    bottom = _block_row(story, made, top)
    for at in sources:
        _array_row(story, made, at, y + 16)
        made.labels += _indices(made, at, -4)
        y += CELL + 24
    y = bottom + (WIRES if targets else 0)
    for at in targets:
        _array_row(story, made, at, y)
        made.labels += _indices(made, at, CELL + 13)
        y += CELL + 24
    made.labels.append(Label(PAD, top + 24 + CELL / 2 + 5, "threads", bold=True))
    corners = [*made.cells.values(), *made.threads.values()]
    made.width = max(x for x, _ in corners) + CELL + 8 + PAD
    made.height = y + PAD - 6
    return made


def _block_row(story: Story, made: Plan, top: float) -> float:
    """Place threads and shared arrays from `top` down; return where the boxes end."""
    x, lowest, named = LEFT + 8.0, top, False
    for block in dict.fromkeys(block for block, _ in story.threads):
        threads = [thread for b, thread in story.threads if b == block]
        for n, thread in enumerate(threads):
            made.threads[block, thread] = (x + n * (CELL + GAP), top + 24)
        count, bottom = len(threads), top + 24 + CELL
        for at, strip in enumerate(story.strips):
            if strip.block != block:
                continue
            for n, index in enumerate([*strip.indices(), *outside(story, at)]):
                made.cells[at, index] = (x + n * (CELL + GAP), bottom + WIRES)
                count = max(count, n + 1)
            if not named:
                made.labels += _name(strip.name, "shared memory", bottom + WIRES)
            bottom += WIRES + CELL
        named = True
        x += count * (CELL + GAP) + 24
        lowest = max(lowest, bottom + 8)
    return lowest


def _array_row(story: Story, made: Plan, at: int, y: float) -> None:
    """Place element i under thread i, as far as there are threads, and further ones to the right."""
    strip, columns = story.strips[at], [x for x, _ in made.threads.values()]
    for n, index in enumerate([*strip.indices(), *outside(story, at)]):
        while n >= len(columns):
            columns.append((columns[-1] if columns else LEFT) + CELL + GAP)
        made.cells[at, index] = (columns[n], y)
    made.labels += _name(strip.name, strip.dtype, y)


def _name(name: str, below: str, y: float) -> list[Label]:
    return [Label(PAD, y + 15, name, bold=True, code=True), Label(PAD, y + 30, below, "quiet", 12)]


def _indices(made: Plan, at: int, offset: float) -> list[Label]:
    found = [(index, corner) for (strip, index), corner in made.cells.items() if strip == at]
    return [
        Label(x + CELL / 2, y + offset, str(index[0]), "quiet", 12, "middle", True) for index, (x, y) in found
    ]


def _grids(story: Story) -> Plan:
    """Put read arrays on the left, the blocks' threads in the middle, written arrays on the right."""
    sources, targets = sources_and_targets(story)
    made, x = Plan(), float(PAD)
    for at in sources:
        x = _array_grid(story, made, at, x, "end")
    x = _thread_grid(story, made, x)
    for at in targets:
        x = _array_grid(story, made, at, x, "start")
    corners = [*made.cells.values(), *made.threads.values()]
    made.width = x - 40 + PAD
    made.height = max(y for _, y in corners) + CELL + 8 + PAD
    return made


def _array_grid(story: Story, made: Plan, at: int, x: float, side: Literal["start", "end"]) -> float:
    """Draw one array from `x` on, row numbers on the side away from the threads; return where it ends."""
    strip, top = story.strips[at], PAD + 62.0
    left = x + 18 if side == "end" else x
    for index in [*strip.indices(), *outside(story, at)]:
        row, column = index[-2] if len(index) > 1 else 0, index[-1]
        made.cells[at, index] = (left + column * (CELL + GAP), top + row * (CELL + GAP))
    columns = {index[-1]: x for (s, index), (x, _) in made.cells.items() if s == at}
    rows = {index[-2]: y for (s, index), (_, y) in made.cells.items() if s == at and len(index) > 1}
    right = max(columns.values()) + CELL
    made.labels += [
        Label(cx + CELL / 2, top - 5, str(n), "quiet", 12, "middle", True) for n, cx in columns.items()
    ]
    at_x = left - 6 if side == "end" else right + 6
    made.labels += [Label(at_x, cy + CELL / 2 + 4, str(n), "quiet", 12, side, True) for n, cy in rows.items()]
    below = f"{strip.dtype}[{', '.join(map(str, strip.shape))}]"
    made.labels += [
        Label(left, PAD + 15, strip.name, bold=True, code=True),
        Label(left, PAD + 32, below, "quiet", 12),
    ]
    return max(right + 14, left + text_width(below, 12)) + 40


def _thread_grid(story: Story, made: Plan, x: float) -> float:
    step_x, step_y = (n * (CELL + GAP) + 24 for n in story.block[:2])
    for block, thread in story.threads:
        at_x = x + 8 + block[0] * step_x + thread[0] * (CELL + GAP)
        at_y = PAD + 62 + block[1] * (step_y + 16) + thread[1] * (CELL + GAP)
        made.threads[block, thread] = (at_x, at_y)
    label = "threads (x,y)" if story.grid == (1, 1, 1) else "blocks of threads (x,y)"
    made.labels.append(Label(x, PAD + 15, label, bold=True))
    right = max(cx for cx, _ in made.threads.values()) + CELL + 8
    return max(right, x + text_width(label, 13)) + 40
