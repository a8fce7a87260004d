"""Split a deck, written in reveal.js' Markdown dialect, into slides with notes and minutes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from workshop.errors import Loc, WorkshopError

_NOTE = re.compile(r"^\s*notes?:\s*", re.IGNORECASE)
_MINUTES = re.compile(r"\s*(\d+(?:\.\d+)?)\s*min\b")
_SLIDE = re.compile(r"^\s*<!--\s*\.slide:(.*?)-->\s*$")
_ATTRIBUTE = re.compile(r"""([A-Za-z_:][\w:.-]*)\s*=\s*"([^"]*)"|([A-Za-z_:][\w:.-]*)""")
_FENCE = re.compile(r"^ {0,3}(`{3,}|~{3,})(.*)$")


class DeckError(WorkshopError):
    """A deck cannot be built: its message names the deck's line, what is wrong there, and the cure."""


@dataclass(frozen=True, slots=True)
class Slide:
    """Hold one slide: its Markdown, where that starts in the deck's file, its notes and their minutes."""

    file: str
    line: int
    text: str
    notes: str
    minutes: float
    attributes: tuple[tuple[str, str], ...] = ()

    def loc(self, offset: int = 0) -> Loc:
        """Return the place `offset` lines below the slide's first line."""
        return Loc(self.file, self.line + offset)


def read_deck(path: Path) -> list[Slide]:
    """Read the slides of a deck file; DeckError where a slide has no notes or no minutes."""
    return split_deck(path.read_text(encoding="utf-8"), str(path))


def split_deck(text: str, file: str = "deck.md") -> list[Slide]:
    """Split Markdown at lines of `---` outside code fences.

    >>> slides = split_deck("# A\\n\\nNote: 2 min. Say a.\\n\\n---\\n\\n# B\\n\\nNote: 3 min. Say b.")
    >>> [slide.minutes for slide in slides]
    [2.0, 3.0]
    """
    slides, start, lines = [], 1, text.splitlines()
    for end in [*_separators(lines), len(lines) + 1]:
        slides.append(_slide(file, start, lines[start - 1 : end - 1]))
        start = end + 1
    return slides


def parse_attributes(text: str, loc: Loc) -> tuple[tuple[str, str], ...]:
    """Parse `class="a b" data-x="1" hidden`; DeckError where something else is left over.

    >>> parse_attributes('class="fragment" hidden', Loc("deck.md", 1))
    (('class', 'fragment'), ('hidden', ''))
    """
    rest = _ATTRIBUTE.sub("", text).strip()
    if rest:
        raise DeckError(f'cannot read the attributes {text.strip()!r}. Write them as name="value".', loc)
    return tuple((m[1] or m[3], m[2] or "") for m in _ATTRIBUTE.finditer(text))


def _separators(lines: list[str]) -> list[int]:
    """The 1-based numbers of the lines that part slides."""
    found, fence = [], ""
    for number, line in enumerate(lines, 1):
        match = _FENCE.match(line)
        if match and not fence:
            fence = match[1]
        elif match and match[1].startswith(fence) and not match[2].strip():
            fence = ""
        elif not fence and line.strip() == "---":
            found.append(number)
    return found


def _slide(file: str, start: int, lines: list[str]) -> Slide:
    attributes: tuple[tuple[str, str], ...] = ()
    body: list[str] = []
    notes: list[str] | None = None
    for offset, line in enumerate(lines):
        match = _SLIDE.match(line)
        if notes is None and _NOTE.match(line):
            notes = [_NOTE.sub("", line)]
        elif notes is not None:
            notes.append(line)
        elif match:
            attributes += parse_attributes(match[1], Loc(file, start + offset))
            body.append("")  # keeps the line numbers of what follows
        else:
            body.append(line)
    here = Loc(file, start + next((i for i, line in enumerate(lines) if line.strip()), 0))
    if not any(line.strip() for line in body):
        raise DeckError(
            "this slide is empty. Write something between the two lines of ---, or remove one.", here
        )
    text = "\n".join(notes or []).strip()
    minutes = _MINUTES.match(text)
    if not minutes:
        what = "its notes do not begin with minutes" if text else "it has no speaker notes"
        raise DeckError(f"{what}. End the slide with a line such as `Note: 3 min. What to say.`", here)
    return Slide(file, start, "\n".join(body), text, float(minutes[1]), attributes)
