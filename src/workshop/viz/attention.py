"""The picture of attention: how much each token takes from each earlier one, head by head."""

from __future__ import annotations

import math
from typing import Any

from workshop.viz.scene import Box, Label, Scene

CELL, GAP, LEFT, TOP = 26, 40, 60, 64
STEPS = 20  # sizes of a square


def attention_picture(weights: Any) -> Scene:
    """Draw weights [heads, tokens, seen]: a row for each token, a larger square where it takes more.

    Where more tokens are seen than have rows, the first ones come from the cache and are marked so.
    """
    heads, tokens, seen = weights.shape
    cached = seen - tokens
    alt = f"Attention of {heads} heads: {tokens} tokens look at {seen}, of which {cached} are cached"
    scene = Scene(LEFT + heads * (seen * CELL + GAP), TOP + tokens * CELL + 20, alt)
    scene.add(Label(LEFT - 8, TOP - 8, "token", "quiet", 12, "end"))
    for row in range(tokens):
        scene.add(Label(LEFT - 8, TOP + row * CELL + 18, str(cached + row), "quiet", 12, "end", True))
    for head in range(heads):
        x = LEFT + head * (seen * CELL + GAP)
        scene.add(Label(x, 20, f"head {head}", bold=True))
        for column in range(seen):
            place = x + column * CELL
            tone = "write.text" if column < cached else "quiet"
            scene.add(Label(place + CELL / 2, TOP - 8, str(column), tone, 12, "middle", True))
            for row in range(tokens):
                _cell(scene, place, TOP + row * CELL, weights[head, row, column], column <= cached + row)
        if cached:
            scene.add(Box(x - 1, TOP - 1, cached * CELL, tokens * CELL, "", "write.mark", radius=4))
            scene.add(Label(x, TOP - 22, "from the cache", "write.text", 12))
    return scene


def _cell(scene: Scene, x: float, y: float, weight: float, allowed: bool) -> None:
    place = CELL - 2
    if not allowed:
        scene.add(Box(x, y, place, place, "", "idle.mark", dashed=True, radius=3, title="not yet"))
        return
    share = round(float(weight) * STEPS) / STEPS  # coarse, so that every machine draws the same picture
    side = place * math.sqrt(share)  # the area is the share
    scene.add(Box(x, y, place, place, "surface", "line", radius=3, title=f"{share:.2f}"))
    if side:
        rest = (place - side) / 2
        scene.add(Box(x + rest, y + rest, side, side, "read.mark", "", radius=3))
