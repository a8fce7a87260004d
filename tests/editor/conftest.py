"""What the editor tests share: the public names, and VS Code's side of a talk with pyright's server."""

import importlib
import inspect
import itertools
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

SRC = Path(__file__).parents[2] / "src"
MODULES = [
    "gpu", "gpu.host", "layout", "dtype", "driver", "errors", "compiler", "graph", "graph.ops", "engine",
    "nn", "pipelines", "puzzles", "viz",
]  # fmt: skip


@dataclass(frozen=True)
class Public:
    """One name, as in `from workshop.gpu import barrier`, and the object behind it."""

    module: str
    name: str
    value: Any

    @property
    def is_alias(self) -> bool:
        """A name for a type, such as DimLike, which has no docstring of its own at run time."""
        return isinstance(self.value, str) or type(self.value).__module__ in ("typing", "types")

    def members(self) -> list[str]:
        """The public attributes that our own classes give a public class."""
        if not inspect.isclass(self.value):
            return []
        ours = [c for c in self.value.__mro__ if c.__module__.startswith("workshop")]
        names = {name for owner in ours for name in vars(owner) if not name.startswith("_")}
        return sorted(name for name in names if is_documentable(self.value, name))

    def __str__(self) -> str:
        return f"{self.module.removeprefix('workshop.')}.{self.name}"


def is_documentable(owner: type, name: str) -> bool:
    """A method or property; a plain attribute has no docstring."""
    static = inspect.getattr_static(owner, name)
    return isinstance(static, property | staticmethod | classmethod) or inspect.isfunction(static)


TWO_LINES = 240
"""Characters of a signature: an editor's tooltip is about 120 wide."""

LONG = {
    "pipelines.LlamaConfig": "has the fields of a model's config.json",
    "puzzles.Puzzle": "is a row of the catalogue, with one field for each column",
}


def is_long(signature: str, name: str) -> bool:
    """Say whether a signature fills more than two lines."""
    return name not in LONG and len(re.sub(r"\s+", " ", signature)) > TWO_LINES


@pytest.fixture(scope="session")
def too_long() -> Callable[[str, str], bool]:
    return is_long


def exported(module: ModuleType) -> list[str]:
    """`__all__`, else a package's re-exports, else what a single file defines."""
    if hasattr(module, "__all__"):
        return sorted(module.__all__)
    package = hasattr(module, "__path__")
    names = [n for n in vars(module) if not n.startswith("_") and not inspect.ismodule(vars(module)[n])]
    return sorted(n for n in names if package or vars(module)[n].__class__.__module__ != "typing")


def public_names() -> list[Public]:
    found = []
    for short in [*MODULES, *(["torch"] if importlib.util.find_spec("torch") else [])]:
        module = importlib.import_module(f"workshop.{short}")
        for name in exported(module):
            value = getattr(module, name)
            here = hasattr(module, "__path__") or getattr(value, "__module__", None) == module.__name__
            if here and not inspect.ismodule(value):
                found.append(Public(module.__name__, name, value))
    return found


@pytest.fixture(scope="session")
def public() -> list[Public]:
    return public_names()


class Server:
    """pyright's language server on a folder; positions are 0-based (line, column)."""

    def __init__(self, root: Path) -> None:
        command = [sys.executable, "-m", "pyright.langserver", "--stdio"]
        self._ids = itertools.count(1)
        self._found: dict[str, list[dict[str, Any]]] = {}
        self._process = subprocess.Popen(command, cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        folder = {"uri": root.as_uri(), "name": root.name}
        document = {"hover": {"contentFormat": ["markdown"]}}
        capabilities = {"textDocument": document, "workspace": {"configuration": True}}
        start = {"processId": None, "rootUri": folder["uri"], "workspaceFolders": [folder]}
        self.request("initialize", {**start, "capabilities": capabilities})
        self._send({"method": "initialized", "params": {}})

    def open(self, file: Path) -> str:
        """Open a file as an editor's tab does; return its address."""
        document = {"uri": file.as_uri(), "languageId": "python", "version": 1, "text": file.read_text()}
        self._send({"method": "textDocument/didOpen", "params": {"textDocument": document}})
        return file.as_uri()

    def at(self, method: str, uri: str, line: int, column: int) -> Any:
        """Ask for "hover", "definition" or "completion" at a place."""
        place = {"line": line, "character": column}
        return self.request(f"textDocument/{method}", {"textDocument": {"uri": uri}, "position": place})

    def diagnostics(self, uri: str) -> list[dict[str, Any]]:
        """What the server finds in an open file: it tells on its own, some time after the file was opened."""
        while uri not in self._found:
            self._answer_one(self._receive())
        return self._found[uri]

    def request(self, method: str, params: Any) -> Any:
        number = next(self._ids)
        self._send({"id": number, "method": method, "params": params})
        while True:
            message = self._receive()
            if message.get("id") == number and "method" not in message:
                assert "error" not in message, message
                return message.get("result")
            self._answer_one(message)

    def _answer_one(self, message: dict[str, Any]) -> None:
        if message.get("method") == "textDocument/publishDiagnostics":
            self._found[message["params"]["uri"]] = message["params"]["diagnostics"]
        elif "id" in message:
            self._send({"id": message["id"], "result": self._answer(message)})

    def _answer(self, message: dict[str, Any]) -> Any:
        """What an editor replies when the server asks for its settings."""
        if message["method"] != "workspace/configuration":
            return None
        settings = {"pythonPath": sys.executable, "analysis": {"extraPaths": [str(SRC)]}}
        return [settings if item.get("section") == "python" else {} for item in message["params"]["items"]]

    def _send(self, message: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        self._process.stdin.write(b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
        self._process.stdin.flush()

    def _receive(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        length = 0
        while line := self._process.stdout.readline().strip():
            name, _, value = line.partition(b":")
            length = int(value) if name.lower() == b"content-length" else length
        assert length, "pyright's language server has ended"
        answer: dict[str, Any] = json.loads(self._process.stdout.read(length))
        return answer

    def stop(self) -> None:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.kill()
        self._process.wait()
        self._process.stdin.close()
        self._process.stdout.close()


@pytest.fixture(scope="session")
def pyright() -> None:
    """Skip where pyright cannot run: it is written in JavaScript, and fetches itself on its first run."""
    pytest.importorskip("pyright", reason="needs pyright (pip install pyright)")
    if shutil.which("node") is None:
        pytest.skip("pyright needs Node.js (apt-get install nodejs)")
    command = [sys.executable, "-m", "pyright", "--version"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        pytest.skip(f"pyright does not run here: {last}")


@pytest.fixture(scope="session")
def server(pyright: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Path]]:
    """A running server and the folder it serves."""
    root = tmp_path_factory.mktemp("editor")
    running = Server(root)
    yield running, root
    running.stop()
