"""What a PDF page shows is read, and what it does not show is not: real PDFs; OCR is not loaded."""

import math
from pathlib import Path

import numpy as np
import pytest
from pdf_files import LINES, form, one_page, show, stream, to_unicode
from pypdfium2 import PdfDocument
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.cidfonts import UnicodeCIDFont
from reportlab.pdfgen.canvas import Canvas
from works import work_on

from processors.contract import Progress
from processors.ocr import Ocr, OcrOptions, ReadOptions
from processors.pages import open_pages
from processors.pages.check_boxes import find_check_boxes
from processors.pages.layer_visibility import Layer, find_invisible
from processors.pages.page import PlacedWord

WHITE, BLACK = "1 1 1 rg ", "0 0 0 rg "


class WithoutOcr(Ocr):
    @property
    def _engine(self):
        raise AssertionError("OCR was loaded")


@pytest.fixture
def read(tmp_path: Path):
    """Read a PDF file with the recipe `read`; return its text and its review."""
    reader = WithoutOcr()
    reader.load(OcrOptions(threads=1), tmp_path, Progress(lambda message: None))

    def read_one(content: bytes, **options: object) -> tuple[str, tuple[str, ...]]:
        (tmp_path / "x.pdf").write_bytes(content)
        chosen = ReadOptions(**{"formats": ("txt",), "dpi": 100, **options})
        work = work_on(tmp_path / "x.pdf", stem="page", options=chosen)
        finished = reader.process_one(work, Progress(lambda message: None))
        return (tmp_path / "page.txt").read_text(encoding="utf-8"), finished.review

    return read_one


def field(kind: str, value: str, appearance: str = "") -> bytes:
    entries = f"/FT /{kind} /T (a) /V ({value}) /DA (/F1 12 Tf 0 g) /Rect [260 675 510 695] /F 4 /P 3 0 R {appearance}"
    return f"<< /Type /Annot /Subtype /Widget {entries} >>".encode()


FORM = b"/AcroForm << /Fields [6 0 R] /DR << /Font << /F1 5 0 R >> >> /DA (/F1 12 Tf 0 g) >>"


@pytest.mark.parametrize("has_appearance", [True, False])
def test_form_field_is_read(read, has_appearance: bool):
    drawn = form("/Tx BMC " + show("Quillfeather", 2, 5) + " EMC", 250, 20)
    widget = field("Tx", "Quillfeather", "/AP << /N 7 0 R >>" if has_appearance else "")
    text, review = read(one_page(show("Surname:", y=680), widget, drawn, catalog=FORM, page=b"/Annots [6 0 R]"))
    assert text.split() == ["Surname:", "Quillfeather"] and review == ()


def test_choice_is_read(read):
    widget = field("Ch", "Monthly", "/Ff 131072 /Opt [(Weekly) (Monthly)]")
    text, _ = read(one_page(show("Paid:", y=680), widget, catalog=FORM, page=b"/Annots [6 0 R]"))
    assert text.split() == ["Paid:", "Monthly"]


@pytest.mark.parametrize(
    ("height", "shown", "reported"),
    [
        (80, "[ ] Red [x] Dark green [ ] Blue [x] Black", ()),
        (26, "[ ] Red [x] Dark green", ("page 1: entries of a list are selected, but not visible: Black",)),
    ],
)
def test_selected_entries_of_a_list_are_marked(read, height: int, shown: str, reported: tuple[str, ...]):
    entries = "/Opt [[(r) (Red)] [(g) (Dark green)] [(b) (Blue)] [(k) (Black)]] /V [(g) (k)] /I [1 3] /Ff 2097152"
    widget = field("Ch", "", entries).replace(b"/V () ", b"").replace(b"675 510 695", b"600 510 %d" % (600 + height))
    text, review = read(one_page(show("Colors:", y=680), widget, catalog=FORM, page=b"/Annots [6 0 R]"))
    assert text.split() == ["Colors:", *shown.split()] and review[-1:] == reported


@pytest.mark.parametrize(
    ("value", "appearance", "reported"),
    [
        (b"<FEFF005A0061014201050063007A006E0069006B>", "", ""),
        (b"<FEFF005A0061014201050063007A006E0069006B>", "/AP << /N 7 0 R >>", "Załącznik"),
        (b"(Quill-feather)", "/AP << /N 7 0 R >>", ""),
        (b"(Quillfeather)", "/AP << /N 7 0 R >> /AA << /F << /S /JavaScript /JS (x) >> >>", ""),
        (b"(q1w2e3)", "/Ff 8192", ""),  # a password
    ],
)
def test_field_that_does_not_show_its_value_is_reported(read, value: bytes, appearance: str, reported: str):
    widget = field("Tx", "VALUE", appearance).replace(b"(VALUE)", value)
    drawn = form("BT /F1 12 Tf 2 20 Td (Quill-) Tj 0 -14 Td (feather) Tj ET", 250, 36)
    _, review = read(one_page(show("Surname:", y=680), widget, drawn, catalog=FORM, page=b"/Annots [6 0 R]"))
    message = f"page 1: a form field or text box does not show its complete text: {reported}"
    assert (message in review) == bool(reported)


@pytest.mark.parametrize("stroke", ["1 w 124 744 m 166 744 l S", "1 0 0 rg 124 743.5 42 0.8 re f"])
def test_words_that_are_struck_out_are_reported(read, stroke: str):
    lines = show("The rent is 1250.00 EUR") + show("Underlined words", y=700) + "60 698 m 150 698 l S "
    text, review = read(one_page(lines + stroke + " 60 660 m 500 660 l S"), formats=("txt", "md"))
    assert "The rent is 1250.00 EUR" in text and review == ('page 1: words are struck out: "1250.00"',)


def test_annotation_that_strikes_words_out_is_reported(read):
    quad = "/QuadPoints [122 752 168 752 122 737 168 737] /Rect [122 737 168 752] /C [1 0 0] /F 4 /P 3 0 R"
    struck = f"<< /Type /Annot /Subtype /StrikeOut {quad} >>".encode()
    text, review = read(one_page(show("The rent is 1250.00 EUR"), struck, page=b"/Annots [6 0 R]"))
    assert text == "The rent is 1250.00 EUR\n" and review == ('page 1: words are struck out: "1250.00"',)


def test_field_that_no_viewer_draws_is_reported(read):
    text, review = read(one_page(show("Surname:", y=680), field("Tx", "Quillfeather"), page=b"/Annots [6 0 R]"))
    assert text.split() == ["Surname:"] and "a form field without a picture was not read: Quillfeather" in review[0]


def test_greek_is_not_taken_for_a_wrong_table(read):
    content = one_page(show("abgdezhqiklmnxoprstufcyw")).replace(
        b"/BaseFont /Helvetica /Encoding /WinAnsiEncoding", b"/BaseFont /Symbol"
    )
    text, review = read(content)
    assert text.strip() == "αβγδεζηθικλ\u00b5νξοπρστυφχψω" and review == ()  # Symbol has the micro sign as mu


@pytest.mark.parametrize("flags", [2, 32])
def test_hidden_field_is_not_read(read, flags: int):
    widget = field("Tx", "Quillfeather").replace(b"/F 4", b"/F %d" % flags)
    text, _ = read(one_page(show("Surname:"), widget, catalog=FORM, page=b"/Annots [6 0 R]"))
    assert text.split() == ["Surname:"]


@pytest.mark.parametrize("has_appearance", [True, False])
def test_free_text_annotation_is_read(read, has_appearance: bool):
    drawn = form(show("PAID 12 March", 2, 5), 250, 20)
    entries = "/Rect [60 500 310 520] /F 4 /Contents (PAID 12 March) /DA (/F1 12 Tf 1 0 0 rg)"
    look = "/AP << /N 7 0 R >>" if has_appearance else ""
    annotation = f"<< /Type /Annot /Subtype /FreeText {entries} {look} >>".encode()
    text, review = read(one_page(show("Invoice 117"), annotation, drawn, page=b"/Annots [6 0 R]"))
    assert text.splitlines() == ["Invoice 117", "PAID 12 March"] and review == ()


@pytest.mark.parametrize(
    ("subtype", "reported"),
    [
        ("Redact", "text is marked for redaction, but still in the file and in this result: apply the redaction"),
        ("RichMedia", "a video, sound or 3D drawing was not read: Tour of the flat"),
        ("3D", "a video, sound or 3D drawing was not read: Tour of the flat"),
        ("Link", ""),
    ],
)
def test_annotation_without_text_is_reported(read, subtype: str, reported: str):
    note = f"<< /Type /Annot /Subtype /{subtype} /Rect [50 730 300 760] /F 4 /Contents (Tour of the flat) >>".encode()
    text, review = read(one_page(show(LINES[0]), note, page=b"/Annots [6 0 R]"))
    assert text == f"{LINES[0]}\n" and review == ((f"page 1: {reported}",) if reported else ())


def test_comment_is_reported(read):
    note = b"<< /Type /Annot /Subtype /Text /Rect [300 500 320 520] /Contents (Please pay twice) >>"
    text, review = read(one_page(show("Invoice 117"), note, page=b"/Annots [6 0 R]"))
    assert text.split() == ["Invoice", "117"]
    assert review == ("page 1: a comment is not part of the text: Please pay twice",)


@pytest.mark.parametrize("subtype", ["Highlight", "Square", "Ink"])
@pytest.mark.parametrize(("comment", "is_reported"), [("Pay twice", True), ("Invoice  117", False)])
def test_comment_on_a_mark_is_reported(read, subtype: str, comment: str, is_reported: bool):
    note = f"<< /Type /Annot /Subtype /{subtype} /Rect [60 700 120 710] /Contents ({comment}) >>".encode()
    _, review = read(one_page(show("Invoice 117"), note, page=b"/Annots [6 0 R]"))
    assert review == (("page 1: a comment is not part of the text: Pay twice",) if is_reported else ())


def check_box(name: str, state: str, y: int, kind: str = "") -> bytes:
    return (
        f"<< /Type /Annot /Subtype /Widget /FT /Btn {kind} /T ({name}) /V /{state} /AS /{state} "
        f"/Rect [60 {y} 72 {y + 12}] /F 4 /P 3 0 R /AP << /N << /Yes 8 0 R /Off 9 0 R >> >> >>"
    ).encode()


@pytest.mark.parametrize("has_form", [True, False])
@pytest.mark.parametrize("kind", ["", "/Ff 49152"], ids=["check boxes", "radio buttons"])
@pytest.mark.parametrize("mark", ["2 2 m 10 10 l 2 10 m 10 2 l S", "BT /ZaDb 10 Tf 2 2 Td (4) Tj ET"])
def test_ticked_box_is_marked(read, kind: str, mark: str, has_form: bool):
    boxes = check_box("a", "Off", 698, kind), check_box("b", "Yes", 678, kind)
    frame = "q 1 w 0 0 12 12 re S "
    dingbats = b"/ZaDb << /Type /Font /Subtype /Type1 /BaseFont /ZapfDingbats >> /F1 "
    drawn = [form(frame + each, 12, 12).replace(b"/F1 ", dingbats) for each in (f"{mark} Q", "Q")]
    catalog = b"/AcroForm << /Fields [6 0 R 7 0 R] >>" if has_form else b""
    content = show("I smoke", 80, 700) + show("I do not smoke", 80, 680)
    text, review = read(one_page(content, *boxes, *drawn, catalog=catalog, page=b"/Annots [6 0 R 7 0 R]"))
    assert text.splitlines() == ["[ ] I smoke", "[x] I do not smoke"] and review == ()


_HIDDEN = {
    "invisible": "3 Tr " + show("Secret words") + " 0 Tr ",
    "white on white": WHITE + show("Secret words") + BLACK,
    "nearly white": "0.99 g " + show("Secret words") + BLACK,
    "black on black": "50 730 300 30 re f " + show("Secret words"),
    "outside the page": show("Secret words", 900, 740),
    "clipped": "q 0 0 10 10 re W n " + show("Secret words") + " Q ",
    "covered": show("Secret words") + "50 730 300 30 re f ",
    "covered in white": show("Secret words") + WHITE + "50 730 300 30 re f " + BLACK,
    "layer that is off": "/OC /Off BDC " + show("Secret words") + " EMC ",
    "fully transparent": "q /Clear gs " + show("Secret words") + " Q ",
}
_IS_REPORTED = {"black on black", "covered", "covered in white", "layer that is off", "clipped"}


@pytest.mark.parametrize("kind", list(_HIDDEN))
def test_invisible_text_is_left_out(read, kind: str):
    layer = b"<< /Type /OCG /Name (Off) >>"
    text, review = read(
        one_page(
            _HIDDEN[kind] + show("Total due: 940.00 EUR", y=600),
            layer,
            catalog=b"/OCProperties << /OCGs [6 0 R] /D << /OFF [6 0 R] >> >>",
            resources=b"/Properties << /Off 6 0 R >> /ExtGState << /Clear << /ca 0 >> >>",
        )
    )
    assert text.splitlines() == ["Total due: 940.00 EUR"]
    assert (review == ("page 1: text that is covered or switched off was left out: 11 characters",)) == (
        kind in _IS_REPORTED
    )


def _chinese(path: Path, *hiding: str) -> bytes:
    """A page of Chinese in a font that the file does not contain, and of which nothing is drawn where it is missing."""
    pdfmetrics.registerFont(UnicodeCIDFont("STSong-Light"))
    canvas = Canvas(str(path))
    canvas.setFont("STSong-Light", 12)
    if "white" in hiding:
        canvas.setFillColorRGB(1, 1, 1)
    canvas.drawString(60, 740, "华江银行")
    if "covered" in hiding:
        canvas.setFillColorRGB(1, 1, 1)
        canvas.rect(50, 730, 300, 30, fill=1, stroke=0)
    canvas.setFillColorRGB(0, 0, 0)
    canvas.setFont("Helvetica", 12)
    canvas.drawString(60, 600, "Total due: 940.00 CNY")
    canvas.save()
    return path.read_bytes()


def _draws_chinese(content: bytes) -> bool:
    """True if pdfium finds a font on this machine for the characters of `_chinese`."""
    with PdfDocument(content) as document:
        page = np.asarray(document[0].render().to_pil())
    return bool((page[:200] < 255).any())


def test_text_in_a_font_that_the_file_does_not_contain_is_read_and_reported_if_it_is_not_drawn(read, tmp_path):
    content = _chinese(tmp_path / "a.pdf")
    text, review = read(content)
    assert text.split("\n")[0] == "华江银行"
    message = "page 1: text in a font that the file does not contain could not be compared with the page: 4 characters"
    assert review == (() if _draws_chinese(content) else (message,))


@pytest.mark.parametrize("hiding", ["white", "covered"])
def test_hidden_text_in_a_font_that_is_missing_is_left_out(read, tmp_path, hiding: str):
    assert read(_chinese(tmp_path / "a.pdf", hiding))[0].splitlines() == ["Total due: 940.00 CNY"]


_VISIBLE = {
    "white on black": "50 730 300 30 re f " + WHITE + show("Open words") + BLACK,
    "light gray": "0.8 g " + show("Open words") + BLACK,
    "outlined": "1 Tr " + show("Open words") + " 0 Tr ",
    "small": show("Open words", size=5),
    "below a marker": show("Open words") + "q /Half gs 1 1 0 rg 50 735 300 20 re f Q ",
}


@pytest.mark.parametrize("kind", list(_VISIBLE))
def test_text_that_is_visible_is_read(read, kind: str):
    content = one_page(_VISIBLE[kind], resources=b"/ExtGState << /Half << /ca 0.5 >> >>")
    text, review = read(content)
    assert "Open words" in text and review == ()


@pytest.mark.parametrize("copies", [2, 3])
def test_text_that_is_drawn_several_times_in_one_place_is_read_once(read, copies: int):
    drawn = "q 50 670 500 18 re W n " + show("Total due: 482.19 EUR", y=680) + "Q "
    text, review = read(one_page(show("Invoice 4471", y=720) + drawn * copies))
    assert text.split("\n")[:2] == ["Invoice 4471", "Total due: 482.19 EUR"] and review == ()


def test_tips_of_covered_letters_do_not_count_as_text(read):
    covered = show("Martin Hallow", y=700) + "50 700.5 300 6.5 re f " + show("Diagnosis", y=600)
    assert read(one_page(covered))[0] == "Diagnosis\n"


@pytest.mark.parametrize("width", [0.5, 1.5])
@pytest.mark.parametrize(
    "mark", ["62 700 m 70 708 l 62 708 m 70 700 l S", "BT /F1 10 Tf 62.5 700.5 Td (X) Tj ET", "tick"]
)
def test_box_that_is_drawn_is_marked(read, mark: str, width: float):
    mark = mark.replace("tick", "62 704 m 65 700 l 70 708 l S")
    boxes = f"{width} w 60 698 12 12 re S 60 678 12 12 re S {mark}\n"
    bullet = "60 658 8 8 re f\n"
    text, review = read(one_page(boxes + bullet + show("yes", 80, 700) + show("no", 80, 680) + show("so", 80, 660)))
    assert text.splitlines() == ["[x] yes", "[ ] no", "so"] and review == ()


def test_legend_of_a_diagram_is_no_check_box(read):
    legend = "1 0.9 0.7 rg 60 698 12 12 re B 0 g "
    assert read(one_page(legend + show("Wages of the year", 80, 700)))[0] == "Wages of the year\n"


def test_number_in_a_frame_is_a_text(read):
    content = "60 698 12 12 re S " + show("7", 63, 700, 9) + show("Wages of the year", 80, 700)
    assert read(one_page(content))[0].split() == ["7", "Wages", "of", "the", "year"]


def test_cells_of_a_table_and_filled_squares_are_no_check_boxes():
    picture = np.full((120, 200, 3), 255, np.uint8)
    for line in range(10, 91, 20):
        picture[line : line + 2, 10:92] = picture[10:92, line : line + 2] = 0
    picture[20:36, 120:136] = 0
    words = [PlacedWord(text="total", left=left, top=20, right=left + 40, bottom=36) for left in (95, 140)]
    assert find_check_boxes(picture, words, 2.0) == []


def test_crop_box_decides_what_is_read(read):
    content = show("LEFT minutes of March", 40) + show("RIGHT minutes of April", 340)
    assert read(one_page(content, page=b"/CropBox [306 0 612 792]"))[0] == "RIGHT minutes of April\n"


def test_short_text_layer_is_used(read):
    assert read(one_page(show("This is page 4"))) == ("This is page 4\n", ())


def test_text_of_a_rotated_page_is_read(read):
    rotated = "BT /F1 12 Tf 0 1 -1 0 100 60 Tm (Open words of the page) Tj ET"
    assert read(one_page(rotated, page=b"/Rotate 90"))[0] == "Open words of the page\n"


@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
@pytest.mark.parametrize("matrix", ["-1 0 0 1 612 0", "1 0 0 -1 0 792"], ids=["left to right", "upside down"])
def test_mirrored_page_is_turned_over(read, matrix: str, rotation: int):
    lines = "".join(show(line, 60, 500 - 20 * number) for number, line in enumerate(LINES))
    turn = {0: "1 0 0 1 0 0", 90: "0 1 -1 0 612 0", 180: "-1 0 0 -1 612 792", 270: "0 -1 1 0 0 792"}[rotation]
    content = f"q {turn} cm {matrix} cm {lines} Q"
    text, review = read(one_page(content, page=b"/Rotate %d" % rotation))
    assert text.splitlines() == list(LINES)
    assert review == ("page 1: the text is mirrored on the page; inboxd read it as in a mirror",)


def test_mirrored_words_on_an_upright_page_change_nothing(read):
    content = "".join(show(line, 60, 740 - 20 * number) for number, line in enumerate(LINES))
    text, review = read(one_page(f"{content} q -1 0 0 1 612 0 cm {show('PROOF', 60, 500)} Q"))
    assert text.split() == [*" ".join(LINES).split(), "PROOF"] and review == ()


@pytest.mark.parametrize("degrees", [20, 45, 70, -30])
def test_stamp_across_lines_is_read_apart_from_them(read, degrees: int):
    lines = show("Rental agreement of both parties", 60, 700) + show("Rent: 950.00 EUR", 60, 680)
    across, up = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    stamp = f"BT /F1 24 Tf {across:.3f} {up:.3f} {-up:.3f} {across:.3f} 90 {690 - 60 * up:.0f} Tm (PAID 12 May) Tj ET"
    text, review = read(one_page(lines + stamp))
    assert text.splitlines() == ["Rental agreement of both parties", "Rent: 950.00 EUR", "PAID 12 May"]
    assert review == ()


def test_empty_page_is_reported_without_ocr(read):
    assert read(one_page("")) == ("\n", ("page 1: no text was found",))


def test_lines_and_boxes_need_no_ocr(read):
    table = "".join(f"50 {y} m 500 {y} l S " for y in range(500, 700, 20)) + "50 500 450 180 re S "
    logo = "0 0.3 0.6 rg 450 740 100 30 re f 0 g "
    text, review = read(one_page(logo + table + show(LINES[0])))
    assert text == f"{LINES[0]}\n" and review == ()


@pytest.mark.parametrize("font", ["Helvetica", "Times-Roman", "Courier", "Times-BoldItalic"])
def test_layer_of_any_standard_font_is_good(read, font: str):
    content = one_page("".join(show(line, y=700 - 20 * at) for at, line in enumerate(LINES)))
    text, review = read(content.replace(b"/BaseFont /Helvetica", b"/BaseFont /" + font.encode()))
    assert text.splitlines() == list(LINES) and review == ()


def test_bullet_of_word_is_read(read):
    table = to_unicode({0x2A: "\uf0b7", 0x41: "A"})
    text, review = read(one_page(show("* A"), table, font=b"/ToUnicode 6 0 R"))
    assert text.split() == ["•", "A"] and review == ()


XFA = b"<xdp:xdp xmlns:xdp='http://ns.adobe.com/xdp/'></xdp:xdp>"


@pytest.mark.parametrize("needs_rendering", [b"", b"/NeedsRendering true"])
def test_xfa_form_is_reported(read, needs_rendering: bytes):
    catalog = b"/AcroForm << /Fields [] /XFA 6 0 R >> " + needs_rendering
    text, review = read(one_page(show("Please wait..."), stream(XFA), catalog=catalog))
    assert text == "Please wait...\n"
    assert len(review) == 1 and review[0].startswith("this PDF is an XFA form, whose content cannot be shown here.")


def test_xfa_form_that_also_has_fields_is_read(read):
    catalog = b"/AcroForm << /Fields [6 0 R] /XFA 7 0 R >>"
    content = one_page(
        show("Surname:", y=680), field("Tx", "Quill"), stream(XFA), catalog=catalog, page=b"/Annots [6 0 R]"
    )
    text, review = read(content)
    assert text.split() == ["Surname:", "Quill"] and review == ()


@pytest.mark.parametrize(
    ("names", "reported"),
    [
        (["invoice.pdf"], "1 file that inboxd did not read: invoice.pdf. Save it from a PDF viewer and drop it."),
        (
            ["a.pdf", "b.jpg"],
            "2 files that inboxd did not read: a.pdf, b.jpg. Save them from a PDF viewer and drop them.",
        ),
        (["factur-x.xml"], ""),
    ],
)
def test_embedded_files_are_reported(read, names: list[str], reported: str):
    entries = b" ".join(b"(%s) %d 0 R" % (name.encode(), 7 + at) for at, name in enumerate(names))
    files = [
        b"<< /Type /Filespec /F (%s) /UF (%s) /EF << /F 6 0 R >> >>" % (name.encode(), name.encode()) for name in names
    ]
    content = one_page(
        show("Open this PDF portfolio in Acrobat"),
        stream(b"content", b"/Type /EmbeddedFile"),
        *files,
        catalog=b"/Collection << >> /Names << /EmbeddedFiles << /Names [%s] >> >>" % entries,
    )
    _, review = read(content)
    assert review == ((f"this PDF contains {reported}",) if reported else ())


def test_pages_report_content_that_is_on_no_page(tmp_path: Path):
    (tmp_path / "x.pdf").write_bytes(one_page(show("Text")))
    with open_pages(tmp_path / "x.pdf", "application/pdf", max_pixels=10**6) as pages:
        assert pages.warnings == ()


@pytest.mark.parametrize(("character", "bottom", "hidden"), [("\u4e8c", 19, False), ("b", 14, True), ("b", 6, False)])
def test_letter_is_seen_by_its_middle_unless_it_is_low_or_an_ideograph(character, bottom, hidden):
    """U+4E8C has nothing in its middle."""
    ink = np.zeros((20, 20), np.uint8)
    ink[[1, 18]] = 255
    layer = Layer([character], np.array([[0.0, 0.0, 19.0, bottom]]), [0], [object()], [0], [0])
    assert find_invisible(layer, ink) == ({0} if hidden else set())
