"""Custom ops: loading folders, what a call is checked for, and the messages, all different."""

import os
import sys
from pathlib import Path

import pytest

from workshop.compiler import (
    DeviceContextPtr,
    InputTensor,
    KernelLibrary,
    OutputTensor,
    TensorSpec,
    register,
)
from workshop.dtype import DType
from workshop.errors import GraphError, KernelTypeError
from workshop.graph import Graph, TensorType, ops

F32 = DType.float32
OP = """
from workshop import compiler
from workshop.compiler import InputTensor, OutputTensor, foreach

@compiler.register("{name}")
class Op:
    @staticmethod
    def execute(output: OutputTensor, x: InputTensor, ctx: compiler.DeviceContextPtr, *, times=2):
        def body(idx):
            return x.load(idx) * times
        foreach(body, output, ctx)

    @staticmethod
    def shape(x):
        return x.shape
"""


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "operations"
    made.mkdir()
    (made / "scale.py").write_text(OP.format(name="scale"))
    (made / "shift.py").write_text("from .scale import compiler\n" + OP.format(name="shift"))
    return made


def graph_of(library, name, shape=(2, 3), out=None, count=1, **parameters):
    def forward(x):
        out_type = TensorType(F32, shape if out is None else out)
        return ops.custom(name, x.device, [x] * count, [out_type], parameters)[0]

    return Graph("g", forward, [TensorType(F32, shape)], custom_extensions=[library])


# --- folders


def test_library__names_of_a_folder(folder):
    library = KernelLibrary([folder])
    assert "scale" in library and {"scale", "shift"} <= set(library)
    assert library.library_paths() == [folder] and library.has_shape_function("scale")
    assert library["scale"].file == str(folder / "scale.py")
    assert set(KernelLibrary([folder / "scale.py"])) & {"scale", "shift"} == {"scale"}


def test_library__package_with_an_init(tmp_path):
    (tmp_path / "__init__.py").write_text(OP.format(name="from_init"))
    (tmp_path / "helper.py").write_text("AMOUNT = 1\n")
    assert "from_init" in KernelLibrary([tmp_path])


def test_library__changed_file_is_loaded_again(folder):
    first = KernelLibrary([folder])["scale"]
    assert KernelLibrary([folder])["scale"] is first
    (folder / "scale.py").write_text(OP.format(name="scale2"))
    assert "scale2" in KernelLibrary([folder]) and "scale" not in KernelLibrary([folder])


def test_library__change_of_the_same_size_in_the_same_second(folder, monkeypatch):
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    assert KernelLibrary([folder])["scale"].parameters == {"times": 2}
    file = folder / "scale.py"
    before = file.stat().st_mtime_ns
    file.write_text(file.read_text().replace("times=2", "times=3"))
    os.utime(file, ns=(before + 1000, before + 1000))
    assert KernelLibrary([folder])["scale"].parameters == {"times": 3}


def test_library__two_folders_may_name_files_alike(folder, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    (other / "scale.py").write_text(OP.format(name="third"))
    assert {"scale", "third"} <= set(KernelLibrary([folder, other]))


def message(call):
    with pytest.raises(GraphError) as caught:
        call()
    assert caught.value.loc.file == __file__
    return caught.value.message


def test_folder__missing(folder):
    text = message(lambda: KernelLibrary([folder.parent / "operatoins"]))
    assert "does not exist" in text and "there is: operations" in text


def test_folder__without_python_files(tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()
    assert "has no Python file; it is empty" in message(lambda: KernelLibrary([empty]))
    (empty / "add.mojo").touch()
    assert "has no Python file; it holds add.mojo" in message(lambda: KernelLibrary([empty]))


def test_folder__without_ops(tmp_path):
    (tmp_path / "nothing.py").write_text("x = 1\n")
    text = message(lambda: KernelLibrary([tmp_path]))
    assert 'registers no op (nothing.py); decorate a class with @compiler.register("name")' in text


def test_folder__one_op_twice(folder):
    (folder / "again.py").write_text(OP.format(name="scale"))
    assert "op 'scale' is registered twice" in message(lambda: KernelLibrary([folder]))
    assert "in again.py and scale.py" in message(lambda: KernelLibrary([folder]))


def test_folder__file_that_fails(folder):
    (folder / "bad.py").write_text("1 / 0\n")
    text = message(lambda: KernelLibrary([folder]))
    assert "custom op file 'bad.py' failed to load: ZeroDivisionError: division by zero" in text
    (folder / "bad.py").write_text("import scale\n")
    assert "from .scale import" in message(lambda: KernelLibrary([folder]))


def test_folder__mojo_package_and_not_a_path():
    assert "is a Mojo package" in message(lambda: KernelLibrary(["kernels.mojopkg"]))
    assert "custom_extensions takes folders, got 3" in message(lambda: KernelLibrary([3]))


def test_unknown_op__suggests_and_lists(folder):
    with pytest.raises(
        GraphError, match=r"unknown custom op 'scal'; did you mean 'scale'\? Known ops: .*shift"
    ) as caught:
        graph_of(folder, "scal")
    assert "ops.custom(name" in caught.value.loc.source
    with pytest.raises(KeyError, match="did you mean 'shift'"):
        KernelLibrary([folder])["shft"]


# --- calls


def test_custom__text_of_the_graph(folder):
    assert repr(graph_of(folder, "scale", times=3)) == (
        "graph g(%0: float32[2, 3]) -> float32[2, 3]\n"
        "  %1 = custom(%0, 'scale', times=3) : float32[2, 3]\n"
        "  output %1"
    )


@pytest.mark.parametrize("match, options", [
    (r"op 'scale' has 1 input \(x\), got 2", {"count": 2}),
    (r"output 'output' of op 'scale' must have shape \[2, 3\], got \[2, 4\]", {"out": [2, 4]}),
    ("op 'scale' has no parameter 'time'; did you mean 'times'", {"time": 3}),
    (r"must have shape \[n, 3\], got \[n, 4\]", {"shape": ["n", 3], "out": ["n", 4]}),
])  # fmt: skip
def test_custom__refuses_while_building(folder, match, options):
    with pytest.raises(GraphError, match=match) as caught:
        graph_of(folder, "scale", **options)
    assert caught.value.loc.file == __file__


def test_custom__dtype_and_rank_of_an_annotation():
    @register("only_f32_matrices")
    class OnlyMatrices:
        @staticmethod
        def execute(output: OutputTensor, x: InputTensor[F32, 2]):
            raise NotImplementedError

    def call(dtype, shape):
        forward = lambda x: ops.custom("only_f32_matrices", values=[x], out_types=[x.type])  # noqa: E731
        return Graph("g", forward, [TensorType(dtype, shape)])

    assert call(F32, [2, 2])
    with pytest.raises(GraphError, match=r"input 'x' must be float32, got int32\[2, 2\]"):
        call(DType.int32, [2, 2])
    with pytest.raises(GraphError, match=r"input 'x' must have rank 2, got float32\[n\]"):
        call(F32, ["n"])


def test_shape_rule__its_own_words_and_its_mistakes():
    @register("halves")
    class Halves:
        @staticmethod
        def execute(low: OutputTensor, high: OutputTensor, x: InputTensor):
            raise NotImplementedError

        @staticmethod
        def shape(x):
            if x.rank != 1:
                raise ValueError("a vector is needed")
            return ([x.dim_size(0) // 2], [x.dim_size(0) // 2])

    op = KernelLibrary()["halves"]
    assert op.output_shapes([TensorSpec(F32, [6])], {}) == ((3,), (3,))
    half = TensorSpec(F32, [3])
    assert op.check([TensorSpec(F32, [6])], [half, half], {}) is None
    assert op.check([TensorSpec(F32, [6])], [half], {}) == "op 'halves' has 2 outputs (low, high), got 1"
    assert op.check([TensorSpec(F32, [6, 1])], [half, half], {}) == (
        "op 'halves' refuses x float32[6, 1]: a vector is needed"
    )

    @register("shapeless")
    class Shapeless:
        @staticmethod
        def execute(output: OutputTensor, x: InputTensor):
            raise NotImplementedError

        @staticmethod
        def shape(x):
            return None

    assert "returned None; it returns one list" in KernelLibrary()["shapeless"].check([half], [half], {})


# --- declarations


def test_register__what_execute_must_say():
    with pytest.raises(KernelTypeError, match="needs a @staticmethod named execute"):

        @register("a")
        class A:
            def execute(self):
                raise NotImplementedError

    with pytest.raises(
        KernelTypeError, match="argument 'x' of execute has no annotation; it is an OutputTensor"
    ):

        @register("b")
        class B:
            @staticmethod
            def execute(output: OutputTensor, x):
                raise NotImplementedError

    with pytest.raises(KernelTypeError, match="needs an OutputTensor argument") as caught:

        @register("c")
        class C:
            @staticmethod
            def execute(x: InputTensor, ctx: DeviceContextPtr):
                raise NotImplementedError

    assert caught.value.loc.file == __file__
    with pytest.raises(KernelTypeError, match="register takes the op's name"):
        register(A := object)  # noqa: F841


def test_register__again_replaces():
    for number in (1, 2):

        @register("twice")
        class Twice:
            count = number

            @staticmethod
            def execute(output: OutputTensor):
                raise NotImplementedError

    assert KernelLibrary()["twice"].execute is Twice.execute
    assert Path(KernelLibrary()["twice"].file).name == "test_library.py"
