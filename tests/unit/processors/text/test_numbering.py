"""The numbers of paragraphs in Word files: right values are those that Word displays."""

import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
from document_files import docx, word_part
from text_harness import read

from processors.text.numbering import Numbering

_W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_ONE_LIST = '<w:num w:numId="7"><w:abstractNumId w:val="3"/></w:num>'


def _level(number: int, form: str, text: str, more: str = "", start: int = 1) -> str:
    return (
        f'<w:lvl w:ilvl="{number}"><w:start w:val="{start}"/><w:numFmt w:val="{form}"/>{more}'
        f'<w:lvlText w:val="{text}"/></w:lvl>'
    )


def _numbering(levels: str, lists: str = _ONE_LIST) -> str:
    return word_part("numbering", f'<w:abstractNum w:abstractNumId="3">{levels}</w:abstractNum>{lists}')


CLAUSES = _numbering(_level(0, "decimal", "%1.") + _level(1, "decimal", "%1.%2") + _level(2, "lowerLetter", "(%3)"))


def _paragraph(level: int | None = 0, *, style: str = "", list_id: int = 7, text: str = "text") -> str:
    named = f'<w:pStyle w:val="{style}"/>' if style else ""
    place = f'<w:numPr><w:ilvl w:val="{level}"/><w:numId w:val="{list_id}"/></w:numPr>' if level is not None else ""
    return f"<w:p><w:pPr>{named}{place}</w:pPr><w:r><w:t>{text}</w:t></w:r></w:p>"


def _numbers(paragraphs: list[str], numbering: str = CLAUSES, styles: str = "") -> list[str]:
    """What is written before the text of each paragraph."""
    body = word_part("document", f"<w:body>{''.join(paragraphs)}</w:body>").encode()
    written = ElementTree.fromstring(Numbering(numbering.encode(), styles.encode()).write(body))
    texts = ("".join(each.text or "" for each in paragraph.iter(f"{_W}t")) for paragraph in written.iter(f"{_W}p"))
    return [text.removesuffix("text").strip() for text in texts]


def test_clauses_are_numbered_and_continue_after_other_text():
    levels = [0, 1, 1, 2, 2, None, 1, 0, 1, 2]
    right = ["1.", "1.1", "1.2", "(a)", "(b)", "", "1.3", "2.", "2.1", "(a)"]
    assert _numbers([_paragraph(level) for level in levels]) == right


def test_level_without_the_one_above_counts_from_its_start():
    assert _numbers([_paragraph(1), _paragraph(1)]) == ["1.1", "1.2"]


def test_lists_of_one_definition_continue_each_other_unless_they_start_again():
    again = '<w:lvlOverride w:ilvl="0"><w:startOverride w:val="1"/></w:lvlOverride>'
    lists = "".join(
        f'<w:num w:numId="{number}"><w:abstractNumId w:val="3"/>{more}</w:num>'
        for number, more in ((7, ""), (8, ""), (9, again))
    )
    numbering = _numbering(_level(0, "decimal", "%1)"), lists)
    paragraphs = [_paragraph(list_id=number) for number in (7, 7, 8, 9, 9)]
    assert _numbers(paragraphs, numbering) == ["1)", "2)", "3)", "1)", "2)"]


@pytest.mark.parametrize(
    ("form", "start", "right"),
    [
        ("decimal", 9, "§ 9"),
        ("decimalZero", 7, "§ 07"),
        ("lowerLetter", 28, "§ bb"),
        ("upperLetter", 3, "§ C"),
        ("lowerRoman", 49, "§ xlix"),
        ("upperRoman", 2024, "§ MMXXIV"),
        ("bullet", 1, ""),
    ],
)
def test_numbers_have_their_format(form: str, start: int, right: str):
    assert _numbers([_paragraph()], _numbering(_level(0, form, "§ %1", start=start))) == [right]


def test_style_numbers_its_headings():
    linked = _level(0, "decimal", "%1", '<w:pStyle w:val="H1"/>') + _level(
        1, "decimal", "%1.%2", '<w:pStyle w:val="H2"/>'
    )
    number = '<w:pPr><w:numPr><w:numId w:val="7"/></w:numPr></w:pPr>'
    styles = "".join(
        f'<w:style w:type="paragraph" w:styleId="{name}"><w:basedOn w:val="{based}"/>{number if own else ""}</w:style>'
        for name, based, own in (("H1", "Normal", True), ("H2", "Normal", True), ("Own", "H1", False))
    )
    paragraphs = [_paragraph(None, style=style) for style in ("H1", "H2", "H2", "Own", "Normal")]
    assert _numbers(paragraphs, _numbering(linked), word_part("styles", styles)) == ["1", "1.1", "1.2", "2", ""]


def test_number_zero_of_a_list_means_none():
    assert _numbers([_paragraph(list_id=0), _paragraph()]) == ["", "1."]


@pytest.mark.slow
def test_numbers_of_a_word_document_are_those_that_word_shows(tmp_path: Path):
    pytest.importorskip("kreuzberg", reason="the extra `documents` is not installed")
    body = "".join(_paragraph(level, text=f"Clause {number}") for number, level in enumerate([0, 1, None, 1, 0]))
    found = read(tmp_path, "contract.docx", docx(body, more={"word/numbering.xml": CLAUSES}))
    assert [line for line in found.text.splitlines() if line] == [
        *("1. Clause 0", "1.1 Clause 1", "Clause 2", "1.2 Clause 3", "2. Clause 4")
    ]
    assert found.review == ""
