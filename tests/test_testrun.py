"""`workshop test`: what its summary says about passes, skips and failures."""

import re
from pathlib import Path

import pytest

from workshop.testrun import Step, run_step, steps, summary


def test_the_steps_are_those_of_the_mission(tmp_path: Path) -> None:
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "notebooks" / "00_a.ipynb").write_text("")
    names = [step.name for step in steps(tmp_path)]
    assert names == ["ruff", "mypy", "pytest", "perf", "twins", "notebooks", "slides"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with one test that passes, one that fails, and two that skip for one reason."""
    (tmp_path / "test_x.py").write_text(
        "import pytest\n"
        "def test_good(): pass\n"
        "def test_bad(): assert 1 == 2\n"
        "@pytest.mark.parametrize('n', [1, 2])\n"
        "def test_idle(n): pytest.skip('no NVIDIA GPU')\n"
    )
    return tmp_path


def test_the_summary_names_every_skip_its_reason_and_every_failure(folder: Path) -> None:
    outcome = run_step(Step("pytest", ("-m", "pytest", "-q", "-p", "no:cacheprovider", "test_x.py")), folder)
    lines = summary([outcome], 3.2)
    at = lines.index("skipped 2: no NVIDIA GPU")
    assert lines[at + 1 : at + 3] == ["    test_x::test_idle[1]", "    test_x::test_idle[2]"]
    assert "failed: pytest test_x::test_bad" in lines
    assert lines[-1] == "1 passed, 1 failed, 2 skipped in 3 s"
    assert re.match(r"pytest +FAILED +\d", lines[2])


def test_a_command_counts_as_one_check(tmp_path: Path) -> None:
    good = run_step(Step("ruff", ("-c", "")), tmp_path)
    bad = run_step(Step("mypy", ("-c", "raise SystemExit(3)")), tmp_path)
    assert summary([good, bad], 1)[-1] == "1 passed, 1 failed, 0 skipped in 1 s"


def test_a_selection_without_tests_is_no_failure(folder: Path) -> None:
    command = ("-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", "nothing", "test_x.py")
    assert run_step(Step("perf", command), folder).code == 0


def test_a_pytest_that_cannot_start_is_a_failure(folder: Path) -> None:
    outcome = run_step(Step("pytest", ("-m", "pytest", "--no-such-option")), folder)
    assert outcome.code != 0
    assert summary([outcome], 1)[-1].startswith("0 passed, 1 failed")
