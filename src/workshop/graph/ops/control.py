"""Choosing between two pieces of graph, and repeating one, when the model runs."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from workshop.dtype import DType
from workshop.graph.graph import Graph
from workshop.graph.op import Op, Refusal, building, emit_all, public
from workshop.graph.ops.operands import tensor
from workshop.graph.type import TensorType
from workshop.graph.value import TensorValue, TensorValueLike


def _by_engine(*_: Any, **__: Any) -> Any:
    raise NotImplementedError("the engine runs the blocks of a control-flow op")


def _cond_rule(pred: TensorType, *_: TensorType, then: Graph, otherwise: Graph) -> tuple[TensorType, ...]:
    if pred.dtype is not DType.bool or pred.rank != 0:
        raise Refusal(f"the predicate must be a bool scalar, got {pred}; compare, then reshape([])")
    ours, theirs = tuple(then.output_types), tuple(otherwise.output_types)
    if ours != theirs:
        raise Refusal(
            f"the branches must return the same types: then_fn {_listed(ours)}, else_fn {_listed(theirs)}"
        )
    return ours


def _while_rule(*types: TensorType, count: int, predicate: Graph, body: Graph) -> tuple[TensorType, ...]:
    start, tested, made = types[:count], predicate.output_types, tuple(body.output_types)
    if len(tested) != 1 or tested[0].dtype is not DType.bool or tested[0].rank != 0:
        raise Refusal(f"the predicate must return one bool scalar, got {_listed(tuple(tested))}")
    if made != start:
        raise Refusal(
            f"the body must return the types of the initial values {_listed(start)}, got {_listed(made)}"
        )
    return start


COND = Op("cond", _cond_rule, _by_engine)
WHILE = Op("while_loop", _while_rule, _by_engine)


@public
def cond(
    pred: TensorValueLike,
    out_types: Iterable[TensorType] | None,
    then_fn: Callable[[], Any],
    else_fn: Callable[[], Any],
) -> list[TensorValue]:
    """Run one of two functions, as a bool scalar says when the model runs; both return the same types.

    `out_types` states those types, or is None to take them from the functions.
    """
    chosen = tensor(pred)
    then, otherwise = (_block(f"{name}", fn, ()) for name, fn in (("then", then_fn), ("else", else_fn)))
    if out_types is not None and list(out_types) != then.output_types:
        raise Refusal(f"then_fn returns {_listed(tuple(then.output_types))}, not the out_types")
    captured = dict.fromkeys([*then.captured, *otherwise.captured])
    return list(emit_all(COND, chosen, *captured, then=then, otherwise=otherwise))


@public
def while_loop(
    initial_values: Iterable[TensorValueLike] | TensorValueLike,
    predicate: Callable[..., Any],
    body: Callable[..., Any],
) -> list[TensorValue]:
    """Run `body` on its own results as long as `predicate` of them is True, from `initial_values` on."""
    given = initial_values if isinstance(initial_values, (list, tuple)) else [initial_values]
    start = [tensor(value) for value in given]
    if not start:
        raise Refusal("needs at least one initial value")
    types = [value.type for value in start]
    test, step = _block("predicate", predicate, types), _block("body", body, types)
    captured = dict.fromkeys([*test.captured, *step.captured])
    return list(emit_all(WHILE, *start, *captured, count=len(start), predicate=test, body=step))


def _block(name: str, function: Callable[..., Any], types: Iterable[TensorType]) -> Graph:
    outer = building()
    return Graph(name, function, types, kernel_library=outer.kernel_library, parent=outer)


def _listed(types: tuple[TensorType, ...]) -> str:
    return "(" + ", ".join(str(type) for type in types) + ")"
