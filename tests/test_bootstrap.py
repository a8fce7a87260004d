"""bootstrap.py: installs once, picks torch's build by the machine, says what to do when something fails."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

FILE = Path(__file__).parents[1] / "bootstrap.py"


@pytest.fixture
def bootstrap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The bootstrap, set up to work on an empty project."""
    spec = importlib.util.spec_from_file_location("bootstrap", FILE)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    (tmp_path / "pyproject.toml").write_text("a")
    (tmp_path / "constraints.txt").write_text("b")
    for name, value in {"ROOT": tmp_path, "VENV": tmp_path / ".venv"}.items():
        monkeypatch.setattr(module, name, value)
    monkeypatch.setattr(module, "STAMP", tmp_path / ".venv" / "workshop-stamp")
    return module


@pytest.fixture
def calls(bootstrap: ModuleType, monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The pip commands it would run; making the venv is faked."""
    seen: list[list[str]] = []
    program = bootstrap.venv_program("workshop")
    monkeypatch.setattr(bootstrap, "make_venv", lambda: (program.parent.mkdir(parents=True), program.touch()))
    monkeypatch.setattr(bootstrap, "run_showing_progress", lambda command: seen.append(command))
    monkeypatch.setattr(bootstrap, "venv_works", program.exists)
    monkeypatch.setattr(bootstrap, "reachable", lambda url: True)
    return seen


def test_a_second_start_installs_nothing(bootstrap: ModuleType, calls: list[list[str]]) -> None:
    bootstrap.ensure_environment(cuda=False)
    assert len(calls) == 2
    bootstrap.ensure_environment(cuda=False)
    assert len(calls) == 2


@pytest.mark.parametrize("name", ["pyproject.toml", "constraints.txt"])
def test_a_change_of_what_is_asked_for_installs_again(
    bootstrap: ModuleType, calls: list[list[str]], name: str
) -> None:
    bootstrap.ensure_environment(cuda=False)
    (bootstrap.ROOT / name).write_text("changed")
    bootstrap.ensure_environment(cuda=False)
    assert len(calls) == 4


def test_an_interrupted_set_up_is_not_taken_for_done(
    bootstrap: ModuleType, calls: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(cuda: bool) -> None:
        raise KeyboardInterrupt

    bootstrap.ensure_environment(cuda=False)
    (bootstrap.ROOT / "pyproject.toml").write_text("changed")
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(bootstrap, "install", stop)
        bootstrap.ensure_environment(cuda=False)
    (bootstrap.ROOT / "pyproject.toml").write_text("a")  # as before, but what is installed may be neither
    bootstrap.ensure_environment(cuda=False)
    assert len(calls) == 4


def test_without_a_gpu_linux_takes_torch_from_the_cpu_index(
    bootstrap: ModuleType, calls: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    bootstrap.install(cuda=False)
    assert "https://download.pytorch.org/whl/cpu" in calls[0]
    assert calls[1][-1].endswith("[lab,torch,llm,bench,nvrtc,test]")
    monkeypatch.setattr(bootstrap, "reachable", lambda url: False)
    assert bootstrap.torch_source(cuda=False) == []
    monkeypatch.setattr(sys, "platform", "darwin")
    assert bootstrap.torch_source(cuda=False) == []


def test_with_a_gpu_the_cuda_build_and_cupy_are_installed(
    bootstrap: ModuleType, calls: list[list[str]]
) -> None:
    bootstrap.install(cuda=True)
    assert not any("whl/cpu" in part for part in calls[0])
    assert calls[1][-1].endswith("[lab,torch,llm,bench,nvrtc,test,cuda]")


@pytest.mark.skipif(os.name == "nt", reason="the fake nvidia-smi is a shell script")
@pytest.mark.parametrize(("script", "found"), [("echo 'GPU 0: H100'", True), ("exit 9", False)])
def test_a_gpu_is_what_the_driver_lists(
    bootstrap: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, found: bool
) -> None:
    tool = tmp_path / "nvidia-smi"
    tool.write_text(f"#!/bin/sh\n{script}\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert bootstrap.has_nvidia_gpu() is found
    tool.unlink()
    assert bootstrap.has_nvidia_gpu() is False


def test_a_failing_pip_shows_its_last_lines(
    bootstrap: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    bootstrap.VENV.mkdir()
    code = "print('Collecting x', flush=True); print('ERROR: no space left'); raise SystemExit(7)"
    with pytest.raises(subprocess.CalledProcessError):
        bootstrap.run_showing_progress([sys.executable, "-c", code])
    assert "ERROR: no space left" in capsys.readouterr().err
    assert "Collecting x\n" in (bootstrap.VENV / "install.log").read_text()


def test_a_failed_set_up_ends_with_1_and_the_cure(
    bootstrap: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(cuda: bool) -> None:
        raise subprocess.CalledProcessError(7, ["pip", "install"])

    monkeypatch.setattr(bootstrap, "ensure_environment", fail)
    assert bootstrap.main(["lab"]) == 1
    complaint = capsys.readouterr().err
    assert "Setting up failed: pip install\nreturned 7" in complaint and "Run the command again" in complaint


def test_an_old_python_is_told_what_to_do(
    bootstrap: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 9, 2))
    assert bootstrap.main(["lab"]) == 2
    assert "workshop needs Python >= 3.11; this is" in capsys.readouterr().err


def test_a_venv_that_was_moved_is_made_anew(bootstrap: ModuleType) -> None:
    assert not bootstrap.venv_works()
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(bootstrap.VENV)], check=True)
    assert bootstrap.venv_works()
    moved = bootstrap.ROOT / "elsewhere"
    bootstrap.VENV.rename(moved)
    assert not bootstrap.venv_works()


def test_it_needs_only_the_standard_library() -> None:
    command = [sys.executable, "-I", "-S", str(FILE)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr.split(":")[0]) == (2, "usage")
