"""Streams: work that runs in order, later, on a thread of its own or in whoever waits for it.

Small launches wait in the queue and run in the thread that synchronises (handing them to another thread
would cost more than running them). Large ones, and kernels with a `while` that may never end, wake the
stream's worker at once; an interrupt while waiting cancels them.
"""

from __future__ import annotations

import os
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from workshop.gpu.launch import CancelFlag

MOST_WAITING = 64


@dataclass(slots=True)
class Work:
    """One piece of work: `run()` does it, `heavy` says that the worker shall start it at once.

    `keep` holds what must outlive it; `cancel`, once set, asks it to stop early; `always` work runs even
    after an earlier piece failed.
    """

    run: Callable[[], None]
    heavy: bool
    keep: Any = None
    cancel: CancelFlag | None = None
    always: bool = False


class Event:
    """A place in a stream that another stream, or the host, can wait for; made by `ctx.create_event()`."""

    def __init__(self) -> None:
        self._reached = threading.Event()
        self._reached.set()  # an event that was never recorded holds nobody up
        self._time = 0.0

    def arm(self) -> None:
        """Make waiters wait from now on."""
        self._reached.clear()

    def mark(self) -> None:
        """Let waiters go on; the stream calls this."""
        self._time = time.perf_counter()
        self._reached.set()

    def wait(self) -> None:
        """Block this thread until the event is reached."""
        self._reached.wait()

    def synchronize(self) -> None:
        """Wait until the event is reached; an interrupt ends the waiting."""
        while not self._reached.wait(timeout=0.2):
            pass

    def elapsed_ms(self, start: Event) -> float:
        """Return the milliseconds between an earlier event and this one, both reached."""
        return (self._time - start._time) * 1e3


_STARTING = Work(lambda: None, heavy=False)


@dataclass(slots=True)
class _State:
    queue: deque[Work] = field(default_factory=deque)
    running: Work | None = None
    failure: BaseException | None = None
    worker: threading.Thread | None = None
    awake: bool = False


_streams: weakref.WeakSet[Stream] = weakref.WeakSet()


def _after_fork() -> None:
    """A forked child has none of the threads: give its streams fresh locks and empty queues."""
    for stream in list(_streams):
        stream._reset()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


class Stream:
    """Runs work in the order it was enqueued; `synchronize()` waits for it and raises the first failure."""

    def __init__(self) -> None:
        self._reset()
        _streams.add(self)

    def _reset(self) -> None:
        self._state = _State()
        self._change = threading.Condition(threading.Lock())
        self._turn = threading.Lock()  # held by the one thread that runs work

    def enqueue(self, work: Work) -> None:
        """Append work; returns at once."""
        state = self._state
        state.queue.append(work)
        if work.heavy or len(state.queue) > MOST_WAITING:
            self._wake()

    def synchronize(self) -> None:
        """Wait until everything enqueued so far has run, then raise the first failure, if any.

        An interrupt cancels what is running and drops what is waiting.
        """
        state = self._state
        try:
            if state.queue or state.running is not None:
                self._finish()
        except KeyboardInterrupt:
            self._abandon()
            text = "the running kernel was stopped and what waited behind it dropped; the next launch works"
            raise KeyboardInterrupt(text) from None
        failure, state.failure = state.failure, None
        if failure is not None:
            raise failure

    def record_event(self, event: Event) -> None:
        """Mark the event when everything enqueued before has run."""
        event.arm()
        self.enqueue(Work(event.mark, heavy=True, always=True))

    def enqueue_wait_for(self, event: Event) -> None:
        """Let later work of this stream wait until another stream reached the event."""
        self.enqueue(Work(event.wait, heavy=True))

    @property
    def idle(self) -> bool:
        """True when nothing waits, runs, or has failed unnoticed."""
        state = self._state
        return not state.queue and state.running is None and state.failure is None

    def _finish(self) -> None:
        state = self._state
        if (
            not state.awake
            and not any(work.heavy for work in state.queue)
            and self._turn.acquire(blocking=False)
        ):
            try:
                self._drain()
            finally:
                self._turn.release()
        while True:
            with self._change:
                if not state.queue and state.running is None:
                    return
                if not state.awake:
                    self._start_locked()
                # With a timeout, so that an interrupt that does not wake a blocked lock is seen too.
                self._change.wait(timeout=0.2)

    def _wake(self) -> None:
        with self._change:
            if not self._state.awake:
                self._start_locked()

    def _start_locked(self) -> None:
        state = self._state
        state.awake = True
        if state.worker is None or not state.worker.is_alive():
            state.worker = threading.Thread(target=self._work, name="workshop-stream", daemon=True)
            state.worker.start()
        else:
            self._change.notify_all()

    def _work(self) -> None:
        state = self._state
        while True:
            with self._turn:
                self._drain()
            with self._change:
                if state.queue:
                    continue
                state.awake = False
                self._change.notify_all()
                while not state.awake:
                    if not self._change.wait(timeout=5.0) and not state.awake:
                        state.worker = None
                        return

    def _drain(self) -> None:
        state = self._state
        while True:
            state.running = _STARTING  # before the work leaves the queue, so that no moment looks idle
            try:
                work = state.queue.popleft()
            except IndexError:
                state.running = None
                return
            state.running = work
            try:
                # After a failure later work is dropped, as after a fault on a GPU; events still happen.
                if state.failure is None or work.always:
                    work.run()
            except Exception as problem:
                state.failure = problem
            finally:
                state.running = None

    def _abandon(self) -> None:
        """Drop what waits, cancel what runs, and wait for it to stop."""
        state = self._state
        dropped = list(state.queue)
        state.queue.clear()
        for work in dropped:
            if work.always:
                work.run()
        running = state.running
        while running is not None and state.running is running and state.awake:
            if running.cancel is not None:
                running.cancel.set()
            with self._change:
                self._change.wait(timeout=0.05)
        state.failure = None
