"""Runs launches as machine code: finds or compiles a kernel, packs arguments, reads faults and prints."""

from __future__ import annotations

import operator
import struct
import threading
from collections.abc import Sequence
from typing import Any

import numpy as np

from workshop.dtype import DType
from workshop.errors import KernelFault, LaunchError
from workshop.gpu import ir
from workshop.gpu.cpu.build import Compiled, compiled
from workshop.gpu.cpu.pool import Pieces, Pool, threads_to_use
from workshop.gpu.faults import barrier_error, bounds_error, printed
from workshop.gpu.launch import PRINT_LIMIT, HostArray, Launch, Printed, unlinear

RECORD_WORDS = 16
NOTHING_WRONG = ((1 << 63) - 1).to_bytes(8, "little") * RECORD_WORDS  # a record without a fault
Array = np.ndarray[Any, np.dtype[Any]]
FORMATS = {
    DType.bool: "?7x", DType.int8: "b7x", DType.int16: "h6x", DType.int32: "i4x", DType.int64: "q",
    DType.uint8: "B7x", DType.uint16: "H6x", DType.uint32: "I4x", DType.uint64: "Q",
    DType.float16: "f4x", DType.bfloat16: "f4x", DType.float32: "f4x", DType.float64: "d",
}  # fmt: skip


class CpuBackend:
    """Compiles kernels for this machine's CPU and runs them on all its cores.

    >>> CpuBackend()
    CpuBackend()
    """

    def __init__(self) -> None:
        self._pool = Pool(threads_to_use())
        self._kernels: dict[int, Prepared] = {}  # by the function's identity: equal code has other places
        self._compiling = threading.Lock()

    def __repr__(self) -> str:
        return "CpuBackend()"

    def run(self, launch: Launch) -> None:
        """Run every block; raise the launch's KernelFault, if any, after all blocks have ended."""
        prepared = self._kernels.get(id(launch.function)) or self._prepare(launch)
        prepared.run(launch, self._pool)

    def _prepare(self, launch: Launch) -> Prepared:
        with self._compiling:
            if id(launch.function) not in self._kernels:
                made = compiled(launch.function)
                self._kernels[id(launch.function)] = Prepared(launch.function, made, self._pool.size)
            return self._kernels[id(launch.function)]


class Workspace:
    """Memory of one launch while it runs, kept for the next: arguments, a record for each worker, scratch."""

    def __init__(self, argument_bytes: int, workers: int, scratch: int) -> None:
        self.arguments = bytearray(argument_bytes)
        self.records = bytearray(NOTHING_WRONG * workers)
        self._scratch = np.empty(workers * scratch + 64, np.uint8)
        room = _address(self._scratch)
        self.scratch_address = room + -room % 64
        self.arguments_address = _address(np.frombuffer(self.arguments, np.uint8))
        self.records_address = _address(np.frombuffer(self.records, np.uint8))


class Span:
    """Blocks of one launch, ready to be called."""

    __slots__ = ("_cancel", "_code", "_prints", "_space", "pace")

    def __init__(self, code: Compiled, space: Workspace, cancel: int, prints: int, pace: float) -> None:
        self._code, self._space, self._cancel, self._prints = code, space, cancel, prints
        self.pace = pace

    def span(self, lo: int, hi: int) -> None:
        """Run blocks lo..hi."""
        self._code.run(lo, hi, *self._rest(0))

    def take(self, worker: int, pieces: Pieces) -> None:
        """Run pieces until none is left."""
        cut = pieces.address, pieces.count, pieces.parts, pieces.least, pieces.align
        self._code.share(*cut, *self._rest(worker))

    def _rest(self, worker: int) -> tuple[int, int, int, int, int]:
        space = self._space
        record = space.records_address + worker * len(NOTHING_WRONG)
        scratch = space.scratch_address + worker * self._code.scratch
        return space.arguments_address, record, self._cancel, scratch, self._prints


class Prepared:
    """One compiled kernel and how to call it."""

    def __init__(self, function: ir.Function, code: Compiled, workers: int) -> None:
        self.function, self.code, self.workers = function, code, workers
        self.prints = any(isinstance(n, ir.Print) for n in ir.walk(function.body))
        self._packer = struct.Struct("<3q" + "".join(_format(p) for p in function.params))
        self._sizes = [p.dtype.size_in_bytes for p in function.params]
        self._free: list[Workspace] = []
        self._clean = NOTHING_WRONG * workers
        self._sizes_in = operator.itemgetter(*_places_of_sizes(function))  # all but the addresses
        self._pace: tuple[Any, float] = ((), 0.0)  # seconds a block took, and at which sizes

    def run(self, launch: Launch, pool: Pool) -> None:
        """Run all blocks, then raise the first fault."""
        try:
            space = self._free.pop()
        except IndexError:
            space = Workspace(self._packer.size, self.workers, self.code.scratch)
        values = self._values(launch)
        self._packer.pack_into(space.arguments, 0, *values)
        x, y, z = launch.grid
        prints = self._print_buffer()
        known, pace = self._pace
        sizes = self._sizes_in(values)
        span = Span(
            self.code,
            space,
            launch.cancel.address,
            _address(prints) if self.prints else NO_PRINTS,
            pace if known == sizes else 0.0,
        )
        if x * y * z == 1 or self.prints:  # printed lines keep the order of blocks
            span.span(0, x * y * z)
        else:
            pool.run(span, x * y * z, x)
            self._pace = sizes, span.pace
        if self.prints:
            self._read_prints(launch, prints)
        if space.records != self._clean:
            records = np.frombuffer(bytes(space.records), np.int64).reshape(self.workers, RECORD_WORDS)
            space.records[:] = self._clean
            self._free.append(space)
            raise self._fault(launch, min(records.tolist()))
        self._free.append(space)

    def _values(self, launch: Launch) -> list[Any]:
        values: list[Any] = [*launch.grid]
        sizes = self._sizes
        for n, param in enumerate(self.function.params):
            argument = launch.arguments[n]
            if not isinstance(argument, HostArray):
                values.append(argument.item())
                continue
            flat, shape, strides, offset = argument.flat, argument.shape, argument.strides, argument.offset
            if len(shape) != 1 or strides[0] != 1 or offset < 0 or shape[0] + offset > flat.size:
                _check_extent(param, argument)
            if argument.address == 0:
                argument.address = _address(flat)
            values.append(argument.address + offset * sizes[n])
            values += shape
            if param.layout == "strided":  # type: ignore[union-attr]
                values += strides
        return values

    def _fault(self, launch: Launch, record: Sequence[int]) -> KernelFault:
        number, block, thread, *rest = record
        site = self.code.sites[number]
        node = site.node
        at = unlinear(block, launch.grid), unlinear(thread, self.function.block)
        if site.kind == "barrier":
            x, y, z = self.function.block
            return barrier_error(rest[0], x * y * z, node.loc, *at)
        assert isinstance(node, (ir.Load, ir.Store)) and site.kind in ("read", "write")
        shapes = {p.name: a.shape for p, a in zip(self.function.params, launch.arguments, strict=True)
                  if isinstance(a, HostArray)}  # fmt: skip
        shape = shapes.get(node.memory.name, node.memory.shape)
        indices = rest[: len(shape)]
        kind: Any = site.kind
        return bounds_error(kind, node.memory.name, indices, [n or 0 for n in shape], node.loc, *at)

    def _print_buffer(self) -> Array:
        if not self.prints:
            return NOTHING
        out = np.zeros(2 + PRINT_LIMIT * self.code.print_width, np.int64)
        out[1] = PRINT_LIMIT
        return out

    def _read_prints(self, launch: Launch, buffer: Array) -> None:
        count = min(int(buffer[0]), PRINT_LIMIT)
        width = self.code.print_width
        rows = buffer[2 : 2 + count * width].reshape(count, width)
        for sequence, row in enumerate(rows):
            site = self.code.sites[int(row[0])].node
            assert isinstance(site, ir.Print)
            words = iter(row[3:])
            parts = [p if isinstance(p, str) else _number(p.dtype, next(words)) for p in site.parts]
            launch.output.lines.append(Printed(int(row[1]), int(row[2]), sequence, printed(parts)))
        launch.output.dropped += int(buffer[0]) - count


def _address(array: Array) -> int:
    address: int = array.__array_interface__["data"][0]
    return address


NOTHING = np.zeros(2, np.int64)
NO_PRINTS = _address(NOTHING)


def _format(param: ir.Memory | ir.Scalar) -> str:
    if isinstance(param, ir.Scalar):
        return FORMATS[param.dtype]
    return "q" * (1 + param.rank * (2 if param.layout == "strided" else 1))


def _places_of_sizes(function: ir.Function) -> list[int]:
    """Return which of a launch's packed values are no addresses: grid, extents, strides, scalars."""
    places, at = [0, 1, 2], 3
    for param in function.params:
        length = 1 if isinstance(param, ir.Scalar) else len(_format(param))
        places += range(at if isinstance(param, ir.Scalar) else at + 1, at + length)
        at += length
    return places


def _check_extent(param: ir.Memory | ir.Scalar, argument: HostArray) -> None:
    """Refuse an array whose last element lies outside its buffer: tests in the kernel trust the extents."""
    if 0 in argument.shape:
        return
    last = argument.offset + sum((n - 1) * s for n, s in zip(argument.shape, argument.strides, strict=True))
    if last >= argument.flat.size or argument.offset < 0 or min(argument.strides, default=0) < 0:
        raise LaunchError(
            f"{param.name} of shape {argument.shape} and strides {argument.strides} reaches element {last} "
            f"of a buffer with {argument.flat.size}; use a layout that fits the buffer",
            getattr(param, "loc", None),
        )


def _number(dtype: DType, word: np.int64) -> np.generic:
    """Turn a printed word back into a number of its dtype."""
    kind = dtype.to_numpy().type
    number: np.generic = (
        kind(word.view(np.float64)) if dtype.is_float() else kind(word.astype(dtype.to_numpy()))
    )
    return number
