"""Loading and running: what goes in, whose memory comes out, and what a wrong call is told."""

import threading
import tracemalloc

import ml_dtypes
import numpy as np
import pytest
import torch

from workshop.driver import CPU, Buffer, accelerator_count
from workshop.dtype import DType
from workshop.engine import InferenceSession, TensorSpec
from workshop.errors import GraphError
from workshop.graph import DeviceRef, Dim, Graph, TensorType, Weight, ops

F32 = DType.float32


def load(forward, *types, **registry):
    graph = Graph("model", forward, [TensorType(F32, t) if isinstance(t, list) else t for t in types])
    return InferenceSession(devices=[CPU()]).load(graph, weights_registry=registry)


def floats(*shape):
    return np.arange(np.prod(shape), dtype=np.float32).reshape(shape)


@pytest.mark.parametrize(
    "make",
    [
        lambda a: a,
        Buffer.from_numpy,
        torch.from_numpy,
        lambda a: Buffer.from_numpy(np.stack([a, a], 1))[:, 0],
    ],
)
def test_execute__takes_numpy_torch_buffers_and_strided_buffers(make):
    model = load(lambda x: x + 1, ["n", 3])
    x = floats(2, 3)
    (made,) = model(make(x))
    assert isinstance(made, Buffer) and (made.to_numpy() == x + 1).all()
    assert (model.execute(make(x))[0].to_numpy() == x + 1).all()


@pytest.mark.parametrize("view", [lambda a: a.T, lambda a: a[::2], lambda a: a[:, ::-1]])
def test_execute__strided_inputs_are_copied_not_refused(view):
    model = load(lambda x: x * 2, ["n", "m"])
    x = floats(4, 4)
    assert (model(view(x))[0].to_numpy() == view(x) * 2).all()
    assert (model(torch.from_numpy(x).T)[0].to_numpy() == x.T * 2).all()


def test_execute__bfloat16_from_torch_and_back():
    model = load(lambda x: x * 2, TensorType(DType.bfloat16, [3]))
    (made,) = model(torch.tensor([1.0, 2.0, 3.0], dtype=torch.bfloat16))
    assert made.to_numpy().dtype == ml_dtypes.bfloat16
    assert torch.from_dlpack(made).tolist() == [2, 4, 6]


def test_execute__python_numbers_for_scalars():
    model = load(lambda x, n: x * n, ["n"], [])
    assert model(floats(3), 2)[0].to_numpy().tolist() == [0, 2, 4]


def test_results__never_alias_inputs_weights_constants_or_each_other():
    weight = Weight("w", F32, [3])
    data = floats(3)
    model = load(
        lambda x: [x, x, x[1:], x.reshape([3, 1]), weight, ops.constant([1.0, 2, 3]), x.rebind([3])],
        [3],
        w=data,
    )
    x = floats(3)
    before = [b.to_numpy().copy() for b in model(x)]
    made = model(x)
    for number, buffer in enumerate(made):
        buffer.to_numpy()[...] = 100 + number
    assert x.tolist() == [0, 1, 2] and data.tolist() == [0, 1, 2]
    assert [(b.to_numpy() == 100 + i).all() for i, b in enumerate(made)] == [True] * 7
    again = [b.to_numpy() for b in model(x)]
    assert all((a == b).all() for a, b in zip(before, again, strict=True))


def test_results__one_value_returned_twice_is_two_buffers():
    def forward(x):
        y = x + 1
        return y, y

    first, second = load(forward, [3])(floats(3))
    first[0] = 100
    assert second.to_numpy().tolist() == [1, 2, 3]


def test_execute__values_are_freed_after_their_last_use():
    def forward(x):
        for _ in range(50):
            x = x + 1
        return x

    model = load(forward, ["n"])
    x = np.zeros(250_000, np.float32)  # 1 MB
    model(x)
    tracemalloc.start()
    model(x)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 5e6


def test_results__stay_when_the_model_runs_again():
    model = load(lambda x: x + 1, ["n"])
    (first,) = model(floats(1000))
    kept = first.to_numpy().copy()
    for _ in range(5):
        model(floats(1000) * 7)
    assert (first.to_numpy() == kept).all()


def test_execute__from_many_threads():
    model = load(lambda x: ops.softmax(x * 2) @ x.T, ["n", 8])
    x = np.random.default_rng(0).normal(size=(16, 8)).astype(np.float32)
    want = model(x)[0].to_numpy()
    wrong = []

    def work():
        for _ in range(20):
            if not (model(x)[0].to_numpy() == want).all():
                wrong.append(1)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_metadata():
    model = load(lambda x: x @ x.T, ["n", 3])
    assert model.name == "model"
    assert model.input_metadata == [TensorSpec("input0", F32, ("n", 3))]
    assert model.output_metadata == [TensorSpec("output0", F32, ("n", "n"))]
    assert model.input_devices == model.output_devices == model.devices == [CPU()]
    assert repr(model) == "Model(model: (float32[n, 3]) -> (float32[n, n]))"


# --- wrong calls


def test_symbols__mismatch_shows_both_values():
    model = load(lambda x, y: x + y, ["seq_len", 4], ["seq_len", 4])
    with pytest.raises(GraphError) as caught:
        model(floats(2, 4), floats(5, 4))
    assert caught.value.message == (
        "symbolic dimension 'seq_len' for input 1 does not match prior uses of that dimension: "
        "'seq_len' is 2 from input 0 and 5 from input 1"
    )
    assert caught.value.loc.source.strip() == "model(floats(2, 4), floats(5, 4))"


def test_symbols__algebra_is_checked_and_solved():
    model = load(lambda x, y: ops.concat([x, y]), ["n"], [Dim("n") * 2 + 1])
    assert model(floats(2), floats(5))[0].shape == (7,)
    with pytest.raises(
        GraphError, match=r"input 1 has 4 where the graph takes '2\*n \+ 1' = 5: 'n' is 2 from input 0"
    ):
        model(floats(2), floats(4))
    alone = load(lambda x: ops.split(x, [Dim("n"), Dim("n")])[0], [Dim("n") * 2])
    assert alone(floats(6))[0].shape == (3,)
    with pytest.raises(GraphError, match=r"no whole 'n' makes that"):
        alone(floats(5))


@pytest.mark.parametrize("match, arguments", [
    (r"takes 2 inputs \(float32\[n, 3\], float32\[3\]\), got 1", [floats(2, 3)]),
    (r"input 0 is float64\[2, 3\], the graph takes float32\[n, 3\]; convert it, as in x.astype\('float32'\)",
     [floats(2, 3).astype(float), floats(3)]),
    (r"input 1 has shape \[4\], the graph takes float32\[3\]: axis 0 is 4, not 3", [floats(2, 3), floats(4)]),
    (r"input 0 has shape \[6\] of rank 1, the graph takes float32\[n, 3\]", [floats(6), floats(3)]),
    (r"input 0 \(float32\[n, 3\]\): list has no __dlpack__", [[[1, 2, 3]], floats(3)]),
    ("complex64", [floats(2, 3).astype("complex64"), floats(3)]),
])  # fmt: skip
def test_execute__inputs_that_do_not_fit(match, arguments):
    model = load(lambda x, y: x + y, ["n", 3], [3])
    with pytest.raises(GraphError, match=match) as caught:
        model(*arguments)
    assert caught.value.loc.source.strip() == "model(*arguments)"


def test_rebind__is_checked_when_the_model_runs():
    model = load(lambda x: x.rebind([3], "pad it first"), ["n"])
    assert model(floats(3))[0].shape == (3,)
    with pytest.raises(
        GraphError, match="rebind shape check failed.*axis 0 is 4, not 3. pad it first"
    ) as caught:
        model(floats(4))
    assert "x.rebind([3]" in caught.value.loc.source


def test_indices__out_of_bounds_when_the_model_runs_points_at_the_op():
    model = load(lambda x, i: ops.gather(x, i, axis=0), [4], TensorType(DType.int64, [2]))
    with pytest.raises(GraphError, match="gather: index 7 is out of bounds for axis 0 of extent 4") as caught:
        model(floats(4), np.array([0, 7]))
    assert "ops.gather(x, i, axis=0)" in caught.value.loc.source
    sliced = load(lambda x: x[1:5], ["n"])
    with pytest.raises(GraphError, match="slice bound 5 is out of bounds for axis 0 of extent 3"):
        sliced(floats(3))


def test_load__graph_without_output():
    with Graph("empty", input_types=[TensorType(F32, [2])]) as graph:
        pass
    with pytest.raises(GraphError, match=r"graph 'empty' has no output.*graph.output\(value\)"):
        InferenceSession().load(graph)


def test_load__gpu_graph_on_a_cpu_session():
    graph = Graph("far", lambda x: x + 1, [TensorType(F32, [2], DeviceRef.GPU())])
    with pytest.raises(
        GraphError, match=r"values on gpu:0, this session has the devices \[cpu:0\].*Accelerator\(\)"
    ):
        InferenceSession().load(graph)


def test_load__weights_missing_or_of_another_type():
    weight = Weight("layer.w", F32, [2])
    with pytest.raises(GraphError, match="weights_registry does not have: layer.w"):
        load(lambda x: x + weight, [2])
    with pytest.raises(
        GraphError, match=r"weight 'layer.w' is float32\[2\] in the graph, its data is float32\[3\]"
    ):
        load(lambda x: x + weight, [2], **{"layer.w": floats(3)})
    assert load(lambda x: x + weight, [2], **{"layer.w": torch.ones(2)})(floats(2))[
        0
    ].to_numpy().tolist() == [1, 2]


def test_load__not_a_graph():
    with pytest.raises(GraphError, match="takes a Graph, got str"):
        InferenceSession().load("model.bin")


@pytest.mark.gpu
@pytest.mark.skipif(accelerator_count() == 0, reason="needs an NVIDIA GPU")
def test_execute__results_on_the_accelerator():
    from workshop.driver import Accelerator

    graph = Graph("far", lambda x: x + 1, [TensorType(F32, [2], DeviceRef.GPU())])
    (made,) = InferenceSession(devices=[Accelerator()]).load(graph)(floats(2))
    assert made.device == Accelerator() and made.to(CPU()).to_numpy().tolist() == [1, 2]
