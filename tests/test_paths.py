"""No text in the repository names a path of one machine or the host of a package registry."""

import subprocess
from pathlib import Path

import pytest

from workshop.notebooks.check import MACHINE_PATH

TOP = Path(__file__).parents[1]
REGISTRIES = [f"{host}.org" for host in ("pypi", "files.pythonhosted", "registry.npmjs")]
GENERATED = (".min.js", ".woff2", ".png", ".safetensors", ".json")


def texts() -> list[Path]:
    """Every text file that git knows or would add."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listing = subprocess.run(command, cwd=TOP, capture_output=True, text=True, check=False)
    if listing.returncode != 0:
        pytest.skip("this folder is no git checkout, so its files cannot be told from others")
    paths = [TOP / name for name in listing.stdout.splitlines()]
    ours = [path for path in paths if path.is_file() and "vendor" not in path.parts]
    return [path for path in ours if not path.name.endswith(GENERATED)]


def complaints(path: Path, text: str) -> list[str]:
    found = []
    for number, line in enumerate(text.splitlines(), start=1):
        if match := MACHINE_PATH.search(line):
            found.append(f"{path}:{number} names {match[0][:60]}")
        found += [f"{path}:{number} names {host}" for host in REGISTRIES if host in line]
    return found


def test_no_text_names_a_machine_path_or_a_registry() -> None:
    found = []
    for path in texts():
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue  # a picture or a font
        found += complaints(path.relative_to(TOP), text)
    assert not found, "\n".join(found)


@pytest.mark.parametrize("folder", ["home", "root", "tmp", "usr"])
def test_a_machine_path_would_be_seen(folder: str) -> None:
    path = "/".join(["", folder, "ann", "x.py"])
    for line in [f"see {path}", f"open('{path}')", f"`{path}`"]:
        (found,) = complaints(Path("a.md"), line)
        assert found.startswith(f"a.md:1 names {path}")
    assert complaints(Path("a.md"), f"https://example.test/{folder}/x src/{folder}/y ~/{folder}/z") == []
