"""Real OCR of the samples, whose text is known, and boxes made by hand, grouped into lines."""

import dataclasses
import json
import re
import subprocess
import sys
from pathlib import Path

import pypdfium2 as pdfium
import pytest
from einvoice_samples import PAGE, XML
from paths import ROOT
from PIL import Image, ImageDraw, ImageFont, ImageOps
from reportlab.pdfgen import canvas
from works import work_on

from processors.contract import BadInput, Progress, Work
from processors.ocr import Ocr, OcrOptions, ReadOptions, text_lines
from processors.ocr.text_lines import TextBox

SAMPLES = ROOT / "samples" / "inbox"
LOCKED = ROOT / "tests" / "data" / "locked.pdf"
FONT = ImageFont.load_default(28)
TRUTH = json.loads((ROOT / "samples" / "truth.json").read_text())


def _work(source: Path, outputs: Path, media_type: str = "image/png", **options: object) -> Work:
    outputs.mkdir(parents=True, exist_ok=True)
    return work_on(source, outputs=outputs, media_type=media_type, stem="page", options=ReadOptions(**options))


def _read(ocr: Ocr, source: Path, outputs: Path, media_type: str = "image/png", **options: object):
    reports = []
    finished = ocr.process_one(_work(source, outputs, media_type, **options), Progress(reports.append))
    return finished, (outputs / "page.txt").read_text(), json.loads((outputs / "page.json").read_text()), reports


@pytest.fixture(scope="module")
def receipt(ocr: Ocr, tmp_path_factory):
    return _read(ocr, SAMPLES / "receipt.jpg", tmp_path_factory.mktemp("receipt"), "image/jpeg")


def test_receipt_is_read_line_by_line(receipt):
    finished, text, _, _ = receipt
    truth = TRUTH["receipt.jpg"]
    assert truth["shop"].upper() in text.splitlines()[0]
    for item in truth["items"]:
        line = next(line for line in text.splitlines() if item["description"].split()[0] in line)
        assert line.endswith(item["price"])
    assert finished.review == () and finished.excerpt.startswith("CORNER LARDER")


def test_items_of_a_receipt_add_up_to_the_total(ocr: Ocr, tmp_path: Path):
    work = _work(SAMPLES / "receipt.jpg", tmp_path, "image/jpeg", task="receipt")
    finished = ocr.process_one(work, Progress(lambda message: None))
    truth, read = TRUTH["receipt.jpg"], json.loads((tmp_path / "page.json").read_text())
    assert [item["price"] for item in read["items"]] == [item["price"] for item in truth["items"]]
    assert (read["total"], read["date"]) == (truth["total"], truth["date"])
    assert finished.review == () and finished.files[0] == "page.md"


def test_invoice_is_read_from_its_text_layer_and_its_einvoice(ocr: Ocr, tmp_path: Path):
    drawn = canvas.Canvas(str(tmp_path / "drawn.pdf"))
    drawn.setFont("Courier", 9)
    for row, line in enumerate(PAGE.strip().split("\n")):
        drawn.drawString(40, 780 - 14 * row, line)
    drawn.save()
    path = tmp_path / "invoice.pdf"
    document = pdfium.PdfDocument(tmp_path / "drawn.pdf")
    for is_electronic in (False, True):
        if is_electronic:
            document.new_attachment("factur-x.xml").set_data(XML.encode())
        document.save(path)
        work = _work(path, tmp_path, "application/pdf", task="invoice")
        finished = ocr.process_one(work, Progress(lambda message: None))
        read = json.loads((tmp_path / "page.json").read_text())
        assert finished.files == ("page.md", "page.csv", "page.json") and finished.review == ()
        assert (read["gross"], read["number"], read["date"]) == ("1249.50", "RE-17", "2025-03-12")
        assert read["lines"][0]["description"] == ("Montage vor Ort" if is_electronic else "Montage")


def test_json_has_boxes_within_the_page_and_confidences(receipt):
    page = receipt[2]["pages"][0]
    pieces = [piece for line in page["lines"] for piece in line["pieces"]]
    assert len(pieces) > 20
    for piece in pieces:
        assert 0.5 < piece["confidence"] <= 1
        assert len(piece["box"]) == 4
        assert all(-1 <= x <= page["width"] + 1 and -1 <= y <= page["height"] + 1 for x, y in piece["box"])


def test_every_row_of_the_statement_is_read_with_its_amounts(ocr: Ocr, tmp_path: Path):
    """Its first page and an empty page; tests/integration/test_samples.py reads both pages."""
    with pdfium.PdfDocument(SAMPLES / "bank" / "statement.pdf") as pdf:
        del pdf[1]
        pdf.new_page(100, 100)
        pdf.save(tmp_path / "statement.pdf")
    finished, text, _, reports = _read(ocr, tmp_path / "statement.pdf", tmp_path / "out", "application/pdf", dpi=150)
    amounts = [re.findall(r"-?\d[\d,]*\.\d\d", line) for line in text.splitlines()]
    wanted = [[row[key] for key in ("paid_out", "paid_in", "balance") if row[key]] for row in _rows_of_page_1()]
    read = [[amount.replace(",", "") for amount in row] for row in amounts if len(row) == 2]
    assert read == wanted
    assert (finished.pages, text.count("\f")) == (2, 1)
    assert [(progress.done, progress.total, progress.unit) for progress in reports] == [
        (1, 2, "pages"),
        (2, 2, "pages"),
    ]


def _rows_of_page_1() -> list[dict]:
    return TRUTH["bank/statement.pdf"]["pages"][0]["rows"]


def test_photo_rotated_by_90_degrees_is_read_upright(ocr: Ocr, tmp_path: Path):
    with Image.open(SAMPLES / "receipt.jpg") as photo:
        ImageOps.exif_transpose(photo).resize((600, 800)).rotate(90, expand=True).save(tmp_path / "turned.png")
    _, text, facts, _ = _read(ocr, tmp_path / "turned.png", tmp_path / "out")
    assert facts["pages"][0]["turned"] == 90
    assert text.splitlines()[0].strip() == "CORNER LARDER"


def _upside_down() -> Image.Image:
    return _lines(400, 500).rotate(180)


def _lines(width: int, height: int) -> Image.Image:
    """A page with six lines of print."""
    page = Image.new("RGB", (width, height), "white")
    draw = ImageDraw.Draw(page)
    for number in range(6):
        draw.text((20, 20 + 45 * number), f"Balance 100{number} is 12.50", font=FONT, fill="black")
    return page


def test_page_upside_down_is_read_upright(ocr: Ocr, tmp_path: Path):
    _upside_down().save(tmp_path / "turned.png")
    _, text, facts, _ = _read(ocr, tmp_path / "turned.png", tmp_path / "out")
    assert facts["pages"][0]["turned"] == 180
    assert text.splitlines()[0].strip() == "Balance 1000 is 12.50"


def test_page_after_a_rotated_one_is_rotated_before_it_is_read(ocr: Ocr, tmp_path: Path, monkeypatch):
    turned = _upside_down()
    turned.save(tmp_path / "turned.pdf", save_all=True, append_images=[turned])
    reads = []
    read = ocr._engine._read
    monkeypatch.setattr(ocr._engine, "_read", lambda image: reads.append(image) or read(image))
    _, _, facts, _ = _read(ocr, tmp_path / "turned.pdf", tmp_path / "out", "application/pdf", dpi=72)
    assert [page["turned"] for page in facts["pages"]] == [180, 180]
    assert len(reads) == 3  # the first page both ways


def test_wide_upright_page_is_not_rotated(ocr: Ocr, tmp_path: Path):
    wide = _lines(900, 300)
    wide.save(tmp_path / "wide.png")
    _, text, facts, _ = _read(ocr, tmp_path / "wide.png", tmp_path / "out")
    assert facts["pages"][0]["turned"] == 0
    assert "Balance 1003 is 12.50" in text


def test_encrypted_pdf_is_opened_with_its_password(ocr: Ocr, tmp_path: Path):
    (tmp_path / "x.password").write_text("pâte 7 à tarte", encoding="utf-8")
    work = _work(LOCKED, tmp_path / "out", "application/pdf", dpi=72)
    work = dataclasses.replace(work, sidecars={"password": tmp_path / "x.password"})
    assert ocr.process_one(work, Progress(lambda message: None)).pages == 2


def test_empty_page_needs_review(ocr: Ocr, tmp_path: Path):
    Image.new("RGB", (400, 300), "white").save(tmp_path / "white.png")
    finished, text, _, _ = _read(ocr, tmp_path / "white.png", tmp_path / "out")
    assert finished.review == ("page 1: no text was found",)
    assert text.strip() == ""


def test_tall_image_stays_legible(ocr: Ocr, tmp_path: Path):
    wanted = [f"Line {number:03d} item price {number * 3.17:.2f}" for number in range(1, 21)]
    tall = Image.new("RGB", (500, 96 * len(wanted) + 40), "white")
    draw = ImageDraw.Draw(tall)
    for number, line in enumerate(wanted):
        draw.text((30, 20 + 96 * number), line, font=ImageFont.load_default(22), fill="black")
    tall.save(tmp_path / "tall.png")
    _, text, _, _ = _read(ocr, tmp_path / "tall.png", tmp_path / "out")
    assert sum(line in text for line in wanted) >= 19


def test_models_are_open_once_loaded(ocr: Ocr):
    fresh = Ocr()
    loaded = fresh.load(OcrOptions(threads=1), Path("unused"), Progress(lambda message: None))
    assert "det" in loaded.model and "rec" in loaded.model
    assert fresh._engine._rapidocr.text_det is not None and fresh._engine._rapidocr.text_rec is not None


def test_broken_pdf_is_bad_input(ocr: Ocr, tmp_path: Path):
    with pytest.raises(BadInput, match="PDF"):
        ocr.process_one(_work(SAMPLES / "broken.pdf", tmp_path, "application/pdf"), Progress(lambda message: None))


def test_only_the_requested_format_is_written(ocr: Ocr, tmp_path: Path):
    picture = Image.new("RGB", (300, 100), "white")
    ImageDraw.Draw(picture).text((20, 20), "TOTAL 21.10", font=FONT, fill="black")
    picture.save(tmp_path / "total.png")
    work = _work(tmp_path / "total.png", tmp_path / "out", formats=("md",))
    assert ocr.process_one(work, Progress(lambda message: None)).files == ("page.md",)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["page.md"]
    assert "TOTAL" in (tmp_path / "out" / "page.md").read_text()


def test_importing_the_processor_imports_no_engine():
    engines = "('rapidocr', 'cv2', 'numpy', 'PIL', 'onnxruntime')"
    code = f"import processors.ocr, sys; print([name for name in {engines} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr


# ---------------------------------------------------------------------------------------------- lines


def _box(text: str, x: float, y: float, *, skew: float = 0.0, height: float = 20.0) -> TextBox:
    """Text at (x, y), ten pixels per character, on a page whose lines fall by `skew` pixels per pixel."""
    right = x + 10 * len(text)
    corners = (
        (x, y + x * skew),
        (right, y + right * skew),
        (right, y + right * skew + height),
        (x, y + x * skew + height),
    )
    return TextBox(text=text, confidence=1.0, corners=corners)


def test_lines_go_from_top_to_bottom_and_left_to_right():
    pieces = [
        _box("world", 100, 0),
        _box("third", 0, 60),
        _box("hello", 0, 2),
        _box("second", 0, 30),
    ]
    assert [[piece.text for piece in line] for line in text_lines.group_lines(pieces)] == [
        ["hello", "world"],
        ["second"],
        ["third"],
    ]


def test_skewed_page_keeps_its_lines():
    skew = 0.03  # over 1000 pixels a line falls by more than its height
    pieces = [
        _box(f"r{row}c{column}words", column * 400, row * 26, skew=skew) for row in range(5) for column in range(3)
    ]
    lines = [[piece.text for piece in line] for line in text_lines.group_lines(pieces)]
    assert lines == [[f"r{row}c{column}words" for column in range(3)] for row in range(5)]


def test_columns_of_a_table_are_aligned():
    rows = [("01 May", "Rent", "845.00"), ("02 May", "Water", " 31.46")]
    pieces = [_box(cell, x, 30 * y) for y, row in enumerate(rows) for cell, x in zip(row, (0, 200, 400), strict=True)]
    first, second = text_lines.format_lines(text_lines.group_lines(pieces)).splitlines()
    assert first.index("Rent") == second.index("Water")
    assert first == "01 May              Rent                845.00"


def test_words_of_one_sentence_are_one_space_apart():
    pieces = [_box("read", 0, 0), _box("me", 46, 0)]
    assert text_lines.format_lines(text_lines.group_lines(pieces)) == "read me"


# ---------------------------------------------------------------------------------------------- elongated pages


@pytest.mark.parametrize("size", [(9, 65_000), (65_000, 9), (500, 60_000), (30_000, 30)])
def test_input_of_the_detector_is_bounded_for_every_shape(size: tuple[int, int]):
    from processors.ocr import detection

    prepared, _ = detection.prepare(Image.new("RGB", size, "white"), (0, 0, *size), 736 / min(size))
    assert prepared.shape[0] * prepared.shape[1] < 4_100_000
    assert 1 / 26 < prepared.shape[0] / prepared.shape[1] < 26


def test_positions_in_a_reduced_strip_are_those_on_the_page(ocr: Ocr, monkeypatch: pytest.MonkeyPatch):
    from processors.ocr import detection

    strip = Image.new("RGB", (4000, 150), "white")
    ImageDraw.Draw(strip).text((3000, 20), "Strawberries", fill="black", font_size=60)
    monkeypatch.setattr(detection, "_MAX_PADDED_PIXELS", 360_000)  # a strip of 3000 pixels
    (piece,), _ = ocr._engine.read(strip)
    assert piece.text == "Strawberries" and piece.corners[0][0] == pytest.approx(3000, abs=30)


def test_strip_among_the_pages_of_a_statement_fails_alone(ocr: Ocr, tmp_path: Path):
    with pdfium.PdfDocument(SAMPLES / "bank" / "statement.pdf") as pdf:
        del pdf[1]
        pdf.new_page(100_000, 0.01, index=1)
        pdf.save(tmp_path / "x.pdf")
    work = _work(tmp_path / "x.pdf", tmp_path / "out", "application/pdf", task="bank-statement", dpi=150)
    finished = ocr.process_one(work, Progress(lambda message: None))
    assert finished.pages == 2
    assert any("Page 2 is too thin to read (100000 by 0.01 points)" in each for each in finished.review)
    assert json.loads((tmp_path / "out" / "page.json").read_text())["statements"][0]["rows"]
