"""Our own pool of sleeping threads: code runs outside the GIL, pieces are taken as threads become free.

A launch that finds the pool busy, or that comes from one of its threads, runs in its caller alone, so
two launches at once are slow and never stuck. A forked child starts with no threads and makes its own.
"""

from __future__ import annotations

import ctypes
import os
import threading
import time
from collections.abc import Callable
from typing import Protocol

import numpy as np

SMALL_S = 100e-6  # shorter work stays in the caller: waking threads costs about as much
MOST_PIECES = 32  # a thread's share is never cut finer


class Work(Protocol):
    """Blocks to be run by one thread or by several, numbered from 0."""

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
        if count <= 1 or self.size == 1 or getattr(self._inside, "yes", False):
            work.span(0, count)
            return
        first = self._probe(work, count, align)
        if first >= count:
            return
        if not self._busy.acquire(blocking=False):
            work.span(first, count)
            return
        try:
            self._share(work, first, count, align)
        finally:
            self._busy.release()

    def _probe(self, work: Work, count: int, align: int) -> int:
        """Run growing pieces in the caller until it is clear whether the rest is worth waking threads for."""
        begin = time.perf_counter()
        work.span(0, 1)
        at, step = 1, 4
        if time.perf_counter() - begin < SMALL_S / count / 4:
            return self._finish(work, at, count)
        while at < count:
            end = min(at + step, count)
            work.span(at, end)
            at = end
            spent = time.perf_counter() - begin
            if spent > SMALL_S / 10:
                return at if spent / at * (count - at) > SMALL_S else self._finish(work, at, count)
            step = min(step * 4, align * 4)
        return at

    @staticmethod
    def _finish(work: Work, at: int, count: int) -> int:
        work.span(at, count)
        return count

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
        if not hasattr(os, "sched_setaffinity"):
            return
        here = _current_cpu()
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


def _current_cpu() -> int:
    """Return the number of the CPU this thread runs on (Linux)."""
    try:
        return int(ctypes.CDLL(None).sched_getcpu())
    except AttributeError:  # a C library without it
        return -1


class Pieces:
    """Cuts blocks first..count into shrinking pieces, so that all threads end together.

    Threads take piece number `counter`++ and run blocks edges[n]..edges[n + 1], outside the GIL: a thread
    that the system stops while it holds the GIL would stop all others.
    """

    def __init__(self, first: int, count: int, workers: int, align: int) -> None:
        least = max((count - first) // (MOST_PIECES * workers), 1)
        edges = [first]
        while edges[-1] < count:
            size = max((count - edges[-1]) // (4 * workers), least)
            end = edges[-1] + size
            if size > align:  # whole rows of blocks
                end = -(-end // align) * align
            edges.append(min(end, count))
        self.edges = np.array(edges, np.int64)
        self.counter = np.zeros(1, np.int64)
        self.number = len(edges) - 1


def threads_to_use() -> int:
    """Count the CPUs this process may use; WORKSHOP_THREADS overrides it."""
    named = os.environ.get("WORKSHOP_THREADS", "")
    if named.isdigit() and int(named) > 0:
        return int(named)
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
