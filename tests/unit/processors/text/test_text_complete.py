"""The recipe `text`: no word of a document is lost, joined to the next or decoded wrongly without a report."""

from pathlib import Path

import pytest
from document_files import docx, opendocument, word_part
from text_harness import read

from processors.text.completeness import Text
from processors.text.preparation import prepare

pytestmark = pytest.mark.slow
pytest.importorskip("kreuzberg", reason="the extra `documents` is not installed")

_BOX = (
    "<w:p><w:r><w:t>before</w:t></w:r><w:r><w:pict><v:textbox xmlns:v='urn:schemas-microsoft-com:vml'><w:txbxContent>"
    "<w:p><w:r><w:t>boxed</w:t></w:r></w:p></w:txbxContent></v:textbox></w:pict></w:r>"
    "<w:r><w:t> after</w:t></w:r></w:p>"
)
_ROW = "<table:table><table:table-row>{}</table:table-row></table:table>"
_CELL = '<table:table-cell office:value-type="string">{}</table:table-cell>'
_NAMED = '<table:table table:name="S">'
_MAIL = "From: a@example.org\nSubject: x\nMIME-Version: 1.0\nContent-Type: text/plain; charset={}\n\n"


def _word(text: str) -> str:
    return f"<w:p><w:r><w:t>{text}</w:t></w:r></w:p>"


def test_spaces_and_tabs_of_opendocument_separate_words(tmp_path: Path):
    inner = '<text:p>Sum<text:s/>total<text:s text:c="3"/><text:span>is</text:span><text:tab/>12</text:p>'
    found = read(tmp_path, "a.odt", opendocument(inner))
    assert found.text.split() == ["Sum", "total", "is", "12"] and found.review == ""


def test_cells_of_opendocument_are_complete(tmp_path: Path):
    cells = (
        "<text:p><text:span>Rent</text:span> for<text:s/>March</text:p>",
        "<text:p>cold</text:p><text:p>warm<text:line-break/>tax</text:p>",
    )
    found = read(tmp_path, "a.odt", opendocument(_ROW.format("".join(map(_CELL.format, cells)))))
    assert "| Rent for March | cold warm tax |" in found.text and found.review == ""


def test_comment_of_opendocument_is_reported(tmp_path: Path):
    inner = "<text:p>Body<office:annotation><text:p>Too dear</text:p></office:annotation></text:p>"
    assert "missing or incomplete in the text: Too dear." in read(tmp_path, "a.odt", opendocument(inner)).review


def test_paragraph_around_a_text_box_is_read(tmp_path: Path):
    found = read(tmp_path, "a.docx", docx(_BOX + _word("next")))
    assert found.text.split() == ["before", "after", "boxed", "next"] and found.review == ""


def test_tab_hyphen_and_check_box_of_word_are_read(tmp_path: Path):
    run = (
        "<w:t>Rent</w:t><w:tab/><w:t>mid</w:t><w:noBreakHyphen/><w:t>May </w:t>"
        '<w:sym w:font="Wingdings" w:char="F0FE"/>'
    )
    found = read(tmp_path, "a.docx", docx(f"<w:p><w:r>{run}</w:r></w:p>"))
    assert found.text.split() == ["Rent", "mid-May", "☒"] and found.review == ""


def test_header_footer_and_notes_of_word_are_read(tmp_path: Path):
    more = {
        "word/header1.xml": word_part("hdr", _word("Letter head")),
        "word/footer1.xml": word_part("ftr", _word("Bank details")),
        "word/footnotes.xml": word_part("footnotes", f'<w:footnote w:id="2">{_word("Without tax")}</w:footnote>'),
    }
    text = read(tmp_path, "a.docx", docx("Body", more=more)).text
    for words in ("Body", "**Header:** Letter head", "**Footer:** Bank details", "Without tax"):
        assert text.count(words) == 1


@pytest.mark.parametrize("mark", ["<w:vanish/>", "<w:vanish />", '<w:vanish w:val="on"/>'])
def test_hidden_text_of_word_is_reported(tmp_path: Path, mark: str):
    body = f"<w:p><w:r><w:rPr>{mark}</w:rPr><w:t>hidden</w:t></w:r></w:p>"
    assert "hidden text" in read(tmp_path, "a.docx", docx(body)).review


def test_mail_that_claims_ascii_is_read_as_utf8(tmp_path: Path):
    found = read(tmp_path, "a.eml", (_MAIL.format("us-ascii") + "Größe: 5 €").encode())
    assert "Größe: 5 €" in found.text and found.review == ""


def test_guessed_encoding_of_a_mail_is_reported(tmp_path: Path):
    content = (_MAIL.format("x-unknown") + "Größe für die Überweisung").encode("cp1252")
    assert "inboxd assumed" in read(tmp_path, "a.eml", content).review


def test_text_of_links_and_notes_counts_as_present():
    text = Text("See [the list](https://example.org/list) and[^1] the rest")
    assert text.has("See the list and the rest") and not text.has("See the appendix")


def test_pictures_stay_where_they_are():
    drawing = b"<w:p><w:r><w:drawing><a:blip/></w:drawing></w:r></w:p>"
    assert prepare(drawing) == drawing


@pytest.mark.parametrize(
    ("state", "mark"), [("<w:checked/>", "☒"), ('<w:checked w:val="0"/>', "☐"), ("<w:default/>", "☒")]
)
def test_check_box_of_an_old_form_is_read(tmp_path: Path, state: str, mark: str):
    start = f'<w:fldChar w:fldCharType="begin"><w:ffData><w:checkBox>{state}</w:checkBox></w:ffData></w:fldChar>'
    runs = f'<w:r>{start}</w:r><w:r><w:fldChar w:fldCharType="end"/></w:r><w:r><w:t> I smoke</w:t></w:r>'
    assert read(tmp_path, "a.docx", docx(f"<w:p>{runs}</w:p>")).text.split() == [mark, "I", "smoke"]


def test_file_within_a_word_document_is_reported(tmp_path: Path):
    assert "another file within it" in read(tmp_path, "a.docx", docx('<w:altChunk r:id="rId9"/>')).review


def test_cells_of_opendocument_are_read_as_they_are_shown(tmp_path: Path):
    cell = '<table:table-cell office:value-type="{}" office:{}="{}"><text:p>{}</text:p></table:table-cell>'
    values = (("percentage", "value", "0.125", "12.5 %"), ("date", "date-value", "2024-03-05", "5. März"))
    content = _ROW.format("".join(cell.format(*each) for each in values)).replace("<table:table>", _NAMED)
    found = read(tmp_path, "a.ods", opendocument(content, kind="spreadsheet"))
    assert "| 12.5 % | 5. März |" in found.text and found.review == ""


def test_hidden_parts_of_opendocument_are_reported(tmp_path: Path):
    row = f'<table:table-row table:visibility="collapse">{_CELL.format("<text:p>x</text:p>")}</table:table-row>'
    found = read(tmp_path, "a.ods", opendocument(f"<table:table>{row}</table:table>", kind="spreadsheet"))
    assert "hidden text, sheets, rows or columns" in found.review
