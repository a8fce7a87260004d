"""Structs and tuples in kernels: fields, methods, operators, loop-carried values."""

from dataclasses import dataclass

import numpy as np
import pytest

from workshop.errors import KernelTypeError
from workshop.gpu import Float32, Int32, kernel, sqrt, thread_idx


@dataclass(frozen=True)
class Vector:
    x: Float32
    y: Float32
    z: Float32 = 0

    def magnitude(self):
        return sqrt(self.x * self.x + self.y * self.y + self.z * self.z)

    @property
    def total(self):
        return self.x + self.y + self.z

    def __add__(self, other):
        return Vector(self.x + other.x, self.y + other.y, self.z + other.z)

    def __rmul__(self, factor):
        return Vector(factor * self.x, factor * self.y, factor * self.z)

    @staticmethod
    def unit():
        return Vector(1, 0)


@kernel
def lengths(out, a):
    i = thread_idx.x
    v = Vector(a[i, 0], a[i, 1], z=a[i, 2])
    out[i] = v.magnitude() + (2 * (v + Vector.unit())).total


def test_struct__methods_operators_properties_and_defaults(apply):
    a = np.array([[3, 4, 0], [1, 2, 2]], np.float32)
    out, _ = apply(lengths, np.zeros(2, np.float32), a, block=2)
    np.testing.assert_allclose(out, [5 + 2 * 8, 3 + 2 * 6])


@kernel
def carried(out, n):
    i = thread_idx.x
    v = Vector(0, 0, 0)
    pair = (i, 1)
    for k in range(n):
        v = v + Vector(1, k, i)
        if k % 2 == 0:
            pair = (pair[1], pair[0] + pair[1])
    out[i] = v.x + 10 * v.y + 100 * v.z + 1000 * pair[0]


def test_struct_and_tuple__carried_by_a_loop(apply):
    def spec(i, n=5):
        a, b = i, 1
        for _ in range(3):
            a, b = b, a + b
        return n + 10 * sum(range(n)) + 100 * n * i + 1000 * a

    (out,) = apply(carried, np.zeros(3, np.float32), 5, block=3)
    np.testing.assert_array_equal(out, [spec(i) for i in range(3)])


def larger(u, v):
    if u.total > v.total:
        return u
    return v


@kernel
def through_helper(out, *, base):
    i = thread_idx.x
    best = larger(Vector(i, 1), base)
    out[i] = best.x + base.total


def test_struct__through_a_helper_and_as_a_parameter(apply):
    (out,) = apply(through_helper, np.zeros(4, np.float32), block=4, base=Vector(1.5, 1.0, 0))
    np.testing.assert_array_equal(out, [4.0, 4.0, 4.5, 5.5])


@dataclass
class Mutable:
    x: Int32


def not_frozen(out):
    m = Mutable(thread_idx.x)
    out[0] = m.x


def unknown_field(out):
    out[0] = Vector(1, 2).w


def no_operator(out):
    v = Vector(1, 2) - Vector(1, 1)
    out[0] = v.x


def two_kinds(out):
    v = Vector(thread_idx.x, 2)
    if out[0] > 0:
        v = (thread_idx.x, 1)
    out[0] = v[0]


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (not_frozen, "must be frozen"),
        (unknown_field, "Vector has no field or method w; it has x, y, z"),
        (no_operator, "Vector defines no __sub__"),
        (two_kinds, "v holds a Vector on one path and a tuple of 2 on another"),
    ],
)
def test_struct__misuse_is_refused(apply, function, message):
    with pytest.raises(KernelTypeError, match=message):
        apply(function, np.zeros(1, np.float32))
