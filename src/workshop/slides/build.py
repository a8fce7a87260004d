"""Build decks: `slides/NN_name.md` becomes `slides/dist/NN_name.html`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from workshop.files import write_whole
from workshop.slides.deck import DeckError, read_deck
from workshop.slides.page import page_html
from workshop.slides.render import render_slide

_HEADING = re.compile(r"^#{1,3}\s+(.*?)\s*(?:<!--.*)?$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Built:
    """Describe a deck that was built: the page's path, its title, how many slides and minutes."""

    path: Path
    title: str
    slides: int
    minutes: float


def find_root(start: Path | None = None) -> Path:
    """Return the nearest folder, from `start` upwards, whose `slides/` holds decks; else DeckError."""
    start = (start or Path.cwd()).resolve()
    for folder in (start, *start.parents):
        if list_decks(folder):
            return folder
    raise DeckError(
        f"there is no slides/NN_name.md in {start} or above it. Run this inside the workshop's folder."
    )


def list_decks(root: Path) -> list[Path]:
    """List the deck files of a repository, in order."""
    return sorted((root / "slides").glob("[0-9][0-9]_*.md"))


def find_deck(root: Path, name: str) -> Path:
    """Return the deck called `name` (number, name, stem or file); DeckError lists the decks."""
    stem = Path(name).stem
    decks = list_decks(root)
    for deck in decks:
        if stem in (deck.stem, deck.stem[:2], deck.stem[3:]):
            return deck
    raise DeckError(f"there is no deck {name!r}; the decks are: {', '.join(deck.stem for deck in decks)}.")


def build_deck(deck: Path, root: Path, theme: str = "light") -> Built:
    """Build one deck into `root/slides/dist`; the page appears whole or not at all.

    DeckError names the deck's line: an unknown region or figure, code that is not Python, missing notes.
    """
    slides = read_deck(deck)
    sections = [render_slide(slide, root) for slide in slides]
    heading = _HEADING.search(slides[0].text)
    title = heading[1] if heading else deck.stem
    path = root / "slides" / "dist" / f"{deck.stem}.html"
    write_whole(path, page_html(title, sections, theme).encode())
    return Built(path, title, len(slides), sum(slide.minutes for slide in slides))
