"""Alphabets that the built-in model does not know: its output for them, recorded once."""

import pytest

from processors.ocr.coverage import find_foreign
from processors.ocr.recognition import Recognized
from processors.ocr.text_lines import TextBox

HEBREW = ["LAICL UXIO 4UA4I0 LUIC IUL", "UUA410 UCU QUUC QO ,LIA40", "LUIC L4LIU taIb 4AaIL LAX.", "op nuiun"]
DAMAGED = ["Thc rcnt is duc on thc flrst", "Keys f0r all d00rs, two of each", "HEAT1NG C0STS EXTRA", "zahlbar bls Mal"]


def _lines(texts: list[str], confidence: float) -> list[Recognized]:
    corners = (0.0, 0.0), (9.0, 0.0), (9.0, 1.0), (0.0, 1.0)
    return [Recognized(TextBox(text=text, confidence=confidence, corners=corners), 0, 0) for text in texts]


def test_hebrew_is_not_text_but_numbers_beside_it_are():
    numbers = _lines(["4200.00", "03/05/2024"], 0.99)
    hebrew = _lines(HEBREW, 0.78)
    assert find_foreign([*hebrew, *numbers]) == hebrew


@pytest.mark.parametrize(
    ("texts", "confidence"),
    [
        (DAMAGED, 0.7),
        (HEBREW, 0.97),
        (HEBREW[-1:], 0.78),
        (["AL4-0 LUIC"], 0.8),
        (["合計金額を振込期限までに"] * 4, 0.8),
    ],
    ids=["damaged", "certain", "short", "code", "Japanese"],
)
def test_latin_letters_that_are_hard_to_read_are_text(texts: list[str], confidence: float):
    assert find_foreign(_lines(texts, confidence)) == []


def test_a_few_such_lines_on_a_page_of_text_are_text():
    assert (
        find_foreign([*_lines(HEBREW, 0.78), *_lines(["The rent is due on the first of each month."] * 4, 0.98)]) == []
    )
