"""The picture of a comparison: which elements of an output are as expected, and which are not."""

from __future__ import annotations

import math
from collections.abc import Sequence

from workshop.viz.plan import GAP, PAD
from workshop.viz.scene import Box, Label, Scene, text_width
from workshop.viz.story import Number, figure

COLUMNS, DRAWN = 16, 512
WIDE, SMALL = 46, 14  # cells with numbers in them, cells without


def heat_map(got: Sequence[Number], expected: Sequence[Number], columns: int = COLUMNS) -> Scene:
    """Draw each element: right ones plain, wrong ones marked with what stands there; NaN means never written.

    Up to 64 elements show numbers. At most 512 are drawn; the picture says how many are not.
    """
    numbered = len(got) <= 64
    cell = WIDE if numbered else SMALL
    height = 34 if numbered else SMALL
    scene = Scene(alt=_alt(got, expected))
    top = PAD + 26
    for n in range(min(len(got), DRAWN)):
        row, column = divmod(n, columns if numbered else 2 * columns)
        x = PAD + 34 + column * (cell + GAP / 2)
        y = top + row * (height + GAP / 2)
        if column == 0:
            scene.add(Label(PAD + 28, y + height / 2 + 4, str(n), "quiet", 12, "end", True))
        right = got[n] == expected[n]
        tone = "idle" if right else "fault"
        dashed = isinstance(got[n], float) and math.isnan(got[n])
        scene.add(Box(x, y, cell, height, f"{tone}.soft", f"{tone}.mark", f"cell-{n}", dashed, radius=3))
        if numbered:
            size = 13 if text_width(figure(got[n]), 13, True) < cell else 10
            text = "?" if dashed else figure(got[n])
            label = Label(x + cell / 2, y + 22, text, f"{tone}.text", size, "middle", True, not right)
            scene.add(label)
        scene.width = max(scene.width, x + cell + PAD)
        scene.height = y + height + PAD
    scene.shapes.insert(0, Label(PAD, PAD + 12, _title(got, expected), "ink", 13, bold=True))
    scene.width = max(scene.width, 2 * PAD + text_width(_title(got, expected), 13))
    if len(got) > DRAWN:
        scene.add(
            Label(PAD, scene.height + 6, f"{len(got) - DRAWN} more elements are not drawn", "quiet", 12)
        )
        scene.height += 20
    return scene


def _wrong(got: Sequence[Number], expected: Sequence[Number]) -> int:
    return sum(ours != theirs for ours, theirs in zip(got, expected, strict=True))


def _title(got: Sequence[Number], expected: Sequence[Number]) -> str:
    blank = sum(isinstance(value, float) and math.isnan(value) for value in got)
    title = f"output: {_wrong(got, expected)} of {len(got)} elements differ"
    return f"{title}, {blank} of them never written (?)" if blank else title


def _alt(got: Sequence[Number], expected: Sequence[Number]) -> str:
    return (
        f"Heat map of the output; {_wrong(got, expected)} of {len(got)} elements differ from what is expected"
    )
