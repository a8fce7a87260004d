"""The `checked` back end: runs a launch in lockstep, batch by batch, and raises the first fault."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from workshop.gpu import ir
from workshop.gpu.checked.batch import Batch, Cancelled, Site
from workshop.gpu.checked.expressions import Names
from workshop.gpu.checked.lanes import Lanes
from workshop.gpu.checked.places import Place, allocate, bind_argument, bytes_per_block, share_shadows
from workshop.gpu.checked.races import Clock
from workshop.gpu.checked.statements import Exec, compile_body
from workshop.gpu.launch import HostArray, Launch
from workshop.gpu.trace import Trace

LANES = 1 << 16  # threads of a batch: arrays of this length stay in cache
BYTES = 1 << 27  # what the shared and local arrays of a batch may take, their shadows included
STEPS = 100_000  # trips of one while loop: seconds, even where each trip is slow


@dataclass(frozen=True, slots=True)
class Program:
    """A function compiled to closures."""

    function: ir.Function
    run: Exec
    sites: tuple[Site, ...]
    memories: tuple[ir.Memory, ...]
    variables: int
    stored: frozenset[str]
    loaded: frozenset[str]
    warps: bool


def compile_function(function: ir.Function) -> Program:
    """Compile a function to closures."""
    memories = function.memories
    variables = {name: number for number, name in enumerate(function.variables)}
    names = Names(variables, {memory.name: number for number, memory in enumerate(memories)})
    run = compile_body(function.body, names)
    nodes = list(ir.walk(function.body))
    return Program(
        function,
        run,
        tuple(names.sites),
        memories,
        len(variables),
        frozenset(node.memory.name for node in nodes if isinstance(node, ir.Store)),
        frozenset(node.memory.name for node in nodes if isinstance(node, ir.Load)),
        any(isinstance(node, ir.Sync) and node.scope == "warp" for node in nodes),
    )


class CheckedBackend:
    """Runs launches under check: bounds, races, initialisation, barriers, integer division, shifts, loops.

    `trace` collects what each thread read and wrote. A while loop may make `step_budget` trips.
    """

    def __init__(self, trace: Trace | None = None, step_budget: int = STEPS) -> None:
        self.trace = trace
        self.step_budget = step_budget
        self._programs: dict[int, Program] = {}

    def run(self, launch: Launch) -> None:
        """Run every block; raise the first fault in execution order, of one access the lowest thread's."""
        program = self._program(launch.function)
        with np.errstate(all="ignore"):
            try:
                self._run(program, launch)
            except Cancelled:
                return

    def _program(self, function: ir.Function) -> Program:
        program = self._programs.get(id(function))
        if program is None or program.function is not function:
            if len(self._programs) >= 64:
                self._programs.pop(next(iter(self._programs)))
            program = self._programs[id(function)] = compile_function(function)
        return program

    def _run(self, program: Program, launch: Launch) -> None:
        threads, blocks = math.prod(program.function.block), math.prod(launch.grid)
        need = bytes_per_block(program.memories, threads)
        batch_blocks = max(1, min(blocks, LANES // threads, BYTES // max(need, 1)))
        warp_size = program.function.warp_size
        clock = Clock(blocks, threads, warp_size, len(program.sites), program.warps)
        places = _bind(program, launch, batch_blocks, threads)
        batch = Batch(launch, places, clock, program.sites, self.trace, self.step_budget)
        for first in range(0, blocks, batch_blocks):
            if launch.cancel.is_set():
                return
            batch.begin(first, min(batch_blocks, blocks - first), program.variables)
            lanes: Lanes = batch.lanes
            program.run(batch, lanes)


def _bind(program: Program, launch: Launch, blocks: int, threads: int) -> list[Place]:
    """The places of all arrays, in the order of `program.memories`."""
    pairs = zip(program.function.params, launch.arguments, strict=True)
    arrays = [(p, a) for p, a in pairs if isinstance(p, ir.Memory) and isinstance(a, HostArray)]
    places = [bind_argument(memory, array) for memory, array in arrays]
    for place, (_, array) in zip(places, arrays, strict=True):
        if array.written is not None and (place.name in program.stored or not array.written.all()):
            place.written = array.written
    share_shadows(places, set(program.stored), set(program.loaded))
    own = [memory for memory in program.memories if memory.space != "global"]
    return places + [allocate(memory, blocks, threads) for memory in own]
