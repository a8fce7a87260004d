"""Lanes (the threads that are active now) and slots (one variable of every thread).

A batch of blocks runs in lockstep: lane k of a batch with T threads a block is thread k % T of block k // T.
A value is a numpy scalar where all active lanes hold the same, else an array with an element per active lane.
"""

from __future__ import annotations

from typing import Any

import numpy as np

Value = Any  # numpy scalar, or array [n active lanes]
Array = np.ndarray[Any, np.dtype[Any]]


class Lanes:
    """The active lanes in ascending order; `idx` is None where all of the batch are active."""

    __slots__ = ("_taken", "idx", "n")

    def __init__(self, idx: Array | None, n: int) -> None:
        self.idx = idx
        self.n = n
        self._taken: dict[object, Array] = {}

    def take(self, key: object, whole: Value) -> Value:
        """Cut a value of the whole batch down to the active lanes, remembering the result under `key`."""
        if self.idx is None or type(whole) is not np.ndarray:
            return whole
        found = self._taken.get(key)
        if found is None:
            found = self._taken[key] = whole.take(self.idx)
        return found

    def split(self, condition: Array) -> tuple[Lanes, Lanes]:
        """Part the lanes into those where the condition holds and the others."""
        count = int(np.count_nonzero(condition))
        if count == self.n:
            return self, EMPTY
        if count == 0:
            return EMPTY, self
        return self.where(condition), self.where(~condition)

    def where(self, condition: Array) -> Lanes:
        """The lanes where the condition holds."""
        idx = np.flatnonzero(condition) if self.idx is None else self.idx[condition]
        return Lanes(idx, idx.size)

    def number(self, position: int) -> int:
        """The lane number of the active lane at a position."""
        return position if self.idx is None else int(self.idx[position])


EMPTY = Lanes(np.empty(0, np.intp), 0)


def merge(entered: Lanes, parts: list[Lanes]) -> Lanes:
    """Join disjoint parts of the lanes that entered a construct."""
    parts = [part for part in parts if part.n]
    total = sum(part.n for part in parts)
    if total == entered.n:
        return entered
    if len(parts) <= 1:
        return parts[0] if parts else EMPTY
    idx = np.concatenate([part.idx for part in parts if part.idx is not None])
    idx.sort()
    return Lanes(idx, idx.size)


def lane_values(value: Value, n: int) -> Array:
    """Spread a value over n lanes (an array is returned as it is)."""
    return value if type(value) is np.ndarray else np.full(n, value)


class Slot:
    """One variable: a value per lane of the batch, and which lanes ever assigned it.

    The last value read or written under a set of lanes is kept as it is; a write reaches `whole` only when
    other lanes look. So a guarded body works on short arrays, without gathering and scattering at each step.
    """

    __slots__ = ("dirty", "known", "lanes", "owned", "size", "value", "whole")

    def __init__(self, size: int) -> None:
        self.size = size
        self.whole: Value = None
        self.known: Array | bool = False  # True: every lane has assigned it
        self.owned = False  # `whole` belongs to this slot alone, so it may be written in place
        self.lanes: Lanes | None = None
        self.value: Value = None
        self.dirty = False

    def read(self, lanes: Lanes) -> Value:
        """The value under these lanes; all of them must have assigned it."""
        if lanes is self.lanes:
            return self.value
        if self.dirty:
            self._flush()
        whole = self.whole
        if lanes.idx is None:
            self.owned = False  # the reader may keep the array
            return whole
        self.lanes = lanes
        self.value = whole.take(lanes.idx) if type(whole) is np.ndarray else whole
        return self.value

    def write(self, lanes: Lanes, value: Value) -> None:
        """Assign under these lanes."""
        if lanes.idx is None:
            self.whole, self.owned, self.known = value, False, True
            self.lanes, self.dirty = None, False
            return
        if self.dirty and lanes is not self.lanes:
            self._flush()
        self.lanes, self.value, self.dirty = lanes, value, True

    def missing(self, lanes: Lanes) -> int | None:
        """The first of these lanes that never assigned the variable, if any."""
        if self.known is True or lanes is self.lanes:
            return None
        if self.dirty:
            self._flush()
        if self.known is False:
            return lanes.number(0)
        assert isinstance(self.known, np.ndarray)
        unknown = ~(self.known if lanes.idx is None else self.known[lanes.idx])
        return lanes.number(int(unknown.argmax())) if unknown.any() else None

    def _flush(self) -> None:
        lanes, value = self.lanes, self.value
        assert lanes is not None and lanes.idx is not None
        if type(self.whole) is not np.ndarray:
            filler = value.flat[0] if self.whole is None else self.whole
            self.whole = np.full(self.size, filler, value.dtype)
        elif not self.owned:
            self.whole = self.whole.copy()
        self.owned = True
        self.whole[lanes.idx] = value
        if self.known is False:
            self.known = np.zeros(self.size, np.bool_)
        if self.known is not True:
            self.known[lanes.idx] = True
        self.lanes, self.dirty = None, False
