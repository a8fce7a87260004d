"""Runs a body of IR over arrays on the cpu, without the front end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from workshop.dtype import DType
from workshop.errors import Loc
from workshop.gpu import ir
from workshop.gpu.cpu import CpuBackend
from workshop.gpu.launch import HostArray, Launch

LOC = Loc("made_up.py", 1)
backend = CpuBackend()
Make = Callable[..., ir.Expr]


def array(name: str, dtype: DType) -> ir.Memory:
    return ir.Memory(name, "global", dtype, (None,), "row_major", LOC)


def global_index(block: int) -> ir.Expr:
    int64 = DType.int64
    start = ir.Binary(int64, LOC, "mul", ir.Id(int64, LOC, "block_idx", "x"), ir.Constant(int64, LOC, block))
    return ir.Binary(int64, LOC, "add", start, ir.Id(int64, LOC, "thread_idx", "x"))


def run_elementwise(make: Make, result: DType, *inputs: np.ndarray[Any, Any], block: int = 32) -> Any:
    """Compute result[i] = make(inputs[0][i], ...) for every element, one thread each."""
    n = inputs[0].size
    memories = [array(f"a{k}", DType.from_numpy(a.dtype)) for k, a in enumerate(inputs)]
    out = array("out", result)
    i = ir.Variable(DType.int64, LOC, "i")
    value = make(*(ir.Load(m.dtype, LOC, m, (i,)) for m in memories))
    guard = ir.Compare(DType.bool, LOC, "lt", i, ir.Extent(DType.int64, LOC, out, 0))
    body: ir.Body = (
        ir.Assign(LOC, "i", global_index(block)),
        ir.If(LOC, guard, (ir.Store(LOC, out, (i,), value),), ()),
    )
    function = ir.Function("k", (out, *memories), {"i": DType.int64}, body, (block, 1, 1), 32, LOC)
    target = np.zeros(n, result.to_numpy())
    arguments = [HostArray(a, (n,), (1,)) for a in (target, *inputs)]
    backend.run(Launch(function, arguments, (-(-n // block), 1, 1), "test"))
    return target


@pytest.fixture
def elementwise() -> Any:
    """Compute result[i] = make(inputs[0][i], ...) on the cpu."""
    return run_elementwise
