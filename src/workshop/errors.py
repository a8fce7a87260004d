"""The exception tree, source locations and the caret printer.

    WorkshopError
    ├── KernelSyntaxError      a kernel says something the language cannot express
    ├── KernelTypeError        dtypes, ranks or compile-time values do not fit
    ├── LaunchError            a launch breaks a limit or its arguments do not fit
    ├── GraphError             a graph op was given values it has no meaning for
    └── KernelFault            a running kernel did something it must not
        ├── BoundsError
        ├── RaceError
        ├── BarrierError
        ├── UninitializedError
        ├── ArithmeticFault
        └── AlignmentFault
"""

from __future__ import annotations

import linecache
import os
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from types import CodeType, FrameType
from typing import Self

Coordinates = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Loc:
    """Points at a span of the user's source: file, 1-based line, 0-based columns.

    `chain` lists the call sites, innermost first, when the span lies in an inlined helper.

    >>> Loc("saxpy.py", 3, 4, 8).where
    'saxpy.py, line 3'
    """

    file: str
    line: int
    column: int = 0
    end_column: int | None = None
    chain: tuple[Loc, ...] = ()

    @property
    def where(self) -> str:
        """The place as a person reads it: `cell [5], line 3`, never a path."""
        return f"{display_name(self.file)}, line {self.line}"

    @property
    def source(self) -> str:
        """The source line itself, without its newline; empty where the file is gone."""
        return linecache.getline(self.file, self.line).rstrip("\n")

    def caret(self) -> str:
        """Draw the place, its source line and a caret under the span."""
        text = self.source
        if not text.strip():
            return f"  {self.where}"
        indent = len(text) - len(text.lstrip())
        start = max(self.column - indent, 0)
        end = len(text) if self.end_column is None else self.end_column
        width = max(min(end, len(text)) - indent - start, 1)
        lines = [f"  {self.where}", f"    {text.strip()}", f"    {' ' * start}{'^' * width}"]
        lines += [f"  called from {site.where}: {site.source.strip()}" for site in self.chain]
        return "\n".join(lines)


def display_name(file: str) -> str:
    """Name a source file for people: a notebook cell as `cell [5]`, a file by its last part."""
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    number = getattr(getattr(shell, "compile", None), "_filename_map", {}).get(file)
    if number is not None:
        return f"cell [{number}]"
    return os.path.basename(file)


Site = tuple[CodeType, int]
"""A place in a running program, cheap to take: a code object and the offset of its current instruction."""

_ours: dict[str, bool] = {}
_hidden: list[str] = []


def hide_frames(prefix: str) -> None:
    """Treat files whose path begins with `prefix` as ours: errors point to whoever called them."""
    _hidden.append(prefix)
    _ours.clear()


def caller_site() -> Site | None:
    """Find the innermost frame outside this package; None where every frame is ours."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        file = frame.f_code.co_filename
        ours = _ours.get(file)
        if ours is None:
            ours = _ours[file] = file.startswith("<") or _in_package(file)
        if not ours:
            return frame.f_code, frame.f_lasti
        frame = frame.f_back
    return None


def site_loc(site: Site) -> Loc:
    """Turn a site into the span of source it stands for."""
    code, lasti = site
    line, end_line, column, end = next(islice(code.co_positions(), lasti // 2, None), (None,) * 4)
    same = end_line in (None, line)
    return Loc(code.co_filename, line or code.co_firstlineno, column or 0, end if same else None)


def caller_loc() -> Loc | None:
    """Find the innermost frame outside this package: the user's own line.

    Returns None where every frame is ours.
    """
    site = caller_site()
    return None if site is None else site_loc(site)


def _in_package(file: str) -> bool:
    package = os.path.dirname(os.path.abspath(__file__)) + os.sep
    return os.path.abspath(file).startswith((package, *_hidden))


class WorkshopError(Exception):
    """Base of every error this package raises on purpose.

    `.message` is the bare sentence, `.loc` the user's place (or None).
    """

    def __init__(self, message: str, loc: Loc | None = None) -> None:
        self.message = message
        self.loc = loc
        super().__init__(message if loc is None else f"{message}\n{loc.caret()}")

    def _render_traceback_(self) -> list[str]:
        """What IPython shows in a cell: the message and the user's own line, without our frames."""
        red, plain = "\x1b[31m", "\x1b[39m"
        return [f"{red}{type(self).__name__}{plain}: {self}"]


class KernelSyntaxError(WorkshopError):
    """A kernel uses Python that the kernel language does not have."""


class KernelTypeError(WorkshopError):
    """Dtypes, ranks or compile-time values in a kernel do not fit together."""


class LaunchError(WorkshopError):
    """A launch breaks a device limit, or its arguments do not fit the kernel."""


class GraphError(WorkshopError, ValueError):
    """A graph op was given values it has no meaning for."""


class KernelFault(WorkshopError):
    """A running kernel did something it must not.

    `.block` and `.thread` are (x, y, z); `.array` and `.index` name the element, where the fault has one.
    """

    array: str = ""
    index: tuple[int, ...] = ()

    def at(self, array: str, index: Iterable[int]) -> Self:
        """Note the element at fault and return self."""
        self.array, self.index = array, tuple(int(i) for i in index)
        return self

    def __init__(
        self,
        message: str,
        loc: Loc | None = None,
        block: Coordinates | None = None,
        thread: Coordinates | None = None,
    ) -> None:
        super().__init__(message, loc)
        self.block = block
        self.thread = thread


class BoundsError(KernelFault):
    """An index lies outside its array."""


@dataclass(frozen=True, slots=True)
class Access:
    """The other side of a race: where it was, who did it, and `kind`: read, write or atomic."""

    loc: Loc
    block: Coordinates
    thread: Coordinates
    kind: str


class RaceError(KernelFault):
    """Two threads touched one element, one of them writing, with no barrier between."""

    def __init__(
        self,
        message: str,
        loc: Loc | None = None,
        block: Coordinates | None = None,
        thread: Coordinates | None = None,
        other: Access | None = None,
    ) -> None:
        super().__init__(message, loc, block, thread)
        self.other = other
        if other is not None:
            who = f"a {other.kind} by thread {other.thread} of block {other.block}"
            self.args = (f"{self}\n  the other side, {who}:\n{other.loc.caret()}",)


class BarrierError(KernelFault):
    """Not all threads of a block arrived at a barrier, or a warp word read a missing lane."""


class UninitializedError(KernelFault):
    """An element was read that nobody had written."""


class ArithmeticFault(KernelFault):
    """Integer division by zero, or a shift count outside the width."""


class AlignmentFault(KernelFault):
    """A vector access started at an address that is not a multiple of its size."""
