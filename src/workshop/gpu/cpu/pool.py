"""Our own pool of sleeping threads: code runs outside the GIL, chunks are taken as threads become free.

A launch that finds the pool busy, or that comes from one of its threads, runs in its caller alone, so
two launches at once are slow and never stuck. A forked child starts with no threads and makes its own.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable

Work = Callable[[int, int, int], None]  # (worker, lo, hi)
SMALL_S = (
    100e-6  # work expected to be shorter than this stays in the caller: waking threads costs about as much
)
MOST_CHUNKS = 32  # a thread's share is never cut finer


class Pool:
    """`run(work, count)` calls `work(worker, lo, hi)` until 0..count is covered; workers count from 0."""

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

    def run(self, work: Work, count: int, align: int = 1) -> None:
        """Cover 0..count; chunks end at multiples of `align` where they can."""
        if count <= 1 or self.size == 1 or getattr(self._inside, "yes", False):
            work(0, 0, count)
            return
        first = self._probe(work, count, align)
        if first >= count:
            return
        if not self._busy.acquire(blocking=False):
            work(0, first, count)
            return
        try:
            self._share(work, first, count, align)
        finally:
            self._busy.release()

    def _probe(self, work: Work, count: int, align: int) -> int:
        """Run growing pieces in the caller until it is clear whether the rest is worth waking threads for."""
        begin = time.perf_counter()
        work(0, 0, 1)
        at, step = 1, 4
        if time.perf_counter() - begin < SMALL_S / count / 4:
            return self._finish(work, at, count)
        while at < count:
            end = min(at + step, count)
            work(0, at, end)
            at = end
            spent = time.perf_counter() - begin
            if spent > SMALL_S / 10:
                return at if spent / at * (count - at) > SMALL_S else self._finish(work, at, count)
            step = min(step * 4, align * 4)
        return at

    @staticmethod
    def _finish(work: Work, at: int, count: int) -> int:
        work(0, at, count)
        return count

    def _share(self, work: Work, first: int, count: int, align: int) -> None:
        self._start()
        chunks = Chunks(first, count, self.size, align)
        failures: list[BaseException] = []

        def job(worker: int) -> None:
            try:
                while (chunk := chunks.take()) is not None:
                    work(worker, *chunk)
            except BaseException as problem:  # handed to the caller below
                failures.append(problem)

        self._job = job
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

    def _serve(self, number: int, gate: threading.Lock, end: threading.Lock) -> None:
        self._inside.yes = True
        while True:
            gate.acquire()
            assert self._job is not None
            self._job(number)
            end.release()


class Chunks:
    """Hands out what is left in shrinking pieces, so that all threads end together."""

    def __init__(self, first: int, count: int, workers: int, align: int) -> None:
        self._lock = threading.Lock()
        self._at, self._count, self._align = first, count, align
        self._parts = 4 * workers
        self._least = max((count - first) // (MOST_CHUNKS * workers), 1)

    def take(self) -> tuple[int, int] | None:
        """Return the next piece, or None where nothing is left."""
        with self._lock:
            lo = self._at
            if lo >= self._count:
                return None
            size = max((self._count - lo) // self._parts, self._least)
            hi = lo + size
            if size > self._align:  # whole rows of blocks
                hi = -(-hi // self._align) * self._align
            self._at = hi = min(hi, self._count)
            return lo, hi


def threads_to_use() -> int:
    """Count the CPUs this process may use; WORKSHOP_THREADS overrides it."""
    named = os.environ.get("WORKSHOP_THREADS", "")
    if named.isdigit() and int(named) > 0:
        return int(named)
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
