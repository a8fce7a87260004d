"""A run, step by step: one piece of HTML with play, step and scrub, for notebooks and decks alike."""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib import resources
from typing import Any

from workshop.viz import look
from workshop.viz.plan import CELL, Plan, plan
from workshop.viz.scene import Label
from workshop.viz.story import Step, Story, Touch, figure, short
from workshop.viz.who import Picture, alt_text


@dataclass(frozen=True, slots=True)
class Animation:
    """One run as steps to play, step through or scrub; nothing moves until somebody asks.

    `code` shows the kernel's source beside the picture; `scale` enlarges the picture (1.7 on a slide).
    """

    story: Story
    id: str
    code: bool = True
    scale: float = 1.0

    def html(self) -> str:
        """Return the figure: a still picture, and a script that replaces it where scripts may run."""
        folder = resources.files(__package__)
        style = palette(self.id) + (folder / "play.css").read_text(encoding="utf-8").replace(
            "#ID", f"#{self.id}"
        )
        data = json.dumps(self.data(), separators=(",", ":"))
        script = "\n".join(
            [
                (folder / "play.js").read_text(encoding="utf-8"),
                "const style = document.createElement('style');",
                f"style.textContent = {json.dumps(style)};",
                "document.head.appendChild(style);",
                f"const data = {data};".replace("</", "<\\/"),
                f"const roots = document.querySelectorAll('#{self.id}:not([data-ready])');",
                "for (const root of roots) mount(root, data);",
            ]
        )
        still = Picture(self.story, f"{self.id}-still")._repr_html_()
        return f'<div id="{self.id}">{still}</div>\n<script>(() => {{\n{script}\n}})()</script>'

    _repr_html_ = html

    def __str__(self) -> str:
        return self.html()

    def __repr__(self) -> str:
        story = self.story
        lines = [f"{story.kernel}, grid {story.grid}, block {story.block}, {len(story.steps)} steps"]
        lines += [f"  {n}. {caption(story, step)}" for n, step in enumerate(story.steps, 1)]
        return "\n".join(lines)

    def data(self) -> dict[str, Any]:
        """Return everything the script draws, as JSON-ready values."""
        story, made = self.story, plan(self.story)
        boxes = made.boxes(story).values()
        return {
            "width": made.width,
            "height": made.height,
            "scale": self.scale,
            "cell": CELL,
            "code": self.code,
            "alt": alt_text(story),
            "lines": list(story.lines),
            "before": _before(story),
            "boxes": [dict(zip(("x", "y", "width", "height"), box, strict=True)) for box in boxes],
            "labels": [_label(label) for label in made.labels],
            "threads": [
                {"id": f"thread-{n}", "x": x, "y": y, "text": short(thread, story.block)}
                for n, ((_, thread), (x, y)) in enumerate(made.threads.items())
            ],
            "cells": _cells(story, made),
            "steps": _steps(story, made),
        }


def _cells(story: Story, made: Plan) -> list[dict[str, Any]]:
    start = story.start()
    return [
        {
            "id": f"cell-{at}-{'-'.join(map(str, index))}",
            "x": x,
            "y": y,
            "home": story.strips[at].space,
            "start": figure(start[at, index]) if (at, index) in start else None,
            "outside": not story.strips[at].holds(index),
        }
        for (at, index), (x, y) in made.cells.items()
    ]


def _steps(story: Story, made: Plan) -> list[dict[str, Any]]:
    """Each touch as [thread, cell (-1: none), value (None: none), pixels to move the wire down]."""
    threads = {key: n for n, key in enumerate(made.threads)}
    cells = {key: n for n, key in enumerate(made.cells)}
    steps = []
    for step in story.steps:
        touches = [
            [
                threads[touch.block, touch.thread],
                cells.get((touch.strip, touch.index), -1),
                None if touch.value is None else figure(touch.value),
                _shift(story, touch),
            ]
            for touch in step.touches
        ]
        kind, line = "fault" if step.fault else step.kind, step.line - story.first_line
        steps.append({"line": line, "kind": kind, "text": caption(story, step), "touches": touches})
    return steps


def palette(id: str) -> str:
    """Return the CSS that gives the figure its colours: light, or dark where the page around it is."""
    light, dark = look.css_variables(look.LIGHT), look.css_variables(look.DARK)
    return (
        f"#{id}{{{light}}}\n"
        f'body[data-jp-theme-light="false"] #{id}, html[data-theme="dark"] #{id}{{{dark}}}\n'
    )


def caption(story: Story, step: Step) -> str:
    """Say what a step is: `line 4: 4 of 8 threads read a`."""
    place = f"line {step.line - story.first_line + 1}"
    if step.fault:
        return f"{place}: {step.fault}"
    doers, everyone = len({(touch.block, touch.thread) for touch in step.touches}), len(story.threads)
    who = f"all {everyone} threads" if doers == everyone else f"{doers} of {everyone} threads"
    if step.kind == "barrier":
        return f"{place}: {who} have arrived at the barrier and go on"
    verb = {"read": "read", "write": "write", "atomic": "update"}[step.kind]
    return f"{place}: {who} {verb} {story.strips[step.strip].name}"


def _shift(story: Story, touch: Touch) -> float:
    """Pixels to move a wire down: in a grid, the wires of one row of threads would lie on each other."""
    across = min(story.block[0], 6)
    return (touch.thread[0] % 6 - (across - 1) / 2) * 5 if story.block[1] > 1 else 0.0


def _before(story: Story) -> str:
    blocks, threads = len({b for b, _ in story.threads}), len(story.threads)
    return f"launch: {threads} threads in {blocks} block{'s' if blocks > 1 else ''}"


def _label(label: Label) -> dict[str, Any]:
    kind = {(True, True): "name", (True, False): "head", (False, True): "index"}.get(
        (label.bold, label.code), "quiet"
    )
    halo = label.text.startswith("block ")
    return {
        "x": label.x,
        "y": label.y,
        "text": label.text,
        "anchor": label.anchor,
        "kind": kind,
        "halo": halo,
    }
