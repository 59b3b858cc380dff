"""The recipe `text` on valid documents: what a reader of the document sees is in the text, or the review reports it."""

import datetime
import io
import zipfile
from email.message import EmailMessage
from pathlib import Path

import openpyxl
import pytest
from document_files import docx, epub, opendocument, pptx, word_part
from openpyxl.chart import BarChart, Reference
from pdf_files import LINES, one_page, show
from PIL import Image, ImageDraw, ImageFont
from text_harness import read

pytestmark = pytest.mark.slow
pytest.importorskip("kreuzberg", reason="the extra `documents` is not installed")

GERMAN = "Größe, Maß und Straße: Über 5 Länder hinweg gilt für alle die gleiche Länge, natürlich auch für Österreich."
JAPANESE = "これは日本語のテキストです。請求書を確認してください。よろしくお願いします。"


@pytest.mark.parametrize(
    ("content", "is_guess"),
    [
        (GERMAN.encode(), False),
        (GERMAN.encode("utf-8-sig"), False),
        (GERMAN.encode("utf-16"), False),
        (GERMAN.encode("utf-16-le"), False),
        (GERMAN.encode("utf-32"), False),
        (GERMAN.encode("cp1252"), True),
        (GERMAN.encode("cp850"), True),
        (GERMAN.encode("mac_roman"), True),
    ],
)
def test_text_of_any_encoding_becomes_utf8(tmp_path: Path, content: bytes, is_guess: bool):
    found = read(tmp_path, "letter.txt", content)
    assert found.text == GERMAN and found.finished.files == ("letter.txt",)
    assert ("inboxd guessed" in found.review) is is_guess


@pytest.mark.parametrize("encoding", ["shift_jis", "euc_jp", "iso2022_jp", "utf-16"])
def test_japanese_encodings_are_found(tmp_path: Path, encoding: str):
    assert read(tmp_path, "letter.txt", JAPANESE.encode(encoding)).text == JAPANESE


def test_csv_and_markdown_stay_as_they_are(tmp_path: Path):
    assert read(tmp_path, "table.csv", b'a;b\r\n"x;y";2,5\r\n').text == 'a;b\n"x;y";2,5\n'
    (tmp_path / "second").mkdir()
    assert read(tmp_path / "second", "notes.md", b"# Head\n").finished.files == ("notes.md",)


def test_web_page_has_no_scripts_and_no_hidden_text(tmp_path: Path):
    page = """<html><head><title>T</title><style>p{}</style></head><body><h1>Head</h1><p>Größe</p>
        <p style="display:none">HIDDEN1</p><p hidden>HIDDEN2</p><script>HIDDEN3</script><!-- HIDDEN4 -->
        <table><tr><th>a<th>b<tr><td>1<td>2</table></body></html>"""
    for number, encoding in enumerate(("utf-8", "utf-16")):
        (tmp_path / str(number)).mkdir()
        found = read(tmp_path / str(number), "page.html", page.encode(encoding))
        assert "# Head" in found.text and "Größe" in found.text and "| 1 | 2 |" in found.text
        assert "HIDDEN" not in found.text and found.finished.files == ("page.md",)


def test_web_page_declares_its_encoding(tmp_path: Path):
    page = '<html><head><meta charset="shift_jis"></head><body>日本</body></html>'.encode("shift_jis")
    assert "日本" in read(tmp_path, "page.html", page).text


def test_word_document_becomes_markdown(tmp_path: Path):
    body = (
        '<w:p><w:pPr><w:pStyle w:val="Heading1"/></w:pPr><w:r><w:t>Überschrift</w:t></w:r></w:p>'
        "<w:p><w:r><w:t>Hello</w:t></w:r></w:p>"
        "<w:tbl><w:tr><w:tc><w:p><w:r><w:t>A1</w:t></w:r></w:p></w:tc><w:tc><w:p><w:r><w:t>B1</w:t></w:r></w:p></w:tc>"
        "</w:tr></w:tbl>"
    )
    found = read(tmp_path, "letter.docx", docx(body))
    assert "Überschrift" in found.text and "Hello" in found.text and "| A1 | B1 |" in found.text
    assert found.review == ""


def test_content_of_a_word_document_beside_its_text_is_reported(tmp_path: Path):
    body = '<w:p><w:r><w:rPr><w:vanish/></w:rPr><w:t>hidden</w:t></w:r><w:del w:id="1"><w:r/></w:del></w:p>'
    more = {
        "word/media/image1.png": b"\x89PNG",
        "word/vbaProject.bin": b"\0",
        "word/embeddings/sheet.xlsx": b"\0",
        "word/comments.xml": word_part("comments", ""),
    }
    review = read(tmp_path, "letter.docx", docx(body, more=more)).review
    for words in ("1 picture", "macros", "1 embedded file", "comments", "hidden text", "tracked changes"):
        assert words in review


def test_slides_in_another_order_and_hidden_ones_are_reported(tmp_path: Path):
    slides = {"slide1.xml": "One", "slide2.xml": "Two"}
    found = read(tmp_path, "talk.pptx", pptx(slides, order=("slide2.xml", "slide1.xml"), hidden=("slide1.xml",)))
    assert "One" in found.text and "Two" in found.text
    assert "another order than the text: 2, 1" in found.review and "1 hidden slide" in found.review


def test_opendocument_epub_and_rtf_are_read(tmp_path: Path):
    cases = {
        "a.odt": opendocument("Absatz"),
        "b.epub": epub({"b.xhtml": "<p>Absatz</p>"}),
        "c.rtf": rb"{\rtf1\ansi\ansicpg1252 Absatz Gr\'f6\'dfe}",
    }
    for name, content in cases.items():
        (tmp_path / name).mkdir()
        found = read(tmp_path / name, name, content)
        assert "Absatz" in found.text and found.finished.files == (f"{name[0]}.md",)


def test_slides_of_opendocument_are_read(tmp_path: Path):
    inner = (
        '<draw:page xmlns:draw="urn:oasis:names:tc:opendocument:xmlns:drawing:1.0"><draw:frame><text:p>Ti<text:span>tle'
        "</text:span></text:p><text:list><text:list-item><text:p>One<text:s/>point</text:p></text:list-item></text:list>"
        "</draw:frame><draw:custom-shape><text:p>Shape</text:p></draw:custom-shape><draw:notes><text:p>Say hello"
        "</text:p></draw:notes></draw:page>"
    )
    found = read(tmp_path, "talk.odp", opendocument(inner, kind="presentation"))
    assert found.text.split("\n\n")[:5] == ["## Slide 1", "Title", "- One point", "Shape", "**Notes:** Say hello"]
    assert found.review == ""


def _workbook(*, hidden: bool = True) -> bytes:
    book, content = openpyxl.Workbook(), io.BytesIO()
    sheet = book.active
    sheet.append(["Datum", "Betrag"])
    sheet.append(["1|2", 1234.5])
    sheet["D900000"] = "far"
    if hidden:
        book.create_sheet("Secret")["A1"] = "hidden"
        book["Secret"].sheet_state = "veryHidden"
        sheet["B4"] = "=1+1"
    book.save(content)
    return content.getvalue()


def test_workbook_is_read_and_hidden_sheets_and_uncomputed_formulas_are_reported(tmp_path: Path):
    found = read(tmp_path, "book.xlsx", _workbook())
    assert "| Datum | Betrag |\n| --- | --- |\n| 1\\|2 | 1234.5 |\n" in found.text and "far" in found.text
    assert "## Secret (hidden sheet)" in found.text
    assert (
        "Hidden sheets are included: Secret." in found.review and "Formulas without a saved value (1)" in found.review
    )


def _mail() -> EmailMessage:
    mail = EmailMessage()
    mail["Subject"], mail["From"], mail["To"] = "Rechnung für März", "Jürgen Müller <j@example.org>", "a@example.org"
    mail.set_content("Guten Tag, Grüße")
    mail.add_alternative("<p>Guten <b>Tag</b></p>", subtype="html")
    mail.add_attachment(b"%PDF-1.4", maintype="application", subtype="pdf", filename="Rechnung März.pdf")
    return mail


def test_mail_has_decoded_headers_its_text_once_and_attachments_as_files(tmp_path: Path):
    mail = _mail()
    inner = EmailMessage()
    inner["Subject"] = "Inner"
    inner.set_content("inner text")
    inner.add_attachment(b"\0data", maintype="application", subtype="octet-stream", filename="Rechnung März.pdf")
    mail.add_attachment(inner)
    found = read(tmp_path, "mail.eml", mail.as_bytes())
    assert "**Subject:** Rechnung für März\n**From:** Jürgen Müller" in found.text
    assert found.text.count("Guten Tag") == 1 and "inner text" in found.text
    assert (found.outputs / "attachments" / "Rechnung März.pdf").read_bytes() == b"%PDF-1.4"
    assert (found.outputs / "attachments" / "Rechnung März (2).pdf").read_bytes() == b"\0data"
    assert "The attachment Rechnung März.pdf was not read: This PDF is damaged or cut off." in found.review
    assert "Attachments were not read: Rechnung März (2).pdf." in found.review


def test_attachments_of_a_message_are_read(tmp_path: Path):
    mail = _mail()
    lines = "".join(show(line, 60, 740 - 20 * number) for number, line in enumerate(LINES))
    pdf, sheet, pixel = one_page(lines), _workbook(hidden=False), io.BytesIO()
    Image.new("RGB", (1, 1)).save(pixel, "PNG")
    for name, content in {
        "lease.pdf": pdf,
        "rent.xlsx": sheet,
        "pixel.png": pixel.getvalue(),
        "x.zip": b"PK\3\4",
    }.items():
        mail.add_attachment(content, maintype="application", subtype="octet-stream", filename=name)
    mail.add_attachment("Call me", filename="note.txt")
    found = read(tmp_path, "mail.eml", mail.as_bytes())
    assert "## Attachment: lease.pdf\n\nRental agreement between" in found.text
    assert "## Attachment: note.txt\n\nCall me" in found.text and "| Datum | Betrag |" in found.text
    assert "Attachments were not read: x.zip." in found.review and "pixel.png" not in found.review
    assert (found.outputs / "attachments/lease.pdf").read_bytes() == pdf


def test_pictures_in_the_page_of_a_message_are_read_beside_its_plain_text(tmp_path: Path):
    picture, drawn = io.BytesIO(), Image.new("RGB", (700, 120), "white")
    ImageDraw.Draw(drawn).text((20, 40), "Error 4711 at the printer", font=ImageFont.load_default(36), fill="black")
    drawn.save(picture, "PNG")
    mail = EmailMessage()
    mail["Subject"] = "Screenshot"
    mail.set_content("Please look at this error.")
    mail.add_alternative('<p>Please look at this error.</p><img src="cid:shot">', subtype="html")
    page = mail.get_payload()[1]
    page.add_related(picture.getvalue(), "image", "png", cid="<shot>", filename="shot.png", disposition="inline")
    found = read(tmp_path, "letter.eml", mail.as_bytes())
    assert found.text.count("Please look at this error.") == 1 and found.review == ""
    assert "Error 4711 at the printer" in found.text and "attachments/shot.png" in found.finished.files


def test_saved_web_page_has_no_style_sheets(tmp_path: Path):
    parts = [
        "Content-Type: text/html\nContent-Location: https://example.org/\n\n<h1>Head</h1><p>Price 12.50</p>",
        "Content-Type: text/css\nContent-Location: https://example.org/a.css\n\np { color: red }",
    ]
    body = "".join(f"--B\n{part}\n" for part in parts)
    page = f'From: <Saved by Blink>\nMIME-Version: 1.0\nContent-Type: multipart/related; boundary="B"\n\n{body}--B--\n'
    found = read(tmp_path, "page.mht", page.encode())
    assert "# Head" in found.text and "12.50" in found.text and "color" not in found.text


def test_attachments_remain_in_the_mail_if_the_recipe_requires_it(tmp_path: Path):
    found = read(tmp_path, "mail.eml", _mail().as_bytes(), attachments=False)
    assert found.finished.files == ("mail.md",) and "They are only in the message" in found.review


def test_html_of_a_mail_is_read_if_there_is_no_other_text(tmp_path: Path):
    mail = EmailMessage()
    mail["Subject"], mail["From"] = "x", "a@example.org"
    mail.set_content("<p>Größe</p><script>HIDDEN</script>", subtype="html", charset="cp1252")
    found = read(tmp_path, "mail.eml", mail.as_bytes())
    assert "Größe" in found.text and "HIDDEN" not in found.text


def test_cells_are_read_as_the_workbook_shows_them(tmp_path: Path):
    book, content = openpyxl.Workbook(), io.BytesIO()
    sheet = book.active
    sheet.append([0.125, 1234.5, datetime.date(2024, 3, 5), datetime.timedelta(hours=30), 42])
    formats = ("0.0%", '#,##0.00 "€"', "dd.mm.yyyy", "[h]:mm", ";;;")
    for cell, number_format in zip(sheet[1], formats, strict=True):
        cell.number_format = number_format
    book.save(content)
    found = read(tmp_path, "book.xlsx", content.getvalue())
    assert "| 12.5% | 1,234.50 € | 05.03.2024 | 30:00 |" in found.text
    assert "hide values, which were left out: 1." in found.review


def test_headers_and_footers_of_sheets_are_read(tmp_path: Path):
    book, content = openpyxl.Workbook(), io.BytesIO()
    for sheet in (book.active, book.create_sheet()):
        sheet["A1"] = "Rent"
        sheet.oddHeader.center.text = "Larkfield & Sons"
        sheet.oddFooter.left.text = "Page &P of &N, draft 3"
    book.save(content)
    found = read(tmp_path, "rent.xlsx", content.getvalue())
    assert found.text.count("**Header:** Larkfield & Sons") == 1
    assert found.text.count("**Footer:** Page of , draft 3") == 1


def test_hidden_rows_and_columns_are_reported(tmp_path: Path):
    book, content = openpyxl.Workbook(), io.BytesIO()
    sheet = book.active
    for number in range(1, 5):
        sheet.append([number, number, number, number])
    sheet.row_dimensions[2].hidden = sheet.row_dimensions[3].hidden = True
    sheet.column_dimensions.group("B", "C", hidden=True)
    book.save(content)
    found = read(tmp_path, "book.xlsx", content.getvalue())
    assert 'Hidden parts of the sheet "Sheet" are included: 2 rows and 2 columns.' in found.review


def test_text_of_drawings_is_read_and_charts_are_reported(tmp_path: Path):
    book, content = openpyxl.Workbook(), io.BytesIO()
    book.active.append([1, 2])
    chart = BarChart()
    chart.title = "Rent per year"
    chart.add_data(Reference(book.active, min_col=1, min_row=1, max_col=2))
    book.active.add_chart(chart, "D4")
    book.save(content)
    with zipfile.ZipFile(content, "a") as archive:
        archive.writestr(
            "xl/drawings/drawing9.xml",
            '<x xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main"><a:p><a:r><a:t>Approved </a:t></a:r>'
            "<a:r><a:t>in May</a:t></a:r></a:p></x>",
        )
    found = read(tmp_path, "book.xlsx", content.getvalue())
    assert "**Text box:** Approved in May" in found.text and "**Chart:** Rent per year" in found.text
    assert "contains 1 chart: only titles and labels were read." in found.review


@pytest.mark.parametrize("plain", [" \n", "\u00a0\u200b", "Your program does not show HTML.", "Dear Ms Marsh:"])
def test_html_of_a_mail_is_read_if_it_contains_more_than_the_plain_text(tmp_path: Path, plain: str):
    mail = EmailMessage()
    mail["Subject"], mail["From"] = "x", "a@example.org"
    mail.set_content(plain)
    mail.add_alternative("<p>Dear Ms Marsh, invoice 4711 about 86.40 EUR is due on 1 May.</p>", subtype="html")
    found = read(tmp_path, "mail.eml", mail.as_bytes())
    assert "invoice 4711 about 86.40 EUR" in found.text and "does not show" not in found.text


def test_parts_of_a_mail_that_programs_show_are_read(tmp_path: Path):
    head = b"From: a@example.org\nSubject: x\nMIME-Version: 1.0\nContent-Type: "
    parts = {
        "report": b"multipart/report; boundary=B\n\n--B\n\nText\n--B\nContent-Type: message/delivery-status\n\n"
        b"Status: 5.1.1\n\n--B--\n",
        "unbounded": b"multipart/mixed\n\nStatus: 5.1.1\n",
        "rich": b"text/rtf\n\n{\\rtf1 Status: 5.1.1}",
    }
    for name, content in parts.items():
        (tmp_path / name).mkdir()
        found = read(tmp_path / name, "mail.eml", head + content)
        assert "Status: 5.1.1" in found.text and ("does not separate" in found.review) is (name == "unbounded")


def test_part_of_a_web_page_is_known_by_its_name(tmp_path: Path):
    found = read(tmp_path, "page.html", b"<p>a &amp; b</p><p style='display:none'>hidden part</p>")
    assert found.text.strip() == "a & b" and "Parts that the page hides were left out (1): hidden part." in found.review
