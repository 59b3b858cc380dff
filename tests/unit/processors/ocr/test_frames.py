"""Frames and edges that OCR took for characters, in pictures and boxes made by hand."""

import pytest
from PIL import Image, ImageDraw

from processors.ocr.frames import is_frame, without_shapes
from processors.ocr.text_lines import TextBox
from processors.pages.page import PlacedWord


def box(text: str, left: float, top: float, right: float, bottom: float, confidence: float = 0.6) -> TextBox:
    corners = ((left, top), (right, top), (right, bottom), (left, bottom))
    return TextBox(text=text, confidence=confidence, corners=corners)


@pytest.fixture
def picture() -> Image.Image:
    """Two gray buttons side by side, and a digit below them."""
    image = Image.new("RGB", (400, 200), "white")
    draw = ImageDraw.Draw(image)
    draw.rectangle((20, 20, 180, 60), fill="#bbb")
    draw.rectangle((200, 20, 380, 60), fill="#bbb")
    draw.text((100, 120), "1", fill="black", font_size=40)
    return image


def test_edges_of_buttons_are_not_characters(picture: Image.Image):
    assert is_frame(box("11", 150, 10, 230, 80), (), picture)


def test_characters_are_not_frames(picture: Image.Image):
    assert not is_frame(box("1", 90, 110, 135, 175), (), picture)
    assert not is_frame(box("11", 150, 10, 230, 80, confidence=0.95), (), picture)
    assert not is_frame(box("Pay", 150, 10, 230, 80), (), picture)


def test_frame_around_a_word_is_not_a_character(picture: Image.Image):
    mark = PlacedWord(text="[ ]", left=110, top=130, right=120, bottom=150)
    assert is_frame(box("口", 90, 110, 135, 175, confidence=0.95), [mark], picture)
    assert not is_frame(box("口", 140, 110, 170, 175, confidence=0.95), [mark], picture)


@pytest.mark.parametrize(
    ("texts", "left"),
    [
        (["Scan this code", "口", " 口 ", "回"], ["Scan this code"]),
        (["出", "口", "口座番号"], ["出", "口", "口座番号"]),
        (["口"], []),
        (["0.8", "十", "个"], ["0.8"]),
    ],
)
def test_corners_of_a_qr_code_are_not_characters(texts: list[str], left: list[str]):
    boxes = [box(text, 0, 20 * number, 20, 20 * number + 15) for number, text in enumerate(texts)]
    assert [each.text for each in without_shapes(boxes)] == left
    word = PlacedWord(text="入口", left=0, top=0, right=20, bottom=20)
    assert without_shapes(boxes, [word]) == boxes
