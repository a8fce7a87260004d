"""Where notebooks live, and how files are written whole or not at all."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from workshop.errors import WorkshopError


class NotebookError(WorkshopError):
    """A notebook, its twin or a working copy is not where or what it should be."""


@dataclass(frozen=True, slots=True)
class Pair:
    """Names a notebook and its text twin: notebooks/04_x.ipynb and notebooks/text/04_x.py."""

    notebook: Path
    text: Path

    @property
    def name(self) -> str:
        """The name without an ending, such as `04_map_and_guards`."""
        return self.notebook.stem

    @property
    def number(self) -> str:
        """The two digits in front, such as `04`."""
        return self.name.split("_")[0]


def project_root(start: Path | None = None) -> Path:
    """Find the folder of this project: the one around `start` (default: here) with pyproject.toml.

    Falls back to the checkout this package was installed from.

    Raises:
        NotebookError: neither has one.
    """
    here = (start or Path.cwd()).resolve()
    for folder in [here, *here.parents, Path(__file__).resolve().parents[3]]:
        inside = [folder / "notebooks", folder / "src" / "workshop"]
        if (folder / "pyproject.toml").is_file() and any(part.is_dir() for part in inside):
            return folder
    cure = "run this in the folder that holds pyproject.toml and notebooks/"
    raise NotebookError(f"there is no workshop checkout around {here.name}/: {cure}")


def pairs(root: Path, numbers: Iterable[str] = ()) -> list[Pair]:
    """List the pairs under `root`, those of `numbers` only ("04", "4" or a whole name), in order.

    Raises:
        NotebookError: a number that no notebook has.
    """
    folder = root / "notebooks"
    names = {path.stem for path in folder.glob("[0-9]*.ipynb")}
    names |= {path.stem for path in (folder / "text").glob("[0-9]*.py")}
    found = [Pair(folder / f"{name}.ipynb", folder / "text" / f"{name}.py") for name in sorted(names)]
    wanted = list(numbers)
    if not wanted:
        return found
    return [pick(found, number) for number in wanted]


def pick(found: list[Pair], number: str) -> Pair:
    """Return the pair that `number` means: "04", "4" or a whole name, with or without its ending."""
    bare = Path(number).stem
    for pair in found:
        if bare == pair.name or bare.zfill(2) == pair.number:
            return pair
    known = ", ".join(pair.number for pair in found) or "none"
    raise NotebookError(f"no notebook has the number {number!r}; there are: {known}")
