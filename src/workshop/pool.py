"""Host memory that is used again: a pool of aligned blocks in size classes.

Fresh memory from the system costs a page fault per 4 KB at first touch, which is most of the time of a
large elementwise op. A block goes back to the pool when nothing refers to it any more: not its
`Allocation`, no numpy view of it, no DLPack consumer. So the pool never hands out memory that is in use.
"""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

Bytes = npt.NDArray[np.uint8]

ALIGNMENT = 64
"""Bytes: a cache line, and the widest vector register."""

_SMALLEST = 64
_KEEP_BYTES = 2 << 30


class Allocation:
    """Holds `nbytes` of host memory: `.array` is exactly that long, `.address` a multiple of 64.

    >>> block = allocate(100)
    >>> block.array.shape, block.array.dtype, block.address % 64
    ((100,), dtype('uint8'), 0)
    """

    __slots__ = ("__weakref__", "_array", "address", "nbytes")

    def __init__(self, array: Bytes, address: int) -> None:
        self._array: Bytes | None = array
        self.address = address
        self.nbytes = array.size

    @property
    def array(self) -> Bytes:
        """The bytes; every view of them keeps the memory. Raises ValueError once released."""
        if self._array is None:
            raise ValueError(f"this allocation of {self.nbytes} bytes was released; allocate again")
        return self._array

    def release(self) -> None:
        """Give the memory back as soon as no view of it is left. Dropping the object does the same."""
        self._array = None

    def __repr__(self) -> str:
        return f"Allocation({self.nbytes} bytes{'' if self._array is not None else ', released'})"


class Pool:
    """Keeps returned blocks by size class, at most `keep_bytes` of them.

    All of it is safe from any thread. There is no lock: a lease may be dropped by the garbage collector in
    the middle of an `allocate`, and a lock would then wait for itself. `deque.pop` and `.append` are atomic.

    >>> pool = Pool()
    >>> first = pool.allocate(1000)
    >>> address = first.address
    >>> del first
    >>> pool.allocate(1000).address == address
    True
    """

    def __init__(self, keep_bytes: int = _KEEP_BYTES) -> None:
        self.keep_bytes = keep_bytes
        self._free: dict[int, deque[tuple[Bytes, int]]] = {}

    def allocate(self, nbytes: int) -> Allocation:
        """Return `nbytes` of uninitialised memory; raises ValueError when negative."""
        if nbytes < 0:
            raise ValueError(f"cannot allocate {nbytes} bytes; a size must be non-negative")
        size = size_class(nbytes)
        try:
            block, address = self._free[size].pop()
        except (KeyError, IndexError):
            block, address = _new_block(size)
        return Allocation(np.asarray(_Lease(self, block, address, nbytes)), address)

    @property
    def held_bytes(self) -> int:
        """Bytes that lie ready to be used again."""
        return sum(size * len(blocks) for size, blocks in list(self._free.items()))

    def trim(self) -> None:
        """Return all free blocks to the system."""
        self._free.clear()

    def _take_back(self, block: Bytes, address: int) -> None:
        if self.held_bytes + block.size <= self.keep_bytes:
            self._free.setdefault(block.size, deque()).append((block, address))


class _Lease:
    """What every view of a block refers to; the block returns to its pool when the last view goes."""

    __slots__ = ("__array_interface__", "_address", "_block", "_pool")

    def __init__(self, pool: Pool, block: Bytes, address: int, nbytes: int) -> None:
        self._pool = pool
        self._block = block
        self._address = address
        self.__array_interface__: dict[str, Any] = {
            "shape": (nbytes,),
            "typestr": "|u1",
            "data": (address, False),
            "version": 3,
        }

    def __del__(self, finalizing: Callable[[], bool] = sys.is_finalizing) -> None:
        if not finalizing():  # module globals may be gone by then
            self._pool._take_back(self._block, self._address)


def size_class(nbytes: int) -> int:
    """Round a size up to its class: four steps per power of two, so at most a quarter is spare.

    >>> [size_class(n) for n in (0, 64, 65, 1000, 1025)]
    [64, 64, 128, 1024, 1280]
    """
    if nbytes <= _SMALLEST:
        return _SMALLEST
    step = max(1 << ((nbytes - 1).bit_length() - 3), ALIGNMENT)
    return -(-nbytes // step) * step


def _new_block(size: int) -> tuple[Bytes, int]:
    raw = np.empty(size + ALIGNMENT, np.uint8)
    address: int = raw.ctypes.data
    start = -address % ALIGNMENT
    return raw[start : start + size], address + start


_shared = Pool()


def allocate(nbytes: int) -> Allocation:
    """Return `nbytes` of uninitialised memory from the pool that all of the package shares.

    >>> allocate(12).array.view("float32").shape
    (3,)
    """
    return _shared.allocate(nbytes)
