"""The graph: nodes in the order they were added, from typed inputs to outputs."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextvars import Token
from pathlib import Path
from typing import Any

from workshop.compiler import KernelLibrary
from workshop.errors import GraphError, caller_loc, caller_site
from workshop.graph.listing import listing
from workshop.graph.op import Node, Op, Refusal, Types, current_graph, functions
from workshop.graph.type import DeviceRef, TensorType, Type
from workshop.graph.value import TensorValue, TensorValueLike, Value
from workshop.graph.weight import Weight

Forward = Callable[..., Any]


class _Current:
    """Reads as the graph being built, on the class itself: `Graph.current`."""

    def __get__(self, instance: object, owner: type) -> Graph:
        graph = current_graph.get()
        if graph is None:
            raise LookupError("no graph is being built here; enter one with `with Graph(...) as graph:`")
        assert isinstance(graph, Graph)
        return graph


class Graph:
    """Collects ops, from a `with` block or from a function of the inputs.

    >>> from workshop.dtype import DType
    >>> import workshop.graph.ops
    >>> Graph("twice", lambda x: x + x, input_types=[TensorType(DType.float32, ["n"])])
    graph twice(%0: float32[n]) -> float32[n]
      %1 = add(%0, %0) : float32[n]
      output %1

    `custom_extensions` lists folders of ops (see `workshop.compiler`). Raises GraphError at the user's line.
    """

    current = _Current()

    def __init__(
        self,
        name: str,
        forward: Forward | None = None,
        input_types: Iterable[Type] = (),
        path: Path | None = None,
        *args: Any,
        custom_extensions: Iterable[Any] = (),
        kernel_library: KernelLibrary | None = None,
        parent: Graph | None = None,
        **kwargs: Any,
    ) -> None:
        self.name = name
        self.nodes: list[Node] = []
        self._outputs: list[TensorValue] | None = None
        self.weights: dict[str, tuple[Weight, TensorValue]] = {}
        self.parent = parent
        self.captured: dict[TensorValue, None] = {}
        self.symbols: set[str] = set(parent.symbols) if parent else set()
        self.kernel_library = kernel_library or KernelLibrary()
        self.kernel_library.load_paths(custom_extensions)
        self.inputs: list[TensorValue] = [self._add_input(i, t) for i, t in enumerate(input_types)]
        self._tokens: list[Token[Any]] = []
        if forward is not None:
            with self:
                made = forward(*self.inputs, *args, **kwargs)
                self.output(*_as_values(made))

    def _add_input(self, index: int, type: Any) -> TensorValue:
        if not isinstance(type, TensorType):
            text = f"input {index} of graph '{self.name}': input_types takes TensorTypes, got {type!r}"
            raise GraphError(text, caller_loc())
        self.symbols.update(dim.name for dim in type.shape.parameters)
        return TensorValue._make(type, self, None)

    def __enter__(self) -> Graph:
        self._tokens.append(current_graph.set(self))
        return self

    def __exit__(self, *exc: object) -> None:
        current_graph.reset(self._tokens.pop())

    @property
    def kernel_libraries_paths(self) -> list[Path]:
        """The folders of custom ops this graph knows."""
        return self.kernel_library.library_paths()

    @property
    def outputs(self) -> list[TensorValue]:
        """The values the graph returns; none before `output(...)` has said so."""
        return list(self._outputs or ())

    @property
    def is_complete(self) -> bool:
        """True once `output(...)` has said what the graph returns."""
        return self._outputs is not None

    @property
    def output_types(self) -> list[TensorType]:
        """The types of the outputs; raises GraphError before `output` was called."""
        return [value.type for value in self.required_outputs()]

    def required_outputs(self) -> list[TensorValue]:
        """Return the outputs; raises GraphError when there are none."""
        if self._outputs is None:
            raise GraphError(
                f"graph '{self.name}' has no output. End its `with` block with graph.output(value), "
                "or return a value from the forward function",
                caller_loc(),
            )
        return self._outputs

    def output(self, *outputs: TensorValueLike) -> None:
        """Say which values the graph returns; raises GraphError when it was said before."""
        if self._outputs is not None:
            raise GraphError(
                f"graph '{self.name}' has its outputs already; call output(...) once", caller_loc()
            )
        token = current_graph.set(self)
        try:
            values = [TensorValue(functions["as_tensor"](value)) for value in outputs]
        finally:
            current_graph.reset(token)
        for index, value in enumerate(values):
            self._check_owner(value, f"output {index}")
        self._outputs = values

    def add_weight(self, weight: Weight, force_initial_weight_on_host: bool = True) -> TensorValue:
        """Return the weight's value in this graph; its data comes with `load(weights_registry=...)`.

        Raises GraphError where another Weight of that name exists.
        """
        root = self.parent
        if root is not None:
            return root.add_weight(weight)
        known = self.weights.get(weight.name)
        if known is not None:
            if known[0] is weight:
                return known[1]
            text = f"weight '{weight.name}' already exists as {known[0].type}, and another is {weight.type}"
            raise GraphError(f"{text}; give one of them another name, or share one Weight", caller_loc())
        value = TensorValue._make(weight.type, self, None)
        self.weights[weight.name] = (weight, value)
        return value

    def add_node(
        self, op: Op, inputs: tuple[TensorValue, ...], attributes: dict[str, Any]
    ) -> tuple[TensorValue, ...]:
        """Check the op's type rule, add a node and return the values it makes."""
        for position, value in enumerate(inputs):
            if value.graph is not self:
                self._check_owner(value, f"input {position} of {op.name}")
        types = _as_tuple(op.rule(*[value.type for value in inputs], **attributes))
        for type in types:
            self._check_symbols(op, type)
        node = Node(op, inputs, attributes, (), caller_site())
        node.outputs = tuple(TensorValue._make(type, self, node) for type in types)
        self.nodes.append(node)
        return node.outputs

    def _check_owner(self, value: TensorValue, role: str) -> None:
        if value.graph is self:
            return
        if self.parent is not None:
            self.parent._check_owner(value, role)
            self.captured[value] = None
            return
        other = value.graph.name if value.graph is not None else None
        text = f"{role} belongs to graph '{other}', not to graph '{self.name}'; build it inside this graph"
        raise GraphError(text, caller_loc())

    def _check_symbols(self, op: Op, type: TensorType) -> None:
        for name in type.shape.parameters:
            if name.name in self.symbols:
                continue
            if op.name not in INTRODUCES_SYMBOLS:
                known = ", ".join(sorted(self.symbols)) or "none"
                raise Refusal(
                    f"dimension '{name}' of {type} is bound by no input (known: {known}). "
                    "Name it in an input type, or assert it with ops.rebind"
                )
            self.symbols.add(name.name)

    @property
    def devices(self) -> set[DeviceRef]:
        """All devices that values of this graph live on."""
        found = {value.type.device for value in self.inputs}
        found |= {weight.type.device for weight, _ in self.weights.values()}
        return found | {value.type.device for node in self.nodes for value in node.outputs}

    def __repr__(self) -> str:
        return listing(self)


INTRODUCES_SYMBOLS = {"rebind", "custom", "nonzero", "masked_scatter", "range", "slice", "repeat_interleave"}
"""Ops whose output may have a dimension that only the run knows."""


def _as_tuple(types: Types) -> tuple[TensorType, ...]:
    return types if type(types) is tuple else (types,)  # type: ignore[return-value]


def _as_values(made: Any) -> list[Any]:
    if made is None:
        return []
    if isinstance(made, Value) or not isinstance(made, Iterable):
        return [made]
    return list(made)
