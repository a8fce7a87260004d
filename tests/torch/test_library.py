"""CustomOpLibrary: ops of a folder as torch operators; nothing is touched that does not fit."""

import inspect
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

from workshop import compiler  # noqa: E402  torch first: without it there is nothing to import
from workshop.compiler import DeviceContextPtr, InputTensor, KernelLibrary, OutputTensor, foreach  # noqa: E402
from workshop.errors import GraphError  # noqa: E402
from workshop.torch import CustomOpLibrary  # noqa: E402

TOP = Path(__file__).parents[2]
FOLDER = TOP / "notebooks" / "custom_ops"


@compiler.register("t_scale")
class Scale:
    @staticmethod
    def execute(output: OutputTensor, x: InputTensor, ctx: DeviceContextPtr, *, times=2):
        def body(idx):
            return x[idx] * times

        foreach(body, output, ctx)

    @staticmethod
    def shape(x):
        return x.shape


@compiler.register("t_flip")
class Flip:
    """Reads elsewhere than it writes, so writing over its own input would show."""

    @staticmethod
    def execute(output: OutputTensor, x: InputTensor, ctx: DeviceContextPtr):
        def body(i):
            return x[x.dim(0) - 1 - i[0]]

        foreach(body, output, ctx)

    @staticmethod
    def shape(x):
        return x.shape


@compiler.register("t_split")
class Split:
    @staticmethod
    def execute(low: OutputTensor, high: OutputTensor, x: InputTensor, ctx: DeviceContextPtr, *, at):
        def smaller(i):
            return min(x[i], at)

        def larger(i):
            return max(x[i], at)

        foreach(smaller, low, ctx)
        foreach(larger, high, ctx)

    @staticmethod
    def shape(x):
        return x.shape, x.shape


@compiler.register("t_ruleless")
class Ruleless:
    @staticmethod
    def execute(output: OutputTensor, x: InputTensor, ctx: DeviceContextPtr):
        foreach(lambda i: x[i], output, ctx)


@pytest.fixture(scope="module")
def ops():
    return CustomOpLibrary(FOLDER)


@pytest.fixture(scope="module")
def local():
    """The ops registered in this file."""
    return CustomOpLibrary(KernelLibrary())


def picture(height=5, width=7):
    return torch.from_numpy(np.random.default_rng(0).random((height, width, 3), dtype=np.float32))


def golden(pic):
    """The grey of a picture, in numpy and double precision."""
    return pic.numpy().astype(np.float64) @ [0.21, 0.71, 0.07]


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 40), st.integers(0, 70))
def test_grayscale__equals_numpy_in_every_shape(height, width):
    pic, output = picture(height, width), torch.full((height, width), torch.nan)
    assert CustomOpLibrary(FOLDER).grayscale(output, pic) is None
    np.testing.assert_allclose(output.numpy(), golden(pic), rtol=1e-6)


def test_grayscale__wrong_output_is_refused_with_both_shapes_and_nothing_is_touched(ops):
    pic, output = picture(5, 7), torch.full((64, 10), -1.0)
    with pytest.raises(GraphError, match=r"'grayscale' must have shape \[5, 7\], got \[64, 10\]") as caught:
        ops.grayscale(output, pic)
    assert caught.value.loc.file == __file__ and "ops.grayscale(output, pic)" in caught.value.loc.source
    assert (output == -1).all()


def refused(match, op, *tensors):
    before = [t.clone() for t in tensors if isinstance(t, torch.Tensor) and t.layout is torch.strided]
    with pytest.raises(GraphError, match=match) as caught:
        op(*tensors)
    assert caught.value.loc.file == __file__
    after = [t for t in tensors if isinstance(t, torch.Tensor) and t.layout is torch.strided]
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))


def test_wrong_tensors__each_has_its_message(ops, local):
    pic, out = picture(), torch.zeros(5, 7)
    gray, scale = ops.grayscale, local.t_scale
    refused(r"takes 2 tensors, grayscale\(output, pic\), got 1", gray, out)
    refused(r"pic of grayscale must be a torch tensor, got ndarray; torch.as_tensor", gray, out, pic.numpy())
    refused(r"input 'pic' must be float32, got float64\[5, 7, 3\]", gray, out, pic.double())
    refused(r"output 'output' must be float32, got int32\[5, 7\]", gray, out.int(), pic)
    refused(r"input 'pic' must have rank 3, got float32\[5, 7\]", gray, out, out.clone())
    refused(r"float32\[5, 7, 4\]: a picture has shape \[H, W, 3\]", gray, out, torch.zeros(5, 7, 4))
    refused("x of t_scale has dtype torch.complex64; ops take bool", scale, out, out.to(torch.complex64))
    refused(r"x of t_scale is sparse_coo; pass x.to_dense\(\)", scale, out, out.to_sparse())
    refused("output of t_scale is expanded", scale, torch.zeros(1).expand(7), torch.ones(7))


def test_tensors_on_two_devices(ops):
    with pytest.raises(GraphError, match="on the same device: output is on cpu, pic is on meta"):
        ops.grayscale(torch.empty(5, 7), picture().to("meta"))


def test_gradients__are_refused_not_dropped(ops):
    pic, output = picture().requires_grad_(), torch.zeros(5, 7)
    with pytest.raises(GraphError, match="pic requires a gradient and grayscale has no backward; pass pic"):
        ops.grayscale(output, pic)
    with torch.no_grad():
        ops.grayscale(output, pic)
    np.testing.assert_allclose(output, golden(pic.detach()), rtol=1e-6)
    ops.grayscale(output, pic.detach())


def test_writing__is_seen_by_autograd(ops):
    """A value that backward needs must not be overwritten unnoticed."""
    kept = torch.ones(5, 7)
    weight = torch.ones(5, 7, requires_grad=True)
    product = (weight * kept).sum()
    ops.grayscale(kept, picture())
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        product.backward()


def test_strided_tensors__are_read_and_written_in_place(ops):
    pic = picture(7, 5).transpose(0, 1).flip(2)
    wide = torch.full((5, 14), -1.0)
    ops.grayscale(wide[:, ::2], pic)
    np.testing.assert_allclose(wide[:, ::2], golden(pic), rtol=1e-6)
    assert (wide[:, 1::2] == -1).all()


def test_output_over_its_own_input__reads_come_first(local):
    for count in (5, 3000):
        x = torch.arange(float(count))
        local.t_flip(x, x)
        assert torch.equal(x, torch.arange(count - 1.0, -1, -1))
    x = torch.arange(6.0)
    local.t_flip(x[1:], x[:-1])
    assert x.tolist() == [0, 4, 3, 2, 1, 0]


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64", "int8", "uint8", "int64"])
def test_dtypes(local, dtype):
    x = torch.arange(10).to(getattr(torch, dtype))
    output = torch.empty_like(x)
    local.t_scale(output, x)
    assert torch.equal(output, x * 2)


def test_negated_view(local):
    z = torch.tensor([1 + 2j, 3 + 4j]).conj()
    output = torch.empty(2)
    local.t_scale(output, z.imag)
    assert output.tolist() == [-4, -8]


def test_parameters(local):
    x, output = torch.ones(3), torch.empty(3)
    local.t_scale[{"times": 5}](output, x)
    assert output.tolist() == [5, 5, 5]
    assert local.t_scale[{"times": 5}] is local.t_scale[{"times": 5}]
    assert repr(local.t_scale[{"times": 5}]) == "t_scale[times=5](output, x)"
    with pytest.raises(GraphError, match="no parameter 'time'; did you mean 'times'"):
        local.t_scale[{"time": 5}](output, x)
    with pytest.raises(GraphError, match="t_scale.* takes parameters by name"):
        local.t_scale[5]
    with pytest.raises(GraphError, match=r"parameters go in brackets .*t_scale\[{'times': 5}\]\(...\)"):
        local.t_scale(output, x, times=5)


def test_several_outputs(local):
    x = torch.tensor([1.0, 5.0, 3.0])
    low, high = torch.empty(3), torch.empty(3)
    local.t_split[{"at": 3.0}](low, high, x)
    assert low.tolist() == [1, 3, 3] and high.tolist() == [3, 5, 3]
    with pytest.raises(GraphError, match="needs the parameter 'at'"):
        local.t_split(low, high, x)


def test_names(ops, local):
    assert repr(CustomOpLibrary(FOLDER / "grayscale.py")) == "CustomOpLibrary(grayscale)"
    assert "grayscale" in dir(ops) and "grayscale" in repr(ops)
    assert repr(ops.grayscale) == "grayscale(output, pic)"
    assert list(inspect.signature(ops.grayscale).parameters) == ["output", "pic"]
    assert "red, green and blue" in ops.grayscale.__doc__
    assert CustomOpLibrary(FOLDER).grayscale is ops.grayscale
    with pytest.raises(AttributeError, match="did you mean 'grayscale'"):
        ops.greyscale  # noqa: B018  looking is the test
    with pytest.raises(GraphError, match="op 't_ruleless' declares no shape rule.*add to its class"):
        local.t_ruleless  # noqa: B018


def test_changed_folder__gives_new_operators(tmp_path):
    source = (FOLDER / "grayscale.py").read_text()
    (tmp_path / "op.py").write_text(source)
    ops, output, pic = CustomOpLibrary(tmp_path), torch.empty(2, 3), torch.ones(2, 3, 3)
    ops.grayscale(output, pic)
    assert output[0, 0].item() == pytest.approx(0.99)
    (tmp_path / "op.py").write_text(source.replace("0.21 * pic", "1.21 * pic"))
    CustomOpLibrary(tmp_path).grayscale(output, pic)
    assert output[0, 0].item() == pytest.approx(1.99)


# --- with torch's own machinery


def test_opcheck(ops, local):
    torch.library.opcheck(ops.grayscale.overload, (torch.empty(5, 7), picture()))
    torch.library.opcheck(local.t_split[{"at": 2}].overload, (torch.empty(4), torch.empty(4), torch.rand(4)))


def test_compile__one_graph_in_every_shape(ops):
    seen = []

    def backend(graph, _):
        seen.append([str(node.target) for node in graph.graph.nodes if node.op == "call_function"])
        return graph

    @torch.compile(fullgraph=True, backend=backend)
    def doubled(pic):
        output = pic.new_empty(pic.shape[:2])
        ops.grayscale(output, pic)
        return output * 2

    for shape in ((5, 7), (8, 9), (3, 4)):
        pic = picture(*shape)
        np.testing.assert_allclose(doubled(pic), 2 * golden(pic), rtol=1e-6)
    assert len(seen) == 2 and "workshop.grayscale.default" in seen[0]  # one for 5x7, one for all others


def test_compile__aot_sees_what_is_written(ops):
    @torch.compile(fullgraph=True, backend="aot_eager")
    def twice(pic):
        output = torch.zeros(pic.shape[:2])
        before = output + 1
        ops.grayscale(output, pic)
        return before, output

    pic = picture()
    before, after = twice(pic)
    assert (before == 1).all()
    np.testing.assert_allclose(after, golden(pic), rtol=1e-6)


def test_compile__wrong_output_is_refused_while_tracing(ops):
    def wrong(pic):
        output = torch.empty(3, 3)
        ops.grayscale(output, pic)
        return output

    with pytest.raises(Exception, match=r"(?s)fake tensor.*must have shape \[5, 7\], got \[3, 3\]"):
        torch.compile(wrong, fullgraph=True, backend="eager")(picture())


# --- without torch


def test_without_torch__import_says_what_is_missing():
    setup = f"import sys; sys.path.insert(0, {str(TOP / 'src')!r}); sys.modules['torch'] = None"
    code = f"{setup}; import workshop.torch"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("ImportError: workshop.torch needs PyTorch") and "pip install" in last
