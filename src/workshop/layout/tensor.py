"""LayoutTensor: memory seen through a layout, on the host and as a kernel argument."""

from __future__ import annotations

from typing import Any

import numpy as np

from workshop.dtype import DType
from workshop.layout.layout import Layout, flatten


class LayoutTensor:
    """Views a buffer through a layout; a kernel indexes it with exactly rank indices, in logical order.

    `storage` is a DeviceBuffer, a driver Buffer, or a numpy array (host only). `offset` counts elements.
    Raises ValueError where the layout reaches past the storage.

    >>> t = LayoutTensor(np.arange(6), Layout.col_major(2, 3))
    >>> t[0, 1], t.shape
    (np.int64(2), (2, 3))
    """

    __slots__ = ("layout", "offset", "storage")

    def __init__(self, storage: Any, layout: Layout, offset: int = 0) -> None:
        self.storage = storage
        self.layout = layout
        self.offset = offset
        available = _length(storage)
        negative = [s for s in flatten(layout.stride) if s < 0]
        if negative:
            raise ValueError(f"a LayoutTensor needs strides of at least 0; {layout} has {negative[0]}")
        if offset < 0 or offset + layout.cosize > available:
            last = offset + layout.cosize - 1
            raise ValueError(
                f"{layout} reaches element {last}, but the storage has {available} elements "
                f"(0 to {available - 1}); allocate {last + 1} or use a smaller layout"
            )

    @property
    def dtype(self) -> DType:
        """The element type."""
        found = self.storage.dtype
        return found if isinstance(found, DType) else DType.from_numpy(found)

    @property
    def shape(self) -> tuple[int, ...]:
        """The logical extents, one for each index."""
        return self.layout.extents()

    @property
    def rank(self) -> int:
        """Number of indices an access takes."""
        return self.layout.rank

    @property
    def size(self) -> int:
        """Number of elements of the layout."""
        return self.layout.size

    def dim(self, axis: int) -> int:
        """Return the extent of one axis; raises IndexError outside the rank."""
        if not 0 <= axis < self.rank:
            raise IndexError(f"axis {axis} is out of range: the tensor has {self.rank} dimensions")
        return self.shape[axis]

    def to_numpy(self) -> np.ndarray[Any, Any]:
        """Copy the elements to a numpy array of the logical shape (waits for launches in flight)."""
        flat = host_array(self.storage).reshape(-1)
        positions = np.fromiter(self.layout.offsets(), dtype=np.int64, count=self.size) + self.offset
        return flat[positions].reshape(self.shape, order="F")

    def __getitem__(self, index: int | tuple[int, ...]) -> Any:
        position = self.layout(*(index if isinstance(index, tuple) else (index,)))
        return host_array(self.storage).reshape(-1)[self.offset + position]

    def __setitem__(self, index: int | tuple[int, ...], value: Any) -> None:
        position = self.offset + self.layout(*(index if isinstance(index, tuple) else (index,)))
        if isinstance(self.storage, np.ndarray):
            self.storage.reshape(-1)[position] = value
        else:
            self.storage[position] = value

    def __repr__(self) -> str:
        return f"LayoutTensor({self.dtype}, {repr(self.layout)[7:-1]})"


def _length(storage: Any) -> int:
    for name in ("num_elements", "size"):
        count = getattr(storage, name, None)
        if isinstance(count, int):
            return count
    return len(storage)


def host_array(storage: Any) -> np.ndarray[Any, Any]:
    """Return the storage's elements as a host array (a copy, unless it is a numpy array already)."""
    if isinstance(storage, np.ndarray):
        return storage
    found: np.ndarray[Any, Any] = np.asarray(storage.to_numpy())
    return found
