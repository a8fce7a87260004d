"""Writes random well-formed kernels: race-free by construction, exact in every number they compute.

Integers wrap, floats stay small whole numbers, so `checked` and `cpu` must agree to the last bit. Threads
write their own elements only; what others wrote is read after a barrier that all threads reach.
"""

import random
from collections.abc import Callable

INTS, FLOATS = ("p", "q", "r"), ("u", "v", "w")
BLOCK, SIZE = 24, 61


class Writer:
    """Writes one kernel body; `body(n)` returns its source lines."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.counters = 0

    def pick(self, *choices: str | Callable[[], str]) -> str:
        """One of the choices, called when it is a function."""
        choice = self.random.choice(choices)
        return choice() if callable(choice) else choice

    def number(self) -> str:
        """A small literal."""
        return str(self.random.randint(-9, 9))

    def integer(self, depth: int = 2) -> str:
        """An int32 expression."""
        if depth == 0:
            return self.pick(
                *INTS, *INTS, self.number, "b[i]", lambda: f"b[{self.index()}]", lambda: self.shared("s")
            )
        a, b = (self.integer(depth - 1) for _ in range(2))
        sign = self.pick("+", "-", "*", "&", "|", "^", "//", "%")
        return self.pick(
            f"({a} {sign} {b})" if sign not in ("//", "%") else f"({a} {sign} ({b} | 1))",
            f"({a} {sign} {b})" if sign not in ("//", "%") else f"({a} {sign} {self.random.randint(1, 7)})",
            f"({a} if {self.condition(depth - 1)} else {b})",
            f"min({a}, {b})", f"max({a}, {b})", f"abs({a})", f"(-{a})", f"(~{a})",
            f"({a} << {self.random.randint(0, 5)})", f"({a} >> {self.random.randint(0, 5)})",
            f"Int32({self.floating(depth - 1)})", f"Int32(UInt8({a}))", f"helper({a}, {b})",
            f"select({self.condition(depth - 1)}, {a}, {b})",
        )  # fmt: skip

    def floating(self, depth: int = 2) -> str:
        """A float32 expression with a whole value below 2**24."""
        if depth == 0:
            return self.pick(
                *FLOATS, *FLOATS, lambda: f"{self.number()}.0", "a[i]", lambda: f"a[{self.index()}]",
                lambda: self.shared("t"),
            )  # fmt: skip
        a, b = (self.floating(depth - 1) for _ in range(2))
        return self.pick(
            f"({a} + {b})", f"({a} - {b})", f"({a} * {b})", f"min({a}, {b})", f"max({a}, {b})",
            f"({a} if {self.condition(depth - 1)} else {b})", f"abs({a})", f"(-{a})",
            f"Float32({self.integer(0)} % 50)", f"floor({a} * 0.5)", f"clip({a}, {b})",
        )  # fmt: skip

    def condition(self, depth: int = 1) -> str:
        """A truth value."""
        operand = self.random.choice((self.integer, self.floating))
        a, b = operand(0), operand(0)
        test = f"{a} {self.pick('<', '<=', '>', '>=', '==', '!=')} {b}"
        if depth <= 0:
            return f"({test})"
        other = self.condition(depth - 1)
        return self.pick(f"({test})", f"({test} and {other})", f"({test} or {other})", f"(not {other})")

    def index(self) -> str:
        """An index that is in bounds: some affine, some data-dependent."""
        return self.pick(
            "(i + 1) % n",
            "n - 1 - i",
            lambda: f"{self.pick(*INTS)} % n",
            f"{self.random.randint(0, SIZE - 1)}",
        )

    def shared(self, name: str) -> str:
        """Another thread's element of the shared array of the last phase."""
        return self.pick(
            f"{name}[thread_idx.x]", f"{name}[(thread_idx.x + {self.random.randint(1, BLOCK)}) % TPB]"
        )

    def statement(self, depth: int, loop: bool) -> list[str]:
        """One statement, as lines."""
        simple = [self.assign, self.assign, self.assign, self.update]
        if depth > 0:
            simple += [lambda: self.branch(depth, loop), lambda: self.loop(depth), lambda: self.whiles(depth)]
        if loop:
            simple.append(lambda: [f"if {self.condition()}:", f"    {self.pick('break', 'continue')}"])
        lines: list[str] = self.random.choice(simple)()
        return lines

    def assign(self) -> list[str]:
        """Sets a variable."""
        if self.random.random() < 0.5:
            return [f"{self.pick(*INTS)} = {self.integer()}"]
        return [f"{self.pick(*FLOATS)} = clamp(floor({self.floating()}), -60.0, 60.0)"]

    def update(self) -> list[str]:
        """Changes a variable in place."""
        return [f"{self.pick(*INTS)} {self.pick('+=', '-=', '^=', '*=')} {self.integer(1)}"]

    def branch(self, depth: int, loop: bool) -> list[str]:
        """An if, maybe with an else."""
        lines = [f"if {self.condition()}:", *indent(self.block(depth - 1, loop))]
        return lines + (["else:", *indent(self.block(depth - 1, loop))] if self.random.random() < 0.5 else [])

    def loop(self, depth: int) -> list[str]:
        """A for over some range."""
        self.counters += 1
        trips = self.pick(
            "range(3)", "range(i % 5)", "range(4, 0, -1)", "range(p % 4)", "range(1, n // 12, 2)"
        )
        return [
            f"for k{self.counters} in {trips}:",
            f"    q += k{self.counters}",
            *indent(self.block(depth - 1, True)),
        ]

    def whiles(self, depth: int) -> list[str]:
        """A while that counts down."""
        self.counters += 1
        c = f"c{self.counters}"
        return [f"{c} = i % {self.random.randint(2, 6)}", f"while {c} > 0:", f"    {c} -= 1",
                *indent(self.block(depth - 1, True))]  # fmt: skip

    def block(self, depth: int, loop: bool) -> list[str]:
        """A few statements."""
        return [line for _ in range(self.random.randint(1, 3)) for line in self.statement(depth, loop)]

    def body(self) -> list[str]:
        """A whole kernel body: phases between barriers, some of them in a uniform loop."""
        lines = ["i = global_idx.x", "n = size", "p = q = r = Int32(1)", "u = v = w = Float32(1)",
                 "s = stack_allocation(TPB, DType.int32, AddressSpace.SHARED)",
                 "t = stack_allocation(TPB, DType.float32, AddressSpace.SHARED)"]  # fmt: skip
        if self.random.random() < 0.5:
            lines += ["inside = i < n", "if not inside:", "    i = n - 1"]
        else:
            lines += ["inside = i < n", "i = min(i, n - 1)"]
        lines += self.publish()
        for _ in range(self.random.randint(1, 2)):
            phase = [*self.block(2, False), *self.block(1, False), *self.publish()]
            if self.random.random() < 0.4:
                self.counters += 1
                phase = [f"for m{self.counters} in range({self.pick('3', 'n // 20')}):", *indent(phase)]
            lines += phase
        lines += ["if inside:", "    out_i[i] = p ^ q ^ r", "    out_f[i] = u + v + w"]
        return lines

    def publish(self) -> list[str]:
        """Shares a number with the block, between barriers."""
        s, t = self.pick(*INTS), self.pick(*FLOATS)
        return ["barrier()", f"s[thread_idx.x] = {s} + i", f"t[thread_idx.x] = {t}", "barrier()"]


def indent(lines: list[str]) -> list[str]:
    """Indent lines by one level."""
    return ["    " + line for line in lines]


HEADER = '''"""Kernels written by a generator."""

from workshop.dtype import DType
from workshop.gpu import (
    AddressSpace, Float32, Int32, UInt8, abs, barrier, clamp, floor, global_idx, max, min, select,
    stack_allocation, thread_idx,
)


def helper(x, y):
    if x > y:
        return x - y
    for k in range(3):
        if y > 4:
            return x + k
        y += 2
    return y


def clip(x, limit):
    return x if x < limit else limit

'''


def module(seeds: range) -> str:
    """The source of a module with one kernel a seed, `kernel_<seed>`."""
    parts = [HEADER]
    for seed in seeds:
        body = "\n".join(indent(Writer(seed).body()))
        parts.append(f"\ndef kernel_{seed}(out_i, out_f, a, b, size, *, TPB):\n{body}\n")
    return "\n".join(parts)
