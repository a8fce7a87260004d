"""Memory of a device context: device buffers that kernels use and host buffers that copies use."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from workshop.dtype import DType
from workshop.errors import LaunchError, caller_loc
from workshop.gpu.kernel import array_type
from workshop.gpu.launch import HostArray
from workshop.layout import Layout, LayoutTensor
from workshop.pool import allocate

if TYPE_CHECKING:
    from workshop.gpu.host.context import DeviceContext

Array = npt.NDArray[Any]


def check_length(length: Any) -> int:
    """Return a buffer length; raise LaunchError where it is none."""
    if isinstance(length, bool) or not isinstance(length, (int, np.integer)):
        raise LaunchError(f"a buffer's length is an integer, not {length!r}", caller_loc())
    if length < 0:
        raise LaunchError(
            f"a buffer cannot have {length} elements; a length must be non-negative", caller_loc()
        )
    return int(length)


class HostBuffer:
    """Pinned memory on the host (pageable where there is no GPU), 1D; index it like a numpy array."""

    def __init__(self, array: Array, dtype: DType) -> None:
        self._array = array
        self.dtype = dtype

    def __len__(self) -> int:
        return self._array.size

    @property
    def size(self) -> int:
        """Number of elements."""
        return self._array.size

    def to_numpy(self) -> Array:
        """Return a copy of the elements."""
        return self._array.copy()

    def as_numpy(self) -> Array:
        """Return the memory itself as a numpy array; wait for copies in flight before reading it."""
        return self._array

    def __getitem__(self, index: Any) -> Any:
        return self._array[index]

    def __setitem__(self, index: Any, value: Any) -> None:
        self._array[index] = value

    def __iter__(self) -> Iterator[Any]:
        return iter(self._array)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        return np.array(self._array, dtype=dtype, copy=True if copy is None else copy)

    def __repr__(self) -> str:
        return f"HostBuffer({self.dtype}, {self.size})"


class DeviceBuffer:
    """Memory of a device, 1D, uninitialised until something writes it.

    Made by `ctx.enqueue_create_buffer`; freed when nothing refers to it and no launch in flight uses it.
    """

    def __init__(self, context: DeviceContext, dtype: DType, memory: Any, written: Array | None) -> None:
        self.context = context
        self.dtype = dtype
        self.memory = memory
        self.written = written
        self.array_type = array_type(dtype, 1)
        self.mapped = 0
        size = int(memory.size)
        self.host_array = HostArray(memory, (size,), (1,), 0, written)

    @property
    def size(self) -> int:
        """Number of elements."""
        return self.host_array.shape[0]

    def __len__(self) -> int:
        return self.size

    @contextmanager
    def map_to_host(self) -> Iterator[Array]:
        """Wait, yield the elements as a numpy array, and write it back at exit (also after an exception)."""
        host = self.to_numpy()
        self.mapped += 1
        try:
            yield host
        finally:
            self.mapped -= 1
            self.context.runtime.upload(self, host)

    def to_numpy(self) -> Array:
        """Wait, and return a copy of the elements."""
        self.context.synchronize()
        return self.context.runtime.download(self)

    def enqueue_fill(self, value: Any) -> DeviceBuffer:
        """Set every element, in stream order; returns the buffer."""
        self.context.enqueue_fill(self, value)
        return self

    def layout(self, *shape: int) -> LayoutTensor:
        """View the buffer as a row-major tensor of this shape."""
        return LayoutTensor(self, Layout.row_major(*shape))

    def __getitem__(self, index: Any) -> Any:
        return self.to_numpy()[index]

    def __setitem__(self, index: Any, value: Any) -> None:
        with self.map_to_host() as host:
            host[index] = value

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        return self.to_numpy().astype(dtype or self.dtype.to_numpy(), copy=False)

    def __repr__(self) -> str:
        return f"DeviceBuffer({self.dtype}, {self.size})"


def new_host_array(dtype: DType, length: int) -> Array:
    """Allocate pooled host memory for `length` elements."""
    block = allocate(length * dtype.size_in_bytes)
    return block.array.view(dtype.to_numpy())
