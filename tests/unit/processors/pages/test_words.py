"""Words from characters whose positions are made by hand."""

import pytest

from processors.pages.words import Char, find_words


def _chars(text: str, *, step: float = 6, size: float = 10) -> list[Char | None]:
    """Characters of equal width, the first at x = 0; with a negative step each stands left of the one before."""
    return [None if c == " " else Char(c, n * step, 0, n * step + abs(step), size) for n, c in enumerate(text)]


def _texts(chars: list[Char | None]) -> list[str]:
    return [word.text for word in find_words(chars, 1.0)]


def test_hebrew_word_is_complete_in_logical_and_in_visual_order():
    assert _texts(_chars("חוזה שכירות", step=-6)) == ["חוזה", "שכירות"]
    assert _texts(_chars("הזוח")) == ["חוזה"]


def test_number_in_a_hebrew_word_keeps_its_order():
    assert _texts(_chars("12-ב")) == ["ב-12"]


@pytest.mark.parametrize(
    ("drawn", "right"),  # from left to right
    [("(4)(ב)", "(ב)(4)"), ("(ב", "ב)"), ("ב)", "(ב"), ("(x)", "(x)"), ("ב(4)", "(4)ב")],
)
def test_brackets_of_hebrew_open_and_close(drawn: str, right: str):
    assert _texts(_chars(drawn)) == [right]


def test_arabic_shapes_and_ligatures_become_letters():
    assert _texts(_chars("\ufefb\ufeb3")) == ["سلا"]
    assert _texts(_chars("o\ufb03ce")) == ["office"]


def test_letters_of_a_ligature_that_is_wider_than_high_are_one_word():
    letters = [Char("E", 0, 0, 13, 15), *(Char(c, 13, 0, 29, 15) for c in "ffi"), Char("c", 29, 0, 37, 15)]
    assert _texts([*letters]) == ["Effic"]


def test_soft_hyphen_is_removed_only_within_a_word():
    assert _texts(_chars("exam\u00adple manage\u00ad")) == ["example", "manage-"]
    assert _texts(_chars("SS\u00ad2541\u00ad03\u00adM \u00ad5 Anti\u00adÖl")) == ["SS-2541-03-M", "-5", "Anti-Öl"]


def test_rotated_characters_are_one_word():
    up = [Char(c, 0, 100 - 6 * n, 12, 106 - 6 * n, 270.0) for n, c in enumerate("Contract")]
    (word,) = find_words(up, 2.0)
    assert (word.text, word.angle, word.left, word.right, word.bottom) == ("Contract", 270.0, 0, 24, 212)


def test_ideographs_that_run_down_are_one_word():
    down = [Char(c, 0, 12 * n, 12, 12 + 12 * n) for n, c in enumerate("賃料は月額")]
    assert [word.text for word in find_words(down, 1.0)] == ["賃料は月額"]


def test_characters_too_small_to_have_a_size_are_left_out():
    assert _texts([*_chars("rent"), None, Char("x", 30, 5, 30, 5)]) == ["rent"]


def test_word_that_is_drawn_twice_in_one_place_is_one_word():
    again = [Char(c.text, c.left + 1, c.top + 1, c.right + 1, c.bottom + 1) for c in _chars("rent") if c]
    assert _texts([*_chars("rent is"), None, *again]) == ["rent", "is"]
    assert _texts([*_chars("aa a"), None, *_chars("aa aa aa")[3:]]) == ["aa", "a", "aa", "aa"]
