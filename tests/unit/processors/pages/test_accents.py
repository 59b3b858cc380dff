"""Accents that are drawn apart from their letters."""

from pathlib import Path

import pypdfium2
from pdf_files import one_page

from processors.pages.accents import attach_accents
from processors.pages.text_layer import place_characters, read_characters
from processors.pages.words import Char, find_words


def _words(content: bytes, folder: Path) -> list[str]:
    (folder / "x.pdf").write_bytes(one_page(b"BT /F1 12 Tf 60 740 Td %s ET\n" % content))
    pdf = pypdfium2.PdfDocument(folder / "x.pdf")
    try:
        text = pdf[0].get_textpage()
        chars = place_characters(pdf[0], text, read_characters(text))
        return [word.text for word in find_words(attach_accents(chars), 1.0)]
    finally:
        pdf.close()


def test_accent_before_its_letter_as_tex_draws_it_becomes_an_accented_letter(tmp_path: Path):
    drawn = (
        b"[(Caf)-111(\xb4)444(e de M)-111(\xa8)444(uller, )(gar)-83(\xb8)416(con, )"
        b"-167(\xb4)500(E)(t)-111(\xb4)444(e)] TJ"
    )
    assert _words(drawn, tmp_path) == ["Café", "de", "Müller,", "garçon,", "Été"]


def test_accent_that_is_drawn_after_its_line_becomes_an_accented_letter(tmp_path: Path):
    assert _words(b"(Cafe des Arts) Tj 20.01 0 Td (\xb4) Tj", tmp_path) == ["Café", "des", "Arts"]


def test_accents_beside_letters_stay(tmp_path: Path):
    assert _words(b"(don\xb4t 5\xb4 ~ 2^8 `x` a~b \xa8\xa8) Tj", tmp_path) == [
        "don´t",
        "5´",
        "~",
        "2^8",
        "`x`",
        "a~b",
        "¨¨",
    ]


def test_arabic_mark_apart_from_its_word_is_joined_to_its_letter():
    letters = [Char(c, 90 - 6 * n, 0, 96 - 6 * n, 10) for n, c in enumerate("مرحبا")]
    mark = Char("\u064b", 67, -3, 69, 9)
    (word,) = find_words(attach_accents([mark, None, *letters]), 1.0)
    assert word.text == "مرحبا\u064b"


def test_combining_characters_after_their_letters_stay():
    letters: list[Char | None] = [Char("e", 0, 0, 6, 10), Char("\u0301", 0, 0, 6, 10), Char("x", 6, 0, 12, 10)]
    assert attach_accents(letters) == letters
