"""Call the Python functions that draw a slide's figures or print its output, while the deck is built."""

from __future__ import annotations

import ast
import contextlib
import importlib
import importlib.util
import io
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any


class TargetError(ValueError):
    """A figure or output cannot be made: the message says which function, and why."""


def call_target(root: Path, text: str) -> Any:
    """Call `module:function name=value, ...` (or `path/to/file.py:function ...`) and return its result.

    Values are Python literals. TargetError where the module, function or argument does not exist.
    """
    target, _, arguments = text.strip().partition(" ")
    function = find_function(root, target)
    positional, named = _literals(text, arguments)
    return function(*positional, **named)


def printed_by(root: Path, text: str) -> str:
    """Call a target as `call_target` does and return what it printed."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        call_target(root, text)
    if not out.getvalue().strip():
        raise TargetError(f"{text} printed nothing. Print in it what the slide should show.")
    return out.getvalue()


def find_function(root: Path, target: str) -> Callable[..., Any]:
    """Return the function that `module:function` names; TargetError lists the ones the module has."""
    place, colon, name = target.partition(":")
    if not colon:
        raise TargetError(f"{target!r} names no function. Write module:function or path/to/file.py:function.")
    module = _load_file(root, place) if place.endswith(".py") else _import(place)
    function = getattr(module, name, None)
    if not callable(function):
        own = sorted(
            n
            for n, v in vars(module).items()
            if callable(v) and getattr(v, "__module__", "") == module.__name__
        )
        public = [n for n in own if not n.startswith("_")]
        raise TargetError(f"{place} has no function {name!r}; it has: {', '.join(public) or 'none'}.")
    found: Callable[..., Any] = function
    return found


def _literals(text: str, arguments: str) -> tuple[list[Any], dict[str, Any]]:
    try:
        call = ast.parse(f"f({arguments})", mode="eval").body
        if not isinstance(call, ast.Call):
            raise ValueError("not one call")
        named = {str(k.arg): ast.literal_eval(k.value) for k in call.keywords if k.arg}
        return [ast.literal_eval(a) for a in call.args], named
    except (SyntaxError, ValueError):
        raise TargetError(
            f"cannot read the arguments in {text!r}. Write literals: name=value, other=2."
        ) from None


def _import(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as missing:
        raise TargetError(
            f"cannot import {name}: {missing}. Check the name, or install what is missing."
        ) from None


def _load_file(root: Path, place: str) -> ModuleType:
    path = (root / place).resolve()
    if not path.is_file():
        raise TargetError(f"there is no file {place}; paths start at the repository's root.")
    name = "_deck_" + "".join(c if c.isalnum() else "_" for c in str(path))
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise TargetError(f"{place} is not a Python file.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # kernels look their own source up through the module
    spec.loader.exec_module(module)
    return module
