"""Text layers with invalid characters, and pages that fail alone: real PDFs, real OCR."""

import json
import logging
from pathlib import Path

import pypdfium2
import pytest
from paths import ROOT
from PIL import Image
from reportlab.pdfgen import canvas
from works import work_on

from processors import statements
from processors.contract import BadInput, Progress
from processors.ocr import Ocr, ReadOptions
from processors.pages import open_pages, symbols, text_layer

SAMPLES = ROOT / "samples" / "inbox"
LINE = "Rental agreement between the landlord and the tenant"


def a_pdf(unicode: bytes, text: str = f"{LINE} *") -> bytes:
    """One page of `text`, whose asterisk has the code `unicode` (hexadecimal, UTF-16) in its font's ToUnicode table."""
    mapping = b"1 begincodespacerange <00> <FF> endcodespacerange 1 beginbfchar <2A> <%s> endbfchar" % unicode
    cmap = b"/CIDInit /ProcSet findresource begin 12 dict begin begincmap /CMapType 2 def %s endcmap end end" % mapping
    drawn = f"BT /F 12 Tf 72 700 Td ({text}) Tj ET".encode()
    streams = [b"<< /Length %d >>\nstream\n%s\nendstream" % (len(each), each) for each in (drawn, cmap)]
    font = b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding /ToUnicode 6 0 R >>"
    page = (
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R /Resources << /Font << /F 5 0 R >> >> >>"
    )
    objects = [b"<< /Type /Catalog /Pages 2 0 R >>", b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>", page]
    body, offsets = b"%PDF-1.7\n", []
    for number, content in enumerate([*objects, streams[0], font, streams[1]], start=1):
        offsets.append(len(body))
        body += b"%d 0 obj\n%s\nendobj\n" % (number, content)
    table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    return body + b"xref\n0 7\n0000000000 65535 f \n%strailer << /Size 7 /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF" % (
        table,
        len(body),
    )


def read(ocr: Ocr, source: Path, outputs: Path, **options: object):
    work = work_on(source, outputs=outputs, stem="page", options=ReadOptions(**options))
    return ocr.process_one(work, Progress(lambda message: None))


@pytest.mark.parametrize(
    ("text", "restored"),
    [
        ("x\u0d4c\u123aa\u0d45b\u123b", "x=(a+b)"),
        ("\u0d15\u0d4c", "\u0d15\u0d4c"),  # Malayalam
        ("\u123a\u1208", "\u123a\u1208"),  # Amharic
    ],
)
def test_signs_of_equations_are_restored(text: str, restored: str):
    assert "".join(symbols.restore_equations(text)) == restored


@pytest.mark.parametrize(
    ("codes", "characters"),
    [
        ([0x41, 0x1F600], ["A", "\U0001f600"]),
        ([0x41, 0xD83D, 0xDE00, 0x42], ["A", "\U0001f600", "", "B"]),
        ([0xD83D], ["\ufffd"]),
        ([0xD83D, 0x41], ["\ufffd", "A"]),
        ([0xDE00, 0xD83D], ["\ufffd", "\ufffd"]),
        ([0xD83D, 0xD83D, 0xDE00], ["\ufffd", "\U0001f600", ""]),
        ([0xD83D, 0xDE00, 0xDE00], ["\U0001f600", "", "\ufffd"]),
        ([0x110000, 0xFFFFFFFF], ["\ufffd", "\ufffd"]),
        ([0x01, 0x07, 0x0C, 0x1B, 0x7F, 0x85], ["\ufffd"] * 6),
        ([0x09, 0x0A, 0x0D, 0x20, 0xA0], ["\t", "\n", "\r", " ", "\xa0"]),
        ([0xFFFE, 0xFFFF, 0x1FFFE, 0x10FFFF, 0xFDD0, 0xFDEF, 0xFDF0], ["\ufffd"] * 6 + ["\ufdf0"]),
        ([0xDBFF, 0xDFFF], ["\ufffd", ""]),
        ([], []),
    ],
)
def test_codes_of_a_text_layer_become_characters(codes, characters):
    assert text_layer.to_characters(codes) == characters


@pytest.mark.parametrize("unicode", [b"D83DDE00", b"D835DC58"], ids=["emoji", "mathematical letter"])
@pytest.mark.parametrize("task", ["read", "bank-statement", "receipt"])
def test_character_of_two_surrogates_is_read(ocr: Ocr, tmp_path: Path, unicode: bytes, task: str):
    (tmp_path / "x.pdf").write_bytes(a_pdf(unicode))
    options = {"task": task, "formats": ["txt", "json"], "second_reading": "never"}
    finished = read(ocr, tmp_path / "x.pdf", tmp_path / "out", **options)
    character = bytes.fromhex(unicode.decode()).decode("utf-16-be")
    assert f"{LINE} {character}" in (tmp_path / "out" / "page.txt").read_text(encoding="utf-8")
    assert not any("unreadable" in reason for reason in finished.review)
    json.loads((tmp_path / "out" / "page.json").read_text(encoding="utf-8"))


_HALVES = {"first half": b"D83D", "second half": b"DE00", "turned round": b"DE00D83D"}
_NOT_TEXT = {
    "bell": b"0007",
    "form feed": b"000C",
    "10FFFF": b"DBFFDFFF",
    "FDD0": b"FDD0",
    "NUL": b"0000",
}


@pytest.mark.parametrize(
    ("unicode", "second_reading"),
    [*((each, "auto") for each in _HALVES.values()), *((each, "never") for each in _NOT_TEXT.values())],
    ids=[*_HALVES, *_NOT_TEXT],
)
@pytest.mark.parametrize("task", ["read", "bank-statement", "receipt"])
def test_half_a_character_is_replaced_and_reported(
    ocr: Ocr, tmp_path: Path, unicode: bytes, second_reading: str, task: str
):
    (tmp_path / "x.pdf").write_bytes(a_pdf(unicode))
    options = {"task": task, "formats": ["txt"], "second_reading": second_reading}
    finished = read(ocr, tmp_path / "x.pdf", tmp_path / "out", **options)
    text = (tmp_path / "out" / "page.txt").read_text(encoding="utf-8")
    assert f"{LINE} \ufffd" in text
    count = text.count("\ufffd")
    noun = "character" if count == 1 else "characters"
    assert f"page 1: {count} unreadable {noun} in the text layer" in finished.review


def test_hyphen_at_the_end_of_a_line_is_a_hyphen(ocr: Ocr, tmp_path: Path):
    content = a_pdf(b"0041").replace(b"72 700 Td", b"72 700 Td (an agree-) Tj 0 -14 Td (ment of two) Tj 0 -14 Td")
    (tmp_path / "x.pdf").write_bytes(content)
    finished = read(ocr, tmp_path / "x.pdf", tmp_path / "out", formats=["txt"])
    text = (tmp_path / "out" / "page.txt").read_text(encoding="utf-8")
    assert text.splitlines()[:2] == ["an agree-", "ment of two"] and finished.review == ()


@pytest.mark.parametrize("unicode", [b"D83D", b"0007"])
def test_layer_of_halves_is_read_by_ocr(ocr: Ocr, tmp_path: Path, unicode: bytes):
    (tmp_path / "x.pdf").write_bytes(a_pdf(unicode, f"{LINE} ****"))
    read(ocr, tmp_path / "x.pdf", tmp_path / "out")
    assert json.loads((tmp_path / "out" / "page.json").read_text())["pages"][0]["source"] == "OCR"


# ---------------------------------------------------------------------------------------------- a page costs itself


def scans(path: Path, pages: int = 3) -> Path:
    first, *others = [Image.new("RGB", (300, 200), "white") for _ in range(pages)]
    first.save(path, save_all=True, append_images=others)
    return path


@pytest.fixture
def fails_on(monkeypatch: pytest.MonkeyPatch):
    """Make the decoding of pages fail unexpectedly."""

    def fail(*numbers: int) -> None:
        from processors.pages import picture

        real = picture._PicturePages.read

        def read(self, number):
            if number in numbers:
                raise RuntimeError("tile cannot extend outside image")
            return real(self, number)

        monkeypatch.setattr(picture._PicturePages, "read", read)

    return fail


@pytest.mark.parametrize("task", ["read", "bank-statement", "receipt"])
def test_page_with_an_unexpected_error_fails_alone(ocr: Ocr, tmp_path: Path, fails_on, task: str, caplog):
    fails_on(2)
    source = scans(tmp_path / "x.tif")
    with caplog.at_level(logging.ERROR):
        finished = read(ocr, source, tmp_path / "out", task=task)
    (reason,) = [reason for reason in finished.review if "page 2" in reason.lower()]
    assert "could not be read" in reason and "Internal error" in reason and "tile" not in reason
    assert finished.pages == 3
    assert "tile cannot extend" in caplog.text and "x.tif" in caplog.text  # for whoever looks into it


def test_page_that_ocr_cannot_read_fails_alone(ocr: Ocr, tmp_path: Path, monkeypatch):
    calls = []

    def read_upright(image, *, may_be_rotated=False):
        calls.append(image)
        if len(calls) == 2:
            raise ValueError("cannot reshape array of size 0")
        return real(image, may_be_rotated=may_be_rotated)

    real = ocr._engine.read_upright
    monkeypatch.setattr(ocr._engine, "read_upright", read_upright)
    finished = read(ocr, scans(tmp_path / "x.tif"), tmp_path / "out")
    assert [reason.split(":")[0] for reason in finished.review] == [
        "page 1",
        "page 2 could not be read",
        "page 3",
    ] and "reshape" not in " ".join(finished.review)


def test_file_without_a_readable_page_is_bad_input(ocr: Ocr, tmp_path: Path, fails_on):
    fails_on(1, 2, 3)
    with pytest.raises(BadInput, match="Internal error"):
        read(ocr, scans(tmp_path / "x.tif"), tmp_path / "out")


def test_second_reading_that_fails_is_reported(ocr: Ocr, tmp_path: Path, monkeypatch):
    def read_again(image, turned):
        raise ValueError("cannot reshape array of size 0")

    monkeypatch.setattr(ocr._engine, "read_again", read_again)
    with pypdfium2.PdfDocument(SAMPLES / "bank" / "statement.pdf") as pdf:
        del pdf[0]
        pdf.save(tmp_path / "x.pdf")
    options = {"task": "bank-statement", "second_reading": "always", "dpi": 100}
    finished = read(ocr, tmp_path / "x.pdf", tmp_path / "out", **options)
    failures = [reason.rsplit(":", 1)[0] for reason in finished.review if "second reading" in reason]
    assert failures == ["page 1: the second reading failed"]
    assert "reshape" not in " ".join(finished.review) and (tmp_path / "out" / "page.csv").exists()


def test_errors_of_memory_and_disk_are_not_bad_input(tmp_path: Path, monkeypatch):
    from processors.pages import picture

    for error in (MemoryError(), OSError(5, "Input/output error")):

        def read(self, number, error=error):
            raise error

        monkeypatch.setattr(picture._PicturePages, "read", read)
        source = scans(tmp_path / "x.tif")
        with pytest.raises(type(error)), open_pages(source, "image/tiff", max_pixels=10**6) as pages:
            pages.read(1)


def test_pdf_that_pdfium_cannot_count_is_bad_input(tmp_path: Path, monkeypatch):
    def __len__(self):
        raise OverflowError("Python int too large to convert to C int")

    monkeypatch.setattr(pypdfium2.PdfDocument, "__len__", __len__)
    (tmp_path / "x.pdf").write_bytes(a_pdf(b"0041"))
    says = "Internal error while opening this file"
    with pytest.raises(BadInput, match=says), open_pages(tmp_path / "x.pdf", "application/pdf", max_pixels=10**6):
        pass


def test_file_name_that_is_not_utf8_can_be_written(ocr: Ocr, tmp_path: Path):
    source = tmp_path / b"caf\xe9.pdf".decode("utf-8", "surrogateescape")
    source.write_bytes(a_pdf(b"0041"))
    for task, forms in (("read", ["txt", "md", "json"]), *statements.FORMATS.items()):
        read(ocr, source, tmp_path / task, task=task, formats=forms)
        for path in (tmp_path / task).glob("*.[tmj]*"):
            path.read_text(encoding="utf-8")


@pytest.mark.parametrize("size", [(65_000, 6), (6, 65_000), (40_000, 1), (1, 900), (12_000, 40), (20_000, 500), (1, 1)])
def test_page_of_any_shape_takes_bounded_memory(ocr: Ocr, size: tuple[int, int]):
    """Detection enlarges a small page, and pads a thin one: without limits, up to terabytes."""
    from processors.ocr import detection

    image = Image.new("RGB", size, "black")
    for scale in (0.1, 1.0, 736 / min(size)):
        prepared, factors = detection.prepare(image, (0, 0, *size), scale)
        height, width, _ = prepared.shape
        assert max(width, height) <= 25 * min(width, height)
        assert width * factors[0] >= size[0] and height * factors[1] >= size[1]
        assert width * height < 15_000_000
    assert ocr._engine.read(image) == ([], [])


def test_page_of_one_pixel_has_no_text(ocr: Ocr, tmp_path: Path):
    Image.new("RGB", (1, 1), "white").save(tmp_path / "x.png")
    finished = read(ocr, tmp_path / "x.png", tmp_path / "out")
    assert finished.review == ("page 1: no text was found",)


@pytest.mark.parametrize("degrees", [0, 90, 180, 270])
def test_text_layer_of_a_rotated_page_is_read_upright(ocr: Ocr, tmp_path: Path, degrees: int):
    drawn = canvas.Canvas(str(tmp_path / "drawn.pdf"), pagesize=(600, 600))
    drawn.setPageRotation(degrees)
    drawn.translate(300, 300)
    drawn.rotate(degrees)
    for row in range(3):
        drawn.drawString(-250, 150 - 20 * row, f"{LINE} {row}")
    drawn.rotate(90)
    drawn.drawString(-150, 280, "Contract number 7734-B")
    drawn.save()
    finished = read(ocr, tmp_path / "drawn.pdf", tmp_path)
    assert finished.details["pages_from_text_layer"] == [1]
    lines = (tmp_path / "page.txt").read_text().splitlines()
    assert lines == ["Contract number 7734-B", *(f"{LINE} {row}" for row in range(3))]
