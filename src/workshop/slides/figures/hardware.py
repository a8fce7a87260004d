"""A CPU beside a GPU, drawn from their data: each core and each multiprocessor is one square."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

from workshop.slides.figures.svg import figure, ink, rect, text


@dataclass(frozen=True, slots=True)
class Chip:
    """Hold what a vendor's data sheet says about a processor; sizes in KB and GB, bandwidth in GB/s."""

    name: str
    unit: str
    units: int
    lanes_per_unit: int  # float32 operations a cycle can start
    threads_per_unit: int  # resident hardware threads
    registers_kb: float  # per unit
    fast_kb: float  # first-level memory per unit
    fast_name: str
    cache_mb: float  # all further caches together
    memory_gb_s: float


XEON = Chip("Intel Xeon 8480+", "cores", 56, 32, 2, 2, 48, "L1 cache", 56 * 2 + 105, 307)
H100 = Chip("NVIDIA H100 SXM", "multiprocessors", 132, 128, 2048, 256, 228, "shared memory", 50, 3350)

_WIDTH, _CHIP, _TALL = 1152.0, 548.0, 272.0


def chips(left: Chip = XEON, right: Chip = H100) -> str:
    """Draw two chips at one scale of picture, with the numbers that decide how each is programmed."""
    parts = _chip(0, left, columns=8) + _chip(_WIDTH - _CHIP, right, columns=12)
    label = f"{left.name}: {left.units} {left.unit}. {right.name}: {right.units} {right.unit}."
    return figure("figure-chips", _WIDTH, 38 + _TALL + 32 + 6 * 34 - 10, parts, label)


def facts(chip: Chip) -> list[tuple[str, str]]:
    """List a chip's numbers as (value, what it counts).

    >>> facts(H100)[0]
    ('270,336', 'threads in flight')
    """
    memory = (
        f"{chip.memory_gb_s / 1000:.2f} TB/s" if chip.memory_gb_s >= 1000 else f"{chip.memory_gb_s:g} GB/s"
    )
    return [
        (f"{chip.units * chip.threads_per_unit:,}", "threads in flight"),
        (f"{chip.units * chip.lanes_per_unit:,}", "float32 lanes"),
        (f"{chip.units * chip.registers_kb / 1024:.1f} MB", "registers"),
        (f"{chip.units * chip.fast_kb / 1024:.1f} MB", f"{chip.fast_name}, {chip.fast_kb:g} KB each"),
        (f"{chip.cache_mb:g} MB", "caches behind it"),
        (memory, "to memory"),
    ]


def _chip(x: float, chip: Chip, columns: int) -> list[str]:
    rows = ceil(chip.units / columns)
    wide, high = (_CHIP - 28) / columns, (_TALL - 28) / rows
    parts = [text(x, 14, chip.name, 26, anchor="start", weight=700)]
    parts += [text(x + _CHIP, 15, f"{chip.units} {chip.unit}", fill=ink("quiet"), anchor="end")]
    parts += [rect(x + 1, 38, _CHIP - 2, _TALL - 2, ink("panel"), ink("line"))]
    for unit in range(chip.units):
        row, column = divmod(unit, columns)
        cell = (x + 14 + column * wide + 2, 51 + row * high + 2, wide - 4, high - 4)
        parts.append(_unit(*cell, share=_fast_share(chip)))
    colours = {
        "registers": ink("accent"),
        chip.fast_name: ink("shared-text"),
    }  # the same two as in the squares
    for at, (value, what) in enumerate(facts(chip)):
        y = 38 + _TALL + 32 + at * 34
        fill = colours.get(what.split(",")[0], ink("ink"))
        parts.append(text(x + 140, y, value, 24, fill, anchor="end", weight=700))
        parts.append(text(x + 158, y, what, 22, anchor="start"))
    return parts


def _fast_share(chip: Chip) -> float:
    """How much of a unit's own storage is first-level memory, the rest being registers."""
    return chip.fast_kb / (chip.fast_kb + chip.registers_kb)


def _unit(x: float, y: float, width: float, height: float, share: float) -> str:
    split = height * share
    return rect(x, y, width, height - split, ink("accent"), rx=1) + rect(
        x, y + height - split, width, split, ink("shared-mark"), rx=1
    )
