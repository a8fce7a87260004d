"""Colour code at build time, line by line, with steps that light up lines one after another."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator, Sequence

_STEPS = re.compile(r"^\[([\d,\-| ]*)\]$")
# Two hues and two weights are enough; the colours with a fixed meaning (read, write, ...) stay free for data.
_CLASSES = (
    ("Comment.Preproc", "k"),
    ("Comment", "c"),
    ("Keyword", "k"),
    ("Operator.Word", "k"),
    ("Name.Decorator", "k"),
    ("Name.Function", "f"),
    ("Name.Class", "f"),
    ("Literal", "s"),
)


class CodeError(ValueError):
    """Code cannot be shown: its language or one of its steps does not exist."""


def parse_steps(text: str, lines: int) -> list[list[int]]:
    """Read `[1|2-3,5]` as line numbers per step; an empty step lights all lines, 0 none.

    CodeError names a line that is not there.

    >>> parse_steps("[1|2-3]", 3)
    [[1], [2, 3]]
    """
    if not text:
        return []
    match = _STEPS.match(text.strip())
    if not match:
        raise CodeError(f"cannot read the steps {text!r}. Write them like [1|2-3,5].")
    steps = [
        [n for part in step.split(",") if part.strip() for n in _span(part)] for step in match[1].split("|")
    ]
    for number in (n for step in steps for n in step):
        if not 0 <= number <= lines:
            raise CodeError(f"step line {number} is not in this code, which has {lines} lines.")
    return steps


def code_html(
    source: str, language: str, steps: str = "", numbers: Sequence[int] = (), **attributes: str
) -> str:
    """Return `<pre class="code">` with one span per line; later steps become reveal.js fragments.

    `numbers` are the lines' numbers in their file, `attributes` go into the opening tag. CodeError where the
    language or a step is unknown.
    """
    lines = list(_coloured_lines(source, language))
    lit = parse_steps(steps, len(lines))
    now = lit[0] if lit else []
    body = "\n".join(
        f'<span class="line{" dim" if now and n not in now else ""}"{_number(numbers, n)}>{line}</span>'
        for n, line in enumerate(lines, 1)
    )
    # equal indices: the steps of two blocks on one slide advance together
    marks = "".join(
        f'<span class="fragment code-step" data-fragment-index="{n}"></span>' for n in range(len(lit[1:]))
    )
    tag = {"class": "code", "data-language": language or "text"} | (
        {"data-steps": json.dumps(lit)} if lit else {}
    )
    for name, value in attributes.items():
        tag[name] = f"{tag[name]} {value}" if name == "class" else value
    opening = " ".join(f'{name}="{html.escape(value)}"' for name, value in tag.items())
    return f"<pre {opening}><code>{body}</code>{marks}</pre>"


def _number(numbers: Sequence[int], at: int) -> str:
    return f' data-line="{numbers[at - 1]}"' if numbers else ""


def _span(part: str) -> range:
    first, _, last = part.strip().partition("-")
    return range(int(first), int(last or first) + 1)


def _coloured_lines(source: str, language: str) -> Iterator[str]:
    from pygments.lexers import get_lexer_by_name
    from pygments.util import ClassNotFound

    try:
        lexer = get_lexer_by_name(language or "text", stripnl=False)
    except ClassNotFound:
        raise CodeError(
            f"no highlight grammar for {language!r}. Use python, mojo, cuda, cpp, console or text."
        ) from None
    line = ""
    for kind, value in lexer.get_tokens(source.rstrip("\n")):
        for at, piece in enumerate(value.split("\n")):
            if at:
                yield line
                line = ""
            line += _span_of(str(kind).removeprefix("Token."), piece)
    if line:
        yield line


def _span_of(kind: str, text: str) -> str:
    if not text:
        return ""
    name = next((css for prefix, css in _CLASSES if kind.startswith(prefix)), "")
    return f'<span class="{name}">{html.escape(text)}</span>' if name else html.escape(text)
