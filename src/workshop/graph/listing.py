"""The text of a graph: one line a node, the same every time."""

from __future__ import annotations

from itertools import count
from typing import Any

import numpy as np

from workshop.dtype import DType
from workshop.graph.op import Node
from workshop.graph.type import DeviceRef, TensorType


class _Names(dict[Any, str]):
    """Names values %0, %1 ... in the order in which they are first seen."""

    def __init__(self) -> None:
        super().__init__()
        self._numbers = count()

    def add(self, value: Any) -> None:
        self[value] = f"%{next(self._numbers)}"


def listing(graph: Any, indent: str = "", names: _Names | None = None) -> str:
    """Write a graph: its signature, its nodes in order, its outputs."""
    names = _Names() if names is None else names
    for value in graph.inputs:
        names.add(value)
    for weight, value in graph.weights.values():
        names[value] = f"@{weight.name}"
    inputs = ", ".join(f"{names[value]}: {value.type}" for value in graph.inputs)
    results = ", ".join(str(value.type) for value in graph.outputs)
    lines = [f"{indent}graph {graph.name}({inputs}) -> {results if graph.is_complete else '?'}"]
    lines += [f"{indent}  weight @{weight.name} : {weight.type}" for weight, _ in graph.weights.values()]
    for node in graph.nodes:
        lines += _node_lines(node, indent + "  ", names)
    if graph.is_complete:
        lines.append(f"{indent}  output {', '.join(names[value] for value in graph.outputs)}".rstrip())
    return "\n".join(lines)


def _node_lines(node: Node, indent: str, names: _Names) -> list[str]:
    for value in node.outputs:
        names.add(value)
    arguments = [names[value] for value in node.inputs]
    blocks = {}
    for label, attribute in _shown(node).items():
        if hasattr(attribute, "nodes"):
            blocks[label] = attribute
        else:
            arguments.append(
                _text(attribute) if label in ("value", "name") else f"{label}={_text(attribute)}"
            )
    made = ", ".join(names[value] for value in node.outputs)
    types = ", ".join(str(value.type) for value in node.outputs)
    call = f"{node.op.name}({', '.join(arguments)})"
    lines = [f"{indent}{made} = {call} : {types}" if made else f"{indent}{call}"]
    for block in blocks.values():
        lines.append(listing(block, indent + "  ", names))
    return lines


def _shown(node: Node) -> dict[str, Any]:
    """The attributes that the text of a node does not say otherwise."""
    if node.op.name == "constant":
        return {"value": node.attributes["value"]}
    if node.op.name == "custom":
        return {"name": node.attributes["name"], **node.attributes["parameters"]}
    return node.attributes


def _text(value: Any) -> str:
    if isinstance(value, np.ndarray):
        if value.size <= 8:
            return str(value.astype(float).tolist() if value.dtype.name == "bfloat16" else value.tolist())
        return f"<{value.size} elements>"
    if isinstance(value, (DType, DeviceRef, TensorType)):
        return value.value if isinstance(value, DType) else str(value)
    if isinstance(value, (list, tuple)) and type(value) in (list, tuple):
        return f"[{', '.join(_text(item) for item in value)}]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}={_text(item)}" for key, item in value.items()) + "}"
    return repr(value) if isinstance(value, str) else str(value)
