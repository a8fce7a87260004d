"""The README's picture is what the project draws today, from a run made here and now."""

import importlib.util
from pathlib import Path
from types import ModuleType
from xml.etree import ElementTree

import pytest

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture
def picture() -> ModuleType:
    spec = importlib.util.spec_from_file_location("docs_picture", DOCS / "picture.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_committed_pictures_are_those_of_a_fresh_run(picture: ModuleType) -> None:
    for name, text in picture.pictures().items():
        assert (DOCS / name).read_text(encoding="utf-8") == text + "\n", "run `python docs/picture.py`"


def test_the_picture_marks_the_racing_line_and_tells_the_fault(picture: ModuleType) -> None:
    words = [node.text or "" for node in ElementTree.fromstring(picture.pictures()["race-light.svg"]).iter()]
    assert any(word.startswith("data race on shared[0]: thread (1, 0, 0)") for word in words)
    assert any("left = shared[t - 1]" in word for word in words)


def test_the_readme_shows_it() -> None:
    readme = (DOCS.parent / "README.md").read_text(encoding="utf-8")
    for name in ("docs/race-light.svg", "docs/race-dark.svg"):
        assert name in readme and (DOCS.parent / name).is_file()
