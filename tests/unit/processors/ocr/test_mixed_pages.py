"""PDF pages whose text layer is wrong, or not all that the page shows: real PDFs, real OCR."""

import json
import random
import string
import zlib
from pathlib import Path

import pytest
from pdf_files import LINES, one_page, show, stream, to_unicode
from PIL import Image, ImageDraw
from works import work_on

from processors.contract import Progress
from processors.ocr import Ocr, ReadOptions
from processors.ocr.regions import join, rotate
from processors.ocr.text_lines import TextBox

MORE = ("Notice period: three months to the end of a quarter.", "Meter reading on moving in: 48213 kWh.")
TEXT = (*LINES, *MORE)


@pytest.fixture
def read(ocr: Ocr, tmp_path: Path):
    def read_one(content: bytes, **options: object) -> tuple[list[str], tuple[str, ...], str]:
        (tmp_path / "x.pdf").write_bytes(content)
        chosen = ReadOptions(**{"formats": ("txt", "json"), **options})
        work = work_on(tmp_path / "x.pdf", stem="page", options=chosen)
        finished = ocr.process_one(work, Progress(lambda message: None))
        source = json.loads((tmp_path / "page.json").read_text())["pages"][0]["source"] if not options else ""
        found = (tmp_path / "page.txt").read_text(encoding="utf-8").splitlines()
        return [line.strip() for line in found], finished.review, source

    return read_one


def lines(*texts: str) -> str:
    return "".join(show(text, y=740 - 18 * at) for at, text in enumerate(texts))


def drawn(*texts: str, size: int = 26) -> Image.Image:
    """The texts on a picture 160 dpi high, as a scan."""
    picture = Image.new("L", (1360, 60 * len(texts) + 40), "white")
    for at, text in enumerate(texts):
        ImageDraw.Draw(picture).text((120, 60 * at + 30), text, fill="black", font_size=size)
    return picture


def image(picture: Image.Image) -> bytes:
    entries = b"/Type /XObject /Subtype /Image /ColorSpace /DeviceGray /BitsPerComponent 8 /Filter /FlateDecode "
    size = b"/Width %d /Height %d" % picture.size
    return stream(zlib.compress(picture.tobytes()), entries + size)


_PRINTABLE = [code for code in range(0x20, 0x7B) if chr(code).isalnum() or chr(code) in " .,:"]


def _shifted() -> dict[int, str]:
    return {code: chr(code + 1) for code in _PRINTABLE}


def _all_the_same() -> dict[int, str]:
    return {code: "A" for code in _PRINTABLE if chr(code).isalnum()}


def _permuted(characters: str) -> dict[int, str]:
    other = random.Random(7).sample(characters, len(characters))
    return {ord(one): two for one, two in zip(characters, other, strict=True)}


_TABLES = {
    "shifted": _shifted(),
    "all the same": _all_the_same(),
    "permuted letters": _permuted(string.ascii_lowercase),
    "permuted digits": _permuted(string.digits),
    "Greek": {ord(letter): chr(0x3B1 + at % 24) for at, letter in enumerate(string.ascii_lowercase)},
    "Latin-1": {ord(letter): chr(0xE0 + at) for at, letter in enumerate(string.ascii_lowercase)},
    "Cyrillic": {ord(letter): chr(0x430 + at) for at, letter in enumerate(string.ascii_lowercase)},
    "symbols": {ord(letter): "«“√‘™°±≤"[at % 8] for at, letter in enumerate(string.ascii_letters)},
    "rare ideographs": {ord(letter): chr(0x9F00 + at) for at, letter in enumerate(string.ascii_letters)},
    "two digits exchanged": {0x31: "5", 0x35: "1", 0x30: "2", 0x32: "0"},
    "private use": {code: chr(0xE000 + code) for code in _PRINTABLE if chr(code).isdigit()},
    "no meaning": {code: "\ufffd" for code in _PRINTABLE if chr(code).isalpha()},
}


@pytest.mark.parametrize("table", list(_TABLES))
def test_layer_with_a_wrong_table_is_read_by_ocr(read, table: str):
    content = one_page(lines(*TEXT), to_unicode(_TABLES[table]), font=b"/ToUnicode 6 0 R")
    found, review, source = read(content)
    assert found == list(TEXT) and "OCR" in source
    assert len(review) == 1 and "words of the text layer that the page does not show, so OCR read them" in review[0]


@pytest.mark.parametrize("table", ["shifted", "private use"])
def test_statement_with_a_wrong_table_is_read_by_ocr(read, table: str):
    content = one_page(lines(*TEXT), to_unicode(_TABLES[table]), font=b"/ToUnicode 6 0 R")
    found, _, _ = read(content, task="bank-statement", formats=("txt",), second_reading="never")
    assert found == list(TEXT)


def test_page_of_strips_is_read_beside_its_stamp(read):
    scan = drawn(*TEXT)
    strips = [scan.crop((0, top, scan.width, min(scan.height, top + 40))) for top in range(0, scan.height, 40)]
    places = "".join(
        f"q 612 0 0 {strip.height * 0.45:.2f} 0 {650 - (at * 40 + strip.height) * 0.45:.2f} cm /I{at} Do Q "
        for at, strip in enumerate(strips)
    )
    names = b" ".join(b"/I%d %d 0 R" % (at, 6 + at) for at in range(len(strips)))
    content = show("Scanned on 12 March") + places
    found, review, source = read(
        one_page(content, *(image(strip) for strip in strips), resources=b"/XObject << %s >>" % names)
    )
    assert found == ["Scanned on 12 March", *TEXT]
    assert (review, source) == ((), "text layer and OCR")


def test_picture_within_a_form_is_read(read):
    small = b"/Type /XObject /Subtype /Form /BBox [0 0 1 1] /Matrix [612 0 0 153 0 400] "
    nested = stream(b"q 1 0 0 1 0 0 cm /I0 Do Q", small + b"/Resources << /XObject << /I0 7 0 R >> >>")
    found, _, _ = read(
        one_page(
            lines("Invoice 117", "of Larkfield Joinery") + "/X0 Do",
            nested,
            image(drawn(*TEXT)),
            resources=b"/XObject << /X0 6 0 R >>",
        )
    )
    assert found == ["Invoice 117", "of Larkfield Joinery", *TEXT]


def test_layer_of_a_scan_is_not_believed(read):
    """A layer that a program wrote invisibly over the picture."""
    hidden = "3 Tr " + lines("Rental agreenent betvveen", "The rnonthly rent is 9999.00 EUR") + " 0 Tr "
    scan = "q 612 0 0 153 0 500 cm /I0 Do Q "
    found, review, _ = read(one_page(scan + hidden, image(drawn(*TEXT)), resources=b"/XObject << /I0 6 0 R >>"))
    assert found == list(TEXT) and review == ()


def test_picture_over_text_hides_it(read):
    cover = "q 612 0 0 153 0 630 cm /I0 Do Q "
    found, review, _ = read(
        one_page(lines("Secret words below") + cover, image(drawn(*TEXT)), resources=b"/XObject << /I0 6 0 R >>")
    )
    assert found == list(TEXT)
    assert review == ("page 1: text that is covered or switched off was left out: 16 characters",)


def test_text_that_is_drawn_twice_is_read_once(read):
    bold = show("Bold by two") + show("Bold by two", x=60.3)
    assert read(one_page(bold))[0] == ["Bold by two"]


def test_picture_that_is_rotated_is_read(read):
    picture = Image.new("L", (1000, 160), "white")
    ImageDraw.Draw(picture).text((30, 20), "Rotated inside the page", fill="black", font_size=40)
    content = show("Upright") + "q 64 0 0 400 60 200 cm /I0 Do Q"
    turned = image(picture.rotate(90, expand=True))
    found, review, _ = read(one_page(content, turned, resources=b"/XObject << /I0 6 0 R >>"))
    assert sorted(found) == ["Rotated inside the page", "Upright"] and review == ()


def test_logo_that_returns_is_read_once(ocr: Ocr, read, monkeypatch):
    calls = []
    real = ocr._engine.read_part
    monkeypatch.setattr(ocr._engine, "read_part", lambda picture: calls.append(picture) or real(picture))
    content = one_page(
        lines(*LINES) + "q 306 0 0 45 60 400 cm /I0 Do Q q 306 0 0 45 60 200 cm /I0 Do Q",
        image(drawn("Larkfield Joinery", size=60)),
        resources=b"/XObject << /I0 6 0 R >>",
    )
    found, _, _ = read(content)
    assert found == [*LINES, "Larkfield Joinery", "Larkfield Joinery"] and len(calls) <= 2


def test_regions_that_overlap_are_one():
    assert join([(0, 0, 10, 10), (20, 0, 30, 10), (5, 5, 25, 8)]) == [(0, 0, 30, 10)]


@pytest.mark.parametrize("degrees", [0, 90, 180, 270])
def test_position_is_rotated_with_its_image(degrees: int):
    box = TextBox(text="x", confidence=1.0, corners=((1, 2), (5, 2), (5, 4), (1, 4)))
    picture = Image.new("L", (20, 10))
    picture.putpixel((1, 2), 255)
    turned = picture.rotate(-degrees, expand=True)
    there = rotate(box, picture.size, degrees)
    x, y = min(x for x, _ in there.corners), min(y for _, y in there.corners)
    near = [(x + dx, y + dy) for dx in range(4) for dy in range(4)]
    assert any(turned.getpixel((int(a), int(b))) for a, b in near if a < turned.width and b < turned.height)
    back = rotate(there, turned.size, (360 - degrees) % 360)
    assert back.corners == box.corners


@pytest.mark.parametrize("matrix", ["0 1 -1 0 612 0", "0 -1 1 0 0 792", "-1 0 0 -1 612 792"])
def test_table_that_is_drawn_rotated_is_read_from_its_layer(read, matrix: str):
    rows = [("Item", "Qty", "Price"), ("Shelf", "3", "2.50"), ("Bracket", "6", "5.00")]
    cells = [show(cell, 60 + 180 * x, 500 - 24 * y) for y, row in enumerate(rows) for x, cell in enumerate(row)]
    found, review, source = read(one_page(f"q {matrix} cm {''.join(cells)} Q"))
    assert [tuple(line.split()) for line in found if line] == rows and source == "text layer" and review == ()
