"""What an op is, how a node gets into the graph being built, and how a refusal becomes an error.

An op knows three things: its name, its type rule (input types to output types) and its meaning in numpy.
The functions people call live in `graph/ops`; they register here by name, so that `TensorValue.__add__` finds
`add` without importing it.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, ParamSpec, TypeVar

from workshop.errors import GraphError, Site, caller_loc, caller_site
from workshop.graph.type import TensorType

P = ParamSpec("P")
R = TypeVar("R")

Types = TensorType | tuple[TensorType, ...]


@dataclass(frozen=True, slots=True)
class Op:
    """Names an op, with its type rule and its numpy meaning.

    `rule(*input_types, **attributes)` returns the output type or a tuple of them, or raises `Refusal`.
    `meaning(*arrays, **attributes)` returns the array or a tuple of them; dimensions arrive as ints.
    """

    name: str
    rule: Callable[..., Types]
    meaning: Callable[..., Any]

    def __repr__(self) -> str:
        return f"Op({self.name})"


class Refusal(Exception):
    """Says why an op has no meaning for its values; the public function turns it into a GraphError."""


@dataclass(slots=True, eq=False)
class Node:
    """One use of an op: its inputs, its attributes, the values it makes, and the user's line."""

    op: Op
    inputs: tuple[Any, ...]
    attributes: dict[str, Any]
    outputs: tuple[Any, ...]
    site: Site | None


current_graph: ContextVar[Any] = ContextVar("current_graph", default=None)
"""The graph being built, innermost first; the package's only global state."""

functions: dict[str, Callable[..., Any]] = {}
"""The public ops by name, filled by `graph/ops`."""


def building() -> Any:
    """Return the graph being built; raises Refusal where there is none."""
    graph = current_graph.get()
    if graph is None:
        raise Refusal(
            "no graph is being built here; call it inside `with Graph(...) as graph:` or a forward function"
        )
    return graph


def emit(op: Op, *inputs: Any, **attributes: Any) -> Any:
    """Add a node to the current graph and return its only output value."""
    (output,) = building().add_node(op, inputs, attributes)
    return output


def emit_all(op: Op, *inputs: Any, **attributes: Any) -> tuple[Any, ...]:
    """Add a node to the current graph and return its output values."""
    outputs: tuple[Any, ...] = building().add_node(op, inputs, attributes)
    return outputs


def public(function: Callable[P, R]) -> Callable[P, R]:
    """Register a function that adds to the graph; what it refuses is told at the caller's line."""
    name = function.__name__

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return function(*args, **kwargs)
        except Refusal as refusal:
            raise refused(name, str(refusal), function, args, kwargs) from None

    functions[name] = call
    return call


def refused(
    name: str, reason: str, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> GraphError:
    """Make the error: the reason, then every input with its type, then the user's line."""
    bound = inspect.signature(function).bind_partial(*args, **kwargs)
    lines = [f"  {label}: {described(value)}" for label, value in bound.arguments.items()]
    return GraphError("\n".join([f"{name}: {reason}", *lines]), caller_loc())


def described(value: Any) -> str:
    """Write a value as an error shows it: a graph value by its type, an array by dtype and shape."""
    value_type = getattr(value, "type", None)
    if isinstance(value_type, TensorType):
        return str(value_type)
    if isinstance(value, TensorType):
        return str(value)
    if isinstance(value, (list, tuple)):
        inner = ", ".join(described(item) for item in value)
        return f"[{inner}]" if isinstance(value, list) else f"({inner}{',' if len(value) == 1 else ''})"
    if hasattr(value, "dtype") and hasattr(value, "shape"):
        return f"{type(value).__name__} {value.dtype}{list(value.shape)}"
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


def site() -> Site | None:
    """The user's place, for a node."""
    return caller_site()
