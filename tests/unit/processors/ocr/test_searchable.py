"""Searchable PDF files: written by pikepdf, opened and searched by pdfium. The text is given, so OCR is not loaded."""

from pathlib import Path

import pikepdf
import pypdfium2
import pytest
from paths import TESTS
from pdf_files import form, one_page, show
from PIL import Image
from works import work_on

from processors.ocr.file_reader import _write_pdf
from processors.ocr.options import ReadOptions
from processors.ocr.text import PageText
from processors.ocr.text_lines import TextBox

SIZE = (1700, 2200)  # a page of 612 x 792 points at 200 dpi
TEXT = "Rental agreement, № 5, München €"


def box(text: str, left: float, top: float, right: float, bottom: float, confidence: float = 0.9) -> TextBox:
    corners = ((left, top), (right, top), (right, bottom), (left, bottom))
    return TextBox(text=text, confidence=confidence, corners=corners)


def written(source: Path, *pages: PageText, **fields: object) -> Path:
    work = work_on(source, options=ReadOptions(), **fields)
    path = work.outputs / "page.searchable.pdf"
    _write_pdf(work, pages, path)
    return path


def find(path: Path, word: str, number: int = 0) -> tuple[float, float, float, float]:
    """Left, bottom, right, top of a word, as a viewer marks it."""
    with pypdfium2.PdfDocument(path) as pdf:
        text = pdf[number].get_textpage()
        found = text.search(word).get_next()
        assert found, text.get_text_range()
        boxes = [text.get_charbox(at) for at in range(found[0], sum(found))]
    lefts, bottoms, rights, tops = zip(*boxes, strict=True)
    return min(lefts), min(bottoms), max(rights), max(tops)


def picture_of(path: Path) -> bytes:
    with pypdfium2.PdfDocument(path) as pdf:
        return pdf[0].render().to_pil().tobytes()


@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
@pytest.mark.parametrize("crop", [b"", b"/CropBox [100 50 500 700]"])
def test_word_is_found_where_it_is_drawn(tmp_path: Path, rotation: int, crop: bytes):
    """The place is given in pixels of the page as it is shown; pdfium knows where that is on the page."""
    (tmp_path / "x.pdf").write_bytes(one_page("", page=b"/Rotate %d %s" % (rotation, crop)))
    with pypdfium2.PdfDocument(tmp_path / "x.pdf") as pdf:
        width, height = (round(side * 2) for side in pdf[0].get_size())
    read = PageText(number=1, lines=((box("Agreement", 200, 300, 400, 340),),), size=(width, height))
    path = written(tmp_path / "x.pdf", read)
    left, bottom, right, top = find(path, "Agreement")
    with pypdfium2.PdfDocument(path) as pdf:
        page = pdf[0]
        corners = [page.get_size()[0] / width, page.get_size()[1] / height]
        bitmap = page.render(scale=2)
        points = [bitmap.get_posconv(page).to_bitmap(x, y) for x, y in ((left, bottom), (right, top))]
    xs, ys = zip(*points, strict=True)
    assert corners[0] == pytest.approx(0.5, abs=0.01)
    assert (min(xs), min(ys), max(xs), max(ys)) == pytest.approx((200, 300, 400, 340), abs=6)


@pytest.mark.parametrize("rotation", [90, 180, 270])
def test_text_of_a_page_that_ocr_turned_is_found_where_it_is_drawn(tmp_path: Path, rotation: int):
    (tmp_path / "x.pdf").write_bytes(one_page(""))
    size = SIZE if rotation == 180 else SIZE[::-1]
    read = PageText(number=1, lines=((box("Agreement", 200, 300, 400, 340),),), size=size, rotation=rotation)
    left, bottom, right, top = find(written(tmp_path / "x.pdf", read), "Agreement")
    is_upright = rotation == 180
    assert (right - left > top - bottom) == is_upright
    assert sorted((right - left, top - bottom)) == pytest.approx(sorted((72, 14.4)), abs=3)


def test_words_of_a_line_are_found_beside_each_other(tmp_path: Path):
    (tmp_path / "x.pdf").write_bytes(one_page(""))
    read = PageText(number=1, lines=((box(TEXT, 200, 300, 1200, 340),),), size=SIZE)
    path = written(tmp_path / "x.pdf", read)
    places = [find(path, word) for word in ("Rental", "agreement", "München", "€")]
    assert all(one[2] <= two[0] + 1 for one, two in zip(places, places[1:], strict=False))
    with pypdfium2.PdfDocument(path) as pdf:
        assert pdf[0].get_textpage().get_text_range().strip() == TEXT
        assert [warning for warning in pikepdf.open(path).check_pdf_syntax() if "WARNING" not in warning] == []


def test_page_looks_as_before(tmp_path: Path):
    (tmp_path / "x.pdf").write_bytes(one_page("q 2 0 0 2 50 50 cm " + show("Scale") + " 0 0 50 50 re f"))
    read = PageText(number=1, lines=((box(TEXT, 200, 300, 1200, 340),),), size=SIZE)
    path = written(tmp_path / "x.pdf", read)
    assert picture_of(path) == picture_of(tmp_path / "x.pdf")
    assert find(path, "Rental")[0] == pytest.approx(72, abs=3)  # not scaled: an unbalanced page does not matter


def test_form_of_the_original_stays(tmp_path: Path):
    widget = b"<< /Type /Annot /Subtype /Widget /FT /Tx /T (a) /V (Quill) /Rect [60 600 300 620] /AP << /N 7 0 R >> >>"
    content = one_page(
        "",
        widget,
        form(show("Quill", 2, 5), 240, 20),
        catalog=b"/AcroForm << /Fields [6 0 R] >>",
        page=b"/Annots [6 0 R]",
    )
    (tmp_path / "x.pdf").write_bytes(content)
    read = PageText(number=1, lines=((box(TEXT, 200, 300, 1200, 340),),), size=SIZE)
    with pikepdf.open(written(tmp_path / "x.pdf", read)) as pdf:
        assert str(pdf.Root.AcroForm.Fields[0].V) == "Quill"


def test_file_that_needs_no_ocr_is_copied(tmp_path: Path):
    content = one_page(show("Born digital"))
    (tmp_path / "x.pdf").write_bytes(content)
    read = PageText(number=1, lines=((box("Born digital", 1, 2, 3, 4, 1.0),),), size=SIZE, source="text layer")
    assert written(tmp_path / "x.pdf", read).read_bytes() == content


def test_words_of_the_layer_are_not_doubled(tmp_path: Path):
    (tmp_path / "x.pdf").write_bytes(one_page(show("Stamp")))
    lines = (box("Stamp", 166, 110, 300, 150, 1.0),), (box("Scanned", 200, 300, 400, 340),)
    read = PageText(number=1, lines=lines, size=SIZE, source="text layer and OCR")
    with pypdfium2.PdfDocument(written(tmp_path / "x.pdf", read)) as pdf:
        assert pdf[0].get_textpage().get_text_range().split() == ["Stamp", "Scanned"]


def test_images_become_pages(tmp_path: Path):
    first, second = Image.new("RGB", (400, 200), "white"), Image.new("RGB", (200, 400), "red")
    first.save(tmp_path / "x.tif", save_all=True, append_images=[second])
    read = [
        PageText(number=1, lines=((box("First", 100, 50, 200, 80),),), size=(400, 200)),
        PageText(number=2, lines=((box("Second", 50, 100, 150, 130),),), size=(200, 400)),
    ]
    path = written(tmp_path / "x.tif", *read)
    with pypdfium2.PdfDocument(path) as pdf:
        assert [pdf.get_page_size(at) for at in (0, 1)] == [(144, 72), (72, 144)]
        assert pdf[1].render().to_pil().getpixel((36, 72))[0] > 200
    assert find(path, "First")[0] == pytest.approx(36, abs=2)
    assert find(path, "Second", 1)[3] == pytest.approx(144 - 36, abs=3)


def test_encrypted_file_stays_encrypted(tmp_path: Path):
    (tmp_path / "x.pdf").write_bytes((TESTS / "data" / "locked.pdf").read_bytes())
    (tmp_path / "x.pdf.password").write_text("pâte 7 à tarte", encoding="utf-8")
    read = PageText(number=1, lines=((box("Found", 100, 50, 200, 80),),), size=(467, 467))
    path = written(tmp_path / "x.pdf", read, sidecars={"password": tmp_path / "x.pdf.password"})
    with pytest.raises(pikepdf.PasswordError):
        pikepdf.open(path)
    with pypdfium2.PdfDocument(path, password="pâte 7 à tarte") as pdf:
        assert "Found" in pdf[0].get_textpage().get_text_range()
