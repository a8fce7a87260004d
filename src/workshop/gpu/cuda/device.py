"""The GPU at hand: cupy, and the limits the driver reports."""

from __future__ import annotations

import re
from typing import Any

from workshop.errors import LaunchError, caller_loc
from workshop.gpu.limits import LIMITS, DeviceAttribute, DeviceLimits

MEMORY_CLOCK_RATE, GLOBAL_MEMORY_BUS_WIDTH = 36, 37  # further numbers of the driver: kHz, bits
FLOAT32_LANES = {(7, 0): 64, (7, 5): 64, (8, 0): 64}  # per SM; 128 on the others


def load_cupy() -> Any:
    """Import cupy; raise LaunchError with the cure where it is missing."""
    try:
        import cupy
    except ImportError:
        raise LaunchError(
            "launching on a GPU needs cupy, which is not installed: pip install 'workshop[cuda]'. "
            'DeviceContext(api="cpu") and api="checked" work without it.',
            caller_loc(),
        ) from None
    return cupy


def limits_of_device(cupy: Any, device_id: int) -> DeviceLimits:
    """Return what the driver says of a GPU; peak figures from the table, else computed (0 where unknown)."""
    runtime = cupy.cuda.runtime

    def ask(attribute: int) -> int:
        return int(runtime.deviceGetAttribute(int(attribute), device_id))

    name = runtime.getDeviceProperties(device_id)["name"]
    name = name.decode() if isinstance(name, bytes) else str(name)
    a = DeviceAttribute
    capability = ask(a.COMPUTE_CAPABILITY_MAJOR), ask(a.COMPUTE_CAPABILITY_MINOR)
    sm_count, clock = ask(a.MULTIPROCESSOR_COUNT), ask(a.CLOCK_RATE) * 1000
    known = _known(name)
    peak = sm_count * FLOAT32_LANES.get(capability, 128) * 2.0 * clock
    return DeviceLimits(
        name=name,
        arch=f"sm_{capability[0]}{capability[1]}",
        compute_capability=capability,
        sm_count=sm_count,
        clock=clock,
        threads_per_sm=ask(a.MAX_THREADS_PER_MULTIPROCESSOR),
        blocks_per_sm=ask(a.MAX_BLOCKS_PER_MULTIPROCESSOR),
        shared_per_sm=ask(a.MAX_SHARED_MEMORY_PER_MULTIPROCESSOR),
        shared_per_block_optin=ask(a.MAX_SHARED_MEMORY_PER_BLOCK_OPTIN),
        l1=known.l1 if known else ask(a.MAX_SHARED_MEMORY_PER_MULTIPROCESSOR),
        l2=ask(a.L2_CACHE_SIZE),
        memory=int(runtime.getDeviceProperties(device_id)["totalGlobalMem"]),
        memory_bandwidth=2.0 * ask(MEMORY_CLOCK_RATE) * 1000 * ask(GLOBAL_MEMORY_BUS_WIDTH) / 8,
        flops_float32=peak,
        flops_float16_tensor=known.flops_float16_tensor if known else 0.0,
        flops_float64=known.flops_float64 if known else 0.0,
        shared_per_block=ask(a.MAX_SHARED_MEMORY_PER_BLOCK),
        registers_per_sm=ask(a.MAX_REGISTERS_PER_MULTIPROCESSOR),
        registers_per_block=ask(a.MAX_REGISTERS_PER_BLOCK),
        warp_size=ask(a.WARP_SIZE),
        max_threads_per_block=ask(a.MAX_THREADS_PER_BLOCK),
        max_block_dim=(ask(a.MAX_BLOCK_DIM_X), ask(a.MAX_BLOCK_DIM_Y), ask(a.MAX_BLOCK_DIM_Z)),
        max_grid_dim=(ask(a.MAX_GRID_DIM_X), ask(a.MAX_GRID_DIM_Y), ask(a.MAX_GRID_DIM_Z)),
    )


def _known(name: str) -> DeviceLimits | None:
    """Find a reported name in the table: "NVIDIA H100 80GB HBM3" is an H100, "NVIDIA L40" is no L4."""
    return next((limits for key, limits in LIMITS.items() if re.search(rf"\b{key}\b", name)), None)
