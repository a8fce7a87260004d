"""Runs one launch under check and keeps what it saw: the events, the fault, the arrays afterwards."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from workshop.dtype import DType
from workshop.errors import KernelFault, LaunchError, caller_loc
from workshop.gpu import ir
from workshop.gpu.checked.backend import CheckedBackend
from workshop.gpu.host import DeviceBuffer, DeviceContext
from workshop.gpu.host.runtime import HostRuntime
from workshop.gpu.kernel import kernel_of
from workshop.gpu.launch import Dim3
from workshop.gpu.trace import Trace
from workshop.layout import Layout, LayoutTensor

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True, slots=True)
class Blank:
    """An array argument that nobody has written yet, such as an output."""

    shape: tuple[int, ...]
    dtype: DType = DType.float32


@dataclass(frozen=True, slots=True)
class Recording:
    """What one checked launch did: its IR, grid, trace, fault (or None), and each array argument afterwards.

    `written[name]` marks the elements that hold a value; `before`, `written_before`: the same before it ran.
    """

    function: ir.Function
    grid: Dim3
    trace: Trace
    fault: KernelFault | None
    arrays: dict[str, Array]
    written: dict[str, Array]
    before: dict[str, Array]
    written_before: dict[str, Array]


def record(
    kernel: Any, *arguments: Any, grid_dim: Any, block_dim: Any, limits: str = "H100", **parameters: Any
) -> Recording:
    """Run a kernel once on `checked`, on copies of its arguments, and return what it did.

    Arrays are numpy arrays, device buffers, tensors over them, or `Blank(shape, dtype)`. A fault is kept, not
    raised; what a launch refuses (LaunchError, KernelTypeError, KernelSyntaxError) is raised.
    """
    trace = Trace()
    ctx = DeviceContext(api="checked", limits=limits)
    ctx.runtime = HostRuntime(CheckedBackend(trace), shadow=True)
    bound = [_copied(ctx, argument) for argument in arguments]
    state = [_state(argument) for argument in bound]
    fault: KernelFault | None = None
    ctx.enqueue_function(kernel, *bound, grid_dim=grid_dim, block_dim=block_dim, **parameters)
    try:
        ctx.synchronize()
    except KernelFault as problem:
        fault = problem
    made, _ = kernel_of(kernel)
    assert made.last is not None  # it was launched just now
    function = made.last.function
    names = [param.name for param in function.params]
    before = {name: kept for name, kept in zip(names, state, strict=False) if kept is not None}
    ended = {name: _state(array) for name, array in zip(names, bound, strict=False)}
    after = {name: kept for name, kept in ended.items() if kept is not None}
    return Recording(
        function,
        _grid(grid_dim),
        trace,
        fault,
        {name: values for name, (values, _) in after.items()},
        {name: marks for name, (_, marks) in after.items()},
        {name: values for name, (values, _) in before.items()},
        {name: marks for name, (_, marks) in before.items()},
    )


def _grid(grid_dim: Any) -> Dim3:
    given: Sequence[int] = grid_dim if isinstance(grid_dim, tuple | list) else (grid_dim,)
    x, y, z = (*given, 1, 1)[:3]
    return x, y, z


def _copied(ctx: DeviceContext, argument: Any) -> Any:
    if isinstance(argument, Blank):
        size = int(np.prod(argument.shape, dtype=np.int64))
        return _shaped(ctx.enqueue_create_buffer(argument.dtype, size), argument.shape)
    if isinstance(argument, DeviceBuffer | LayoutTensor):
        argument = argument.to_numpy()
    if not isinstance(argument, np.ndarray):
        return argument
    if argument.dtype.kind == "c":
        raise LaunchError("a complex array cannot be a kernel argument; pass its two parts", caller_loc())
    buffer = ctx.enqueue_create_buffer(DType.from_numpy(argument.dtype), argument.size)
    with buffer.map_to_host() as host:
        host[:] = argument.reshape(-1)
    return _shaped(buffer, argument.shape)


def _shaped(buffer: DeviceBuffer, shape: tuple[int, ...]) -> DeviceBuffer | LayoutTensor:
    return buffer if len(shape) == 1 else LayoutTensor(buffer, Layout.row_major(*shape))


def _state(array: Any) -> tuple[Array, Array] | None:
    """The elements and the marks of written ones; None for what is no array."""
    if not isinstance(array, DeviceBuffer | LayoutTensor):
        return None
    buffer: DeviceBuffer = array if isinstance(array, DeviceBuffer) else array.storage
    values, shape = array.to_numpy(), (array.shape if isinstance(array, LayoutTensor) else (array.size,))
    assert buffer.written is not None  # checked keeps marks
    return values, buffer.written.copy().reshape(shape)
