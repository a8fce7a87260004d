"""Runs a kernel under check: front end, launch record, back end; no host, no streams."""

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from workshop import errors
from workshop.dtype import DType
from workshop.gpu import ir
from workshop.gpu.checked import CheckedBackend
from workshop.gpu.checked.places import row_major
from workshop.gpu.frontend.lower import lower
from workshop.gpu.frontend.source import capture
from workshop.gpu.launch import HostArray, Launch


def triple(extent: int | tuple[int, ...]) -> tuple[int, int, int]:
    parts = (extent,) if isinstance(extent, int) else extent
    x, y, z = (*parts, 1, 1)[:3]
    return x, y, z


def bind(name: str, value: Any, loc: errors.Loc) -> tuple[ir.Memory | ir.Scalar, Any]:
    if isinstance(value, np.ndarray):
        value = HostArray(value.reshape(-1), value.shape, row_major(value.shape))
    if isinstance(value, HostArray):
        plain = value.strides == row_major(value.shape)
        layout = "row_major" if plain else "strided"
        dtype = DType.from_numpy(value.flat.dtype)
        return ir.Memory(name, "global", dtype, (None,) * len(value.shape), layout, loc), value
    scalar = np.int64(value) if type(value) is int else np.float32(value) if type(value) is float else value
    return ir.Scalar(name, DType.from_numpy(scalar.dtype)), scalar


def make_launch(
    kernel: Callable[..., Any],
    *args: Any,
    grid: int | tuple[int, ...] = 1,
    block: int | tuple[int, ...] = 1,
    warp_size: int = 32,
    **parameters: Any,
) -> Launch:
    source = capture(kernel)
    names = list(inspect.signature(kernel).parameters)
    bound = [bind(name, arg, source.loc(source.tree)) for name, arg in zip(names, args, strict=False)]
    function, _ = lower(source, tuple(p for p, _ in bound), parameters, triple(block), warp_size)
    return Launch(function, [value for _, value in bound], triple(grid), "")


@pytest.fixture
def launch() -> Callable[..., Launch]:
    """Make a launch record."""
    return make_launch


@pytest.fixture
def run() -> Callable[..., Launch]:
    """Run a kernel on numpy arrays (written in place) and return its launch record."""

    def go(
        kernel: Callable[..., Any], *args: Any, backend: CheckedBackend | None = None, **options: Any
    ) -> Launch:
        record = make_launch(kernel, *args, **options)
        (backend or CheckedBackend()).run(record)
        return record

    return go


@pytest.fixture
def blank() -> Callable[..., HostArray]:
    """Make an array argument that nobody has written yet."""

    def make(shape: int | tuple[int, ...], dtype: str = "float32") -> HostArray:
        extents = (shape,) if isinstance(shape, int) else shape
        flat = np.full(int(np.prod(extents)), 99, dtype)
        return HostArray(flat, extents, row_major(extents), 0, np.zeros(flat.size, np.bool_))

    return make


def line_of(kernel: Callable[..., Any], mark: str) -> int:
    lines, first = inspect.getsourcelines(kernel)
    found = [first + number for number, line in enumerate(lines) if line.rstrip().endswith(f"# {mark}")]
    assert len(found) == 1, f"{kernel.__name__} has {len(found)} lines marked {mark}"
    return found[0]


@pytest.fixture
def fault_of() -> Callable[..., errors.KernelFault]:
    """Run a faulty kernel; its fault stands at the line marked `# fault`, the other side at `# other`."""

    def go(kernel: Callable[..., Any], *args: Any, **options: Any) -> errors.KernelFault:
        with pytest.raises(errors.KernelFault) as caught:
            CheckedBackend().run(make_launch(kernel, *args, **options))
        fault = caught.value
        assert fault.loc is not None and fault.loc.line == line_of(kernel, "fault")
        if isinstance(fault, errors.RaceError):
            assert fault.other is not None
            same = "# other" not in inspect.getsource(kernel)
            assert fault.other.loc.line == line_of(kernel, "fault" if same else "other")
        return fault

    return go
