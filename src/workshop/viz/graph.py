"""The picture of a graph: what goes in on top, each op as a box with the type it makes, outputs below."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from workshop.graph import Graph
from workshop.viz import look
from workshop.viz.layers import Point, arrange, port_offset
from workshop.viz.scene import Box, Label, Scene, Wire, text_width

DRAWN = 80  # ops; more would be too small to read
PAD, HEIGHT, GAP, HEAD = 14, 46, 30, 7
FLATTEST, SPREAD = 0.6, 0.5  # radians: an arrow's head leans no more, to stay off the box; half its angle
TONES = {  # kind of box: fill, outline, colour of its name
    "input": ("read.soft", "read.mark", "read.text"),
    "weight": ("panel", "read.mark", "read.text"),
    "constant": ("panel", "quiet", "literal"),
    "op": ("panel", "quiet", "accent"),
    "output": ("write.soft", "write.mark", "write.text"),
}


@dataclass(slots=True, eq=False)
class Spot:
    """One box: its kind, the words in it, and the boxes it reads from (one entry for each use)."""

    kind: str
    name: str
    note: str
    sources: list[Spot] = field(default_factory=list)

    @property
    def width(self) -> float:
        """How wide the box is, in pixels."""
        return max(72, 24 + text_width(self.name, 14, True), 20 + text_width(self.note, 12, True))


@dataclass(frozen=True, slots=True)
class GraphPicture:
    """A graph as a picture in a notebook, and as its listing where there is only text.

    `.svg()` gives it to a page of one theme, `.html()` to a deck.
    """

    graph: Graph

    def scene(self) -> Scene:
        """Lay the picture out."""
        spots = read_graph(self.graph)
        rows, ends = arrange([spot.width for spot in spots], _uses(spots))
        places = [p for row in rows for p in row.values()] + [p for path in ends.values() for p in path]
        widest = max((place.x + place.width / 2 for place in places), default=0)
        scene = Scene(2 * PAD + widest, 2 * PAD + len(rows) * (HEIGHT + GAP) - GAP, _alt(self.graph))
        for (_, consumer, port, count), path in ends.items():
            width = spots[consumer].width
            _draw_wire(scene, path, port_offset(width, port, count))
        for at, row in enumerate(rows):
            for n, point in row.items():
                _draw_box(scene, spots[n], point.x - spots[n].width / 2 + PAD, _top(at), n)
        _note_what_is_left_out(scene, self.graph)
        return scene

    def svg(self, theme: look.Theme = look.LIGHT) -> str:
        """Return a standalone SVG file's text."""
        return self.scene().framed("surface").svg(theme, self._id)

    def html(self) -> str:
        """Return an inline SVG that takes its colours from the page (a deck's theme)."""
        return self.scene().svg(None, self._id)

    @property
    def _id(self) -> str:
        return f"graph-{self.graph.name}"

    def _repr_html_(self) -> str:
        return self.scene().image(self._id)

    def __repr__(self) -> str:
        return repr(self.graph)


def draw_graph(graph: Graph) -> GraphPicture:
    """Draw a graph: inputs and weights blue, outputs orange, every op with the type of what it makes.

    Wires run downwards; those of an op arrive in the order of its inputs. At most 80 ops are drawn.

    >>> from workshop.graph import TensorType
    >>> from workshop.dtype import DType
    >>> draw_graph(Graph("twice", lambda x: x + x, [TensorType(DType.int32, [3])]))
    graph twice(%0: int32[3]) -> int32[3]
      %1 = add(%0, %0) : int32[3]
      output %1
    """
    return GraphPicture(graph)


def read_graph(graph: Graph) -> list[Spot]:
    """List the boxes of a graph: inputs and weights, ops in their order, outputs."""
    made: dict[Any, Spot] = {}
    spots: list[Spot] = []

    def add(spot: Spot, values: Any) -> None:
        spots.append(spot)
        made.update((value, spot) for value in values)

    for number, value in enumerate(graph.inputs):
        add(Spot("input", f"input {number}" if len(graph.inputs) > 1 else "input", str(value.type)), [value])
    for weight, value in graph.weights.values():
        add(Spot("weight", f"@{weight.name}", str(weight.type)), [value])
    for node in graph.nodes[:DRAWN]:
        sources = [made[value] for value in (*node.inputs, *_captured(node)) if value in made]
        add(Spot(*_words(node), sources), node.outputs)
    for value in graph.outputs:
        if value in made:
            add(Spot("output", "output", str(value.type), [made[value]]), [])
    return spots


def _captured(node: Any) -> list[Any]:
    """The outer values that the branches of a cond or while_loop use."""
    blocks = [block for block in node.attributes.values() if isinstance(block, Graph)]
    return list(dict.fromkeys(value for block in blocks for value in block.captured))


def _words(node: Any) -> tuple[str, str, str]:
    """Kind, name and note of an op's box."""
    types = ", ".join(str(value.type) for value in node.outputs)
    if node.op.name == "custom":
        return "op", f'custom "{node.attributes["name"]}"', types
    if node.op.name == "constant":
        value = node.attributes["value"]
        return "constant", f"{value.item():g}" if value.size == 1 else "constant", types
    return "op", node.op.name, types


def _uses(spots: list[Spot]) -> list[tuple[int, int, int, int]]:
    """Every use as (producer, consumer, which of its inputs, of how many)."""
    place = {id(spot): n for n, spot in enumerate(spots)}
    return [
        (place[id(source)], n, port, len(spot.sources))
        for n, spot in enumerate(spots)
        for port, source in enumerate(spot.sources)
    ]


def _top(row: int) -> float:
    return PAD + row * (HEIGHT + GAP)


def _draw_box(scene: Scene, spot: Spot, x: float, y: float, number: int) -> None:
    fill, outline, ink = TONES[spot.kind]
    middle = x + spot.width / 2
    scene.add(
        Box(x, y, spot.width, HEIGHT, fill, outline, f"box-{number}", radius=look.RADIUS_PX),
        Label(middle, y + 20, spot.name, ink, 14, "middle", True, True),
        Label(middle, y + 37, spot.note, "quiet", 12, "middle", True),
    )


def _draw_wire(scene: Scene, path: list[Point], port: float) -> None:
    """Draw one use, from below its producer through the gaps between boxes to its place on the consumer."""
    first, *between, last = path
    x, y = first.x + PAD, _top(first.row) + HEIGHT
    for point in between:
        scene.add(Wire(x, y, point.x + PAD, _top(point.row)))
        x, y = point.x + PAD, _top(point.row) + HEIGHT
        scene.add(Wire(x, _top(point.row), x, y))
    to_x, to_y = last.x + port + PAD, _top(last.row) - 1
    scene.add(Wire(x, y, to_x, to_y))
    slant = max(-FLATTEST, min(FLATTEST, math.atan2(to_x - x, to_y - y)))
    for side in (-SPREAD, SPREAD):  # the head of the arrow: two short strokes
        angle = slant + side
        scene.add(Wire(to_x - HEAD * math.sin(angle), to_y - HEAD * math.cos(angle), to_x, to_y))


def _note_what_is_left_out(scene: Scene, graph: Graph) -> None:
    missing = len(graph.nodes) - DRAWN
    if missing > 0:
        text = f"{missing} more ops are not drawn; print(graph) lists them"
        scene.add(Label(PAD, scene.height + 6, text, "quiet", 12))
        scene.height += 20
        scene.width = max(scene.width, 2 * PAD + text_width(text, 12))


def _alt(graph: Graph) -> str:
    counts = (
        (len(graph.inputs), "input"),
        (len(graph.weights), "weight"),
        (len(graph.nodes), "op"),
        (len(graph.outputs), "output"),
    )
    told = ", ".join(f"{count} {word}{'s' * (count != 1)}" for count, word in counts)
    return f"Graph {graph.name}: {told}"
