"""Kernels as IR for the CUDA tests, lowered from Python by the front end."""

import re
from collections.abc import Callable
from typing import Any

from workshop.dtype import DType
from workshop.gpu import ir, verify
from workshop.gpu.frontend.lower import lower
from workshop.gpu.frontend.source import capture

F32, I32, I64 = DType.float32, DType.int32, DType.int64


def array(name: str, dtype: DType = F32, rank: int = 1, layout: Any = "row_major") -> ir.Memory:
    return ir.Memory(name, "global", dtype, (None,) * rank, layout, None)  # type: ignore[arg-type]


def scalar(name: str, dtype: DType = I64) -> ir.Scalar:
    return ir.Scalar(name, dtype)


def float64_instructions(ptx: str) -> list[str]:
    return re.findall(r"^\s*(?:@\S+\s+)?\w[\w.]*\.f64[\w.]*", ptx, flags=re.MULTILINE)


def lowered(
    function: Callable[..., None], *params: ir.Memory | ir.Scalar, block: Any = (128, 1, 1), **static: Any
) -> ir.Function:
    """Lower a Python kernel for these arguments and compile-time parameters."""
    made, _ = lower(capture(function), params, static, block, 32)
    verify.verify(made)
    return made
