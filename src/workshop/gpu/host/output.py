"""Shows what kernels printed: sorted by block and thread, or as one reproducible interleaving of warps."""

from __future__ import annotations

import random
import sys
from collections import deque

from workshop.gpu.launch import Output, Printed


def show(output: Output, *, order: str = "sorted", seed: int = 0, warp_size: int = 32) -> None:
    """Write one launch's lines to stdout, then how many more were dropped."""
    lines = sorted(output.lines, key=lambda p: (p.block, p.thread, p.sequence))
    if order == "scheduled":
        lines = scheduled(lines, seed, warp_size)
    text = "".join(line.text + "\n" for line in lines)
    if output.dropped:
        text += f"... and {output.dropped} more lines; a launch keeps {len(lines)}\n"
    sys.stdout.write(text)
    sys.stdout.flush()


def scheduled(lines: list[Printed], seed: int, warp_size: int) -> list[Printed]:
    """Interleave lines as a GPU might: warps in any order, the lanes of a warp together.

    >>> lines = [Printed(0, t, s, f"{t}.{s}") for t in (0, 1) for s in (0, 1)]
    >>> [p.text for p in scheduled(lines, 7, 32)]
    ['0.0', '1.0', '0.1', '1.1']
    """
    warps: dict[tuple[int, int], dict[int, list[Printed]]] = {}
    for line in lines:
        warp = warps.setdefault((line.block, line.thread // warp_size), {})
        warp.setdefault(line.sequence, []).append(line)
    waiting = [deque(steps[s] for s in sorted(steps)) for steps in warps.values()]
    pick = random.Random(seed)
    result: list[Printed] = []
    while waiting:
        position = pick.randrange(len(waiting))
        result += waiting[position].popleft()
        if not waiting[position]:
            waiting.pop(position)
    return result
