"""What a wrong graph is told: while building, at the user's own line, with every input and what to do."""

import sys

import numpy as np
import pytest

from workshop.dtype import DType
from workshop.errors import GraphError
from workshop.graph import DeviceRef, Dim, Graph, TensorType, TensorValue, Weight, ops

F32, I32 = DType.float32, DType.int32
GPU = DeviceRef.GPU()


def here():
    return sys._getframe(1).f_lineno


@pytest.fixture
def graph():
    types = [
        TensorType(F32, [2, 3]),
        TensorType(I32, [2, 3]),
        TensorType(F32, ["n", 3]),
        TensorType(F32, [2, 3], GPU),
    ]
    with Graph("wrong", input_types=types) as graph:
        yield graph


@pytest.fixture
def x(graph):
    return graph.inputs[0]


def refuses(match, call):
    with pytest.raises(GraphError, match=match) as caught:
        call()
    error = caught.value
    assert error.loc is not None and error.loc.file == __file__
    assert error.__context__ is None or error.__suppress_context__
    return error


def test_error__points_at_the_users_line_and_prints_every_input(x):
    with pytest.raises(GraphError) as caught:
        line = here() + 1
        ops.softmax(x, axis=5)
    error = caught.value
    assert error.loc.line == line
    assert error.loc.source.strip() == "ops.softmax(x, axis=5)"
    assert str(error) == (
        "softmax: axis 5 out of bounds for rank 2: out of range [-2, 1]\n"
        "  value: float32[2, 3]\n"
        "  axis: 5\n"
        f"  test_errors.py, line {line}\n"
        "    ops.softmax(x, axis=5)\n"
        "    ^^^^^^^^^^^^^^^^^^^^^^"
    )


def test_error__in_a_forward_function_points_into_it():
    def forward(x):
        y = x + 1
        return y @ y

    with pytest.raises(GraphError, match="inner dimensions differ") as caught:
        Graph("g", forward, [TensorType(F32, [2, 3])])
    assert caught.value.loc.source.strip() == "return y @ y"


def test_error__is_a_value_error(x):
    with pytest.raises(ValueError):
        ops.sqrt(x > 0)


# --- the six points where errors usually come late or not at all


def test_bool__points_to_where_and_cond(x):
    with pytest.raises(
        GraphError, match=r"has no value while the graph is built.*ops.where.*ops.cond"
    ) as caught:
        line = here() + 1
        if x > 0:
            pass
    assert caught.value.loc.line == line
    for wrong in (lambda: x and 1, lambda: not x, lambda: bool(x), lambda: 0 < x < 1):
        refuses("ops.where", wrong)


@pytest.mark.parametrize("name", ["sqrt", "exp", "softmax", "gelu", "rsqrt", "log"])
def test_float_ops__integers_are_refused_with_the_cast_to_write(graph, name):
    number = graph.inputs[1]
    refuses(r"needs a float dtype, got int32; cast it first, as in x.cast\(DType.float32\)",
            lambda: getattr(ops, name)(number))  # fmt: skip


def test_other_python_readings__say_what_to_use(x):
    refuses("ops.split", lambda: list(x))
    refuses("ops.split", lambda: [*x])
    refuses("x.shape", lambda: len(x))
    refuses("x == item", lambda: 1 in x)
    refuses("int64", lambda: int(x))
    refuses("float32", lambda: float(x))
    refuses("workshop.graph.ops", lambda: np.asarray(x))


# --- elementwise


def test_add__shapes_that_do_not_broadcast(graph):
    x, _, named, _ = graph.inputs
    refuses(
        r"shapes \[2, 3\] and \[4\] do not broadcast: axis -1 is 3 and 4", lambda: x + np.ones(4, np.float32)
    )
    refuses(
        r"axis -2 is 2 and n. If they are equal when the model runs, say so: x.rebind\(\[2, 3\]\)",
        lambda: x + named,
    )


def test_div__mismatched_devices(graph):
    x, _, _, far = graph.inputs
    error = refuses("must be on the same device, got cpu:0, gpu:0", lambda: x / far)
    assert "lhs: float32[2, 3]\n" in str(error) and "rhs: float32[2, 3] on gpu:0" in str(error)
    ops.assert_same_device(x, x)
    refuses("same device", lambda: ops.assert_same_device(x, other=far))


UNSAFE = [
    (DType.int32, DType.float32), (DType.int64, DType.float32), (DType.int32, DType.uint32),
    (DType.int8, DType.uint8),
    (DType.float16, DType.bfloat16), (DType.int32, DType.float16), (DType.uint64, DType.int64),
]  # fmt: skip


@pytest.mark.parametrize("a, b", UNSAFE, ids=str)
def test_promotion__unsafe_casts_are_refused(a, b):
    with Graph("g", input_types=[TensorType(a, [2]), TensorType(b, [2])]) as graph:
        x, y = graph.inputs
        refuses("Unsafe cast.*Cast one operand yourself", lambda: x + y)
        refuses("Unsafe cast", lambda: ops.concat([y, x]))


@pytest.mark.parametrize("dtype, number", [
    (DType.uint8, 300), (DType.uint8, -1), (DType.int32, 2.5), (DType.float32, 16777217),
    (DType.float16, 1e6),
    (DType.bool, 2), (DType.int8, float("nan")), (DType.float32, np.array([0.1])), (DType.int64, 1e300),
    (DType.uint64, np.array([-1])), (DType.int64, np.array([2**63], np.uint64)),
], ids=str)  # fmt: skip
def test_promotion__a_number_must_survive(dtype, number):
    with Graph("g", input_types=[TensorType(dtype, [1])]) as graph:
        refuses("Unsafe cast", lambda: ops.add(graph.inputs[0], number))


@pytest.mark.parametrize("dtype, number", [
    (DType.uint8, 255), (DType.int32, 2.0), (DType.float32, 0.1), (DType.float32, float("inf")),
    (DType.bfloat16, 0.1),
    (DType.float16, np.float32(0.1)), (DType.float32, np.array([0.5])), (DType.float32, 16777216),
    (DType.bfloat16, -3),
], ids=str)  # fmt: skip
def test_promotion__a_number_that_survives(dtype, number):
    with Graph("g", input_types=[TensorType(dtype, [1])]) as graph:
        assert (graph.inputs[0] + number).dtype is dtype


def test_operand__not_a_tensor(x):
    refuses(r"'a' \(str\) cannot be a tensor", lambda: x + "a")
    refuses(r"write ops.constant\(\[1, 2, 3\]", lambda: x + [1, 2, 3])
    refuses("complex128", lambda: x + np.ones(3, complex))


def test_logic__needs_bools(x):
    refuses("needs bool dtype, got float32; compare first, as in x != 0", lambda: x & x)
    refuses("the condition needs bool dtype", lambda: ops.where(x, x, x))


# --- axes, shapes, indices


@pytest.mark.parametrize("call", [
    lambda x: x.sum(2), lambda x: x.max(-3), lambda x: ops.concat([x, x], 2), lambda x: ops.squeeze(x, 7),
    lambda x: x.transpose(0, 2), lambda x: ops.unsqueeze(x, 4), lambda x: ops.cumsum(x, 9),
    lambda x: x.permute([0, 5]),
])  # fmt: skip
def test_axis__out_of_range(x, call):
    refuses(r"axis -?\d out of bound.*out of range", lambda: call(x))


@pytest.mark.parametrize("match, call", [
    (r"\[2, 3\] has 6 elements, \[4\] has 4", lambda x: x.reshape([4])),
    ("the -1 in .* has no value: 6 elements do not split into", lambda x: x.reshape([4, -1])),
    ("only one dimension may be -1", lambda x: x.reshape([-1, -1])),
    ("must be non-negative", lambda x: x.reshape([-2, 3])),
    ("must be non-negative", lambda x: ops.split(x, [-1, 3])),
    ("must be non-negative", lambda x: ops.pad(x, [0, 0, -1, 0])),
    ("must be non-negative", lambda x: ops.repeat_interleave(x, -1)),
    ("must be non-negative", lambda x: ops.band_part(x, -2)),
    ("must be non-negative", lambda x: ops.top_k(x, -1)),
    (r"pieces \[1, 2\] add up to 3, axis 0 of \[2, 3\] is 2", lambda x: ops.split(x, [1, 2])),
    ("which 2 chunks do not divide", lambda x: ops.chunk(x, 2, 1)),
    ("is 3, only an extent of 1 can be dropped", lambda x: ops.squeeze(x, 1)),
    ("does not broadcast to|do not broadcast", lambda x: x.broadcast_to([2, 4])),
    ("needs all 2 dimensions", lambda x: x.permute([0])),
    ("name one axis twice", lambda x: x.permute([0, 0])),
    ("must have at least 2 dimensions", lambda x: x[0].T),
    ("must have at least 2 dimensions", lambda x: ops.band_part(x[0])),
    ("only axis 0 may differ", lambda x: ops.concat([x, x[:, :2]])),
    (r"tensor 1 is \[3\], tensor 0 is \[2, 3\]", lambda x: ops.stack([x, x[0]])),
    ("index 2 is out of bounds for axis 0 of extent 2; use -2 to 1", lambda x: x[2]),
    ("3 indices are out of range for rank 2", lambda x: x[0, 0, 0]),
    ("one `...`", lambda x: x[..., ...]),
    ("a bool is no index", lambda x: x[True]),
    ("int other than 0", lambda x: x[::0]),
    ("k = 4 is out of range", lambda x: ops.top_k(x, 4)),
    ("indices need an integer dtype, got float32", lambda x: ops.gather(x, x, 0)),
    ("indices name 3 axes", lambda x: ops.gather_nd(x, np.zeros((1, 3), int))),
    (r"updates are \[3\]", lambda x: ops.scatter_nd(x, x[0], np.zeros((2, 1), int))),
    ("updates are int32", lambda x: ops.scatter(x, x.cast(I32), np.zeros((2, 3), int))),
    (r"\[2, 3\] ends in 3, \[2, 3\] has 2 rows. Transpose the second: x @ w.T", lambda x: x @ x),
    ("takes two vectors", lambda x: ops.outer(x, x)),
    ("epsilon must be positive, got 0", lambda x: ops.rms_norm(x, x[0], 0)),
    ("epsilon must be positive", lambda x: ops.layer_norm(x, x[0], x[0], -1e-5)),
    (r"a weight is \[2\], the last dimension of \[2, 3\] needs \[3\]",
     lambda x: ops.rms_norm(x, x[:, 0], 1e-5)),
    ("do not split into 2 groups", lambda x: ops.group_norm(x, x[0], x[0], 2, 1e-5)),
    ("step must not be 0", lambda x: ops.range(0, 5, 0, dtype=I32, device=DeviceRef.CPU())),
    ("known only when the model runs: name the extent",
     lambda x: ops.range(0, x[0, 0], dtype=I32, device=x.device)),
    ("300 is out of range for int8, which holds -128 to 127", lambda x: ops.constant(300, DType.int8)),
    ("round it, or give a float dtype", lambda x: ops.constant([0.5], I32)),
    ("no tensor", lambda x: ops.constant([[1], [1, 2]])),
    ("'none', 'tanh' or 'quick', not 'fast'", lambda x: ops.gelu(x, "fast")),
    ("a second tensor or an axis, not both", lambda x: ops.max(x, x, axis=0)),
    ("mode is 'constant'", lambda x: ops.pad(x, [0] * 4, "wrap")),
    ("needs at least one tensor", lambda x: ops.concat([])),
    ("must be a bool scalar, got bool", lambda x: ops.cond(x > 0, None, lambda: x, lambda: x)),
    ("branches must return the same types", lambda x: ops.cond(x[0, 0] > 0, None, lambda: x, lambda: x[0])),
    ("body must return the types", lambda x: ops.while_loop(x, lambda y: y[0, 0] > 0, lambda y: y[0])),
])  # fmt: skip
def test_op__refuses_while_building(x, match, call):
    refuses(match, lambda: call(x))


def test_rebind__shape_check(graph):
    x, _, named, _ = graph.inputs
    assert named.rebind([2, 3]).shape == [2, 3]
    refuses("rebind shape check failed", lambda: x.rebind([2, 4]))
    refuses("rebind shape check failed.*rank", lambda: x.rebind([6]))


def test_dimension__unknown_name(x):
    refuses("dimension 'rows' .*is bound by no input", lambda: ops.broadcast_to(x, ["rows", 2, 3]))


def test_slice__negative_steps_over_names_take_no_bounds(graph):
    refuses("reverse it first", lambda: graph.inputs[2][3:1:-1])


# --- the graph itself


def test_op__outside_a_graph():
    refuses("no graph is being built here", lambda: ops.constant(1))
    with pytest.raises(LookupError, match="no graph is being built"):
        Graph.current  # noqa: B018


def test_value__of_another_graph(x):
    with Graph("other"):
        refuses("belongs to graph 'wrong', not to graph 'other'", lambda: x + 1)


def test_weight__already_exists(graph):
    weight = Weight("w", F32, [2])
    assert graph.add_weight(weight) is graph.add_weight(weight)
    for another in (Weight("w", F32, [2]), Weight("w", F32, [3])):
        refuses("already exists as float32.*share one Weight", lambda w=another: graph.add_weight(w))


def test_tensor_type__negative_dimension_and_no_dtype():
    refuses("must be non-negative", lambda: TensorType(F32, [2, -1]))
    refuses("needs a DType", lambda: TensorType("float32", [2]))


def test_output__once(graph, x):
    graph.output(x)
    refuses("has its outputs already", lambda: graph.output(x))


def test_graph__current_and_nesting(graph):
    assert Graph.current is graph
    with Graph("inner") as inner:
        assert Graph.current is inner
    assert Graph.current is graph


def test_listing__is_the_same_every_time():
    def build():
        def forward(x, n):
            y = ops.cond(n > 0, None, lambda: x * 2, lambda: x)[0]
            return ops.rms_norm(y, Weight("norm", F32, [4]), 1e-6), y[:, 1:]

        return Graph("listed", forward, [TensorType(F32, ["batch", 4]), TensorType(I32, [])])

    text = """\
graph listed(%0: float32[batch, 4], %1: int32[]) -> float32[batch, 4], float32[batch, 3]
  weight @norm : float32[4]
  %2 = constant(0) : int32[]
  %3 = greater(%1, %2) : bool[]
  %4 = cond(%3, %0) : float32[batch, 4]
    graph then() -> float32[batch, 4]
      %5 = constant(2.0) : float32[]
      %6 = mul(%0, %5) : float32[batch, 4]
      output %6
    graph else() -> float32[batch, 4]
      output %0
  %7 = rms_norm(%4, @norm, epsilon=1e-06, weight_offset=0.0, multiply_before_cast=False) : float32[batch, 4]
  %8 = slice(%4, steps=[:, 1:]) : float32[batch, 3]
  output %7, %8"""
    assert repr(build()) == repr(build()) == text


def test_type__shape_is_a_list():
    with pytest.raises(GraphError, match=r"a shape is a list of dimensions: \[4\], not 4"):
        TensorType(DType.float32, 4)


def test_value__text(x):
    assert repr(x) == "TensorValue(float32[2, 3])" and isinstance(TensorValue(2), TensorValue)
    assert Dim("n") + 1 == x.graph.inputs[2].shape[0] + 1


def test_numpy_function__of_a_tensor_names_the_op_to_use():
    with Graph("g", input_types=[TensorType(DType.float32, [2], DeviceRef.CPU())]) as graph:
        x = graph.inputs[0].tensor
        with pytest.raises(GraphError, match=r"np.exp cannot compute it. Use ops.exp\(...\)"):
            np.exp(x)
        with pytest.raises(GraphError, match="np.add cannot compute it"):
            np.add.reduce(x)
