"""Our own pool of sleeping threads: code runs outside the GIL, pieces are taken as threads become free.

A launch that finds the pool busy, or that comes from one of its threads, runs in its caller alone, so
two launches at once are slow and never stuck. A forked child starts with no threads and makes its own.
"""

from __future__ import annotations

import ctypes
import functools
import os
import threading
import time
from collections.abc import Callable
from typing import Protocol

SMALL_S = 120e-6  # shorter work stays in the caller: waking threads costs about as much
MOST_PIECES = 32  # a thread's share is never cut finer


class Work(Protocol):
    """Blocks to be run by one thread or by several, numbered from 0; `pace` is seconds a block, 0 unknown."""

    pace: float

    def span(self, lo: int, hi: int) -> None:
        """Run blocks lo..hi as thread 0."""

    def take(self, worker: int, pieces: Pieces) -> None:
        """Run pieces until none is left."""


class Pool:
    """Runs all blocks of a launch on its threads and the caller's."""

    def __init__(self, size: int) -> None:
        self.size = max(size, 1)
        self._reset()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._reset)

    def _reset(self) -> None:
        self._busy = threading.Lock()
        self._inside = threading.local()
        self._threads: list[threading.Thread] = []
        self._gates: list[threading.Lock] = []  # open: there is work
        self._ends: list[threading.Lock] = []  # open: it is done
        self._job: Callable[[int], None] | None = None
        self._apart_from = -1

    def run(self, work: Work, count: int, align: int = 1) -> None:
        """Run blocks 0..count; pieces end at multiples of `align` where they can."""
        first = 0
        if count == 1 or self.size == 1 or (work.pace and work.pace * count < SMALL_S) or self._is_inside():
            work.span(0, count)
            return
        if work.pace == 0:
            first = self._probe(work, count, align)
        if not self._busy.acquire(blocking=False):
            work.span(first, count)
            return
        try:
            if first < count:
                self._share(work, first, count, align)
        finally:
            self._busy.release()

    def _is_inside(self) -> bool:
        return getattr(self._inside, "yes", False)

    def _probe(self, work: Work, count: int, align: int) -> int:
        """Run growing pieces in the caller until it is clear whether the rest is worth waking threads for."""
        work.span(0, 1)  # the first call is slow in itself and tells nothing
        at, size = 1, 3
        while at < count:
            end = min(at + size, count)
            begin = time.perf_counter()
            work.span(at, end)
            spent = time.perf_counter() - begin
            work.pace = spent / (end - at)
            at, size = end, min(size * 4, align * 4)
            if work.pace * (count - at) < SMALL_S:
                work.span(at, count)
                return count
            if spent > SMALL_S / 20:
                break
        return at

    def _share(self, work: Work, first: int, count: int, align: int) -> None:
        self._start()
        pieces = Pieces(first, count, self.size, align)
        failures: list[BaseException] = []

        def job(worker: int) -> None:
            try:
                work.take(worker, pieces)
            except BaseException as problem:  # handed to the caller below
                failures.append(problem)

        self._job = job
        self._keep_apart()
        for gate in self._gates:
            gate.release()
        job(0)
        for end in self._ends:
            end.acquire()
        self._job = None
        if failures:
            raise failures[0]

    def _start(self) -> None:
        while len(self._threads) < self.size - 1:
            number = len(self._threads) + 1
            gate, end = threading.Lock(), threading.Lock()
            gate.acquire()
            end.acquire()
            thread = threading.Thread(
                target=self._serve, args=(number, gate, end), name=f"workshop-{number}", daemon=True
            )
            self._gates.append(gate)
            self._ends.append(end)
            self._threads.append(thread)
            thread.start()

    def _keep_apart(self) -> None:
        """Keep the threads off the caller's CPU, where a busy Linux would wake them to run in turns."""
        ask = _cpu_asker()
        here = self._apart_from if ask is None else ask()
        if here == self._apart_from:
            return
        self._apart_from = here
        others = os.sched_getaffinity(0) - {here}
        for thread in self._threads:
            if others and thread.native_id is not None:
                os.sched_setaffinity(thread.native_id, others)

    def _serve(self, number: int, gate: threading.Lock, end: threading.Lock) -> None:
        self._inside.yes = True
        while True:
            gate.acquire()
            assert self._job is not None
            self._job(number)
            end.release()


@functools.cache
def _cpu_asker() -> Callable[[], int] | None:
    """Return what tells the number of the CPU this thread runs on, where threads can be moved at all."""
    if not hasattr(os, "sched_setaffinity"):
        return None
    ask: Callable[[], int] | None = getattr(ctypes.CDLL(None), "sched_getcpu", None)
    return ask


class Pieces:
    """Cuts blocks first..count into shrinking pieces, so that all threads end together.

    Threads move `at` on, outside the GIL: one that the system stops while it holds the GIL stops all others.
    A piece is 1 / `parts` of what is left, at least `least` blocks, and whole rows of `align` blocks.
    """

    __slots__ = ("_at", "address", "align", "count", "least", "parts")

    def __init__(self, first: int, count: int, workers: int, align: int) -> None:
        self._at = ctypes.c_int64(first)
        self.address = ctypes.addressof(self._at)
        self.count, self.align, self.parts = count, align, 4 * workers
        self.least = max((count - first) // (MOST_PIECES * workers), 1)


def threads_to_use() -> int:
    """Count the CPUs this process may use; WORKSHOP_THREADS overrides it."""
    named = os.environ.get("WORKSHOP_THREADS", "")
    if named.isdigit() and int(named) > 0:
        return int(named)
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
