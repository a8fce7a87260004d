"""A CUDA stream that knows what is in flight: keeps its memory, shows its lines, names a faulty launch."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from workshop.errors import AlignmentFault, BoundsError, KernelFault, Loc
from workshop.gpu.launch import PRINT_LIMIT, Output
from workshop.gpu.printing import Format, decode, record_words

ILLEGAL_ADDRESS, MISALIGNED_ADDRESS = 700, 716
FAULTS: dict[int, type[KernelFault]] = {ILLEGAL_ADDRESS: BoundsError, MISALIGNED_ADDRESS: AlignmentFault}


@dataclass(slots=True)
class PrintLog:
    """The print log of a launch in flight: a device array, how to read it, and who gets the lines."""

    words: Any
    formats: tuple[Format, ...]
    printed: Callable[[Output], None]

    def show(self) -> None:
        """Fetch the lines and hand them on; only as many records as were written cross the bus."""
        total = int(self.words[:1].get()[0])
        if total:
            kept = min(total, PRINT_LIMIT)
            output = Output()
            decode(self.words[: 1 + kept * record_words(self.formats)].get(), self.formats, output)
            self.printed(output)


@dataclass(slots=True)
class InFlight:
    """One piece of work on a stream: the event behind it, the memory it uses, and where it came from."""

    done: Any
    keep: Any
    kernel: str = ""
    loc: Loc | None = None
    log: PrintLog | None = None


class CudaEvent:
    """A place in a stream that another stream, or the host, can wait for; it also tells the time."""

    def __init__(self, cupy: Any) -> None:
        self.cupy = cupy
        self.native = cupy.cuda.Event()

    def synchronize(self) -> None:
        """Wait until the event is reached."""
        self.native.synchronize()

    def elapsed_ms(self, start: CudaEvent) -> float:
        """Return the GPU's milliseconds between an earlier event and this one, both reached."""
        return float(self.cupy.cuda.get_elapsed_time(start.native, self.native))


class CudaStream:
    """Work of one CUDA stream, in order; `native` is the cupy stream."""

    def __init__(self, cupy: Any, device_id: int) -> None:
        self.cupy = cupy
        self.device_id = device_id
        with cupy.cuda.Device(device_id):
            # A blocking stream: ordered with the default stream, on which torch and cupy do their work.
            self.native = cupy.cuda.Stream()
        self._flying: deque[InFlight] = deque()
        self._errors = cupy.cuda.runtime.CUDARuntimeError, cupy.cuda.driver.CUDADriverError

    @contextmanager
    def enqueuing(self) -> Iterator[None]:
        """Make this the current stream; an error of CUDA inside becomes the fault of an earlier launch."""
        try:
            with self.native:
                yield
        except self._errors as problem:
            raise self._fault(problem) from None

    def follow(
        self, keep: Any, kernel: str = "", loc: Loc | None = None, log: PrintLog | None = None
    ) -> None:
        """Note work just enqueued (call it within `enqueuing`); forget what has ended meanwhile."""
        event = self.cupy.cuda.Event(disable_timing=True)
        event.record(self.native)
        self._flying.append(InFlight(event, keep, kernel, loc, log))
        self._forget()

    def record_event(self, event: CudaEvent) -> None:
        """Put an event behind the work enqueued so far."""
        event.native.record(self.native)

    def enqueue_wait_for(self, event: CudaEvent) -> None:
        """Let later work of this stream wait until an event of another stream is reached."""
        self.native.wait_event(event.native)

    def _forget(self) -> None:
        while self._flying and self._flying[0].log is None and self._flying[0].done.done:
            self._flying.popleft()

    @property
    def idle(self) -> bool:
        """True when nothing runs and no printed line waits to be shown."""
        try:
            self._forget()
        except self._errors:
            return False  # a fault waits to be raised
        return not self._flying

    def synchronize(self) -> None:
        """Wait for everything enqueued, hand on printed lines, raise the fault of a launch, if any.

        The fault names the kernel and the line that launched it.
        """
        try:
            self.native.synchronize()
        except self._errors as problem:
            raise self._fault(problem) from None
        while self._flying:
            log = self._flying.popleft().log
            if log is not None:
                log.show()

    def _fault(self, problem: Any) -> KernelFault:
        launches = [work for work in self._flying if work.kernel]
        self._flying.clear()
        return fault(problem, launches)


def fault(problem: Any, launches: list[InFlight]) -> KernelFault:
    """Turn a CUDA error into a fault that names the launches it may come from."""
    status = int(getattr(problem, "status", 0))
    suspects = list(dict.fromkeys((work.kernel, work.loc) for work in launches))
    kernels = " or ".join(dict.fromkeys(f"`{name}`" for name, _ in suspects)) or "an earlier launch"
    places = [loc.where for _, loc in suspects if loc is not None]
    where = f", launched at {' or '.join(dict.fromkeys(places))}" if places else ""
    message = (
        f"the GPU stopped in {kernels}{where}: {problem}. "
        'Run the launch on DeviceContext(api="checked") to see the line, the block and the thread. '
        "CUDA cannot go on after this fault: restart the notebook's kernel (or the program) first."
    )
    loc = suspects[0][1] if len(suspects) == 1 else None
    return FAULTS.get(status, KernelFault)(message, loc)


def blank_log(cupy: Any, words: int) -> Any:
    """Allocate a print log in the current stream's order; only the counter needs to be zero."""
    log = cupy.empty(words, np.uint64)
    log[:1].fill(0)
    return log
