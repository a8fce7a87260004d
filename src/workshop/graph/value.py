"""Values of a graph and their operators."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn, TypeAlias

from workshop.dtype import DType
from workshop.errors import GraphError, caller_loc
from workshop.graph.op import functions
from workshop.graph.shape import Shape
from workshop.graph.type import DeviceRef, ShapeLike, TensorType

if TYPE_CHECKING:
    import numpy as np

TensorValueLike: TypeAlias = "TensorValue | int | float | bool | np.ndarray[Any, Any] | np.generic | Any"
"""What an op takes in place of a graph value: a number or an array, which becomes a constant."""


class Value:
    """A value that an op makes or takes; exists only while a graph is built."""

    __slots__ = ("graph", "node", "type")

    type: TensorType
    graph: Any
    node: Any

    @property
    def tensor(self) -> TensorValue:
        """The value as a tensor."""
        if isinstance(self, TensorValue):
            return self
        raise TypeError(f"{self!r} is no tensor")


class TensorValue(Value):
    """A tensor of the graph: it has a type, and operators that add ops to the graph being built.

    `TensorValue(x)` makes a constant of a Python number, a numpy array or anything that speaks DLPack.
    An operand that is a Python number takes the tensor's dtype, and a cast that would lose bits is refused.
    """

    __slots__ = ()
    def __new__(cls, value: TensorValueLike) -> TensorValue:
        if isinstance(value, TensorValue):
            return value
        made: TensorValue = functions["as_tensor"](value)
        return made

    @classmethod
    def _make(cls, type: TensorType, graph: Any, node: Any) -> TensorValue:
        self = object.__new__(TensorValue)
        self.type, self.graph, self.node = type, graph, node
        return self

    @property
    def dtype(self) -> DType:
        """The element type."""
        return self.type.dtype

    @property
    def shape(self) -> Shape:
        """The dimensions."""
        return self.type.shape

    @property
    def device(self) -> DeviceRef:
        """Where the value lives."""
        return self.type.device

    @property
    def rank(self) -> int:
        """The number of dimensions."""
        return len(self.type.shape)

    @property
    def T(self) -> TensorValue:
        """The value with its last two dimensions exchanged."""
        return _call("transpose", self, -2, -1)

    def argmax(self, axis: int = -1) -> TensorValue:
        """Return the index of the greatest element along an axis, which stays with extent 1."""
        return _call("argmax", self, axis)

    def broadcast_to(self, shape: ShapeLike) -> TensorValue:
        """Repeat dimensions of extent 1, and add leading ones, to reach a shape."""
        return _call("broadcast_to", self, shape)

    def cast(self, dtype: DType) -> TensorValue:
        """Convert the elements."""
        return _call("cast", self, dtype)

    def flatten(self, start_dim: int = 0, end_dim: int = -1) -> TensorValue:
        """Merge the dimensions from `start_dim` to `end_dim` into one."""
        return _call("flatten", self, start_dim, end_dim)

    def max(self, axis: int = -1) -> TensorValue:
        """Return the greatest element along an axis, which stays with extent 1."""
        return _call("max", self, axis=axis)

    def mean(self, axis: int = -1) -> TensorValue:
        """Return the mean along an axis, which stays with extent 1."""
        return _call("mean", self, axis)

    def min(self, axis: int = -1) -> TensorValue:
        """Return the least element along an axis, which stays with extent 1."""
        return _call("min", self, axis=axis)

    def permute(self, dims: list[int]) -> TensorValue:
        """Order the dimensions anew."""
        return _call("permute", self, dims)

    def print(self, label: str = "debug_tensor") -> None:
        """Print the value when the model runs."""
        _call("print", self, label)

    def rebind(self, shape: ShapeLike, message: str = "") -> TensorValue:
        """Assert another shape, checked when the model runs."""
        return _call("rebind", self, shape, message)

    def reshape(self, shape: ShapeLike) -> TensorValue:
        """Give the same elements another shape; one dimension may be -1."""
        return _call("reshape", self, shape)

    def stdev(self, axis: int = -1) -> TensorValue:
        """Return the standard deviation (of the population) along an axis, which stays with extent 1."""
        return _call("sqrt", self.var(axis))

    def sum(self, axis: int = -1) -> TensorValue:
        """Return the sum along an axis, which stays with extent 1."""
        return _call("sum", self, axis)

    def to(self, device: DeviceRef) -> TensorValue:
        """Return the value on another device."""
        return _call("transfer_to", self, device)

    def transpose(self, dim_1: int, dim_2: int) -> TensorValue:
        """Exchange two dimensions."""
        return _call("transpose", self, dim_1, dim_2)

    def var(self, axis: int = -1) -> TensorValue:
        """Return the variance (of the population) along an axis, which stays with extent 1."""
        return _call("var", self, axis)

    def __getitem__(self, index: Any) -> TensorValue:
        return _call("slice_tensor", self, index)

    def __add__(self, rhs: TensorValueLike) -> TensorValue:
        return _call("add", self, rhs)

    def __radd__(self, lhs: TensorValueLike) -> TensorValue:
        return _call("add", lhs, self)

    def __sub__(self, rhs: TensorValueLike) -> TensorValue:
        return _call("sub", self, rhs)

    def __rsub__(self, lhs: TensorValueLike) -> TensorValue:
        return _call("sub", lhs, self)

    def __mul__(self, rhs: TensorValueLike) -> TensorValue:
        return _call("mul", self, rhs)

    def __rmul__(self, lhs: TensorValueLike) -> TensorValue:
        return _call("mul", lhs, self)

    def __truediv__(self, rhs: TensorValueLike) -> TensorValue:
        return _call("div", self, rhs)

    def __rtruediv__(self, lhs: TensorValueLike) -> TensorValue:
        return _call("div", lhs, self)

    def __floordiv__(self, rhs: TensorValueLike) -> TensorValue:
        return _call("floor_div", self, rhs)

    def __rfloordiv__(self, lhs: TensorValueLike) -> TensorValue:
        return _call("floor_div", lhs, self)

    def __mod__(self, rhs: TensorValueLike) -> TensorValue:
        return _call("mod", self, rhs)

    def __rmod__(self, lhs: TensorValueLike) -> TensorValue:
        return _call("mod", lhs, self)

    def __divmod__(self, rhs: TensorValueLike) -> tuple[TensorValue, TensorValue]:
        return self // rhs, self % rhs

    def __pow__(self, rhs: TensorValueLike) -> TensorValue:
        return _call("pow", self, rhs)

    def __rpow__(self, lhs: TensorValueLike) -> TensorValue:
        return _call("pow", lhs, self)

    def __matmul__(self, rhs: TensorValueLike) -> TensorValue:
        return _call("matmul", self, rhs)

    def __rmatmul__(self, lhs: TensorValueLike) -> TensorValue:
        return _call("matmul", lhs, self)

    def __eq__(self, rhs: object) -> TensorValue:  # type: ignore[override]  # a tensor of bools, as in numpy
        return _call("equal", self, rhs)

    def __ne__(self, rhs: object) -> TensorValue:  # type: ignore[override]
        return _call("not_equal", self, rhs)

    def __lt__(self, rhs: TensorValueLike) -> TensorValue:
        return _call("less", self, rhs)

    def __le__(self, rhs: TensorValueLike) -> TensorValue:
        return _call("less_equal", self, rhs)

    def __gt__(self, rhs: TensorValueLike) -> TensorValue:
        return _call("greater", self, rhs)

    def __ge__(self, rhs: TensorValueLike) -> TensorValue:
        return _call("greater_equal", self, rhs)

    def __and__(self, rhs: TensorValueLike) -> TensorValue:
        return _call("logical_and", self, rhs)

    def __rand__(self, lhs: TensorValueLike) -> TensorValue:
        return _call("logical_and", lhs, self)

    def __or__(self, rhs: TensorValueLike) -> TensorValue:
        return _call("logical_or", self, rhs)

    def __ror__(self, lhs: TensorValueLike) -> TensorValue:
        return _call("logical_or", lhs, self)

    def __xor__(self, rhs: TensorValueLike) -> TensorValue:
        return _call("logical_xor", self, rhs)

    def __rxor__(self, lhs: TensorValueLike) -> TensorValue:
        return _call("logical_xor", lhs, self)

    def __invert__(self) -> TensorValue:
        return _call("logical_not", self)

    def __neg__(self) -> TensorValue:
        return _call("negate", self)

    def __abs__(self) -> TensorValue:
        return _call("abs", self)

    def __round__(self) -> TensorValue:
        return _call("round", self)

    def __hash__(self) -> int:
        return id(self)

    def __bool__(self) -> NoReturn:
        self._has_no_value(
            "so it cannot decide an `if`, `while`, `and`, `or` or `not`",
            "ops.where(condition, x, y) to choose elements, ops.cond(...) to choose between branches, "
            "and & | ~ for logic",
        )

    def __iter__(self) -> NoReturn:
        self._has_no_value("so it cannot be looped over", "ops.split(...) or indexing, x[i]")

    def __len__(self) -> NoReturn:
        self._has_no_value("and may have a symbolic extent", "x.shape[0]")

    def __contains__(self, item: object) -> NoReturn:
        self._has_no_value("so `in` has no answer", "an elementwise comparison, x == item")

    def __int__(self) -> NoReturn:
        self._has_no_value("so int() has no answer", "x.cast(DType.int64)")

    def __float__(self) -> NoReturn:
        self._has_no_value("so float() has no answer", "x.cast(DType.float32)")

    def __array__(self, *args: Any, **kwargs: Any) -> NoReturn:
        self._has_no_value("so numpy cannot read it", "the functions of workshop.graph.ops on it")

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> TensorValue:
        """Compute `array + tensor` as a graph op; refuse `np.exp(tensor)`, which has no numbers yet."""
        reflected = _REFLECTED.get(ufunc.__name__)
        if method == "__call__" and reflected and not options and not isinstance(inputs[0], TensorValue):
            made: TensorValue = getattr(self, reflected)(inputs[0])
            return made
        self._has_no_value(f"so np.{ufunc.__name__} cannot compute it", f"ops.{ufunc.__name__}(...)")

    def _has_no_value(self, consequence: str, instead: str) -> NoReturn:
        text = f"a tensor ({self.type}) has no value while the graph is built, {consequence}. Use {instead}."
        raise GraphError(text, caller_loc())

    def __repr__(self) -> str:
        return f"TensorValue({self.type})"


_REFLECTED = {
    "add": "__radd__", "subtract": "__rsub__", "multiply": "__rmul__", "divide": "__rtruediv__",
    "floor_divide": "__rfloordiv__", "remainder": "__rmod__", "power": "__rpow__", "matmul": "__rmatmul__",
    "less": "__gt__", "less_equal": "__ge__", "greater": "__lt__", "greater_equal": "__le__",
    "equal": "__eq__", "not_equal": "__ne__", "bitwise_and": "__rand__", "bitwise_or": "__ror__",
    "bitwise_xor": "__rxor__",
}  # fmt: skip


def _call(name: str, *args: Any, **kwargs: Any) -> TensorValue:
    made: TensorValue = functions[name](*args, **kwargs)
    return made
