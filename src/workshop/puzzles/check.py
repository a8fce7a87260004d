"""Trying an answer: every size under check, then on the device, compared element by element."""

from __future__ import annotations

from typing import Any

import numpy as np

from workshop.dtype import DType
from workshop.errors import WorkshopError
from workshop.gpu import ir
from workshop.gpu.host import DeviceContext
from workshop.gpu.host.context import default_api
from workshop.gpu.record import Blank, Recording, record
from workshop.puzzles.contract import Array, Case, Contract
from workshop.puzzles.result import CheckResult, Difference, Failure
from workshop.puzzles.source import is_unfilled
from workshop.viz.run import story_of
from workshop.viz.story import Story

NO_BARRIER = "no barrier was needed: each thread read only what it wrote itself"


def check(contract: Contract, kernel: Any) -> CheckResult:
    """Try a kernel at every size of a puzzle: under check, and on the device once that is clean."""
    if is_unfilled(kernel, contract.kernel):
        return CheckResult(contract, unfilled=True)
    failures: list[Failure] = []
    story: Story | None = None
    note = ""
    for case in contract.cases:
        try:
            recording = _record(contract, case, kernel)
        except WorkshopError as error:  # the kernel does not compile, or does not fit its launch
            return CheckResult(contract, (Failure(case, "checked", error),))
        failure = _judge(contract, case, recording)
        if failure is not None:
            story = story if failures else story_of(kernel, recording)
            failures.append(failure)
        elif story is None and not failures:
            story = story_of(kernel, recording)
            note = NO_BARRIER if contract.shared and not _has_barrier(recording) else ""
    if not failures and default_api() != "checked":
        failures += filter(None, (_on_device(contract, case, kernel) for case in contract.cases))
        story = None if failures else story
    return CheckResult(contract, tuple(failures), story=story, note=note)


def _record(contract: Contract, case: Case, kernel: Any) -> Recording:
    inputs = contract.arguments(case).values()
    scalars = [case.size] if contract.takes_size else []
    parameters: dict[str, Any] = {"TPB": case.block_dim} if contract.takes_tpb else {}
    return record(
        kernel,
        Blank((case.size,)),
        *inputs,
        *scalars,
        grid_dim=case.grid_dim,
        block_dim=case.block_dim,
        **parameters,
    )


def _judge(contract: Contract, case: Case, recording: Recording) -> Failure | None:
    """Compare one checked run with the puzzle: its fault, its output, its inputs, its means."""
    if recording.fault is not None:
        return Failure(case, "checked", recording.fault)
    output, *inputs = recording.arrays
    got = recording.arrays[output].copy()
    got[~recording.written[output]] = np.nan
    failure = compare(contract, case, "checked", got)
    if failure is not None:
        return failure
    for name in inputs:
        if not np.array_equal(recording.arrays[name], recording.before[name]):
            return Failure(
                case, "checked", demand=f"the kernel changed its input {name}; only output may change"
            )
    spaces = {memory.space for memory in recording.function.memories}
    if contract.shared and "shared" not in spaces:
        return Failure(case, "checked", demand="the output is right, but the kernel uses no shared memory")
    return None


def compare(contract: Contract, case: Case, where: Any, got: Array) -> Failure | None:
    """Return the elements of an output that are not as expected, None where there are none."""
    expected = contract.expected(case)
    wrong = np.flatnonzero(got != expected)
    if not wrong.size:
        return None
    differences = tuple(Difference(int(i), float(got[i]), float(expected[i])) for i in wrong)
    return Failure(case, where, None, differences, tuple(got.tolist()), tuple(expected.tolist()))


def _on_device(contract: Contract, case: Case, kernel: Any) -> Failure | None:
    """Run a kernel where kernels run by default; NaN marks what nobody writes."""
    ctx = DeviceContext()
    arrays = [np.full(case.size, np.nan, np.float32), *contract.arguments(case).values()]
    buffers = []
    for array in arrays:
        buffers.append(ctx.enqueue_create_buffer(DType.float32, case.size))
        with buffers[-1].map_to_host() as host:
            host[:] = array
    scalars = [case.size] if contract.takes_size else []
    parameters: dict[str, Any] = {"TPB": case.block_dim} if contract.takes_tpb else {}
    sizes = {"grid_dim": case.grid_dim, "block_dim": case.block_dim}
    try:
        ctx.enqueue_function(kernel, *buffers, *scalars, **sizes, **parameters)
        got = buffers[0].to_numpy()
    except WorkshopError as error:
        return Failure(case, "device", error)
    return compare(contract, case, "device", got)


def _has_barrier(recording: Recording) -> bool:
    return any(isinstance(node, ir.Sync) for node in ir.walk(recording.function.body))
