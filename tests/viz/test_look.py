"""The look keeps its promises: contrast, and colours that colour-blind people can tell apart."""

from itertools import combinations

import numpy as np
import pytest

from workshop.viz.look import (
    DARK,
    LIGHT,
    MEANINGS,
    contrast,
    css_variables,
    font_faces,
    ink_on,
    lane_colour,
    undrawable,
)

THEMES = pytest.mark.parametrize("theme", [LIGHT, DARK], ids=lambda theme: theme.name)
# Machado, Oliveira, Fernandes 2009, severity 1.0, on linear RGB
BLINDNESS = {
    "none": np.eye(3),
    "protan": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deutan": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "tritan": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
}


def seen(colour: str, blindness: str) -> np.ndarray:
    """The colour in OKLab as someone with that blindness sees it."""
    srgb = np.array([int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)])
    linear = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    red, green, blue = np.clip(np.asarray(BLINDNESS[blindness]) @ linear, 0, 1)
    cone = np.cbrt(
        [
            0.4122214708 * red + 0.5363325363 * green + 0.0514459929 * blue,
            0.2119034982 * red + 0.6806995451 * green + 0.1073969566 * blue,
            0.0883024619 * red + 0.2817188376 * green + 0.6299787005 * blue,
        ]
    )
    to_lab = [
        [0.21045426, 0.79361779, -0.00407205],
        [1.9779985, -2.4285922, 0.4505937],
        [0.02590404, 0.78277177, -0.80867577],
    ]
    return np.asarray(to_lab) @ cone


@THEMES
def test_text_has_aa_contrast_on_page_and_panel(theme):
    for colour in (theme.ink, theme.quiet, theme.accent, theme.literal):
        assert contrast(colour, theme.surface) >= 4.5
        assert contrast(colour, theme.panel) >= 4.5
    assert contrast(theme.ink, theme.lane_first if theme is LIGHT else DARK.lane_first) >= 4.5


@THEMES
@pytest.mark.parametrize("meaning", MEANINGS)
def test_each_meaning_has_aa_contrast(theme, meaning):
    tone = theme.tone(meaning)
    assert contrast(tone.mark, theme.surface) >= 3.0
    assert contrast(tone.text, theme.surface) >= 4.5
    assert contrast(tone.text, tone.soft) >= 4.5
    assert contrast(theme.ink, tone.soft) >= 4.5
    assert contrast(tone.on, tone.mark) >= 4.5


@THEMES
@pytest.mark.parametrize("blindness", BLINDNESS)
def test_meanings_differ_for_every_eye(theme, blindness):
    """0.1 in OKLab is about five just noticeable steps; idle is told by its dashes and its pale fill."""
    marks = [theme.tone(meaning).mark for meaning in MEANINGS if meaning != "idle"]
    for first, second in combinations(marks, 2):
        assert np.linalg.norm(seen(first, blindness) - seen(second, blindness)) >= 0.1, (first, second)


@THEMES
def test_lanes_run_in_one_direction_and_carry_text(theme):
    ramp = [lane_colour(theme, lane) for lane in range(32)]
    light = [seen(colour, "none")[0] for colour in ramp]
    assert light == sorted(light, reverse=theme is LIGHT)
    assert all(contrast(ink_on(colour), colour) >= 4.5 for colour in ramp)


def test_unknown_meaning_is_refused():
    with pytest.raises(KeyError, match="no colour means 'loud'; the meanings are read, write"):
        LIGHT.tone("loud")


def test_both_themes_define_the_same_variables():
    names = [{part.split(":")[0] for part in css_variables(theme).split(";")} for theme in (LIGHT, DARK)]
    assert names[0] == names[1]


def test_fonts_are_embedded():
    assert "http" not in font_faces()
    assert font_faces().count("data:font/woff2;base64,d09GMg") == 5  # the woff2 signature


def test_undrawable_names_what_the_fonts_lack():
    assert undrawable("a → b 🙂 a") == "→🙂"
