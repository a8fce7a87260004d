"""Grid, block, warp and lane of one launch, with one thread followed down through all four."""

from __future__ import annotations

from workshop.slides.figures.svg import figure, group, ink, polygon, rect, text
from workshop.viz.look import LIGHT, ink_on, lane_colour

_WIDTH, _LEFT = 1152.0, 210.0
_ROW, _GAP = 66.0, 88.0


def hierarchy(grid: int = 4, block: int = 64, warp: int = 32, follow: int = 165) -> str:
    """Draw a launch of `grid` blocks of `block` threads and follow the thread with global index `follow`."""
    block_at, thread = divmod(follow, block)
    warp_at, lane = divmod(thread, warp)
    rows = [
        ("Grid", f"{grid} blocks", [f"block {n}" for n in range(grid)], block_at),
        ("Block", f"{block} threads", [f"warp {n}" for n in range(block // warp)], warp_at),
        ("Warp", f"{warp} lanes", [str(n) for n in range(warp)], lane),
    ]
    parts: list[str] = []
    for at, (title, count, labels, chosen) in enumerate(rows):
        y = at * (_ROW + _GAP)
        parts += [text(0, y + 19, title, 26, anchor="start", weight=700)]
        parts += [text(0, y + 49, count, fill=ink("quiet"), anchor="start")]
        parts += _cells(labels, chosen, y, lanes=title == "Warp")
        if at < 2:
            parts.append(_zoom(len(labels), chosen, y + _ROW, y + _ROW + _GAP))
    y = 3 * _ROW + 2 * _GAP + 44
    sums = f"{block_at} x {block} + {thread} = {follow}"
    parts.append(
        text(
            _LEFT,
            y,
            "global_idx.x = block_idx.x * block_dim.x + thread_idx.x",
            22,
            anchor="start",
            css="mono",
        )
    )
    parts.append(text(_LEFT, y + 34, sums, 22, ink("accent"), anchor="start", weight=700, css="mono"))
    parts.append(
        text(
            _WIDTH,
            y + 34,
            f"thread {thread} is lane {lane} of warp {warp_at}",
            22,
            ink("accent"),
            anchor="end",
            weight=600,
        )
    )
    label = f"{grid} blocks; block {block_at} has {block // warp} warps; warp {warp_at} has {warp} lanes."
    return figure("figure-hierarchy", _WIDTH, y + 54, parts, label)


def _cells(labels: list[str], chosen: int, y: float, lanes: bool) -> list[str]:
    pitch = (_WIDTH - _LEFT) / len(labels)
    gap = 2.0 if lanes else 10.0
    parts = []
    for n, label in enumerate(labels):
        fill = lane_colour(LIGHT, n, len(labels)) if lanes else ink("panel")
        edge = ink("accent") if n == chosen else ("none" if lanes else ink("line"))
        words = ink_on(fill) if lanes else (ink("accent") if n == chosen else ink("ink"))
        x = _LEFT + n * pitch
        weight = 700 if n == chosen else 400
        parts.append(rect(x + gap / 2, y + 1, pitch - gap, _ROW - 2, fill, edge))
        parts.append(text(x + pitch / 2, y + _ROW / 2, label, 20 if lanes else 22, words, weight=weight))
    if lanes:  # the frame of the followed lane lies over its neighbours
        parts.append(rect(_LEFT + chosen * pitch - 1, y - 4, pitch + 2, _ROW + 8, "none", ink("ink")))
    return [group(parts)]


def _zoom(count: int, chosen: int, top: float, bottom: float) -> str:
    pitch = (_WIDTH - _LEFT) / count
    x = _LEFT + chosen * pitch
    points = [(x + 5, top + 2), (x + pitch - 5, top + 2), (_WIDTH, bottom - 4), (_LEFT, bottom - 4)]
    return polygon(points, ink("accent"), opacity="0.10")
