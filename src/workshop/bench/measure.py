"""Times contenders fairly: warm, in turns, the best of many rounds, and only if their results agree."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from workshop.bench.cases import Case, Contender
from workshop.errors import WorkshopError

REST_S = 0.01  # OpenMP's threads spin for a while after their work; nobody's turn starts beside them


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table; `ratio` and `target` are in the unit that `target` names."""

    name: str
    ours_ms: float
    peer: str
    peer_ms: float | None
    ratio: float
    target: str
    verdict: str


def at_most(name: str, ours_ms: float, peer: str, peer_ms: float, most: float) -> Row:
    """Judge a time against a peer's: it may take `most` times as long."""
    ratio = ours_ms / peer_ms
    return Row(name, ours_ms, peer, peer_ms, ratio, f"<= {most:g} x", "pass" if ratio <= most else "FAIL")


def within(name: str, ours_ms: float, limit_ms: float) -> Row:
    """Judge a time against a fixed limit."""
    ratio = ours_ms / limit_ms
    verdict = "pass" if ratio <= 1 else "FAIL"
    return Row(name, ours_ms, "limit", limit_ms, ratio, f"<= {limit_ms:g} ms", verdict)


def compare(case: Case, rounds: int) -> Row:
    """Run a case: results first, then `rounds` rounds in which everybody has one turn.

    Their number is fixed beforehand: stopping at the first pass would favour us.
    """
    everybody = [case.ours, *case.peers]
    for contender in everybody:
        contender.run()
    _agree(case)
    best = {c.name: float("inf") for c in everybody}
    for number in range(rounds):
        start = number % len(everybody)
        for contender in everybody[start:] + everybody[:start]:
            time.sleep(REST_S)
            best[contender.name] = min(best[contender.name], _timed(contender.run))
    fastest = min(case.peers, key=lambda peer: best[peer.name]).name
    return at_most(case.name, best["ours"], fastest, best[fastest], case.most)


def best_of(run: Callable[[], None], rounds: int) -> float:
    """Return the best time of a call in milliseconds."""
    return min(_timed(run) for _ in range(rounds))


def _timed(run: Callable[[], None]) -> float:
    start = time.perf_counter()
    run()
    return (time.perf_counter() - start) * 1e3


def _agree(case: Case) -> None:
    """Refuse to compare times of contenders that computed different things."""
    expected = case.ours.result().reshape(-1)
    for peer in case.peers:
        found = peer.result().reshape(-1)
        if not np.allclose(expected, found, rtol=case.tolerance, atol=case.tolerance):
            worst = float(np.abs(expected - found).max())
            raise WorkshopError(f"{case.name}: ours and {_who(peer)} differ by up to {worst:g}")


def _who(peer: Contender) -> str:
    return peer.name
