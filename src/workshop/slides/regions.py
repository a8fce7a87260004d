"""Cut named regions out of tested source files, so that the code on a slide is code that runs."""

from __future__ import annotations

import re
import textwrap
from dataclasses import dataclass
from pathlib import Path

_MARK = re.compile(r"^\s*(?:#|//)\s*(region|endregion):\s*([\w-]+)\s*$")


class RegionError(ValueError):
    """A region cannot be cut: the message names the file and says which regions it has."""


@dataclass(frozen=True, slots=True)
class Region:
    """Hold a piece of a file: its source without indent or marks, and each line's number in the file."""

    source: str
    numbers: tuple[int, ...]


def read_region(root: Path, reference: str) -> Region:
    """Cut out the lines between `# region: name` and `# endregion: name`.

    `reference` is `path#name`, relative to `root`; a bare `path` is the whole file. `//` marks work too.
    """
    name, _, region = reference.partition("#")
    path = (root / name).resolve()
    if not path.is_relative_to(root.resolve()):
        raise RegionError(f"{name} lies outside the repository. Name a file inside it.")
    if not path.is_file():
        raise RegionError(f"there is no file {name}. {_neighbours(root, path)}")
    lines = path.read_text(encoding="utf-8").splitlines()
    first, last = _find(lines, name, region) if region else (0, len(lines))
    kept = [
        (number, line) for number, line in enumerate(lines[first:last], first + 1) if not _MARK.match(line)
    ]
    while kept and not kept[0][1].strip():
        kept.pop(0)
    while kept and not kept[-1][1].strip():
        kept.pop()
    return Region(textwrap.dedent("\n".join(line for _, line in kept)), tuple(number for number, _ in kept))


def region_names(text: str) -> list[str]:
    """List the regions that a source text opens, in order.

    >>> region_names("# region: add\\nx = 1\\n# endregion: add\\n")
    ['add']
    """
    marks = (_MARK.match(line) for line in text.splitlines())
    return [mark[2] for mark in marks if mark and mark[1] == "region"]


def _find(lines: list[str], name: str, region: str) -> tuple[int, int]:
    marks = [
        (at, match[1]) for at, line in enumerate(lines) if (match := _MARK.match(line)) and match[2] == region
    ]
    kinds = [kind for _, kind in marks]
    if kinds == ["region", "endregion"]:
        return marks[0][0] + 1, marks[1][0]
    if not kinds:
        known = ", ".join(region_names("\n".join(lines))) or "none"
        raise RegionError(
            f"{name} has no region {region!r}; its regions are: {known}. Use one of them, or put"
            f" `# region: {region}` and `# endregion: {region}` around the code."
        )
    places = ", ".join(f"{kind} in line {at + 1}" for at, kind in marks)
    raise RegionError(f"{name} must open and close region {region!r} exactly once; it has {places}.")


def _neighbours(root: Path, path: Path) -> str:
    folder = path.parent
    if not folder.is_dir():
        return "Its folder does not exist either; paths start at the repository's root."
    names = sorted(p.name for p in folder.iterdir() if p.is_file() and p.suffix == path.suffix)
    return f"{folder.relative_to(root.resolve()).as_posix()}/ has: {', '.join(names) or 'no such files'}."
