"""What a context needs of a device, and the runtime of the host apis `cpu` and `checked`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

from workshop.dtype import DType
from workshop.errors import Loc
from workshop.gpu.host.buffers import Array, DeviceBuffer, HostBuffer, new_host_array
from workshop.gpu.host.stream import Event, Stream, Work
from workshop.gpu.kernel import Specialization
from workshop.gpu.launch import Dim3, HostBackend, Launch, Output

HEAVY_THREADS = 16_384
HEAVY_BYTES = 1 << 20


class Runtime(Protocol):
    """One device's memory and streams. Everything named enqueue returns at once and runs in stream order."""

    def new_stream(self) -> Any:
        """Make a stream: `.synchronize()`, `.idle`."""

    def new_event(self) -> Any:
        """Make an event: `.synchronize()`, `.elapsed_ms(start)`."""

    def allocate(self, dtype: DType, length: int) -> tuple[Any, Array | None]:
        """Allocate device memory (`.size` counts elements) and, on `checked`, its shadow of written ones."""

    def allocate_host(self, dtype: DType, length: int) -> Array:
        """Allocate pinned host memory as a numpy array."""

    def upload(self, buffer: DeviceBuffer, array: Array) -> None:
        """Copy host elements to a buffer now; all of it counts as written."""

    def download(self, buffer: DeviceBuffer) -> Array:
        """Copy a buffer's elements to a new host array now."""

    def enqueue_copy(self, stream: Any, target: Any, source: Any) -> None:
        """Copy between device and host buffers of one length."""

    def enqueue_fill(self, stream: Any, buffer: DeviceBuffer, value: Any) -> None:
        """Set every element."""

    def enqueue_launch(
        self,
        stream: Any,
        made: Specialization,
        values: list[Any],
        grid: Dim3,
        printed: Callable[[Output], None],
        loc: Loc | None,
    ) -> None:
        """Launch a specialised kernel; `printed` gets its lines before the stream's next wait ends."""

    def native_array(self, buffer: Any) -> Any:
        """Return the array behind a driver Buffer on this device; raise LaunchError for another device."""

    def bind_cupy(self, array: Any) -> Any:
        """Return a cupy array of this device; raise LaunchError for another device's."""


class HostRuntime:
    """Runs launches on the host through a back end: `cpu` (compiled) or `checked` (interpreted)."""

    def __init__(self, backend: HostBackend, *, shadow: bool) -> None:
        self.backend = backend
        self.shadow = shadow

    def new_stream(self) -> Stream:
        return Stream()

    def new_event(self) -> Event:
        return Event()

    def allocate(self, dtype: DType, length: int) -> tuple[Any, Array | None]:
        return new_host_array(dtype, length), np.zeros(length, np.bool_) if self.shadow else None

    def allocate_host(self, dtype: DType, length: int) -> Array:
        return new_host_array(dtype, length)

    def upload(self, buffer: DeviceBuffer, array: Array) -> None:
        np.copyto(buffer.memory, array, casting="unsafe")
        if buffer.written is not None:
            buffer.written.fill(True)

    def download(self, buffer: DeviceBuffer) -> Array:
        copied: Array = buffer.memory.copy()
        return copied

    def enqueue_copy(self, stream: Stream, target: Any, source: Any) -> None:
        def run() -> None:
            origin = _memory(source)
            if isinstance(target, np.ndarray):
                target[...] = origin.reshape(target.shape)  # in place, whatever the target's strides
            else:
                np.copyto(_memory(target), origin, casting="unsafe")
            shadow = getattr(target, "written", None)
            if shadow is not None:
                known = getattr(source, "written", None)
                shadow[:] = True if known is None else known

        stream.enqueue(Work(run, _memory(source).nbytes >= HEAVY_BYTES, (target, source)))

    def enqueue_fill(self, stream: Stream, buffer: DeviceBuffer, value: Any) -> None:
        def run() -> None:
            buffer.memory.fill(value)
            if buffer.written is not None:
                buffer.written.fill(True)

        stream.enqueue(Work(run, buffer.memory.nbytes >= HEAVY_BYTES, buffer))

    def enqueue_launch(
        self,
        stream: Stream,
        made: Specialization,
        values: list[Any],
        grid: Dim3,
        printed: Callable[[Output], None],
        loc: Loc | None,
    ) -> None:
        launch = Launch(made.function, values, grid, made.key)
        backend = self.backend

        def run() -> None:
            try:
                backend.run(launch)
            finally:
                if launch.output.lines or launch.output.dropped:
                    printed(launch.output)

        block = made.function.block
        threads = grid[0] * grid[1] * grid[2] * block[0] * block[1] * block[2]
        stream.enqueue(Work(run, made.loops or threads > HEAVY_THREADS, None, launch.cancel))

    def native_array(self, buffer: Any) -> Any:
        from workshop.errors import LaunchError, caller_loc

        raise LaunchError(
            "this buffer lies on a GPU, the launch runs on the host; use buffer.to(CPU()) or a cuda context",
            caller_loc(),
        )

    def bind_cupy(self, array: Any) -> Any:
        return self.native_array(array)


def _memory(end: Any) -> Array:
    """The elements behind one end of a copy."""
    if isinstance(end, DeviceBuffer):
        memory: Array = end.memory
        return memory
    if isinstance(end, HostBuffer):
        return end.as_numpy()
    return np.asarray(end).reshape(-1)
