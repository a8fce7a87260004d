"""`workshop notebooks refresh` and `check`: one source, one canonical file, clear complaints."""

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest

from workshop.notebooks.check import check
from workshop.notebooks.files import NotebookError, Pair, pairs, project_root
from workshop.notebooks.refresh import refresh

spec = importlib.util.spec_from_file_location("trial", Path(__file__).with_name("trial.py"))
assert spec is not None and spec.loader is not None
trial = importlib.util.module_from_spec(spec)
spec.loader.exec_module(trial)


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    """A project whose notebook was run once."""
    pair: Pair = trial.make_project(tmp_path_factory.mktemp("project"))
    assert refresh(pair)
    return pair


@pytest.fixture
def built(fresh: Pair, tmp_path: Path) -> Pair:
    """A copy of it that a test may spoil."""
    pair: Pair = trial.make_project(tmp_path)
    pair.notebook.write_bytes(fresh.notebook.read_bytes())
    return pair


def change(pair: Pair, edit: Any) -> None:
    notebook = json.loads(pair.notebook.read_text())
    edit(notebook)
    pair.notebook.write_text(json.dumps(notebook, indent=1, ensure_ascii=False) + "\n")


def test_a_refreshed_notebook_is_in_order(built: Pair) -> None:
    assert check(built) == []


def test_a_refreshed_notebook_has_counts_fixed_ids_and_no_timing(built: Pair) -> None:
    notebook = json.loads(built.notebook.read_text())
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in code] == [1, 2, 3, 4, 5]
    assert [cell["id"] for cell in notebook["cells"]] == [f"nb04-{i:02d}" for i in range(9)]
    assert set(notebook["metadata"]) == {"kernelspec", "language_info", "jupytext"}
    assert all(cell["metadata"] in ({}, {"tags": ["raises-exception"]}) for cell in notebook["cells"])


def test_a_second_run_differs_only_in_printed_timings(built: Pair) -> None:
    def without_duration(pair: Pair) -> list[str]:
        return [line for line in pair.notebook.read_text().splitlines() if "took" not in line]

    before = without_duration(built)
    refresh(built)
    assert without_duration(built) == before


def test_a_failing_cell_is_named_and_leaves_the_notebook_as_it_was(built: Pair) -> None:
    before = built.notebook.read_bytes()
    trial.write_text(built, [*trial.CELLS, "# %%\nint('four')"])
    with pytest.raises(NotebookError) as caught:
        refresh(built)
    place = "notebooks/text/04_trial.py cell 9 (\"int('four')\")"
    assert caught.value.message.startswith(f"{place} raised ValueError: invalid literal")
    assert built.notebook.read_bytes() == before
    assert sorted(path.name for path in built.notebook.parent.iterdir()) == ["04_trial.ipynb", "text"]


def test_an_endless_cell_is_stopped_at_the_limit_of_its_tag(tmp_path: Path) -> None:
    pair = trial.make_project(tmp_path, ['# %% tags=["timeout-1"]\nwhile True:\n    pass'])
    with pytest.raises(NotebookError, match=r"cell 0 \('while True:'\) ran longer than its limit"):
        refresh(pair)


def test_a_notebook_edited_without_its_twin_is_reported(built: Pair) -> None:
    change(built, lambda nb: nb["cells"][4].update(source=["sum(range(6))"]))
    assert check(built) == [
        "notebooks/04_trial.ipynb cell 4 is not its twin's: there only: 'sum(range(5))'; "
        "edit notebooks/text/04_trial.py, then run `workshop notebooks refresh 04`"
    ]


def test_a_lost_tag_is_reported(built: Pair) -> None:
    change(built, lambda nb: nb["cells"][5].update(metadata={}))
    assert "tags [] here, ['raises-exception'] there" in check(built)[0]
    assert "cell 5 ends in ZeroDivisionError but has no tag raises-exception" in check(built)[1]


@pytest.mark.parametrize(
    ("edit", "complaint"),
    [
        (lambda nb: nb["cells"][4].update(execution_count=None), "has execution counts [1, 2, None, 4, 5]"),
        (lambda nb: nb["cells"][4].update(id="abc"), "is not in canonical form: run `workshop notebooks"),
        (lambda nb: nb["metadata"].update(widgets={}), "is not in canonical form"),
        (
            lambda nb: nb["cells"][7]["outputs"][0].update(text=["/".join(["", "home", "ann", "x.py"])]),
            "cell 7 prints a path of one machine: " + "/".join(["", "home", "ann", "x.py"]),
        ),
    ],
)
def test_what_nbval_would_not_notice_is_reported(built: Pair, edit: Any, complaint: str) -> None:
    change(built, edit)
    assert any(complaint in message for message in check(built)), check(built)


def test_a_missing_twin_a_missing_notebook_and_a_missing_header_each_have_their_cure(built: Pair) -> None:
    text = built.text.read_text()
    built.text.write_text(text.split("# ---\n")[2])
    assert "lacks the header that keeps cell tags; put this on top:\n# ---" in check(built)[0]
    built.notebook.unlink()
    assert check(built) == ["notebooks/04_trial.ipynb is missing: run `workshop notebooks refresh 04_trial`"]
    built.text.unlink()
    (found,) = check(built)
    assert found.startswith("notebooks/text/04_trial.py is missing, the source of a notebook: ")
    assert "`git restore notebooks/text/04_trial.py`" in found


def test_a_notebook_cut_short_is_reported(built: Pair) -> None:
    built.notebook.write_text(built.notebook.read_text()[:100])
    assert check(built)[0].startswith("notebooks/04_trial.ipynb is no notebook: ")


def test_numbers_choose_notebooks(built: Pair) -> None:
    root = project_root(built.text.parent)
    for number in ["4", "04", "04_trial", "04_trial.py"]:
        assert [pair.name for pair in pairs(root, [number])] == ["04_trial"]
    with pytest.raises(NotebookError, match="no notebook has the number '99'; there are: 04"):
        pairs(root, ["99"])
