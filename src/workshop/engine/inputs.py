"""What a model is called with: arrays of any kind to numpy, and names of dimensions to numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from workshop.driver import Buffer
from workshop.dtype import DType
from workshop.errors import GraphError, caller_loc
from workshop.graph import SymbolicDim, TensorType
from workshop.graph.dim import AlgebraicDim, StaticDim, exact_quotient

Array = npt.NDArray[Any]


class Sizes:
    """Binds names of dimensions to numbers, and remembers where each number came from."""

    def __init__(self) -> None:
        self.values: dict[str, int] = {}
        self._sources: dict[str, str] = {}

    def bind(self, type: TensorType, shape: tuple[int, ...], source: str) -> str | None:
        """Bind the names of a shape; return what does not fit, or None."""
        for axis, (dim, extent) in enumerate(zip(type.shape, shape, strict=True)):
            if isinstance(dim, SymbolicDim):
                known = self.values.setdefault(dim.name, extent)
                first = self._sources.setdefault(dim.name, source)
                if known != extent:
                    return (
                        f"symbolic dimension '{dim}' for {source} does not match prior uses of that "
                        f"dimension: '{dim}' is {known} from {first} and {extent} from {source}"
                    )
            elif isinstance(dim, StaticDim) and dim.dim != extent:
                wanted = f"the graph takes {type}: axis {axis} is {extent}, not {dim}"
                return f"{source} has shape {list(shape)}, {wanted}"
        return None

    def check_algebra(self, type: TensorType, shape: tuple[int, ...], source: str) -> str | None:
        """Check computed dimensions, solving for names that stand nowhere alone; return what does not fit."""
        for dim, extent in zip(type.shape, shape, strict=True):
            if not isinstance(dim, AlgebraicDim):
                continue
            wrong = self._find(dim, extent, source)
            if wrong is not None:
                return wrong
            wanted = int(dim.substitute(self.values))
            if wanted != extent:
                named = (
                    f"'{p}' is {self.values[p.name]} from {self._sources[p.name]}" for p in dim.parameters
                )
                return f"{source} has {extent} where the graph takes '{dim}' = {wanted}: {', '.join(named)}"
        return None

    def _find(self, dim: AlgebraicDim, extent: int, source: str) -> str | None:
        """Solve factor * name + rest == extent for the one name that is not bound yet."""
        left = dim.substitute(self.values)
        if not left.parameters:
            return None
        name = left.parameters[0]
        rest = left.substitute({name.name: 0})
        factor = exact_quotient(left - rest, name)
        if not isinstance(rest, StaticDim) or not isinstance(factor, StaticDim):
            return (
                f"'{dim}' of {source} does not say what '{name}' is; name it alone in the shape of an input"
            )
        number, over = divmod(extent - rest.dim, factor.dim)
        if over or number < 0:
            return f"{source} has {extent} where the graph takes '{dim}': no whole '{name}' makes that"
        self.values[name.name], self._sources[name.name] = number, source
        return None


def read_inputs(name: str, types: Sequence[TensorType], given: Sequence[Any]) -> tuple[list[Array], Sizes]:
    """Turn what a model was called with into arrays of its types; raises GraphError at the caller's line."""
    if len(given) != len(types):
        wanted = ", ".join(str(type) for type in types) or "none"
        inputs = "1 input" if len(types) == 1 else f"{len(types)} inputs"
        text = f"model '{name}' takes {inputs} ({wanted}), got {len(given)}"
        raise GraphError(text, caller_loc())
    arrays = [
        _read(position, type, value) for position, (type, value) in enumerate(zip(types, given, strict=True))
    ]
    sizes = Sizes()
    for check in (sizes.bind, sizes.check_algebra):
        for position, (type, array) in enumerate(zip(types, arrays, strict=True)):
            wrong = check(type, array.shape, f"input {position}")
            if wrong is not None:
                raise GraphError(wrong, caller_loc())
    return arrays, sizes


def _read(position: int, type: TensorType, value: Any) -> Array:
    array = _as_array(position, type, value)
    found = DType.from_numpy(array.dtype)
    if found is not type.dtype:
        cure = (
            f"convert it, as in x.astype({type.dtype.value!r})"
            if isinstance(value, np.ndarray)
            else "convert it"
        )
        text = f"input {position} is {found.value}{list(array.shape)}, the graph takes {type}; {cure}"
        raise GraphError(text, caller_loc())
    if array.ndim != type.rank:
        text = f"input {position} has shape {list(array.shape)} of rank {array.ndim}, the graph takes {type}"
        raise GraphError(text, caller_loc())
    return array


def _as_array(position: int, type: TensorType, value: Any) -> Array:
    if isinstance(value, Buffer):
        return np.ascontiguousarray(value.to_numpy()) if not value.is_contiguous else value.to_numpy()
    if isinstance(value, (bool, int, float)) and type.rank == 0:
        return np.array(value, type.dtype.to_numpy())
    try:
        if isinstance(value, (np.ndarray, np.generic)):
            return Buffer.from_numpy(np.asarray(value)).to_numpy()
        return Buffer.from_dlpack(value).to_numpy()
    except (TypeError, BufferError) as error:
        raise GraphError(f"input {position} ({type}): {error}", caller_loc()) from None
