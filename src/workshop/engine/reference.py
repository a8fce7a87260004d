"""Running a graph node by node on the numpy meaning of its ops; the yardstick of every faster back end."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy.typing as npt

from workshop.engine.inputs import Sizes
from workshop.errors import GraphError, WorkshopError, site_loc
from workshop.graph import Dim, Graph, Shape, TensorValue
from workshop.graph.op import Node, Refusal

Array = npt.NDArray[Any]
Values = dict[TensorValue, Array]
RunKernel = Callable[[Node, list[Array], list[tuple[int, ...]]], tuple[Array, ...]]


class Program:
    """A graph prepared to run: for each node, the values that nobody needs after it."""

    def __init__(self, graph: Graph, run_kernel: RunKernel) -> None:
        self._graph = graph
        self._run_kernel = run_kernel
        self._outputs = graph.required_outputs()
        self._dying = _last_uses(graph, self._outputs)
        self._blocks = {
            block: Program(block, run_kernel)
            for node in graph.nodes
            for block in node.attributes.values()
            if isinstance(block, Graph)
        }
        self._needs_sizes = {node for node in graph.nodes if not _all_static(node)}
        self._attributes = {
            node: {label: resolved(value, {}) for label, value in node.attributes.items()}
            for node in graph.nodes
            if node not in self._needs_sizes
        }

    def run(self, values: Values, sizes: Sizes) -> list[Array]:
        """Compute the outputs, given the inputs and weights; `values` is used up."""
        for node, dying in zip(self._graph.nodes, self._dying, strict=True):
            inputs = [values[value] for value in node.inputs]
            made = self._run_node(node, inputs, values, sizes)
            for value, array in zip(node.outputs, made, strict=True):
                values[value] = array
            if node in self._needs_sizes or node.op.name == "custom":
                _check_shapes(node, made, sizes)
            for value in dying:
                values.pop(value, None)
        return [values[value] for value in self._outputs]

    def _run_node(self, node: Node, inputs: list[Array], values: Values, sizes: Sizes) -> tuple[Array, ...]:
        try:
            if node.op.name == "custom":
                shapes = [value.shape.resolve(sizes.values) for value in node.outputs]
                return self._run_kernel(node, inputs, shapes)
            if node.op.name == "cond":
                return self._cond(node, inputs, values, sizes)
            if node.op.name == "while_loop":
                return self._while(node, inputs, values, sizes)
            attributes = self._attributes.get(node)
            if attributes is None:
                attributes = {
                    label: resolved(value, sizes.values) for label, value in node.attributes.items()
                }
            made = node.op.meaning(*inputs, **attributes)
        except Refusal as refusal:
            raise _at(node, f"{node.op.name}: {refusal}", inputs) from None
        return made if type(made) is tuple else (made,)

    def _cond(self, node: Node, inputs: list[Array], values: Values, sizes: Sizes) -> tuple[Array, ...]:
        block = self._blocks[node.attributes["then" if inputs[0][()] else "otherwise"]]
        return tuple(block.run(dict(values), sizes))

    def _while(self, node: Node, inputs: list[Array], values: Values, sizes: Sizes) -> tuple[Array, ...]:
        count = node.attributes["count"]
        predicate, body = node.attributes["predicate"], node.attributes["body"]
        state = inputs[:count]
        while self._blocks[predicate].run(
            {**values, **dict(zip(predicate.inputs, state, strict=True))}, sizes
        )[0][()]:
            state = self._blocks[body].run({**values, **dict(zip(body.inputs, state, strict=True))}, sizes)
        return tuple(state)


def resolved(attribute: Any, sizes: Mapping[str, int]) -> Any:
    """Put numbers in place of the dimensions in an op's attribute."""
    if isinstance(attribute, Dim):
        return int(attribute.substitute(sizes)) if _known(attribute, sizes) else attribute
    if isinstance(attribute, Shape):
        return attribute.resolve(sizes)
    if type(attribute) in (list, tuple):
        return type(attribute)(resolved(item, sizes) for item in attribute)
    if hasattr(attribute, "resolve"):
        return attribute.resolve(sizes)
    return attribute


def _known(dim: Dim, sizes: Mapping[str, int]) -> bool:
    return all(name.name in sizes for name in dim.parameters)


def _all_static(node: Node) -> bool:
    types = [value.type for value in (*node.inputs, *node.outputs)]
    if not all(Shape.is_static(type.shape) for type in types):
        return False
    return not any(_has_names(attribute) for attribute in node.attributes.values())


def _has_names(attribute: Any) -> bool:
    if isinstance(attribute, Dim) or hasattr(attribute, "resolve"):
        return bool(attribute.parameters)
    return isinstance(attribute, (list, tuple)) and any(_has_names(item) for item in attribute)


def _check_shapes(node: Node, made: tuple[Array, ...], sizes: Sizes) -> None:
    for value, array in zip(node.outputs, made, strict=True):
        source = f"the result of {node.op.name}"
        if array.ndim != value.rank:
            raise _at(node, f"{source} has shape {list(array.shape)}, its type is {value.type}", [])
        wrong = sizes.bind(value.type, array.shape, source) or sizes.check_algebra(
            value.type, array.shape, source
        )
        if wrong is not None:
            check = "rebind shape check failed: " if node.op.name == "rebind" else ""
            text = f"{check}{wrong}"
            message = node.attributes.get("message")
            raise _at(node, f"{text}. {message}" if message else text, [])


def _at(node: Node, text: str, inputs: list[Array]) -> WorkshopError:
    lines = [text, *(f"  input {i}: {array.dtype.name}{list(array.shape)}" for i, array in enumerate(inputs))]
    return GraphError("\n".join(lines), None if node.site is None else site_loc(node.site))


def _last_uses(graph: Graph, outputs: list[TensorValue]) -> list[list[TensorValue]]:
    """For each node, the values made in this graph that it is the last to use (or that nobody uses)."""
    last: dict[TensorValue, int] = {}
    for place, node in enumerate(graph.nodes):
        for value in (*node.inputs, *node.outputs):
            if value.graph is graph and value.node is not None:
                last[value] = place
    for value in outputs:
        last.pop(value, None)
    dying: list[list[TensorValue]] = [[] for _ in graph.nodes]
    for value, place in last.items():
        dying[place].append(value)
    return dying
