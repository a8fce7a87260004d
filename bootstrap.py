"""Set up .venv once, then run the `workshop` command in it: `python3 bootstrap.py lab` (or test, doctor ...).

Only the standard library is used here. A stamp in .venv holds a hash of what was asked for, so a second run
installs nothing and starts in seconds.
"""

from __future__ import annotations  # so that an old Python gets as far as the message about its version

import hashlib
import os
import platform
import shutil
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
STAMP = VENV / "workshop-stamp"
TORCH_CPU_INDEX = "https://download.pytorch.org/whl/cpu"
QUIET_S = 10.0  # where the output is no terminal, one line of progress so often
PIP_STEPS = ("Collecting ", "Processing ", "  Downloading ", "Building ", "Installing ")
BASE_EXTRAS = ["lab", "torch", "llm", "bench", "nvrtc", "test"]


def main(argv: list[str]) -> int:
    if sys.version_info < (3, 11):  # noqa: UP036 - the bootstrap is what an old Python meets
        complain(f"workshop needs Python >= 3.11; this is {platform.python_version()}.",
                 "Name a newer one: make PYTHON=python3.12 lab")
        return 2
    if not argv:
        complain("usage: python3 bootstrap.py lab | test | doctor | ... (see: make help)")
        return 2
    try:
        ensure_environment(has_nvidia_gpu())
    except subprocess.CalledProcessError as error:
        complain(
            f"\nSetting up failed: {' '.join(map(str, error.cmd))}",
            f"returned {error.returncode}; the lines above say why. Run the command again to go on:",
            "pip keeps what it has downloaded.",
        )
        return 1
    except KeyboardInterrupt:
        complain("\nInterrupted while setting up; the same command goes on from here.")
        return 130
    command = [str(venv_program("workshop")), *argv]
    if os.name == "nt":
        return subprocess.call(command, cwd=ROOT)
    os.chdir(ROOT)
    os.execv(command[0], command)


def ensure_environment(cuda: bool) -> None:
    """Make .venv and install into it, unless its stamp says that exactly this was done before."""
    wanted = stamp(cuda)
    if STAMP.is_file() and STAMP.read_text() == wanted and venv_program("workshop").exists():
        return
    start = time.monotonic()
    STAMP.unlink(missing_ok=True)
    if venv_works():
        print(f"Updating {VENV.name}/: what the workshop needs has changed ...", flush=True)
    else:
        print(f"Setting up {VENV.name}/ for this folder (once; about two minutes and 2 GB) ...", flush=True)
        shutil.rmtree(VENV, ignore_errors=True)
        make_venv()
    install(cuda)
    STAMP.write_text(wanted)
    print(f"Ready after {time.monotonic() - start:.0f} s. The next start takes seconds.\n", flush=True)


def stamp(cuda: bool) -> str:
    """A hash of everything the environment depends on."""
    digest = hashlib.sha256()
    for part in [Path(__file__), ROOT / "pyproject.toml", ROOT / "constraints.txt"]:
        digest.update(part.read_bytes())
    digest.update(f"{platform.python_version()} {sys.prefix} {ROOT} cuda={cuda}".encode())
    return digest.hexdigest()


def has_nvidia_gpu() -> bool:
    """True when the driver's own tool lists a GPU; torch is not installed yet, so it cannot be asked."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return False
    try:
        listing = subprocess.run([tool, "-L"], capture_output=True, text=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return listing.returncode == 0 and "GPU 0" in listing.stdout


def venv_program(name: str) -> Path:
    return VENV / ("Scripts" if os.name == "nt" else "bin") / (f"{name}.exe" if os.name == "nt" else name)


def venv_works() -> bool:
    """False for a .venv that is missing, was moved here, or whose Python has gone or is another version."""
    ask = "import sys; print(sys.prefix, *sys.version_info[:2])"
    command = [str(venv_program("python")), "-c", ask]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError:
        return False
    return answer.stdout.strip() == f"{VENV} {sys.version_info[0]} {sys.version_info[1]}"


def make_venv() -> None:
    print("  1/3 creating the virtual environment", flush=True)
    try:
        subprocess.run([sys.executable, "-m", "venv", str(VENV)], check=True)
    except subprocess.CalledProcessError:
        shutil.rmtree(VENV, ignore_errors=True)
        if sys.platform == "linux":
            complain("On Debian and Ubuntu this needs: sudo apt install python3-venv")
        raise


def install(cuda: bool) -> None:
    python = str(venv_program("python"))
    pip = [python, "-u", "-m", "pip", "install", "--disable-pip-version-check", "--no-input"]
    pip += ["--constraint", str(ROOT / "constraints.txt")]
    extras = BASE_EXTRAS + (["cuda"] if cuda else [])
    print(f"  2/3 torch, the build for {'CUDA' if cuda else 'the CPU'}", flush=True)
    run_showing_progress([*pip, *torch_source(cuda), "torch>=2.5"])
    print(f"  3/3 the workshop and its extras: {', '.join(extras)}", flush=True)
    run_showing_progress([*pip, "--editable", f"{ROOT}[{','.join(extras)}]"])


def run_showing_progress(command: list[str]) -> None:
    """Run pip with its last line in view and its whole output in .venv/install.log, shown when it fails."""
    lines: list[str] = []
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    reader = threading.Thread(target=lambda: lines.extend(process.stdout or ()), daemon=True)
    reader.start()
    start, told = time.monotonic(), -QUIET_S
    while reader.is_alive():
        reader.join(0.2)
        elapsed = time.monotonic() - start
        last = next((line for line in reversed(lines) if line.startswith(PIP_STEPS)), "starting pip").strip()
        if sys.stdout.isatty():
            print(f"\r\033[K      {elapsed:4.0f} s  {last[:70]}", end="", flush=True)
        elif elapsed - told >= QUIET_S:
            told = elapsed
            print(f"      {elapsed:4.0f} s  {last[:70]}", flush=True)
    if sys.stdout.isatty():
        print("\r\033[K", end="")
    with open(VENV / "install.log", "a", encoding="utf-8") as log:
        log.writelines(lines)
    assert process.stdout is not None
    process.stdout.close()
    if process.wait() != 0:
        print("".join(lines[-25:]), file=sys.stderr)
        raise subprocess.CalledProcessError(process.returncode, command)


def torch_source(cuda: bool) -> list[str]:
    """Where pip finds torch: on Linux without a GPU PyTorch's CPU index, else where pip looks by itself."""
    if cuda or sys.platform != "linux" or not reachable(f"{TORCH_CPU_INDEX}/torch/"):
        return []
    return ["--extra-index-url", TORCH_CPU_INDEX]


def reachable(url: str) -> bool:
    try:
        with urllib.request.urlopen(urllib.request.Request(url, method="HEAD"), timeout=5) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, TimeoutError, OSError):
        return False


def complain(*lines: str) -> None:
    print("\n".join(lines), file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
