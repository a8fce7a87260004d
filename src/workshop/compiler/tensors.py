"""The tensors that an op's `execute` is given."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from workshop.driver import Buffer
from workshop.dtype import DType


class Constraint:
    """Says which dtype and rank an argument of `execute` takes; made by `InputTensor[DType.float32, 2]`."""

    __slots__ = ("dtype", "kind", "rank")

    def __init__(self, kind: type[_OpTensor], asked: Any) -> None:
        self.kind = kind
        self.dtype: DType | None = None
        self.rank: int | None = None
        for part in asked if isinstance(asked, tuple) else (asked,):
            if isinstance(part, DType):
                self.dtype = part
            elif isinstance(part, int) and not isinstance(part, bool):
                self.rank = part
            else:
                raise TypeError(f"{kind.__name__}[...] takes a DType and a rank, not {part!r}")

    def __repr__(self) -> str:
        parts = [str(part) for part in (self.dtype, self.rank) if part is not None]
        return f"{self.kind.__name__}[{', '.join(parts)}]"


class _OpTensor:
    """Base of InputTensor and OutputTensor: a tensor on the op's device, indexed with rank indices."""

    __slots__ = ("buffer", "name")

    def __init__(self, buffer: Buffer, name: str) -> None:
        self.buffer = buffer
        self.name = name

    def __class_getitem__(cls, asked: Any) -> Constraint:
        return Constraint(cls, asked)

    @property
    def dtype(self) -> DType:
        """The element type."""
        return self.buffer.dtype

    @property
    def rank(self) -> int:
        """The number of dimensions."""
        return self.buffer.rank

    @property
    def shape(self) -> tuple[int, ...]:
        """The extents, outermost first."""
        return self.buffer.shape

    def dim_size(self, axis: int) -> int:
        """Return the extent of one dimension; raises IndexError outside the rank."""
        if not -self.rank <= axis < self.rank:
            raise IndexError(f"{self.name}.dim_size({axis}): axis out of range for rank {self.rank}")
        return self.shape[axis]

    def size(self) -> int:
        """Return the number of elements."""
        return self.buffer.num_elements

    def __getitem__(self, index: Any) -> Any:
        """Read one element on the host (in a function given to `foreach`: in the kernel)."""
        return self.buffer[self._checked(index)].item()

    def _checked(self, index: Any) -> tuple[int, ...]:
        parts = tuple(index) if isinstance(index, (tuple, list)) else (index,)
        if len(parts) != self.rank:
            raise IndexError(
                f"{self.name} has rank {self.rank}, got {len(parts)} indices; shape {list(self.shape)}"
            )
        for axis, (part, extent) in enumerate(zip(parts, self.shape, strict=True)):
            if not 0 <= part < extent:
                raise IndexError(
                    f"{self.name}[{', '.join(map(str, parts))}]: index {part} is out of bounds "
                    f"for axis {axis} of extent {extent}"
                )
        return parts

    def __iter__(self) -> Iterator[Any]:
        raise TypeError(f"{self.name}: an op's tensor is indexed with {self.rank} indices, not looped over")

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name}: {self.dtype.value}{list(self.shape)})"


class InputTensor(_OpTensor):
    """A tensor the op reads. `InputTensor[DType.float32, 2]` as an annotation takes only that dtype and rank.

    In a function given to `foreach`, `x[i, j]` and `x.load(idx)` read an element.
    """

    __slots__ = ()

    def load(self, index: Any) -> Any:
        """Read the element at a tuple of indices."""
        return self[index]


class OutputTensor(_OpTensor):
    """A tensor the op writes; its shape and dtype are checked before the op runs.

    `output[i, j] = value` and `output.store(idx, value)` write an element, on the host or in a kernel.
    """

    __slots__ = ()

    def __setitem__(self, index: Any, value: Any) -> None:
        self.buffer[self._checked(index)] = value

    def load(self, index: Any) -> Any:
        """Read back the element at a tuple of indices."""
        return self[index]

    def store(self, index: Any, value: Any) -> None:
        """Write the element at a tuple of indices."""
        self[index] = value


class DeviceContextPtr:
    """The device an op runs on: `foreach` and `ctx.get_device_context()` launch there."""

    __slots__ = ("_context",)

    def __init__(self, context: Any) -> None:
        self._context = context

    def get_device_context(self) -> Any:
        """Return the DeviceContext, to launch kernels on."""
        return self._context

    def __repr__(self) -> str:
        return f"DeviceContextPtr({self._context!r})"
