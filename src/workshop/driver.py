"""Devices and the memory on them: CPU, Accelerator, Buffer.

The spelling is MAX's. A host buffer is a numpy array over pooled memory; an accelerator's is a cupy array.
bfloat16 is `ml_dtypes.bfloat16` on the host and travels as raw 16 bits where a library does not know it.
"""

from __future__ import annotations

import ctypes
import functools
import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from workshop.dlpack import CPU_MEMORY, CUDA_MEMORY, export_array, import_array
from workshop.dtype import DType
from workshop.pool import allocate

Array = npt.NDArray[Any]


class Device:
    """Names a place where memory lies and kernels run; made by `CPU()` or `Accelerator()`.

    >>> CPU().label, CPU().is_host, CPU() == Device.cpu()
    ('cpu', True, True)
    """

    label: str
    api: str

    def __init__(self, id: int = 0) -> None:
        self.id = id

    @staticmethod
    def cpu(id: int = 0) -> CPU:
        """Return the host, as `CPU()` does."""
        return CPU(id)

    @property
    def is_host(self) -> bool:
        """True for the CPU."""
        return self.label == "cpu"

    @property
    def is_compatible(self) -> bool:
        """True: a device that exists can be used."""
        return True

    @property
    def stats(self) -> dict[str, Any]:
        """Return what is known about the device, as plain data."""
        return {"label": self.label, "id": self.id, "api": self.api}

    def synchronize(self) -> None:
        """Wait for all work queued on this device."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Device) and (self.label, self.id) == (other.label, other.id)

    def __hash__(self) -> int:
        return hash((self.label, self.id))

    def __repr__(self) -> str:
        return f"Device(type={self.label},id={self.id})"


class CPU(Device):
    """The host. Raises ValueError for an id other than 0.

    >>> CPU()
    Device(type=cpu,id=0)
    """

    label = "cpu"
    api = "cpu"

    def __init__(self, id: int = 0) -> None:
        if id not in (0, -1):
            raise ValueError(f"CPU(id={id}): there is one host; write CPU()")
        super().__init__(0)


class Accelerator(Device):
    """A GPU. Raises RuntimeError where there is none with that id, saying what to use instead."""

    label = "gpu"
    api = "cuda"

    def __init__(self, id: int = 0) -> None:
        count = accelerator_count()
        if not 0 <= id < count:
            found = f"{count} NVIDIA GPU(s)" if count else "no NVIDIA GPU"
            raise RuntimeError(
                f"Accelerator(id={id}): this machine has {found}; use CPU() to run on the host"
            )
        super().__init__(id)

    def synchronize(self) -> None:
        _cupy().cuda.Device(self.id).synchronize()


@functools.cache
def accelerator_count() -> int:
    """Return how many NVIDIA GPUs the CUDA driver offers; 0 where there is no driver."""
    for name in ("libcuda.so.1", "libcuda.so", "nvcuda.dll"):
        try:
            cuda = ctypes.CDLL(name)
        except OSError:
            continue
        count = ctypes.c_int(0)
        if cuda.cuInit(0) == 0 and cuda.cuDeviceGetCount(ctypes.byref(count)) == 0:
            return count.value
    return 0


class Buffer:
    """Holds elements of one dtype in a shape on a device; `Buffer(dtype, shape)` leaves them uninitialised.

    >>> b = Buffer.from_numpy(np.arange(6, dtype=np.int32).reshape(2, 3))
    >>> b, b[1, 2].item(), b[:, 1].to_numpy()
    (Buffer(DType.int32, [2, 3], Device(type=cpu,id=0)), 5, array([1, 4], dtype=int32))
    """

    __slots__ = ("_array", "_device", "_dtype")

    def __init__(self, dtype: DType, shape: Sequence[int] | int, device: Device | None = None) -> None:
        sizes = _checked_shape(shape)
        self._dtype = dtype
        self._device = device or CPU()
        if self._device.is_host:
            block = allocate(math.prod(sizes) * dtype.size_in_bytes)
            self._array: Any = block.array.view(dtype.to_numpy()).reshape(sizes)
        else:
            with _cupy().cuda.Device(self._device.id):
                self._array = _cupy().empty(sizes, _device_dtype(dtype))

    @classmethod
    def _wrap(cls, array: Any, dtype: DType, device: Device) -> Buffer:
        self = cls.__new__(cls)
        self._array, self._dtype, self._device = array, dtype, device
        return self

    @classmethod
    def from_numpy(cls, arr: Array) -> Buffer:
        """Wrap a numpy array, sharing its memory; a non-contiguous or read-only one is copied."""
        if not isinstance(arr, np.ndarray):
            raise TypeError(
                f"Buffer.from_numpy takes a numpy array, got {type(arr).__name__}; see from_dlpack"
            )
        dtype = DType.from_numpy(arr.dtype)
        native = arr.astype(arr.dtype.newbyteorder("="), copy=False)
        if not (native.flags.c_contiguous and native.flags.writeable):
            return cls._wrap(_pooled_copy(native), dtype, CPU())
        return cls._wrap(native, dtype, CPU())

    @classmethod
    def from_dlpack(cls, array: Any, *, copy: bool | None = None) -> Buffer:
        """Wrap any array that speaks DLPack (torch, cupy, jax ...), sharing its memory unless `copy`.

        A non-contiguous array on the host is copied. Raises TypeError for an object without `__dlpack__`.
        """
        if isinstance(array, Buffer):
            wrapped = array
        elif isinstance(array, np.ndarray):
            wrapped = cls.from_numpy(array)
        elif not hasattr(array, "__dlpack__"):
            raise TypeError(
                f"{type(array).__name__} has no __dlpack__; pass a numpy array, torch tensor or Buffer"
            )
        elif array.__dlpack_device__()[0] == CPU_MEMORY:
            imported = import_array(array)
            wrapped = cls._wrap(imported, DType.from_numpy(imported.dtype), CPU())
        else:
            wrapped = _from_dlpack_on_accelerator(array)
        return wrapped.copy() if copy else wrapped.contiguous()

    @classmethod
    def zeros(cls, shape: Sequence[int] | int, dtype: DType, device: Device | None = None) -> Buffer:
        """Return a buffer of zeros.

        >>> Buffer.zeros((2,), DType.bfloat16).to_numpy()
        array([0, 0], dtype=bfloat16)
        """
        made = cls(dtype, shape, device)
        made._array.fill(0)
        return made

    @classmethod
    def scalar(cls, value: Any, dtype: DType, device: Device | None = None) -> Buffer:
        """Return a buffer of rank 0 that holds one value."""
        made = cls(dtype, ())
        made._array[()] = value
        return made.to(device) if device is not None else made

    @property
    def dtype(self) -> DType:
        """The element type."""
        return self._dtype

    @property
    def shape(self) -> tuple[int, ...]:
        """The extents, outermost first."""
        return tuple(self._array.shape)

    @property
    def strides(self) -> tuple[int, ...]:
        """Elements, not bytes, from one index to the next along each axis."""
        return tuple(step // self.element_size for step in self._array.strides)

    @property
    def device(self) -> Device:
        """Where the memory lies."""
        return self._device

    @property
    def rank(self) -> int:
        """The number of axes."""
        return len(self._array.shape)

    @property
    def num_elements(self) -> int:
        """The number of elements."""
        return math.prod(self._array.shape)

    @property
    def element_size(self) -> int:
        """Bytes of one element."""
        return self._dtype.size_in_bytes

    @property
    def is_contiguous(self) -> bool:
        """True when the elements lie in row-major order without gaps."""
        return bool(self._array.flags.c_contiguous)

    @property
    def is_host(self) -> bool:
        """True when the memory is the CPU's."""
        return self._device.is_host

    def to_numpy(self) -> Array:
        """Return a numpy array: the buffer's own memory on the host, a copy from an accelerator."""
        if self.is_host:
            array: Array = self._array
            return array
        fetched: Array = self._array.get().view(self._dtype.to_numpy())
        return fetched

    def item(self) -> Any:
        """Return the only element as a Python number; raises ValueError when there are more or none."""
        if self.num_elements != 1:
            raise ValueError(f"item() needs one element; {self} has {self.num_elements}")
        value = self.to_numpy().reshape(())[()]
        return float(value) if self._dtype is DType.bfloat16 else value.item()

    def to(self, device: Device) -> Buffer:
        """Return the buffer on `device`: itself when it is there already, else a copy."""
        if device == self._device:
            return self
        if device.is_host:
            return Buffer.from_numpy(self.to_numpy())
        target = Buffer(self._dtype, self.shape, device)
        target._array.set(np.ascontiguousarray(self.to_numpy()).view(_device_dtype(self._dtype)))
        return target

    def copy(self) -> Buffer:
        """Return a contiguous buffer of its own memory with the same elements."""
        target = Buffer(self._dtype, self.shape, self._device)
        target._array[...] = self._array
        return target

    def contiguous(self) -> Buffer:
        """Return the buffer itself when contiguous, else a contiguous copy."""
        return self if self.is_contiguous else self.copy()

    def inplace_copy_from(self, src: Buffer) -> None:
        """Overwrite the elements with those of `src`, which has the same shape and dtype."""
        if (src.shape, src.dtype) != (self.shape, self._dtype):
            raise ValueError(
                f"inplace_copy_from: {src} does not fit into {self}; shape and dtype must be the same"
            )
        self._array[...] = src.to(self._device)._array

    def view(self, dtype: DType, shape: Sequence[int] | None = None) -> Buffer:
        """Reinterpret the same bytes as `dtype`, by default with the last axis resized to fit.

        Raises ValueError when the bytes do not fit or are not contiguous.
        """
        if not self.is_contiguous:
            raise ValueError(
                f"view: strides {list(self.strides)} are not contiguous; call .contiguous() first"
            )
        nbytes = self.num_elements * self.element_size
        if shape is None:
            row = (self.shape[-1] if self.shape else 1) * self.element_size
            shape = (*self.shape[:-1], row // dtype.size_in_bytes) if self.shape else ()
        sizes = _checked_shape(shape)
        if math.prod(sizes) * dtype.size_in_bytes != nbytes:
            needed = math.prod(sizes) * dtype.size_in_bytes
            raise ValueError(f"view: {self} has {nbytes} bytes, {dtype} {list(sizes)} needs {needed}")
        raw = dtype.to_numpy() if self.is_host else _device_dtype(dtype)
        return Buffer._wrap(self._array.reshape(-1).view(raw).reshape(sizes), dtype, self._device)

    def __getitem__(self, index: Any) -> Buffer:
        """Return a view, of rank 0 for a full index; ints, slices, `...` and None only."""
        return Buffer._wrap(self._array[_basic_index(index)], self._dtype, self._device)

    def __setitem__(self, index: Any, value: Any) -> None:
        if isinstance(value, Buffer):
            stored = value.to(self._device)._array
        else:
            stored = value if self.is_host else self._bits(value)
        self._array[_basic_index(index)] = stored

    def _bits(self, value: Any) -> Array:
        return np.asarray(value, self._dtype.to_numpy()).view(_device_dtype(self._dtype))

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("len() of a Buffer of rank 0")
        return self.shape[0]

    def __iter__(self) -> Iterator[Buffer]:
        return (self[i] for i in range(len(self)))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        array = self.to_numpy()
        wanted = array.dtype if dtype is None else np.dtype(dtype)
        return array.astype(wanted, copy=True) if copy or wanted != array.dtype else array

    def __dlpack_device__(self) -> tuple[int, int]:
        return (CPU_MEMORY, 0) if self.is_host else (CUDA_MEMORY, self._device.id)

    def __dlpack__(self, **options: Any) -> Any:
        """Export without a copy; bfloat16 too, from the host."""
        if self.is_host:
            return export_array(self._array, self._dtype, **options)
        if self._dtype is DType.bfloat16:
            raise BufferError(
                "a bfloat16 buffer on a GPU has no DLPack export; copy it with .to(CPU()) first"
            )
        return self._array.__dlpack__(**options)

    def __repr__(self) -> str:
        return f"Buffer({self._dtype}, {list(self.shape)}, {self._device})"


def _from_dlpack_on_accelerator(array: Any) -> Buffer:
    device = Accelerator(array.__dlpack_device__()[1])
    name = str(array.dtype).removeprefix("torch.")
    bits = array.view(_torch_bits(array)) if name == "bfloat16" else array
    imported = _cupy().from_dlpack(bits)
    return Buffer._wrap(imported, DType(name), device)


def _torch_bits(array: Any) -> Any:
    import torch

    return torch.uint16 if isinstance(array, torch.Tensor) else np.uint16


def _cupy() -> Any:
    try:
        import cupy
    except ImportError:
        raise RuntimeError("memory on a GPU needs cupy; install it with: pip install cupy-cuda12x") from None
    return cupy


def _device_dtype(dtype: DType) -> np.dtype[Any]:
    return np.dtype(np.uint16) if dtype is DType.bfloat16 else dtype.to_numpy()


def _pooled_copy(array: Array) -> Array:
    block = allocate(array.nbytes).array.view(array.dtype).reshape(array.shape)
    block[...] = array
    return block


def _basic_index(index: Any) -> tuple[Any, ...]:
    parts = index if isinstance(index, tuple) else (index,)
    for part in parts:
        if not (part is None or part is ... or isinstance(part, (int, np.integer, slice))):
            raise TypeError(
                f"a Buffer is indexed with ints, slices, None and ..., not {type(part).__name__}; "
                "index .to_numpy() instead"
            )
    return parts if ... in parts else (*parts, ...)


def _checked_shape(shape: Sequence[int] | int) -> tuple[int, ...]:
    sizes = (shape,) if isinstance(shape, int) else tuple(int(size) for size in shape)
    if any(size < 0 for size in sizes):
        raise ValueError(f"shape {list(sizes)}: every extent must be non-negative")
    return sizes
