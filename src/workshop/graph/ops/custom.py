"""Ops written by the user, and printing."""

from __future__ import annotations

import builtins
from collections.abc import Mapping, Sequence
from typing import Any

from workshop.compiler import OpKernel, TensorSpec
from workshop.compiler.registry import unknown_op
from workshop.driver import Device
from workshop.graph.op import Op, Refusal, building, emit_all, public
from workshop.graph.ops.operands import tensor
from workshop.graph.type import DeviceRef, TensorType
from workshop.graph.value import TensorValue, TensorValueLike

Parameter = bool | int | float | str | Any


def _rule(
    *types: TensorType,
    name: str,
    kernel: OpKernel,
    out_types: tuple[TensorType, ...],
    parameters: Mapping[str, Any],
    device: DeviceRef,
) -> tuple[TensorType, ...]:
    inputs = [TensorSpec(type.dtype, type.shape) for type in types]
    outputs = [TensorSpec(type.dtype, type.shape) for type in out_types]
    wrong = kernel.check(inputs, outputs, parameters)
    if wrong is not None:
        raise Refusal(wrong)
    for type in (*types, *out_types):
        if type.device != device:
            raise Refusal(f"op '{name}' runs on {device}: its tensors must be on the same device, got {type}")
    return out_types


def _not_numpy(*_: Any, **__: Any) -> Any:
    raise NotImplementedError("a custom op has no numpy meaning; the engine runs its kernel")


CUSTOM = Op("custom", _rule, _not_numpy)
"""Has no numpy meaning: the engine runs the registered kernel."""


@public
def custom(
    name: str,
    device: Device | DeviceRef | None = None,
    values: Sequence[TensorValueLike] = (),
    out_types: Sequence[TensorType] = (),
    parameters: Mapping[str, Parameter] | None = None,
) -> list[TensorValue]:
    """Call a registered op: its inputs, the types of its outputs, its compile-time parameters.

    `device` is that of the first value by default. The op is looked up in the graph's `custom_extensions` and
    among the ops registered in this program.
    """
    library = building().kernel_library
    if name not in library:
        raise Refusal(unknown_op(name, library))
    inputs = [tensor(value) for value in values]
    results = tuple(out_types)
    for position, type in enumerate(results):
        if not isinstance(type, TensorType):
            raise Refusal(f"out_types[{position}] must be a TensorType, got {type!r}")
    first = inputs[0].device if inputs else results[0].device if results else DeviceRef.CPU()
    place = first if device is None else DeviceRef.from_device(device)
    made = emit_all(
        CUSTOM,
        *inputs,
        name=name,
        kernel=library[name],
        out_types=results,
        parameters=dict(parameters or {}),
        device=place,
    )
    return list(made)


def _print(*arrays: Any, label: str) -> tuple[()]:
    builtins.print(label if not arrays else f"{label} = {arrays[0]!r}")  # this is the op's meaning
    return ()


PRINT = Op("print", lambda *types, label: (), _print)


@public
def print(value: str | TensorValue, label: str = "debug_tensor") -> None:
    """Print a text or a tensor each time the model runs."""
    if isinstance(value, str):
        emit_all(PRINT, label=value)
    else:
        emit_all(PRINT, tensor(value), label=label)
