"""Loads and stores under check: bounds, then races, then initialisation, and only then memory."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from workshop.errors import KernelFault, Loc
from workshop.gpu.checked import reports
from workshop.gpu.checked.batch import Batch
from workshop.gpu.checked.lanes import Array, Lanes, Value, lane_values
from workshop.gpu.checked.places import Place
from workshop.gpu.checked.races import Hit
from workshop.gpu.faults import bounds_error
from workshop.gpu.trace import Event

Indices = Sequence[Value]


def load(batch: Batch, lanes: Lanes, place: Place, indices: Indices, site: int) -> Value:
    """Read one element per lane; one numpy scalar where all lanes read the same plain element."""
    bad = place.outside(indices, lanes.n)
    if bad is not None:
        worst = _worst(batch, lanes, place, indices, bad, site)
        if batch.trace is not None:
            _record_good_reads(batch, lanes, place, indices, ~bad, site)
        raise worst
    at, fault = _readable(batch, lanes, place, indices, site)
    if fault is not None:
        raise fault[1]
    value = place.flat.take(at) if type(at) is np.ndarray else place.flat[at]
    if batch.trace is not None:
        _record(batch, lanes, place, indices, site, value)
    return value


def store(batch: Batch, lanes: Lanes, place: Place, indices: Indices, value: Value, site: int) -> None:
    """Write one element per lane."""
    bad = place.outside(indices, lanes.n)
    if bad is not None:
        raise _worst(batch, lanes, place, indices, bad, site)
    at, fault = _writable(batch, lanes, place, indices, site)
    if fault is not None:
        raise fault[1]
    place.flat[at] = value
    if place.written is not None:
        place.written[at] = True
    if batch.trace is not None:
        _record(batch, lanes, place, indices, site, value)


Found = tuple[int, KernelFault]  # the lane at fault, and its fault


def _readable(
    batch: Batch, lanes: Lanes, place: Place, indices: Indices, site: int
) -> tuple[Value, Found | None]:
    """The addresses of a read within bounds, and its lowest fault."""
    at, shadow, written = place.address(lanes, indices), place.shadow, place.written
    if shadow is None:
        if written is None or (clean := written[at]).all():
            return at, None
        return at, _blank(batch, lanes, place, indices, np.atleast_1d(~clean), site)
    at = lane_values(at, lanes.n)
    where = place.shadow_address(at)
    writers = shadow.writer.take(where)
    hit = shadow.read(batch.clock, lanes, where, writers, site)
    if shadow.one_block:
        blank = writers < batch.clock.start if writers.min() < batch.clock.start else None
    else:
        blank = None if written is None else ~written.take(at)
    found = None
    if blank is not None and blank.any():
        found = _blank(batch, lanes, place, indices, blank, site)
    if hit is not None and (found is None or hit.lane <= found[0]):
        found = hit.lane, _race(batch, lanes, place, indices, hit, site)
    return at, found


def _writable(
    batch: Batch, lanes: Lanes, place: Place, indices: Indices, site: int
) -> tuple[Value, Found | None]:
    """The addresses of a write within bounds, and its lowest fault."""
    at = place.address(lanes, indices)
    if place.shadow is None:
        return at, None
    at = lane_values(at, lanes.n)
    hit = place.shadow.write(batch.clock, lanes, place.shadow_address(at), site)
    return at, None if hit is None else (hit.lane, _race(batch, lanes, place, indices, hit, site))


def _worst(batch: Batch, lanes: Lanes, place: Place, indices: Indices, bad: Array, site: int) -> KernelFault:
    """The fault of the lowest lane of an access that leaves its array in some lanes."""
    where, kind = int(bad.argmax()), batch.sites[site].kind
    low = lanes.number(where)
    good = ~bad
    if good.any():
        rest = [index[good] if type(index) is np.ndarray else index for index in indices]
        check = _readable if kind == "read" else _writable
        _, other = check(batch, lanes.where(good), place, rest, site)
        if other is not None and other[0] < low:
            return other[1]
    index, loc, who = _at(indices, where), batch.sites[site].loc, batch.who(low)
    return bounds_error(kind, place.name, index, place.shape, loc, *who)


def _at(indices: Indices, position: int) -> list[int]:
    return [int(index[position] if type(index) is np.ndarray else index) for index in indices]


def _position(lanes: Lanes, lane: int) -> int:
    return lane if lanes.idx is None else int(np.searchsorted(lanes.idx, lane))


def _blank(batch: Batch, lanes: Lanes, place: Place, indices: Indices, blank: Array, site: int) -> Found:
    where = int(blank.argmax())
    lane, loc = lanes.number(where), batch.sites[site].loc
    return lane, reports.uninitialized(batch, place, _at(indices, where), lane, loc)


def _race(batch: Batch, lanes: Lanes, place: Place, indices: Indices, hit: Hit, site: int) -> KernelFault:
    index, here = _at(indices, _position(lanes, hit.lane)), batch.sites[site]
    return reports.race(batch, place, index, hit, here.kind, here.loc)


def _record(batch: Batch, lanes: Lanes, place: Place, indices: Indices, site: int, value: Value) -> None:
    trace, here = batch.trace, batch.sites[site]
    assert trace is not None
    step = trace.next_step
    room = max(min(trace.limit - len(trace.events), lanes.n), 0)
    trace.dropped += lanes.n - room
    values = lane_values(value, lanes.n)
    for position in range(room):
        block, thread = batch.who(lanes.number(position))
        number = _plain(values[position])
        index = tuple(_at(indices, position))
        trace.events.append(Event(step, block, thread, place.name, index, here.kind, number, here.loc))


def _record_good_reads(
    batch: Batch, lanes: Lanes, place: Place, indices: Indices, good: Array, site: int
) -> None:
    """Note the lanes whose read was in order, in an access that fails for others: pictures show both."""
    if not good.any():
        return
    rest, kept = lanes.where(good), [i[good] if type(i) is np.ndarray else i for i in indices]
    at, fault = _readable(batch, rest, place, kept, site)
    if fault is None:
        _record(batch, rest, place, kept, site, place.flat[at])


def record_barrier(batch: Batch, lanes: Lanes, loc: Loc) -> None:
    """Note in the trace that these lanes passed a barrier."""
    trace = batch.trace
    if trace is None:
        return
    step = trace.next_step
    room = max(min(trace.limit - len(trace.events), lanes.n), 0)
    trace.dropped += lanes.n - room
    for position in range(room):
        block, thread = batch.who(lanes.number(position))
        trace.events.append(Event(step, block, thread, "", (), "barrier", None, loc))


def _plain(value: np.generic) -> bool | int | float:
    item = value.item()
    return item if isinstance(item, (bool, int, float)) else float(item)
