"""Every kernel of these tests compiles for sm_80 and sm_90, with no GPU, through NVRTC or nvcc."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import cuda_kernels as kernels
import cuda_nodes as nodes
import pytest
from cuda_programs import F32, I32, array, float64_instructions, lowered, scalar

from workshop.dtype import DType
from workshop.errors import LaunchError, WorkshopError
from workshop.gpu import cuda, ir
from workshop.gpu.cuda import compiler
from workshop.gpu.cuda.ranges import Assumptions
from workshop.gpu.cuda.translation import translate

found = compiler.find_compiler()
needs_compiler = pytest.mark.skipif(isinstance(found, str), reason=f"needs NVRTC or nvcc: {found}")
ARCHS = pytest.mark.parametrize("arch", ["sm_80", "sm_90"])

KERNELS = {
    "saxpy": lowered(kernels.saxpy, array("y"), array("x"), scalar("alpha", F32), scalar("size")),
    "add_10_shared": lowered(
        kernels.add_10_shared, array("output"), array("a"), scalar("size"), TPB=4, block=(4, 1, 1)
    ),
    "block_sum": lowered(kernels.block_sum, array("output"), array("a"), TPB=128),
    "matmul_tiled": lowered(
        kernels.matmul_tiled, *(array(n, rank=2) for n in "cab"), T=16, block=(16, 16, 1)
    ),
    "jumps": lowered(kernels.jumps, array("out"), array("a"), scalar("n")),
    "helpers": lowered(kernels.helpers, array("out"), array("a")),
    "bounds": lowered(kernels.bounds, array("out", I32), scalar("n")),
    "minus_ids": lowered(kernels.minus_ids, array("out", I32)),
    "transpose": lowered(
        kernels.transpose, array("out", rank=2), array("a", rank=2, layout="strided"), block=(16, 16, 1)
    ),
    "register": lowered(kernels.register, array("auto", I32), scalar("int_"), goto=3),
    "local_array": lowered(kernels.local_array, array("out"), scalar("n")),
    "speaking": lowered(kernels.speaking, array("a"), array("b")),
    "speed": lowered(kernels.speed, array("out"), array("a")),
}


@needs_compiler
@ARCHS
@pytest.mark.parametrize("name", KERNELS)
def test_a_kernel_compiles_to_machine_code(name: str, arch: str) -> None:
    assert cuda.compile_cubin(KERNELS[name], arch).startswith(b"\x7fELF")


@needs_compiler
@ARCHS
@pytest.mark.parametrize("dtype", list(DType), ids=lambda d: d.value)
def test_every_operator_compiles_at_every_dtype(dtype: DType, arch: str) -> None:
    assert cuda.compile_cubin(nodes.kernel(dtype, nodes.cases(dtype)), arch).startswith(b"\x7fELF")


@needs_compiler
@pytest.mark.parametrize("name", KERNELS)
def test_the_64_bit_variant_compiles(name: str) -> None:
    program = translate(KERNELS[name], Assumptions(index32=False, disjoint=False))
    assert compiler.compiled(program, "sm_80", "cubin").startswith(b"\x7fELF")


@needs_compiler
@pytest.mark.parametrize("name", KERNELS)
def test_a_float32_kernel_holds_no_float64_instruction(name: str) -> None:
    assert not float64_instructions(cuda.compile_ptx(KERNELS[name]))


@needs_compiler
@pytest.mark.parametrize("dtype", [DType.float32, DType.float16, DType.bfloat16], ids=lambda d: d.value)
def test_no_operator_of_a_narrow_float_uses_float64(dtype: DType) -> None:
    own = [case for case in nodes.cases(dtype) if "float64" not in case.name]
    assert not float64_instructions(cuda.compile_ptx(nodes.kernel(dtype, own)))


@needs_compiler
def test_the_float64_search_can_find_one() -> None:
    wide = nodes.kernel(DType.float64, nodes.cases(DType.float64))
    assert float64_instructions(cuda.compile_ptx(wide))


@needs_compiler
def test_division_and_square_root_are_correctly_rounded_and_products_contract() -> None:
    ptx = cuda.compile_ptx(KERNELS["speed"])
    assert "div.rn.f32" in ptx and "sqrt.rn.f32" in ptx
    assert "fma.rn.f32" in cuda.compile_ptx(KERNELS["saxpy"])
    assert "atom." in cuda.compile_ptx(KERNELS["speaking"])  # lines of the print log are taken one by one
    assert ".approx" not in cuda.compile_ptx(KERNELS["matmul_tiled"]) and ".ftz" not in ptx


@needs_compiler
def test_an_unknown_architecture_is_named() -> None:
    with pytest.raises(LaunchError, match="knows no architecture 'sm_5'; write it like 'sm_90'"):
        cuda.compile_ptx(KERNELS["saxpy"], arch="sm_5")


@needs_compiler
def test_code_that_does_not_compile_is_shown_with_the_compilers_words() -> None:
    program = translate(ir.Function("right", (), {}, (), (1, 1, 1), 32, nodes.LOC))
    broken = replace(program, text=program.text.replace("{", "{ nonsense;"))
    with pytest.raises(
        WorkshopError, match="(?s)refused the CUDA code of a kernel for sm_90.*nonsense.* is undefined"
    ):
        compiler.compiled(broken, "sm_90", "ptx")


@needs_compiler
def test_the_second_process_takes_the_result_from_the_disk(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setenv("WORKSHOP_CACHE", str(tmp_path))
    first = cuda.compile_cubin(KERNELS["saxpy"])
    assert [p.suffix for p in (tmp_path / "cuda").iterdir()] == [".cubin"]

    def forbidden(text: str, arch: str, form: str) -> bytes:
        raise AssertionError("compiled again")

    known = compiler.find_compiler()
    assert isinstance(known, compiler.Compiler)
    monkeypatch.setattr(
        compiler, "find_compiler", lambda: compiler.Compiler(known.name, known.version, forbidden)
    )
    assert cuda.compile_cubin(KERNELS["saxpy"]) == first
    with pytest.raises(AssertionError, match="compiled again"):
        cuda.compile_cubin(KERNELS["saxpy"], "sm_80")


def test_without_a_compiler_the_message_says_how_to_get_one(monkeypatch: Any) -> None:
    monkeypatch.setattr(compiler, "_find_nvrtc", lambda: "the package cuda-bindings is not installed")
    monkeypatch.setattr("shutil.which", lambda name: None)
    compiler.find_compiler.cache_clear()
    try:
        with pytest.raises(LaunchError) as caught:
            cuda.compile_ptx(KERNELS["saxpy"])
    finally:
        compiler.find_compiler.cache_clear()
    assert caught.value.message == (
        "CUDA code cannot be compiled here: the package cuda-bindings is not installed, and there is no nvcc "
        "on PATH. To compile it, install NVRTC with `pip install 'workshop[nvrtc]'` (about 70 MB; no GPU and "
        "no driver needed), or put CUDA's `nvcc` on PATH."
    )


def test_importing_the_back_end_loads_no_cuda_library() -> None:
    code = "import sys, workshop.gpu.cuda; print([m for m in ('cuda', 'cupy') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
