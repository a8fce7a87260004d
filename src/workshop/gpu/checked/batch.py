"""A batch of blocks in lockstep: who its lanes are, their variables, arrays and synchronisations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from workshop.errors import Coordinates, Loc
from workshop.gpu.checked.lanes import Array, Lanes, Slot, Value
from workshop.gpu.checked.places import Place
from workshop.gpu.checked.races import Clock
from workshop.gpu.launch import Launch, unlinear
from workshop.gpu.trace import Trace

AXES = "xyz"


@dataclass(frozen=True, slots=True)
class Site:
    """One load or store of the kernel, for the other side of a race."""

    loc: Loc
    kind: Literal["read", "write"]


class Cancelled(Exception):
    """Somebody set the launch's cancel flag."""


class Batch:
    """What the closures of a compiled kernel work on; `lanes` are all lanes of the batch."""

    def __init__(
        self,
        launch: Launch,
        places: Sequence[Place],
        clock: Clock,
        sites: Sequence[Site],
        trace: Trace | None,
        step_budget: int,
    ) -> None:
        self.launch = launch
        self.places = places
        self.clock = clock
        self.sites = sites
        self.trace = trace
        self.step_budget = step_budget
        self.block = launch.function.block
        self.grid = launch.grid
        self.threads = self.block[0] * self.block[1] * self.block[2]
        self.cancelled = launch.cancel.is_set
        arguments = zip(launch.function.params, launch.arguments, strict=True)
        self.scalars = {p.name: a for p, a in arguments if isinstance(a, np.generic)}
        self.left: dict[str, list[Lanes]] = {}
        self.ids: dict[tuple[str, str], Value] = {
            ("grid_dim", axis): np.int64(extent) for axis, extent in zip(AXES, self.grid, strict=True)
        }

    def begin(self, first_block: int, blocks: int, variables: int) -> None:
        """Move on to the next blocks of the grid, with nothing assigned."""
        n = blocks * self.threads
        self.first_block = first_block
        self.blocks = blocks
        self.lanes = Lanes(None, n)
        self.slots = [Slot(n) for _ in range(variables)]
        self.sequence: Array | None = None
        self.clock.begin(first_block, n)
        for place in self.places:
            place.begin(n)
        thread = np.arange(n, dtype=np.int64) % self.threads
        self._name("thread_idx", self.block, thread)
        number = first_block + np.arange(n, dtype=np.int64) // self.threads
        self._name("block_idx", self.grid, number if blocks > 1 else np.int64(first_block))
        self.block_of_lane = number - first_block

    def _name(self, kind: str, extent: tuple[int, int, int], number: Value) -> None:
        x, y, _ = extent
        coordinates = (number % x, number // x % y, number // (x * y))
        for axis, size, value in zip(AXES, extent, coordinates, strict=True):
            self.ids[kind, axis] = np.int64(0) if size == 1 else value

    def who(self, lane: int) -> tuple[Coordinates, Coordinates]:
        """The block and thread of a lane."""
        return self.who_of(self.first_block * self.threads + lane)

    def who_of(self, thread: int) -> tuple[Coordinates, Coordinates]:
        """The block and thread of a global thread number."""
        block, thread = divmod(thread, self.threads)
        return unlinear(block, self.grid), unlinear(thread, self.block)
