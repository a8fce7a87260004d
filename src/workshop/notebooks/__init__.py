"""The notebooks around the kernels: working copies, text twins, running, checking, the first cell."""

from workshop.notebooks.first_cell import FIRST_CELL, header

__all__ = ["FIRST_CELL", "header"]
