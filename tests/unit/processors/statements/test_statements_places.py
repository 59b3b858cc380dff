"""Where rows and header values are printed: boxes that contain what they are said to contain, on any page."""

import json
import math
import re
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import jsonschema
import pypdfium2
import pytest
from paths import ROOT
from PIL import Image
from typed_pages import read_typed, typed_page
from works import work_on

from benchmarks.statement_pages.drawing import draw
from benchmarks.statement_pages.layouts import LAYOUTS
from processors import statements
from processors.contract import Progress
from processors.ocr import Ocr, ReadOptions, orientation
from processors.statements import Box, PageFrame, StatementDocument, from_page_answers, read_statements
from tests.unit.processors.statements.layout_parameters import each_layout

SCHEMA = json.loads((ROOT / "docs" / "statement.schema.json").read_text())
PAGE = """
    Account holder: Ms Eleanor Marsh           Account number: 0001 2345
    Statement period 1 May 2024 to 31 May 2024            Page 1 of 1
    All amounts in GBP
    Date       Description             Paid out   Paid in   Balance
    01 May 2024   Opening balance                            100.00
    02 May 2024   Rent Larkfield          40.00               60.00
                  Lettings May
    03 May 2024   Salary                            50.00    110.00
    05 May 2024   Shop                    10.00              100.00
    06 May 2024   Closing balance                            100.00
    Totals                                50.00     50.00
"""


def _read_framed(text: str, frame: PageFrame) -> StatementDocument:
    document = read_statements([replace(typed_page(text), frame=frame)])
    statements.verify(document)
    return document


def _json(document: StatementDocument, path: Path) -> dict:
    statements.write_json(document, path)
    written = json.loads(path.read_text())
    jsonschema.Draft202012Validator(SCHEMA).validate(written)
    return written


def _lines_of(box: Box, height: float) -> tuple[int, int]:
    """The first and the last line of a typed page in a box."""
    return round(box[1] * height / 14), round((box[3] * height - 10) / 14)


def test_box_of_a_row_has_all_its_lines():
    document = _read_framed(PAGE, PageFrame(width=600, height=400))
    assert [_lines_of(row.box, 400) for row in document.rows] == [(5, 6), (7, 7), (8, 8)]
    assert document.rows[0].box == (0.0, 0.175, 0.63, 0.235)  # 63 characters of 6 units, 2 lines


def test_header_values_have_their_places():
    (statement,) = _read_framed(PAGE, PageFrame(width=600, height=400)).statements
    places = statement.places
    lines = {name: _lines_of(place.box, 400)[0] for name, place in vars(places).items() if place}
    wanted = {"holder": 0, "account": 0, "period": 1, "currency": 2, "opening": 4, "closing": 9}
    wanted |= {"printed_debits": 10, "printed_credits": 10}
    assert (statement.holder, statement.account, statement.currency) == ("Ms Eleanor Marsh", "00012345", "GBP")
    assert lines == wanted and {place.page for place in vars(places).values() if place} == {1}
    assert round(places.holder.box[0] * 100) == 16 and round(places.account.box[0] * 100) == 59  # the values alone
    assert round(places.period.box[2] * 100) == 42  # without the number of the page


def test_value_that_is_derived_has_the_place_of_what_it_is_derived_from():
    text = """
        Date       Description             Paid out   Paid in   Balance
        02 May 2024   Rent Larkfield          40.00               60.00
        03 May 2024   Salary                            50.00    110.00
        05 May 2024   Shop                    10.00              100.00
    """
    (statement,) = _read_framed(text, PageFrame(width=600, height=400)).statements
    assert statement.closing == Decimal("100.00") and statement.places.closing.box == statement.rows[-1].box
    assert statement.places.opening is None and statement.places.period is None


def test_page_of_unknown_size_gives_pages_without_boxes(tmp_path: Path):
    document = read_typed(PAGE)
    assert {row.box for row in document.rows} == {None}
    assert document.statements[0].places.account == statements.Place(1, None)
    assert _json(document, tmp_path / "s.json")["statements"][0]["rows"][0]["box"] is None


def test_model_gives_pages_without_boxes(tmp_path: Path):
    answer = dict.fromkeys(statements.page_schema()["properties"])
    row = {"date": "02/05/2024", "description": "Rent", "debit": "40.00", "balance": "60.00"}
    answer |= {"holder": "Ms E Marsh", "account": "1234", "opening": "100.00", "closing": "60.00", "rows": [row]}
    document = from_page_answers([(3, answer)])
    statements.verify(document)
    (read,) = _json(document, tmp_path / "s.json")["statements"]
    assert (read["rows"][0]["page"], read["rows"][0]["box"]) == (3, None)
    assert read["places"]["opening"] == {"page": 3, "box": None} == read["places"]["holder"]


def test_amounts_without_decimals_keep_their_places():
    yen = re.sub(r"(\d+)\.00", r"\1,000", PAGE).replace("GBP", "JPY")
    (statement,) = _read_framed(yen, PageFrame(width=600, height=400)).statements
    assert statement.opening == Decimal(100000) and _lines_of(statement.places.opening.box, 400) == (4, 4)


def test_what_is_not_understood_has_its_place(tmp_path: Path):
    odd = PAGE.replace("    05 May 2024   Shop", "    04 May 2024   a date alone\n    05 May 2024   Shop")
    document = _read_framed(odd, PageFrame(width=600, height=400))
    (unread,) = _json(document, tmp_path / "s.json")["unread"]
    assert (unread["why"], _lines_of(unread["box"], 400)) == ("a date without an amount", (8, 8))


@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
@pytest.mark.parametrize("slope", [0.0, 0.02, -0.02])
def test_box_on_a_rotated_and_skewed_page_is_found_on_the_page_as_it_is(rotation: int, slope: float):
    """A dark bar on a page; the page is turned as OCR turns it, and the bar's box on that deskewed page turned back."""
    picture = Image.new("L", (400, 600), 255)
    picture.paste(0, (240, 90, 300, 110))
    wanted = tuple(side / length for side, length in zip((240, 90, 300, 110), (400, 600) * 2, strict=True))
    upright = orientation.rotate(picture, rotation)
    left, top, right, bottom = upright.point(lambda value: 255 - value).getbbox()
    cosine, sine = math.cos(-slope), math.sin(-slope)
    middle = (left + right) / 2, (top + bottom) / 2
    x, y = middle[0] * cosine - middle[1] * sine, middle[0] * sine + middle[1] * cosine
    half = (right - left) / 2, (bottom - top) / 2
    frame = PageFrame(width=upright.width, height=upright.height, slope=slope, rotation=rotation)
    found = frame.to_fractions((x - half[0], y - half[1], x + half[0], y + half[1]))
    assert found == pytest.approx(wanted, abs=0.01 if slope else 0.0001)


def test_box_outside_the_page_ends_at_its_edge():
    assert PageFrame(width=100, height=100).to_fractions((-5, 50, 120, 130)) == (0.0, 0.5, 1.0, 1.0)


def _process(source: Path, outputs: Path, by: Ocr, **options: object) -> dict:
    outputs.mkdir(exist_ok=True)
    chosen = ReadOptions(task="bank-statement", formats=("json",), **options)
    work = work_on(source, outputs=outputs, stem="read", recipe="bank-statement", options=chosen)
    by.process_one(work, Progress(lambda message: None))
    read = json.loads((outputs / "read.json").read_text())
    jsonschema.Draft202012Validator(SCHEMA).validate(read)
    return read


def _text_in(page: pypdfium2.PdfPage, box: list[float]) -> str:
    """The text of a PDF page within a box, without spaces."""
    width, height = page.get_size()
    left, top, right, bottom = (side * length for side, length in zip(box, (width, height) * 2, strict=True))
    text = page.get_textpage().get_text_bounded(left - 1, height - bottom - 1, right + 1, height - top + 1)
    return re.sub(r"\s", "", text)


@pytest.mark.parametrize("layout", each_layout("uk-classic", "de-sollhaben"))
def test_each_box_of_a_text_layer_contains_its_row_and_no_other(layout, tmp_path: Path):
    draw(layout, 1, tmp_path / "statement.pdf")
    read = _process(tmp_path / "statement.pdf", tmp_path / "out", Ocr(), dpi=100)
    with pypdfium2.PdfDocument(tmp_path / "statement.pdf") as pdf:
        pages = list(pdf)
        for statement in read["statements"]:
            for row in statement["rows"]:
                text = _text_in(pages[row["page"] - 1], row["box"])
                assert all(word in text for word in row["description"].split())
                digits = re.sub(r"\D", "", text)
                for amount in filter(None, (row["debit"], row["credit"], row["balance"])):
                    assert re.sub(r"\D", "", amount) in digits
                assert len(text) < len(re.sub(r"\s", "", row["description"])) + 60
            place = statement["places"]["account"]
            printed = re.sub(r"\W", "", _text_in(pages[place["page"] - 1], place["box"]))
            assert re.sub(r"\W", "", statement["account"]) in printed
            for name in ("opening", "closing"):
                place = statement["places"][name]
                assert (place is None) == (statement[name] is None)
                wanted = re.sub(r"\D", "", statement[name] or "")
                assert not place or wanted in re.sub(r"\D", "", _text_in(pages[place["page"] - 1], place["box"]))


@pytest.mark.parametrize("degrees", [0, 90])
def test_boxes_of_ocr_are_where_the_text_layer_has_them(ocr: Ocr, tmp_path: Path, degrees: int):
    """A scan that lies on its side, slightly skewed; boxes are on the page as a viewer shows it."""
    draw(LAYOUTS[0], 1, tmp_path / "statement.pdf")
    with pypdfium2.PdfDocument(tmp_path / "statement.pdf") as pdf:
        picture = pdf[0].render(scale=150 / 72).to_pil().convert("L")
    skewed = picture.rotate(0.7, resample=Image.Resampling.BICUBIC, fillcolor=255).rotate(degrees, expand=True)
    skewed.save(tmp_path / "scan.pdf", resolution=150)
    exact = _process(tmp_path / "statement.pdf", tmp_path / "exact", ocr, second_reading="never")["statements"][0]
    scanned = _process(tmp_path / "scan.pdf", tmp_path / "scanned", ocr, second_reading="never")["statements"][0]
    wanted = [row["box"] for row in exact["rows"] if row["page"] == 1]
    found = [row["box"] for row in scanned["rows"]]
    assert len(found) == len(wanted) > 10
    for one, other in zip(found, wanted, strict=True):
        left, top, right, bottom = one
        turned = (1 - bottom, left, 1 - top, right) if degrees else one
        middle = (turned[0] + turned[2]) / 2, (turned[1] + turned[3]) / 2
        assert middle == pytest.approx(((other[0] + other[2]) / 2, (other[1] + other[3]) / 2), abs=0.015)
