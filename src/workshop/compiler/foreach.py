"""Calling a function once for each element of a shape: it becomes a kernel, with grid and guard chosen here.

The kernels below are generic: the function is their compile-time parameter. Tensors that the function closes
over become arguments of the launch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import FunctionType
from typing import Any

from workshop.compiler.tensors import DeviceContextPtr, OutputTensor
from workshop.errors import KernelTypeError, caller_loc
from workshop.gpu import global_idx
from workshop.gpu.kernel import kernel_of

HIGHEST_RANK = 4


def foreach(fn: Callable[..., Any], output: OutputTensor, ctx: Any) -> None:
    """Set `output[idx] = fn(idx)` for every index tuple of the output; in order on the device, not awaited.

    `fn` takes the tuple, or one argument per dimension. It is written in the kernel language and may close
    over tensors of the op, numbers and other functions. Raises KernelTypeError where it cannot be called so.
    """
    if not isinstance(output, OutputTensor):
        text = f"foreach writes an OutputTensor, got {type(output).__name__}; write foreach(fn, output, ctx)"
        raise KernelTypeError(text, caller_loc())
    _launch("foreach", _FOREACH, fn, output.shape, ctx, (output,))


def elementwise(fn: Callable[..., Any], shape: Sequence[int], ctx: Any) -> None:
    """Call `fn(idx)` for every index tuple of a shape; it stores its results itself.

    As `foreach`, for ops that write several outputs or elsewhere than at `idx`.
    """
    extents = tuple(int(extent) for extent in shape)
    _launch("elementwise", _ELEMENTWISE, fn, extents, ctx, extents or (1,))


def elementwise_ir(rank: int = 1) -> str:
    """Return the IR of the kernel behind the latest `elementwise` over `rank` dimensions, guard and all."""
    return kernel_of(_ELEMENTWISE[rank - 1])[0].ir()


def _launch(
    word: str,
    kernels: Sequence[Callable[..., Any]],
    fn: Callable[..., Any],
    shape: tuple[int, ...],
    ctx: Any,
    arguments: tuple[Any, ...],
) -> None:
    shape = shape or (1,)  # a scalar is launched as one element
    if len(shape) > HIGHEST_RANK:
        text = f"{word} takes up to {HIGHEST_RANK} dimensions, the shape is {list(shape)}; reshape it first"
        raise KernelTypeError(text, caller_loc())
    if 0 in shape:
        return
    spread = _is_spread(fn, len(shape), word)
    context = ctx.get_device_context() if isinstance(ctx, DeviceContextPtr) else ctx
    if not hasattr(context, "enqueue_function"):
        raise KernelTypeError(f"{word} needs the op's ctx as its last argument, got {ctx!r}", caller_loc())
    grid, block = _geometry(shape)
    kernel = kernels[len(shape) - 1]
    context.enqueue_function(kernel, *arguments, grid_dim=grid, block_dim=block, fn=fn, spread=spread)


def _is_spread(fn: Any, rank: int, word: str) -> bool:
    """Tell whether the function takes one argument per dimension instead of a tuple."""
    if not isinstance(fn, FunctionType):
        text = f"{word} takes a Python function of the index, got {type(fn).__name__}"
        raise KernelTypeError(text, caller_loc())
    count = fn.__code__.co_argcount - len(fn.__defaults__ or ())
    if count not in (1, rank):
        names = ", ".join("ijkl"[:rank])
        text = f"{word}: {fn.__name__}() takes {count} arguments; it is called as fn(idx) or fn({names})"
        raise KernelTypeError(text, caller_loc())
    return count == rank > 1


def _geometry(shape: tuple[int, ...]) -> tuple[tuple[int, int, int], tuple[int, int, int]]:
    """Choose grid and block: x along the last dimension, all dimensions before the last three along z."""
    if len(shape) == 1:
        return (-(-shape[0] // 256), 1, 1), (256, 1, 1)
    x, y = shape[-1], shape[-2]
    z = 1
    for extent in shape[:-2]:
        z *= extent
    width = min(32, 1 << (x - 1).bit_length())
    height = min(256 // width, 1 << (y - 1).bit_length())
    return (-(-x // width), -(-y // height), z), (width, height, 1)


# --- the kernels: one for each rank


def _foreach_1(output, *, fn, spread):  # type: ignore[no-untyped-def]
    i = global_idx.x
    if i < output.dim(0):
        output[i] = fn((i,))


def _foreach_2(output, *, fn, spread):  # type: ignore[no-untyped-def]
    i, j = global_idx.y, global_idx.x
    if i < output.dim(0) and j < output.dim(1):
        output[i, j] = fn(i, j) if spread else fn((i, j))


def _foreach_3(output, *, fn, spread):  # type: ignore[no-untyped-def]
    i, j, k = global_idx.z, global_idx.y, global_idx.x
    if i < output.dim(0) and j < output.dim(1) and k < output.dim(2):
        output[i, j, k] = fn(i, j, k) if spread else fn((i, j, k))


def _foreach_4(output, *, fn, spread):  # type: ignore[no-untyped-def]
    h, i = global_idx.z // output.dim(1), global_idx.z % output.dim(1)
    j, k = global_idx.y, global_idx.x
    if h < output.dim(0) and j < output.dim(2) and k < output.dim(3):
        output[h, i, j, k] = fn(h, i, j, k) if spread else fn((h, i, j, k))


def _elementwise_1(n, *, fn, spread):  # type: ignore[no-untyped-def]
    i = global_idx.x
    if i < n:
        fn((i,))


def _elementwise_2(n, m, *, fn, spread):  # type: ignore[no-untyped-def]
    i, j = global_idx.y, global_idx.x
    if i < n and j < m:
        if spread:
            fn(i, j)
        else:
            fn((i, j))


def _elementwise_3(n, m, p, *, fn, spread):  # type: ignore[no-untyped-def]
    i, j, k = global_idx.z, global_idx.y, global_idx.x
    if i < n and j < m and k < p:
        if spread:
            fn(i, j, k)
        else:
            fn((i, j, k))


def _elementwise_4(n, m, p, q, *, fn, spread):  # type: ignore[no-untyped-def]
    h, i = global_idx.z // m, global_idx.z % m
    j, k = global_idx.y, global_idx.x
    if h < n and j < p and k < q:
        if spread:
            fn(h, i, j, k)
        else:
            fn((h, i, j, k))


_FOREACH: list[Any] = [_foreach_1, _foreach_2, _foreach_3, _foreach_4]
_ELEMENTWISE: list[Any] = [_elementwise_1, _elementwise_2, _elementwise_3, _elementwise_4]
