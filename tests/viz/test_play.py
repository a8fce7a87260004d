"""The animation: its data, and the figure in a real browser."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from workshop.slides.chromium import chromium_flags, find_chromium
from workshop.viz.play import Animation
from workshop.viz.story import Story

needs_browser = [
    pytest.mark.browser,
    pytest.mark.skipif(
        find_chromium() is None, reason="the browser tests need Chromium (apt-get install chromium)"
    ),
]


def test_every_step_says_who_did_what(added: Story, faulty: Story) -> None:
    assert repr(Animation(added, "p")).splitlines() == [
        "add_10, grid (1, 1, 1), block (4, 1, 1), 2 steps",
        "  1. line 3: all 4 threads read a",
        "  2. line 3: all 4 threads write output",
    ]
    assert "line 3: read of a[4] is out of bounds" in repr(Animation(faulty, "p"))


def test_the_figure_is_one_piece_and_the_same_each_time(added: Story) -> None:
    first, second = (Animation(added, "p1").html() for _ in range(2))
    assert first == second
    assert first.count("<script>") == first.count("</script>") == 1
    assert "http" not in first.replace("http://www.w3.org/", "")


def test_source_text_cannot_end_the_script(added: Story) -> None:
    from dataclasses import replace

    evil = replace(added, lines=("x = '</script>'",))
    assert Animation(evil, "p").html().count("</script>") == 1
    assert json.loads(json.dumps(Animation(evil, "p").data()))["lines"] == ["x = '</script>'"]


@pytest.fixture
def page() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api", reason="the browser tests need playwright")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=find_chromium(), args=chromium_flags())
        tab = browser.new_page(viewport={"width": 900, "height": 700}, reduced_motion="reduce")
        tab.problems = []
        tab.on("console", lambda message: tab.problems.append(message.text))
        tab.on("pageerror", lambda error: tab.problems.append(str(error)))
        tab.on(
            "request", lambda request: tab.problems.append(request.url) if request.url[:4] == "http" else None
        )
        yield tab
        browser.close()


class TestInABrowser:
    pytestmark = needs_browser

    def test_step_back_scrub_and_play_move_through_the_run(self, page: Any, added: Story) -> None:
        page.set_content(Animation(added, "p1").html())
        assert page.text_content("#p1-caption") == "launch: 4 threads in 1 block"
        assert page.text_content("#p1-cell-0-2") == "?"
        page.click("#p1-next")
        assert page.get_attribute("#p1-thread-2", "data-tone") == "read"
        assert page.locator("#p1-wires line").count() == 4
        page.click("#p1-next")
        assert page.text_content("#p1-cell-0-2") == "22"
        assert page.is_disabled("#p1-next")
        page.click("#p1-back")
        assert page.text_content("#p1-cell-0-2") == "?"
        page.fill("#p1-scrub", "2")
        assert page.text_content("#p1-count") == "2 / 2"
        page.click("#p1-play")  # from the end, play starts over
        assert page.text_content("#p1-count") == "0 / 2"
        page.wait_for_function("document.querySelector('#p1-count').textContent === '1 / 2'", timeout=5000)
        page.click("#p1-play")
        assert page.text_content("#p1-play") == "Play"
        assert page.problems == []

    def test_a_fault_shows_the_element_that_is_not_there(self, page: Any, faulty: Story) -> None:
        page.set_content(Animation(faulty, "p1").html())
        assert not page.is_visible("#p1-cell-1-4")
        page.click("#p1-next")
        assert page.is_visible("#p1-cell-1-4")
        assert page.get_attribute("#p1-cell-1-4", "data-tone") == "fault"
        assert "out of bounds" in page.text_content("#p1-caption")

    def test_without_scripts_a_still_picture_remains(self, page: Any, added: Story) -> None:
        html = Animation(added, "p1").html()
        page.set_content(html[: html.index("<script>")])
        assert page.evaluate("document.querySelector('#p1 img').naturalWidth") > 100

    def test_arrow_keys_turn_the_deck_even_from_the_slider(self, page: Any, added: Story) -> None:
        page.set_content(Animation(added, "p1").html())
        page.evaluate("window.turned = []")
        page.evaluate("window.Reveal = {next: () => turned.push('next'), prev: () => turned.push('prev')}")
        page.focus("#p1-scrub")
        page.keyboard.press("ArrowRight")
        page.keyboard.press("ArrowLeft")
        assert page.evaluate("turned") == ["next", "prev"]
        assert page.text_content("#p1-count") == "0 / 2"

    def test_colours_follow_a_dark_page(self, page: Any, added: Story) -> None:
        ink = "getComputedStyle(document.querySelector('#p1-caption')).color"
        page.set_content(Animation(added, "p1").html())
        light = page.evaluate(ink)
        page.evaluate("document.body.setAttribute('data-jp-theme-light', 'false')")
        assert page.evaluate(ink) != light
