"""A CPU beside a GPU, drawn from their data: each core and each multiprocessor is one square."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

from workshop.gpu.limits import KIB, MIB, limits_of
from workshop.slides.figures.svg import figure, ink, rect, text


@dataclass(frozen=True, slots=True)
class Chip:
    """Hold what a processor has: sizes in bytes, bandwidth in bytes a second, how its first level looks."""

    name: str
    unit: str
    units: int
    lanes_per_unit: int  # float32 operations that a cycle can start
    threads_per_unit: int  # resident hardware threads
    registers: int  # per unit
    fast: int  # first-level memory per unit
    fast_name: str
    fast_colour: str
    caches: int  # all further caches together
    bandwidth: float


# Intel's data sheet; registers as a program sees them: 32 of 64 bytes for each of two threads
XEON = Chip(
    "Intel Xeon 8480+",
    "cores",
    56,
    32,
    2,
    2 * 32 * 64,
    48 * KIB,
    "L1 cache",
    "quiet",
    56 * 2 * MIB + 105 * MIB,
    307.2e9,
)
_WIDTH, _CHIP, _TALL = 1152.0, 548.0, 272.0


def chips(gpu: str = "H100") -> str:
    """Draw a server CPU and the named GPU with the numbers that decide how each is programmed."""
    left, right = XEON, gpu_chip(gpu)
    parts = _chip(0, left, columns=8) + _chip(_WIDTH - _CHIP, right, columns=12)
    label = f"{left.name}: {left.units} {left.unit}. {right.name}: {right.units} {right.unit}."
    return figure("figure-chips", _WIDTH, 38 + _TALL + 32 + 6 * 34 - 10, parts, label)


def gpu_chip(name: str) -> Chip:
    """Describe a GPU by the same table that launches are checked against.

    >>> gpu_chip("H100").units
    132
    """
    gpu = limits_of(name)
    lanes = round(
        gpu.flops_float32 / (2 * gpu.clock * gpu.sm_count)
    )  # a fused multiply-add counts as two operations
    return Chip(
        gpu.name, "multiprocessors", gpu.sm_count, lanes, gpu.threads_per_sm, 4 * gpu.registers_per_sm,
        gpu.shared_per_sm, "shared memory", "shared-mark", gpu.l2, gpu.memory_bandwidth,
    )  # fmt: skip


def facts(chip: Chip) -> list[tuple[str, str]]:
    """List a chip's numbers as (value, what it counts).

    >>> facts(XEON)[0]
    ('112', 'threads in flight')
    """
    fast_kb = f"{chip.fast / KIB:g} KB each"
    speed = (
        f"{chip.bandwidth / 1e12:.2f} TB/s" if chip.bandwidth >= 1e12 else f"{chip.bandwidth / 1e9:.0f} GB/s"
    )
    return [
        (f"{chip.units * chip.threads_per_unit:,}", "threads in flight"),
        (f"{chip.units * chip.lanes_per_unit:,}", "float32 lanes"),
        (f"{chip.units * chip.registers / MIB:.1f} MB", "registers"),
        (f"{chip.units * chip.fast / MIB:.1f} MB", f"{chip.fast_name}, {fast_kb}"),
        (f"{chip.caches / MIB:.0f} MB", "caches behind it"),
        (speed, "to memory"),
    ]


def _chip(x: float, chip: Chip, columns: int) -> list[str]:
    rows = ceil(chip.units / columns)
    wide, high = (_CHIP - 28) / columns, (_TALL - 28) / rows
    parts = [text(x, 14, chip.name, 26, anchor="start", weight=700)]
    parts += [text(x + _CHIP, 15, f"{chip.units} {chip.unit}", fill=ink("quiet"), anchor="end")]
    parts += [rect(x + 1, 38, _CHIP - 2, _TALL - 2, ink("panel"), ink("line"))]
    for unit in range(chip.units):
        row, column = divmod(unit, columns)
        parts += _unit(chip, x + 16 + column * wide, 53 + row * high, wide - 4, high - 4)
    # the two colours of the squares name what they stand for
    colours = {"registers": ink("accent"), chip.fast_name: ink(chip.fast_colour.replace("mark", "text"))}
    for at, (value, what) in enumerate(facts(chip)):
        y = 38 + _TALL + 32 + at * 34
        fill = colours.get(what.split(",")[0], ink("ink"))
        parts.append(text(x + 140, y, value, 24, fill, anchor="end", weight=700))
        parts.append(text(x + 158, y, what, 22, anchor="start"))
    return parts


def _unit(chip: Chip, x: float, y: float, width: float, height: float) -> list[str]:
    """One core or multiprocessor: registers above first-level memory, in proportion."""
    split = height * chip.fast / (chip.fast + chip.registers)
    above = rect(x, y, width, height - split, ink("accent"), rx=1)
    return [above, rect(x, y + height - split, width, split, ink(chip.fast_colour), rx=1)]
