"""Stamps over text: both are separated by their color."""

import numpy as np
import pytest
from PIL import Image, ImageDraw

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
    ImageDraw.Draw(page).rectangle((405, 335, 755, 505), outline=color, width=5)
    found = separate(page)
    assert found is not None and found.place == pytest.approx((405, 335), abs=2)
    text, plain = np.asarray(found.text.convert("L")), np.asarray(_page().convert("L"))
    inside = np.s_[345:495, 415:745]
    assert np.array_equal(text[inside], plain[inside])
    assert text[337, 412] > 200 and np.asarray(found.stamps)[2, 5].max() < 60


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
