"""The picture of a Transformer block: the stream of rows, and what its two branches do to it.

The shapes are those of the block's own weights.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from workshop.viz.scene import Box, Label, Scene, Wire

STREAM, NORM, PROJECT, TURN, JOIN, MIX, OUT = 36, 66, 286, 434, 546, 676, 838  # where columns begin
HIGH, ROW, TOP = 46, 62, 56  # a box, from one row to the next, the first row
NORM_WIDTH, SPLIT = 194, 272  # a norm, and where its output parts
WIDTH, HEIGHT = 980, 500


def block_picture(block: Any) -> Scene:
    """Draw a `nn.TransformerBlock` of a Llama: weights in blue, the cache in orange, arithmetic in white."""
    shapes = {name: str(weight.shape) for name, weight in block.raw_state_dict().items()}
    width = shapes["input_layernorm.weight"].strip("[]")
    scene = Scene(WIDTH, HEIGHT, f"A Transformer block: two branches on a stream of rows of {width} numbers")
    scene.add(Wire(STREAM, 34, STREAM, HEIGHT - 34, "ink", 4), *_tip(STREAM, HEIGHT - 34))
    stream = f"x: one row of {width} numbers for each token"
    scene.add(Label(STREAM - 20, 22, stream, bold=True), Label(STREAM - 20, HEIGHT - 10, stream, bold=True))
    _attention(scene, shapes, TOP)
    _feed_forward(scene, shapes, TOP + 4 * ROW)
    return scene


def _attention(scene: Scene, shapes: Mapping[str, str], top: float) -> None:
    rows = [top + row * ROW for row in range(3)]
    middle = rows[1] + HIGH / 2
    for start, end in ((STREAM, NORM), (NORM + NORM_WIDTH, PROJECT), (MIX + 140, OUT)):
        scene.add(Wire(start, middle, end, middle))
    scene.add(Wire(SPLIT, rows[0] + HIGH / 2, SPLIT, rows[2] + HIGH / 2))
    for row in rows:
        scene.add(Wire(SPLIT, row + HIGH / 2, MIX, row + HIGH / 2))
    _weight(scene, shapes, "input_layernorm", NORM, rows[1], NORM_WIDTH)
    for name, row in zip(("q_proj", "k_proj", "v_proj"), rows, strict=True):
        _weight(scene, shapes, f"self_attn.{name}", PROJECT, row, 124)
    _step(scene, TURN, rows[0], 88, rows[1] + HIGH - rows[0], "rotate", "by position")
    _cache(scene, rows[1], rows[2] + HIGH - rows[1])
    _step(scene, MIX, rows[0], 140, rows[2] + HIGH - rows[0], "softmax(q k') v", "each head by itself")
    _weight(scene, shapes, "self_attn.o_proj", OUT, rows[1], 124)
    _back(scene, OUT + 62, rows[1] + HIGH, rows[2] + HIGH + 18)


def _feed_forward(scene: Scene, shapes: Mapping[str, str], top: float) -> None:
    rows = [top, top + ROW]
    middle = top + (ROW + HIGH) / 2
    for start, end in ((STREAM, NORM), (NORM + NORM_WIDTH, SPLIT), (JOIN + 108, MIX)):
        scene.add(Wire(start, middle, end, middle))
    scene.add(Wire(SPLIT, rows[0] + HIGH / 2, SPLIT, rows[1] + HIGH / 2))
    for row in rows:
        scene.add(Wire(SPLIT, row + HIGH / 2, JOIN, row + HIGH / 2))
    _weight(scene, shapes, "post_attention_layernorm", NORM, middle - HIGH / 2, NORM_WIDTH)
    for name, row in zip(("gate_proj", "up_proj"), rows, strict=True):
        _weight(scene, shapes, f"mlp.{name}", PROJECT, row, 124)
    _step(scene, TURN, rows[0], 88, HIGH, "silu", "the gate")
    _step(scene, JOIN, rows[0], 108, rows[1] + HIGH - rows[0], "multiply", "gate and value")
    _weight(scene, shapes, "mlp.down_proj", MIX, middle - HIGH / 2, 140)
    _back(scene, MIX + 70, middle + HIGH / 2, rows[1] + HIGH + 18)


def _weight(scene: Scene, shapes: Mapping[str, str], name: str, x: float, y: float, width: float) -> None:
    _box(scene, x, y, width, HIGH, "read", name.split(".")[-1], shapes[f"{name}.weight"])


def _cache(scene: Scene, y: float, height: float) -> None:
    _box(scene, JOIN, y, 108, height, "write", "KV cache", "earlier tokens")


def _step(scene: Scene, x: float, y: float, width: float, height: float, name: str, more: str) -> None:
    _box(scene, x, y, width, height, "", name, more)


def _box(
    scene: Scene, x: float, y: float, width: float, height: float, tone: str, name: str, more: str
) -> None:
    fill, line, ink = "surface", "quiet", "ink"
    if tone:
        fill, line, ink = f"{tone}.soft", f"{tone}.mark", f"{tone}.text"
    middle, centre = y + height / 2, x + width / 2
    scene.add(Box(x, y, width, height, fill, line))
    scene.add(Label(centre, middle - 3, name, ink, 13, "middle", bold=True))
    scene.add(Label(centre, middle + 15, more, ink, 12, "middle", code=more.startswith("[")))


def _back(scene: Scene, x: float, y: float, low: float) -> None:
    """Lead a branch down and back to the stream, where it is added."""
    scene.add(Wire(x, y, x, low), Wire(x, low, STREAM, low))
    scene.add(Box(STREAM - 12, low - 12, 24, 24, "surface", "ink", radius=12))
    scene.add(Label(STREAM, low + 6, "+", "ink", 18, "middle", bold=True))


def _tip(x: float, y: float) -> list[Wire]:
    return [Wire(x + side, y - 9, x, y, "ink", 4) for side in (-7, 7)]
