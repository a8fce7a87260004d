"""Decks in a real browser: offline, nothing overflows, fragments step, clean console, speaker view, PDF."""

import re
import threading
from pathlib import Path

import pytest

from workshop.slides import build_deck, list_decks
from workshop.slides.chromium import chromium_flags, find_chromium
from workshop.slides.pdf import print_pdf
from workshop.slides.serve import deck_server, deck_url

playwright = pytest.importorskip(
    "playwright.sync_api", reason="the browser tests need playwright (pip install playwright)"
)
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(
        find_chromium() is None, reason="the browser tests need Chromium (apt-get install chromium)"
    ),
]

ROOT = Path(__file__).parents[2]
DEMO = """# A deck that uses every part of the dialect

- first <!-- .element: class="fragment" -->
- second <!-- .element: class="fragment" -->

Note: 1 min. These words are for the speaker.

---

## Code in steps beside its output

<div class="columns">
<div>

```python [1|2-3|]
def add(a, b):
    total = a + b
    return total
```

</div>
<div>

<!-- output: demo.py:show -->

</div>
</div>

Note: 2 min. Steps.

---

## Figures

<!-- figure: demo.py:play -->

Note: 1 min. Press step.

---

## Hierarchy

<!-- figure: workshop.slides.figures:hierarchy -->

Note: 1 min. Ids.
"""
DEMO_PY = """from workshop.slides.figures import access_animation
from workshop.viz.story import Step, Story, Strip, Touch

def show():
    print(3)

def play():
    strips = Strip("output", "global", "float32", (4,)), Strip("a", "global", "float32", (4,))
    reads = tuple(Touch((0, 0, 0), (t, 0, 0), 1, (t,), t) for t in range(4))
    writes = tuple(Touch((0, 0, 0), (t, 0, 0), 0, (t,), t + 10) for t in range(4))
    steps = Step(1, "read", reads), Step(2, "write", writes)
    story = Story("add", ("x = a[i]", "output[i] = x + 10"), 1, (1, 1, 1), (6, 1, 1), strips, steps)
    return access_animation(story, "figure-play")
"""
# Everything a reader sees must lie inside its slide, inside its own box, and be at least 20 px high.
PROBLEMS = """() => {
  const section = Reveal.getCurrentSlide(), slide = section.getBoundingClientRect(), found = [];
  const scale = Reveal.getScale();
  const name = (node) => `${node.tagName}.${node.getAttribute("class")} ${node.textContent.slice(0, 40)}`;
  for (const node of section.querySelectorAll("*")) {
    if (node.closest("aside.notes") || node.closest("script")) continue;
    const box = node.getBoundingClientRect();
    if (!box.width || !box.height) continue;
    const high = [slide.top - box.top, box.bottom - slide.bottom];
    const sides = [slide.left - box.left, box.right - slide.right, ...high];
    const out = Math.max(...sides);
    if (out > 0.5) found.push(`outside the slide by ${out.toFixed(1)}: ${name(node)}`);
    if (node.matches("pre, pre code, div") && node.scrollWidth > node.clientWidth + 1)
      found.push(`wider than its box: ${name(node)}`);
    const own = [...node.childNodes].some((child) => child.nodeType === 3 && child.textContent.trim());
    const svg = node.closest("svg");
    const factor = svg ? svg.getBoundingClientRect().width / scale / svg.viewBox.baseVal.width : 1;
    const size = parseFloat(getComputedStyle(node).fontSize) * factor;
    if (own && size < 19.9) found.push(`text of ${size.toFixed(1)} px: ${name(node)}`);
  }
  return found;
}"""


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as p:
        browser = p.chromium.launch(executable_path=find_chromium(), args=chromium_flags())
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """A deck with every part of the dialect, apart from the repository."""
    root = tmp_path_factory.mktemp("root")
    (root / "slides").mkdir()
    (root / "demo.py").write_text(DEMO_PY)
    (root / "slides" / "01_demo.md").write_text(DEMO)
    return build_deck(root / "slides" / "01_demo.md", root)


@pytest.fixture(scope="module", params=["demo", *(deck.stem for deck in list_decks(ROOT))])
def deck(request):
    """The demo deck, and each deck of the repository."""
    if request.param == "demo":
        return request.getfixturevalue("demo")
    return build_deck(ROOT / "slides" / f"{request.param}.md", ROOT)


class Visit:
    """One deck open in one tab, with everything the tab said and asked for."""

    def __init__(self, browser, deck, query="", **options):
        self.said, self.asked = [], []
        self.context = browser.new_context(viewport={"width": 1280, "height": 720}, offline=True, **options)
        self.page = self.context.new_page()
        self.page.on("console", lambda message: self.said.append(f"{message.type}: {message.text}"))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.goto(deck.path.as_uri() + query)
        self.page.wait_for_function("window.Reveal && Reveal.isReady()")

    def slides(self):
        """Go to each slide in turn."""
        for number in range(self.page.evaluate("Reveal.getTotalSlides()")):
            self.page.evaluate(f"Reveal.slide({number})")
            yield number + 1


@pytest.fixture
def visit(browser, deck):
    visit = Visit(browser, deck)
    yield visit
    visit.context.close()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_nothing_overflows_and_nothing_is_small(visit, theme):
    visit.page.evaluate(f"document.documentElement.dataset.theme = '{theme}'")
    found = {number: visit.page.evaluate(PROBLEMS) for number in visit.slides()}
    assert {number: problems for number, problems in found.items() if problems} == {}


def test_walk_shows_every_fragment_with_a_clean_console_and_no_request(visit, deck):
    page = visit.page
    fragments = page.evaluate("document.querySelectorAll('.slides .fragment').length")
    seen = 0
    for _ in range(deck.slides + fragments):
        if page.evaluate("!Reveal.availableFragments().next"):
            hidden = page.evaluate(
                "Reveal.getCurrentSlide().querySelectorAll('.fragment:not(.visible)').length"
            )
            assert hidden == 0
            seen += 1
        page.keyboard.press("ArrowRight")
    assert page.evaluate("Reveal.isLastSlide()")
    assert seen >= deck.slides
    assert visit.said == []
    assert [url for url in visit.asked if not url.startswith(("file:", "data:", "about:"))] == []


def test_fonts_are_the_embedded_ones(visit):
    visit.page.evaluate("document.fonts.ready.then(() => 0)")
    loaded = visit.page.evaluate("[...document.fonts].filter(f => f.status === 'loaded').map(f => f.family)")
    assert any("Inter" in family for family in loaded)


def test_key_t_changes_the_theme(visit):
    visit.page.keyboard.press("t")
    assert visit.page.evaluate("document.documentElement.dataset.theme") == "dark"


def test_speaker_view_opens_with_the_notes(browser, deck):
    with deck_server(deck.path.parent) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            context = browser.new_context()
            page = context.new_page()
            page.goto(deck_url(server, deck.path.name))
            page.wait_for_function("window.Reveal && Reveal.isReady()")
            with page.expect_popup() as opened:
                page.keyboard.press("s")
            view = opened.value
            view.wait_for_function(
                "document.querySelector('.speaker-controls-notes .value')?.textContent.trim()"
            )
            spoken = view.text_content(".speaker-controls-notes .value")
            first = page.evaluate("document.querySelector('aside.notes').textContent.trim()")
            assert spoken.strip().startswith(first[:20])
            assert view.locator("iframe").count() == 2
            view.wait_for_selector(".pacing-title")
            context.close()
        finally:
            server.shutdown()
            thread.join()


def test_pdf_has_one_page_a_slide(deck, tmp_path):
    pdf = tmp_path / "deck.pdf"
    print_pdf(deck.path, pdf)
    assert len(re.findall(rb"/Type\s*/Page\b(?!s)", pdf.read_bytes())) == deck.slides


def test_paper_shows_every_line_inside_the_margins(browser, deck):
    visit = Visit(browser, deck, query="?print-pdf")
    visit.page.wait_for_selector(".pdf-page")
    edges = visit.page.evaluate(
        """[...document.querySelectorAll(".pdf-page")].map((paper) => {
          const title = paper.querySelector("h1, h2"), from = paper.getBoundingClientRect();
          return Math.round(title.getBoundingClientRect().left - from.left);
        })"""
    )
    assert edges == [64] * deck.slides
    assert visit.page.locator(".line.dim, .fragment:not(.visible)").count() == 0
    visit.context.close()


@pytest.fixture
def animation(browser, demo):
    visit = Visit(browser, demo)
    visit.page.evaluate("Reveal.slide(2)")
    yield visit.page
    visit.context.close()


def test_animation_plays_pauses_and_steps(animation):
    step = "document.getElementById('figure-play').dataset.step"
    animation.wait_for_function(f"{step} === '1'")
    animation.click("#figure-play [data-do=play]")
    animation.wait_for_timeout(1700)
    assert animation.evaluate(step) == "1"
    animation.click("#figure-play [data-do=step]")
    assert animation.evaluate(step) == "2"


def test_animation_leaves_the_keys_to_the_deck(animation):
    animation.click("#figure-play [data-do=step]")
    animation.keyboard.press("ArrowRight")
    assert animation.evaluate("Reveal.getIndices().h") == 3


def test_reduced_motion_shows_the_end_and_stays(browser, demo):
    visit = Visit(browser, demo, reduced_motion="reduce")
    visit.page.evaluate("Reveal.slide(2)")
    visit.page.wait_for_timeout(1700)
    assert visit.page.evaluate("document.getElementById('figure-play').dataset.step") == "2"
    assert visit.page.text_content("#figure-play [data-do=play]") == "Play"
    visit.context.close()


def test_code_steps_light_their_lines(browser, demo):
    visit = Visit(browser, demo)
    lines = "[...Reveal.getCurrentSlide().querySelectorAll('.line')]"
    lit = f"{lines}.map(line => line.classList.contains('dim') ? 0 : 1).join('')"
    visit.page.evaluate("Reveal.slide(1)")
    seen = [visit.page.evaluate(lit)]
    for key in ("ArrowRight", "ArrowRight", "ArrowLeft"):
        visit.page.keyboard.press(key)
        seen.append(visit.page.evaluate(lit))
    assert seen == ["100", "011", "111", "011"]
    visit.context.close()
