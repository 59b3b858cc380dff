"""Single letters outside all boxes, in pictures drawn here."""

from PIL import Image, ImageDraw

from processors.ocr.boxes import padded
from processors.ocr.ink import find_ink
from processors.ocr.lone_letters import find_lone_letters, is_letter
from processors.ocr.recognition import Recognized
from processors.ocr.text_lines import TextBox

SIZE = (600, 300)


def _find(*drawn: tuple[str, int, int, int]) -> list[tuple[int, int]]:
    """The places of the lone letters beside the line "Matrix product". drawn: text, left, top, size."""
    page = Image.new("RGB", SIZE, "white")
    draw = ImageDraw.Draw(page)
    draw.text((40, 40), "Matrix product", fill="black", font_size=40)
    for text, left, top, size in drawn:
        draw.text((left, top), text, fill="black", font_size=size)
    line = padded((40, 40, 330, 95), SIZE)
    return [(round(left, -1), round(top, -1)) for left, top, _, _ in find_lone_letters(find_ink(page), [line])]


def test_letters_apart_from_all_lines_are_found():
    assert _find(("Q", 100, 200, 40), ("V", 400, 200, 40)) == [(100, 210), (400, 210)]


def test_words_strokes_and_other_sizes_are_not_lone_letters():
    assert _find(("Sum", 100, 200, 40), ("I", 300, 200, 40), ("Q", 400, 150, 120), ("v", 560, 200, 12)) == []


def test_only_certain_letters_are_used():
    def read(text: str, confidence: float) -> Recognized:
        return Recognized(TextBox(text=text, confidence=confidence, corners=((0, 0), (9, 0), (9, 9), (0, 9))), 1, 0)

    assert [is_letter(read("Q", 0.99)), is_letter(read("Q", 0.9))] == [True, False]
    assert not any(is_letter(read(text, 0.99)) for text in ("O", "»", "QV"))
