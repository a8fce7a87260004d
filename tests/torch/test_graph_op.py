"""graph_op: a function over graph values is a torch operator that our engine runs."""

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

from workshop.dtype import DType  # noqa: E402  torch first: without it there is nothing to import
from workshop.errors import GraphError  # noqa: E402
from workshop.graph import TensorType, TensorValue, ops  # noqa: E402
from workshop.torch import cpp_compiler, graph_op  # noqa: E402

FOLDER = Path(__file__).parents[2] / "notebooks" / "custom_ops"


@graph_op
def gate(x: TensorValue, y: TensorValue) -> TensorValue:
    """Multiply x by the sigmoid of y."""
    return x * ops.sigmoid(y)


@graph_op
def halves(x: TensorValue) -> tuple[TensorValue, TensorValue]:
    return ops.relu(x), ops.relu(-x)


def pair(*shape, dtype=torch.float32):
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(shape, generator=generator).to(dtype) for _ in range(2)]


@pytest.mark.parametrize("shape", [(3, 4), (0, 4), (), (70, 2, 3)])
def test_gate__equals_torch(shape):
    x, y = pair(*shape)
    output = torch.empty_like(x)
    assert gate(output, x, y) is None
    torch.testing.assert_close(output, x * torch.sigmoid(y))


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16])
def test_gate__other_dtypes(dtype):
    x, y = pair(5, dtype=dtype)
    output = torch.empty_like(x)
    gate(output, x, y)
    torch.testing.assert_close(output, x * torch.sigmoid(y))


def test_strided_and_shared_tensors():
    x, y = (t.T for t in pair(4, 6))
    wide, want = torch.zeros(6, 8), x * torch.sigmoid(y)
    gate(wide[:, ::2], x, y)
    torch.testing.assert_close(wide[:, ::2], want)
    assert (wide[:, 1::2] == 0).all()
    gate(x, x, y)
    torch.testing.assert_close(x, want)


def test_several_outputs():
    x = torch.tensor([1.0, -2.0])
    low, high = torch.empty(2), torch.empty(2)
    halves(low, high, x)
    assert low.tolist() == [1, 0] and high.tolist() == [0, 2]
    assert repr(halves) == "halves(output0, output1, x)"


def test_graph__is_there_to_be_read():
    x, y = pair(2, 3)
    assert repr(gate.graph(x, y)) == (
        "graph gate(%0: float32[2, 3], %1: float32[2, 3]) -> float32[2, 3]\n"
        "  %2 = sigmoid(%1) : float32[2, 3]\n"
        "  %3 = mul(%0, %2) : float32[2, 3]\n"
        "  output %3"
    )


def test_custom_ops_of_a_folder():
    @graph_op(kernel_library=FOLDER)
    def bright(pic: TensorValue) -> TensorValue:
        out_type = TensorType(pic.dtype, pic.shape[:2], pic.device)
        return ops.custom("grayscale", values=[pic], out_types=[out_type])[0] + 1

    pic, output = torch.ones(4, 5, 3), torch.empty(4, 5)
    bright(output, pic)
    np.testing.assert_allclose(output, 1.99, rtol=1e-6)


def refused(match, op, *tensors):
    with pytest.raises(GraphError, match=match) as caught:
        op(*tensors)
    assert caught.value.loc.file == __file__


def test_wrong_tensors__each_has_its_message():
    x, y = pair(3, 4)
    out = torch.full((3, 4), -1.0)
    refused(r"output of gate must be float32\[3, 4\], got float32\[1, 4\]", gate, out[:1], x, y)
    refused(r"output of gate must be float32\[3, 4\], got int32\[3, 4\]", gate, out.int(), x, y)
    refused(r"gate takes 3 tensors, gate\(output, x, y\), got 2", gate, out, x)
    refused("output of gate is expanded", gate, torch.zeros(1, 4).expand(3, 4), x, y)
    refused("y requires a gradient and gate has no backward", gate, out, x, y.clone().requires_grad_())
    refused("x of gate has dtype torch.complex64", gate, out, x.to(torch.complex64), y)
    refused(r"float32\[3, 4\]", gate, out, x, torch.ones(5, 7))
    assert (out == -1).all()


def test_wrong_functions__each_has_its_message():
    @graph_op
    def two(x):
        return x, x

    refused(r"two returns 2 values but was defined with 1; annotate it: -> tuple\[Tens", two, *pair(2))
    with pytest.raises(GraphError, match=r"fixed number of tensors, but its function has \*xs"):
        graph_op(lambda *xs: xs[0])

    @graph_op
    def where(x):
        return ops.nonzero(x, "n")

    refused("whose size only the run knows", where, torch.empty(2, 1).long(), torch.ones(2))


def test_input_types__are_held():
    row = TensorType(DType.float32, ["n", 4])

    @graph_op(name="row_sum", input_types=[row, row])
    def add(x, y):
        return x + y

    x, y = pair(3, 4)
    output = torch.empty(3, 4)
    add(output, x, y)
    torch.testing.assert_close(output, x + y)
    refused(r"row_sum takes x as float32\[n, 4\]: .*axis 1 is 5, not 4", add, output, *pair(3, 5))
    refused(r"'n' is 3 from x and 2 from y", add, output, x, y[:2])
    refused(r"row_sum takes x as float32\[n, 4\]: x is float64", add, output, x.double(), y)
    with pytest.raises(GraphError, match="takes 2 inputs, input_types has 1"):
        graph_op(input_types=[row])(lambda x, y: x + y)


def test_opcheck():
    x, y = pair(3, 4)
    torch.library.opcheck(gate.overload, (torch.empty(3, 4), x, y))
    torch.library.opcheck(halves.overload, (torch.empty(3), torch.empty(3), torch.randn(3)))


def test_compile__in_every_shape():
    @torch.compile(fullgraph=True, backend="aot_eager")
    def gated(x, y):
        output = torch.empty_like(x)
        gate(output, x, y)
        return output + 1

    for shape in ((3, 4), (5, 6), (2, 2)):
        x, y = pair(*shape)
        torch.testing.assert_close(gated(x, y), x * torch.sigmoid(y) + 1)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # torch's own, inside its compiler
def test_compile__through_a_cpp_compiler():
    if cpp_compiler() is None:
        pytest.skip("no C++ compiler, which torch.compile needs")

    @torch.compile(fullgraph=True)
    def gated(x, y):
        output = torch.empty_like(x)
        gate(output, x * 2, y)
        return output + 1

    x, y = pair(3, 4)
    torch.testing.assert_close(gated(x, y), 2 * x * torch.sigmoid(y) + 1)


def test_cpp_compiler__is_the_one_torch_looks_for(monkeypatch):
    monkeypatch.setenv("CXX", "no-such-compiler")
    assert cpp_compiler() is None
    monkeypatch.setenv("CXX", "python3")
    assert cpp_compiler() == "python3"
