"""Runs written by hand, as a checked run would have recorded them."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from workshop.viz.story import Step, Story, Strip, Touch

ADD_10 = ("def add_10(output, a):", "    i = thread_idx.x", "    output[i] = a[i] + 10")
VALUES = (3.0, -7.0, 12.0, 5.0)


@pytest.fixture
def added() -> Story:
    """Four threads, four elements, first source line 11."""
    strips = (Strip("output", "global", "float32", (4,)), Strip("a", "global", "float32", (4,)))
    reads = tuple(Touch((0, 0, 0), (i, 0, 0), 1, (i,), v) for i, v in enumerate(VALUES))
    writes = tuple(Touch((0, 0, 0), (i, 0, 0), 0, (i,), v + 10) for i, v in enumerate(VALUES))
    steps = (Step(13, "read", reads), Step(13, "write", writes))
    return Story("add_10", ADD_10, 11, (1, 1, 1), (4, 1, 1), strips, steps)


@pytest.fixture
def faulty(added: Story) -> Story:
    """The same with eight threads and no guard: thread 4 reads a[4]."""
    bad = Touch((0, 0, 0), (4, 0, 0), 1, (4,), None)
    step = Step(13, "read", (bad,), fault="read of a[4] is out of bounds")
    return replace(added, block=(8, 1, 1), steps=(step,))


@pytest.fixture
def grid() -> Story:
    """A 2D map of 2 x 3 elements on 4 x 4 threads."""
    strips = (Strip("output", "global", "int32", (2, 3)), Strip("a", "global", "int32", (2, 3)))
    who = [((0, 0, 0), (c, r, 0), (r, c)) for r in range(2) for c in range(3)]
    reads = tuple(Touch(b, t, 1, at, 10 * at[0] + at[1]) for b, t, at in who)
    writes = tuple(Touch(b, t, 0, at, 10 * at[0] + at[1] + 1) for b, t, at in who)
    steps = (Step(1, "read", reads), Step(1, "write", writes))
    return Story("map_2d", ("pass",), 1, (1, 1, 1), (4, 4, 1), strips, steps)


@pytest.fixture
def wide() -> Callable[[int], Story]:
    """One array of `n` elements, each written by a thread of its own in blocks of 32."""

    def make(n: int) -> Story:
        strips = (Strip("output", "global", "float32", (n,)),)
        writes = tuple(Touch((i // 32, 0, 0), (i % 32, 0, 0), 0, (i,), float(i)) for i in range(n))
        return Story("fill", ("pass",), 1, (n // 32, 1, 1), (32, 1, 1), strips, (Step(1, "write", writes),))

    return make
