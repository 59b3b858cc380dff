"""Stamps over text: both are separated by their color."""

import numpy as np
import pytest
from PIL import Image, ImageChops, ImageDraw

from processors.ocr.stamps import separate

_RED, _BLUE = (200, 30, 30), (30, 50, 170)


def _page() -> Image.Image:
    page = Image.new("RGB", (1000, 1000), "white")
    for top in range(100, 900, 60):
        for left in range(100, 900, 20):
            ImageDraw.Draw(page).rectangle((left, top, left + 9, top + 20), fill="black")
    return page


@pytest.mark.parametrize("color", [_RED, _BLUE])
def test_stamp_is_taken_from_the_text_that_it_covers(color: tuple[int, int, int]):
    page = _page()
    ImageDraw.Draw(page).ellipse((405, 335, 755, 505), outline=color, width=5)
    found = separate(page)
    assert found is not None and found.place == pytest.approx((405, 335), abs=2) and found.covers_text
    text, plain = np.asarray(found.text.convert("L")), np.asarray(_page().convert("L"))
    inside = np.s_[380:460, 480:680]
    assert np.array_equal(text[inside], plain[inside])
    assert text[337, 580] > 200 and found.stamps is not None
    assert np.asarray(found.stamps)[20:32, 290:306].min() < 60  # where the outline is neither level nor upright


@pytest.mark.parametrize("color", [(130, 200, 130), (160, 185, 235), (235, 140, 140), _BLUE])
@pytest.mark.parametrize("degrees", [0.0, 0.8])
def test_colored_grid_is_not_a_stamp(color: tuple[int, int, int], degrees: float):
    page = _page()
    grid = Image.new("RGBA", page.size)
    for top in range(88, 900, 30):  # some lines cross the text
        ImageDraw.Draw(grid).line((60, top, 940, top), fill=color, width=2)
    for left in (60, 300, 504, 940):
        ImageDraw.Draw(grid).line((left, 88, left, 890), fill=color, width=2)
    grid = grid.rotate(degrees, resample=Image.Resampling.BICUBIC)
    page = Image.composite(grid.convert("RGB"), page, ImageChops.multiply(grid.getchannel("A"), page.convert("L")))
    found = separate(page)
    assert found is not None and found.stamps is None and not found.covers_text
    text, plain = np.asarray(found.text.convert("L")).astype(int), np.asarray(_page().convert("L"))
    assert np.abs(text - plain).mean() < 3


def test_colored_labels_of_a_form_are_not_a_stamp():
    page = _page()
    draw = ImageDraw.Draw(page)
    for top in (88, 388, 688):
        draw.line((60, top, 940, top), fill=(110, 190, 110), width=2)
        draw.text((100, top + 34), "Surname", font_size=22, fill=(110, 190, 110))
    draw.line((104, 88, 104, 688), fill=(110, 190, 110), width=2)
    found = separate(page)
    assert found is not None and found.stamps is not None and not found.covers_text


def test_other_colors_stay():
    page = _page()
    draw = ImageDraw.Draw(page)
    draw.rectangle((0, 920, 1000, 990), fill=_BLUE)  # a band
    draw.text((400, 30), "A red heading", font_size=40, fill=_RED)
    draw.line((100, 895, 900, 895), fill=_RED, width=3)  # a ruling line
    assert separate(page) is None


def test_band_with_dark_text_is_no_stamp():
    page = Image.new("RGB", (1000, 1000), "white")
    draw = ImageDraw.Draw(page)
    draw.rectangle((0, 400, 1000, 520), fill=(240, 150, 0))
    draw.text((100, 430), "Total 482.19", font_size=50, fill="black")
    assert separate(page) is None


def test_gray_page_has_no_stamps():
    assert separate(_page().convert("L").convert("RGB")) is None
