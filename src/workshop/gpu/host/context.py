"""DeviceContext: one device, its memory, its streams, and the launches on them."""

from __future__ import annotations

import inspect
import os
import time
import weakref
from collections.abc import Callable
from typing import Any, Generic, TypeVar

import numpy as np

from workshop.driver import accelerator_count
from workshop.dtype import DType
from workshop.errors import LaunchError, caller_loc
from workshop.gpu.host import cell_end, output
from workshop.gpu.host.binding import Binder
from workshop.gpu.host.buffers import DeviceBuffer, HostBuffer, check_length
from workshop.gpu.host.runtime import HostRuntime, Runtime
from workshop.gpu.kernel import kernel_of
from workshop.gpu.launch import Dim3, Output
from workshop.gpu.limits import DeviceAttribute, DeviceLimits, check_launch, limits_of

B = TypeVar("B")
APIS = ("cuda", "cpu", "checked")


def default_api() -> str:
    """Return the api that DeviceContext() uses: WORKSHOP_DEVICE, else cuda where a GPU is, else cpu.

    Raises LaunchError for an unknown name, and for cuda where there is no GPU.
    """
    named = os.environ.get("WORKSHOP_DEVICE", "").strip().lower()
    if named:
        return _checked_api(named, "WORKSHOP_DEVICE=" + named)
    return "cuda" if accelerator_count() else "cpu"


def _checked_api(api: str, said: str) -> str:
    if api not in APIS:
        raise LaunchError(f"{said} is no api; use one of {', '.join(APIS)}", caller_loc())
    if api == "cuda" and not accelerator_count():
        raise LaunchError(
            f"{said} asks for a GPU, but no CUDA driver offers one here; use cpu (compiled) or checked",
            caller_loc(),
        )
    return api


class DeviceContext:
    """Gives access to one device: the GPU where there is one, else the compiled CPU.

    `api` is "cuda", "cpu" or "checked"; `limits` names the GPU whose rules cpu and checked enforce.
    `print_order` is "sorted" (by block, then thread) or "scheduled" (one interleaving of warps, by `seed`).

    >>> ctx = DeviceContext(api="cpu")
    >>> ctx.name(), ctx.api(), ctx.get_attribute(DeviceAttribute.WARP_SIZE)
    ('CPU', 'cpu', 32)
    """

    def __init__(
        self,
        device_id: int = 0,
        api: str | None = None,
        limits: str = "H100",
        *,
        print_order: str = "sorted",
        seed: int = 0,
    ) -> None:
        self._api = default_api() if api is None else _checked_api(api, f"api={api!r}")
        self._id = _checked_id(device_id, self._api)
        if print_order not in ("sorted", "scheduled"):
            raise LaunchError(f'print_order is "sorted" or "scheduled", not {print_order!r}', caller_loc())
        self.print_order, self.seed = print_order, seed
        self.limits: DeviceLimits = limits_of(limits)
        self.runtime: Runtime = _runtime(self._api, self._id)
        if self._api == "cuda":
            self.limits = self.runtime.limits  # type: ignore[attr-defined]
        self._stream: Any = self.runtime.new_stream()
        self._further: weakref.WeakSet[Any] | None = None
        self._binder = Binder(self)
        self._outputs: list[Output] = []
        self._allowed: set[tuple[Dim3, Dim3, int]] = set()
        cell_end.watch(self)

    # -- the device

    def name(self) -> str:
        """Return the device's name; "CPU" on the host."""
        return self.limits.name if self._api == "cuda" else "CPU"

    def api(self) -> str:
        """Return "cuda", "cpu" or "checked"."""
        return self._api

    @staticmethod
    def number_of_devices(*, api: str = "cuda") -> int:
        """Count the GPUs (for another api: 1, the host)."""
        return accelerator_count() if api == "cuda" else 1

    def get_attribute(self, attribute: DeviceAttribute) -> int:
        """Return one property of the device, or of the GPU whose rules apply."""
        return self.limits.attribute(attribute)

    def __repr__(self) -> str:
        return f"DeviceContext(api={self._api!r}, limits={self.limits.name!r})"

    # -- memory

    @property
    def enqueue_create_buffer(self) -> _Creator[DeviceBuffer]:
        """Create a device buffer: `(dtype, n)` or `[dtype](n)`; n elements, uninitialised."""
        return _Creator(self._create_buffer)

    @property
    def enqueue_create_host_buffer(self) -> _Creator[HostBuffer]:
        """Create a host buffer for copies: `(dtype, n)` or `[dtype](n)`."""
        return _Creator(self._create_host_buffer)

    def _create_buffer(self, dtype: DType, length: int) -> DeviceBuffer:
        return DeviceBuffer(self, dtype, *self.runtime.allocate(dtype, check_length(length)))

    def _create_host_buffer(self, dtype: DType, length: int) -> HostBuffer:
        return HostBuffer(self.runtime.allocate_host(dtype, check_length(length)), dtype)

    def enqueue_copy(self, dst: Any, src: Any, *, stream: Any = None) -> None:
        """Copy all elements from one buffer (or numpy array) to another of the same length and dtype."""
        for end in (dst, src):
            if not isinstance(end, (DeviceBuffer, HostBuffer, np.ndarray)):
                raise LaunchError(f"enqueue_copy copies buffers, not {type(end).__name__}", caller_loc())
        sizes, types = (dst.size, src.size), [_dtype_of(dst), _dtype_of(src)]
        if sizes[0] != sizes[1] or types[0] is not types[1]:
            raise LaunchError(
                f"enqueue_copy: the target holds {sizes[0]} elements of {types[0]}, "
                f"the source {sizes[1]} of {types[1]}",
                caller_loc(),
            )
        if isinstance(src, np.ndarray):
            src = src.copy()  # the caller may change it before the copy happens
        self.runtime.enqueue_copy(stream or self._stream, dst, src)

    def enqueue_fill(self, buffer: DeviceBuffer, value: Any, *, stream: Any = None) -> None:
        """Set every element of a buffer."""
        if not isinstance(buffer, DeviceBuffer):
            raise LaunchError(
                f"enqueue_fill fills a device buffer, not {type(buffer).__name__}", caller_loc()
            )
        self.runtime.enqueue_fill(stream or self._stream, buffer, buffer.dtype(value))

    # -- launches

    @property
    def enqueue_function(self) -> _Launcher:
        """Launch a kernel: `(k, *args, grid_dim=, block_dim=, **params)` or `[k](*args, ...)`."""
        return _Launcher(self)

    def _launch(
        self,
        function: Any,
        arguments: tuple[Any, ...],
        grid_dim: Any,
        block_dim: Any,
        stream: Any,
        parameters: dict[str, Any],
    ) -> None:
        grid, block = dim3(grid_dim, "grid_dim"), dim3(block_dim, "block_dim")
        kernel, at_hand = kernel_of(function)
        if len(arguments) < len(kernel.arguments) and at_hand.__defaults__:
            arguments += at_hand.__defaults__[len(arguments) - len(kernel.arguments) :]
        self._check(kernel.__name__, grid, block, 0)
        types, values, read_only = self._binder.bind(kernel, arguments)
        made, functions = kernel.specialize(
            tuple(types), parameters, block, self.limits.warp_size, self._binder.array_type, at_hand
        )
        if made.shared_bytes:
            self._check(kernel.__name__, grid, block, made.shared_bytes)
        for read, _kind in made.captures:
            read_only += [len(values)] * bool((bound := self._binder.bind(kernel, (read(functions),)))[2])
            values += bound[1]
        if read_only and (stored := made.stored.intersection(read_only)):
            name = made.function.params[min(stored)].name
            raise LaunchError(
                f"{kernel.__name__}() writes to {name}, which is read-only memory; pass a copy", caller_loc()
            )
        loc = caller_loc() if self._api == "cuda" else None
        self.runtime.enqueue_launch(stream or self._stream, made, values, grid, self._outputs.append, loc)

    def _check(self, name: str, grid: Dim3, block: Dim3, shared: int) -> None:
        entry = (grid, block, shared)
        if entry in self._allowed:
            return
        check_launch(self.limits, name, grid, block, shared, caller_loc())
        if len(self._allowed) < 4096:
            self._allowed.add(entry)

    # -- time

    def create_stream(self) -> Any:
        """Make a further stream; work on different streams is not ordered."""
        made = self.runtime.new_stream()
        if self._further is None:
            self._further = weakref.WeakSet()
        self._further.add(made)
        return made

    def create_event(self) -> Any:
        """Make an event: `stream.record_event(e)`, `stream.enqueue_wait_for(e)`, `e.synchronize()`."""
        return self.runtime.new_event()

    def stream(self) -> Any:
        """Return the default stream."""
        return self._stream

    def synchronize(self) -> None:
        """Wait for all work of this context, show what kernels printed, raise the first fault."""
        problem: BaseException | None = None
        for stream in self._streams():
            try:
                stream.synchronize()
            except KeyboardInterrupt as stop:
                self._outputs.clear()
                raise stop.with_traceback(None) from None
            except Exception as failure:
                problem = problem or failure
        self._show()
        if problem is not None:
            raise problem.with_traceback(None) from None

    def _streams(self) -> list[Any]:
        return [self._stream] if self._further is None else [self._stream, *self._further]

    def _show(self) -> None:
        while self._outputs:
            output.show(
                self._outputs.pop(0), order=self.print_order, seed=self.seed, warp_size=self.limits.warp_size
            )

    @property
    def idle(self) -> bool:
        """True when nothing waits, runs, or has yet to be shown."""
        return not self._outputs and all(stream.idle for stream in self._streams())

    def execution_time(self, function: Callable[..., Any], iterations: int = 1) -> float:
        """Return the nanoseconds one call takes, mean over `iterations`, its launches included."""
        if iterations < 1:
            raise LaunchError(f"execution_time needs at least 1 iteration, not {iterations}", caller_loc())
        arguments = (self,) if inspect.signature(function).parameters else ()
        self.synchronize()
        start = time.perf_counter_ns()
        for _ in range(iterations):
            function(*arguments)
        self.synchronize()
        return (time.perf_counter_ns() - start) / iterations

    def shares_memory(self, other: DeviceContext) -> bool:
        """Say whether another context's kernels may use this one's buffers; waits for work in flight."""
        if (self._api, self._id) != (other._api, other._id):
            return False
        if not self.idle:
            self.synchronize()
        return True


class _Creator(Generic[B]):
    """Create a buffer of n elements, uninitialised: `(dtype, n)` or `[dtype](n)`."""

    def __init__(self, create: Callable[[DType, int], B], dtype: DType | None = None) -> None:
        self._create = create
        self._dtype = dtype

    def __getitem__(self, dtype: DType) -> _Creator[B]:
        """Fix the element type: `enqueue_create_buffer[DType.float32](8)`."""
        return _Creator(self._create, dtype)

    def __call__(self, *arguments: Any) -> B:
        """Create the buffer: `(dtype, n)`, or `(n)` after `[dtype]`. Raises LaunchError for anything else."""
        given = arguments if self._dtype is None else (self._dtype, *arguments)
        if len(given) != 2 or not isinstance(given[0], DType):
            raise LaunchError(
                "create a buffer with a dtype and a length: enqueue_create_buffer[DType.float32](8)",
                caller_loc(),
            )
        return self._create(*given)


class _Launcher:
    """Launch a kernel: `(k, *args, grid_dim=, block_dim=, **params)` or `[k](*args, ...)`; returns None."""

    __slots__ = ("_context", "_kernel")

    def __init__(self, context: DeviceContext, kernel: Any = None) -> None:
        self._context = context
        self._kernel = kernel

    def __getitem__(self, kernel: Any) -> _Launcher:
        """Fix the kernel: `enqueue_function[k](*args, grid_dim=, block_dim=)`."""
        return _Launcher(self._context, kernel)

    def __call__(
        self,
        *arguments: Any,
        grid_dim: Any = None,
        block_dim: Any = None,
        stream: Any = None,
        **parameters: Any,
    ) -> None:
        """Launch a kernel on its arguments; grid_dim and block_dim are an int or (x, y, z), x fastest.

        Further keywords are the kernel's compile-time parameters. Returns at once; raises LaunchError where
        the launch cannot be.
        """
        kernel = self._kernel
        if kernel is None:
            if not arguments:
                raise LaunchError(
                    "enqueue_function needs the kernel to launch as its first argument", caller_loc()
                )
            kernel, *rest = arguments
            arguments = tuple(rest)
        self._context._launch(kernel, arguments, grid_dim, block_dim, stream, parameters)


def dim3(value: Any, word: str) -> Dim3:
    """Complete a launch extent to (x, y, z); raise LaunchError where it is none."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value, 1, 1
    if value is None:
        raise LaunchError(f"a launch needs {word}=...: an int or a tuple (x, y, z), x fastest", caller_loc())
    items = tuple(value) if isinstance(value, (tuple, list)) else (value,)
    if not 1 <= len(items) <= 3 or any(
        isinstance(i, bool) or not isinstance(i, (int, np.integer)) for i in items
    ):
        raise LaunchError(
            f"{word}={value!r} must be an int or a tuple of 1 to 3 ints (x, y, z)", caller_loc()
        )
    x, y, z = (*map(int, items), 1, 1)[:3]
    return x, y, z


def _dtype_of(end: Any) -> DType:
    return DType.from_numpy(end.dtype) if isinstance(end, np.ndarray) else end.dtype


def _checked_id(device_id: int, api: str) -> int:
    count = accelerator_count() if api == "cuda" else 1
    if not 0 <= device_id < count:
        raise LaunchError(
            f"device_id={device_id} does not exist; there are {count} {api} devices", caller_loc()
        )
    return device_id


_backends: dict[str, Any] = {}


def _runtime(api: str, device_id: int) -> Runtime:
    if api == "cuda":
        from workshop.gpu.cuda.runtime import CudaRuntime

        made: Runtime = CudaRuntime(device_id)
        return made
    if api not in _backends:
        if api == "cpu":
            from workshop.gpu.cpu import CpuBackend

            _backends[api] = HostRuntime(CpuBackend(), shadow=False)
        else:
            from workshop.gpu.checked import CheckedBackend

            _backends[api] = HostRuntime(CheckedBackend(), shadow=True)
    shared: Runtime = _backends[api]
    return shared
