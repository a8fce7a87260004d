"""Memory, copies and launches on one NVIDIA GPU, through cupy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from workshop.dtype import DType
from workshop.errors import LaunchError, Loc, caller_loc
from workshop.gpu import ir
from workshop.gpu.cuda.arguments import met, packed, written_names
from workshop.gpu.cuda.compiler import compiled_file
from workshop.gpu.cuda.device import limits_of_device, load_cupy
from workshop.gpu.cuda.ranges import Assumptions
from workshop.gpu.cuda.stream import CudaEvent, CudaStream, PrintLog, blank_log
from workshop.gpu.cuda.translation import Program, translate
from workshop.gpu.launch import Dim3, Output
from workshop.gpu.printing import formats_of, log_words

Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class Loaded:
    """A kernel's machine code on the device: cupy's function and the program it was compiled from."""

    kernel: Any
    program: Program


class CudaRuntime:
    """Runs one GPU for `DeviceContext`: everything named enqueue returns at once and runs in stream order.

    bfloat16, which cupy does not know, lies on the device as its 16 bits. Raises LaunchError without cupy.
    """

    def __init__(self, device_id: int) -> None:
        self.cupy = load_cupy()
        self.device_id = device_id
        self.device = self.cupy.cuda.Device(device_id)
        self.limits = limits_of_device(self.cupy, device_id)
        self._loaded: dict[tuple[str, Assumptions], Loaded] = {}
        self._written: dict[str, frozenset[str]] = {}

    # -- memory

    def new_stream(self) -> CudaStream:
        """Make a stream."""
        return CudaStream(self.cupy, self.device_id)

    def new_event(self) -> CudaEvent:
        """Make an event."""
        with self.device:
            return CudaEvent(self.cupy)

    def allocate(self, dtype: DType, length: int) -> tuple[Any, None]:
        """Allocate device memory, uninitialised."""
        with self.device:
            try:
                return self.cupy.empty(length, bits(dtype)), None
            except self.cupy.cuda.memory.OutOfMemoryError:
                free, total = self.cupy.cuda.runtime.memGetInfo()
        raise LaunchError(
            f"{length} elements of {dtype} take {length * dtype.size_in_bytes} bytes; {self.limits.name} has "
            f"{free} of {total} free. Use smaller buffers, or drop ones that are no longer needed.",
            caller_loc(),
        )

    def allocate_host(self, dtype: DType, length: int) -> Array:
        """Allocate pinned host memory, which the GPU copies from and to without a detour."""
        import cupyx

        with self.device:
            array: Array = cupyx.empty_pinned((length,), bits(dtype))
        return array.view(dtype.to_numpy())

    def upload(self, buffer: Any, array: Array) -> None:
        """Copy host elements to a buffer now."""
        with self.device:
            buffer.memory.set(_host(array, buffer.dtype))
            self.cupy.cuda.get_current_stream().synchronize()

    def download(self, buffer: Any) -> Array:
        """Copy a buffer's elements to a new host array now."""
        with self.device:
            fetched: Array = buffer.memory.get()
        return fetched.view(buffer.dtype.to_numpy())

    def enqueue_copy(self, stream: CudaStream, target: Any, source: Any) -> None:
        """Copy between device buffers, host buffers and numpy arrays of one length and dtype."""
        if isinstance(target, np.ndarray) and not target.flags.c_contiguous:
            raise LaunchError("enqueue_copy needs a contiguous numpy array as its target", caller_loc())
        to, origin = _elements(target), _elements(source)
        with self.device, stream.enqueuing():
            if isinstance(to, np.ndarray) and isinstance(origin, np.ndarray):
                stream.native.synchronize()  # the host does this copy; it must see the earlier work
                np.copyto(to, origin)
            elif isinstance(to, np.ndarray):
                origin.get(out=_host(to, source.dtype), stream=stream.native, blocking=False)
            elif isinstance(origin, np.ndarray):
                to.set(_host(origin, target.dtype), stream=stream.native)
            else:
                to[...] = origin
            stream.follow((to, origin))

    def enqueue_fill(self, stream: CudaStream, buffer: Any, value: Any) -> None:
        """Set every element."""
        with self.device, stream.enqueuing():
            buffer.memory.fill(np.asarray(value, buffer.dtype.to_numpy()).view(bits(buffer.dtype))[()])
            stream.follow(buffer.memory)

    # -- launches

    def enqueue_launch(
        self,
        stream: CudaStream,
        made: Any,
        values: list[Any],
        grid: Dim3,
        printed: Callable[[Output], None],
        loc: Loc | None,
    ) -> None:
        """Launch a specialised kernel; `printed` gets its lines when the stream is waited for."""
        function: ir.Function = made.function
        if made.key not in self._written:
            self._written[made.key] = written_names(function)
        assumptions = met(function, self._written[made.key], values, grid)
        with self.device, stream.enqueuing():
            loaded = self._load(made.key, function, assumptions)
            log = self._log(function, loaded.program, printed)
            arguments = packed(loaded.program.parameters, values, None if log is None else log.words)
            loaded.kernel(grid, function.block, arguments)
            stream.follow((values, log), function.name, loc, log)

    def _load(self, key: str, function: ir.Function, assumptions: Assumptions) -> Loaded:
        known = self._loaded.get((key, assumptions))
        if known is None:
            program = translate(function, assumptions)
            module = self.cupy.RawModule(path=str(compiled_file(program, self.limits.arch)))
            known = self._loaded[key, assumptions] = Loaded(module.get_function(program.entry), program)
        return known

    def _log(
        self, function: ir.Function, program: Program, printed: Callable[[Output], None]
    ) -> PrintLog | None:
        if program.parameters and program.parameters[-1].role == "print_log":
            formats = formats_of(function)
            return PrintLog(blank_log(self.cupy, log_words(formats)), formats, printed)
        return None

    # -- arrays of others

    def native_array(self, buffer: Any) -> Any:
        """Return the cupy array behind a driver Buffer; raise LaunchError for one that lies elsewhere."""
        if buffer.is_host or buffer.device.id != self.device_id:
            raise LaunchError(
                f"this buffer lies on {buffer.device!r}, the launch runs on GPU {self.device_id}; "
                f"use buffer.to(Accelerator({self.device_id})) or another context",
                caller_loc(),
            )
        return buffer._array

    def bind_cupy(self, array: Any) -> Any:
        """Return a cupy array of this device; raise LaunchError for another device's."""
        if array.device.id != self.device_id:
            raise LaunchError(
                f"this cupy array lies on GPU {array.device.id}, the launch runs on GPU {self.device_id}",
                caller_loc(),
            )
        return array


def bits(dtype: DType) -> np.dtype[Any]:
    """Return the numpy dtype in which cupy holds these elements."""
    return np.dtype(np.uint16) if dtype is DType.bfloat16 else dtype.to_numpy()


def _host(array: Array, dtype: DType) -> Array:
    return np.ascontiguousarray(array, dtype.to_numpy()).view(bits(dtype))


def _elements(end: Any) -> Any:
    """The elements behind one end of a copy: a cupy array, or a numpy one for the host."""
    if hasattr(end, "memory"):
        return end.memory
    return end.as_numpy() if hasattr(end, "as_numpy") else np.asarray(end).reshape(-1)
