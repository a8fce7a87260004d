"""CUDA C++ to PTX and machine code, with no GPU: through NVRTC's wheel, else through `nvcc`."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from workshop.errors import LaunchError, WorkshopError
from workshop.files import write_whole
from workshop.gpu import ir
from workshop.gpu.cpu.build import cache_folder
from workshop.gpu.cuda.translation import Program, translate

Form = Literal["ptx", "cubin"]
HOW_TO_GET = (
    "install NVRTC with `pip install 'workshop[nvrtc]'` (about 70 MB; no GPU and no driver needed), "
    "or put CUDA's `nvcc` on PATH"
)


@dataclass(frozen=True, slots=True)
class Compiler:
    """Names a CUDA compiler: `nvrtc` or `nvcc`, its version, and what runs it."""

    name: str
    version: str
    run: Callable[[str, str, Form], bytes]


def compile_ptx(function: ir.Function, arch: str = "sm_90") -> str:
    """Compile a kernel for one architecture and return its PTX.

    Raises LaunchError where there is no compiler, saying how to get one.
    """
    return compiled(translate(function), arch, "ptx").rstrip(b"\0").decode()


def compile_cubin(function: ir.Function, arch: str = "sm_90") -> bytes:
    """Compile a kernel for one architecture and return its machine code (an ELF file).

    Raises LaunchError where there is no compiler, saying how to get one.
    """
    return compiled(translate(function), arch, "cubin")


def compiled(program: Program, arch: str, form: Form) -> bytes:
    """Compile a program, or take the result of an earlier process from the disk."""
    compiler = find_compiler()
    if isinstance(compiler, str):
        raise LaunchError(f"CUDA code cannot be compiled here: {compiler}. To compile it, {HOW_TO_GET}.")
    kept = _kept(compiler, program, arch, form)
    if kept.is_file():
        return kept.read_bytes()
    result = compiler.run(program.text, arch, form)
    _keep(kept, result)
    return result


def compiled_file(program: Program, arch: str) -> Path:
    """Compile a program to machine code and return the file that holds it."""
    result = compiled(program, arch, "cubin")
    compiler = find_compiler()
    assert isinstance(compiler, Compiler)
    kept = _kept(compiler, program, arch, "cubin")
    if kept.is_file():
        return kept
    own = Path(_own_folder().name, kept.name)  # the cache cannot be written
    own.write_bytes(result)
    return own


def _kept(compiler: Compiler, program: Program, arch: str, form: Form) -> Path:
    identity = "\0".join([compiler.name, compiler.version, arch, form, program.text])
    return cache_folder() / "cuda" / f"{hashlib.sha256(identity.encode()).hexdigest()}.{form}"


@functools.cache
def _own_folder() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="workshop-cuda-")


@functools.cache
def find_compiler() -> Compiler | str:
    """Return the compiler that is at hand, or why there is none."""
    nvrtc = _find_nvrtc()
    if isinstance(nvrtc, Compiler):
        return nvrtc
    nvcc = shutil.which("nvcc")
    if nvcc is None:
        return f"{nvrtc}, and there is no nvcc on PATH"
    shown = subprocess.run([nvcc, "--version"], capture_output=True, text=True, check=False)
    version = shown.stdout.strip().splitlines()[-1] if shown.returncode == 0 and shown.stdout else ""
    return Compiler("nvcc", version, functools.partial(_run_nvcc, nvcc))


def _find_nvrtc() -> Compiler | str:
    try:
        from cuda.bindings import nvrtc
    except ImportError:
        return "the package cuda-bindings is not installed"
    try:
        error, major, minor = nvrtc.nvrtcVersion()
    except Exception as problem:  # the bindings are there, the library they load is not
        return f"cuda-bindings cannot load NVRTC ({problem})"
    if int(error):
        return f"NVRTC answers {error.name}"
    return Compiler("nvrtc", f"{major}.{minor}", functools.partial(_run_nvrtc, nvrtc))


def _run_nvrtc(nvrtc: Any, text: str, arch: str, form: Form) -> bytes:
    def checked(result: tuple[Any, ...]) -> Any:
        if int(result[0]):
            raise WorkshopError(f"NVRTC failed: {result[0].name}")
        return result[1] if len(result) > 1 else None

    program = checked(nvrtc.nvrtcCreateProgram(text.encode(), b"kernel.cu", 0, [], []))
    try:
        options = [f"--gpu-architecture={arch}".encode(), b"--std=c++17"]
        (error,) = nvrtc.nvrtcCompileProgram(program, len(options), options)
        if int(error):
            log = b" " * checked(nvrtc.nvrtcGetProgramLogSize(program))
            checked(nvrtc.nvrtcGetProgramLog(program, log))
            raise _refused(f"NVRTC ({error.name})", arch, log.rstrip(b"\0 ").decode(), text)
        size, get = {
            "ptx": (nvrtc.nvrtcGetPTXSize, nvrtc.nvrtcGetPTX),
            "cubin": (nvrtc.nvrtcGetCUBINSize, nvrtc.nvrtcGetCUBIN),
        }[form]
        result: bytes = b" " * checked(size(program))
        checked(get(program, result))
        return result
    finally:
        nvrtc.nvrtcDestroyProgram(program)


def _run_nvcc(nvcc: str, text: str, arch: str, form: Form) -> bytes:
    with tempfile.TemporaryDirectory(prefix="workshop-") as folder:
        source, result = Path(folder, "kernel.cu"), Path(folder, f"kernel.{form}")
        source.write_text(text)
        command = [nvcc, f"-arch={arch}", "-std=c++17", f"--{form}", str(source), "-o", str(result)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise _refused("nvcc", arch, done.stderr.replace(folder + os.sep, ""), text)
        return result.read_bytes()


def _refused(who: str, arch: str, log: str, text: str) -> WorkshopError:
    if "gpu-architecture" in log or "gpu architecture" in log or "not defined for option" in log:
        says = f"It says: {log.strip()}"
        return LaunchError(f"{who} knows no architecture {arch!r}; write it like 'sm_90'. {says}")
    return WorkshopError(
        f"{who} refused the CUDA code of a kernel for {arch}; a fault of workshop, please report it.\n"
        f"{log.strip()}\n--- the code ---\n{text}"
    )


def _keep(path: Path, result: bytes) -> None:
    """Write a file whole or not at all; where the disk refuses, the next process compiles again."""
    with contextlib.suppress(OSError):
        write_whole(path, result)
