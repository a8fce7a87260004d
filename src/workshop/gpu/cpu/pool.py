"""Our own pool of sleeping threads: code runs outside the GIL, chunks are taken as threads become free.

A launch that finds the pool busy, or that comes from one of its threads, runs in its caller alone, so
two launches at once are slow and never stuck. A forked child starts with no threads and makes its own.
"""

from __future__ import annotations

import itertools
import os
import threading
import time
from collections.abc import Callable

Work = Callable[[int, int, int], None]  # (worker, lo, hi)
SMALL_S = (
    100e-6  # work expected to be shorter than this stays in the caller: waking threads costs about as much
)
CHUNKS_EACH = 8


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
        self._gates: list[threading.Semaphore] = []
        self._done = threading.Semaphore(0)
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
        chunk = max((count - first) // (self.size * CHUNKS_EACH), 1)
        chunk = -(-chunk // align) * align if chunk > align else chunk
        starts = itertools.count(first, chunk)  # next() is atomic under the GIL
        failures: list[BaseException] = []

        def job(worker: int) -> None:
            try:
                while (lo := next(starts)) < count:
                    work(worker, lo, min(lo + chunk, count))
            except BaseException as problem:  # handed to the caller below
                failures.append(problem)

        self._job = job
        for gate in self._gates:
            gate.release()
        job(0)
        for _ in self._gates:
            self._done.acquire()
        self._job = None
        if failures:
            raise failures[0]

    def _start(self) -> None:
        while len(self._threads) < self.size - 1:
            number = len(self._threads) + 1
            gate = threading.Semaphore(0)
            thread = threading.Thread(
                target=self._serve, args=(number, gate, self._done), name=f"workshop-{number}", daemon=True
            )
            self._gates.append(gate)
            self._threads.append(thread)
            thread.start()

    def _serve(self, number: int, gate: threading.Semaphore, done: threading.Semaphore) -> None:
        self._inside.yes = True
        while True:
            gate.acquire()
            assert self._job is not None
            self._job(number)
            done.release()


def threads_to_use() -> int:
    """Count the CPUs this process may use; WORKSHOP_THREADS overrides it."""
    named = os.environ.get("WORKSHOP_THREADS", "")
    if named.isdigit() and int(named) > 0:
        return int(named)
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
