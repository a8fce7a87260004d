"""The `workshop` command: every word of it answers, and mistakes get a message and an exit code."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from workshop import cli, doctor
from workshop.notebooks.lab import headless, lab_command

WORDS = ["lab", "test", "doctor", "reset", "notebooks", "puzzle", "slides", "bench"]


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        cli.main(["--help"])
    shown = capsys.readouterr().out
    assert stop.value.code == 0
    assert all(re.search(rf"^ +{word}\b", shown, re.MULTILINE) for word in WORDS), shown


@pytest.mark.parametrize("argv", [[], ["dance"], ["doctor", "--loud"], ["notebooks", "burn"], ["reset"]])
def test_a_wrong_command_line_ends_with_2(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        cli.main(argv)
    assert stop.value.code == 2
    assert capsys.readouterr().err.startswith("usage: workshop")


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty project around the current folder."""
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "pyproject.toml").write_text("")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.usefixtures("project")
def test_a_mistake_of_the_user_gets_one_line_and_no_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["reset", "99"]) == 1
    assert capsys.readouterr().err.startswith("workshop: no notebook has the number '99'")


@pytest.mark.usefixtures("project")
def test_an_unknown_step_of_test_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["test", "--only", "rust"]) == 1
    assert "no such step: rust; the steps are ruff, mypy, pytest, perf," in capsys.readouterr().err


@pytest.mark.usefixtures("project")
def test_a_missing_package_is_named_with_its_cure(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert cli.main(["lab"]) == 1
    complaint = capsys.readouterr().err
    assert complaint.startswith("workshop: this needs jupyterlab, which this Python has not got: `make lab` ")
    assert not Path("work").exists()


def test_an_interrupt_ends_with_130(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted() -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(doctor, "main", interrupted)
    assert cli.main(["doctor"]) == 130


def test_doctor_reports_device_limits_versions_and_tools(capsys: pytest.CaptureFixture[str]) -> None:
    shown = doctor.report()
    assert [line for line in shown.splitlines() if line and line[0] != " "] == [
        "Device",
        "Limits",
        "Versions",
        "Optional tools",
    ]
    assert "max threads per block" in shown and f"{doctor.usable_cores()} cores" in shown


def test_doctor_says_what_a_missing_tool_is_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    rows = dict(doctor.tool_rows())
    assert set(rows) == {"C++ compiler", "Chromium", "nvcc"}
    assert all(text.startswith("not found; for ") and "Get it: " in text for text in rows.values())


def test_doctor_fails_where_cuda_is_asked_for_and_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKSHOP_DEVICE", "cuda")
    monkeypatch.setenv("PATH", "")
    assert doctor.main() == 1
    monkeypatch.setenv("WORKSHOP_DEVICE", "checked")
    assert doctor.main() == 0
    assert doctor.device_name() == "CPU (checked)"


def test_lab_opens_no_browser_without_a_screen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ["DISPLAY", "WAYLAND_DISPLAY", "SSH_CONNECTION"]:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(sys, "platform", "linux")
    assert headless()
    command = lab_command(tmp_path, ["--port=9000"], first_time=True)
    assert "--no-browser" in command and command[-1] == "--port=9000"
    assert ("--allow-root" in command) == (os.geteuid() == 0)
    monkeypatch.setenv("DISPLAY", ":0")
    assert "--no-browser" not in lab_command(tmp_path, [], first_time=True)


def test_lab_opens_the_first_notebook_on_first_start_only(tmp_path: Path) -> None:
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "00_setup.ipynb").write_text("{}")
    assert "--LabApp.default_url=/lab/tree/00_setup.ipynb" in lab_command(tmp_path, [], first_time=True)
    assert "--LabApp.default_url=/lab/tree/00_setup.ipynb" not in lab_command(tmp_path, [], first_time=False)


def test_doctor_is_quick_and_loads_no_heavy_library() -> None:
    code = "import sys; from workshop import doctor; doctor.report(); print('torch' in sys.modules)"
    environment = os.environ | {"PYTHONPATH": str(Path(cli.__file__).parents[1])}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=20)
    assert done.stdout.strip() == "False"
