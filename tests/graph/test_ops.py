"""Each op against numpy, over shapes and dtypes."""

import math

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from workshop.dtype import DType
from workshop.graph import DeviceRef, Dim, TensorType, TensorValue, Weight, ops

F32 = np.float32
CPU = DeviceRef.CPU()
few = settings(max_examples=25, deadline=None)
shapes = hnp.array_shapes(min_dims=0, max_dims=3, max_side=4)


def floats(shape, low=-4, high=4):
    return hnp.arrays(np.float32, shape, elements=st.floats(low, high, width=32))


def arange(*shape, dtype=np.float32):
    return np.arange(math.prod(shape)).reshape(shape).astype(dtype)


UNARY = {
    "abs": np.abs,
    "acos": np.arccos,
    "atanh": np.arctanh,
    "ceil": np.ceil,
    "cos": np.cos,
    "erf": lambda x: np.vectorize(math.erf, otypes=[float])(x),
    "exp": np.exp,
    "floor": np.floor,
    "gelu": lambda x: 0.5 * x * (1 + np.vectorize(math.erf, otypes=[float])(x / math.sqrt(2))),
    "is_inf": np.isinf,
    "is_nan": np.isnan,
    "log": np.log,
    "log1p": np.log1p,
    "negate": np.negative,
    "relu": lambda x: np.maximum(x, 0),
    "round": np.rint,
    "rsqrt": lambda x: 1 / np.sqrt(x),
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "silu": lambda x: x / (1 + np.exp(-x)),
    "sin": np.sin,
    "sqrt": np.sqrt,
    "tanh": np.tanh,
    "trunc": np.trunc,
}


@pytest.mark.parametrize("name", UNARY)
@few
@given(data=st.data())
def test_unary__against_numpy_in_float64(run, close, name, data):
    low = {"log": 0.125, "log1p": -0.875, "rsqrt": 0.125, "sqrt": 0, "acos": -1, "atanh": -0.875}.get(
        name, -4
    )
    high = {"acos": 1, "atanh": 0.875}.get(name, 4)
    x = data.draw(floats(data.draw(shapes), low, high))
    close(run(getattr(ops, name), x), UNARY[name](x.astype(np.float64)))


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16])
def test_unary__16_bit_floats_round_once(run, dtype):
    x = np.linspace(-3, 3, 101).astype(dtype)
    wide = x.astype(np.float32)
    assert (run(ops.gelu, x) == run(ops.gelu, wide).astype(dtype)).all()
    assert (run(ops.exp, x) == np.exp(wide).astype(dtype)).all()


@pytest.mark.parametrize("approximate", ["tanh", "quick"])
def test_gelu__approximations_are_near(run, approximate):
    x = np.linspace(-4, 4, 50).astype(F32)
    assert np.abs(run(lambda x: ops.gelu(x, approximate), x) - run(ops.gelu, x)).max() < 0.03


def test_sigmoid__far_from_zero(run):
    assert run(ops.sigmoid, np.array([-1000, 1000], F32)).tolist() == [0, 1]


BINARY = {
    "add": np.add,
    "sub": np.subtract,
    "mul": np.multiply,
    "equal": np.equal,
    "not_equal": np.not_equal,
    "less": np.less,
    "less_equal": np.less_equal,
    "greater": np.greater,
    "greater_equal": np.greater_equal,
    "max": np.maximum,
    "min": np.minimum,
}


@pytest.mark.parametrize("name", BINARY)
@pytest.mark.parametrize("dtype", [np.float32, np.int8, np.uint16, np.int64])
@few
@given(data=st.data())
def test_binary__broadcasts_like_numpy(run, name, dtype, data):
    both = data.draw(hnp.mutually_broadcastable_shapes(num_shapes=2, max_dims=3, max_side=4))
    low = 0 if np.dtype(dtype).kind == "u" else -5
    x, y = (np.random.default_rng(3).integers(low, 6, s).astype(dtype) for s in both.input_shapes)
    got, want = run(getattr(ops, name), x, y), BINARY[name](x, y)
    assert got.dtype == want.dtype and got.shape == want.shape and (got == want).all()


@pytest.mark.parametrize("dtype", [np.float32, np.int32])
@few
@given(data=st.data())
def test_floor_div_and_mod__are_pythons(run, dtype, data):
    x = data.draw(hnp.arrays(np.int32, 5, elements=st.integers(-9, 9))).astype(dtype)
    y = data.draw(hnp.arrays(np.int32, 5, elements=st.integers(1, 4))).astype(dtype)
    y[::2] *= -1
    quotient, rest = run(divmod, x, y)
    assert quotient.tolist() == [a // b for a, b in zip(x.tolist(), y.tolist(), strict=True)]
    assert rest.tolist() == [a % b for a, b in zip(x.tolist(), y.tolist(), strict=True)]


def test_floor_div__integer_by_zero_is_zero(run):
    assert run(ops.floor_div, np.array([5, -5]), np.array([0, 0])).tolist() == [0, 0]


def test_div__integers_are_divided_as_float64(run):
    got = run(ops.div, np.array([1, 7]), np.array([3, 2]))
    assert got.dtype == np.float64 and got.tolist() == [1 / 3, 3.5]


def test_div__by_zero_follows_ieee(run):
    assert run(ops.div, np.array([1, 0], F32), np.array([0, 0], F32)).tolist() == pytest.approx(
        [np.inf, np.nan], nan_ok=True
    )


def test_pow__integers(run):
    x, y = np.array([2, -1, -1, 1, 5, 0]), np.array([10, -3, -2, -7, -1, 0])
    assert run(ops.pow, x, y).tolist() == [1024, -1, 1, 1, 0, 1]


def test_logic(run):
    x, y = np.array([0, 0, 1, 1], bool), np.array([0, 1, 0, 1], bool)
    made = run(lambda x, y: [x & y, x | y, x ^ y, ~x], x, y)
    assert [m.astype(int).tolist() for m in made] == [[0, 0, 0, 1], [0, 1, 1, 1], [0, 1, 1, 0], [1, 1, 0, 0]]


def test_where__broadcasts_all_three(run):
    c, x, y = np.array([[True], [False]]), np.array([1, 2], F32), np.array(9, F32)
    assert run(ops.where, c, x, y).tolist() == [[1, 2], [9, 9]]
    assert run(lambda c, x: ops.where(c, x, 0.5), c, x).tolist() == [[1, 2], [0.5, 0.5]]


# --- operators and promotion


def test_operators__python_and_numpy_operands_on_both_sides(run, close):
    x = np.array([1, 2, 4], F32)
    made = run(
        lambda x: [x + 1, 1 + x, x - 1, 1 - x, x * 2.5, 2 / x, x**2, 2**x, 7 // x, 7 % x, -x, abs(-x)], x
    )
    want = [x + 1, x + 1, x - 1, 1 - x, x * 2.5, 2 / x, x**2, 2**x, 7 // x, 7 % x, -x, x]
    for got, expected in zip(made, want, strict=True):
        close(got, expected)
    array = np.array([1, 2, 3], F32)
    close(run(lambda x: array + x, x), array + x)
    made = run(lambda x: [array - x, array / x, array // x, array % x, array**x, array[0] - x, array @ x], x)
    want = [array - x, array / x, array // x, array % x, array**x, 1 - x, array @ x]
    for got, expected in zip(made, want, strict=True):
        close(got, expected)
    made = run(lambda x: [array < x, array <= x, array > x, array >= x, array == x, array != x], x)
    want = [array < x, array <= x, array > x, array >= x, array == x, array != x]
    assert [got.tolist() for got in made] == [expected.tolist() for expected in want]
    close(run(lambda x: x * np.float64(0.1), x), x * F32(0.1))
    assert run(lambda x: x * np.sqrt(2), x).dtype == np.float32


@pytest.mark.parametrize("small, large", [("int8", "int32"), ("uint8", "int16"), ("float16", "float32"),
                                          ("bfloat16", "float32"), ("bool", "int8"), ("int16", "float32"),
                                          ("float32", "float64"), ("uint32", "float64")])  # fmt: skip
def test_promotion__to_the_wider_when_exact(run, small, large):
    x, y = (np.ones(2, DType(name).to_numpy()) for name in (small, large))
    assert run(ops.add, x, y).dtype == y.dtype == run(ops.add, y, x).dtype


def test_cast__as_kernels_do(run):
    x = np.array([3.9, -3.9, 300, -300, np.nan, np.inf, -np.inf], F32)
    assert run(lambda x: x.cast(DType.int8), x).tolist() == [3, -3, 127, -128, 0, 127, -128]
    assert run(lambda x: x.cast(DType.uint64), x).tolist() == [3, 0, 300, 0, 0, 2**64 - 1, 0]
    assert run(lambda x: x.cast(DType.uint8), np.array([-1, 256, 257])).tolist() == [255, 0, 1]
    assert run(lambda x: x.cast(DType.bool), np.array([0, 0.5], F32)).tolist() == [False, True]


# --- reductions


@pytest.mark.parametrize("name", ["sum", "mean", "max", "min", "prod", "argmax", "argmin", "var", "stdev"])
@few
@given(data=st.data())
def test_reduction__against_numpy(run, close, name, data):
    shape = data.draw(hnp.array_shapes(min_dims=1, max_dims=3, max_side=4))
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    x = data.draw(floats(shape))
    numpy_name = {"stdev": "std"}.get(name, name)
    op = TensorValue.stdev if name == "stdev" else getattr(ops, name)
    want = getattr(np, numpy_name)(x.astype(np.float64), axis=axis, keepdims=True)
    got = run(lambda x: op(x, axis=axis), x)
    close(got, want, rtol=2e-3 if name == "stdev" else 1e-5)


def test_reduction__methods_take_the_last_axis(run):
    x = arange(2, 3)
    made = run(lambda x: [x.max(), x.min(), x.mean(), x.sum(), x.argmax(), x.var()], x)
    assert [m.shape for m in made] == [(2, 1)] * 6
    assert made[0].tolist() == [[2], [5]] and made[4].dtype == np.int64


def test_sum__float16_adds_up_in_float32(run):
    x = np.full(4096, 1.0, np.float16)
    assert run(ops.sum, x).tolist() == [4096]


@pytest.mark.parametrize("exclusive", [False, True])
@pytest.mark.parametrize("reverse", [False, True])
def test_cumsum(run, exclusive, reverse):
    x = np.array([[1, 2, 3], [4, 5, 6]])
    ordered = x[:, ::-1] if reverse else x
    want = np.cumsum(ordered, 1) - (ordered if exclusive else 0)
    got = run(lambda x: ops.cumsum(x, 1, exclusive, reverse), x)
    assert got.tolist() == (want[:, ::-1] if reverse else want).tolist()


def test_top_k__ties_and_nan(run):
    x = np.array([[3, 1, 3, np.nan]], F32)
    values, places = run(lambda x: ops.top_k(x, 2), x)
    assert values.tolist() == [[3, 3]] and places.tolist() == [[0, 2]]
    values, places = run(lambda x: ops.bottom_k(x, 2), x)
    assert values.tolist() == [[1, 3]] and places.tolist() == [[1, 0]]
    assert run(ops.argsort, np.array([3, 1, 2, 1])).tolist() == [1, 3, 2, 0]
    assert run(lambda x: ops.argsort(x, ascending=False), np.array([3, 1, 2, 1])).tolist() == [0, 2, 1, 3]


# --- movement


def test_reshape__minus_one_and_names(run):
    x = arange(2, 3, 4)
    assert run(lambda x: x.reshape([6, -1]), x).shape == (6, 4)
    assert run(lambda x: x.reshape(["b", -1]), x, shapes=[["b", 3, 4]]).shape == (2, 12)
    assert run(lambda x: x.reshape([Dim("b") * 3, 2, 2]), x, shapes=[["b", 3, 4]]).shape == (6, 2, 2)
    assert run(lambda x: x.reshape([-1]), x, shapes=[["b", "s", 4]]).shape == (24,)
    assert run(lambda x: x.reshape([x.shape[0], x.shape[1] + 0, 2, -1]), x, shapes=[["b", "s", 4]]).shape == (
        2,
        3,
        2,
        2,
    )


def test_flatten_squeeze_unsqueeze(run):
    x = arange(2, 1, 3)
    assert run(lambda x: x.flatten(), x).shape == (6,)
    assert run(lambda x: x.flatten(1), x).shape == (2, 3)
    assert run(lambda x: ops.squeeze(x, 1), x).shape == (2, 3)
    assert run(lambda x: ops.unsqueeze(x, -1), x).shape == (2, 1, 3, 1)
    assert run(lambda x: ops.unsqueeze(x, 0), x).shape == (1, 2, 1, 3)


def test_permute_and_transpose(run):
    x = arange(2, 3, 4)
    assert (run(lambda x: x.permute([2, 0, 1]), x) == x.transpose(2, 0, 1)).all()
    assert (run(lambda x: x.transpose(0, -1), x) == x.swapaxes(0, 2)).all()
    assert (run(lambda x: x.T, x) == x.swapaxes(1, 2)).all()


def test_broadcast_to_and_tile_and_repeat(run):
    x = arange(2, 1)
    assert (run(lambda x: x.broadcast_to([3, 2, 4]), x) == np.broadcast_to(x, (3, 2, 4))).all()
    assert run(lambda x: x.broadcast_to(["b", 5]), x, shapes=[["b", 1]]).shape == (2, 5)
    assert (run(lambda x: ops.tile(x, [2, 3]), x) == np.tile(x, (2, 3))).all()
    assert (run(lambda x: ops.repeat_interleave(x, 2, axis=0), x) == np.repeat(x, 2, 0)).all()
    assert (run(lambda x: ops.repeat_interleave(x, 3), x) == np.repeat(x, 3)).all()


def test_concat__dimensions_add_up(run):
    x, y = arange(2, 3), arange(4, 3) * 10
    graph_shape = []

    def forward(x, y):
        joined = ops.concat([x, y], axis=0)
        graph_shape.append(joined.shape)
        return joined

    assert (run(forward, x, y, shapes=[["past", 3], ["now", 3]]) == np.concatenate([x, y])).all()
    assert graph_shape == [[Dim("past") + "now", 3]]


def test_stack_split_chunk(run):
    x = arange(4, 3)
    assert (run(lambda x: ops.stack([x, x + 1], axis=1), x) == np.stack([x, x + 1], 1)).all()
    parts = run(lambda x: ops.split(x, [1, 3], axis=0), x)
    assert [p.shape for p in parts] == [(1, 3), (3, 3)] and (np.concatenate(parts) == x).all()
    halves = run(lambda x: ops.chunk(x, 2), x, shapes=[[Dim("n") * 2, 3]])
    assert (halves[1] == x[2:]).all()


@pytest.mark.parametrize("mode", ["constant", "reflect", "edge"])
def test_pad(run, mode):
    x = arange(3, 4)
    assert (run(lambda x: ops.pad(x, [1, 0, 2, 1], mode), x) == np.pad(x, [(1, 0), (2, 1)], mode)).all()


def test_band_part__causal_mask(run):
    x = np.ones((3, 3), F32)
    assert (run(lambda x: ops.band_part(x, None, 0), x) == np.tril(x)).all()
    assert (run(lambda x: ops.band_part(x, None, 0, exclude=True), x) == np.triu(x, 1)).all()


# --- slicing

INDICES = [
    np.s_[0], np.s_[-1], np.s_[1:], np.s_[:-1], np.s_[::2], np.s_[::-1], np.s_[..., 0], np.s_[:, 1],
    np.s_[None],
    np.s_[0, ..., None], np.s_[:, None, 1:3], np.s_[1, 2, 3], np.s_[5:2], np.s_[-2:, :, ::2],
    np.s_[:100], ...,
]  # fmt: skip


@pytest.mark.parametrize("index", INDICES, ids=str)
def test_slicing__like_numpy(run, index):
    x = arange(3, 4, 5)
    want = x[index]
    got = run(lambda x: x[index], x)
    assert got.shape == want.shape and (got == want).all()


def test_slicing__names(run):
    x = arange(6, 4)
    assert (run(lambda x: x[:-1], x, shapes=[["n", 4]]) == x[:-1]).all()
    assert (run(lambda x: x[1:3], x, shapes=[["n", 4]]) == x[1:3]).all()
    assert (run(lambda x: x[::2], x, shapes=[["n", 4]]) == x[::2]).all()
    assert (run(lambda x: x[-1], x, shapes=[["n", 4]]) == x[-1]).all()


def test_slicing__dimension_as_bound(run):
    table, x = arange(8, 2), arange(3, 2)
    got = run(lambda table, x: table[: x.shape[0]] + x, table, x, shapes=[[8, 2], ["seq_len", 2]])
    assert (got == table[:3] + x).all()


def test_slicing__tensor_bounds_and_index(run):
    x, start = arange(8, 2), np.array(3)
    assert (run(lambda x, i: x[i], x, start) == x[3]).all()
    assert (run(lambda x, i: x[(slice(i, i + 2), 2), 0], x, start) == x[3:5, 0]).all()
    assert (run(lambda x, i: x[(slice(i, None), "rest")], x, start) == x[3:]).all()


# --- indexing


def test_gather__is_numpys_take(run):
    x, i = arange(4, 3), np.array([[0, 3], [-1, 1]])
    assert (run(lambda x, i: ops.gather(x, i, axis=0), x, i) == x[i]).all()
    assert (run(lambda x, i: ops.gather(x, i[0], axis=1), x, i % 3) == x[:, (i % 3)[0]]).all()


def test_gather_nd(run):
    x = arange(2, 3, 4)
    i = np.array([[0, 2], [1, 1]])
    assert (run(ops.gather_nd, x, i) == x[[0, 1], [2, 1]]).all()
    j = np.array([[[2], [0]], [[1], [1]]])
    got = run(lambda x, j: ops.gather_nd(x, j, batch_dims=1), x, j)
    assert (got == np.stack([x[0, [2, 0]], x[1, [1, 1]]])).all()


@pytest.mark.parametrize("end, combine", [("", None), ("_add", np.add), ("_max", np.maximum),
                                          ("_min", np.minimum),
                                          ("_mul", np.multiply)])  # fmt: skip
def test_scatter(run, end, combine):
    x, u, i = arange(4, 2), np.array([[5, -1], [7, 3], [2, 2]], F32), np.array([[0, 1], [0, 3], [2, -1]])
    want = x.copy()
    for row, column in np.ndindex(3, 2):
        place = (i[row, column], column)
        want[place] = u[row, column] if combine is None else combine(want[place], u[row, column])
    got = run(lambda x, u, i: getattr(ops, f"scatter{end}")(x, u, i, axis=0), x, u, i)
    assert (got == want).all()
    nd = run(lambda x, u, i: getattr(ops, f"scatter_nd{end}")(x, u, i), x, u[0], np.array([[1, 0], [3, 1]]))
    want = x.copy()
    for place, new in (((1, 0), 5), ((3, 1), -1)):
        want[place] = new if combine is None else combine(want[place], F32(new))
    assert (nd == want).all()


def test_nonzero__extent_is_bound_by_the_run(run):
    x = np.array([[0, 2], [3, 0]])
    got = run(lambda x: ops.nonzero(x, "count"), x)
    assert got.tolist() == [[0, 1], [1, 0]]


# --- products and norms


@few
@given(st.integers(1, 4), st.integers(1, 4), st.integers(1, 4), st.sampled_from([(), (2,), (3, 1)]))
def test_matmul__batches_broadcast(run, close, m, k, n, batch):
    rng = np.random.default_rng(m)
    x, y = rng.normal(size=(*batch, m, k)).astype(F32), rng.normal(size=(2, k, n)).astype(F32)
    close(run(ops.matmul, x, y), x.astype(float) @ y.astype(float), 1e-5)


def test_matmul__vectors_and_outer(run, close):
    x, y = arange(3), arange(3, 2)
    close(run(ops.matmul, x, y), x @ y)
    close(run(ops.matmul, y.T.copy(), x), y.T @ x)
    close(run(ops.matmul, x, x), x @ x)
    close(run(ops.outer, x, x), np.outer(x, x))


def test_matmul__bfloat16_adds_up_in_float32(run):
    x = np.full((1, 1024), 1, ml_dtypes.bfloat16)
    assert run(lambda x: x @ x.T, x).astype(float).tolist() == [[1024]]


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_softmax(run, close, axis):
    x = np.array([[1000, 1001, -np.inf], [0, 1, 2]], F32)
    below = x.astype(float) - x.max(axis, keepdims=True)
    powers = np.exp(below)
    close(run(lambda x: ops.softmax(x, axis), x), powers / powers.sum(axis, keepdims=True), 1e-5)
    y = x[:, :2].copy()
    close(run(lambda y: ops.logsoftmax(y), y), np.log(np.exp(y - y.max(1, keepdims=True).astype(float)) /
          np.exp(y - y.max(1, keepdims=True).astype(float)).sum(1, keepdims=True)), 1e-5)  # fmt: skip


def test_norms__against_torch(run, close):
    import torch
    from torch.nn import functional as F

    rng = np.random.default_rng(0)
    x, g, b = (rng.normal(size=s).astype(F32) for s in ((3, 4, 8), 8, 8))
    tx, tg, tb = map(torch.from_numpy, (x, g, b))
    close(
        run(lambda x, g, b: ops.layer_norm(x, g, b, 1e-5), x, g, b),
        F.layer_norm(tx, (8,), tg, tb, 1e-5).numpy(),
        1e-5,
    )
    close(run(lambda x, g: ops.rms_norm(x, g, 1e-6), x, g), F.rms_norm(tx, (8,), tg, 1e-6).numpy(), 1e-5)
    want = F.group_norm(tx.transpose(1, 2), 2, tg, tb, 1e-5).numpy()
    close(run(lambda x, g, b: ops.group_norm(x.T, g, b, 2, 1e-5), x, g, b), want, 1e-5)


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16])
def test_layer_norm__16_bit_floats_round_once(run, dtype):
    x = (np.random.default_rng(0).normal(size=(4, 64)) + 50).astype(dtype)
    ones, zeros = np.ones(64, dtype), np.zeros(64, dtype)
    norm = lambda x, g, b: ops.layer_norm(x, g, b, 1e-5)  # noqa: E731
    wide = run(norm, *(a.astype(F32) for a in (x, ones, zeros)))
    assert (run(norm, x, ones, zeros) == wide.astype(dtype)).all()


def test_rms_norm__bfloat16_rounds_where_it_says(run):
    x = np.random.default_rng(0).normal(size=(2, 64)).astype(ml_dtypes.bfloat16)
    w = np.random.default_rng(1).normal(size=64).astype(ml_dtypes.bfloat16)
    wide = x.astype(F32)
    normed = wide / np.sqrt((wide * wide).mean(-1, keepdims=True) + F32(1e-6))
    assert (run(lambda x, w: ops.rms_norm(x, w, 1e-6), x, w) == normed.astype(x.dtype) * w).all()
    once = run(lambda x, w: ops.rms_norm(x, w, 1e-6, multiply_before_cast=True), x, w)
    assert (once == (normed * w.astype(F32)).astype(x.dtype)).all()


# --- made of nothing


def test_operand__an_array_is_copied_when_it_joins_the_graph(run):
    array = np.array([1, 2], F32)

    def forward(x):
        made = x + array
        array[:] = 9
        return made

    assert run(forward, np.zeros(2, F32)).tolist() == [1, 2]


def test_constant__keeps_what_it_was_given(run):
    array = np.array([1, 2], F32)

    def forward(x):
        made = ops.constant(array)
        array[:] = 9
        return x + made

    assert run(forward, np.zeros(2, F32)).tolist() == [1, 2]


@pytest.mark.parametrize("value, dtype", [(1, DType.int64), (1.5, DType.float32), (True, DType.bool),
                                          ([[1.0, 2.0]], DType.float32),
                                          (np.float64(2), DType.float64)])  # fmt: skip
def test_constant__default_dtypes(run, value, dtype):
    made = run(lambda: ops.constant(value))
    assert DType.from_numpy(made.dtype) is dtype and made.tolist() == np.asarray(value).tolist()


def test_constant__float64_is_not_rounded_on_the_way(run):
    assert run(lambda: ops.constant(0.1, DType.float64)).item() == 0.1
    assert run(lambda: ops.constant([1, 2], DType.bfloat16)).astype(int).tolist() == [1, 2]


def test_constant__torch_tensor(run):
    import torch

    made = run(lambda: ops.constant(torch.tensor([1.5, 2], dtype=torch.bfloat16)))
    assert made.dtype == ml_dtypes.bfloat16 and made.astype(float).tolist() == [1.5, 2]


def test_range__numbers_names_tensors(run):
    def i32(*bounds, **more):
        return ops.range(*bounds, dtype=DType.int32, device=CPU, **more)

    x = np.zeros(4, F32)
    assert run(lambda: i32(2, 9, 3)).tolist() == [2, 5, 8]
    assert run(lambda: i32(5, 0, -2)).tolist() == [5, 3, 1]
    assert run(lambda x: i32(0, x.shape[0]), x, shapes=[["n"]]).tolist() == [0, 1, 2, 3]
    assert run(lambda x: i32(1, x.shape[0] + 1, 2), x, shapes=[["n"]]).tolist() == [1, 3]
    assert run(lambda i: i32(i, i + 3, out_dim=3), np.array(7)).tolist() == [7, 8, 9]
    assert run(lambda: ops.range(0, 1, 0.25, dtype=DType.float32, device=CPU)).tolist() == [
        0,
        0.25,
        0.5,
        0.75,
    ]


def test_dimensions_as_values(run):
    x = np.zeros((2, 6), F32)
    assert run(lambda x: ops.shape_to_tensor(x.shape), x, shapes=[["b", "s"]]).tolist() == [2, 6]
    assert run(lambda x: x + x.shape[1] * 2, x, shapes=[["b", "s"]]).max() == 12


def test_weights__by_name(run):
    weight = Weight("w", DType.float32, [3, 2])
    data = arange(3, 2)
    x = np.ones((1, 3), F32)
    got = run(lambda x: x @ weight + weight.T[0].sum() * 0, x, weights={"w": data})
    assert (got == x @ data).all()


# --- control flow


@pytest.mark.parametrize("flag", [True, False])
def test_cond__runs_one_branch_with_outer_values(run, flag):
    def forward(flag, x):
        y = x * 2
        return ops.cond(flag, None, lambda: y + x, lambda: [y - 1])

    got = run(forward, np.array(flag), np.array([1, 2], F32))
    assert got.tolist() == ([3, 6] if flag else [1, 3])


def test_while_loop__with_outer_values(run):
    def forward(x):
        start = ops.constant(0, DType.int64, CPU)
        return ops.while_loop([start, x], lambda i, y: i < 5, lambda i, y: [i + 1, y + x])

    count, total = run(forward, np.array([1, 2], F32))
    assert count.item() == 5 and total.tolist() == [6, 12]


def test_print__at_each_run(run, capsys):
    run(lambda x: [x.print("x"), x][1], np.array([1, 2]))
    assert capsys.readouterr().out == "x = array([1, 2])\n"


def test_attention__grouped_heads_with_rope_and_cache(run, close):
    """The shape of a Llama layer: B batch, S new tokens, P cached, H heads, K kv heads, D head size."""
    rng = np.random.default_rng(0)
    B, S, P, H, K, D = 2, 3, 4, 4, 2, 8
    q, k, v, cache_k, cache_v = (
        rng.normal(size=(B, length, heads, D)).astype(F32)
        for length, heads in ((S, H), (S, K), (S, K), (P, K), (P, K))
    )
    angles = rng.normal(size=(16, D // 2)).astype(F32)

    def rope(x, cos, sin):
        a, b = ops.split(x, [D // 2, D // 2], axis=-1)
        return ops.concat([a * cos - b * sin, b * cos + a * sin], axis=-1)

    def forward(q, k, v, cache_k, cache_v, angles):
        past, now = cache_k.shape[1], q.shape[1]
        window = ops.unsqueeze(angles[past : past + now], 1)
        cos, sin = ops.cos(window), ops.sin(window)
        keys = ops.concat([cache_k, rope(k, cos, sin)], axis=1)
        values = ops.concat([cache_v, v], axis=1)
        total = keys.shape[1]
        keys = ops.repeat_interleave(keys, H // K, axis=2).permute([0, 2, 3, 1])  # [B, H, D, T]
        wide = ops.repeat_interleave(values, H // K, axis=2).permute([0, 2, 1, 3])  # [B, H, T, D]
        scores = rope(q, cos, sin).permute([0, 2, 1, 3]) @ keys / D**0.5  # [B, H, S, T]
        rows = ops.unsqueeze(ops.range(past, past + now, dtype=DType.int64, device=CPU), 1)
        columns = ops.range(0, total, dtype=DType.int64, device=CPU)
        masked = ops.where(columns <= rows.rebind([total - past, 1]), scores, float("-inf"))
        made = ops.softmax(masked) @ wide
        return made.permute([0, 2, 1, 3]).reshape([q.shape[0], now, H * D])

    got = run(forward, q, k, v, cache_k, cache_v, angles,
              shapes=[["b", "s", H, D], ["b", "s", K, D], ["b", "s", K, D], ["b", "p", K, D],
                      ["b", "p", K, D], [16, D // 2]])  # fmt: skip
    assert got.shape == (B, S, H * D)

    import torch

    def turned(x):
        cos, sin = (f(angles[P : P + S])[:, None] for f in (np.cos, np.sin))
        a, b = x[..., : D // 2], x[..., D // 2 :]
        return torch.from_numpy(np.concatenate([a * cos - b * sin, b * cos + a * sin], -1)).transpose(1, 2)

    mask = torch.ones(S, P + S).tril(P).bool()
    keys = torch.cat([torch.from_numpy(cache_k).transpose(1, 2), turned(k)], 2)
    values = torch.cat([torch.from_numpy(cache_v), torch.from_numpy(v)], 1).transpose(1, 2)
    want = torch.nn.functional.scaled_dot_product_attention(turned(q), keys, values, mask, enable_gqa=True)
    close(got, want.transpose(1, 2).reshape(B, S, H * D).numpy(), 1e-5)


def test_type__text():
    assert str(TensorType(DType.float32, ["b", 3], DeviceRef.GPU(1))) == "float32[b, 3] on gpu:1"
