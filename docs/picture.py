"""The README's picture: a kernel without its barrier, run under check. Redraw: `python docs/picture.py`."""

from pathlib import Path

import numpy as np

from workshop.gpu import AddressSpace, block_dim, block_idx, kernel, stack_allocation, thread_idx
from workshop.gpu.record import Blank, record
from workshop.viz import look, story_of
from workshop.viz.panel import source_beside_picture


@kernel
def add_left(output, a, *, TPB):
    shared = stack_allocation(TPB, a.dtype, AddressSpace.SHARED)
    t = thread_idx.x
    i = block_dim.x * block_idx.x + t
    shared[t] = a[i]
    left = shared[t - 1] if t > 0 else 0
    output[i] = shared[t] + left


def pictures() -> dict[str, str]:
    """Run the kernel and return the picture's SVG text by file name, for light pages and for dark ones."""
    a = np.array([3, 1, 4, 1, 5, 9, 2, 6], np.float32)
    recording = record(add_left, Blank((8,)), a, TPB=4, grid_dim=2, block_dim=4)
    title = "A barrier is missing, and the checked mode says where"
    scene = source_beside_picture(story_of(add_left, recording), title)
    card = scene.framed("surface")
    return {f"race-{name}.svg": card.svg(theme, "race") for name, theme in look.THEMES.items()}


if __name__ == "__main__":
    for name, text in pictures().items():
        (Path(__file__).parent / name).write_text(text + "\n", encoding="utf-8")
