"""Running a registered op on buffers."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping, Sequence
from typing import Any

from workshop.compiler.registry import OpKernel, TensorSpec
from workshop.compiler.tensors import DeviceContextPtr, InputTensor, OutputTensor
from workshop.driver import Buffer
from workshop.errors import GraphError, caller_loc


def run_op(
    kernel: OpKernel, inputs: Sequence[Buffer], outputs: Sequence[Buffer], parameters: Mapping[str, Any]
) -> None:
    """Check a call and run the op, waiting for its end; raises GraphError before any memory is touched."""
    wrong = kernel.check([_spec(b) for b in inputs], [_spec(b) for b in outputs], parameters)
    if wrong is not None:
        raise GraphError(wrong, caller_loc())
    context = _context(outputs[0])
    reads, writes = iter(inputs), iter(outputs)
    arguments: list[Any] = []
    for argument in kernel.arguments:
        if argument.role == "input":
            arguments.append(InputTensor.of(next(reads), argument.name))
        elif argument.role == "output":
            arguments.append(OutputTensor.of(next(writes), argument.name))
        else:
            arguments.append(DeviceContextPtr(context))
    try:
        kernel.execute(*arguments, **parameters)
    finally:
        context.synchronize()


def _spec(buffer: Buffer) -> TensorSpec:
    return TensorSpec(buffer.dtype, buffer.shape)


_contexts = threading.local()


def _context(output: Buffer) -> Any:
    """Return this thread's context on the buffer's device; on the host WORKSHOP_DEVICE=checked is heeded."""
    from workshop.gpu.host import DeviceContext

    if output.is_host:
        api = "checked" if os.environ.get("WORKSHOP_DEVICE", "").lower() == "checked" else "cpu"
    else:
        api = "cuda"
    key = (api, output.device.id)
    known: dict[Any, Any] = _contexts.__dict__
    if key not in known:
        known[key] = DeviceContext(output.device.id, api)
    return known[key]
