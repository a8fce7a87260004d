"""Indexing a tensor with ints, slices, `...`, None and tensors.

Where a dimension is a number, bounds clip as in Python. Where it is a name, a bound is taken to be inside it,
and checked when the model runs. A bound that only the run knows (a tensor) comes with the result's dimension:
`x[(slice(start, stop), "new")]`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from workshop.graph.dim import Dim, StaticDim, SymbolicDim
from workshop.graph.op import Op, Refusal, emit, public
from workshop.graph.ops.operands import tensor
from workshop.graph.shape import Shape
from workshop.graph.type import TensorType
from workshop.graph.value import TensorValue, TensorValueLike

Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class Step:
    """Says what happens to one dimension: kind "take" (an index), "cut" (a slice), "new" (None).

    A bound is None, an int, a Dim, or ("input", i) for the i-th tensor of the node. `inside` asks the run to
    refuse bounds beyond the extent instead of clipping them.
    """

    kind: str
    start: Any = None
    stop: Any = None
    step: int = 1
    extent: Dim | None = None
    inside: bool = False

    @property
    def parameters(self) -> list[SymbolicDim]:
        """The names in the bounds."""
        return [name for b in (self.start, self.stop) if isinstance(b, Dim) for name in b.parameters]

    def resolve(self, sizes: Mapping[str, int]) -> Step:
        """Put numbers in place of dimensions."""
        start, stop = (int(b.substitute(sizes)) if isinstance(b, Dim) else b for b in (self.start, self.stop))
        return replace(self, start=start, stop=stop)

    def __str__(self) -> str:
        if self.kind == "new":
            return "None"
        bounds = [
            "" if b is None else f"#{b[1]}" if isinstance(b, tuple) else str(b)
            for b in (self.start, self.stop)
        ]
        if self.kind == "take":
            return bounds[0]
        return ":".join(bounds) + (f":{self.step}" if self.step != 1 else "")


def _rule(x: TensorType, *bounds: TensorType, steps: tuple[Step, ...]) -> TensorType:
    dims = iter(x.shape)
    shape = Shape()
    for axis, step in enumerate(steps):
        if step.kind == "new":
            shape.append(StaticDim(1))
            continue
        dim = next(dims)
        if step.kind == "cut":
            shape.append(_cut_extent(step, dim))
        elif isinstance(step.start, int):
            _check_index(step.start, dim, axis)
    return x.with_shape(shape)


def _check_index(index: int, dim: Dim, axis: int) -> None:
    if isinstance(dim, StaticDim) and not -dim.dim <= index < dim.dim:
        raise Refusal(
            f"index {index} is out of bounds for axis {axis} of extent {dim}; use {-dim} to {dim - 1}"
        )


def _cut_extent(step: Step, dim: Dim) -> Dim:
    if step.extent is not None:
        return step.extent
    if step.start is None and step.stop is None:
        return -(-dim // abs(step.step)) if abs(step.step) != 1 else dim
    if isinstance(dim, StaticDim) and not isinstance(step.start, Dim) and not isinstance(step.stop, Dim):
        return StaticDim(len(range(*slice(step.start, step.stop, step.step).indices(dim.dim))))
    if step.step < 0:
        raise Refusal(f"a negative step over dimension '{dim}' takes no bounds; reverse it first, x[::-1]")
    start = _bound(step.start, dim, StaticDim(0))
    stop = _bound(step.stop, dim, dim)
    extent = -((start - stop) // step.step) if step.step != 1 else stop - start
    if isinstance(extent, StaticDim) and extent.dim < 0:
        return StaticDim(0)
    return extent


def _bound(value: Any, dim: Dim, default: Dim) -> Dim:
    if value is None:
        return default
    if isinstance(value, int) and value < 0:
        return dim + value
    return Dim(value)


def _meaning(x: Array, *bounds: Array, steps: tuple[Step, ...]) -> Array:
    index: list[Any] = []
    axis = 0
    for step in steps:
        if step.kind == "new":
            index.append(None)
            continue
        start: Any
        stop: Any
        extent = x.shape[axis]
        start, stop = (int(bounds[b[1] - 1]) if isinstance(b, tuple) else b for b in (step.start, step.stop))
        if step.kind == "take":
            if not -extent <= start < extent:
                raise Refusal(f"index {start} is out of bounds for axis {axis} of extent {extent}")
            index.append(start)
        else:
            for bound in (start, stop):
                if step.inside and bound is not None and not -extent <= bound <= extent:
                    raise Refusal(f"slice bound {bound} is out of bounds for axis {axis} of extent {extent}")
            index.append(slice(start, stop, step.step))
        axis += 1
    return np.asarray(x[tuple(index)])


SLICE = Op("slice", _rule, _meaning)


@public
def slice_tensor(x: TensorValueLike, indices: Any) -> TensorValue:
    """Take elements, ranges and new axes, as `x[...]` does.

    Each index is an int, a scalar integer tensor, a slice (of ints, dimensions or tensors), `...` or None; a
    slice with tensor bounds is written `(slice(start, stop), dim)`.
    """
    value = tensor(x)
    parts = list(indices) if isinstance(indices, tuple) and not _is_sized_slice(indices) else [indices]
    parts = _without_ellipsis(parts, value)
    inputs: list[TensorValue] = []
    dims = iter(value.shape)
    steps = tuple(Step("new") if part is None else _step(part, next(dims), inputs) for part in parts)
    made: TensorValue = emit(SLICE, value, *inputs, steps=steps)
    return made


def _is_sized_slice(index: Any) -> bool:
    return (
        isinstance(index, tuple)
        and len(index) == 2
        and isinstance(index[0], slice)
        and isinstance(index[1], (str, Dim))
    )


def _without_ellipsis(parts: list[Any], value: TensorValue) -> list[Any]:
    used = sum(part is not None and part is not Ellipsis for part in parts)
    if used > value.rank:
        raise Refusal(f"{used} indices are out of range for rank {value.rank}: the tensor is {value.shape}")
    dots = [place for place, part in enumerate(parts) if part is Ellipsis]
    if len(dots) > 1:
        raise Refusal("an index may hold one `...`")
    place = dots[0] if dots else len(parts)
    return parts[:place] + [slice(None)] * (value.rank - used) + parts[place + len(dots) :]


def _step(part: Any, dim: Dim, inputs: list[TensorValue]) -> Step:
    if isinstance(part, slice):
        return _slice_step(part, dim, None, inputs)
    if isinstance(part, tuple) and len(part) == 2 and isinstance(part[0], slice):
        return _slice_step(part[0], dim, Dim(part[1]), inputs)
    if isinstance(part, bool):
        raise Refusal("a bool is no index; use ops.where, or ops.nonzero and ops.gather_nd")
    return Step("take", _index(part, inputs))


def _slice_step(part: slice, dim: Dim, extent: Dim | None, inputs: list[TensorValue]) -> Step:
    step = 1 if part.step is None else part.step
    if not isinstance(step, (int, np.integer)) or step == 0:
        raise Refusal(f"a slice's step is an int other than 0, got {step!r}")
    start, stop = (None if bound is None else _index(bound, inputs) for bound in (part.start, part.stop))
    if extent is None and (isinstance(start, tuple) or isinstance(stop, tuple)):
        raise Refusal(
            "a slice with a tensor bound needs a name for its extent: x[(slice(start, stop), 'new')]"
        )
    known = isinstance(dim, StaticDim) and not isinstance(start, Dim) and not isinstance(stop, Dim)
    return Step("cut", start, stop, int(step), extent, inside=not known or extent is not None)


def _index(bound: Any, inputs: list[TensorValue]) -> Any:
    if isinstance(bound, StaticDim):
        return bound.dim
    if isinstance(bound, Dim):
        return bound
    if isinstance(bound, (int, np.integer)):
        return int(bound)
    if isinstance(bound, TensorValue):
        if bound.rank != 0 or not bound.dtype.is_integral():
            raise Refusal(f"a tensor index is a scalar integer, got {bound.type}; use ops.gather for many")
        inputs.append(tensor(bound))
        return ("input", len(inputs))
    raise Refusal(
        f"{bound!r} ({type(bound).__name__}) is no index; use ints, slices, ..., None or integer tensors"
    )
