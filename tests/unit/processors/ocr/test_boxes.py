"""Boxes of the detection: which are doubles of others, and where a box has two texts."""

import math

import numpy as np
import pytest
from PIL import Image, ImageDraw

from processors.ocr.boxes import Quad, bounds_of, extended, separate, tightened
from processors.ocr.ink import Ink, find_ink, find_light_glyphs

BLANK = find_ink(Image.new("RGB", (1200, 1200), "white"))


def _quad(left: float, top: float, right: float, bottom: float, slope: float = 0.0) -> Quad:
    cosine, sine = math.cos(slope), math.sin(slope)
    corners = ((left, top), (right, top), (right, bottom), (left, bottom))
    return [(x * cosine - y * sine, x * sine + y * cosine) for x, y in corners]


def test_box_within_another_is_a_double():
    assert separate([_quad(100, 100, 600, 140), _quad(110, 102, 300, 138)], BLANK) == [_quad(100, 100, 600, 140)]


def test_lines_are_preferred_to_a_box_around_several():
    lines = [_quad(100, 100, 600, 140), _quad(100, 160, 600, 200)]
    assert sorted(separate([_quad(95, 95, 605, 205), *lines], BLANK)) == sorted(lines)


@pytest.mark.parametrize("degrees", [-8, 5, 8])
def test_short_lines_of_a_skewed_page_are_no_doubles_of_long_ones(degrees: int):
    slope = math.radians(degrees)
    lines = [_quad(200, 300 + 60 * number, 900 - 250 * (number % 2), 340 + 60 * number, slope) for number in range(8)]
    assert len(separate(lines, BLANK)) == len(lines)


def test_box_with_light_text_is_split_only_where_its_ground_is_free():
    page = Image.new("RGB", (1200, 600), "white")
    draw = ImageDraw.Draw(page)
    draw.rectangle((0, 200, 1200, 320), fill=(20, 60, 140))
    strokes = [*range(100, 500, 20), *range(700, 1000, 20)]
    for left in strokes:
        draw.rectangle((left, 240, left + 11, 280), fill="white")
    parts = separate([_quad(95, 235, 1000, 285)], find_ink(page))
    assert [round(bounds_of(part)[0]) for part in parts] == [95, pytest.approx(595, abs=8)]


def test_dark_text_is_not_taken_for_light_text():
    page = Image.new("RGB", (400, 200), (200, 200, 210))
    ImageDraw.Draw(page).rectangle((100, 90, 130, 120), fill="black")
    assert find_light_glyphs(find_ink(page), (90.0, 80.0, 300.0, 130.0)) is None


def _line_of(glyphs: list[tuple[float, float]]) -> Ink:
    """Ink with one line of glyphs from y = 100 to 120, each from left to right."""
    strokes = np.array([[left, 100, right, 120] for left, right in glyphs], float)
    blank = np.full((300, 600), 255, np.uint8)
    return Ink(strokes, strokes, blank < 128, blank, 1.0)


def test_box_that_cuts_off_a_full_stop_is_extended_but_not_to_the_next_column():
    found = _line_of([(100, 112), (115, 127), (129, 132), (160, 172)])
    box = extended([(98, 95), (128, 95), (128, 125), (98, 125)], found)
    assert [box[0][0], box[1][0]] == pytest.approx([94.6, 137.4])  # 0.18 of the height beyond the letters


def test_white_at_the_ends_of_a_box_is_removed():
    found = _line_of([(100, 112), (115, 127)])
    box = tightened([(80, 95), (150, 95), (150, 125), (80, 125)], found)
    assert [box[0][0], box[1][0]] == [100, 127]
