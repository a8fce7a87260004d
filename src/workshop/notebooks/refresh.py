"""Running notebooks from their text twins, so that two runs write the same file but for printed timings."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import Any

from workshop.files import write_whole
from workshop.notebooks.files import NotebookError, Pair
from workshop.notebooks.text import canonical, shown

CELL_TIMEOUT_S = 120
SAFE_METADATA = {"kernelspec", "language_info", "jupytext"}


def refresh(pair: Pair) -> bool:
    """Run the twin's cells in a fresh kernel and write the notebook; return whether its file changed.

    The notebook is written only after the last cell ran.

    Raises:
        NotebookError: a cell failed or ran too long; names the cell and what it raised.
    """
    notebook = run(canonical(pair), pair)
    tidy(notebook, root=pair.notebook.parents[1])
    data = serialise(notebook)
    if pair.notebook.is_file() and pair.notebook.read_bytes() == data:
        return False
    write_whole(pair.notebook, data)
    return True


def run(notebook: Any, pair: Pair) -> Any:
    """Execute every cell where a learner's kernel would start, in this Python."""
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

    client = NotebookClient(
        notebook,
        kernel_manager_class=this_python(),
        timeout_func=timeout_of,
        record_timing=False,
        coalesce_streams=True,  # how a stream is cut depends on the moment
        extra_arguments=["--log-level=ERROR"],  # ipykernel warns that this local kernel is not encrypted
        resources={"metadata": {"path": str(pair.notebook.parent)}},
    )
    try:
        client.execute(env=kernel_environment())
    except CellExecutionError as error:
        raise NotebookError(f"{where(notebook, pair)} raised {error.ename}: {error.evalue}") from None
    except CellTimeoutError:
        cure = "give the cell a tag such as timeout-300, or make it shorter"
        raise NotebookError(f"{where(notebook, pair)} ran longer than its limit; {cure}") from None
    except DeadKernelError:
        raise NotebookError(f"{where(notebook, pair)} killed its kernel") from None
    return notebook


def kernel_environment() -> dict[str, str]:
    """The environment of a kernel that imports the workshop we run from, also where it is not installed."""
    here = str(Path(__file__).parents[2])
    path = [here, *filter(None, [os.environ.get("PYTHONPATH")])]
    return dict(os.environ) | {"PYTHONPATH": os.pathsep.join(path)}


def this_python() -> Any:
    """A kernel manager class whose kernel is this very Python, whatever kernels the user has installed."""
    from ipykernel.kernelspec import get_kernel_dict
    from jupyter_client.kernelspec import KernelSpec, KernelSpecManager
    from jupyter_client.manager import AsyncKernelManager

    class OneSpec(KernelSpecManager):
        def get_kernel_spec(self, kernel_name: str) -> KernelSpec:
            return KernelSpec(**get_kernel_dict())

    class ThisPython(AsyncKernelManager):
        def _kernel_spec_manager_default(self) -> KernelSpecManager:
            return OneSpec()

    return ThisPython


def timeout_of(cell: Any) -> int:
    """Seconds a cell may run: a tag `timeout-300` says 300.

    >>> from types import SimpleNamespace
    >>> timeout_of(SimpleNamespace(metadata={"tags": ["timeout-300"]}))
    300
    """
    for tag in cell.metadata.get("tags", ()):
        if found := re.fullmatch(r"timeout-(\d+)", tag):
            return int(found[1])
    return CELL_TIMEOUT_S


def where(notebook: Any, pair: Pair) -> str:
    """Name the cell that stopped a run: the last one with an execution count."""
    counted = [i for i, c in enumerate(notebook.cells) if c.cell_type == "code" and c.execution_count]
    index = max(counted, default=0)
    first_line = notebook.cells[index].source.splitlines()[:1] or [""]
    return f"{shown(pair.text)} cell {index} ({first_line[0]!r})"


def tidy(notebook: Any, root: Path) -> None:
    """Drop what differs from run to run or names this machine."""
    for key in set(notebook.metadata) - SAFE_METADATA:
        del notebook.metadata[key]
    notebook.metadata["language_info"] = {"name": "python"}
    for cell in notebook.cells:
        for output in cell.get("outputs", ()):
            if output.output_type == "error":
                output["traceback"] = [without_paths(line, root) for line in output["traceback"]]


def without_paths(text: str, root: Path) -> str:
    """Shorten file names in a traceback to what is the same on every machine.

    >>> without_paths("File /a/b/src/workshop/errors.py:3", Path("/a/b"))
    'File src/workshop/errors.py:3'
    """
    text = text.replace(f"{root}/", "").replace(f"{Path(__file__).parents[3]}/", "")
    text = re.sub(r"[^\s'\"]*/(?:site|dist)-packages/", "site-packages/", text)
    text = text.replace(f"{sys.base_prefix}/", "")
    return re.sub(r"[^\s'\"]*/ipykernel_\d+/\d+\.py", "cell", text)


def serialise(notebook: Any) -> bytes:
    """The canonical bytes of a notebook: nbformat's own, keys in its order, one newline at the end."""
    import nbformat

    text: str = nbformat.writes(notebook, version=4)
    return (text.rstrip("\n") + "\n").encode()
