"""Race detection in constant state per address, against a record of every access ever made."""

import random
from dataclasses import dataclass, field

import numpy as np
import pytest

from workshop.gpu.checked.lanes import Lanes
from workshop.gpu.checked.races import Clock, Shadow

BLOCKS, THREADS, WARP = 3, 6, 3
LANES = BLOCKS * THREADS


@dataclass
class Oracle:
    """Remembers who did what after which synchronisations."""

    history: dict[int, list[tuple[int, bool, int, int, int]]] = field(default_factory=dict)
    block_epoch: list[int] = field(default_factory=lambda: [0] * BLOCKS)
    warp_epoch: list[int] = field(default_factory=lambda: [0] * LANES)

    def entry(self, lane, write, site):
        return lane, write, self.block_epoch[lane // THREADS], self.warp_epoch[lane], site

    def race(self, old, new):
        (a, wrote_a, block_a, warp_a, _), (b, wrote_b, block_b, warp_b, _) = old, new
        if a == b or not (wrote_a or wrote_b):
            return False
        if a // THREADS != b // THREADS:
            return True
        same_warp = a // WARP == b // WARP
        return block_a == block_b and not (same_warp and warp_a != warp_b)

    def access(self, lanes, addresses, write, site):
        """The lowest lane that races, and the (thread, site) pairs it races with."""
        new = {
            lane: (address, self.entry(lane, write, site))
            for lane, address in zip(lanes, addresses, strict=True)
        }
        found = None
        for lane, (address, mine) in new.items():
            past = self.history.get(address, [])
            peers = [entry for at, entry in new.values() if at == address]
            bad = {(e[0], e[4]) for e in [*past, *peers] if self.race(e, mine)}
            if bad:
                found = lane, bad
                break
        for address, entry in new.values():
            self.history.setdefault(address, []).append(entry)
        return found


def lanes_of(idx):
    return Lanes(None if len(idx) == LANES else np.array(idx), len(idx))


def some_lanes(rng):
    share = rng.choice([0.1, 0.3, 1.0])
    return [lane for lane in range(LANES) if rng.random() < share] or [rng.randrange(LANES)]


def step(rng, clock, shadow, oracle, shared, site, warps, cells):
    """One random synchronisation or access; what the shadow found and what the oracle found."""
    kind = rng.random()
    if kind < 0.2:
        block = rng.randrange(BLOCKS)
        whole = rng.random() < 0.5
        blocks = range(BLOCKS) if whole else [block]
        clock.barrier(lanes_of([lane for lane in range(LANES) if lane // THREADS in blocks]))
        for b in blocks:
            oracle.block_epoch[b] += 1
        return None, None
    if warps and kind < 0.45:
        chosen = [w for w in range(LANES // WARP) if rng.random() < 0.5] or [0]
        synced = [lane for lane in range(LANES) if lane // WARP in chosen]
        clock.syncwarp(lanes_of(synced))
        for lane in synced:
            oracle.warp_epoch[lane] += 1
        return None, None
    idx = some_lanes(rng)
    spread = rng.choice(["own", "any"])
    cell = [lane % cells if spread == "own" else rng.randrange(cells) for lane in idx]
    at = [c + (lane // THREADS) * cells if shared else c for lane, c in zip(idx, cell, strict=True)]
    lanes, where, write = lanes_of(idx), np.array(at), rng.random() < 0.4
    if write:
        hit = shadow.write(clock, lanes, where, site)
    else:
        hit = shadow.read(clock, lanes, where, shadow.writer.take(where), site)
    return hit, oracle.access(idx, at, write, site)


@pytest.mark.parametrize("warps", [False, True], ids=["barriers", "syncwarps"])
@pytest.mark.parametrize("shared", [False, True], ids=["global", "shared"])
def test_the_shadow_finds_exactly_the_races_of_the_full_record(shared, warps):
    raced = silent = 0
    for seed in range(1500):
        rng = random.Random(seed)
        clock = Clock(BLOCKS, THREADS, WARP, 64, warps)
        clock.begin(0, LANES)
        cells = rng.choice([2, 6, LANES])
        shadow = Shadow(cells * (BLOCKS if shared else 1), shared, True)
        oracle = Oracle()
        for site in range(25):
            hit, found = step(rng, clock, shadow, oracle, shared, site, warps, cells)
            assert (hit is None) == (found is None), f"seed {seed}, step {site}: {hit} but {found}"
            if hit is not None and found is not None:
                other = hit.peer if not hit.other else int(clock.thread(hit.other))
                other_site = site if not hit.other else clock.site(hit.other)
                assert hit.lane == found[0] and (other, other_site) in found[1]
                raced += 1
                break
            silent += found is None
    assert raced > 1000 and silent > 1000


def test_what_an_earlier_batch_did_to_shared_memory_is_forgotten():
    clock = Clock(2 * BLOCKS, THREADS, WARP, 2, False)
    shadow = Shadow(4, True, True)
    one, at = Lanes(np.array([0]), 1), np.array([0])
    clock.begin(0, LANES)
    assert shadow.write(clock, one, at, 0) is None
    clock.begin(BLOCKS, LANES)
    assert shadow.read(clock, one, at, shadow.writer.take(at), 1) is None
    assert shadow.writer[0] < clock.start  # that is: uninitialised
