"""The extents of a tensor, as a list."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from workshop.graph.dim import Dim, DimLike, StaticDim, SymbolicDim, product


class Shape(list[Dim]):
    """Lists dimensions; ints and names become `Dim`s.

    >>> Shape([2, "n"]), Shape([2, "n"]) == [2, "n"], Shape([2, "n"]).rank
    ([2, n], True, 2)
    """

    __slots__ = ()

    def __init__(self, dims: Iterable[DimLike] = ()) -> None:
        if isinstance(dims, (str, bytes)):
            raise TypeError(f"a shape is a list of dimensions, not the string {dims!r}; write [{dims!r}]")
        super().__init__([dim if isinstance(dim, Dim) else Dim(dim) for dim in dims])

    @property
    def rank(self) -> int:
        """The number of dimensions."""
        return len(self)

    @property
    def static_dims(self) -> list[int]:
        """The dimensions that are numbers, as ints."""
        return [dim.dim for dim in self if isinstance(dim, StaticDim)]

    @property
    def parameters(self) -> list[SymbolicDim]:
        """The names that occur, each once, in order."""
        named = [dim for dim in self if type(dim) is not StaticDim]
        return list(dict.fromkeys(name for dim in named for name in dim.parameters))

    @staticmethod
    def is_static(shape: Any) -> bool:
        """True when every dimension is a number; callable on a shape or with one."""
        return all(type(dim) is StaticDim for dim in shape)

    @property
    def num_elements(self) -> Dim:
        """The product of the dimensions."""
        return product(self)

    def substitute(self, mapping: Mapping[str, DimLike]) -> Shape:
        """Put numbers, names or dimensions in place of names."""
        return Shape(dim.substitute(mapping) for dim in self)

    def resolve(self, sizes: Mapping[str, int]) -> tuple[int, ...]:
        """Return the numbers, given a size for every name; raises TypeError where one is missing."""
        return tuple(dim.dim if type(dim) is StaticDim else int(dim.substitute(sizes)) for dim in self)

    def __repr__(self) -> str:
        return f"[{', '.join(str(dim) for dim in self)}]"

    __str__ = __repr__
