"""Decks: Markdown in, one offline HTML file out, with code and output from files that are tested."""

from workshop.slides.build import Built, build_deck, find_deck, find_root, list_decks
from workshop.slides.command import main
from workshop.slides.deck import DeckError, Slide, read_deck, split_deck
from workshop.slides.regions import read_region, region_names
