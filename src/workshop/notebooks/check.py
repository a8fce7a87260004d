"""Checking notebooks without running them: twins, counts, canonical form, nothing that names a machine."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from workshop.notebooks.files import NotebookError, Pair
from workshop.notebooks.first_cell import FIRST_CELL
from workshop.notebooks.refresh import serialise, tidy
from workshop.notebooks.text import TEXT_HEADER, canonical, differences, read_notebook, shown

MOST_CELLS, LEAST_CELLS, CELL_LINES = 35, 8, 15
FOLDERS_OF_MACHINES = ("home", "root", "tmp", "usr", "opt", "Users", "var", "mnt", "work")
_FOLDER = rf"/(?!usr/bin/env\b)(?:{'|'.join(FOLDERS_OF_MACHINES)})/"
MACHINE_PATH = re.compile(rf"(?<![\w.:/~-]){_FOLDER}[^\s'\"<]*")


def check(pair: Pair) -> list[str]:
    """Return what is wrong with one notebook; each message names file, cell and cure."""
    try:
        canonical(pair)
        notebook = read_notebook(pair.notebook)
        different = differences(pair)
    except NotebookError as error:
        return [error.message]
    found = list(header_faults(pair)) + different
    found += [f"{shown(pair.notebook)} {fault}" for fault in faults(notebook)]
    if not found and not in_form(notebook, pair):
        cure = f"run `workshop notebooks refresh {pair.number}`"
        found.append(f"{shown(pair.notebook)} is not in canonical form: {cure}")
    return found


def header_faults(pair: Pair) -> Iterator[str]:
    """The YAML header of the twin must stand: JupyterLab drops cell tags without it."""
    text = pair.text.read_text(encoding="utf-8")
    if not text.startswith("# ---\n") or "formats: ipynb,text//py:percent" not in text.split("# ---\n")[1]:
        yield f"{shown(pair.text)} lacks the header that keeps cell tags; put this on top:\n{TEXT_HEADER}"


def faults(notebook: Any) -> Iterator[str]:
    """What is wrong inside a notebook, cell by cell."""
    code = [(i, cell) for i, cell in enumerate(notebook.cells) if cell.cell_type == "code"]
    counts = [cell.execution_count for _, cell in code]
    if counts != list(range(1, len(code) + 1)):
        yield f"has execution counts {counts}, not 1 to {len(code)}: cells without a count are never compared"
    if code and code[0][1].source.rstrip() != FIRST_CELL:
        yield "must begin with the first cell that every notebook shares (workshop.notebooks.FIRST_CELL)"
    if not LEAST_CELLS <= len(notebook.cells) <= MOST_CELLS:
        yield f"has {len(notebook.cells)} cells; a page has {LEAST_CELLS} to {MOST_CELLS}"
    for index, cell in code:
        yield from cell_faults(index, cell, first=index == code[0][0])


def cell_faults(index: int, cell: Any, first: bool) -> Iterator[str]:
    """What is wrong with one code cell and its outputs."""
    lines = len(cell.source.splitlines())
    if lines > CELL_LINES and not first:
        yield f"cell {index} has {lines} lines; a cell holds at most {CELL_LINES}"
    tags = cell.metadata.get("tags", [])
    for output in cell.outputs:
        if output.output_type == "error" and "raises-exception" not in tags:
            yield f"cell {index} ends in {output.ename} but has no tag raises-exception"
        if path := MACHINE_PATH.search(words_of(output)):
            yield f"cell {index} prints a path of one machine: {path[0]}"


def words_of(output: Any) -> str:
    """The text of one output, whatever its kind."""
    if output.output_type == "stream":
        return str(output.text)
    if output.output_type == "error":
        return "\n".join([output.ename, output.evalue, *output.traceback])
    return "\n".join(value for kind, value in output.data.items() if kind.startswith("text/"))


def in_form(notebook: Any, pair: Pair) -> bool:
    """True when ids, metadata and bytes are those that refresh writes."""
    wanted = canonical(pair)
    tidy(notebook, root=pair.notebook.parents[1])
    for cell, right in zip(notebook.cells, wanted.cells, strict=True):
        cell["id"], cell["metadata"] = right.id, right.metadata
    notebook["metadata"] = wanted.metadata
    return serialise(notebook) == pair.notebook.read_bytes()
