"""Runs generated CUDA C++ on the host: g++ with a header that plays CUDA, one real thread per CUDA thread.

It stands in for a GPU in tests of what the generated code computes. UBSan is on, so code whose meaning C++
leaves undefined (signed overflow, wild shifts, casts out of range) fails the test instead of working by luck.
"""

import atexit
import functools
import hashlib
import re
import shutil
import struct
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from workshop.gpu import ir
from workshop.gpu.cuda.ranges import Assumptions
from workshop.gpu.cuda.translation import Program, translate
from workshop.gpu.launch import Output
from workshop.gpu.printing import decode, formats_of, log_words

needs_cpp = pytest.mark.skipif(
    shutil.which("g++") is None, reason="needs g++ to run generated code on the host"
)

BASE = ("-std=c++20", "-O0", "-w", "-pthread", "-ffp-contract=off")
FLAGS = (*BASE, "-fsanitize=undefined,float-cast-overflow")
SHARED = (*BASE, "-fPIC")
HEADER = r"""
#include <algorithm>
#include <barrier>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <thread>
#include <vector>
#define __global__
#define __device__
#define __shared__ static
#define __restrict__
#define __launch_bounds__(threads)
struct Index { unsigned int x, y, z; };
static thread_local Index threadIdx, blockIdx;
static Index blockDim, gridDim;
static std::unique_ptr<std::barrier<>> arrived;
static void __syncthreads() { arrived->arrive_and_wait(); }
static void __syncwarp() { arrived->arrive_and_wait(); }
using std::isinf; using std::isnan; using std::max; using std::min;
template <typename To, typename From> static To bits_as(From x) { To y; memcpy(&y, &x, sizeof y); return y; }
static float __int_as_float(int x) { return bits_as<float>(x); }
static float __uint_as_float(unsigned int x) { return bits_as<float>(x); }
static unsigned int __float_as_uint(float x) { return bits_as<unsigned int>(x); }
static double __longlong_as_double(long long x) { return bits_as<double>(x); }
static unsigned long long __double_as_longlong(double x) { return bits_as<unsigned long long>(x); }
static float rsqrtf(float x) { return 1.0f / sqrtf(x); }
static double rsqrt(double x) { return 1.0 / sqrt(x); }
static unsigned long long atomicAdd(unsigned long long* p, unsigned long long n) {
    return __atomic_fetch_add(p, n, __ATOMIC_SEQ_CST);
}
"""
HALF = """
struct float16 {
    unsigned short bits;
    float16() = default;
    explicit float16(float x) : bits(bits_as<unsigned short>((_Float16)x)) {}
    operator float() const { return (float)bits_as<_Float16>(bits); }
};"""
HALF_OF_DOUBLE = """
inline float16 float16_of_double(double x) {
    float16 result;
    result.bits = bits_as<unsigned short>((_Float16)x);
    return result;
}"""
LAUNCH = r"""
extern "C" void launch(const unsigned int* dims, void** a) {
    gridDim = {dims[0], dims[1], dims[2]};
    blockDim = {dims[3], dims[4], dims[5]};
    unsigned int threads = blockDim.x * blockDim.y * blockDim.z;
    for (unsigned int block = 0; block < gridDim.x * gridDim.y * gridDim.z; ++block) {
        arrived = std::make_unique<std::barrier<>>(threads);
        std::vector<std::thread> running;
        for (unsigned int t = 0; t < threads; ++t) running.emplace_back([&, t] {
            blockIdx = {block % gridDim.x, block / gridDim.x % gridDim.y, block / (gridDim.x * gridDim.y)};
            threadIdx = {t % blockDim.x, t / blockDim.x % blockDim.y, t / (blockDim.x * blockDim.y)};
            CALL;
            arrived->arrive_and_drop();
        });
        for (auto& thread : running) thread.join();
    }
}
"""
MAIN = r"""
int main() {
    unsigned int dims[6];
    if (fread(dims, 4, 6, stdin) != 6) return 2;
    std::vector<std::vector<char>> buffers;
    unsigned long long size;
    while (fread(&size, 8, 1, stdin) == 1) {
        buffers.emplace_back(size);
        if (fread(buffers.back().data(), 1, size, stdin) != size) return 2;
    }
    bool array[] = {ARRAYS};
    std::vector<void*> pointers, arguments;
    for (auto& bytes : buffers) pointers.push_back(bytes.data());
    for (size_t n = 0; n < pointers.size(); ++n)
        arguments.push_back(array[n] ? (void*)&pointers[n] : pointers[n]);
    launch(dims, arguments.data());
    for (auto& bytes : buffers) fwrite(bytes.data(), 1, bytes.size(), stdout);
}
"""


def run(
    function: ir.Function,
    arguments: list[Any],
    grid: tuple[int, int, int],
    folder: Path,
    assumptions: Assumptions | None = None,
) -> Output:
    """Run a kernel on numpy arrays (changed in place) and scalars; return what it printed."""
    program = translate(function, assumptions)
    binary = _built(program, folder)
    buffers = [_buffer(p, function, arguments) for p in program.parameters]
    message = struct.pack("<6I", *grid, *function.block)
    message += b"".join(struct.pack("<Q", b.nbytes) + b.tobytes() for b in buffers)
    done = subprocess.run([binary], input=message, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    assert not done.stderr, done.stderr.decode()
    return _read_back(program, function, arguments, buffers, done.stdout)


def _built(program: Program, folder: Path) -> Path:
    arrays = ", ".join("1" if _c_type(p).endswith("*") else "0" for p in program.parameters)
    text = host_source(program) + MAIN.replace("ARRAYS", arrays)
    return _compiled(text, folder / "kernel", [*FLAGS, "-include", str(_header(FLAGS))])


def shared_library(program: Program, folder: Path) -> Path:
    """Build a library whose `launch(dims, pointers to arguments)` runs the program."""
    name = hashlib.sha256(program.text.encode()).hexdigest()[:16]
    flags = ["-std=c++20", "-O0", "-w", "-pthread", "-ffp-contract=off", "-shared", "-fPIC"]
    return _compiled(HEADER + host_source(program), folder / f"{name}.so", flags)


def host_source(program: Program) -> str:
    """Return the program's text as the host compiles it, with the function that launches it."""
    text = re.sub(r"struct float16 \{.*?\n\};", lambda _: HALF, program.text, flags=re.DOTALL)
    text = re.sub(
        r"__device__ inline float16 float16_of_double.*?\n\}", lambda _: HALF_OF_DOUBLE, text, flags=re.DOTALL
    )
    given = (f"*({_c_type(p)}*)a[{n}]" for n, p in enumerate(program.parameters))
    return text + LAUNCH.replace("CALL", f"{program.entry}({', '.join(given)})")


def _compiled(text: str, binary: Path, flags: list[str]) -> Path:
    source = binary.with_suffix(".cpp")
    source.write_text(text)
    done = subprocess.run(["g++", *flags, source, "-o", binary], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{done.stderr}\n{text}"
    return binary


def _c_type(parameter: Any) -> str:
    return str(parameter.declaration.rsplit(" ", 1)[0].replace(" __restrict__", ""))


@functools.cache
def _header(flags: tuple[str, ...]) -> Path:
    """Compile the header once; the kernels then take a third of the time."""
    folder = tempfile.TemporaryDirectory(prefix="workshop-emulator-")
    atexit.register(folder.cleanup)
    header = Path(folder.name, "cuda.h")
    header.write_text(HEADER)
    subprocess.run(["g++", *flags, "-x", "c++-header", header, "-o", f"{header}.gch"], check=True)
    return header


def _buffer(parameter: Any, function: ir.Function, arguments: list[Any]) -> np.ndarray[Any, Any]:
    kind = parameter.kind.to_numpy()
    match parameter.role:
        case "print_log":
            return np.zeros(log_words(formats_of(function)), np.uint64)
        case "array":
            return np.ravel(arguments[parameter.index], "K")
        case "scalar":
            return np.array([arguments[parameter.index]], kind)
        case "extent":
            return np.array([arguments[parameter.index].shape[parameter.axis]], kind)
    array = arguments[parameter.index]
    return np.array([array.strides[parameter.axis] // array.itemsize], kind)


def _read_back(
    program: Program, function: ir.Function, arguments: list[Any], buffers: list[Any], data: bytes
) -> Output:
    output, at = Output(), 0
    for parameter, buffer in zip(program.parameters, buffers, strict=True):
        after = np.frombuffer(data, buffer.dtype, buffer.size, at)
        at += buffer.nbytes
        if parameter.role == "array":
            array = arguments[parameter.index]
            order = "F" if array.flags.f_contiguous and not array.flags.c_contiguous else "C"
            array[...] = after.reshape(array.shape, order=order)
        elif parameter.role == "print_log":
            decode(after, formats_of(function), output)
    return output
