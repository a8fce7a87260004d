"""Placing the boxes of a directed graph in rows, so that wires run downwards and no two boxes overlap.

Rows by longest path, order within a row by the mean place of neighbours, x by least squares: each box wants
to stand in the middle of its neighbours and keeps its distance from the boxes beside it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

SPACE, BEND = 22, 12  # between boxes; room for a wire that passes a row
ORDERING, ALIGNING = 8, 40  # rounds of improvement
Use = tuple[int, int, int, int]  # producer, consumer, which of its inputs, of how many


@dataclass(slots=True)
class Point:
    """A box, or a place where a wire passes a row: its middle in pixels and its row."""

    x: float
    row: int
    width: float


def arrange(
    widths: Sequence[float], uses: Sequence[Use]
) -> tuple[list[dict[int, Point]], dict[Use, list[Point]]]:
    """Place boxes 0, 1, ... of these widths, each after those it uses.

    Returns the rows, each from box to place, and for each use the points its wire goes through.
    """
    row_of = _rows(len(widths), uses)
    points = [Point(0, row, width) for row, width in zip(row_of, widths, strict=True)]
    rows: list[list[Point]] = [[] for _ in range(max(row_of, default=-1) + 1)]
    for point in points:
        rows[point.row].append(point)
    paths = {use: _path(points, rows, use) for use in uses}
    above, below = _neighbours(paths)
    for row in rows:
        _spread(row, [0.0] * len(row))
    for sweep in range(ORDERING):
        near, order = (below, rows[::-1]) if sweep % 2 else (above, rows)
        for row in order:
            row.sort(key=lambda point: _mean(near[id(point)], point.x))
            _spread(row, [_mean(near[id(point)], point.x) for point in row])
    for sweep in range(ALIGNING):
        for row in rows if sweep % 2 else rows[::-1]:
            _spread(row, [_mean(above[id(point)] + below[id(point)], point.x) for point in row])
    _shift_to_zero(rows)
    placed = [{n: p for n, p in enumerate(points) if p.row == at} for at in range(len(rows))]
    return placed, paths


def port_offset(width: float, port: int, count: int) -> float:
    """How far from a box's middle the wire of one of its inputs arrives."""
    return ((port + 1) / (count + 1) - 0.5) * width


def _rows(count: int, uses: Sequence[Use]) -> list[int]:
    """Each box below what it uses, and right above the first that uses it."""
    row, sources, consumers = [0] * count, defaultdict(list), defaultdict(list)
    for producer, consumer, _, _ in uses:
        sources[consumer].append(producer)
        consumers[producer].append(consumer)
    for box in range(count):
        row[box] = max((row[source] + 1 for source in sources[box]), default=0)
    for box in reversed(range(count)):
        row[box] = min((row[consumer] - 1 for consumer in consumers[box]), default=row[box])
    return row


def _path(points: list[Point], rows: list[list[Point]], use: Use) -> list[Point]:
    """The wire of one use; where it passes rows, it gets a place in them."""
    first, last = points[use[0]], points[use[1]]
    between = [Point(0, row, BEND) for row in range(first.row + 1, last.row)]
    for point in between:
        rows[point.row].append(point)
    return [first, *between, last]


Near = defaultdict[int, list[tuple[Point, float]]]  # a point's neighbours, and where they would have it


def _neighbours(paths: dict[Use, list[Point]]) -> tuple[Near, Near]:
    """For each point those above and those below it; a consumer wants each producer above its own port."""
    above, below = Near(list), Near(list)
    for (_, _, port, count), path in paths.items():
        for upper, lower in zip(path, path[1:], strict=False):
            offset = port_offset(lower.width, port, count) if lower is path[-1] else 0.0
            above[id(lower)].append((upper, -offset))
            below[id(upper)].append((lower, offset))
    return above, below


def _mean(near: list[tuple[Point, float]], otherwise: float) -> float:
    return sum(point.x + offset for point, offset in near) / len(near) if near else otherwise


def _spread(row: list[Point], wanted: list[float]) -> None:
    """Move a row's points as near as they can get to where they want to be, in order, without overlap.

    With the distances taken out this is a regression with rising values: neighbours that would pass each
    other are pooled and stand at their mean.
    """
    offset, offsets = 0.0, []
    for at, point in enumerate(row):
        offset += (row[at - 1].width + point.width) / 2 + SPACE if at else 0
        offsets.append(offset)
    pools: list[list[float]] = []  # mean, count
    for want, shift in zip(wanted, offsets, strict=True):
        pools.append([want - shift, 1])
        while len(pools) > 1 and pools[-2][0] > pools[-1][0]:
            mean, count = pools.pop()
            pools[-1] = [
                (pools[-1][0] * pools[-1][1] + mean * count) / (pools[-1][1] + count),
                pools[-1][1] + count,
            ]
    places = [mean for mean, count in pools for _ in range(int(count))]
    for point, place, shift in zip(row, places, offsets, strict=True):
        point.x = place + shift


def _shift_to_zero(rows: list[list[Point]]) -> None:
    left = min((point.x - point.width / 2 for row in rows for point in row), default=0)
    for row in rows:
        for point in row:
            point.x -= left
