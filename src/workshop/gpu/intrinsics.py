"""The words of the kernel language: their names, signatures and meanings, in one list.

This file is the language reference: an editor completes and explains kernel code from it. The bodies never
run in a kernel (the front end recognises the objects themselves). Outside a kernel, the words that Python
has too (`min`, `max`, `abs`, `round`, `pow`, `print`) forward to the builtin; the others raise and say
where they exist.
"""

from __future__ import annotations

import builtins
import enum
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NoReturn

from workshop.dtype import DType
from workshop.errors import KernelSyntaxError, caller_loc

Bool = DType.bool
Int8 = DType.int8
Int16 = DType.int16
Int32 = DType.int32
Int64 = DType.int64
UInt8 = DType.uint8
UInt16 = DType.uint16
UInt32 = DType.uint32
UInt64 = DType.uint64
Float16 = DType.float16
BFloat16 = DType.bfloat16
Float32 = DType.float32
Float64 = DType.float64


def _outside(word: str) -> NoReturn:
    """Raise the error for a word used in ordinary Python."""
    raise KernelSyntaxError(
        f"{word} exists only inside a kernel: it differs per thread. "
        "Write it in a function and launch that with ctx.enqueue_function(...).",
        caller_loc(),
    )


class Index3:
    """Three int64 coordinates `.x`, `.y`, `.z`, x varying fastest."""

    __slots__ = ()
    _name: str

    @property
    def x(self) -> int:
        """The fastest-varying coordinate (columns)."""
        _outside(f"{self._name}.x")

    @property
    def y(self) -> int:
        """The second coordinate (rows)."""
        _outside(f"{self._name}.y")

    @property
    def z(self) -> int:
        """The slowest coordinate."""
        _outside(f"{self._name}.z")

    def __repr__(self) -> str:
        return self._name


# Each word is the one object of its own class: JupyterLab shows the docstring of the class, VS Code that
# which follows the word.


class _ThreadIdx(Index3):
    """Index of this thread in its block: `.x`, `.y`, `.z`, x varying fastest."""

    __slots__ = ()
    _name = "thread_idx"


class _BlockIdx(Index3):
    """Index of this thread's block in the grid: `.x`, `.y`, `.z`."""

    __slots__ = ()
    _name = "block_idx"


class _BlockDim(Index3):
    """Threads per block along each axis: `.x`, `.y`, `.z`."""

    __slots__ = ()
    _name = "block_dim"


class _GridDim(Index3):
    """Blocks per grid along each axis: `.x`, `.y`, `.z`."""

    __slots__ = ()
    _name = "grid_dim"


class _GlobalIdx(Index3):
    """Index of this thread in the whole grid, block_idx * block_dim + thread_idx: `.x`, `.y`, `.z`."""

    __slots__ = ()
    _name = "global_idx"


thread_idx = _ThreadIdx()
"""Index of this thread in its block: `.x`, `.y`, `.z`, x varying fastest."""
block_idx = _BlockIdx()
"""Index of this thread's block in the grid: `.x`, `.y`, `.z`."""
block_dim = _BlockDim()
"""Threads per block along each axis: `.x`, `.y`, `.z`."""
grid_dim = _GridDim()
"""Blocks per grid along each axis: `.x`, `.y`, `.z`."""
global_idx = _GlobalIdx()
"""Index of this thread in the whole grid, block_idx * block_dim + thread_idx: `.x`, `.y`, `.z`."""

if TYPE_CHECKING:
    _Number = int  # what it is in a kernel, so that an editor takes WARP_SIZE // 2
else:
    _Number = object


class WarpSize(_Number):
    """Threads per warp of the device: 32, or 64 on AMD's MI300X."""

    def __repr__(self) -> str:
        return "WARP_SIZE"


WARP_SIZE = WarpSize()
"""Threads per warp of the device: 32, or 64 on AMD's MI300X."""


class AddressSpace(enum.Enum):
    """Says where a `stack_allocation` lives."""

    SHARED = "shared"
    LOCAL = "local"


def lane_id() -> int:
    """Return this thread's number in its warp, 0 to WARP_SIZE - 1 (int64)."""
    _outside("lane_id()")


def warp_id() -> int:
    """Return the number of this thread's warp in its block (int64)."""
    _outside("warp_id()")


def barrier() -> None:
    """Wait until every thread of the block is here; orders shared and global memory."""
    _outside("barrier()")


def syncwarp() -> None:
    """Wait until every thread of the warp is here; orders memory within the warp."""
    _outside("syncwarp()")


def stack_allocation(shape: Any, dtype: DType, space: AddressSpace = AddressSpace.LOCAL) -> Any:
    """Make an array for the block (SHARED) or for this thread (LOCAL).

    `shape` is an int or a tuple of ints known while compiling; the contents start uninitialised.
    """
    _outside("stack_allocation(...)")


def static_range(*bounds: int) -> Iterator[int]:
    """Loop like `range` over compile-time bounds, unrolled: the index is a compile-time value."""
    _outside("static_range(...)")


def sqrt(x: Any) -> Any:
    """Return the square root, correctly rounded; NaN below zero."""
    _outside("sqrt(...)")


def rsqrt(x: Any) -> Any:
    """Return 1 / sqrt(x) within 4 ulp."""
    _outside("rsqrt(...)")


def exp(x: Any) -> Any:
    """Return e to the power x within 4 ulp; exp(-inf) is 0."""
    _outside("exp(...)")


def exp2(x: Any) -> Any:
    """Return 2 to the power x within 4 ulp."""
    _outside("exp2(...)")


def log(x: Any) -> Any:
    """Return the natural logarithm within 4 ulp; NaN below zero, -inf at zero."""
    _outside("log(...)")


def log2(x: Any) -> Any:
    """Return the base-2 logarithm within 4 ulp."""
    _outside("log2(...)")


def sin(x: Any) -> Any:
    """Return the sine of x radians within 4 ulp."""
    _outside("sin(...)")


def cos(x: Any) -> Any:
    """Return the cosine of x radians within 4 ulp."""
    _outside("cos(...)")


def tanh(x: Any) -> Any:
    """Return the hyperbolic tangent within 4 ulp."""
    _outside("tanh(...)")


def erf(x: Any) -> Any:
    """Return the error function within 4 ulp."""
    _outside("erf(...)")


def fma(x: Any, y: Any, z: Any) -> Any:
    """Return x * y + z, rounded once."""
    _outside("fma(...)")


def floor(x: Any) -> Any:
    """Return the largest whole number not above x, as a float."""
    _outside("floor(...)")


def ceil(x: Any) -> Any:
    """Return the smallest whole number not below x, as a float."""
    _outside("ceil(...)")


def clamp(x: Any, low: Any, high: Any) -> Any:
    """Return min(max(x, low), high)."""
    _outside("clamp(...)")


def isnan(x: Any) -> bool:
    """Say whether x is not a number."""
    _outside("isnan(...)")


def isinf(x: Any) -> bool:
    """Say whether x is plus or minus infinity."""
    _outside("isinf(...)")


def select(condition: Any, yes: Any, no: Any) -> Any:
    """Return `yes` where the condition holds, else `no`; both are evaluated."""
    _outside("select(...)")


def min(*values: Any, **options: Any) -> Any:
    """Return the smallest value; in a kernel the other operand when one is NaN."""
    return builtins.min(*values, **options)


def max(*values: Any, **options: Any) -> Any:
    """Return the largest value; in a kernel the other operand when one is NaN."""
    return builtins.max(*values, **options)


def abs(x: Any) -> Any:
    """Return the magnitude."""
    return builtins.abs(x)


def round(x: Any, *digits: Any) -> Any:
    """Round half to even; in a kernel to a whole number, as a float, with no digits."""
    return builtins.round(x, *digits)


def pow(x: Any, y: Any, *modulus: Any) -> Any:
    """Return x to the power y; in a kernel within 4 ulp."""
    return builtins.pow(x, y, *modulus)


def print(*values: Any, **options: Any) -> None:
    """Print the values with spaces between; in a kernel each line is recorded and shown at the next wait."""
    builtins.print(*values, **options)
