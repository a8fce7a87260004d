"""Layouts: how logical coordinates map to offsets, as shape:stride pairs that may nest.

The vocabulary is that of CuTe and of Mojo's `layout` package: a mode is an integer or a tuple of modes, and a
coordinate's offset is the inner product of coordinate and stride.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

Mode = int | tuple[Any, ...]


def flatten(mode: Mode) -> tuple[int, ...]:
    """List the integers of a nested mode from left to right.

    >>> flatten(((4, 8), 2))
    (4, 8, 2)
    """
    return (mode,) if isinstance(mode, int) else tuple(itertools.chain.from_iterable(map(flatten, mode)))


def congruent(left: Mode, right: Mode) -> bool:
    """Say whether two modes nest alike."""
    if isinstance(left, int) or isinstance(right, int):
        return isinstance(left, int) and isinstance(right, int)
    return len(left) == len(right) and all(map(congruent, left, right))


@dataclass(frozen=True, slots=True)
class Layout:
    """Maps coordinates within `shape` to offsets by `stride`.

    >>> Layout.row_major(2, 3)
    Layout((2, 3):(3, 1))
    >>> Layout.row_major(2, 3)(1, 2), Layout.col_major(2, 3)(1, 2)
    (5, 5)
    >>> Layout(((4, 2), 2), ((1, 8), 4)).size
    16
    """

    shape: tuple[Mode, ...]
    stride: tuple[Mode, ...]

    def __init__(self, shape: Mode, stride: Mode | None = None) -> None:
        shape = (shape,) if isinstance(shape, int) else tuple(shape)
        if stride is None:
            stride = _column_strides(shape, 1)[0]
        stride = (stride,) if isinstance(stride, int) else tuple(stride)
        if not congruent(shape, stride):
            raise ValueError(f"shape {shape} and stride {stride} must nest alike: one stride for each extent")
        bad = [e for e in flatten(shape) if e < 0]
        if bad:
            raise ValueError(f"an extent must not be negative; shape {shape} has {bad[0]}")
        object.__setattr__(self, "shape", shape)
        object.__setattr__(self, "stride", stride)

    @staticmethod
    def row_major(*shape: int) -> Layout:
        """Make a layout whose last coordinate varies fastest, as numpy and C do."""
        sizes = _sizes(shape)
        strides = [math.prod(sizes[axis + 1 :]) for axis in range(len(sizes))]
        return Layout(sizes, tuple(strides))

    @staticmethod
    def col_major(*shape: int) -> Layout:
        """Make a layout whose first coordinate varies fastest, as Fortran does."""
        sizes = _sizes(shape)
        return Layout(sizes, tuple(math.prod(sizes[:axis]) for axis in range(len(sizes))))

    @property
    def rank(self) -> int:
        """Number of modes at the top: how many indices an access takes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of coordinates."""
        return math.prod(flatten(self.shape))

    @property
    def cosize(self) -> int:
        """One more than the largest offset; 0 when there are no coordinates."""
        pairs = list(zip(flatten(self.shape), flatten(self.stride), strict=True))
        if any(extent == 0 for extent, _ in pairs):
            return 0
        return 1 + sum((extent - 1) * max(stride, 0) for extent, stride in pairs)

    @property
    def is_row_major(self) -> bool:
        """True when every mode is an integer and the last varies fastest without gaps."""
        if any(not isinstance(e, int) for e in self.shape):
            return False
        return self == _row_major_like(flatten(self.shape))

    def extents(self) -> tuple[int, ...]:
        """List how many coordinates each top-level mode has."""
        return tuple(math.prod(flatten(mode)) for mode in self.shape)

    def __call__(self, *coordinates: int) -> int:
        """Return the offset of one coordinate (an integer for each top-level mode, or one linear number).

        Raises IndexError outside the shape.
        """
        extents = self.extents()
        if len(coordinates) == 1 and self.rank > 1:
            coordinates = _unravel(coordinates[0], extents)
        if len(coordinates) != self.rank:
            raise IndexError(f"{self} takes {self.rank} coordinates, not {len(coordinates)}")
        for coordinate, extent in zip(coordinates, extents, strict=True):
            if not 0 <= coordinate < extent:
                raise IndexError(f"coordinate {coordinates} is out of range for extents {extents}")
        return sum(map(_offset, coordinates, self.shape, self.stride))

    def offsets(self) -> Iterator[int]:
        """Yield the offset of every coordinate, the first mode varying fastest."""
        for number in range(self.size):
            yield self(*_unravel(number, self.extents()))

    def __repr__(self) -> str:
        return f"Layout({_show(self.shape)}:{_show(self.stride)})"


@functools.lru_cache(maxsize=512)
def _row_major_like(sizes: tuple[int, ...]) -> Layout:
    return Layout.row_major(*sizes)


def _sizes(shape: tuple[Any, ...]) -> tuple[int, ...]:
    sizes = tuple(shape[0]) if len(shape) == 1 and not isinstance(shape[0], int) else shape
    if not sizes:
        raise ValueError("a layout needs at least one extent")
    return tuple(int(extent) for extent in sizes)


def _column_strides(mode: Mode, step: int) -> tuple[Mode, int]:
    """Give a nested shape compact strides, leftmost fastest; also return the next step."""
    if isinstance(mode, int):
        return step, step * mode
    strides = []
    for part in mode:
        stride, step = _column_strides(part, step)
        strides.append(stride)
    return tuple(strides), step


def _unravel(number: int, extents: tuple[int, ...]) -> tuple[int, ...]:
    coordinates = []
    for extent in extents[:-1]:
        coordinates.append(number % extent if extent else 0)
        number = number // extent if extent else number
    return (*coordinates, number)


def _offset(coordinate: int, shape: Mode, stride: Mode) -> int:
    if isinstance(shape, int):
        assert isinstance(stride, int)
        return coordinate * stride
    assert not isinstance(stride, int)
    extents = tuple(math.prod(flatten(part)) for part in shape)
    return sum(map(_offset, _unravel(coordinate, extents), shape, stride))


def _show(mode: Mode) -> str:
    if isinstance(mode, int):
        return str(mode)
    inner = ", ".join(_show(part) for part in mode)
    return f"({inner},)" if len(mode) == 1 else f"({inner})"
