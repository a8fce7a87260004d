"""The picture of how one kernel's source becomes three ways to run it."""

from __future__ import annotations

from workshop.viz import look
from workshop.viz.scene import Box, Label, Scene, Wire

API_ROWS = (  # api, what it is, what it is for, what it needs
    ("checked", "interpreter", "finds races, bad indices, lost barriers", "needs numpy only"),
    ("cpu", "machine code by LLVM", "compiled speed with no GPU", "the default without a GPU"),
    ("cuda", "CUDA C++ by NVRTC", "an NVIDIA GPU", "the default with one"),
)
HEIGHT, GAP, TOP = 62, 14, 16


def what_runs_where() -> Scene:
    """Draw one kernel, its typed IR, and the three apis of DeviceContext that run it."""
    scene = Scene(720, TOP * 2 + 3 * HEIGHT + 2 * GAP, "One kernel becomes one typed IR, which runs three ways")
    middle = scene.height / 2
    scene.add(*_box(16, middle - 38, 150, 76, "@kernel", "one Python function,", "run by every thread", "read"))
    scene.add(Wire(166, middle, 206, middle, "quiet"))
    scene.add(*_box(206, middle - 38, 130, 76, "typed IR", "every dtype known,", "k.ir() prints it", "shared"))
    for row, (api, what, purpose, need) in enumerate(API_ROWS):
        y = TOP + row * (HEIGHT + GAP)
        scene.add(Wire(336, middle, 386, y + HEIGHT / 2, "quiet"))
        scene.add(*_box(386, y, 318, HEIGHT, f'api="{api}"', f"{what}: {purpose}", need, "write"))
    return scene


def _box(x: float, y: float, width: float, height: float, name: str, first: str, second: str, tone: str) -> list[Box | Label]:
    top = y + height / 2 - 14
    return [
        Box(x, y, width, height, f"{tone}.soft", f"{tone}.mark", radius=look.RADIUS_PX),
        Label(x + 12, top, name, f"{tone}.text", 14, bold=True, code=True),
        Label(x + 12, top + 19, first, "ink", 12),
        Label(x + 12, top + 36, second, "quiet", 12),
    ]
