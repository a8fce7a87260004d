"""Running custom ops: arrays become the tensors of `execute`, which launches kernels."""

from __future__ import annotations

from typing import Any

import numpy.typing as npt

from workshop.compiler.run import run_op
from workshop.driver import Buffer
from workshop.graph.op import Node

Array = npt.NDArray[Any]


def run_kernel(node: Node, inputs: list[Array], shapes: list[tuple[int, ...]]) -> tuple[Array, ...]:
    """Run the op of a `custom` node and return its outputs as arrays."""
    device = node.attributes["device"].to_device()
    buffers = [Buffer.from_numpy(array).to(device) for array in inputs]
    outputs = [Buffer(value.dtype, shape, device) for value, shape in zip(node.outputs, shapes, strict=True)]
    run_op(node.attributes["kernel"], buffers, outputs, node.attributes["parameters"])
    return tuple(output.to_numpy() for output in outputs)
