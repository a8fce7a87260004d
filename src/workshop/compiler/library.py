"""A library of custom ops: folders of Python files, modules, and what the notebook registered."""

from __future__ import annotations

import importlib
import itertools
import linecache
import sys
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import ModuleType

from workshop.compiler.registry import OpKernel, collecting, registered_here, unknown_op
from workshop.errors import GraphError, WorkshopError, caller_loc


class KernelLibrary:
    """Finds custom ops by name, in folders and among the ops registered in this program.

    Raises GraphError for a folder that is missing or has no ops, and KeyError with a suggestion for an
    unknown op.
    """

    def __init__(self, paths: Iterable[Path | str] = ()) -> None:
        self._paths: list[Path] = []
        self._ops: dict[str, OpKernel] = {}
        self.load_paths(paths)

    def load_paths(self, custom_extensions: Iterable[Path | str]) -> None:
        """Add the ops of several folders."""
        if isinstance(custom_extensions, (str, Path)):
            custom_extensions = [custom_extensions]
        for path in custom_extensions:
            self.add_path(path)

    def add_path(self, path: Path | str) -> None:
        """Add the ops of a folder (or of one Python file)."""
        if not isinstance(path, (str, Path)):
            text = f"custom_extensions takes folders, got {path!r}"
            raise GraphError(f"{text}; ops registered in this program are known already", caller_loc())
        folder = Path(path)
        if folder not in self._paths:
            self._ops.update(load_ops(folder))
            self._paths.append(folder)

    def library_paths(self) -> list[Path]:
        """Return the folders, in the order they were added."""
        return list(self._paths)

    def has_shape_function(self, kernel: str) -> bool:
        """Tell whether an op declares a shape rule."""
        return self[kernel].shape is not None

    def __contains__(self, kernel: str) -> bool:
        return kernel in self._ops or kernel in registered_here

    def __getitem__(self, kernel: str) -> OpKernel:
        found = self._ops.get(kernel) or registered_here.get(kernel)
        if found is None:
            raise KeyError(unknown_op(kernel, self))
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(sorted({*self._ops, *registered_here}))

    def __repr__(self) -> str:
        return f"KernelLibrary({', '.join(self)})"


def load_ops(path: Path) -> dict[str, OpKernel]:
    """Run the Python files of a folder and return the ops they register; again only when a file changed."""
    files = _files(path)
    stamp = repr([(f.name, f.stat().st_mtime_ns, f.stat().st_size) for f in files])
    key = str(path.resolve())
    with _lock:
        known = _loaded.get(key)
        if known is None or known[0] != stamp:
            known = _loaded[key] = (stamp, _run(path, files))
    return known[1]


_lock = threading.RLock()
_loads = itertools.count()
_loaded: dict[str, tuple[str, dict[str, OpKernel]]] = {}


def _files(path: Path) -> list[Path]:
    if path.is_file() and path.suffix == ".py":
        return [path]
    if path.suffix == ".mojopkg":
        raise GraphError(
            f"'{path}' is a Mojo package; custom ops here are folders of Python files", caller_loc()
        )
    if not path.is_dir():
        around = path.parent
        there = (
            sorted(p.name for p in around.iterdir() if p.is_dir() and p.name[0] not in "._")
            if around.is_dir()
            else []
        )
        listed = f"in '{around}' there is: {', '.join(there)}" if there else f"'{around}' has no folders"
        raise GraphError(f"custom op folder '{path}' does not exist; {listed}", caller_loc())
    files = sorted(path.glob("*.py"))
    if not files:
        there = sorted(p.name for p in path.iterdir())
        listed = f"it holds {', '.join(there[:10])}" if there else "it is empty"
        raise GraphError(f"custom op folder '{path}' has no Python file; {listed}", caller_loc())
    return files


def _run(path: Path, files: list[Path]) -> dict[str, OpKernel]:
    package = ModuleType(f"workshop_ops_{next(_loads)}")
    package.__path__ = [str(path if path.is_dir() else path.parent)]
    sys.modules[package.__name__] = package
    found: list[OpKernel] = []
    token, writes = collecting.set(found), sys.dont_write_bytecode
    sys.dont_write_bytecode = True  # a file may change twice in one second, which fools bytecode caches
    try:
        for file in files:
            linecache.checkcache(str(file))
            if file.stem == "__init__":
                exec(compile(file.read_text(), str(file), "exec"), package.__dict__)
            else:
                importlib.import_module(f"{package.__name__}.{file.stem}")
    except WorkshopError:
        raise
    except Exception as error:
        text = f"custom op file '{file.name}' failed to load: {type(error).__name__}: {error}"
        raise GraphError(text + _import_hint(error, files), caller_loc()) from error
    finally:
        collecting.reset(token)
        sys.dont_write_bytecode = writes
    return _by_name(path, files, found)


def _import_hint(error: Exception, files: list[Path]) -> str:
    name = getattr(error, "name", None)
    if isinstance(error, ModuleNotFoundError) and name in {file.stem for file in files}:
        return f". Import a file of the same folder with: from .{name} import ..."
    return ""


def _by_name(path: Path, files: list[Path], found: list[OpKernel]) -> dict[str, OpKernel]:
    ops: dict[str, OpKernel] = {}
    for op in found:
        if op.name in ops:
            first, second = Path(ops[op.name].file).name, Path(op.file).name
            raise GraphError(
                f"op '{op.name}' is registered twice in '{path}': in {first} and {second}", caller_loc()
            )
        ops[op.name] = op
    if not ops:
        names = ", ".join(file.name for file in files)
        cure = 'decorate a class with @compiler.register("name")'
        raise GraphError(f"custom op folder '{path}' registers no op ({names}); {cure}", caller_loc())
    return ops
