"""One torch operator: what it is called, what it writes, and what is checked before it runs.

Operators pass their destinations: `op(output, x)` writes into `output` and returns nothing.
"""

from __future__ import annotations

import keyword
import os
import re
import tempfile
from collections.abc import Callable, Sequence
from typing import Any

import torch

from workshop.errors import GraphError, caller_loc, hide_frames

NAMESPACE = "workshop"
Tensors = Sequence[torch.Tensor]
Run = Callable[[Tensors, Tensors], None]

# An error points to the user's own line: not into torch, nor into code that torch.compile wrote.
hide_frames(os.path.dirname(torch.__file__) + os.sep)
hide_frames(os.environ.get("TORCHINDUCTOR_CACHE_DIR", os.path.join(tempfile.gettempdir(), "torchinductor_")))

_taken: set[str] = set()


def define(name: str, outputs: Sequence[str], inputs: Sequence[str], run: Run, check: Run) -> Any:
    """Register an operator with torch and return it: `run` computes, `check` is all it does to fake tensors.

    Both are given (outputs, inputs). torch keeps an operator for the life of the process, so one that is
    defined again under a name gets the next free one: `grayscale`, `grayscale_2` ...
    """
    unique = _free_name(name)
    written, read = [_schema_name(n) for n in outputs], [_schema_name(n) for n in inputs]
    marks = [f"Tensor(a{place}!) {label}" for place, label in enumerate(written)]
    schema = f"({', '.join([*marks, *(f'Tensor {label}' for label in read)])}) -> ()"
    count = len(outputs)

    def compute(*tensors: torch.Tensor) -> None:
        run(tensors[:count], tensors[count:])

    def pretend(*tensors: torch.Tensor) -> None:
        check(tensors[:count], tensors[count:])

    made = torch.library.custom_op(f"{NAMESPACE}::{unique}", compute, mutates_args=written, schema=schema)
    made.register_fake(pretend)
    return getattr(getattr(torch.ops, NAMESPACE), unique).default


def check_call(name: str, labels: Sequence[str], tensors: Sequence[Any]) -> None:
    """Check what only the caller's side knows: the count, the types, and that none needs a gradient.

    Raises GraphError at the user's line.
    """
    if len(tensors) != len(labels):
        text = f"{name} takes {len(labels)} tensors, {name}({', '.join(labels)}), got {len(tensors)}"
        raise GraphError(text, caller_loc())
    for label, tensor in zip(labels, tensors, strict=True):
        if not isinstance(tensor, torch.Tensor):
            text = f"{label} of {name} must be a torch tensor, got {type(tensor).__name__}"
            raise GraphError(f"{text}; torch.as_tensor({label}) makes one", caller_loc())
        if tensor.requires_grad and torch.is_grad_enabled():
            cure = f"pass {label}.detach(), or call it inside `with torch.no_grad():`"
            raise GraphError(f"{label} requires a gradient and {name} has no backward; {cure}", caller_loc())


def check_tensors(name: str, labels: Sequence[str], tensors: Tensors) -> None:
    """Check that tensors lie together on a device we run on, as plain strided memory; raises GraphError."""
    for label, tensor in zip(labels, tensors, strict=True):
        if tensor.layout is not torch.strided or tensor.is_quantized:
            kind = "quantized" if tensor.is_quantized else str(tensor.layout).removeprefix("torch.")
            cure = f"{label}.dequantize()" if tensor.is_quantized else f"{label}.to_dense()"
            raise GraphError(f"{label} of {name} is {kind}; pass {cure}", caller_loc())
    devices = [tensor.device for tensor in tensors]
    if any(device != devices[0] for device in devices):
        shown = ", ".join(f"{label} is on {device}" for label, device in zip(labels, devices, strict=True))
        text = f"{name} needs its tensors on the same device: {shown}; move them with .to('{devices[-1]}')"
        raise GraphError(text, caller_loc())
    if devices and devices[0].type not in ("cpu", "cuda"):
        raise GraphError(f"{name} runs on cpu and cuda, its tensors are on {devices[0]}", caller_loc())


def _free_name(name: str) -> str:
    bare = re.sub(r"\W", "_", name)
    unique, number = bare, 1
    while unique in _taken:
        number += 1
        unique = f"{bare}_{number}"
    _taken.add(unique)
    return unique


def _schema_name(label: str) -> str:
    """Keep clear of the words that torch's schemas do not take as names."""
    return f"{label}_" if keyword.iskeyword(label) or label == "self" else label
