"""Turns what a launch is given into typed arguments: arrays with extents and strides, scalars with dtypes."""

from __future__ import annotations

import sys
from typing import Any, NoReturn

import numpy as np

from workshop.dlpack import import_array
from workshop.driver import Buffer
from workshop.dtype import DType
from workshop.errors import LaunchError, caller_loc
from workshop.gpu.host.buffers import DeviceBuffer, HostBuffer
from workshop.gpu.kernel import ArrayType, Kernel, array_type
from workshop.gpu.launch import HostArray
from workshop.layout import LayoutTensor
from workshop.layout.layout import flatten

INT64_MIN, INT64_MAX = -(2**63), 2**63 - 1


class Binder:
    """Binds arguments for one context."""

    def __init__(self, context: Any) -> None:
        self.context = context

    def array_type(self, value: Any) -> ArrayType | None:
        """Return the type of an array argument; None where the value is none that a device can use."""
        if type(value) is DeviceBuffer:
            return value.array_type
        bound = self._array(value)
        return None if bound is None else bound[0]

    def bind(self, kernel: Kernel[...], arguments: tuple[Any, ...]) -> tuple[list[Any], list[Any], list[int]]:
        """Return the types and the values of the arguments, and which of them are read-only arrays.

        Raises LaunchError for what is no argument.
        """
        types: list[Any] = []
        values: list[Any] = []
        floats: list[int] = []
        read_only: list[int] = []
        for position, value in enumerate(arguments):
            if type(value) is DeviceBuffer:
                self._check_buffer(value)
                types.append(value.array_type)
                values.append(value.host_array)
                continue
            bound = self._scalar(value) or self._array(value)
            if bound is None:
                self._refuse(kernel, position, value)
            if type(value) is float:
                floats.append(position)
            elif isinstance(bound[1], HostArray) and not _writeable(bound[1].flat):
                read_only.append(position)
            types.append(bound[0])
            values.append(bound[1])
        wide = any(isinstance(t, ArrayType) and t.dtype is DType.float64 for t in types)
        for position in floats if wide else ():
            types[position], values[position] = DType.float64, np.float64(arguments[position])
        return types, values, read_only

    def _scalar(self, value: Any) -> tuple[DType, Any] | None:
        kind = type(value)
        if kind is bool:
            return DType.bool, np.bool_(value)
        if kind is int:
            if not INT64_MIN <= value <= INT64_MAX:
                raise LaunchError(
                    f"{value} does not fit int64, the dtype of Python ints in a kernel", caller_loc()
                )
            return DType.int64, np.int64(value)
        if kind is float:
            with np.errstate(over="ignore"):
                return DType.float32, np.float32(value)
        if isinstance(value, np.generic):
            try:
                return DType.from_numpy(value.dtype), value
            except TypeError:
                return None
        return None

    def _array(self, value: Any) -> tuple[ArrayType, HostArray] | None:
        if isinstance(value, DeviceBuffer):
            self._check_buffer(value)
            return value.array_type, value.host_array
        if isinstance(value, LayoutTensor):
            return self._tensor(value)
        if isinstance(value, Buffer):
            return self._strided(self._numpy_of(value), value.dtype)
        torch = sys.modules.get("torch")
        if torch is not None and isinstance(value, torch.Tensor):
            return self._strided(self._of_torch(value.detach()), DType.from_torch(value.dtype))
        cupy = sys.modules.get("cupy")
        if cupy is not None and isinstance(value, cupy.ndarray):
            return self._strided(self.context.runtime.bind_cupy(value), DType.from_numpy(value.dtype))
        return None

    def _numpy_of(self, buffer: Buffer) -> Any:
        if not buffer.is_host or self.context.api() == "cuda":
            return self.context.runtime.native_array(buffer)
        return buffer._array

    def _of_torch(self, tensor: Any) -> Any:
        """The memory of a torch tensor as an array, with the tensor's own strides."""
        if tensor.is_cpu and self.context.api() != "cuda":
            return import_array(tensor)
        return self._numpy_of(Buffer.from_dlpack(tensor))

    def _tensor(self, tensor: LayoutTensor) -> tuple[ArrayType, HostArray] | None:
        base = self._array(tensor.storage)
        if base is None:
            return None
        flat = base[1]
        if any(not isinstance(mode, int) for mode in tensor.layout.shape):
            raise LaunchError(
                f"{tensor!r} has nested modes, which kernels cannot index; flatten the layout for a launch",
                caller_loc(),
            )
        if flat.strides != (1,):
            raise LaunchError(f"{tensor!r} needs one-dimensional contiguous storage", caller_loc())
        layout = "row_major" if tensor.layout.is_row_major else "strided"
        kind = array_type(base[0].dtype, tensor.rank, layout)
        strides = flatten(tensor.layout.stride)
        return kind, HostArray(flat.flat, tensor.shape, strides, flat.offset + tensor.offset, flat.written)

    def _strided(self, array: Any, dtype: DType) -> tuple[ArrayType, HostArray]:
        """Describe a numpy (or cupy) array in place, without a copy."""
        size = dtype.size_in_bytes
        strides = tuple(s // size for s in array.strides)
        if any(s < 0 for s in strides):
            raise LaunchError(
                "an array with a negative stride cannot be a kernel argument; copy it", caller_loc()
            )
        shape = tuple(array.shape) or (1,)
        row_major = array.flags.c_contiguous
        span = 1 + sum((n - 1) * s for n, s in zip(shape, strides, strict=False)) if array.size else 0
        if row_major:
            flat, strides = array.reshape(-1), HostArray(array, shape, _packed(shape)).strides
        elif isinstance(array, np.ndarray):
            flat = np.lib.stride_tricks.as_strided(array, (span,), (size,))
        else:
            flat = array  # cupy: a launch takes only the address of its first element
        kind = array_type(dtype, len(shape), "row_major" if row_major else "strided")
        return kind, HostArray(flat, shape, strides)

    def _check_buffer(self, buffer: DeviceBuffer) -> None:
        if buffer.context is not self.context and not buffer.context.shares_memory(self.context):
            raise LaunchError(
                f"this buffer belongs to {buffer.context!r}, the launch to {self.context!r}; "
                "create it with the context that launches, or copy it there",
                caller_loc(),
            )
        if buffer.mapped:
            raise LaunchError(
                "this buffer is mapped to the host; launch after the `with ... map_to_host()` block ends",
                caller_loc(),
            )

    def _refuse(self, kernel: Kernel[...], position: int, value: Any) -> NoReturn:
        name = kernel.arguments[position] if position < len(kernel.arguments) else f"argument {position}"
        where = f"{kernel.__name__}(): {name} "
        loc = caller_loc()
        if isinstance(value, np.ndarray):
            raise LaunchError(
                f"{where}is a numpy array, which lies on the host. Create a device buffer with "
                "ctx.enqueue_create_buffer and fill it: `with buffer.map_to_host() as host: host[:] = x`.",
                loc,
            )
        if isinstance(value, HostBuffer):
            raise LaunchError(
                f"{where}is a host buffer; copy it to a device buffer with ctx.enqueue_copy", loc
            )
        if isinstance(value, (complex, np.complexfloating)):
            raise LaunchError(f"{where}is complex; pass its real and imaginary parts", loc)
        raise LaunchError(
            f"{where}is a {type(value).__name__}; kernels take device buffers, tensors, ints, floats, bools",
            loc,
        )


def _writeable(array: Any) -> bool:
    return not isinstance(array, np.ndarray) or array.flags.writeable


def _packed(shape: tuple[int, ...]) -> tuple[int, ...]:
    strides: list[int] = []
    step = 1
    for extent in reversed(shape):
        strides.insert(0, step)
        step *= extent
    return tuple(strides)
