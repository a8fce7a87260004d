"""The deck 01_foundations: its code runs, its outputs are what a run prints, its minutes add up."""

import importlib.util
import re
import sys
from pathlib import Path

import pytest

from workshop.gpu.record import Blank, record
from workshop.slides import read_deck, read_region
from workshop.slides.targets import printed_by
from workshop.viz import story_of
from workshop.viz.look import undrawable

ROOT = Path(__file__).parents[2]
CODE = "slides/code/foundations.py"
SLIDES = read_deck(ROOT / "slides" / "01_foundations.md")


@pytest.fixture(scope="module")
def code():
    """The deck's code as a module."""
    spec = importlib.util.spec_from_file_location("foundations_deck", ROOT / CODE)
    module = importlib.util.module_from_spec(spec)
    sys.modules["foundations_deck"] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules["foundations_deck"]


def test_deck_has_ten_slides_in_the_promised_order():
    titles = [re.search(r"^#+ (.*)", slide.text, re.MULTILINE)[1] for slide in SLIDES]
    words = [
        "first kernels",
        "CUDA",
        "chip",
        "Grid",
        "first kernel",
        "1: map",
        "3: guards",
        "4: map in two",
        "layout",
        "next",
    ]
    assert len(titles) == 10
    assert all(word in title for word, title in zip(words, titles, strict=True)), titles


def test_agenda_adds_up_to_the_minutes_in_the_notes():
    promised = sum(int(minutes) for minutes in re.findall(r"\| (\d+) \|$", SLIDES[0].text, re.MULTILINE))
    assert promised + SLIDES[0].minutes == sum(slide.minutes for slide in SLIDES)


def test_fonts_can_draw_the_deck():
    assert undrawable("".join(slide.text for slide in SLIDES)) == ""


def test_both_halves_of_the_comparison_add_10():
    assert printed_by(ROOT, f"{CODE}:beside_cuda") == "[10. 11. 12. 13.]\n"
    assert "add_10<<<1, 4>>>(output, a);" in read_region(ROOT, "slides/code/add_10.cu#host").source


def test_first_launch_prints_after_the_launch_sorted_by_block_and_thread():
    lines = printed_by(ROOT, f"{CODE}:first_launch").splitlines()
    assert lines == ["launched", *(f"block {b} thread {t}" for b in range(2) for t in range(4)), "done"]


def test_unguarded_kernel_stops_at_the_first_stray_thread():
    said = printed_by(ROOT, f"{CODE}:unguarded")
    assert "a[4] is out of bounds" in said
    assert "thread (4, 0, 0)" in said
    assert "output[i] = a[i] + 10" in said


@pytest.mark.parametrize(
    "name, shape, rest, block, idle",
    [
        ("add_10", (4,), (), (4, 1), 0),
        ("add_10_guarded", (4,), (4,), (8, 1), 4),
        ("add_10_2d", (2, 2), (2,), (3, 3), 5),
    ],
)
def test_puzzles_add_10_and_the_animation_plays_what_ran(code, name, shape, rest, block, idle):
    kernel = getattr(code, name)
    a = code._floats(4).reshape(shape) * 3
    recording = record(kernel, Blank(shape), a, *rest, grid_dim=1, block_dim=block)
    assert recording.fault is None
    assert (recording.arrays["output"] == a + 10).all()
    story = story_of(kernel, recording)
    assert [step.kind for step in story.steps] == ["read", "write"]
    assert all(len(step.touches) == len(story.threads) - idle for step in story.steps)


def test_layout_figure_shows_what_the_layouts_compute(code):
    numbers = [int(n) for n in re.findall(r">(\d+)</text>", code.layouts())]
    assert numbers[:4] == [0, 1, 2, 3]
    assert numbers[12:16] == [0, 3, 6, 9]
    assert numbers[24:28] == [0, 1, 6, 7]
    assert numbers[36:] == list(range(12))


def test_cuda_kernel_compiles():
    nvrtc = pytest.importorskip(
        "cuda.bindings.nvrtc", reason="compiling CUDA C++ needs cuda-bindings and NVRTC"
    )
    source = read_region(ROOT, "slides/code/add_10.cu#kernel").source
    _, program = nvrtc.nvrtcCreateProgram(source.encode(), b"add_10.cu", 0, [], [])
    assert nvrtc.nvrtcCompileProgram(program, 1, [b"--gpu-architecture=compute_80"])[0] == 0
