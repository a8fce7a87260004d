"""Starting JupyterLab on the learner's copies, on a laptop, headless, as root, or beside another server."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

from workshop.notebooks.work import fill

FIRST = "00_setup.ipynb"


def lab(root: Path, extra: list[str]) -> int:
    """Fill work/, open JupyterLab on it and return its exit code; `extra` goes to JupyterLab as it is.

    Raises:
        ModuleNotFoundError: JupyterLab is not installed.
    """
    if importlib.util.find_spec("jupyterlab") is None:
        raise ModuleNotFoundError("no module named jupyterlab", name="jupyterlab")
    first_time = not (root / "work").exists()
    for line in fill(root).lines():
        print(line, flush=True)
    command = lab_command(root, extra, first_time)
    print("JupyterLab starts on work/ (Ctrl-C twice stops it). Its address:", flush=True)
    try:
        return subprocess.call(command, cwd=root / "work")
    except KeyboardInterrupt:
        return 0


def lab_command(root: Path, extra: list[str], first_time: bool) -> list[str]:
    """The command line: no browser where there is no screen, root allowed; Jupyter finds the port."""
    folder = f"--ServerApp.root_dir={root / 'work'}"
    command = [sys.executable, "-m", "jupyterlab", folder, "--log-level=WARN"]
    if first_time and (root / "work" / FIRST).exists():
        command.append(f"--LabApp.default_url=/lab/tree/{FIRST}")
    if headless():
        command.append("--no-browser")
    if getattr(os, "geteuid", lambda: 1)() == 0:
        command.append("--allow-root")
    return command + extra


def headless() -> bool:
    """True where no browser can open: Linux without a display, or a session over ssh."""
    if "SSH_CONNECTION" in os.environ:
        return True
    return sys.platform == "linux" and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
