"""Text twins: reading notebooks/text/NN_name.py (py:percent) and comparing it with its notebook."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Any

from workshop.notebooks.files import NotebookError, Pair

Cell = tuple[str, str, tuple[str, ...]]  # (cell type, source, tags)

KERNELSPEC = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
JUPYTEXT = {"formats": "ipynb,text//py:percent"}
TEXT_HEADER = """\
# ---
# jupyter:
#   jupytext:
#     cell_metadata_filter: tags,-all
#     formats: ipynb,text//py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---
"""  # stays on top of every twin: without it JupyterLab drops cell tags on save


def read_text(path: Path) -> Any:
    """Read a twin into a notebook without outputs.

    Raises:
        NotebookError: the file is missing, or has no cell that starts with `# %%`.
    """
    import jupytext

    if not path.is_file():
        cure = f"bring it back with `git restore {shown(path)}`, or delete its .ipynb too"
        raise NotebookError(f"{shown(path)} is missing, the source of a notebook: {cure}")
    notebook = jupytext.read(path, fmt="py:percent")
    if not any(cell.cell_type == "code" for cell in notebook.cells):
        raise NotebookError(f"{shown(path)} has no code cell: cells start with a line `# %%`")
    return notebook


def read_notebook(path: Path) -> Any:
    """Read an .ipynb.

    Raises:
        NotebookError: it is missing or no notebook.
    """
    import nbformat

    if not path.is_file():
        raise NotebookError(f"{shown(path)} is missing: run `workshop notebooks refresh {path.stem}`")
    try:
        return nbformat.read(path, as_version=4)
    except ValueError as error:  # not JSON, or JSON that is no notebook
        raise NotebookError(f"{shown(path)} is no notebook: {str(error).splitlines()[0]}") from None


def canonical(pair: Pair) -> Any:
    """Build what the notebook should be before it runs: cells of the twin, fixed ids, our metadata."""
    import nbformat

    cells = []
    for index, cell in enumerate(read_text(pair.text).cells):
        tags = {"tags": list(cell.metadata["tags"])} if cell.metadata.get("tags") else {}
        kind = {"code": "new_code_cell", "markdown": "new_markdown_cell"}[cell.cell_type]
        make: Any = getattr(nbformat.v4, kind)
        cells.append(make(cell.source, metadata=tags, id=f"nb{pair.number}-{index:02d}"))
    metadata = {"kernelspec": KERNELSPEC, "jupytext": JUPYTEXT, "language_info": {"name": "python"}}
    return nbformat.v4.new_notebook(cells=cells, metadata=metadata)


def cells_of(notebook: Any) -> list[Cell]:
    """List (cell type, source, tags): what a notebook and its twin must share."""
    return [(c.cell_type, c.source.rstrip(), tuple(c.metadata.get("tags", ()))) for c in notebook.cells]


def differences(pair: Pair) -> list[str]:
    """Compare a notebook with its twin; return one message for each cell that differs, at most three."""
    ours, theirs = cells_of(read_notebook(pair.notebook)), cells_of(read_text(pair.text))
    cure = f"edit {shown(pair.text)}, then run `workshop notebooks refresh {pair.number}`"
    found = []
    for index, (left, right) in enumerate(zip(ours, theirs, strict=False)):
        if left != right:
            place = f"{shown(pair.notebook)} cell {index}"
            found.append(f"{place} is not its twin's: {first_change(left, right)}; {cure}")
    if len(ours) != len(theirs):
        count = f"{shown(pair.notebook)} has {len(ours)} cells and {shown(pair.text)} {len(theirs)}"
        found.append(f"{count}; {cure}")
    return found[:3]


def first_change(left: Cell, right: Cell) -> str:
    """Say how two cells differ: type, tags, or the first line that does."""
    if left[0] != right[0]:
        return f"{left[0]} here, {right[0]} there"
    if left[2] != right[2]:
        return f"tags {list(left[2])} here, {list(right[2])} there"
    changed = [
        line for line in difflib.ndiff(right[1].splitlines(), left[1].splitlines()) if line[0] in "+-"
    ]
    return f"{'here' if changed[0][0] == '+' else 'there'} only: {changed[0][2:].strip()!r}"


def shown(path: Path) -> str:
    """A path as messages name it: from the last notebooks/ on."""
    *folders, name = path.parts
    while folders and "notebooks" in folders[1:]:
        folders = folders[1:]
    return "/".join([*folders, name]) if folders[:1] == ["notebooks"] else name
