"""The still picture: every access is in it, faults stand out, the same run gives the same bytes."""

import re
from collections.abc import Callable
from dataclasses import replace
from xml.etree import ElementTree

from workshop.viz import look
from workshop.viz.heat import heat_map
from workshop.viz.overview import what_runs_where
from workshop.viz.panel import source_beside_picture
from workshop.viz.scene import Box, Label, Wire, text_width
from workshop.viz.story import Step, Story, Touch
from workshop.viz.who import Picture


def wires(story: Story, colour: str) -> int:
    return sum(isinstance(s, Wire) and s.colour == colour for s in Picture(story, "p").scene().shapes)


def texts(story: Story) -> list[str]:
    return [shape.text for shape in Picture(story, "p").scene().shapes if isinstance(shape, Label)]


def test_picture_has_one_wire_for_each_access(added: Story) -> None:
    assert (wires(added, "read.mark"), wires(added, "write.mark")) == (4, 4)
    assert wires(replace(added, steps=added.steps[:1]), "write.mark") == 0


def test_picture_shows_the_values_after_the_run(added: Story) -> None:
    assert {"3", "-7", "12", "5", "13", "22", "15"} <= set(texts(added))


def test_an_access_outside_is_drawn_outside_in_the_colour_of_faults(faulty: Story) -> None:
    assert (wires(faulty, "fault.mark"), wires(faulty, "read.mark")) == (1, 0)
    assert "out" in texts(faulty)
    assert repr(Picture(faulty, "p")).splitlines()[-1] == "  a: 0 of 4 read, 1 outside"


def test_two_writers_of_one_element_are_counted(added: Story) -> None:
    clash = Step(13, "write", tuple(Touch((0, 0, 0), (i, 0, 0), 0, (0,), 1.0) for i in range(3)))
    assert "3 writers" in texts(replace(added, steps=(clash,)))


def test_a_2d_run_names_the_thread_in_each_element(grid: Story) -> None:
    assert {"t0,0", "t2,1"} <= set(texts(grid))
    assert "t3,3" not in texts(grid)  # that thread touched nothing


def test_many_elements_are_cut_and_the_picture_says_how_many(wide: Callable[[int], Story]) -> None:
    assert "64 more elements are not drawn" in texts(wide(320))
    assert "b7 t31" in texts(wide(320))


def test_svg_is_valid_has_fixed_ids_and_names_no_other_file(added: Story) -> None:
    first, second = (Picture(added, "p1").svg() for _ in range(2))
    assert first == second
    root = ElementTree.fromstring(first)
    ids = [node.get("id") for node in root.iter() if node.get("id")]
    assert ids[0] == "p1" and "p1-cell-0-3" in ids and len(ids) == len(set(ids))
    assert not re.search(r"(?:href|src|url\()", first)


def test_notebook_output_is_an_image_that_an_untrusted_notebook_shows(added: Story) -> None:
    html = Picture(added, "p1")._repr_html_()
    assert html.startswith("<img ") and "<script" not in html and 'alt="Which thread read and wrote' in html


def test_labels_keep_the_smallest_size_of_a_page(
    added: Story, grid: Story, wide: Callable[[int], Story]
) -> None:
    for story in (added, grid, wide(64)):
        sizes = [
            s.size for s in Picture(story, "p").scene().shapes if isinstance(s, Label) and len(s.text) < 4
        ]
        assert min(sizes) >= look.PAGE_LABEL_PX


def test_matplotlib_draws_the_same_shapes(added: Story) -> None:
    figure = Picture(added, "p").matplotlib()
    drawn = [text.get_text() for text in figure.axes[0].texts]  # type: ignore[attr-defined]
    assert drawn == texts(added)


def test_nothing_is_drawn_outside_the_picture(added: Story, faulty: Story, grid: Story) -> None:
    for story in (added, faulty, grid):
        scene = Picture(story, "p").scene()
        for shape in scene.shapes:
            if isinstance(shape, Label):
                continue
            ends = [(shape.x, shape.y)]
            ends.append(
                (shape.to_x, shape.to_y)
                if isinstance(shape, Wire)
                else (shape.x + shape.width, shape.y + shape.height)
            )
            assert all(0 <= x <= scene.width and 0 <= y <= scene.height for x, y in ends), shape


def test_heat_map_marks_what_differs_and_what_nobody_wrote() -> None:
    scene = heat_map([1.0, 2.0, float("nan")], [1.0, 5.0, 3.0])
    words = [shape.text for shape in scene.shapes if isinstance(shape, Label)]
    assert words[0] == "output: 2 of 3 elements differ, 1 of them never written (?)"
    assert "?" in words and "2" in words


def test_heat_map_of_many_elements_is_cut() -> None:
    words = [s.text for s in heat_map([0.0] * 600, [0.0] * 600).shapes if isinstance(s, Label)]
    assert words[-1] == "88 more elements are not drawn"


def test_overview_names_the_three_apis_and_fits_its_boxes() -> None:
    scene = what_runs_where()
    words = [shape for shape in scene.shapes if isinstance(shape, Label)]
    assert [w.text for w in words if w.code][2:] == ['api="checked"', 'api="cpu"', 'api="cuda"']
    boxes = [shape for shape in scene.shapes if isinstance(shape, Box)]
    for word in words:
        box = next(b for b in boxes if b.x <= word.x <= b.x + b.width and b.y <= word.y <= b.y + b.height)
        assert word.x + text_width(word.text, word.size, word.code) <= box.x + box.width, word.text


def test_source_beside_picture_marks_the_line_of_a_fault(faulty: Story) -> None:
    scene = source_beside_picture(faulty, "title")
    marked = [s.text for s in scene.shapes if isinstance(s, Label) and s.colour == "fault.text" and s.code]
    assert "    output[i] = a[i] + 10" in marked and "read of a[4] is out of bounds" in marked
