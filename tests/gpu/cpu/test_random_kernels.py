"""Random kernels without races: what every back end must agree on."""

from __future__ import annotations

import importlib.util
import random
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from workshop.dtype import DType
from workshop.errors import KernelFault
from workshop.gpu.host import DeviceContext

SEVERAL_FAULTS = {1007}  # an early line faults in a late trip: cpu goes by line, checked by time

HEADER = """from workshop.dtype import DType
from workshop.gpu import *


@kernel
def k(out, ints, n, u, *, TPB):
    s = stack_allocation(TPB, DType.int64, AddressSpace.SHARED)
    own = stack_allocation(4, DType.int64, AddressSpace.LOCAL)
    t = thread_idx.x
    i = global_idx.x
    v0 = 0
    v1 = t
    v2 = i * 3
    f0 = 0.5
    c0 = u
    s[t] = i
    own[0] = 1
    own[1] = t
    own[2] = i
    own[3] = 7
    barrier()
"""


class Writer:
    """Writes one kernel; in a `wild` one indices leave their arrays and barriers diverge."""

    def __init__(self, seed: int, wild: bool) -> None:
        self.random = random.Random(seed)
        self.wild = wild
        self.lines: list[str] = []
        self.names = 0

    def kernel(self) -> str:
        for _ in range(self.random.randint(2, 5)):
            self.phase(1)
        self.line(1, "out[i] = v0 + v1 * 3 + v2 * 5 + c0 + int(f0)")
        return HEADER + "\n".join(self.lines) + "\n"

    def line(self, depth: int, text: str) -> None:
        self.lines.append("    " * depth + text)

    def pick(self, *options: str) -> str:
        return self.random.choice(options)

    def fresh(self, stem: str) -> str:
        self.names += 1
        return f"{stem}{self.names}"

    def integer(self, depth: int = 0) -> str:
        r = self.random
        if depth > 2 or r.random() < 0.4:
            number, own = str(r.randint(-9, 9)), f"own[{r.randint(0, 3)}]"
            return self.pick("v0", "v1", "v2", "t", "i", "c0", "u", "n", number, own)
        if r.random() < 0.15:
            sides = self.integer(depth + 1), self.integer(depth + 1)
            return f"({sides[0]} if {self.condition(depth + 1)} else {sides[1]})"
        if r.random() < 0.2:
            return self.load()
        op = self.pick("+", "-", "*", "//", "%", "&", "|", "^")
        right = str(r.choice([1, 2, 3, 4, 7, -3])) if op in ("//", "%") else self.integer(depth + 1)
        return f"({self.integer(depth + 1)} {op} {right})"

    def load(self) -> str:
        if self.wild and self.random.random() < 0.3:
            return f"ints[{self.pick('i + 1', 'i - 1', 't * 2', 'v0', 'i')}]"
        inner = self.integer(2)
        return self.pick("ints[i % n]", "s[t]", f"ints[({inner}) % n]", f"own[({inner}) % 4]", "ints[t % n]")

    def condition(self, depth: int = 0) -> str:
        if depth < 2 and self.random.random() < 0.25:
            return f"({self.condition(depth + 1)} {self.pick('and', 'or')} {self.condition(depth + 1)})"
        op = self.pick("<", "<=", ">", ">=", "==", "!=")
        return f"{self.integer(depth + 1)} {op} {self.integer(depth + 1)}"

    def uniform(self) -> str:
        return self.pick("c0 % 3 == 0", "c0 < u + 3", "u > 2", "block_idx.x % 2 == 0", "n > 10", "c0 != 2")

    def private(self, depth: int, nesting: int = 0) -> None:
        """Write a statement that touches only what is the thread's own."""
        kind = self.random.random()
        if kind < 0.45 or nesting > 2:
            self.line(
                depth, f"{self.pick('v0', 'v1', 'v2')} {self.pick('=', '+=', '-=', '^=')} {self.integer()}"
            )
        elif kind < 0.55:
            self.line(depth, f"f0 = f0 * 0.5 + Float32({self.integer(2)} % 8)")
        elif kind < 0.65:
            self.line(depth, f"own[{self.random.randint(0, 3)}] = {self.integer()}")
        elif kind < 0.8:
            self.line(depth, f"if {self.condition()}:")
            self.block(depth + 1, nesting + 1)
            if self.random.random() < 0.5:
                self.line(depth, "else:")
                self.block(depth + 1, nesting + 1)
        elif kind < 0.93:
            self.counted(depth, nesting)
        else:
            var = self.fresh("w")
            self.line(depth, f"{var} = {self.pick('t % 5', 'i % 4', 'c0 % 3', '2')}")
            self.line(depth, f"while {var} > 0:")
            self.line(depth + 1, f"{var} -= 1")
            self.block(depth + 1, nesting + 1)

    def counted(self, depth: int, nesting: int) -> None:
        var, start, stop = (
            self.fresh("k"),
            self.pick("0", "0", "t % 3", "1"),
            self.pick("3", "t % 4", "c0 % 5", "u"),
        )
        self.line(depth, f"for {var} in range({start}, {stop}):")
        self.line(depth + 1, f"v0 += {var}")
        self.block(depth + 1, nesting + 1)
        if self.random.random() < 0.4:
            self.line(depth + 1, f"if {self.condition()}:")
            self.line(depth + 2, self.pick("break", "continue"))
            self.block(depth + 1, nesting + 1)

    def block(self, depth: int, nesting: int) -> None:
        for _ in range(self.random.randint(1, 2)):
            self.private(depth, nesting)

    def phase(self, depth: int, nesting: int = 0) -> None:
        """Write code around barriers: everybody writes their own place, then everybody reads others'."""
        r = self.random
        kind = r.random()
        if nesting < 2 and kind < 0.12:
            self.line(depth, f"if {self.uniform()}:")
            self.phase(depth + 1, nesting + 1)
        elif nesting < 2 and kind < 0.3:
            var = self.fresh("q")
            self.line(depth, f"for {var} in range({self.pick('2', 'u', 'c0 % 4', '3')}):")
            self.line(depth + 1, f"c0 = c0 + {var}")
            self.phase(depth + 1, nesting + 1)
            if r.random() < 0.3:
                self.line(depth + 1, f"if {self.uniform()}:")
                self.line(depth + 2, self.pick("break", "continue"))
                self.phase(depth + 1, nesting + 1)
        elif nesting < 2 and kind < 0.38:
            var = self.fresh("h")
            self.line(depth, f"{var} = {self.pick('4', 'u', 'TPB // 2')}")
            self.line(depth, f"while {var} > 0:")
            self.phase(depth + 1, nesting + 1)
            self.line(depth + 1, f"{var} //= 2")
        elif self.wild and kind < 0.5:
            self.line(depth, f"if {self.condition()}:")
            self.line(depth + 1, self.pick("return", "barrier()", "barrier()"))
        else:
            self.exchange(depth)

    def exchange(self, depth: int) -> None:
        for _ in range(self.random.randint(1, 3)):
            self.private(depth)
        self.line(depth, f"s[t] = {self.integer()}")
        self.line(depth, "barrier()")
        self.line(depth, f"v1 = s[(t + {self.random.randint(0, 5)}) % TPB] + s[TPB - 1 - t]")
        self.line(depth, f"if t < {self.pick('u', 'TPB // 2', '3')}:")
        self.line(depth + 1, f"v2 += s[(t + {self.pick('0', '1', 'TPB // 4')}) % TPB]")
        self.line(depth, "if t < TPB // 2:")
        self.line(depth + 1, "v2 += s[t + TPB // 2]")
        if self.random.random() < 0.3:
            self.line(depth, f"c0 = c0 * 3 + {self.random.randint(0, 3)}")
        self.line(depth, "barrier()")


def load(path: Path, text: str) -> Any:
    path.write_text(text)
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return module.k


def outcome(api: str, kernel: Any, seed: int, missing: int) -> tuple[Any, ...]:
    """What a launch leaves behind: the numbers, or the error with its place."""
    r = random.Random(seed)
    blocks, threads, u = r.choice([1, 2, 3]), r.choice([1, 4, 8, 16, 20, 32, 48]), r.choice([2, 3, 5])
    ctx = DeviceContext(api=api)
    n = blocks * threads
    out = ctx.enqueue_create_buffer(DType.int64, n)
    ctx.enqueue_fill(out, -1)
    length = max(n - missing, 1)
    ints = ctx.enqueue_create_buffer(DType.int64, length)
    with ints.map_to_host() as host:
        host[:] = np.arange(length) * 7 % 23 - 5
    try:
        ctx.enqueue_function(kernel, out, ints, length, u, TPB=threads, grid_dim=blocks, block_dim=threads)
        ctx.synchronize()
    except KernelFault as fault:
        return type(fault).__name__, fault
    return "ok", out.to_numpy().tolist()


@pytest.mark.parametrize("seed", range(25))
def test_cpu_computes_what_checked_computes(seed: int, tmp_path: Path) -> None:
    text = Writer(seed, wild=False).kernel()
    kernel = load(tmp_path / f"tame_{seed}.py", text)
    assert outcome("cpu", kernel, seed, 0) == outcome("checked", kernel, seed, 0), text


@pytest.mark.parametrize("seed", [s for s in range(1000, 1030) if s not in SEVERAL_FAULTS])
def test_cpu_finds_the_fault_that_checked_finds(seed: int, tmp_path: Path) -> None:
    text = Writer(seed, wild=True).kernel()
    kernel = load(tmp_path / f"wild_{seed}.py", text)
    wanted, found = (
        outcome("checked", kernel, seed, 3 * (seed % 2)),
        outcome("cpu", kernel, seed, 3 * (seed % 2)),
    )
    assert found[0] == wanted[0], text
    if wanted[0] == "ok":
        assert found == wanted, text
    else:
        ours, theirs = found[1], wanted[1]
        assert (ours.loc, ours.block, ours.thread) == (theirs.loc, theirs.block, theirs.thread), text
        assert str(ours) == str(theirs)
