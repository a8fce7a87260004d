"""The learner's copies in work/."""

import json
from pathlib import Path

import pytest

from workshop.notebooks.files import NotebookError
from workshop.notebooks.work import fill, reset


def notebook(text: str) -> str:
    cells = [{"cell_type": "markdown", "id": "a", "metadata": {}, "source": [text]}]
    metadata = {"jupytext": {"formats": "ipynb,text//py:percent"}}
    return json.dumps({"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5})


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "notebooks" / "text").mkdir(parents=True)
    (tmp_path / "notebooks" / "text" / "04_x.py").write_text("# %%\n1\n")
    (tmp_path / "notebooks" / "04_x.ipynb").write_text(notebook("first"))
    (tmp_path / "notebooks" / "operations").mkdir()
    (tmp_path / "notebooks" / "operations" / "gray.py").write_text("x = 1\n")
    return tmp_path


def test_first_start_copies_notebooks_and_their_files_but_no_twins(root: Path) -> None:
    assert fill(root).new == ["04_x.ipynb", "operations/gray.py"]
    assert not (root / "work" / "text").exists()
    assert "jupytext" not in json.loads((root / "work" / "04_x.ipynb").read_text())["metadata"]
    assert fill(root).lines() == []


def test_an_unedited_copy_follows_its_source(root: Path) -> None:
    fill(root)
    (root / "notebooks" / "04_x.ipynb").write_text(notebook("second"))
    assert fill(root).updated == ["04_x.ipynb"]
    assert "second" in (root / "work" / "04_x.ipynb").read_text()


def test_an_edited_copy_is_never_overwritten(root: Path) -> None:
    fill(root)
    (root / "work" / "04_x.ipynb").write_text("mine")
    assert fill(root).lines() == []
    (root / "notebooks" / "04_x.ipynb").write_text(notebook("second"))
    for _ in range(2):
        assert fill(root).lines() == [
            "work/04_x.ipynb holds your edits and was kept; `workshop reset 04` takes the new version"
        ]
        assert (root / "work" / "04_x.ipynb").read_text() == "mine"


def test_a_copy_from_before_the_manifest_counts_as_edited(root: Path) -> None:
    (root / "work").mkdir()
    (root / "work" / "04_x.ipynb").write_text("mine")
    fill(root)
    assert (root / "work" / "04_x.ipynb").read_text() == "mine"


def test_reset_restores_and_keeps_the_edits_beside_it(root: Path) -> None:
    fill(root)
    (root / "work" / "04_x.ipynb").write_text("mine")
    assert reset(root, "4") == [
        "work/04_x.ipynb is as new",
        "your edited copy is now work/04_x.before-reset.ipynb",
    ]
    assert "first" in (root / "work" / "04_x.ipynb").read_text()
    assert (root / "work" / "04_x.before-reset.ipynb").read_text() == "mine"
    (root / "notebooks" / "04_x.ipynb").write_text(notebook("second"))
    assert fill(root).updated == ["04_x.ipynb"]


def test_an_edited_op_is_kept_and_deleting_it_brings_the_new_one(root: Path) -> None:
    source, copy = (root / folder / "custom_ops" / "op.py" for folder in ("notebooks", "work"))
    source.parent.mkdir(exist_ok=True)
    source.write_text("first")
    fill(root)
    copy.write_text("mine")
    source.write_text("second")
    assert fill(root).lines() == [
        "work/custom_ops/op.py holds your edits and was kept; "
        "delete it, and the next start brings the new version"
    ]
    copy.unlink()
    assert fill(root).new == ["custom_ops/op.py"]
    assert copy.read_text() == "second"


def test_a_damaged_manifest_is_named_and_nothing_is_touched(root: Path) -> None:
    fill(root)
    (root / "work" / ".workshop.json").write_text("{")
    with pytest.raises(NotebookError, match=r"work/\.workshop\.json is damaged: delete it"):
        fill(root)


def test_a_file_in_the_way_is_named_and_kept(root: Path) -> None:
    (root / "work").write_text("mine")
    with pytest.raises(NotebookError, match="work is a file"):
        fill(root)
    assert (root / "work").read_text() == "mine"


def test_an_unknown_number_is_refused(root: Path) -> None:
    with pytest.raises(NotebookError, match="no notebook has the number '7'; there are: 04"):
        reset(root, "7")
