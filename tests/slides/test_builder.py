"""The deck builder: dialect, regions, figures, and errors that name file, line and cure."""

import re

import pytest

from workshop.files import write_whole
from workshop.slides import DeckError, build_deck, find_deck, main, read_region, split_deck
from workshop.slides.highlight import code_html, parse_steps
from workshop.slides.regions import RegionError
from workshop.slides.render import render_slide
from workshop.slides.targets import TargetError, call_target

NOTE = "\n\nNote: 2 min. Say it."
SOURCE = """import math

# region: area
def area(r):
    return math.pi * r**2
# endregion: area


def run():
    # region: call
    print(round(area(2.0), 2))
    # endregion: call


def picture(size=1):
    return f'<svg id="p" width="{size}"></svg>'


def silent():
    pass


def broken():
    return 1 // 0
"""


@pytest.fixture
def root(tmp_path):
    (tmp_path / "slides" / "code").mkdir(parents=True)
    (tmp_path / "slides" / "code" / "demo.py").write_text(SOURCE)
    return tmp_path


def render(root, text):
    (slide,) = split_deck(text + NOTE, "slides/01_demo.md")
    return render_slide(slide, root)


def build(root, text):
    deck = root / "slides" / "01_demo.md"
    deck.write_text(text)
    return build_deck(deck, root)


def text_of(html):
    return re.sub(r"<[^>]+>", "", html)


def test_slides_are_parted_by_dashes_but_not_inside_code():
    text = f"# A\n\n```text\n---\n```{NOTE}\n\n---\n\n# B{NOTE}"
    assert [slide.line for slide in split_deck(text)] == [1, 10]


def test_notes_become_an_aside_and_their_minutes_the_pacing(root):
    html = render(root, "# A")
    assert 'data-timing="120"' in html
    assert '<aside class="notes"><p>2 min. Say it.</p>' in html


@pytest.mark.parametrize(
    "note, cure", [("", "no speaker notes"), ("\n\nNote: say it", "do not begin with minutes")]
)
def test_slide_without_minutes_is_refused(note, cure):
    with pytest.raises(DeckError, match=f"(?s){cure}.*Note: 3 min.*deck.md, line 9"):
        split_deck(f"# A{NOTE}\n\n---\n\n\n\n# B{note}")


def test_empty_slide_is_refused():
    with pytest.raises(DeckError, match="this slide is empty"):
        split_deck(f"# A{NOTE}\n\n---\n\n---\n\n# B{NOTE}")


def test_slide_comment_sets_the_sections_attributes(root):
    html = render(root, '<!-- .slide: class="title" data-background-color="#fff" -->\n# A')
    assert html.startswith('<section data-timing="120" class="title" data-background-color="#fff">')


def test_element_comment_decorates_the_item_it_stands_in(root):
    html = render(root, '- one <!-- .element: class="fragment" -->\n- two')
    assert '<li class="fragment">one' in html
    assert html.count("fragment") == 1


def test_element_comment_decorates_the_element_before_it(root):
    html = render(root, 'First.\n\n- a\n- b\n\n<!-- .element: class="fragment" -->')
    assert '<ul class="fragment">' in html


def test_element_comment_decorates_a_fence(root):
    html = render(root, '```python\nx = 1\n```\n\n<!-- .element: class="fragment" -->')
    assert '<pre class="code fragment" data-language="python">' in html


def test_element_comment_with_nothing_before_it_is_refused(root):
    with pytest.raises(DeckError, match="no Markdown element before it"):
        render(root, '<!-- .element: class="fragment" -->')


def test_unreadable_attributes_are_refused(root):
    with pytest.raises(DeckError, match='Write them as name="value"'):
        render(root, "- one <!-- .element: class='fragment' -->")


def test_code_region_is_cut_from_its_file(root):
    html = render(root, "<!-- code: slides/code/demo.py#area [1|2] -->")
    assert "def area(r):\n    return math.pi * r**2" in text_of(html)
    assert "region" not in text_of(html)
    assert 'data-steps="[[1], [2]]"' in html
    assert html.count('class="fragment code-step"') == 1
    assert 'class="line" data-line="4"' in html and 'class="line dim" data-line="5"' in html


def test_code_region_loses_its_indent(root):
    region = read_region(root, "slides/code/demo.py#call")
    assert region.source == "print(round(area(2.0), 2))"
    assert region.numbers == (11,)


def test_unknown_region_names_line_cure_and_the_regions_there_are(root):
    with pytest.raises(DeckError) as caught:
        build(root, f"# A{NOTE}\n\n---\n\n# B\n\n<!-- code: slides/code/demo.py#volume -->{NOTE}")
    message = str(caught.value)
    assert (
        "slides/code/demo.py has no region 'volume'; its regions are: area, call. Use one of them" in message
    )
    assert "01_demo.md, line 9\n    <!-- code: slides/code/demo.py#volume -->" in message


def test_unknown_file_names_its_neighbours(root):
    with pytest.raises(DeckError, match=r"there is no file slides/code/dmeo.py. slides/code/ has: demo.py"):
        build(root, f"<!-- code: slides/code/dmeo.py#area -->{NOTE}")


def test_unclosed_region_is_refused(root):
    (root / "open.py").write_text("# region: a\nx = 1\n")
    with pytest.raises(RegionError, match="exactly once; it has region in line 1"):
        read_region(root, "open.py#a")


def test_file_outside_the_repository_is_refused(root):
    with pytest.raises(RegionError, match="outside the repository"):
        read_region(root, "../secret.py")


def test_step_outside_the_code_is_refused(root):
    with pytest.raises(DeckError, match="step line 9 is not in this code, which has 2 lines"):
        render(root, "<!-- code: slides/code/demo.py#area [1|9] -->")


def test_steps_are_lists_of_lines():
    assert parse_steps("[1|2-3,5||0]", 5) == [[1], [2, 3, 5], [], [0]]


def test_python_fence_must_compile(root):
    with pytest.raises(DeckError, match="(?s)this is not Python.*01_demo.md, line 5"):
        render(root, "# A\n\n```python\nx = 1\ndef f(:\n```")


@pytest.mark.parametrize(
    "language, source, keyword",
    [
        ("python", "def f(): pass", "def"),
        ("mojo", "fn f(): pass", "fn"),
        ("cuda", "__global__ void f();", "__global__"),
    ],
)
def test_fences_are_coloured(language, source, keyword):
    assert f'<span class="k">{keyword}</span>' in code_html(source, language)


def test_colouring_keeps_every_character():
    source = "@kernel\ndef f(a):\n\n    a[0] = 'x < y'  # <b>\n    return\n\n\nf(1)"
    shown = (
        text_of(code_html(source, "python")).replace("&lt;", "<").replace("&gt;", ">").replace("&#x27;", "'")
    )
    assert shown == source


def test_unknown_language_is_refused(root):
    with pytest.raises(DeckError, match="no highlight grammar for 'pyhton'"):
        render(root, "```pyhton\nx\n```")


def test_figure_is_what_the_function_returns(root):
    assert '<svg id="p" width="3"></svg>' in render(
        root, "<!-- figure: slides/code/demo.py:picture size=3 -->"
    )


def test_figure_may_come_from_a_module(root):
    assert 'id="figure-hierarchy"' in render(
        root, "<!-- figure: workshop.slides.figures:hierarchy grid=2, block=64, follow=70 -->"
    )


def test_output_is_captured_from_a_run(root):
    assert '<pre class="output"><code>12.57</code></pre>' in render(
        root, "<!-- output: slides/code/demo.py:run -->"
    )


def test_silent_output_is_refused(root):
    with pytest.raises(DeckError, match="printed nothing"):
        render(root, "<!-- output: slides/code/demo.py:silent -->")


def test_figure_that_raises_names_the_decks_line(root):
    with pytest.raises(DeckError, match="(?s)broken raised ZeroDivisionError.*01_demo.md, line 3"):
        render(root, "# A\n\n<!-- figure: slides/code/demo.py:broken -->")


@pytest.mark.parametrize(
    "target, cure",
    [
        ("slides/code/demo.py:pic", "has no function 'pic'; it has: area, broken, picture, run, silent"),
        ("slides/code/nothing.py:f", "there is no file slides/code/nothing.py"),
        ("workshop.nothing:f", "cannot import workshop.nothing"),
        ("slides/code/demo.py", "names no function"),
        ("slides/code/demo.py:picture size=area", "Write literals"),
    ],
)
def test_wrong_target_names_the_cure(root, target, cure):
    with pytest.raises(TargetError, match=re.escape(cure)):
        call_target(root, target)


def test_unknown_directive_is_refused(root):
    with pytest.raises(DeckError, match="unknown directive 'cdoe'. The directives are code, figure, output"):
        render(root, "<!-- cdoe: slides/code/demo.py#area -->")


def test_directive_inside_a_sentence_is_refused(root):
    with pytest.raises(DeckError, match="must stand alone"):
        render(root, "See <!-- code: slides/code/demo.py#area --> here")


def test_directive_inside_html_columns_is_expanded(root):
    html = render(
        root, '<div class="columns">\n<div>\n<!-- code: slides/code/demo.py#area -->\n</div>\n</div>'
    )
    assert "def area(r):" in text_of(html)


def test_directive_inside_a_fence_is_text(root):
    assert "code: x#y" in text_of(render(root, "```text\n<!-- code: x#y -->\n```"))


def test_deck_is_one_file_without_addresses_to_load(root):
    built = build(root, f"# Hello{NOTE}")
    page = built.path.read_text()
    assert (built.title, built.slides, built.minutes) == ("Hello", 1, 2.0)
    markup = re.sub(r"<script>.*?</script>", "", page, flags=re.DOTALL)
    assert not re.search(r"""\s(src|href)="(?!data:)|url\(["']?(?!data:)|@import""", markup)


def test_failed_build_leaves_the_last_good_deck(root):
    before = build(root, f"# Good{NOTE}").path.read_text()
    with pytest.raises(DeckError):
        build(root, f"<!-- code: gone.py -->{NOTE}")
    dist = root / "slides" / "dist"
    assert [path.name for path in dist.iterdir()] == ["01_demo.html"]
    assert (dist / "01_demo.html").read_text() == before


def test_deck_is_found_by_number_name_or_file(root):
    build(root, f"# A{NOTE}")
    assert {find_deck(root, name).name for name in ("01", "demo", "01_demo", "slides/01_demo.md")} == {
        "01_demo.md"
    }
    with pytest.raises(DeckError, match="no deck '02'; the decks are: 01_demo"):
        find_deck(root, "02")


def test_command_builds_and_says_what(root, capsys, monkeypatch):
    build(root, f"# A{NOTE}")
    monkeypatch.chdir(root)
    assert main(["build"]) == 0
    assert re.match(r"slides/dist/01_demo.html: 1 slides, 2 minutes, 0\.\d MB", capsys.readouterr().out)


def test_command_reports_a_bad_deck_and_exits_1(root, capsys):
    (root / "slides" / "01_demo.md").write_text("# A")
    assert main(["build", "--root", str(root)]) == 1
    assert "workshop slides: it has no speaker notes" in capsys.readouterr().err


def test_command_outside_a_repository_says_so(tmp_path, capsys):
    assert main(["build", "--root", str(tmp_path)]) == 1
    assert "there is no slides/NN_name.md in" in capsys.readouterr().err


def test_interrupted_write_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "deck.html"
    write_whole(path, b"old")
    monkeypatch.setattr("os.replace", lambda *paths: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        write_whole(path, b"new")
    assert [p.read_bytes() for p in tmp_path.iterdir()] == [b"old"]


def test_pdf_without_chromium_says_what_to_install(root, capsys, monkeypatch):
    build(root, f"# A{NOTE}")
    monkeypatch.setattr("workshop.slides.pdf.find_chromium", lambda: None)
    assert main(["pdf", "--root", str(root)]) == 1
    assert "needs Chromium, which is not on this machine. Install it" in capsys.readouterr().err


def test_pdf_with_a_browser_that_dies_is_refused(root, capsys, monkeypatch):
    build(root, f"# A{NOTE}")
    monkeypatch.setenv("CHROMIUM", "/bin/false")
    assert main(["pdf", "--root", str(root)]) == 1
    assert "Chromium ended, or took too long" in capsys.readouterr().err
    assert [path.suffix for path in (root / "slides" / "dist").iterdir()] == [".html"]
