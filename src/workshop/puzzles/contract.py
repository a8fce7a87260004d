"""A puzzle as data: what is asked, the sizes it is tried at, its meaning in numpy, its hints."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from workshop.errors import WorkshopError

Array = np.ndarray[Any, np.dtype[Any]]
Spec = Callable[..., Array]  # (case, one array per input) -> what the output must be


class PuzzleError(WorkshopError):
    """There is no such puzzle, hint, file, or kernel in a file."""


@dataclass(frozen=True, slots=True)
class Case:
    """One launch that a puzzle is tried with: `size` elements on `grid_dim` blocks of `block_dim` threads."""

    size: int
    grid_dim: int
    block_dim: int

    def __str__(self) -> str:
        """The case in words: `size 4 on 8 threads`, `size 9 on 3 blocks of 4 threads`."""
        blocks = f"{self.grid_dim} blocks of " if self.grid_dim > 1 else ""
        threads = "1 thread" if self.block_dim == 1 else f"{self.block_dim} threads"
        return f"size {self.size} on {blocks}{threads}"


@dataclass(frozen=True, slots=True, repr=False)
class Contract:
    """What a puzzle asks and how an answer is tried.

    `inputs` names the arrays given to the kernel after `output`; `takes_size` adds the size, `takes_tpb` the
    compile-time parameter TPB, the threads of a block; `shared` asks for shared memory.
    """

    number: int
    variant: str
    title: str
    task: str
    contract: str
    kernel: str
    inputs: tuple[str, ...]
    spec: Spec
    cases: tuple[Case, ...]
    hints: tuple[str, ...]
    takes_size: bool = False
    takes_tpb: bool = False
    shared: bool = False

    @property
    def name(self) -> str:
        """The puzzle as messages call it: `puzzle 3, guards`."""
        return f"puzzle {self.number}, {self.title}"

    @property
    def call(self) -> str:
        """The Python that names this puzzle: `puzzle(3)`."""
        return f"puzzle({self.number}, {self.variant!r})" if self.variant else f"puzzle({self.number})"

    def arguments(self, case: Case) -> dict[str, Array]:
        """Make a case's input arrays: whole numbers, all different, in no order, the same every time."""
        random = np.random.RandomState(1000 * self.number + case.size)  # whose numbers never change
        size, arrays = case.size, {}
        for name in self.inputs:
            numbers = random.permutation(np.arange(-size - 3, 2 * size + 3))
            arrays[name] = numbers[numbers != 0][:size].astype(np.float32)
        return arrays

    def expected(self, case: Case) -> Array:
        """Compute what the output must be, by the meaning in numpy."""
        return self.spec(case, **self.arguments(case))
