"""The first code cell of every notebook: one line of versions, or how to get the right kernel."""

from __future__ import annotations

import importlib.metadata
import platform

import workshop

# Runs in whatever kernel a learner happened to open the notebook with, so it may import nothing but us.
FIRST_CELL = '''\
try:
    from workshop.notebooks import header
except ModuleNotFoundError as missing:
    raise ImportError(
        f"This kernel has no '{missing.name}'. Choose the workshop's own, which `make lab` puts in .venv.\\n"
        "- JupyterLab: run `make lab` in the workshop's folder and open this notebook there.\\n"
        "- VS Code: Select Kernel > Python Environments > .venv\\n"
        "- Another Jupyter: run `.venv/bin/python -m ipykernel install --user --name workshop`,\\n"
        "  then choose Kernel > Change Kernel > workshop."
    ) from None
print(header())'''


def header() -> str:
    """Return one line that names the device and the versions at work.

    nbval's sanitizer treats everything after `Device:` as equal, so it may differ between machines.
    """
    from workshop.doctor import device_name

    versions = [f"workshop {workshop.__version__}", f"numpy {importlib.metadata.version('numpy')}"]
    return " | ".join([f"Device: {device_name()}", f"Python {platform.python_version()}", *versions])
