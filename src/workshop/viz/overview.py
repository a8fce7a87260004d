"""The picture of how one kernel's source becomes three ways to run it."""

from __future__ import annotations

from workshop.viz import look
from workshop.viz.scene import Box, Label, Scene, Wire

API_ROWS = (  # api, what it does, what it is for
    ("checked", "every thread interpreted, every access judged", "finds races, bad indices, lost barriers"),
    ("cpu", "machine code through LLVM", "speed with no GPU: the default without one"),
    ("cuda", "CUDA C++ through NVRTC", "an NVIDIA GPU: the default where there is one"),
)
HEIGHT, GAP, TOP = 66, 14, 16


def what_runs_where() -> Scene:
    """Draw one kernel, its typed IR, and the three apis of DeviceContext that run it."""
    height = TOP * 2 + 3 * HEIGHT + 2 * GAP
    scene = Scene(760, height, "One kernel becomes one typed IR, which runs three ways")
    middle = height / 2
    scene.add(*_box(16, middle, 160, "@kernel", "one Python function,", "run by every thread"))
    scene.add(Wire(176, middle, 212, middle, "quiet"))
    scene.add(*_box(212, middle, 160, "typed IR", "every dtype is known;", "k.ir() prints it"))
    for row, (api, what, purpose) in enumerate(API_ROWS):
        y = TOP + row * (HEIGHT + GAP) + HEIGHT / 2
        scene.add(Wire(372, middle, 418, y, "quiet"))
        scene.add(*_box(418, y, 326, f'api="{api}"', what, purpose))
    return scene


def _box(x: float, middle: float, width: float, name: str, first: str, second: str) -> list[Box | Label]:
    return [
        Box(x, middle - HEIGHT / 2, width, HEIGHT, "panel", "quiet", radius=look.RADIUS_PX),
        Label(x + 12, middle - 12, name, "accent", 14, bold=True, code=True),
        Label(x + 12, middle + 7, first, "ink", 12),
        Label(x + 12, middle + 24, second, "quiet", 12),
    ]
