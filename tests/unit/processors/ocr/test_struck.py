"""Lines that strike out words of a scan, drawn by hand."""

import pytest
from PIL import Image, ImageDraw

from processors.ocr.ink import find_ink
from processors.ocr.struck import mark_struck
from processors.ocr.text_lines import TextBox

TEXT = "Rent 1250.00 EUR"  # 16 characters of 20 pixels


def _marked(line: tuple[int, int, int, int] | None, *, width: int = 3, left: int = 0) -> list[tuple[str, bool]]:
    """Text across a page, each of its characters a bar, with a line; a box for it, as OCR finds it."""
    page = Image.new("RGB", (320 + 2 * left, 120), "white")
    draw = ImageDraw.Draw(page)
    for number, character in enumerate(TEXT):
        if character != " ":
            draw.rectangle((left + 20 * number + 4, 46, left + 20 * number + 14, 74), outline="black", width=3)
    if line:
        draw.line(line, fill="black", width=width)
    corners = (left, 40), (left + 320, 40), (left + 320, 80), (left, 80)
    box = TextBox(text=TEXT, confidence=1.0, corners=corners)
    return [(each.text, each.is_struck) for each in mark_struck([box], find_ink(page))]


@pytest.mark.parametrize("left", [0, 60])  # 0: from one side of the page to the other
def test_words_that_a_line_crosses_are_struck_out(left: int):
    assert _marked((left + 98, 60, left + 240, 61), left=left) == [("Rent", False), ("1250.00", True), ("EUR", False)]
    assert _marked((left + 2, 58, left + 317, 62), left=left) == [(TEXT, True)]


def test_serifs_that_touch_strike_nothing_out():
    """The serifs of blurred bold type; as in a scan, they are paler than ink."""
    page = Image.new("L", (400, 120), 235)
    draw = ImageDraw.Draw(page)
    for number in range(16):
        draw.rectangle((20 * number + 46, 52, 20 * number + 54, 70), fill=30)
    draw.rectangle((40, 54, 370, 56), fill=150)
    draw.rectangle((40, 68, 370, 70), fill=100)
    box = TextBox(text="minimum numinuum", confidence=1.0, corners=((40, 40), (370, 40), (370, 80), (40, 80)))
    assert mark_struck([box], find_ink(page.convert("RGB"))) == [box]


@pytest.mark.parametrize(
    ("line", "width"),
    [(None, 0), ((60, 78, 380, 78), 3), ((0, 60, 439, 60), 3), ((60, 60, 380, 60), 14), ((160, 60, 190, 60), 3)],
    ids=["none", "below", "across the page", "thick", "shorter than a word"],
)
def test_other_lines_strike_nothing_out(line: tuple[int, int, int, int] | None, width: int):
    assert _marked(line, width=width, left=60) == [(TEXT, False)]
