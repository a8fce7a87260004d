"""The generated C++ obeys the number rules: every operator at every dtype, on awkward values."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import cuda_nodes as nodes
import numpy as np
import pytest
from cuda_emulator import needs_cpp, run

from workshop.dtype import DType
from workshop.gpu import ir
from workshop.gpu.cuda.ranges import Assumptions

# Functions that are correct to a few ulp only; the rest is exact.
LOOSE = {"rsqrt", "exp", "exp2", "log", "log2", "sin", "cos", "tanh", "erf", "pow", "fma"}


def ulps(got: Any, want: Any, dtype: DType) -> Any:
    step = np.abs(np.spacing(want.astype(dtype.to_numpy()))).astype(np.float64)
    return np.abs(got.astype(np.float64) - want.astype(np.float64)) / step


@needs_cpp
@pytest.mark.parametrize(
    ("dtype", "assumptions"),
    [*((d, Assumptions()) for d in DType), (DType.int64, Assumptions(index32=False, disjoint=False))],
    ids=[*(d.value for d in DType), "int64-in-64-bits"],
)
def test_every_operator_gives_what_the_language_says(
    dtype: DType, assumptions: Assumptions, tmp_path: Path
) -> None:
    chosen = nodes.cases(dtype)
    xs, ys = nodes.values(dtype)
    native = dtype.to_numpy()
    out = np.zeros((len(chosen), len(xs)), native)
    run(
        nodes.kernel(dtype, chosen),
        [out, np.array(xs, native), np.array(ys, native)],
        (1, 1, 1),
        tmp_path,
        assumptions,
    )
    for case, row in zip(chosen, out, strict=True):
        with np.errstate(all="ignore"):
            want = np.array([native.type(case.expect(x, y)) for x, y in zip(xs, ys, strict=True)], native)
            same = (row == want) | ((row != row) & (want != want))
            if case.name in LOOSE and dtype.is_float():
                same |= ulps(row, want, dtype) <= 4
        wrong = np.flatnonzero(~same)
        if wrong.size:
            i = wrong[0]
            pytest.fail(
                f"{case.name}({xs[i]!r}, {ys[i]!r}) gives {row[i]!r}, not {want[i]!r} ({wrong.size} wrong)"
            )


@needs_cpp
def test_sin_and_cos_hold_4_ulp_up_to_the_largest_float(tmp_path: Path) -> None:
    """The reduction of large angles is our own: CUDA's holds float64 instructions."""
    random = np.random.default_rng(1)
    spread = np.exp(random.uniform(np.log(1e-30), np.log(3e38), 400)) * random.choice([-1, 1], 400)
    near = np.float32(np.pi / 2) * random.integers(1, 10**6, 400)  # where the rest nearly vanishes
    x = np.concatenate([spread, near, [0.0, -0.0, 1e5, 100001.0, 3.4028234663852886e38]]).astype(np.float32)
    angle = nodes.operands(DType.float32)[0]
    exact = [nodes.Case(name, ir.Call(DType.float32, nodes.LOC, name, (angle,)), lambda x, y: None)
             for name in ("sin", "cos")]  # fmt: skip
    kernel = replace(nodes.kernel(DType.float32, exact), block=(len(x), 1, 1))
    out = np.zeros((2, len(x)), np.float32)
    run(kernel, [out, x, x], (1, 1, 1), tmp_path)
    for got, meaning in zip(out, (np.sin, np.cos), strict=True):
        want = meaning(x.astype(np.float64))
        assert np.max(np.abs(got - want) / np.abs(np.spacing(want.astype(np.float32)))) <= 2
