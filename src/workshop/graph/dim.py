"""Extents of tensors: numbers, names, and algebra over both.

A dimension that is not a number is kept as a polynomial with integer coefficients over its symbols (and over
floor divisions that cannot be simplified), in one normal form. So two dimensions are equal exactly when they
read the same: `Dim("n") * 2 + 2 == (Dim("n") + 1) * 2`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

import numpy as np

DimLike: TypeAlias = "Dim | int | str | np.integer[Any]"
"""What a dimension may be written as: a number, a name, or algebra over names."""

Atom: TypeAlias = "str | FloorDiv"
Monomial: TypeAlias = "tuple[Atom, ...]"
Terms: TypeAlias = "dict[Monomial, int]"


class Dim:
    """Makes a dimension: a number, a name, or what arithmetic on them gives.

    >>> Dim("batch") * 2 + 1, Dim(3) * 4, Dim("n") + 1 - "n"
    (Dim('2*batch + 1'), Dim(12), Dim(1))
    >>> Dim("n") == "n", Dim(4) == 4
    (True, True)
    """

    __slots__ = ()

    def __new__(cls, value: DimLike) -> Dim:
        if isinstance(value, Dim):
            return value
        if isinstance(value, str):
            return SymbolicDim(value)
        if isinstance(value, (int, np.integer)):
            return StaticDim(int(value))
        raise TypeError(f"a dimension is an int, a name or a Dim, not {type(value).__name__} {value!r}")

    @property
    def parameters(self) -> list[SymbolicDim]:
        """The names in it, sorted."""
        return [SymbolicDim(name) for name in sorted(_names(_terms(self)))]

    def substitute(self, mapping: Mapping[str, DimLike]) -> Dim:
        """Put a number, name or dimension in place of names.

        >>> (Dim("n") * 2 + "m").substitute({"n": 3})
        Dim('m + 6')
        """
        return _substitute(_terms(self), mapping)

    def __add__(self, rhs: DimLike) -> Dim:
        return _from_terms(_sum(_terms(self), _terms(Dim(rhs))))

    def __mul__(self, rhs: DimLike) -> Dim:
        return _from_terms(_product(_terms(self), _terms(Dim(rhs))))

    def __sub__(self, rhs: DimLike) -> Dim:
        return self + -Dim(rhs)

    def __neg__(self) -> Dim:
        return self * -1

    def __floordiv__(self, rhs: DimLike) -> Dim:
        return _floor_div(self, Dim(rhs))

    def __radd__(self, lhs: DimLike) -> Dim:
        return self + lhs

    def __rmul__(self, lhs: DimLike) -> Dim:
        return self * lhs

    def __rsub__(self, lhs: DimLike) -> Dim:
        return Dim(lhs) - self

    def __rfloordiv__(self, lhs: DimLike) -> Dim:
        return Dim(lhs) // self

    def __int__(self) -> int:
        raise TypeError(f"dimension '{self}' is known only when the model runs; int() needs a static one")

    def __eq__(self, other: object) -> bool:
        raise NotImplementedError  # each kind of dimension has its own

    def __hash__(self) -> int:
        raise NotImplementedError

    def __repr__(self) -> str:
        return f"Dim('{self}')"


class StaticDim(Dim):
    """Holds a number known while building.

    >>> int(Dim(3)), Dim(3) < 4
    (3, True)
    """

    __slots__ = ("dim",)
    dim: int

    def __new__(cls, dim: int | StaticDim) -> StaticDim:
        value = int(dim)
        known = _static.get(value)
        if known is not None:
            return known
        self = object.__new__(cls)
        self.dim = value
        if 0 <= value <= 8192:
            _static[value] = self
        return self

    def __getnewargs__(self) -> tuple[int]:
        return (self.dim,)

    @property
    def parameters(self) -> list[SymbolicDim]:
        """Nothing: a number has no names."""
        return []

    def __add__(self, rhs: DimLike) -> Dim:
        return StaticDim(self.dim + rhs.dim) if type(rhs) is StaticDim else Dim.__add__(self, rhs)

    def __mul__(self, rhs: DimLike) -> Dim:
        return StaticDim(self.dim * rhs.dim) if type(rhs) is StaticDim else Dim.__mul__(self, rhs)

    def __int__(self) -> int:
        return self.dim

    def __index__(self) -> int:
        return self.dim

    def __eq__(self, other: object) -> bool:
        if isinstance(other, StaticDim):
            return self.dim == other.dim
        return isinstance(other, (int, np.integer)) and self.dim == other

    def __lt__(self, other: int | StaticDim) -> bool:
        return self.dim < int(other)

    def __le__(self, other: int | StaticDim) -> bool:
        return self.dim <= int(other)

    def __gt__(self, other: int | StaticDim) -> bool:
        return self.dim > int(other)

    def __ge__(self, other: int | StaticDim) -> bool:
        return self.dim >= int(other)

    def __hash__(self) -> int:
        return hash(self.dim)

    def __str__(self) -> str:
        return str(self.dim)

    def __repr__(self) -> str:
        return f"Dim({self.dim})"


_static: dict[int, StaticDim] = {}


class SymbolicDim(Dim):
    """Holds a name, bound to a number when the model runs; raises ValueError unless it is an identifier."""

    __slots__ = ("name",)
    name: str

    def __new__(cls, name: str | SymbolicDim) -> SymbolicDim:
        text = str(name)
        if not text.isidentifier():
            raise ValueError(
                f"a dimension's name must be an identifier like 'batch' or 'seq_len', not {text!r}"
            )
        self = object.__new__(cls)
        self.name = text
        return self

    def __getnewargs__(self) -> tuple[str]:
        return (self.name,)

    @property
    def parameters(self) -> list[SymbolicDim]:
        """Itself."""
        return [self]

    def __eq__(self, other: object) -> bool:
        return self.name == (other.name if isinstance(other, SymbolicDim) else other)

    def __hash__(self) -> int:
        return hash(self.name)

    def __str__(self) -> str:
        return self.name


class AlgebraicDim(Dim):
    """Holds an expression over names; made by arithmetic on dimensions, never directly a number or a name."""

    __slots__ = ("terms",)
    terms: tuple[tuple[Monomial, int], ...]

    def __new__(cls, terms: Iterable[tuple[Monomial, int]]) -> AlgebraicDim:
        self = object.__new__(cls)
        self.terms = tuple(sorted(terms, key=_term_order))
        return self

    def __getnewargs__(self) -> tuple[Any]:
        return (self.terms,)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, AlgebraicDim) and self.terms == other.terms

    def __hash__(self) -> int:
        return hash(self.terms)

    def __str__(self) -> str:
        text = ""
        for monomial, factor in self.terms:
            parts = ([str(abs(factor))] if abs(factor) != 1 or not monomial else []) + [
                str(a) for a in monomial
            ]
            sign = ("-" if factor < 0 else "") if not text else (" - " if factor < 0 else " + ")
            text += sign + "*".join(parts)
        return text


class FloorDiv:
    """An atom of the algebra: a floor division that does not come out even."""

    __slots__ = ("bottom", "top")

    def __init__(self, top: Dim, bottom: Dim) -> None:
        self.top, self.bottom = top, bottom

    def __eq__(self, other: object) -> bool:
        return isinstance(other, FloorDiv) and (self.top, self.bottom) == (other.top, other.bottom)

    def __hash__(self) -> int:
        return hash((self.top, self.bottom))

    def __str__(self) -> str:
        top, bottom = (f"({d})" if isinstance(d, AlgebraicDim) else str(d) for d in (self.top, self.bottom))
        return f"({top} // {bottom})"


def product(dims: Iterable[Dim]) -> Dim:
    """Multiply dimensions.

    >>> product([Dim("n"), Dim(2), Dim("m")])
    Dim('2*m*n')
    """
    factor, names, rest = 1, [], []
    for dim in dims:
        if isinstance(dim, StaticDim):
            factor *= dim.dim
        elif isinstance(dim, SymbolicDim):
            names.append(dim.name)
        else:
            rest.append(dim)
    total = _from_terms({tuple(sorted(names)): factor})
    for dim in rest:
        total = total * dim
    return total


def exact_quotient(total: Dim, part: Dim) -> Dim | None:
    """Divide where every term divides without rest; None where that is not so.

    >>> exact_quotient(Dim("n") * 6, Dim("n") * 2), exact_quotient(Dim("n") + 1, Dim(2))
    (Dim(3), None)
    """
    divisor = _terms(part)
    if len(divisor) != 1:
        return Dim(1) if total == part else None
    ((monomial, factor),) = divisor.items()
    result: Terms = {}
    for term, coefficient in _terms(total).items():
        rest = _without(term, monomial)
        if rest is None or factor == 0 or coefficient % factor:
            return None
        result[rest] = coefficient // factor
    return _from_terms(result)


def _terms(dim: Dim) -> Terms:
    if isinstance(dim, StaticDim):
        return {(): dim.dim} if dim.dim else {}
    if isinstance(dim, SymbolicDim):
        return {(dim.name,): 1}
    assert isinstance(dim, AlgebraicDim)
    return dict(dim.terms)


def _from_terms(terms: Terms) -> Dim:
    kept = [(monomial, factor) for monomial, factor in terms.items() if factor]
    if not kept:
        return StaticDim(0)
    if len(kept) == 1:
        monomial, factor = kept[0]
        if not monomial:
            return StaticDim(factor)
        if factor == 1 and len(monomial) == 1 and isinstance(monomial[0], str):
            return SymbolicDim(monomial[0])
    return AlgebraicDim(kept)


def _sum(a: Terms, b: Terms) -> Terms:
    result = dict(a)
    for monomial, factor in b.items():
        result[monomial] = result.get(monomial, 0) + factor
    return result


def _product(a: Terms, b: Terms) -> Terms:
    result: Terms = {}
    for left, left_factor in a.items():
        for right, right_factor in b.items():
            monomial = tuple(sorted(left + right, key=str))
            result[monomial] = result.get(monomial, 0) + left_factor * right_factor
    return result


def _floor_div(top: Dim, bottom: Dim) -> Dim:
    if bottom == 0:
        raise ZeroDivisionError(f"dimension {top} // 0")
    if isinstance(top, StaticDim) and isinstance(bottom, StaticDim):
        return StaticDim(top.dim // bottom.dim)
    even = exact_quotient(top, bottom)
    if even is not None:
        return even
    if isinstance(bottom, StaticDim):  # (k*x + r) // k == x + r // k
        whole = {m: f // bottom.dim for m, f in _terms(top).items() if f % bottom.dim == 0}
        rest = {m: f for m, f in _terms(top).items() if f % bottom.dim}
        if whole:
            return _from_terms(whole) + _floor_div(_from_terms(rest), bottom)
    return AlgebraicDim([((FloorDiv(top, bottom),), 1)])


def _without(term: Monomial, part: Monomial) -> Monomial | None:
    left = list(term)
    for atom in part:
        if atom not in left:
            return None
        left.remove(atom)
    return tuple(left)


def _names(terms: Terms) -> set[str]:
    found: set[str] = set()
    for monomial in terms:
        for atom in monomial:
            if isinstance(atom, str):
                found.add(atom)
            else:
                found |= _names(_terms(atom.top)) | _names(_terms(atom.bottom))
    return found


def _substitute(terms: Terms, mapping: Mapping[str, DimLike]) -> Dim:
    total: Dim = StaticDim(0)
    for monomial, factor in terms.items():
        product: Dim = StaticDim(factor)
        for atom in monomial:
            if isinstance(atom, str):
                product = product * mapping.get(atom, atom)
            else:
                product = product * (atom.top.substitute(mapping) // atom.bottom.substitute(mapping))
        total = total + product
    return total


def _term_order(term: tuple[Monomial, int]) -> tuple[int, str]:
    return (-len(term[0]), "*".join(str(atom) for atom in term[0]))
