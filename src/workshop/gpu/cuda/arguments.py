"""From a launch's arguments to what the CUDA function takes, and which assumptions they meet."""

from __future__ import annotations

from typing import Any

import numpy as np

from workshop.dtype import DType
from workshop.gpu import ir
from workshop.gpu.cuda.ranges import SIZE, Assumptions
from workshop.gpu.cuda.translation import Parameter
from workshop.gpu.launch import Dim3, HostArray

Span = tuple[int, int]


def written_names(function: ir.Function) -> frozenset[str]:
    """Name the array arguments that a kernel stores to."""
    return frozenset(node.memory.name for node in ir.walk(function.body) if isinstance(node, ir.Store))


def met(function: ir.Function, written: frozenset[str], values: list[Any], grid: Dim3) -> Assumptions:
    """Find out which assumptions a launch meets; it then runs the code translated for just these."""
    small = all(g * b <= SIZE for g, b in zip(grid, function.block, strict=True))
    spans: list[tuple[bool, Span]] = []
    for param, value in zip(function.params, values, strict=True):
        if isinstance(param, ir.Memory):
            low, high = span(value)
            size = param.dtype.size_in_bytes
            small = (
                small
                and (high - low) // size < 2**31
                and max((*value.shape, *value.strides), default=0) <= SIZE
            )
            spans.append((param.name in written, (low, high)))
        elif param.dtype is DType.int64:
            small = small and -SIZE <= int(value) <= SIZE
    return Assumptions(small, _disjoint(spans))


def span(array: HostArray) -> Span:
    """Return the first byte of an array argument on the device and the one behind its last."""
    flat: Any = array.flat  # a cupy array here
    size = flat.dtype.itemsize
    start = int(flat.data.ptr) + array.offset * size
    if 0 in array.shape:
        return start, start
    reach = sum((n - 1) * abs(s) for n, s in zip(array.shape, array.strides, strict=True))
    return start, start + (reach + 1) * size


def _disjoint(spans: list[tuple[bool, Span]]) -> bool:
    return not any(
        changed and i != j and a[0] < b[1] and b[0] < a[1]
        for i, (changed, a) in enumerate(spans)
        for j, (_, b) in enumerate(spans)
    )


def packed(parameters: tuple[Parameter, ...], values: list[Any], log: Any) -> tuple[Any, ...]:
    """Return one numpy scalar per parameter, of exactly its size: CUDA copies the bytes."""
    return tuple(_packed(p, values, log) for p in parameters)


def _packed(parameter: Parameter, values: list[Any], log: Any) -> Any:
    if parameter.role == "print_log":
        return np.uint64(log.data.ptr)
    value = values[parameter.index]
    match parameter.role:
        case "array":
            return np.uint64(span(value)[0])
        case "extent":
            return parameter.kind.to_numpy().type(value.shape[parameter.axis])
        case "stride":
            return parameter.kind.to_numpy().type(value.strides[parameter.axis])
    scalar = np.asarray(value).astype(parameter.kind.to_numpy())
    as_bits = {DType.bool: np.uint8, DType.float16: np.uint16, DType.bfloat16: np.uint16}.get(parameter.kind)
    return (scalar if as_bits is None else scalar.view(as_bits))[()]
