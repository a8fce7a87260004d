"""Small words for drawing SVG: every colour is a variable, with the light theme's value behind it."""

from __future__ import annotations

import html

from workshop.viz.look import LIGHT, RADIUS_PX, SLIDE_LABEL_PX, STROKE_PX, css_variables

_LIGHT = dict(part.split(":", 1) for part in css_variables(LIGHT).rstrip(";").split(";"))


def ink(token: str) -> str:
    """Return a token as CSS: the page's own value where it has one, else the light theme's.

    >>> ink("read-mark")
    'var(--read-mark,#2450c8)'
    """
    return f"var(--{token},{_LIGHT[f'--{token}']})"


def rect(
    x: float, y: float, width: float, height: float, fill: str, stroke: str = "none", **more: object
) -> str:
    """Draw a rounded rectangle; `fill` and `stroke` are CSS colours."""
    more = {"rx": min(RADIUS_PX, width / 4, height / 4)} | more
    return (
        f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" style="fill:{fill};stroke:{stroke};'
        f'stroke-width:{STROKE_PX}"{_attributes(more)}/>'
    )


def text(
    x: float, y: float, words: object, size: float = SLIDE_LABEL_PX, fill: str = "", **more: object
) -> str:
    """Write a label whose middle line is at `y`; `anchor` is start, middle or end, `weight` 400 to 700."""
    anchor, weight = more.pop("anchor", "middle"), more.pop("weight", 400)
    fill = fill or ink("ink")
    return (
        f'<text x="{x:g}" y="{y:g}" style="fill:{fill};font-size:{size:g}px;font-weight:{weight};'
        f'text-anchor:{anchor};dominant-baseline:central"{_attributes(more)}>{html.escape(str(words))}</text>'
    )


def line(x1: float, y1: float, x2: float, y2: float, stroke: str, **more: object) -> str:
    """Draw a straight line."""
    return (
        f'<line x1="{x1:g}" y1="{y1:g}" x2="{x2:g}" y2="{y2:g}" style="stroke:{stroke};'
        f'stroke-width:{STROKE_PX}"{_attributes(more)}/>'
    )


def polygon(points: list[tuple[float, float]], fill: str, **more: object) -> str:
    """Draw a filled polygon."""
    corners = " ".join(f"{x:g},{y:g}" for x, y in points)
    return f'<polygon points="{corners}" style="fill:{fill}"{_attributes(more)}/>'


def group(parts: list[str], **more: object) -> str:
    """Put parts into one group."""
    return f"<g{_attributes(more)}>{''.join(parts)}</g>"


def figure(name: str, width: float, height: float, parts: list[str], label: str, after: str = "") -> str:
    """Return a self-contained `<figure>` with a fixed id; `label` tells a screen reader what it shows."""
    return (
        f'<figure id="{name}"><svg viewBox="0 0 {width:g} {height:g}" width="{width:g}" height="{height:g}" '
        f'role="img" aria-label="{html.escape(label)}" xmlns="http://www.w3.org/2000/svg">{"".join(parts)}</svg>{after}</figure>'
    )


def _attributes(more: dict[str, object]) -> str:
    names = {"css": "class"}
    return "".join(f' {names.get(k, k.replace("_", "-"))}="{html.escape(str(v))}"' for k, v in more.items())
