"""`workshop lab` in a real browser: a learner opens a copy, runs it and saves it, and only work/ changes."""

import importlib.util
import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from workshop.notebooks.refresh import kernel_environment
from workshop.slides.chromium import chromium_flags, find_chromium

playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright (pip install playwright)")
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(find_chromium() is None, reason="needs Chromium (apt-get install chromium)"),
]
NOTEBOOK = "window.jupyterapp.shell.currentWidget"
CELLS = [
    "# %% [markdown]\n# # A trial",
    "# %%\nfrom workshop.notebooks import header\n\nprint(header())",
    "# %%\nprint('six times seven is', 6 * 7)",
]


def load_trial() -> ModuleType:
    spec = importlib.util.spec_from_file_location("trial", Path(__file__).with_name("trial.py"))
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def project(tmp_path: Path) -> Path:
    from workshop.notebooks.refresh import serialise
    from workshop.notebooks.text import canonical

    pair = load_trial().make_project(tmp_path, CELLS)
    pair.notebook.write_bytes(serialise(canonical(pair)))
    return tmp_path


@pytest.fixture
def address(project: Path) -> Iterator[str]:
    """Where `workshop lab` says it listens, with a port of its choice because ours is taken."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        options = [f"--port={port}", "--expose-app-in-browser", "--no-browser", "--LabApp.news_url=None"]
        server = subprocess.Popen(
            [sys.executable, "-m", "workshop.cli", "lab", *options],
            cwd=project,
            env=kernel_environment() | {"JUPYTER_CONFIG_DIR": str(project / "config")},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        assert server.stdout is not None
        said = []
        for line in server.stdout:
            said.append(line)
            if found := re.search(r"http://127\.0\.0\.1:(\d+)/lab\S*", line):
                assert int(found[1]) != port
                yield found[0]
                break
        else:
            pytest.fail("JupyterLab printed no address:\n" + "".join(said))
        os.killpg(server.pid, signal.SIGTERM)
        server.stdout.close()
        server.wait(timeout=20)


def test_a_learner_runs_and_saves_a_notebook_in_jupyterlab(project: Path, address: str) -> None:
    before = (project / "notebooks" / "04_trial.ipynb").read_bytes()
    base, token = address.split("/lab")[0], address.split("token=")[1]
    with playwright.sync_playwright() as p:
        browser = p.chromium.launch(executable_path=find_chromium(), args=chromium_flags())
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.goto(f"{base}/lab/tree/04_trial.ipynb?token={token}")
        page.wait_for_selector(".jp-Notebook .jp-CodeCell", timeout=60_000)
        page.wait_for_function(f"{NOTEBOOK}.sessionContext.session?.kernel?.status === 'idle'")
        page.evaluate("void window.jupyterapp.commands.execute('notebook:run-all-cells')")
        page.wait_for_selector("text=six times seven is 42", timeout=60_000)
        assert page.inner_text(".jp-OutputArea-output >> nth=0").startswith("Device: ")
        page.evaluate("void window.jupyterapp.commands.execute('docmanager:save')")
        page.wait_for_function(f"!{NOTEBOOK}.context.model.dirty")
        browser.close()
    saved = json.loads((project / "work" / "04_trial.ipynb").read_text())
    assert [cell["execution_count"] for cell in saved["cells"] if cell["cell_type"] == "code"] == [1, 2]
    assert (project / "notebooks" / "04_trial.ipynb").read_bytes() == before
    assert not (project / "work" / "text").exists()
