"""Figures for the decks: each function returns self-contained HTML with a fixed id, computed from data."""

from workshop.slides.figures.access import access_animation
from workshop.slides.figures.hardware import chips
from workshop.slides.figures.hierarchy import hierarchy
from workshop.slides.figures.layouts import layout_grids
