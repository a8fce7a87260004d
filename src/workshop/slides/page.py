"""Put slides into one HTML file that needs no other file and no network."""

from __future__ import annotations

import html
from importlib import resources

from workshop.viz.look import THEMES, css_variables, font_faces

_FILES = ("vendor/reveal/reveal.css", "theme.css")
_SCRIPTS = ("vendor/reveal/reveal.js", "vendor/reveal/notes.js", "deck.js")


def page_html(title: str, sections: list[str], theme: str = "light") -> str:
    """Return the whole page: fonts, tokens, reveal.js, the speaker-notes plugin and the slides."""
    themes = "\n".join(
        f'html[data-theme="{name}"]{{{css_variables(colours)}}}' for name, colours in THEMES.items()
    )
    styles = "\n".join([font_faces(), themes, *(_read(name) for name in _FILES)])
    scripts = "\n".join(
        f"<script>{_read(name).replace('</script', '<' + chr(92) + '/script')}</script>" for name in _SCRIPTS
    )
    slides = "\n".join(sections)
    return f"""<!doctype html>
<html lang="en" data-theme="{theme}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{html.escape(title)}</title>
<link rel="icon" href="data:,">
<style>
{styles}
</style>
</head>
<body>
<div class="reveal"><div class="slides">
{slides}
</div></div>
{scripts}
</body>
</html>
"""


def _read(name: str) -> str:
    return (resources.files(__package__) / name).read_text(encoding="utf-8")
