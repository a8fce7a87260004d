"""Turn one slide's Markdown into HTML: attributes, fragments, code regions, figures and captured output."""

from __future__ import annotations

import ast
import html
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from workshop.errors import Loc
from workshop.slides.deck import DeckError, Slide, parse_attributes
from workshop.slides.highlight import CodeError, code_html
from workshop.slides.regions import RegionError, read_region
from workshop.slides.targets import TargetError, call_target, printed_by

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.token import Token

_ELEMENT = re.compile(r"^\s*<!--\s*\.element:(.*?)-->\s*$", re.DOTALL)
_DIRECTIVE = re.compile(r"<!--\s*(\w+):\s*(.*?)\s*-->", re.DOTALL)
_CODE = re.compile(r"^(\S+?)(?:\s+(\[.*\]))?$")
_FENCE_INFO = re.compile(r"^(\w*)\s*(\[.*\])?$")
_LANGUAGES = {".py": "python", ".cu": "cuda", ".cpp": "cpp", ".mojo": "mojo", ".sh": "console"}


def render_slide(slide: Slide, root: Path) -> str:
    """Return a slide's `<section>` with its notes; DeckError names the deck's line."""
    markdown = _markdown()
    tokens = markdown.parse(slide.text)
    _apply_element_comments(tokens, slide)
    for token in tokens:
        _expand(token, slide, root)
    body = markdown.renderer.render(tokens, markdown.options, {})
    attributes = _merged(slide.attributes, (("data-timing", str(round(slide.minutes * 60))),))
    notes = markdown.render(slide.notes)
    return f'<section{attributes}>\n{body}<aside class="notes">{notes}</aside>\n</section>'


def _markdown() -> MarkdownIt:
    from markdown_it import MarkdownIt

    return MarkdownIt("commonmark", {"html": True}).enable("table")


def _apply_element_comments(tokens: list[Token], slide: Slide) -> None:
    """Move `<!-- .element: ... -->` onto the element it stands in, or else onto the one before it."""
    for at, token in enumerate(tokens):
        if token.type == "html_block" and (match := _ELEMENT.match(token.content)):
            _decorate(_element_before(tokens, at, slide), match[1], slide.loc(_row(token)))
            token.content = ""
        for child in token.children or []:
            if child.type == "html_inline" and (match := _ELEMENT.match(child.content)):
                _decorate(_element_around(tokens, at), match[1], slide.loc(_row(token)))
                child.content = ""


def _element_before(tokens: list[Token], at: int, slide: Slide) -> Token:
    before = at - 1
    if before >= 0 and tokens[before].nesting < 0:
        level = tokens[before].level
        before = next(
            i for i in range(before - 1, -1, -1) if tokens[i].level == level and tokens[i].nesting > 0
        )
    if before < 0 or tokens[before].type == "html_block":
        raise DeckError(
            "this .element comment has no Markdown element before it. Put it after one, or write the class"
            " into the HTML.",
            slide.loc(_row(tokens[at])),
        )
    return tokens[before]


def _element_around(tokens: list[Token], at: int) -> Token:
    around = tokens[at - 1]
    return tokens[at - 2] if around.hidden and tokens[at - 2].type == "list_item_open" else around


def _decorate(token: Token, text: str, loc: Loc) -> None:
    for name, value in parse_attributes(text, loc):
        if name == "class":
            token.attrJoin("class", value)
        else:
            token.attrSet(name, value)


def _expand(token: Token, slide: Slide, root: Path) -> None:
    """Replace a fence or a block of directives by finished HTML."""
    if token.type == "fence":
        token.content = _fence(token, slide) + "\n"
        token.type = "html_block"
    elif token.type == "html_block":
        start = slide.loc(_row(token)).line
        token.content = _DIRECTIVE.sub(
            lambda match: _directive(
                match, Loc(slide.file, start + token.content.count("\n", 0, match.start())), root
            ),
            token.content,
        )
    for child in token.children or []:
        if child.type == "html_inline" and _DIRECTIVE.match(child.content):
            raise DeckError(
                f"{child.content} must stand alone, with an empty line around it.", slide.loc(_row(token))
            )


def _fence(token: Token, slide: Slide) -> str:
    match = _FENCE_INFO.match(token.info.strip())
    loc = slide.loc(_row(token))
    if not match:
        raise DeckError(
            f"cannot read {token.info!r} after the backticks. Write a language and steps: python [1|2-3].",
            loc,
        )
    if match[1] == "python":
        try:
            ast.parse(token.content)
        except SyntaxError as wrong:
            line = loc.line + (wrong.lineno or 1)
            raise DeckError(f"this is not Python: {wrong.msg}.", Loc(slide.file, line)) from None
    try:
        return code_html(
            token.content, match[1], match[2] or "", (), **{k: str(v) for k, v in token.attrs.items()}
        )
    except CodeError as wrong:
        raise DeckError(str(wrong), loc) from None


def _directive(match: re.Match[str], loc: Loc, root: Path) -> str:
    word, text = match[1], " ".join(match[2].split())
    known: dict[str, Callable[[], str]] = {
        "code": lambda: _code(text, root),
        "figure": lambda: str(call_target(root, text)),
        "output": lambda: _output(printed_by(root, text)),
    }
    if word not in known:
        raise DeckError(f"unknown directive {word!r}. The directives are {', '.join(known)}.", loc)
    try:
        return known[word]()
    except (RegionError, TargetError, CodeError) as wrong:
        raise DeckError(str(wrong), loc) from None
    except Exception as failed:
        raise DeckError(f"{text} raised {type(failed).__name__}: {failed}", loc) from failed


def _code(text: str, root: Path) -> str:
    match = _CODE.match(text)
    if not match:
        raise CodeError(f"cannot read {text!r}. Write path#region, then steps if wanted: [1|2-3].")
    language = _LANGUAGES.get(Path(match[1].partition("#")[0]).suffix, "text")
    region = read_region(root, match[1])
    return code_html(region.source, language, match[2] or "", region.numbers)


def _output(text: str) -> str:
    return f'<pre class="output"><code>{html.escape(text.rstrip())}</code></pre>'


def _row(token: Token) -> int:
    return token.map[0] if token.map else 0


def _merged(own: tuple[tuple[str, str], ...], more: tuple[tuple[str, str], ...]) -> str:
    attributes = dict(more) | dict(own)
    return "".join(f' {name}="{html.escape(value)}"' for name, value in attributes.items())
