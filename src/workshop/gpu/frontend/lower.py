"""Runs the lowering of one kernel until its variables' dtypes are settled."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from workshop.dtype import DType
from workshop.gpu import ir
from workshop.gpu.frontend import statements as statements  # registers the lowering of every node
from workshop.gpu.frontend.dispatch import body
from workshop.gpu.frontend.scope import MISSING, Dependency, Reader, Scope, Unit
from workshop.gpu.frontend.source import Source

PASSES = 40
Capture = Callable[[str, Any, Reader], Any]  # the name, the value, how to read it at each launch


def lower(
    source: Source,
    params: tuple[ir.Memory | ir.Scalar, ...],
    parameters: Mapping[str, Any],
    block: tuple[int, int, int],
    warp_size: int,
    capture: Capture | None = None,
) -> tuple[ir.Function, list[Dependency]]:
    """Turn a kernel into IR for these run-time arguments and compile-time parameters.

    `capture` may turn a closed-over array into a further run-time argument; it returns the memory or MISSING.
    Returns the function and the outside names it depends on.
    """
    float64 = any(isinstance(p, ir.Memory) and p.dtype is DType.float64 for p in params)
    unit = Unit(block, warp_size, DType.float64 if float64 else DType.float32)
    captured: dict[tuple[Callable[..., Any], str], ir.Memory] = {}

    def once(name: str, function: Callable[..., Any], value: Any, read: Reader) -> Any:
        """Make a function's array an argument, under a name of its own: others may use the same one."""
        known = captured.get((function, name))
        if known is not None:
            return known
        memory = MISSING if capture is None else capture(name, value, read)
        if isinstance(memory, ir.Memory):
            memory = captured[function, name] = replace(memory, name=unit.unique(name))
        return memory

    unit.capture = once
    for _ in range(PASSES):
        unit.restart()
        for memory in captured.values():
            unit.unique(memory.name)
        out = _one_pass(unit, source, params, parameters)
        if not unit.changed:
            if unit.frozen:
                break
            unit.frozen = True
    variables = {name: local.dtype for name, local in unit.locals.items()}
    function = ir.Function(
        source.function.__name__,
        (*params, *captured.values()),
        variables,
        (*unit.allocations, *out),
        block,
        warp_size,
        source.loc(source.tree),
    )
    return function, list(unit.dependencies.values())


def _one_pass(
    unit: Unit, source: Source, params: tuple[ir.Memory | ir.Scalar, ...], parameters: Mapping[str, Any]
) -> ir.Body:
    scope = Scope(unit, source)
    loc = source.loc(source.tree)
    names = [n for n in ast.walk(source.tree) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)]
    assigned = {n.id for n in names}
    for param in params:
        unit.unique(param.name)
    with scope.collect() as out:
        for param in params:
            if isinstance(param, ir.Memory):
                scope.bind(param.name, param)
            elif param.name in assigned:
                given = ir.Argument(param.dtype, loc, param.name)
                scope.assign(scope.variable(param.name), given, loc, source.tree)
            else:
                scope.bind(param.name, ir.Argument(param.dtype, loc, param.name))
        for name, value in parameters.items():
            scope.bind(name, value)
        body(scope, source.body, last=True)
    if "return" in scope.left:
        return (ir.Block(loc, "return", tuple(out)),)
    return tuple(out)
