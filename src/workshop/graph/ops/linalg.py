"""Products of matrices and vectors."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from workshop.graph.op import Op, Refusal, emit, public
from workshop.graph.ops.binary import broadcast, mul
from workshop.graph.ops.elementwise import NUMBER, checked
from workshop.graph.ops.movement import reshape
from workshop.graph.ops.operands import pair
from workshop.graph.shape import Shape
from workshop.graph.type import TensorType
from workshop.graph.value import TensorValue, TensorValueLike

Array = npt.NDArray[Any]


def _matmul_rule(lhs: TensorType, rhs: TensorType) -> TensorType:
    checked(NUMBER, lhs)
    if not lhs.rank or not rhs.rank:
        raise Refusal("multiplies matrices and vectors; use * for a scalar")
    inner = rhs.shape[-2] if rhs.rank > 1 else rhs.shape[-1]
    if lhs.shape[-1] != inner:
        raise Refusal(
            f"the inner dimensions differ: {lhs.shape} ends in {lhs.shape[-1]}, {rhs.shape} "
            f"has {inner} rows. {_matmul_cure(lhs, rhs)}"
        )
    batch = broadcast(Shape(lhs.shape[:-2]), Shape(rhs.shape[:-2]))
    rows, columns = lhs.shape[:-1][-1:], rhs.shape[-1:] if rhs.rank > 1 else []
    return lhs.with_shape(Shape([*batch, *rows, *columns]))


def _matmul_cure(lhs: TensorType, rhs: TensorType) -> str:
    if rhs.rank > 1 and lhs.shape[-1] == rhs.shape[-1]:
        return "Transpose the second: x @ w.T"
    return "They must be equal; where that is known only when the model runs, say so with x.rebind(...)"


def _matmul_meaning(lhs: Array, rhs: Array) -> Array:
    if lhs.dtype.itemsize == 2 and lhs.dtype.kind not in "iu":
        return np.asarray(np.matmul(lhs.astype(np.float32), rhs.astype(np.float32))).astype(lhs.dtype)
    return np.asarray(np.matmul(lhs, rhs))


MATMUL = Op("matmul", _matmul_rule, _matmul_meaning)


@public
def matmul(lhs: TensorValueLike, rhs: TensorValueLike) -> TensorValue:
    """Multiply matrices: [..., M, K] @ [..., K, N] -> [..., M, N]; leading dimensions broadcast.

    A vector stands for one row on the left and one column on the right. 16-bit floats add up in float32.
    """
    left, right = pair(lhs, rhs)
    made: TensorValue = emit(MATMUL, left, right)
    return made


@public
def outer(lhs: TensorValueLike, rhs: TensorValueLike) -> TensorValue:
    """Multiply each element of one vector with each of another: [M], [N] -> [M, N]."""
    left, right = pair(lhs, rhs)
    if left.rank != 1 or right.rank != 1:
        raise Refusal(f"takes two vectors, got {left.shape} and {right.shape}")
    return mul(reshape(left, [-1, 1]), right)
