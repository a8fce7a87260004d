"""Torch tensors as buffers: shared where a kernel may use their memory as it is, else through a copy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from workshop.driver import Accelerator, Buffer, Device
from workshop.dtype import DType
from workshop.errors import GraphError, caller_loc

Tensors = Sequence[torch.Tensor]


def dtype_of(name: str, label: str, tensor: torch.Tensor) -> DType:
    """Return the DType of a tensor; raises GraphError where there is none (complex, 8-bit floats)."""
    known = _dtypes.get(tensor.dtype)
    if known is None:
        names = ", ".join(dtype.value for dtype in DType)
        text = f"{label} of {name} has dtype {tensor.dtype}; ops take {names}"
        raise GraphError(text, caller_loc())
    return known


_dtypes: dict[Any, DType] = {getattr(torch, dtype.value): dtype for dtype in DType}


def read_buffer(tensor: torch.Tensor) -> Buffer:
    """Return a contiguous buffer with a tensor's elements, of its own memory where that is contiguous."""
    return Buffer.from_dlpack(tensor.detach().resolve_neg())


def check_output(name: str, label: str, tensor: torch.Tensor) -> None:
    """Refuse an expanded output, in which two indices are one place in memory; raises GraphError."""
    if any(step == 0 and extent > 1 for step, extent in zip(tensor.stride(), tensor.shape, strict=True)):
        text = f"{label} of {name} is expanded: several of its elements share one place in memory"
        raise GraphError(f"{text}; pass {label}.clone()", caller_loc())


def write_buffers(name: str, labels: Sequence[str], outputs: Tensors, inputs: Tensors) -> list[Buffer]:
    """Return a buffer for each output: its own memory, or new where a kernel could not write there in order.

    That is where the output has gaps, or shares memory with an input or another output.
    """
    buffers = []
    for place, (label, tensor) in enumerate(zip(labels, outputs, strict=True)):
        check_output(name, label, tensor)
        others = (*inputs, *outputs[:place], *outputs[place + 1 :])
        own = tensor.is_contiguous() and not tensor.is_neg() and not _shares(tensor, others)
        if own:
            buffers.append(read_buffer(tensor))
        else:
            buffers.append(Buffer(_dtypes[tensor.dtype], tuple(tensor.shape), device_of(tensor)))
    return buffers


def copy_back(outputs: Tensors, buffers: Sequence[Buffer]) -> None:
    """Copy results to the outputs whose memory they are not in already."""
    for tensor, buffer in zip(outputs, buffers, strict=True):
        made = torch.from_dlpack(buffer)  # type: ignore[attr-defined]
        if made.data_ptr() != tensor.data_ptr():
            tensor.copy_(made)


def device_of(tensor: torch.Tensor) -> Device:
    """Return the device a tensor is on."""
    return Device.cpu() if tensor.device.type == "cpu" else Accelerator(tensor.device.index)


def settle(tensor: torch.Tensor) -> None:
    """Wait for what torch has queued on a tensor's device: our kernels run on streams of their own."""
    if tensor.device.type == "cuda":
        torch.cuda.current_stream(tensor.device).synchronize()


def _shares(tensor: torch.Tensor, others: Tensors) -> bool:
    memory = tensor.untyped_storage().data_ptr()
    return any(other.untyped_storage().data_ptr() == memory for other in others)
