"""What this machine has for the workshop: device, limits, versions, and tools that are good to have."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass

from workshop.errors import LaunchError
from workshop.gpu.host.context import default_api
from workshop.gpu.limits import limits_of
from workshop.slides import chromium

Row = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Tool:
    """Describes an optional program: the names it goes by, what it is for and how to get it."""

    label: str
    names: tuple[str, ...]
    purpose: str
    cure: str

    def find(self) -> str | None:
        """Return the name of the first program on the PATH, or None."""
        return next((name for name in self.names if shutil.which(name)), None)


CHROMIUM = Tool(
    "Chromium",
    chromium.NAMES,
    "browser tests of the decks, and PDFs of them",
    "apt-get install chromium, brew install chromium, or Google Chrome",
)
CXX = Tool(
    "C++ compiler",
    ("c++", "g++", "clang++", "cl"),
    "torch.compile on the CPU (notebook 17 runs eagerly without it)",
    "apt-get install g++, xcode-select --install, or Visual Studio Build Tools",
)
NVCC = Tool(
    "nvcc",
    ("nvcc",),
    "building the printed CUDA C++ yourself; the workshop itself compiles it with NVRTC",
    "NVIDIA's CUDA Toolkit",
)
DEFAULT_LIMITS = "H100"  # the GPU whose rules the CPU obeys unless DeviceContext names another
TOOLS = (CXX, CHROMIUM, NVCC)

PACKAGES = {  # distribution -> what it is for
    "numpy": "arrays, and the checked mode",
    "llvmlite": "compiling kernels for the CPU",
    "ml_dtypes": "bfloat16 on the host",
    "jupyterlab": "notebooks",
    "torch": "notebooks 17 to 19",
    "transformers": "checking our LLM blocks against it",
    "numba": "hand-written peers in `workshop bench`",
    "cuda-bindings": "compiling kernels to CUDA machine code (NVRTC), GPU or not",
    "cupy-cuda13x": "launching kernels on an NVIDIA GPU",
}


def device_name() -> str:
    """Name the default device: the GPU's own name, or `CPU`, or `CPU (checked)`.

    Raises:
        LaunchError: WORKSHOP_DEVICE asks for a GPU that is not there, or for an api that does not exist.
    """
    api = default_api()
    if api == "cuda":
        return next(gpus(), "NVIDIA GPU")
    return "CPU" if api == "cpu" else f"CPU ({api})"


def gpus() -> Iterator[str]:
    """Yield the name of each NVIDIA GPU, from the driver's own tool."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return
    query = [tool, "--query-gpu=name,memory.total", "--format=csv,noheader"]
    answer = subprocess.run(query, capture_output=True, text=True, timeout=30, check=False)
    if answer.returncode == 0:
        yield from (line.strip() for line in answer.stdout.splitlines() if line.strip())


def report() -> str:
    """Return everything as text, one fact a line, in four sections."""
    sections = [
        ("Device", device_rows()),
        ("Limits", limit_rows()),
        ("Versions", version_rows()),
        ("Optional tools", tool_rows()),
    ]
    width = max(len(name) for _, rows in sections for name, _ in rows)
    lines = []
    for title, rows in sections:
        lines += [title, *(f"  {name:<{width}}  {value}" for name, value in rows), ""]
    return "\n".join(lines)


def device_rows() -> list[Row]:
    """The default device and what else there is."""
    found, problem = list(gpus()), device_problem()
    asked = os.environ.get("WORKSHOP_DEVICE")
    why = f"WORKSHOP_DEVICE={asked}" if asked else "default (no WORKSHOP_DEVICE): a GPU, else the CPU"
    return [
        ("Device", f"none: {problem}" if problem else device_name()),
        ("chosen by", why),
        ("NVIDIA GPUs", "; ".join(found) or "none (not needed: kernels compile for the CPU)"),
        ("CPU", f"{platform.processor() or platform.machine()}, {usable_cores()} cores for this process"),
    ]


def limit_rows() -> list[Row]:
    """The rules that launches obey, and the memory they have."""
    rules = limits_of(DEFAULT_LIMITS)
    source = f'{rules.name} on the CPU (another: DeviceContext(limits="L4")); a GPU has its own'
    return [
        ("launch rules of", source),
        ("max threads per block", f"{rules.max_threads_per_block}"),
        ("max block dim (x, y, z)", f"{rules.max_block_dim}"),
        ("max grid dim (x, y, z)", f"{rules.max_grid_dim}"),
        ("shared memory per block", f"{rules.shared_per_block // 1024} KiB"),
        ("warp size", f"{rules.warp_size} lanes"),
        ("memory", f"{memory_gib():.0f} GiB in this machine"),
    ]


def version_rows() -> list[Row]:
    """Python, the workshop and each package, or what a missing one would be for."""
    rows = [("Python", platform.python_version())]
    for name, purpose in PACKAGES.items():
        try:
            rows.append((name, importlib.metadata.version(name)))
        except importlib.metadata.PackageNotFoundError:
            rows.append((name, f"not installed; for {purpose}"))
    return rows


def tool_rows() -> list[Row]:
    """Each optional program: found or not, and what for."""
    rows = []
    for tool in TOOLS:
        found = tool.find()
        missing = f"not found; for {tool.purpose}. Get it: {tool.cure}"
        rows.append((tool.label, f"{found}; for {tool.purpose}" if found else missing))
    return rows


def usable_cores() -> int:
    """Cores this process may run on, which in a container are fewer than the machine has."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def memory_gib() -> float:
    """Physical memory in GiB; 0 where the system does not say."""
    if not hasattr(os, "sysconf") or "SC_PHYS_PAGES" not in os.sysconf_names:
        return 0.0
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30


def device_problem() -> str | None:
    """Say why there is no default device, or return None where there is one."""
    try:
        default_api()
    except LaunchError as error:
        return error.message
    return None


def main() -> int:
    """Print the report; return 1 where WORKSHOP_DEVICE asks for a device that is not there."""
    print(report())
    return 1 if device_problem() else 0
