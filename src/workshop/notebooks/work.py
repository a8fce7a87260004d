"""The learner's copies in work/: filled on first start, updated while unedited, kept once edited."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path

from workshop.files import write_whole
from workshop.notebooks.files import NotebookError, pairs

MANIFEST = ".workshop.json"
LEFT_OUT = {"text", "conftest.py"}  # the twins and the test hooks are for authors


@dataclass(slots=True)
class Report:
    """Says what filling work/ did, as names relative to it."""

    new: list[str] = field(default_factory=list)
    updated: list[str] = field(default_factory=list)
    outdated: list[str] = field(default_factory=list)  # edited by the learner, and changed upstream since

    def lines(self) -> list[str]:
        """One sentence for each kind of file."""
        told = []
        if self.new:
            told.append(f"work/: {len(self.new)} new")
        if self.updated:
            told.append(f"work/: updated {', '.join(self.updated)}")
        for name in self.outdated:
            number = name.split("_")[0]
            cure = f"`workshop reset {number}` takes the new version"
            if not name.endswith(".ipynb"):
                cure = "delete it, and the next start brings the new version"
            told.append(f"work/{name} holds your edits and was kept; {cure}")
        return told


def fill(root: Path) -> Report:
    """Copy what is missing from notebooks/ to work/ and update what the learner has not edited.

    Raises:
        NotebookError: work/ is a file, or its manifest cannot be read.
    """
    if (root / "work").exists() and not (root / "work").is_dir():
        raise NotebookError("work is a file; rename it, as your copies go to a folder of that name")
    manifest, report = read_manifest(root), Report()
    for name in sources(root):
        fresh = copy_of(root / "notebooks" / name)
        target = root / "work" / name
        known = manifest.get(name)
        if not target.exists():
            report.new.append(name)
        elif digest(target.read_bytes()) == digest(fresh):
            manifest[name] = digest(fresh)
            continue
        elif digest(target.read_bytes()) == known:
            report.updated.append(name)
        else:
            if known != digest(fresh):
                report.outdated.append(name)
            continue
        write_whole(target, fresh)
        manifest[name] = digest(fresh)
    write_manifest(root, manifest)
    return report


def reset(root: Path, number: str) -> list[str]:
    """Restore one notebook in work/ from notebooks/ and return what to tell the learner.

    The edited copy is kept beside it as NAME.before-reset.ipynb.

    Raises:
        NotebookError: no notebook has this number, or it has not been built yet.
    """
    (pair,) = pairs(root, [number])
    if not pair.notebook.is_file():
        cure = f"run `workshop notebooks refresh {number}`"
        raise NotebookError(f"notebooks/{pair.notebook.name} is missing: {cure}")
    target, fresh, told = root / "work" / pair.notebook.name, copy_of(pair.notebook), []
    if target.exists() and target.read_bytes() != fresh:
        backup = target.with_suffix(".before-reset.ipynb")
        target.replace(backup)
        told.append(f"your edited copy is now work/{backup.name}")
    write_whole(target, fresh)
    write_manifest(root, read_manifest(root) | {target.name: digest(fresh)})
    return [f"work/{target.name} is as new", *told]


def sources(root: Path) -> list[str]:
    """Name the files of notebooks/ that a learner gets, relative to it."""
    folder = root / "notebooks"
    names = [path.relative_to(folder) for path in sorted(folder.rglob("*")) if path.is_file()]
    return [
        name.as_posix()
        for name in names
        if not any(part in LEFT_OUT or part.startswith((".", "__")) for part in name.parts)
    ]


def copy_of(path: Path) -> bytes:
    """What work/ gets of a file: a notebook without its pairing, so that saving it writes no twin."""
    data = path.read_bytes()
    if path.suffix != ".ipynb":
        return data
    notebook = json.loads(data)
    if notebook["metadata"].pop("jupytext", None) is None:
        return data
    return (json.dumps(notebook, ensure_ascii=False, indent=1) + "\n").encode()


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def read_manifest(root: Path) -> dict[str, str]:
    """The digest of each copy as we last wrote it: a copy that differs holds edits."""
    path = root / "work" / MANIFEST
    if not path.exists():
        return {}
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, TypeError):
        cure = "delete it; every notebook in work/ then counts as edited and is kept"
        raise NotebookError(f"work/{MANIFEST} is damaged: {cure}") from None


def write_manifest(root: Path, manifest: dict[str, str]) -> None:
    text = json.dumps(dict(sorted(manifest.items())), indent=1) + "\n"
    write_whole(root / "work" / MANIFEST, text.encode())
