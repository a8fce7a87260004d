"""The tensors that an op's `execute` is given."""

from __future__ import annotations

from typing import Any, Self

from workshop.driver import Buffer
from workshop.dtype import DType


class Constraint:
    """Says which dtype and rank an argument of `execute` takes; made by `InputTensor[DType.float32, 2]`."""

    __slots__ = ("dtype", "kind", "rank")

    def __init__(self, kind: type[OpTensor], asked: Any) -> None:
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


class OpTensor(Buffer):
    """Base of InputTensor and OutputTensor: a buffer whose elements are read with exactly rank indices."""

    __slots__ = ("name",)
    name: str

    @classmethod
    def of(cls, buffer: Buffer, name: str) -> Self:
        """Share a buffer's memory under the name of an argument."""
        self = cls._wrap(buffer._array, buffer.dtype, buffer.device)
        assert isinstance(self, cls)
        self.name = name
        return self

    def __class_getitem__(cls, asked: Any) -> Constraint:
        return Constraint(cls, asked)

    @property
    def size(self) -> int:
        """The number of elements."""
        return self.num_elements

    def dim_size(self, axis: int) -> int:
        """Return the extent of one dimension; raises IndexError outside the rank."""
        if not 0 <= axis < self.rank:
            raise IndexError(f"{self.name}.dim_size({axis}): axis out of range for rank {self.rank}")
        return self.shape[axis]

    def load(self, *index: Any) -> Any:
        """Read the element at a tuple of indices (in a kernel and on the host)."""
        return self[index[0] if len(index) == 1 else index]

    def __getitem__(self, index: Any) -> Any:
        return super().__getitem__(self._checked(index)).item()

    def __setitem__(self, index: Any, value: Any) -> None:
        raise TypeError(f"{self.name} is an input of the op; only an OutputTensor can be written")

    def _checked(self, index: Any) -> tuple[int, ...]:
        parts = tuple(index) if isinstance(index, (tuple, list)) else (index,)
        if len(parts) != self.rank:
            text = f"{self.name} has rank {self.rank}, shape {list(self.shape)}, got {len(parts)} indices"
            raise IndexError(text)
        for axis, (part, extent) in enumerate(zip(parts, self.shape, strict=True)):
            if not 0 <= part < extent:
                place = f"{self.name}[{', '.join(map(str, parts))}]"
                raise IndexError(f"{place}: index {part} is out of bounds for axis {axis} of extent {extent}")
        return parts

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name}: {self.dtype.value}{list(self.shape)})"


class InputTensor(OpTensor):
    """A tensor the op reads. `InputTensor[DType.float32, 2]` as an annotation takes only that dtype and rank.

    `x[i, j]` and `x.load(idx)` read an element, in the function given to `foreach` and on the host.
    """

    __slots__ = ()


class OutputTensor(OpTensor):
    """A tensor the op writes; its shape and dtype are checked before the op runs.

    `output[i, j] = value` and `output.store(idx, value)` write an element, in a kernel and on the host.
    """

    __slots__ = ()

    def __setitem__(self, index: Any, value: Any) -> None:
        Buffer.__setitem__(self, self._checked(index), value)

    def store(self, *index_and_value: Any) -> None:
        """Write the element at a tuple of indices: `store(idx, value)`."""
        *index, value = index_and_value
        self[index[0] if len(index) == 1 else tuple(index)] = value


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
