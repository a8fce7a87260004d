"""Shapes on a page, painted as SVG or by matplotlib: boxes, labels and wires, coloured by meaning.

Colours are named `tone.part` (`write.soft`) or plainly (`ink`), as in `workshop.viz.look.Theme`. Lengths are
pixels.
"""

from __future__ import annotations

import base64
import html
from dataclasses import dataclass, field
from typing import Any, Literal

from workshop.viz import look

CODE_WIDTH = 0.6  # of the font size: how wide one character of the code font is


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle; `outline` "" draws none, `dashed` marks a place that does not exist."""

    x: float
    y: float
    width: float
    height: float
    fill: str = "surface"
    outline: str = "line"
    id: str = ""
    dashed: bool = False
    radius: float = 4
    title: str = ""


@dataclass(frozen=True, slots=True)
class Label:
    """A line of text; (x, y) is its baseline's start, middle or end."""

    x: float
    y: float
    text: str
    colour: str = "ink"
    size: float = 13
    anchor: Literal["start", "middle", "end"] = "start"
    code: bool = False
    bold: bool = False
    id: str = ""


@dataclass(frozen=True, slots=True)
class Wire:
    """A straight line from one point to another."""

    x: float
    y: float
    to_x: float
    to_y: float
    colour: str = "quiet"
    width: float = look.STROKE_PX


Shape = Box | Label | Wire


@dataclass(slots=True, repr=False)
class Scene:
    """A picture: its size, its shapes from back to front, and a sentence for those who cannot see it."""

    width: float = 0
    height: float = 0
    alt: str = ""
    shapes: list[Shape] = field(default_factory=list)

    def add(self, *shapes: Shape) -> None:
        """Put shapes in front of the others."""
        self.shapes += shapes

    def svg(self, theme: look.Theme | None = None, id: str = "picture") -> str:
        """Return the picture as one `<svg>` element.

        A theme fixes the colours; without one the page's own CSS variables (`look.css_variables`) give them.
        """
        body = "\n".join(_svg_shape(shape, theme, id) for shape in self.shapes)
        width, height = _n(self.width), _n(self.height)
        return (
            f'<svg id="{id}" xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
            f'width="{width}" height="{height}" role="img" aria-label="{html.escape(self.alt)}">\n'
            f"{body}\n</svg>"
        )

    def image(self, id: str = "picture") -> str:
        """Return the picture as an `<img>`, light or dark as the page is.

        It shows everywhere, also in a notebook that is not trusted, on a card of its own.
        """
        text = self.framed("surface").svg(None, id)
        light, dark = (look.css_variables(theme) for theme in (look.LIGHT, look.DARK))
        style = f"<style>svg{{{light}}}@media (prefers-color-scheme:dark){{svg{{{dark}}}}}</style>"
        start = text.index("\n")
        data = base64.b64encode((text[:start] + style + text[start:]).encode()).decode()
        return (
            f'<img id="{id}" alt="{html.escape(self.alt)}" style="max-width: 100%" '
            f'src="data:image/svg+xml;base64,{data}">'
        )

    def _repr_html_(self) -> str:
        return self.image()

    def __repr__(self) -> str:
        return f"picture: {self.alt}"

    def framed(self, surface: str) -> Scene:
        """Return the picture on a card of this colour, so that it reads on a page of any other."""
        card = Box(0, 0, self.width, self.height, surface, "", radius=look.RADIUS_PX)
        return Scene(self.width, self.height, self.alt, [card, *self.shapes])

    def matplotlib(self, theme: look.Theme = look.LIGHT) -> Any:
        """Draw the picture into a new matplotlib Figure of the same size at 100 dots per inch."""
        from matplotlib.figure import Figure

        figure = Figure(figsize=(self.width / 100, self.height / 100), dpi=100, facecolor=theme.surface)
        axes = figure.add_axes((0, 0, 1, 1))
        axes.set(xlim=(0, self.width), ylim=(self.height, 0))
        axes.set_axis_off()
        for order, shape in enumerate(self.shapes):
            _paint(axes, shape, theme, order)
        return figure


def colour(theme: look.Theme, name: str) -> str:
    """Return the `#rrggbb` that a colour name means in a theme.

    >>> colour(look.LIGHT, "write.soft")
    '#fbe9cf'
    """
    if name.startswith("#"):
        return name
    tone, _, part = name.partition(".")
    return str(getattr(theme.tone(tone), part) if part else getattr(theme, tone))


def text_width(text: str, size: float, code: bool = False) -> float:
    """Estimate how wide a text is, in pixels, a little on the safe side."""
    return len(text) * size * (CODE_WIDTH if code else 0.56)


def _n(number: float) -> str:
    return f"{number:.1f}".removesuffix(".0")


def _svg_shape(shape: Shape, theme: look.Theme | None, prefix: str) -> str:
    def paint(name: str) -> str:
        if not name:
            return "none"
        return colour(theme, name) if theme else f"var(--{name.replace('.', '-')})"

    if isinstance(shape, Wire):
        ends = f'x1="{_n(shape.x)}" y1="{_n(shape.y)}" x2="{_n(shape.to_x)}" y2="{_n(shape.to_y)}"'
        style = f'style="stroke:{paint(shape.colour)};stroke-width:{_n(shape.width)}"'
        return f'<line {ends} {style} stroke-linecap="round"/>'
    mark = f' id="{prefix}-{shape.id}"' if shape.id else ""
    if isinstance(shape, Label):
        face = look.FONT_CODE if shape.code else look.FONT_TEXT
        face = f"font:{600 if shape.bold else 400} {_n(shape.size)}px {face}".replace('"', "'")
        place = f'x="{_n(shape.x)}" y="{_n(shape.y)}" text-anchor="{shape.anchor}"'
        style = f'style="{face};fill:{paint(shape.colour)};white-space:pre"'
        return f"<text{mark} {place} {style}>{html.escape(shape.text)}</text>"
    dash = ";stroke-dasharray:4 3" if shape.dashed else ""
    style = f"fill:{paint(shape.fill)};stroke:{paint(shape.outline)};stroke-width:1.5{dash}"
    title = f"<title>{html.escape(shape.title)}</title>" if shape.title else ""
    place = f'x="{_n(shape.x)}" y="{_n(shape.y)}" width="{_n(shape.width)}" height="{_n(shape.height)}"'
    return f'<rect{mark} {place} rx="{_n(shape.radius)}" style="{style}">{title}</rect>'


def _paint(axes: Any, shape: Shape, theme: look.Theme, order: int) -> None:
    from matplotlib.patches import Ellipse, FancyBboxPatch

    points = 0.72  # one pixel at 100 dots per inch
    if isinstance(shape, Wire):
        ends = ([shape.x, shape.to_x], [shape.y, shape.to_y])
        axes.plot(*ends, color=colour(theme, shape.colour), linewidth=shape.width * points, zorder=order)
    elif isinstance(shape, Label):
        side = {"start": "left", "middle": "center", "end": "right"}[shape.anchor]
        axes.text(
            shape.x,
            shape.y,
            shape.text,
            ha=side,
            va="baseline",
            color=colour(theme, shape.colour),
            zorder=order,
            fontsize=shape.size * points,
            fontfamily="DejaVu Sans Mono" if shape.code else "DejaVu Sans",
            fontweight="bold" if shape.bold else "normal",
            parse_math=False,
        )
    else:
        style: dict[str, Any] = {
            "facecolor": colour(theme, shape.fill),
            "edgecolor": colour(theme, shape.outline) if shape.outline else "none",
            "linestyle": "--" if shape.dashed else "-",
            "linewidth": 1.5 * points,
            "zorder": order,
        }
        x, y, width, height = shape.x, shape.y, shape.width, shape.height
        if shape.radius >= width / 2:
            patch: Any = Ellipse((x + width / 2, y + height / 2), width, height, **style)
        else:
            patch = FancyBboxPatch(
                (x, y), width, height, f"round,pad=0,rounding_size={shape.radius}", **style
            )
        axes.add_patch(patch)
