"""What a launch is, as plain data, and what a back end does with it."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from workshop.gpu import ir

Dim3 = tuple[int, int, int]
Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(slots=True)
class HostArray:
    """An array argument of a launch on `cpu` or `checked`.

    `flat` is the whole buffer (1-D, C-contiguous, exactly its logical length); element (i, j, ...) of the
    argument is `flat[offset + i * strides[0] + j * strides[1] ...]` with strides in elements. `written`
    marks the initialised elements of `flat` (kept up to date by `checked` only); None means all of them.
    `address` is where `flat` lies, once somebody has asked (0 before): numpy is slow to say.
    """

    flat: Array
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    offset: int = 0
    written: Array | None = None
    address: int = 0


@dataclass(frozen=True, slots=True)
class Printed:
    """One line printed by a kernel: linear block, linear thread, per-thread sequence number, text without
    newline."""

    block: int
    thread: int
    sequence: int
    text: str


PRINT_LIMIT = 10_000


@dataclass(slots=True)
class Output:
    """What a launch printed: at most PRINT_LIMIT lines (any order) and how many more were dropped."""

    lines: list[Printed] = field(default_factory=list)
    dropped: int = 0


class CancelFlag:
    """One byte that asks a running launch to stop: compiled loops read it at `address`."""

    __slots__ = ("_byte", "address")

    def __init__(self) -> None:
        self._byte = ctypes.c_uint8(0)
        self.address = ctypes.addressof(self._byte)

    def set(self) -> None:
        """Ask the launch to stop."""
        self._byte.value = 1

    def is_set(self) -> bool:
        """Say whether the launch shall stop."""
        return self._byte.value != 0


@dataclass(slots=True)
class Launch:
    """One launch, bound and checked: arguments stand in the order of `function.params` (HostArray or numpy
    scalar).

    `key` is the specialisation's hash. A set `cancel` asks loops to stop; `output` receives printed lines.
    """

    function: ir.Function
    arguments: Sequence[HostArray | np.generic]
    grid: Dim3
    key: str
    output: Output = field(default_factory=Output)
    cancel: CancelFlag = field(default_factory=CancelFlag)


class HostBackend(Protocol):
    """A back end that runs a launch to its end in the calling thread (the stream's worker)."""

    def run(self, launch: Launch) -> None:
        """Run every block; raise the launch's KernelFault, if any, after all blocks have ended."""


def linear(index: Dim3, extent: Dim3) -> int:
    """Number an (x, y, z) index with x fastest.

    >>> linear((1, 2, 0), (4, 4, 1))
    9
    """
    return index[0] + extent[0] * (index[1] + extent[1] * index[2])


def unlinear(number: int, extent: Dim3) -> Dim3:
    """Turn a linear number back into (x, y, z).

    >>> unlinear(9, (4, 4, 1))
    (1, 2, 0)
    """
    return number % extent[0], number // extent[0] % extent[1], number // (extent[0] * extent[1])
