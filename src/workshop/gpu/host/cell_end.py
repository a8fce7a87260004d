"""Waits for launches that nobody waited for: at the end of a notebook cell, and at the end of the program."""

from __future__ import annotations

import atexit
import sys
import warnings
import weakref
from typing import Any

from workshop.errors import WorkshopError

_contexts: weakref.WeakSet[Any] = weakref.WeakSet()
_registered: list[str] = []


def watch(context: Any) -> None:
    """Remember a context, and register the hooks once."""
    _contexts.add(context)
    if "exit" not in _registered:
        _registered.append("exit")
        atexit.register(_at_exit)
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    if shell is not None and "cell" not in _registered:
        _registered.append("cell")
        shell.events.register("post_run_cell", _after_cell)


def _after_cell(result: Any) -> None:
    """Surface what the cell's launches did, in the cell itself."""
    shell = sys.modules["IPython"].get_ipython()
    for context in list(_contexts):
        if context.idle:
            continue
        try:
            context.synchronize()
        except (WorkshopError, KeyboardInterrupt):
            shell.showtraceback()


def _at_exit() -> None:
    for context in list(_contexts):
        if context.idle:
            continue
        try:
            context.synchronize()
        except WorkshopError as problem:
            warnings.warn(
                "a launch failed and nobody waited for it: call ctx.synchronize(). "
                f"{type(problem).__name__}: {problem}",
                RuntimeWarning,
                stacklevel=1,
            )
