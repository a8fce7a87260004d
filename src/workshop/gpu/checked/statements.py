"""Statements of the IR, compiled once to closures that take the active lanes and return those that go on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from workshop.errors import Loc
from workshop.gpu import ir
from workshop.gpu.checked import access, reports
from workshop.gpu.checked.batch import Batch, Cancelled
from workshop.gpu.checked.expressions import Eval, Names, compile_expr
from workshop.gpu.checked.lanes import EMPTY, Array, Lanes, Slot, Value, lane_values, merge
from workshop.gpu.faults import barrier_error, printed
from workshop.gpu.launch import PRINT_LIMIT, Printed

Exec = Callable[[Batch, Lanes], Lanes]


def compile_body(body: ir.Body, names: Names) -> Exec:
    """Make the closure of statements one after the other."""
    steps = [_COMPILERS[type(node)](node, names) for node in body]
    if len(steps) == 1:
        return steps[0]

    def run(batch: Batch, lanes: Lanes) -> Lanes:
        for step in steps:
            lanes = step(batch, lanes)
            if lanes.n == 0:
                break
        return lanes

    return run


def _assign(node: ir.Assign, names: Names) -> Exec:
    number, value = names.variables[node.name], compile_expr(node.value, names)

    def assign(batch: Batch, lanes: Lanes) -> Lanes:
        batch.slots[number].write(lanes, value(batch, lanes))
        return lanes

    return assign


def _store(node: ir.Store, names: Names) -> Exec:
    number, indices = names.memories[node.memory.name], [compile_expr(i, names) for i in node.indices]
    value, site = compile_expr(node.value, names), names.site(node, "write")

    def store(batch: Batch, lanes: Lanes) -> Lanes:
        new = value(batch, lanes)
        where = [index(batch, lanes) for index in indices]
        access.store(batch, lanes, batch.places[number], where, new, site)
        return lanes

    return store


def _if(node: ir.If, names: Names) -> Exec:
    condition = compile_expr(node.condition, names)
    then, orelse = compile_body(node.then, names), compile_body(node.orelse, names)

    def branch(batch: Batch, lanes: Lanes) -> Lanes:
        chosen = condition(batch, lanes)
        if type(chosen) is not np.ndarray:
            return then(batch, lanes) if chosen else orelse(batch, lanes)
        here, there = lanes.split(chosen)
        if there.n == 0:
            return then(batch, lanes)
        if here.n == 0:
            return orelse(batch, lanes)
        return merge(lanes, [then(batch, here), orelse(batch, there)])

    return branch


def _for(node: ir.For, names: Names) -> Exec:
    number, body = names.variables[node.var], compile_body(node.body, names)
    start, stop, step = (compile_expr(part, names) for part in (node.start, node.stop, node.step))

    def loop(batch: Batch, lanes: Lanes) -> Lanes:
        first, last, by = start(batch, lanes), stop(batch, lanes), step(batch, lanes)
        if any(type(part) is np.ndarray for part in (first, last, by)):
            return _uneven(batch, lanes, batch.slots[number], (first, last, by), body)
        if by == 0:
            return lanes
        active = lanes
        for value in range(int(first), int(last), int(by)):
            if batch.cancelled():
                raise Cancelled
            batch.slots[number].write(active, np.int64(value))
            active = body(batch, active)
            if active.n == 0:
                break
        return active

    return loop


def _uneven(batch: Batch, lanes: Lanes, var: Slot, bounds: tuple[Value, Value, Value], body: Exec) -> Lanes:
    """A loop whose bounds differ between lanes: each trip runs the lanes that still have one."""
    first, last, by = (lane_values(part, lanes.n) for part in bounds)
    left, value, step = (Slot(batch.lanes.n) for _ in range(3))
    left.write(lanes, trips(first, last, by))
    value.write(lanes, first)
    step.write(lanes, by)
    active, done = lanes, []
    while active.n:
        if batch.cancelled():
            raise Cancelled
        count = left.read(active)
        active, finished = active.split(count > 0)
        done.append(finished)
        if active.n == 0:
            break
        now = value.read(active)
        var.write(active, now)
        left.write(active, left.read(active) - 1)
        value.write(active, now + step.read(active))
        active = body(batch, active)
    return merge(lanes, done)


def trips(start: Array, stop: Array, step: Array) -> Array:
    """How often range(start, stop, step) yields, 0 for step 0; exact over all of int64."""
    up, down = (step > 0) & (start < stop), (step < 0) & (start > stop)
    a, b, by = (part.view(np.uint64) for part in (start, stop, step))
    distance = np.where(up, b - a, a - b)
    stride = np.where(up, by, np.uint64(0) - by)
    count = (distance - np.uint64(1)) // np.where(stride == 0, np.uint64(1), stride) + np.uint64(1)
    return np.where(up | down, count, np.uint64(0))


def _while(node: ir.While, names: Names) -> Exec:
    condition, body, loc = compile_expr(node.condition, names), compile_body(node.body, names), node.loc

    def loop(batch: Batch, lanes: Lanes) -> Lanes:
        active, done = lanes, []
        for _ in range(batch.step_budget):
            if batch.cancelled():
                raise Cancelled
            go = condition(batch, active)
            if type(go) is np.ndarray:
                active, finished = active.split(go)
                done.append(finished)
            elif not go:
                done.append(active)
                return merge(lanes, done)
            if active.n:
                active = body(batch, active)
            if active.n == 0:
                return merge(lanes, done)
        raise reports.endless(batch, active.number(0), loc)

    return loop


def _block(node: ir.Block, names: Names) -> Exec:
    label, body = node.label, compile_body(node.body, names)

    def block(batch: Batch, lanes: Lanes) -> Lanes:
        gone: list[Lanes] = []
        batch.left[label] = gone
        rest = body(batch, lanes)
        return merge(lanes, [rest, *gone]) if gone else rest

    return block


def _leave(node: ir.Leave, names: Names) -> Exec:
    label = node.label

    def leave(batch: Batch, lanes: Lanes) -> Lanes:
        batch.left[label].append(lanes)
        return EMPTY

    return leave


def _sync(node: ir.Sync, names: Names) -> Exec:
    loc, warp = node.loc, node.scope == "warp"

    def sync(batch: Batch, lanes: Lanes) -> Lanes:
        if warp:
            batch.clock.syncwarp(lanes)
            return lanes
        if lanes.idx is not None:
            _check_arrival(batch, lanes, loc)
        batch.clock.barrier(lanes)
        access.record_barrier(batch, lanes, loc)
        return lanes

    return sync


def _check_arrival(batch: Batch, lanes: Lanes, loc: Loc) -> None:
    """All threads of a block are at this barrier, or none."""
    arrived = np.bincount(batch.block_of_lane[lanes.idx], minlength=batch.blocks)
    partial = (arrived > 0) & (arrived < batch.threads)
    if partial.any():
        number = int(partial.argmax())
        here = np.ones(batch.lanes.n, np.bool_)
        here[lanes.idx] = False
        missing = number * batch.threads + int(here[number * batch.threads :].argmax())
        raise barrier_error(int(arrived[number]), batch.threads, loc, *batch.who(missing))


def _allocate(node: ir.Allocate, names: Names) -> Exec:
    return lambda batch, lanes: lanes  # made poisoned when its batch began


def _print(node: ir.Print, names: Names) -> Exec:
    parts: list[str | Eval] = [p if isinstance(p, str) else compile_expr(p, names) for p in node.parts]

    def write(batch: Batch, lanes: Lanes) -> Lanes:
        values = [p if isinstance(p, str) else lane_values(p(batch, lanes), lanes.n) for p in parts]
        output, numbers = batch.launch.output, _sequence(batch, lanes)
        room = max(min(PRINT_LIMIT - len(output.lines), lanes.n), 0)
        output.dropped += lanes.n - room
        for position in range(room):
            thread = batch.first_block * batch.threads + lanes.number(position)
            text = printed([v if isinstance(v, str) else v[position] for v in values])
            output.lines.append(Printed(*divmod(thread, batch.threads), int(numbers[position]), text))
        return lanes

    return write


def _sequence(batch: Batch, lanes: Lanes) -> Array:
    """Count each lane's printed lines."""
    if batch.sequence is None:
        batch.sequence = np.zeros(batch.lanes.n, np.int64)
    where: Any = slice(None) if lanes.idx is None else lanes.idx
    numbers: Array = batch.sequence[where].copy()
    batch.sequence[where] += 1
    return numbers


_COMPILERS: dict[type[ir.Stmt], Callable[[Any, Names], Exec]] = {
    ir.Assign: _assign,
    ir.Store: _store,
    ir.If: _if,
    ir.For: _for,
    ir.While: _while,
    ir.Block: _block,
    ir.Leave: _leave,
    ir.Sync: _sync,
    ir.Allocate: _allocate,
    ir.Print: _print,
}
