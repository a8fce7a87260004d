"""The picture of who touched what: arrays, threads, and a wire for every read and write of a real run."""

from __future__ import annotations

from dataclasses import dataclass

from workshop.viz import look
from workshop.viz.plan import CELL, GAP, LEFT, PAD, Corner, Key, Plan, plan, sources_and_targets
from workshop.viz.scene import Box, Label, Scene, Wire, text_width
from workshop.viz.story import Dim3, Index, Story, Strip, Touch, figure, short

WIRED_THREADS = 16  # above this a wire for every access would be a tangle
DRAWN_ELEMENTS = 256  # above this an array is cut, and the picture says so


@dataclass(frozen=True, slots=True)
class Picture:
    """Who read and wrote each element in one run; shows itself in a notebook.

    `.svg()`, `.matplotlib()` and `.html()` give it to a page, a plot or a deck.
    """

    story: Story
    id: str

    def scene(self) -> Scene:
        """Lay the picture out."""
        wired = len(self.story.threads) <= WIRED_THREADS and all(len(s.shape) == 1 for s in self.story.strips)
        return _wired(self.story) if wired else _tabled(self.story)

    def svg(self, theme: look.Theme = look.LIGHT) -> str:
        """Return a standalone SVG file's text."""
        return self.scene().framed("surface").svg(theme, self.id)

    def html(self) -> str:
        """Return an inline SVG that takes its colours from the page (a deck's theme)."""
        return self.scene().svg(None, self.id)

    def matplotlib(self, theme: look.Theme = look.LIGHT) -> object:
        """Return a matplotlib Figure."""
        return self.scene().matplotlib(theme)

    def _repr_html_(self) -> str:
        return self.scene().image(self.id)

    def __repr__(self) -> str:
        story = self.story
        lines = [f"{story.kernel}, grid {story.grid}, block {story.block}"]
        for at, strip in enumerate(story.strips):
            for verb, who in (("read", story.who("read")), ("written", story.who("write"))):
                touched = [index for index in strip.indices() if (at, index) in who]
                outside = [index for (s, index) in who if s == at and not strip.holds(index)]
                if touched or outside:
                    extra = f", {len(outside)} outside" if outside else ""
                    lines.append(f"  {_title(strip)}: {len(touched)} of {strip.size} {verb}{extra}")
        return "\n".join(lines)


def _title(strip: Strip) -> str:
    block = (
        ""
        if strip.block is None
        else f" of block {strip.block[0] if strip.block[1:] == (0, 0) else strip.block}"
    )
    return f"{strip.name}{block}"


def alt_text(story: Story) -> str:
    """Say in one sentence what the picture shows."""
    names = ", ".join(dict.fromkeys(strip.name for strip in story.strips))
    threads = len(story.threads)
    return (
        f"Which thread read and wrote which element of {names} when {story.kernel} ran on {threads} threads"
    )


# -- few threads, 1D: wires ----------------------------------------------------------------------------


def _wired(story: Story) -> Scene:
    made = plan(story)
    scene = Scene(made.width, made.height, alt_text(story))
    for box in made.boxes(story).values():
        scene.add(Box(*box, "panel", "line", radius=look.RADIUS_PX))
    wires = {
        _wire(story, made, touch, "fault" if step.fault else step.kind)
        for step in story.steps
        for touch in step.touches
        if touch.strip >= 0
    }
    scene.add(*sorted(wires, key=lambda wire: (wire.colour, wire.x, wire.y, wire.to_x, wire.to_y)))
    for label in made.labels:
        if label.text.startswith("block "):  # wires pass here: the words stay readable
            scene.add(Box(label.x - 2, label.y - 11, text_width(label.text, 12) + 2, 15, "panel", ""))
        scene.add(label)
    idle = set(story.threads) - {(t.block, t.thread) for step in story.steps for t in step.touches}
    if any(step.fault for step in story.steps):
        idle = set()  # the run ended early: nobody knows who would have been idle
    failed = {(t.block, t.thread) for step in story.steps if step.fault for t in step.touches}
    for key, (x, y) in made.threads.items():
        fill, line, ink = "surface", "quiet", "ink"
        if key in idle | failed:
            fill, line, ink = (
                f"{'fault' if key in failed else 'idle'}.{part}" for part in ("soft", "mark", "text")
            )
        scene.add(Box(x, y, CELL, CELL, fill, line, dashed=key in idle, radius=CELL / 2))
        scene.add(_centred(x, y, short(key[1], story.block), ink))
    for cell, corner in made.cells.items():
        _draw_cell(scene, story, cell, corner)
    return scene


def _wire(story: Story, made: Plan, touch: Touch, kind: str) -> Wire:
    x, y = made.threads[touch.block, touch.thread]
    cell_x, cell_y = made.cells[touch.strip, touch.index]
    key = (touch.strip, touch.index)
    both = key in story.who("read") and key in story.who("write")
    shift = {"read": -6, "write": 6}.get(kind, 0) if both else 0  # reads keep left, writes keep right
    above = cell_y < y
    start, end = (y, cell_y + CELL) if above else (y + CELL, cell_y)
    return Wire(x + CELL / 2 + shift, start, cell_x + CELL / 2 + shift, end, f"{kind}.mark")


def _draw_cell(scene: Scene, story: Story, key: Key, corner: Corner) -> None:
    (at, index), (x, y) = key, corner
    strip, values = story.strips[at], story.end()
    inside = strip.holds(index)
    touched = any((touch.strip, touch.index) == key for step in story.steps for touch in step.touches)
    tone = "shared" if strip.space == "shared" else "write" if key in story.who("write") else "read"
    if any(
        step.fault and (touch.strip, touch.index) == key for step in story.steps for touch in step.touches
    ):
        tone = "fault"
    fill, line = (f"{tone}.soft", f"{tone}.mark") if touched or tone == "fault" else ("surface", "idle.mark")
    scene.add(Box(x, y, CELL, CELL, fill, line, _cell_id(at, index), dashed=not touched or not inside))
    scene.add(
        _centred(
            x,
            y,
            figure(values[key]) if key in values else "?" if inside else "out",
            f"{tone}.text" if touched else "quiet",
        )
    )
    writers = story.who("write").get(key, [])
    if len(writers) > 1:
        scene.add(Label(x + CELL, y - 3, f"{len(writers)} writers", "fault.text", 12, "end", bold=True))


def _cell_id(at: int, index: Index) -> str:
    return f"cell-{at}-{'-'.join(map(str, index))}"


def _centred(x: float, y: float, text: str, colour: str) -> Label:
    size = 13.0
    while text_width(text, size, True) > CELL - 3 and size > 9:
        size -= 1
    return Label(x + CELL / 2, y + CELL / 2 + size * 0.36, text, colour, size, "middle", True)


# -- many threads, or 2D: every element names who wrote it ---------------------------------------------


def _tabled(story: Story) -> Scene:
    scene = Scene(alt=alt_text(story))
    y = float(PAD)
    sources, targets = sources_and_targets(story)
    shared = [at for at, strip in enumerate(story.strips) if strip.space == "shared"]
    for at in [*sources, *shared, *targets]:
        strip = story.strips[at]
        y = _table(scene, story, at, strip, y)
    scene.height = y
    return scene


def _table(scene: Scene, story: Story, at: int, strip: Strip, y: float) -> float:
    """Draw one array as rows of cells, each with its value and the thread that wrote it, else read it."""
    writers, readers, values = story.who("write"), story.who("read"), story.end()
    columns = strip.shape[-1] if len(strip.shape) > 1 else min(strip.size, 16)
    many = len(dict.fromkeys(block for block, _ in story.threads)) > 1
    width, height = (58, 40) if story.block[1] > 1 or many else (46, 40)
    outside = sorted({i for (s, i) in [*writers, *readers] if s == at and not strip.holds(i)})
    shown = list(strip.indices())[:DRAWN_ELEMENTS]
    scene.add(Label(PAD, y + 14, _title(strip), bold=True, code=True))
    scene.add(Label(PAD, y + 30, f"{strip.dtype} {list(strip.shape)}", "quiet", 12))
    for n, index in enumerate([*shown, *outside]):
        row, column = divmod(n, columns)
        key = (at, index)
        doers = writers.get(key) or readers.get(key) or []
        tone = "fault" if index in outside else "write" if key in writers else "read" if doers else "idle"
        if strip.space == "shared" and tone == "write":
            tone = "shared"
        cell_x, cell_y = LEFT + column * (width + GAP), y + row * (height + GAP)
        fill = "surface" if tone == "idle" else f"{tone}.soft"
        scene.add(
            Box(
                cell_x,
                cell_y,
                width,
                height,
                fill,
                f"{tone}.mark",
                _cell_id(at, index),
                tone in ("idle", "fault"),
            )
        )
        text = figure(values[key]) if key in values else "out" if index in outside else "?"
        scene.add(Label(cell_x + width / 2, cell_y + 16, text, f"{tone}.text", 13, "middle", True, True))
        if doers:
            scene.add(
                Label(
                    cell_x + width / 2,
                    cell_y + 32,
                    _doer(story, doers, many),
                    f"{tone}.text",
                    12,
                    "middle",
                    True,
                )
            )
        scene.width = max(scene.width, cell_x + width + PAD)
    rows = -(-(len(shown) + len(outside)) // columns)
    y += max(rows * (height + GAP), 40) + PAD
    if strip.size > DRAWN_ELEMENTS:
        scene.add(Label(LEFT, y, f"{strip.size - DRAWN_ELEMENTS} more elements are not drawn", "quiet", 12))
        y += PAD + 8
    return y


def _doer(story: Story, doers: list[tuple[Dim3, Dim3]], many: bool) -> str:
    block, thread = doers[0]
    name = f"t{short(thread, story.block)}"
    if many:
        name = f"b{short(block, story.grid)} {name}"
    return name if len(doers) == 1 else f"{name}+{len(doers) - 1}"
