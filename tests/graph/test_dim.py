"""Dimensions: one normal form, so equal means the same text."""

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workshop.graph import Dim, Shape, StaticDim, SymbolicDim
from workshop.graph.dim import exact_quotient

SIZES = {"a": 3, "b": 5, "c": 2}
leaves = st.one_of(st.integers(0, 6), st.sampled_from(sorted(SIZES))).map(Dim)
dims = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.tuples(inner, inner).map(lambda p: p[0] + p[1]),
        st.tuples(inner, inner).map(lambda p: p[0] * p[1]),
        st.tuples(inner, inner).map(lambda p: p[0] - p[1]),
        st.tuples(inner, st.integers(1, 4)).map(lambda p: p[0] // p[1]),
    ),
    max_leaves=8,
)


def value(dim):
    return int(dim.substitute(SIZES))


@given(dims, dims)
def test_arithmetic__means_what_it_says(x, y):
    assert value(x + y) == value(x) + value(y)
    assert value(x - y) == value(x) - value(y)
    assert value(x * y) == value(x) * value(y)
    assert x + y == y + x and x * y == y * x
    assert x - x == 0
    assert hash(x + y) == hash(y + x)


@given(dims, st.integers(1, 7))
def test_floordiv__means_what_it_says(x, n):
    assert value(x // n) == value(x) // n
    assert (x * n) // n == x


def test_text():
    n = Dim("n")
    assert str(n * 2 + 1) == "2*n + 1"
    assert str(Dim("b") * n - 3) == "b*n - 3"
    assert str((n + 1) // 2) == "((n + 1) // 2)"
    assert str(-n) == "-n"
    assert repr(Dim(3)) == "Dim(3)" and repr(n) == "Dim('n')"


def test_equality__numbers_and_names():
    assert Dim("n") == "n" and Dim(3) == 3 and Dim("n") != 3 and Dim("n") != "m"
    assert {Dim(3): 1}[3] == 1 and {"n": 1}[Dim("n")] == 1
    assert isinstance(Dim(3), StaticDim) and isinstance(Dim("n"), SymbolicDim)
    assert Dim("n") * 2 + 2 == (Dim("n") + 1) * 2
    assert (Dim("n") + 3) * 0 == 0


def test_int__only_when_static():
    assert int(Dim(3)) == 3 and range(Dim(3)) == range(3)
    with pytest.raises(TypeError, match="'n' is known only when the model runs"):
        int(Dim("n"))


def test_names__identifiers():
    with pytest.raises(ValueError, match="identifier like 'batch'"):
        Dim("two words")
    with pytest.raises(TypeError, match="not float 2.5"):
        Dim(2.5)


def test_division_by_zero():
    with pytest.raises(ZeroDivisionError):
        Dim("n") // 0


@pytest.mark.parametrize("dim", [Dim(3), Dim("n"), Dim("n") * 2 + 1, Dim("n") // 2])
def test_pickle(dim):
    assert pickle.loads(pickle.dumps(dim)) == dim


def test_exact_quotient():
    b, s = Dim("b"), Dim("s")
    assert exact_quotient(b * s * 6, s * 2) == b * 3
    assert exact_quotient(b + s, b + s) == 1
    assert exact_quotient(b + 1, Dim(2)) is None


def test_shape__is_a_list():
    shape = Shape([2, "n", Dim("n") + 1])
    assert shape == [2, "n", Dim("n") + 1] and shape.rank == 3 and shape[1] == "n"
    assert shape.static_dims == [2] and not Shape.is_static(shape) and Shape.is_static([Dim(1)])
    assert shape.parameters == ["n"]
    assert repr(shape) == "[2, n, n + 1]"
    assert shape.num_elements == Dim("n") * Dim("n") * 2 + Dim("n") * 2
    assert shape.resolve({"n": 4}) == (2, 4, 5)
    with pytest.raises(TypeError, match="not the string"):
        Shape("ab")
