"""Layouts (shape and stride) and tensors that view memory through one."""

from workshop.layout.layout import Layout as Layout
from workshop.layout.tensor import LayoutTensor as LayoutTensor
