"""Places: the arrays of a launch as flat memory, with what is known about each element."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from workshop.gpu import ir
from workshop.gpu.checked.lanes import Array, Lanes, Value
from workshop.gpu.checked.races import Shadow
from workshop.gpu.launch import HostArray


class Place:
    """One array: `flat` memory, its logical extents and strides (in elements), and the state of its elements.

    Shared arrays hold one copy per block of a batch, local ones one per lane, `size` elements apart.
    `written` marks initialised elements; None where all are, or where the shadow's writers tell (shared).
    `shadow` is None where no race is possible; overlapping arrays share one, where an element stands at
    `address * scale + shift`.
    """

    def __init__(self, memory: ir.Memory, shape: Sequence[int], strides: Sequence[int], flat: Array) -> None:
        self.name = memory.name
        self.space = memory.space
        self.shape = tuple(shape)
        self.strides = tuple(strides)
        self.flat = flat
        self.size = math.prod(self.shape)
        self.offset = 0
        self.written: Array | None = None
        self.shadow: Shadow | None = None
        self.shift = 0
        self.scale = 1
        self.starts: Array | None = None  # [lanes of a full batch] where a lane's own copy starts
        self.home: Array | None = None  # the same for the lanes of the running batch

    def begin(self, lanes: int) -> None:
        """Start a batch: a fresh, poisoned copy for each block or lane."""
        if self.starts is not None:
            self.home = self.starts[:lanes]
            if self.written is not None:
                self.written[:] = False

    def outside(self, indices: Sequence[Value], n: int) -> Array | None:
        """Mark the lanes with an index outside its dimension; None where there is none."""
        bad = None
        for index, extent in zip(indices, self.shape, strict=True):
            if type(index) is np.ndarray:
                if index.view(np.uint64).max() >= extent:
                    wrong = index.view(np.uint64) >= extent
                    bad = wrong if bad is None else bad | wrong
            elif not 0 <= index < extent:
                bad = np.ones(n, np.bool_)
        return bad

    def shadow_address(self, at: Array) -> Array:
        """Where the shadow keeps the elements at these flat addresses."""
        if self.scale != 1:
            at = at * self.scale
        return at + self.shift if self.shift else at

    def address(self, lanes: Lanes, indices: Sequence[Value]) -> Value:
        """The flat address of in-bounds indices."""
        at: Value = None
        for index, stride in zip(indices, self.strides, strict=True):
            term = index if stride == 1 else index * stride
            at = term if at is None else at + term
        if self.offset:
            at = at + self.offset
        if self.home is not None:
            at = at + lanes.take((self.space, self.size), self.home)
        return at


def row_major(shape: Sequence[int]) -> tuple[int, ...]:
    """The strides, in elements, of an array whose last axis is contiguous."""
    return tuple(math.prod(shape[axis + 1 :]) for axis in range(len(shape)))


def bind_argument(memory: ir.Memory, array: HostArray) -> Place:
    """Make the place of an array argument; it fits its buffer, or we have been given a wrong launch."""
    last = sum((extent - 1) * stride for extent, stride in zip(array.shape, array.strides, strict=True))
    if 0 not in array.shape and not 0 <= array.offset + last < array.flat.size:
        raise ValueError(f"argument {memory.name} reaches beyond its buffer of {array.flat.size} elements")
    place = Place(memory, array.shape, array.strides, array.flat)
    place.offset = array.offset
    return place


def share_shadows(places: Sequence[Place], stored: set[str], loaded: set[str]) -> None:
    """Give argument arrays that the kernel writes a shadow; arrays in the same memory share one.

    An address counts in units of the smallest element; an access marks its first unit.
    """
    spans = sorted((_span(place), number) for number, place in enumerate(places) if place.flat.size)
    group: list[Place] = []
    end = 0
    for (start, stop), number in [*spans, ((2**63, 2**63), -1)]:
        if group and start >= end:
            _share_one(group, stored, loaded)
            group = []
        if number >= 0:
            group.append(places[number])
            end = max(end, stop)


def _span(place: Place) -> tuple[int, int]:
    start: int = place.flat.ctypes.data
    return start, start + place.flat.nbytes


def _share_one(group: Sequence[Place], stored: set[str], loaded: set[str]) -> None:
    if not any(place.name in stored for place in group):
        return
    unit = min(place.flat.itemsize for place in group)
    low = min(_span(place)[0] for place in group)
    high = max(_span(place)[1] for place in group)
    shadow = Shadow(-(-(high - low) // unit), False, any(place.name in loaded for place in group))
    for place in group:
        place.shadow = shadow
        place.shift = (_span(place)[0] - low) // unit
        place.scale = place.flat.itemsize // unit


def allocate(memory: ir.Memory, blocks: int, threads: int) -> Place:
    """Make the place of a shared or local array for a batch of blocks."""
    shape = [extent for extent in memory.shape if extent is not None]
    size = math.prod(shape)
    shared = memory.space == "shared"
    total = size * (blocks if shared else blocks * threads)
    place = Place(memory, shape, row_major(shape), np.zeros(total, memory.dtype.to_numpy()))
    lanes = np.arange(blocks * threads, dtype=np.int64)
    place.starts = (lanes // threads if shared else lanes) * size
    if shared:
        place.shadow = Shadow(total, True, True)
    else:
        place.written = np.zeros(total, np.bool_)
    return place


def bytes_per_block(memories: Sequence[ir.Memory], threads: int) -> int:
    """What the allocations of one block take in a checked run, their shadows included."""
    total = 0
    for memory in memories:
        if memory.space != "global":
            size = math.prod(extent or 1 for extent in memory.shape)
            item = memory.dtype.size_in_bytes
            total += size * (item + 40) if memory.space == "shared" else size * threads * (item + 1)
    return total
