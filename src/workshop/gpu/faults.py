"""The words of faults and printed values, one for every back end, so that their outputs can be compared."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from workshop.errors import BarrierError, BoundsError, Loc
from workshop.gpu.launch import Dim3

AccessKind = Literal["read", "write", "atomic"]


def bounds_error(
    kind: AccessKind,
    name: str,
    indices: Sequence[int],
    shape: Sequence[int],
    loc: Loc,
    block: Dim3,
    thread: Dim3,
) -> BoundsError:
    """Build the error for one access `name[indices]` of which at least one index lies outside `shape`.

    >>> from workshop.errors import Loc
    >>> bounds_error("read", "a", [9], [8], Loc("k.py", 3), (1, 0, 0), (1, 0, 0)).message.splitlines()[0]
    'read of a[9] is out of bounds: a has 8 elements, indices 0 to 7.'
    """
    axis = next(d for d, (i, n) in enumerate(zip(indices, shape, strict=True)) if not 0 <= i < n)
    extent = shape[axis]
    where = name if len(shape) == 1 else f"axis {axis} of {name}"
    valid = f", {'index 0' if extent == 1 else f'indices 0 to {extent - 1}'}" if extent else ""
    message = (
        f"{kind} of {name}[{', '.join(str(int(i)) for i in indices)}] is out of bounds: "
        f"{where} has {extent} element{'' if extent == 1 else 's'}{valid}.\n"
        f"In block {block}, thread {thread}. Guard the access with a test of the index."
    )
    return BoundsError(message, loc, block, thread).at(name, indices)


def barrier_error(arrived: int, expected: int, loc: Loc, block: Dim3, thread: Dim3) -> BarrierError:
    """Build the error for a barrier that only some threads reach; `thread` is the lowest one missing."""
    message = (
        f"barrier() reached by {arrived} of {expected} threads of block {block}; "
        f"thread {thread} never arrives.\n"
        "Every thread of a block must reach the same barrier: move it out of the divergent branch or loop, "
        "and guard the work instead of returning early."
    )
    return BarrierError(message, loc, block, thread)


def printed(parts: Sequence[str | np.generic | Any]) -> str:
    """Join the parts of a kernel's print as Python would: True, 3, 0.1 (the shortest text that reads back).

    >>> printed(["x = ", np.float32(0.1), " ", np.bool_(True)])
    'x = 0.1 True'
    """
    return "".join(part if isinstance(part, str) else str(part) for part in parts)
