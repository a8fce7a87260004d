"""The `workshop slides` command: build, present, pdf."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from workshop.slides.build import Built, build_deck, find_deck, find_root, list_decks
from workshop.slides.deck import DeckError
from workshop.slides.pdf import print_pdf
from workshop.slides.serve import deck_server, deck_url


def main(argv: Sequence[str] | None = None) -> int:
    """Run `workshop slides build|present|pdf [deck ...]` and return the exit code: 1 for a wrong deck."""
    options = _parser().parse_args(argv)
    try:
        root = find_root(options.root)
        decks = [find_deck(root, name) for name in options.decks] or list_decks(root)
        built = [_build(deck, root, options.theme) for deck in decks]
        if options.action == "pdf":
            for one in built:
                print_pdf(one.path, one.path.with_suffix(".pdf"))
                print(f"{_shown(one.path.with_suffix('.pdf'))}: one page a slide")
        elif options.action == "present":
            _present(built, options.port)
    except DeckError as wrong:
        print(f"workshop slides: {wrong}", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="workshop slides", description="Build, present or print the decks.")
    parser.add_argument("action", choices=["build", "present", "pdf"])
    parser.add_argument(
        "decks",
        nargs="*",
        metavar="deck",
        help="01, foundations or 01_foundations; all decks if none is named",
    )
    parser.add_argument(
        "--theme", choices=["light", "dark"], default="light", help="the T key changes it while presenting"
    )
    parser.add_argument(
        "--port", type=int, default=8000, help="for present; another free one is taken if it is in use"
    )
    parser.add_argument(
        "--root", type=Path, default=None, help="the repository, if not around the current folder"
    )
    return parser


def _build(deck: Path, root: Path, theme: str) -> Built:
    built = build_deck(deck, root, theme)
    size_mb = built.path.stat().st_size / 1e6
    print(f"{_shown(built.path)}: {built.slides} slides, {built.minutes:g} minutes, {size_mb:.1f} MB")
    return built


def _present(built: list[Built], port: int) -> None:
    with deck_server(built[0].path.parent, port) as server:
        for one in built:
            print(f"{one.title}: {deck_url(server, one.path.name)}")
        print(
            "S opens the speaker view, F fills the screen, T changes light and dark. Ctrl-C stops.",
            flush=True,
        )
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            print("\nstopped")


def _shown(path: Path) -> str:
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)
