"""The named GPUs whose rules every api enforces, and the check of a launch against them.

Sources: the "Technical Specifications per Compute Capability" table of the CUDA C++ Programming Guide,
NVIDIA's data sheets and architecture white papers, AMD's CDNA 3 white paper, the HSA properties of gfx942.
Bandwidths and FLOPs are peak figures: dense (no structured sparsity), at the boost clock.
"""

from __future__ import annotations

import difflib
import enum
import math
import re
from dataclasses import dataclass

from workshop.errors import LaunchError, Loc

Dim3 = tuple[int, int, int]
KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30


class DeviceAttribute(enum.IntEnum):
    """Names a property of a device; the values are those of the CUDA driver.

    >>> limits_of("H100").attribute(DeviceAttribute.MAX_THREADS_PER_BLOCK)
    1024
    """

    MAX_THREADS_PER_BLOCK = 1
    MAX_BLOCK_DIM_X = 2
    MAX_BLOCK_DIM_Y = 3
    MAX_BLOCK_DIM_Z = 4
    MAX_GRID_DIM_X = 5
    MAX_GRID_DIM_Y = 6
    MAX_GRID_DIM_Z = 7
    MAX_SHARED_MEMORY_PER_BLOCK = 8
    WARP_SIZE = 10
    MAX_REGISTERS_PER_BLOCK = 12
    CLOCK_RATE = 13
    MULTIPROCESSOR_COUNT = 16
    L2_CACHE_SIZE = 38
    MAX_THREADS_PER_MULTIPROCESSOR = 39
    COMPUTE_CAPABILITY_MAJOR = 75
    COMPUTE_CAPABILITY_MINOR = 76
    MAX_SHARED_MEMORY_PER_MULTIPROCESSOR = 81
    MAX_REGISTERS_PER_MULTIPROCESSOR = 82
    MAX_SHARED_MEMORY_PER_BLOCK_OPTIN = 97
    MAX_BLOCKS_PER_MULTIPROCESSOR = 106


@dataclass(frozen=True, slots=True)
class DeviceLimits:
    """Holds what one GPU allows and how fast it can be.

    Sizes are bytes, `clock` is Hz, bandwidth is bytes per second, `flops_*` are operations per second.
    `shared_per_block` is what a static array may take; `shared_per_block_optin` needs a driver call a kernel.
    `l1` is per SM (on NVIDIA: shared memory included), `l2` per device.
    """

    name: str
    arch: str
    compute_capability: tuple[int, int]
    sm_count: int
    clock: int
    threads_per_sm: int
    blocks_per_sm: int
    shared_per_sm: int
    shared_per_block_optin: int
    l1: int
    l2: int
    memory: int
    memory_bandwidth: float
    flops_float32: float
    flops_float16_tensor: float
    flops_float64: float
    shared_per_block: int = 48 * KIB
    registers_per_sm: int = 65536
    registers_per_block: int = 65536
    registers_per_thread: int = 255
    warp_size: int = 32
    max_threads_per_block: int = 1024
    max_block_dim: Dim3 = (1024, 1024, 64)
    max_grid_dim: Dim3 = (2147483647, 65535, 65535)

    def attribute(self, attribute: DeviceAttribute) -> int:
        """Return one property, in the units of the CUDA driver (bytes, kHz)."""
        match attribute:
            case DeviceAttribute.CLOCK_RATE:
                return self.clock // 1000
            case DeviceAttribute.COMPUTE_CAPABILITY_MAJOR:
                return self.compute_capability[0]
            case DeviceAttribute.COMPUTE_CAPABILITY_MINOR:
                return self.compute_capability[1]
        name = attribute.name
        if name.startswith(("MAX_BLOCK_DIM_", "MAX_GRID_DIM_")):
            dims: Dim3 = getattr(self, name[:-2].lower())
            return dims["XYZ".index(name[-1])]
        value: int = getattr(self, _FIELDS[attribute])
        return value


_FIELDS = {
    DeviceAttribute.MAX_THREADS_PER_BLOCK: "max_threads_per_block",
    DeviceAttribute.MAX_SHARED_MEMORY_PER_BLOCK: "shared_per_block",
    DeviceAttribute.WARP_SIZE: "warp_size",
    DeviceAttribute.MAX_REGISTERS_PER_BLOCK: "registers_per_block",
    DeviceAttribute.MULTIPROCESSOR_COUNT: "sm_count",
    DeviceAttribute.L2_CACHE_SIZE: "l2",
    DeviceAttribute.MAX_THREADS_PER_MULTIPROCESSOR: "threads_per_sm",
    DeviceAttribute.MAX_SHARED_MEMORY_PER_MULTIPROCESSOR: "shared_per_sm",
    DeviceAttribute.MAX_REGISTERS_PER_MULTIPROCESSOR: "registers_per_sm",
    DeviceAttribute.MAX_SHARED_MEMORY_PER_BLOCK_OPTIN: "shared_per_block_optin",
    DeviceAttribute.MAX_BLOCKS_PER_MULTIPROCESSOR: "blocks_per_sm",
}

# fmt: off
LIMITS: dict[str, DeviceLimits] = {
    "H100": DeviceLimits(  # SXM5, 80 GB
        "NVIDIA H100", "sm_90", (9, 0), sm_count=132, clock=1_980_000_000,
        threads_per_sm=2048, blocks_per_sm=32, shared_per_sm=228 * KIB, shared_per_block_optin=227 * KIB,
        l1=256 * KIB, l2=50 * MIB, memory=80 * GIB, memory_bandwidth=3.35e12, flops_float32=66.9e12,
        flops_float16_tensor=989.4e12, flops_float64=33.5e12),
    "A100": DeviceLimits(  # SXM4, 80 GB
        "NVIDIA A100", "sm_80", (8, 0), sm_count=108, clock=1_410_000_000,
        threads_per_sm=2048, blocks_per_sm=32, shared_per_sm=164 * KIB, shared_per_block_optin=163 * KIB,
        l1=192 * KIB, l2=40 * MIB, memory=80 * GIB, memory_bandwidth=2.039e12, flops_float32=19.5e12,
        flops_float16_tensor=312e12, flops_float64=9.7e12),
    "A10": DeviceLimits(
        "NVIDIA A10", "sm_86", (8, 6), sm_count=72, clock=1_695_000_000,
        threads_per_sm=1536, blocks_per_sm=16, shared_per_sm=100 * KIB, shared_per_block_optin=99 * KIB,
        l1=128 * KIB, l2=6 * MIB, memory=24 * GIB, memory_bandwidth=600e9, flops_float32=31.2e12,
        flops_float16_tensor=125e12, flops_float64=0.488e12),
    "L4": DeviceLimits(
        "NVIDIA L4", "sm_89", (8, 9), sm_count=58, clock=2_040_000_000,
        threads_per_sm=1536, blocks_per_sm=24, shared_per_sm=100 * KIB, shared_per_block_optin=99 * KIB,
        l1=128 * KIB, l2=48 * MIB, memory=24 * GIB, memory_bandwidth=300e9, flops_float32=30.3e12,
        flops_float16_tensor=121e12, flops_float64=0.473e12),
    "T4": DeviceLimits(
        "NVIDIA T4", "sm_75", (7, 5), sm_count=40, clock=1_590_000_000,
        threads_per_sm=1024, blocks_per_sm=16, shared_per_sm=64 * KIB, shared_per_block_optin=64 * KIB,
        l1=96 * KIB, l2=4 * MIB, memory=16 * GIB, memory_bandwidth=320e9, flops_float32=8.1e12,
        flops_float16_tensor=65e12, flops_float64=0.254e12),
    "RTX 4090": DeviceLimits(
        "NVIDIA RTX 4090", "sm_89", (8, 9), sm_count=128, clock=2_520_000_000,
        threads_per_sm=1536, blocks_per_sm=24, shared_per_sm=100 * KIB, shared_per_block_optin=99 * KIB,
        l1=128 * KIB, l2=72 * MIB, memory=24 * GIB, memory_bandwidth=1.008e12, flops_float32=82.6e12,
        flops_float16_tensor=165.2e12, flops_float64=1.29e12),
    "MI300X": DeviceLimits(  # an SM is a compute unit, a warp a wavefront of 64, shared memory the LDS
        "AMD MI300X", "gfx942", (9, 4), sm_count=304, clock=2_100_000_000,
        threads_per_sm=2048, blocks_per_sm=32, shared_per_sm=64 * KIB, shared_per_block_optin=64 * KIB,
        l1=32 * KIB, l2=32 * MIB, memory=192 * GIB, memory_bandwidth=5.3e12, flops_float32=163.4e12,
        flops_float16_tensor=1307.4e12, flops_float64=81.7e12,
        shared_per_block=64 * KIB, registers_per_sm=131072, registers_per_thread=512, warp_size=64,
        max_block_dim=(1024, 1024, 1024), max_grid_dim=(2147483647, 65536, 65536)),
}
# fmt: on


def limits_of(name: str) -> DeviceLimits:
    """Look a GPU's limits up by name; case, spaces and the maker's name do not matter.

    Raises LaunchError for a name not in the table.

    >>> limits_of("nvidia h100").sm_count, limits_of("rtx4090").warp_size, limits_of("MI300X").warp_size
    (132, 32, 64)
    """
    known = {_plain(key): key for key in LIMITS}
    plain = _plain(name)
    if plain in known:
        return LIMITS[known[plain]]
    close = difflib.get_close_matches(plain, known, n=1, cutoff=0.5)
    hint = f"Did you mean {known[close[0]]!r}? " if close else ""
    raise LaunchError(f"limits={name!r} names no GPU of the table. {hint}Known: {', '.join(LIMITS)}.")


def _plain(name: str) -> str:
    return re.sub(r"nvidia|amd|geforce|instinct|[^a-z0-9]", "", name.lower())


def check_launch(
    limits: DeviceLimits,
    kernel_name: str,
    grid: Dim3,
    block: Dim3,
    shared_bytes: int = 0,
    loc: Loc | None = None,
) -> None:
    """Raise LaunchError where a launch breaks a limit: numbers, the GPU's own limit, and the cure.

    >>> check_launch(limits_of("H100"), "saxpy", (1, 1, 1), (2048, 1, 1))
    Traceback (most recent call last):
    ...
    workshop.errors.LaunchError: block_dim=(2048, 1, 1) has 2048 threads; NVIDIA H100 allows 1024 per block. \
Use more blocks: grid_dim=(2, 1, 1) with block_dim=1024.
    """
    for problem in (
        _empty("block_dim", block, kernel_name),
        _empty("grid_dim", grid, kernel_name),
        _too_many_threads(limits, grid, block),
        _block_axis(limits, grid, block),
        _grid_axis(limits, grid, block),
        _shared(limits, kernel_name, shared_bytes),
    ):
        if problem is not None:
            raise LaunchError(problem, loc)


def _empty(word: str, dims: Dim3, kernel_name: str) -> str | None:
    if min(dims) >= 1:
        return None
    what = "has no " + ("threads" if word == "block_dim" else "blocks")
    if min(dims) < 0:
        what = f"has a negative extent ({min(dims)})"
    cure = f"Every extent must be at least 1; where there is nothing to do, do not launch `{kernel_name}`."
    return f"{word}={dims} {what}. {cure}"


def _too_many_threads(limits: DeviceLimits, grid: Dim3, block: Dim3) -> str | None:
    threads, allowed = math.prod(block), limits.max_threads_per_block
    if threads <= allowed:
        return None
    cure = _reshaped(limits, grid, block)
    has = f"block_dim={block} has {threads} threads; {limits.name} allows {allowed} per block"
    return f"{has}. Use more blocks: {cure}."


def _block_axis(limits: DeviceLimits, grid: Dim3, block: Dim3) -> str | None:
    for axis, extent, allowed in zip("xyz", block, limits.max_block_dim, strict=True):
        if extent > allowed:
            return (
                f"block_dim={block} is {extent} along {axis}; {limits.name} allows {allowed} along {axis}. "
                f"Use more blocks: {_reshaped(limits, grid, block)}."
            )
    return None


def _reshaped(limits: DeviceLimits, grid: Dim3, block: Dim3) -> str:
    """Name a grid and block that cover the same threads within the limits, cutting z first and x last."""
    new = [min(extent, allowed) for extent, allowed in zip(block, limits.max_block_dim, strict=True)]
    for axis in (2, 1, 0):
        others = math.prod(new) // new[axis]
        new[axis] = min(new[axis], max(limits.max_threads_per_block // others, 1))
    blocks = tuple(-(-g * b // n) for g, b, n in zip(grid, block, new, strict=True))
    shape = str(new[0]) if new[1] == new[2] == 1 else str(tuple(new))
    return f"grid_dim={blocks} with block_dim={shape}"


def _grid_axis(limits: DeviceLimits, grid: Dim3, block: Dim3) -> str | None:
    for axis, extent, allowed in zip("xyz", grid, limits.max_grid_dim, strict=True):
        if extent > allowed:
            cure = (
                f"Put the long axis on x, which allows {limits.max_grid_dim[0]}."
                if axis != "x"
                else "Let each thread do several elements in a loop that strides by the grid."
            )
            has = f"grid_dim={grid} has {extent} blocks along {axis}"
            return f"{has}; {limits.name} allows {allowed} along {axis}. {cure}"
    return None


def _shared(limits: DeviceLimits, kernel_name: str, shared_bytes: int) -> str | None:
    allowed = limits.shared_per_block
    if shared_bytes <= allowed:
        return None
    has = f"`{kernel_name}` allocates {shared_bytes} bytes of shared memory"
    allows = f"{limits.name} allows {allowed} ({allowed // KIB} KB) per block"
    return f"{has}; {allows}. Use a smaller tile: {shared_bytes / allowed:.2f} times less would fit."
