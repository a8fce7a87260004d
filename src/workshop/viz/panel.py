"""A run as one picture for a page: the kernel's source on the left, who touched what on the right."""

from __future__ import annotations

import textwrap
from dataclasses import replace

from workshop.viz import look
from workshop.viz.scene import CODE_WIDTH, Box, Label, Scene, Shape, Wire, text_width
from workshop.viz.story import Story
from workshop.viz.who import Picture

PAD, LINE, TOP = 16, 20, 52


def source_beside_picture(story: Story, title: str) -> Scene:
    """Draw a run's source, with line numbers, beside its picture; mark a fault's line, tell its message."""
    picture = Picture(story, "run").scene()
    width = max(text_width(line, 13, True) for line in story.lines) + 3 * PAD + 24
    scene = Scene(width + picture.width + 2 * PAD, 0, title)
    scene.add(Label(PAD, 34, title, "ink", 15, bold=True))
    bottom = _source(scene, story, width)
    for step in story.steps:
        words = textwrap.wrap(step.fault, int((width - PAD) / (12 * CODE_WIDTH)))
        for number, line in enumerate(words):
            scene.add(Label(PAD, bottom + 24 + number * 18, line, "fault.text", 12, code=True))
        bottom += 24 + len(words) * 18 if words else 0
    scene.add(*(moved(shape, width + PAD, TOP - 12) for shape in picture.shapes))
    scene.height = max(bottom, picture.height + TOP - 12)
    return scene


def _source(scene: Scene, story: Story, width: float) -> float:
    """Add the panel of source lines; return its lower edge."""
    faulty = {step.line for step in story.steps if step.fault}
    height = len(story.lines) * LINE + PAD
    scene.add(Box(PAD, TOP, width - PAD, height, "panel", "line", radius=look.RADIUS_PX))
    for number, line in enumerate(story.lines, story.first_line):
        y = TOP + PAD / 2 + (number - story.first_line) * LINE
        if number in faulty:
            scene.add(Box(PAD + 1, y, width - PAD - 2, LINE, "fault.soft", "", radius=0))
        tone = "fault.text" if number in faulty else "ink"
        scene.add(Label(PAD + 28, y + 14, str(number), "quiet", 12, "end", True))
        scene.add(Label(PAD + 40, y + 14, line, tone, 13, code=True))
    return TOP + height


def moved(shape: Shape, right: float, down: float) -> Shape:
    """Return a shape at another place."""
    if isinstance(shape, Wire):
        shape = replace(shape, to_x=shape.to_x + right, to_y=shape.to_y + down)
    return replace(shape, x=shape.x + right, y=shape.y + down)
