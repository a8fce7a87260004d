"""foreach and elementwise: the body becomes a kernel; nothing outside the tensors is touched."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workshop import compiler
from workshop.compiler import DeviceContextPtr, InputTensor, OutputTensor, elementwise, foreach, run_op
from workshop.driver import CPU, Buffer
from workshop.dtype import DType
from workshop.engine import InferenceSession
from workshop.errors import BoundsError, GraphError, KernelTypeError, WorkshopError
from workshop.gpu import global_idx, sqrt
from workshop.graph import DeviceRef, Graph, TensorType, ops

F32 = DType.float32


@pytest.fixture(params=["cpu", "checked"], autouse=True)
def device(request, monkeypatch):
    monkeypatch.setenv("WORKSHOP_DEVICE", request.param)
    return request.param


def run(name, *arrays, out=None, dtype=None, **parameters):
    """Run a registered op on arrays; the output has the shape and dtype of the first one unless said."""
    inputs = [Buffer.from_numpy(array) for array in arrays]
    kind = dtype or inputs[0].dtype
    output = Buffer(kind, arrays[0].shape if out is None else out)
    run_op(compiler.KernelLibrary()[name], inputs, [output], parameters)
    return output.to_numpy()


@compiler.register("test_scaled_sum")
class ScaledSum:
    @staticmethod
    def execute(output: OutputTensor, x: InputTensor, y: InputTensor, ctx: DeviceContextPtr, *, factor=1):
        def body(idx):
            return x[idx] * factor + y.load(idx)

        foreach(body, output, ctx)


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(1, 40), min_size=1, max_size=4).filter(lambda s: np.prod(s) < 5000))
def test_foreach__closes_over_tensors_in_every_rank(shape):
    x = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    assert (run("test_scaled_sum", x, x[::-1].copy(), factor=3) == x * 3 + x[::-1]).all()


@compiler.register("test_names")
class Names:
    @staticmethod
    def execute(output: OutputTensor, i: InputTensor, x: InputTensor, ctx: DeviceContextPtr):
        def doubled(idx):
            i = 2  # a variable named as the array outside
            return x[idx] * i

        def make_other(x):
            return lambda idx: x[idx]

        other = make_other(i)

        def body(row, col):
            return doubled((row, col)) + other((row, col)) * output.dim(0) + i[row, col]

        foreach(body, output, ctx)


def test_foreach__arrays_of_one_name_stay_apart():
    x, y = np.arange(6, dtype=np.float32).reshape(2, 3), np.full((2, 3), 100, np.float32)
    assert (run("test_names", y, x) == x * 2 + y * 2 + y).all()


def test_foreach__strided_inputs():
    x = np.arange(35, dtype=np.float32).reshape(5, 7)
    y = Buffer.from_numpy(np.stack([x, x + 100], axis=2))[:, :, 1]
    output = Buffer(F32, (5, 7))
    run_op(compiler.KernelLibrary()["test_scaled_sum"], [Buffer.from_numpy(x), y], [output], {})
    assert (output.to_numpy() == x + x + 100).all()


@compiler.register("test_grayscale")
class Grayscale:
    @staticmethod
    def execute(output: OutputTensor, pic: InputTensor, ctx: DeviceContextPtr):
        def luma(i, j):
            return 0.21 * pic[i, j, 0] + 0.71 * pic[i, j, 1] + 0.07 * pic[i, j, 2]

        foreach(luma, output, ctx)

    @staticmethod
    def shape(pic):
        return pic.shape[:2]


def test_foreach__one_argument_per_dimension():
    pic = np.random.default_rng(0).integers(0, 256, (33, 70, 3)).astype(np.float32)
    np.testing.assert_allclose(
        run("test_grayscale", pic, out=(33, 70)), pic @ np.float32([0.21, 0.71, 0.07]), 1e-5
    )


def test_run_op__a_short_output_is_refused_before_memory_is_touched():
    pic = np.zeros((4, 5, 3), np.float32)
    with pytest.raises(
        GraphError, match=r"output 'output' of op 'test_grayscale' must have shape \[4, 5\], got \[64, 10\]"
    ):
        run("test_grayscale", pic, out=(64, 10))


def test_foreach__short_input_without_a_shape_rule_is_a_bounds_error():
    """The case where others return heap memory: op(out[64, 10], x[5, 10])."""
    x = np.zeros((5, 10), np.float32)
    with pytest.raises(BoundsError) as caught:
        run("test_scaled_sum", x, x, out=(64, 10))
    assert "x[idx] * factor" in caught.value.loc.source
    assert (run("test_scaled_sum", x, x) == 0).all()


@compiler.register("test_cast")
class CastOp:
    @staticmethod
    def execute(output: OutputTensor, x: InputTensor, ctx: DeviceContextPtr):
        def body(idx):
            return sqrt(x[idx])

        foreach(body, output, ctx)


def test_foreach__stores_in_the_outputs_dtype():
    assert run("test_cast", np.array([4, 9.5], np.float32), dtype=DType.int32).tolist() == [2, 3]


def test_foreach__nothing_to_do():
    assert run("test_cast", np.zeros((0, 4), np.float32)).shape == (0, 4)


@compiler.register("test_min_max")
class MinMax:
    @staticmethod
    def execute(low: OutputTensor, high: OutputTensor, x: InputTensor, ctx: DeviceContextPtr):
        def body(idx):
            i = idx[0]
            a, b = x[i, 0], x[i, 1]
            low.store(idx, a if a < b else b)
            high[i] = b if a < b else a

        elementwise(body, low.shape, ctx)


def test_elementwise__writes_several_outputs():
    x = np.array([[3, 1], [2, 5]], np.float32)
    low, high = Buffer(F32, (2,)), Buffer(F32, (2,))
    run_op(compiler.KernelLibrary()["test_min_max"], [Buffer.from_numpy(x)], [low, high], {})
    assert low.to_numpy().tolist() == [1, 2] and high.to_numpy().tolist() == [3, 5]


def reverse_kernel(output, x):
    i = global_idx.x
    n = x.dim(0)
    if i < n:
        output[i] = x[n - 1 - i]


@compiler.register("test_reverse")
class Reverse:
    @staticmethod
    def execute(output: OutputTensor, x: InputTensor, ctx: DeviceContextPtr):
        context = ctx.get_device_context()
        context.enqueue_function(reverse_kernel, output, x, grid_dim=-(-x.size // 64), block_dim=64)


def test_op__launches_a_kernel_of_its_own():
    x = np.arange(100, dtype=np.float32)
    assert (run("test_reverse", x) == x[::-1]).all()


@compiler.register("test_on_host")
class OnHost:
    @staticmethod
    def execute(output: OutputTensor, x: InputTensor):
        for i in range(x.dim_size(0)):
            output[i] = x[i] + i
        output.store((0,), output.load((0,)) + 5)


def test_op__reads_and_writes_elements_on_the_host():
    assert run("test_on_host", np.array([1, 1, 1], np.int64)).tolist() == [6, 2, 3]
    x = InputTensor.of(Buffer.zeros((2, 3), F32), "x")
    with pytest.raises(IndexError, match=r"x\[0, 3\]: index 3 is out of bounds for axis 1 of extent 3"):
        x[0, 3]
    with pytest.raises(IndexError, match="x has rank 2"):
        x[0]
    with pytest.raises(TypeError, match="x is an input of the op"):
        x[0, 0] = 1
    assert repr(x) == "InputTensor(x: float32[2, 3])"


def test_foreach__wrong_calls():
    output = OutputTensor.of(Buffer.zeros((2, 3), F32), "output")
    deep = OutputTensor.of(Buffer.zeros((1,) * 5, F32), "output")

    def three(i, j, k):
        return i

    with pytest.raises(
        KernelTypeError, match=r"three\(\) takes 3 arguments; it is called as fn\(idx\) or fn\(i, j\)"
    ):
        foreach(three, output, None)
    with pytest.raises(KernelTypeError, match="up to 4 dimensions"):
        foreach(lambda idx: 0, deep, None)
    with pytest.raises(KernelTypeError, match="needs the op's ctx"):
        foreach(lambda idx: 0, output, None)
    with pytest.raises(KernelTypeError, match="writes an OutputTensor, got int") as caught:
        foreach(lambda idx: 0, 3, None)
    assert caught.value.loc.file == __file__


@compiler.register("test_not_in_the_language")
class NotInTheLanguage:
    @staticmethod
    def execute(output: OutputTensor, x: InputTensor, ctx: DeviceContextPtr):
        def body(idx):
            return [x[idx]]

        foreach(body, output, ctx)


def test_foreach__body_the_language_cannot_express_points_into_the_body():
    with pytest.raises(WorkshopError) as caught:
        run("test_not_in_the_language", np.zeros(3, np.float32))
    assert caught.value.loc.source.strip() == "return [x[idx]]"


# --- in a graph

ADD_ONE = """
from workshop import compiler
from workshop.compiler import DeviceContextPtr, InputTensor, OutputTensor, foreach


@compiler.register("add_one")
class AddOne:
    @staticmethod
    def execute(output: OutputTensor, x: InputTensor, ctx: DeviceContextPtr):
        def elementwise_add_one(idx):
            return x.load(idx) + 1

        foreach(elementwise_add_one, output, ctx)
"""


def test_addition__the_tutorials_graph(tmp_path):
    path = Path(tmp_path)
    (path / "add_one.py").write_text(ADD_ONE)
    rows, columns, dtype = 5, 10, DType.float32
    device = CPU()
    graph = Graph(
        "addition",
        forward=lambda x: (
            ops.custom(
                name="add_one",
                device=DeviceRef.from_device(device),
                values=[x],
                out_types=[
                    TensorType(dtype=x.dtype, shape=x.tensor.shape, device=DeviceRef.from_device(device))
                ],
            )[0].tensor
        ),
        input_types=[TensorType(dtype, shape=[rows, columns], device=DeviceRef.from_device(device))],
        custom_extensions=[path],
    )
    model = InferenceSession(devices=[device]).load(graph)
    x_values = np.random.default_rng(0).uniform(size=(rows, columns)).astype(np.float32)
    x = Buffer.from_numpy(x_values).to(device)
    result = model.execute(x)[0]
    assert isinstance(result, Buffer)
    np.testing.assert_allclose(result.to(CPU()).to_numpy(), x_values + 1)


def test_custom__output_named_by_the_run_is_checked():
    graph = Graph(
        "g",
        lambda x, y: (
            ops.custom("test_scaled_sum", values=[x, y], out_types=[x.type], parameters={"factor": 2})[0] + 1
        ),
        [TensorType(F32, ["n", 4]), TensorType(F32, ["n", 4])],
    )
    model = InferenceSession().load(graph)
    for rows in (1, 3, 300):
        x = np.ones((rows, 4), np.float32)
        assert (model(x, x)[0].to_numpy() == 4).all()
