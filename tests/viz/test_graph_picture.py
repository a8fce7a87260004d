"""The picture of a graph: every use is a wire, wires run down and around boxes, boxes keep apart."""

import math
from xml.etree import ElementTree

import pytest

from workshop.dtype import DType
from workshop.graph import Graph, TensorType, ops
from workshop.nn import Linear, Sequential
from workshop.viz.graph import DRAWN, GAP, HEIGHT, PAD, draw_graph
from workshop.viz.layers import arrange
from workshop.viz.scene import Box, Label, Scene, Wire, text_width

F32 = DType.float32
MATRIX = TensorType(F32, [4, 4])


def softmax(x):
    shares = ops.exp(x - ops.max(x))
    return shares / ops.sum(shares)


def tangle(x, y, z):
    swapped = ops.concat(ops.split(x, [2, 2], 1)[::-1], 1)
    return [swapped * 2 + (y @ z), ops.tanh(x).sum(), x * z, y]


def mlp(x):
    return Sequential([Linear(4, 8, has_bias=True), Linear(8, 2)])(x)


GRAPHS = {
    "addition": Graph("addition", lambda a, b: a + b, [MATRIX, MATRIX]),
    "softmax": Graph("softmax", softmax, [MATRIX]),
    "tangle": Graph("tangle", tangle, [MATRIX, MATRIX, MATRIX]),
    "mlp": Graph("mlp", mlp, [TensorType(F32, ["batch", 4])]),
    "deep": Graph("deep", lambda x: x * sum(range(3)) + ops.tanh(ops.tanh(ops.tanh(x))) + x, [MATRIX]),
    "empty": Graph("empty", list, []),
}
EVERY = pytest.mark.parametrize("graph", GRAPHS.values(), ids=GRAPHS)


def boxes(scene: Scene) -> list[Box]:
    return [shape for shape in scene.shapes if isinstance(shape, Box)]


def words(graph: Graph) -> list[str]:
    return [shape.text for shape in draw_graph(graph).scene().shapes if isinstance(shape, Label)]


def inside(box: Box, x: float, y: float) -> bool:
    return box.x < x < box.x + box.width and box.y < y < box.y + box.height


@EVERY
def test_boxes_keep_apart_and_everything_is_inside(graph: Graph) -> None:
    scene = draw_graph(graph).scene()
    for n, box in enumerate(boxes(scene)):
        assert box.x >= 0 and box.y >= 0
        assert box.x + box.width <= scene.width and box.y + box.height <= scene.height
        for other in boxes(scene)[n + 1 :]:
            apart = max(other.x - box.x - box.width, box.x - other.x - other.width)
            assert box.y != other.y or apart >= 20, (box, other)
    for wire in (shape for shape in scene.shapes if isinstance(shape, Wire)):
        for x, y in ((wire.x, wire.y), (wire.to_x, wire.to_y)):
            assert 0 <= x <= scene.width and 0 <= y <= scene.height


@EVERY
def test_wires_pass_around_boxes(graph: Graph) -> None:
    scene = draw_graph(graph).scene()
    for wire in (shape for shape in scene.shapes if isinstance(shape, Wire)):
        steps = max(2, math.ceil(abs(wire.to_y - wire.y)))
        for step in range(1, steps):
            x = wire.x + (wire.to_x - wire.x) * step / steps
            y = wire.y + (wire.to_y - wire.y) * step / steps
            assert not any(inside(box, x, y) for box in boxes(scene)), (wire, x, y)


@EVERY
def test_words_fit_their_boxes(graph: Graph) -> None:
    scene = draw_graph(graph).scene()
    for label in (shape for shape in scene.shapes if isinstance(shape, Label)):
        box = next(box for box in boxes(scene) if inside(box, label.x, label.y))
        assert text_width(label.text, label.size, label.code) <= box.width and label.size >= 12


def test_a_wire_for_every_use() -> None:
    def heads(graph: Graph) -> int:  # an arrow's head is two short strokes
        shapes = draw_graph(graph).scene().shapes
        wires = [s for s in shapes if isinstance(s, Wire)]
        return sum(math.hypot(w.to_x - w.x, w.to_y - w.y) < GAP / 2 for w in wires) // 2

    assert heads(GRAPHS["addition"]) == 3
    assert heads(GRAPHS["softmax"]) == 8
    assert heads(Graph("twice", lambda x: x + x, [MATRIX])) == 3


def test_inputs_weights_ops_and_outputs_have_their_names_and_types() -> None:
    told = words(GRAPHS["mlp"])
    assert {"input", "@0.weight", "@0.bias", "@1.weight", "matmul", "output"} <= set(told)
    assert told.count("float32[batch, 8]") == 2 and "float32[8]" in told
    assert {"input 0", "input 2"} <= set(words(GRAPHS["tangle"]))
    assert "2" in words(Graph("doubled", lambda x: x * 2, [MATRIX]))


def test_what_a_branch_uses_is_joined_to_it() -> None:
    def choose(x, y):
        return ops.cond(x.sum().sum(0).reshape([]) > 0, [MATRIX], lambda: y * 2, lambda: y)[0]

    graph = Graph("choose", choose, [MATRIX, MATRIX])
    spots = {label: n for n, label in enumerate(words(graph)[::2])}
    assert {"cond", "input 1"} <= set(spots)
    row = {box.id: box.y for box in boxes(draw_graph(graph).scene())}
    assert row["box-1"] == row[f"box-{spots['cond']}"] - HEIGHT - GAP  # right above: a wire joins them


def test_what_uses_nothing_stands_right_above_its_first_consumer() -> None:
    rows, _ = arrange([50] * 5, [(0, 1, 0, 1), (1, 2, 0, 1), (2, 4, 0, 2), (3, 4, 1, 2)])
    assert [sorted(row) for row in rows] == [[0], [1], [2, 3], [4]]


def test_inputs_of_an_op_arrive_in_their_order() -> None:
    graph = Graph("minus", lambda a, b: b - a, [MATRIX, MATRIX])
    first, second, *_ = boxes(draw_graph(graph).scene())
    scene = {label.text: label.x for label in draw_graph(graph).scene().shapes if isinstance(label, Label)}
    assert scene["input 1"] < scene["sub"] < scene["input 0"] and first.y == second.y == PAD


def test_a_large_graph_is_cut_and_says_so() -> None:
    def long(x):
        for _ in range(DRAWN + 20):
            x = ops.tanh(x)
        return x

    told = words(Graph("long", long, [MATRIX]))
    assert told.count("tanh") == DRAWN
    assert "20 more ops are not drawn; print(graph) lists them" in told


def test_picture_is_the_same_every_time_and_text_is_the_listing() -> None:
    graph = GRAPHS["tangle"]
    picture = draw_graph(graph)
    assert picture.svg() == draw_graph(Graph("tangle", tangle, [MATRIX] * 3)).svg()
    assert repr(picture) == repr(graph)
    root = ElementTree.fromstring(picture.svg())
    ids = [node.get("id") for node in root.iter() if node.get("id")]
    assert ids[0] == "graph-tangle" and len(ids) == len(set(ids))
    assert "Graph tangle: 3 inputs, 0 weights, 9 ops, 4 outputs" in picture._repr_html_()
