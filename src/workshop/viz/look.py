"""The one look of figures, widgets, decks and docs: colours with fixed meanings, fonts, radius, stroke.

A colour means the same everywhere: `read`, `write`, `shared` memory, `fault`, `idle`, the lanes of a warp.
Every meaning is a `Tone` of four colours, so that text, marks and tinted cells all keep WCAG AA contrast.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass, fields
from importlib import resources

RADIUS_PX = 8
STROKE_PX = 2
PAGE_LABEL_PX = 12  # the smallest label on a page
SLIDE_LABEL_PX = 20  # the smallest label on a slide of 1280 x 720
FONT_TEXT = "Inter, system-ui, sans-serif"
FONT_CODE = "'JetBrains Mono', ui-monospace, monospace"
# What the embedded fonts can draw; any other character would come from a font that may be missing.
UNICODE_RANGES = (
    (0x20, 0x7E), (0xA0, 0xFF), (0x131, 0x131), (0x152, 0x153), (0x2013, 0x2014), (0x2018, 0x201A),
    (0x201C, 0x201E), (0x2022, 0x2022), (0x2026, 0x2026), (0x20AC, 0x20AC), (0x2122, 0x2122),
    (0x2191, 0x2191), (0x2193, 0x2193), (0x2212, 0x2212),
)  # fmt: skip
MEANINGS = ("read", "write", "shared", "fault", "idle")

_FACES = (
    ("Inter", 400, "inter-latin-400-normal.woff2"),
    ("Inter", 600, "inter-latin-600-normal.woff2"),
    ("Inter", 700, "inter-latin-700-normal.woff2"),
    ("JetBrains Mono", 400, "jetbrains-mono-latin-400-normal.woff2"),
    ("JetBrains Mono", 700, "jetbrains-mono-latin-700-normal.woff2"),
)


@dataclass(frozen=True, slots=True)
class Tone:
    """Name the four colours of a meaning: a mark (3:1), text (4.5:1), a tint under text, text on the mark."""

    mark: str
    text: str
    soft: str
    on: str


@dataclass(frozen=True, slots=True)
class Theme:
    """Hold every colour of one variant, light or dark, as `#rrggbb`."""

    name: str
    surface: str  # the page
    panel: str  # code and cards on it
    ink: str  # text
    quiet: str  # secondary text
    line: str  # hairlines: decoration, not information
    accent: str  # headings' bar, links, keywords
    literal: str  # strings and numbers in code
    read: Tone
    write: Tone
    shared: Tone
    fault: Tone
    idle: Tone
    lane_first: str
    lane_last: str

    def tone(self, meaning: str) -> Tone:
        """Return the tone of one of `MEANINGS`; KeyError names the known ones.

        >>> LIGHT.tone("read").on
        '#ffffff'
        """
        if meaning not in MEANINGS:
            raise KeyError(f"no colour means {meaning!r}; the meanings are {', '.join(MEANINGS)}")
        tone: Tone = getattr(self, meaning)
        return tone


LIGHT = Theme(
    name="light", surface="#ffffff", panel="#f5f6fa", ink="#171c2b", quiet="#545e72", line="#d9dde6",
    accent="#6331c9", literal="#0b6475",
    read=Tone("#2450c8", "#2450c8", "#dfe7fb", "#ffffff"),
    write=Tone("#bd6f00", "#945500", "#fbe9cf", "#0f1320"),
    shared=Tone("#17a07a", "#0b6e53", "#d3f2e7", "#0f1320"),
    fault=Tone("#9c1450", "#9c1450", "#f9dde8", "#ffffff"),
    idle=Tone("#7a8496", "#5b6577", "#eceff4", "#0f1320"),
    lane_first="#efe9ff", lane_last="#4a1e9e",
)  # fmt: skip

DARK = Theme(
    name="dark", surface="#10141f", panel="#1a2030", ink="#eef1f8", quiet="#a6b0c3", line="#333c52",
    accent="#b79bff", literal="#7fd3e6",
    read=Tone("#4d94ff", "#7fb2ff", "#1b2f57", "#0f1320"),
    write=Tone("#f5a031", "#f8b458", "#4a3413", "#0f1320"),
    shared=Tone("#7ff0c4", "#7ff0c4", "#164236", "#0f1320"),
    fault=Tone("#ee4f7d", "#ff86a8", "#511c31", "#0f1320"),
    idle=Tone("#8b95a8", "#a6b0c3", "#262d3f", "#0f1320"),
    lane_first="#2a2150", lane_last="#d9caff",
)  # fmt: skip

THEMES = {"light": LIGHT, "dark": DARK}


def contrast(first: str, second: str) -> float:
    """Compute the WCAG 2 contrast ratio of two `#rrggbb` colours, from 1 to 21.

    >>> round(contrast("#000000", "#ffffff"), 1)
    21.0
    """
    darker, lighter = sorted((_luminance(first), _luminance(second)))
    return (lighter + 0.05) / (darker + 0.05)


def lane_colour(theme: Theme, lane: int, lanes: int = 32) -> str:
    """Return the colour of one lane of a warp, on a ramp from the first lane to the last.

    >>> lane_colour(LIGHT, 0) == LIGHT.lane_first
    True
    """
    share = lane / (lanes - 1) if lanes > 1 else 0.0
    pairs = zip(_channels(theme.lane_first), _channels(theme.lane_last), strict=True)
    return "#" + "".join(f"{round(first + (last - first) * share):02x}" for first, last in pairs)


def ink_on(colour: str) -> str:
    """Return the text colour, black or white, that reads best on `colour`.

    >>> ink_on("#ffffff"), ink_on("#202020")
    ('#000000', '#ffffff')
    """
    return max(("#000000", "#ffffff"), key=lambda ink: contrast(ink, colour))


def css_variables(theme: Theme) -> str:
    """Return the theme as CSS declarations: `--surface`, `--read-mark`, `--read-text`, `--radius` and so on.

    >>> "--write-soft:#fbe9cf;" in css_variables(LIGHT)
    True
    """
    parts = []
    for field in fields(theme):
        value = getattr(theme, field.name)
        if isinstance(value, Tone):
            parts += [f"--{field.name}-{tone.name}:{getattr(value, tone.name)};" for tone in fields(value)]
        elif field.name != "name":
            parts.append(f"--{field.name.replace('_', '-')}:{value};")
    parts.append(
        f"--radius:{RADIUS_PX}px;--stroke:{STROKE_PX}px;--font-text:{FONT_TEXT};--font-code:{FONT_CODE};"
    )
    return "".join(parts)


def font_faces() -> str:
    """Return `@font-face` rules with the fonts embedded as data, so that a page needs no other file.

    >>> font_faces().count("@font-face")
    5
    """
    folder = resources.files(__package__) / "fonts"
    rules = []
    for family, weight, name in _FACES:
        data = base64.b64encode((folder / name).read_bytes()).decode()
        rules.append(
            f"@font-face{{font-family:'{family}';font-weight:{weight};font-style:normal;font-display:block;"
            f"src:url(data:font/woff2;base64,{data}) format('woff2')}}"
        )
    return "\n".join(rules)


def undrawable(text: str) -> str:
    """Return the characters of `text`, each once and sorted, that the embedded fonts cannot draw.

    >>> undrawable("2 x 4 = 8")
    ''
    """
    return "".join(
        sorted({c for c in text if c not in "\n\t" and not any(a <= ord(c) <= b for a, b in UNICODE_RANGES)})
    )


def _channels(colour: str) -> tuple[int, int, int]:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


def _luminance(colour: str) -> float:
    red, green, blue = (_linear(channel / 255) for channel in _channels(colour))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _linear(channel: float) -> float:
    return channel / 12.92 if channel <= 0.04045 else float(((channel + 0.055) / 1.055) ** 2.4)
