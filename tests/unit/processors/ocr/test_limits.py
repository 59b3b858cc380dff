"""Pages at the limits of OCR, drawn here and read by the real models: what cannot be read is reported."""

from collections.abc import Callable
from pathlib import Path

import font_roboto
import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont, ImageOps
from works import work_on

from processors.contract import Progress, WorkProgress
from processors.ocr import Ocr, ReadOptions, engine

ROBOTO = str(Path(font_roboto.__file__).parent / "files" / "Roboto-Regular.ttf")
A4 = (1654, 2339)  # pixels at 200 dpi


def _page(lines: list[str], size: tuple[int, int] = (1000, 600), letters: int = 32) -> Image.Image:
    page = Image.new("RGB", size, "white")
    font = ImageFont.truetype(ROBOTO, letters)
    for number, line in enumerate(lines):
        ImageDraw.Draw(page).text((80, 80 + number * letters * 1.6), line, font=font, fill="black")
    return page


def _read(
    ocr: Ocr,
    page: Image.Image,
    folder: Path,
    form: str = "png",
    *,
    progress: Callable[[WorkProgress], object] = lambda report: None,
    **saved: object,
) -> tuple[str, tuple[str, ...]]:
    source = folder / f"page.{form}"
    page.save(source, **saved)
    work = work_on(source, outputs=folder, options=ReadOptions(formats=("txt",)))
    finished = ocr.process_one(work, Progress(progress))
    return (folder / "page.txt").read_text(), finished.review


@pytest.mark.parametrize("top", [150, 1100, 2200])
def test_one_short_line_on_a_blank_page_is_read(ocr: Ocr, tmp_path: Path, top: int):
    page = Image.new("RGB", A4, "white")
    ImageDraw.Draw(page).text((150, top), "Paid on 3 May.", font=ImageFont.truetype(ROBOTO, 36), fill="black")
    assert _read(ocr, page, tmp_path) == ("Paid on 3 May.\n", ())


def test_lines_far_apart_on_a_blank_page_are_read(ocr: Ocr, tmp_path: Path):
    page, font = Image.new("RGB", A4, "white"), ImageFont.truetype(ROBOTO, 30)
    for top, text in ((120, "Harbour office"), (1200, "Received with thanks"), (2250, "Page 4 of 9")):
        ImageDraw.Draw(page).text((500, top), text, font=font, fill="black")
    assert _read(ocr, page, tmp_path)[0].split("\n")[:3] == ["Harbour office", "Received with thanks", "Page 4 of 9"]


@pytest.mark.parametrize("letters", [150, 420])
def test_very_large_type_is_read(ocr: Ocr, tmp_path: Path, letters: int):
    assert _read(ocr, _page(["SALE", "-40 %"], A4, letters), tmp_path)[0].split() == ["SALE", "-40", "%"]


def test_fax_with_high_pixels_is_read_with_its_resolution(ocr: Ocr, tmp_path: Path):
    page = _page(["The monthly rent is 1250.00 EUR, due on the first.", "Deposit 3750.00 EUR"], (1000, 400))
    fax = page.resize((1000, 192))
    text, review = _read(ocr, fax, tmp_path, "tiff", dpi=(204, 98))
    assert "rent is 1250.00 EUR" in text and "Deposit 3750.00 EUR" in text and review == ()


def test_white_text_on_transparency_is_read(ocr: Ocr, tmp_path: Path):
    text = _page(["Total 49.90 EUR", "Paid by card"]).convert("L").point(lambda gray: 255 - gray)
    page = Image.new("RGBA", text.size, (255, 255, 255, 0))
    page.putalpha(text)
    assert _read(ocr, page, tmp_path)[0].splitlines() == ["Total 49.90 EUR", "Paid by card"]


def test_white_text_on_a_dark_page_is_read(ocr: Ocr, tmp_path: Path):
    page = ImageOps.invert(_page(["Total 49.90 EUR", "Paid by card"]))
    text, review = _read(ocr, page, tmp_path)
    assert text.splitlines() == ["Total 49.90 EUR", "Paid by card"] and review == ()


def test_white_text_on_colored_bands_is_read(ocr: Ocr, tmp_path: Path):
    page, font = _page(["Brookfield Council"], (1000, 900)), ImageFont.truetype(ROBOTO, 44)
    draw = ImageDraw.Draw(page)
    for top, ground, text in (
        (300, (20, 60, 140), "INVOICE 88341 - DUE 30 APRIL"),
        (600, (240, 150, 0), "Total 482.19"),
    ):
        draw.rectangle((0, top, 1000, top + 120), fill=ground)
        draw.text((80, top + 35), text, font=font, fill="white")
    text, review = _read(ocr, page, tmp_path)
    assert text.splitlines() == ["Brookfield Council", "INVOICE 88341 - DUE 30 APRIL", "Total 482.19"] and review == ()


def test_text_under_a_stamp_and_the_stamp_are_read(ocr: Ocr, tmp_path: Path):
    lines = ["The penalty of 65.00 pounds is cancelled.", "If you have paid already, we refund the amount", "Yours"]
    page = _page(lines, (1000, 600))
    stamp = Image.new("RGBA", (420, 130), (0, 0, 0, 0))
    draw = ImageDraw.Draw(stamp)
    draw.rectangle((4, 4, 415, 125), outline=(200, 0, 0, 170), width=6)
    draw.text((40, 35), "RECEIVED 18 MAR", font=ImageFont.truetype(ROBOTO, 44), fill=(200, 0, 0, 170))
    stamp = stamp.rotate(12, expand=True, resample=Image.Resampling.BICUBIC)
    page.paste(stamp, (480, 120), stamp)
    text, review = _read(ocr, page, tmp_path)
    assert set(text.splitlines()) == {*lines, "RECEIVED 18 MAR"}
    assert review == ("page 1: a stamp or a colored line covers text, whose words may be wrong there",)


def test_lines_of_a_skewed_page_are_read(ocr: Ocr, tmp_path: Path):
    lines = [
        "Dear Mr Okonkwo,",
        "we have your letter of 14 March.",
        "The penalty of 65.00 pounds is cancelled.",
        "Thanks",
    ]
    page = _page(lines).rotate(8, fillcolor="white")
    assert _read(ocr, page, tmp_path)[0].splitlines() == lines


def test_more_cells_than_the_default_of_the_detection_are_found(ocr: Ocr):
    page, font = Image.new("RGB", A4, "white"), ImageFont.truetype(ROBOTO, 18)
    cells = [(60 + 76 * column, 40 + 31 * row) for row in range(74) for column in range(20)]
    for number, place in enumerate(cells):
        ImageDraw.Draw(page).text(place, f"{number % 97}.{number % 89:02d}", font=font, fill="black")
    found = ocr._engine._detect_in(page, (0, 0, *A4), 1.0, ocr._engine._detector)
    assert len(cells) > 1000 and len(found) >= 0.95 * len(cells)


def test_progress_is_reported_while_a_page_is_read(ocr: Ocr, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(engine, "_LINES_AT_ONCE", 2)
    reports: list[WorkProgress] = []
    _read(ocr, _page([f"Line {number} of the letter" for number in range(6)]), tmp_path, progress=reports.append)
    assert [report.done for report in reports] == [0, 0, 1]


def test_line_that_is_probably_wrong_is_quoted(ocr: Ocr, tmp_path: Path):
    page = _page(["Brookfield Council, Parking Services", "The penalty is cancelled.", "Yours sincerely"], (1000, 900))
    page.paste(_page(["Turn the page over"], (1000, 200)).rotate(180), (0, 600))
    text, review = _read(ocr, page, tmp_path)
    assert "The penalty is cancelled." in text
    assert [reason for reason in review if reason.startswith("page 1: 1 line may be wrong: ")]


@pytest.mark.parametrize("noise", [0, 3])
def test_faint_lines_beside_dark_ones_are_read(ocr: Ocr, tmp_path: Path, noise: int):
    page, font = Image.new("L", (1000, 700), "white"), ImageFont.truetype(ROBOTO, 32)
    grays = (0, 0, 0, 225, 238)
    for number, gray in enumerate(grays):
        text = f"Line {number + 1} of the letter of 3 May"
        ImageDraw.Draw(page).text((80, 60 + number * 120), text, font=font, fill=gray)
    pixels = np.asarray(page) - 8 + np.random.default_rng(0).normal(0, noise, (page.height, page.width))
    read, review = _read(ocr, Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)), tmp_path)
    assert read.splitlines() == [f"Line {number + 1} of the letter of 3 May" for number in range(len(grays))]
    assert review == ()


def test_check_boxes_of_a_scan_are_marked(ocr: Ocr, tmp_path: Path):
    lines = ["Parking permit", "     resident", "     second car", "     electric", "     visitor"]
    page = _page(lines, (800, 500))
    draw = ImageDraw.Draw(page)
    for number, mark in enumerate(("", "cross", "tick", "fill")):
        left, top = 80, 136 + round(number * 51.2)
        draw.rectangle((left, top, left + 30, top + 30), outline="black", width=2)
        inside = {
            "cross": [(5, 5, 25, 25), (5, 25, 25, 5)],
            "tick": [(5, 15, 12, 25), (12, 25, 34, -6)],
            "fill": [(6, y, 24, y) for y in range(6, 25)],
        }
        for x1, y1, x2, y2 in inside.get(mark, []):
            draw.line((left + x1, top + y1, left + x2, top + y2), fill="black", width=4)
    read, review = _read(ocr, page.convert("L").rotate(0.5, Image.Resampling.BICUBIC, fillcolor=255), tmp_path)
    assert [" ".join(line.split()) for line in read.splitlines()] == [
        *("Parking permit", "[ ] resident", "[x] second car", "[x] electric", "[x] visitor")
    ]
    assert review == ()


def test_check_boxes_in_columns_are_marked(ocr: Ocr, tmp_path: Path):
    page = _page(["Room", "Breakfast"], (900, 260))
    for row in range(2):
        for column in range(3):
            left, top = 500 + 130 * column, 84 + row * 51
            ImageDraw.Draw(page).rectangle((left, top, left + 28, top + 28), outline="black", width=2)
            if column == row + 1:
                ImageDraw.Draw(page).line((left + 4, top + 4, left + 24, top + 24), fill="black", width=4)
                ImageDraw.Draw(page).line((left + 4, top + 24, left + 24, top + 4), fill="black", width=4)
    text, _ = _read(ocr, page, tmp_path)
    assert [" ".join(line.split()) for line in text.splitlines()] == ["Room [ ] [x] [ ]", "Breakfast [ ] [ ] [x]"]


def test_digits_in_frames_are_no_check_boxes(ocr: Ocr, tmp_path: Path):
    page = _page(["Date of birth", "Box"], (900, 260))
    for number, digit in enumerate("30112026"):
        left = 400 + 46 * number
        ImageDraw.Draw(page).rectangle((left, 78, left + 40, 122), outline="black", width=2)
        ImageDraw.Draw(page).text((left + 12, 80), digit, font=ImageFont.truetype(ROBOTO, 32), fill="black")
    ImageDraw.Draw(page).rectangle((160, 130, 204, 172), outline="black", width=2)
    ImageDraw.Draw(page).text((174, 131), "7", font=ImageFont.truetype(ROBOTO, 32), fill="black")
    first, second = _read(ocr, page, tmp_path)[0].splitlines()
    assert "".join(first.split()) == "Dateofbirth30112026" and second.split() == ["Box", "7"]


def test_characters_in_cells_are_words(ocr: Ocr, tmp_path: Path):
    page = Image.new("RGB", (1200, 500), "white")
    draw, font = ImageDraw.Draw(page), ImageFont.truetype(ROBOTO, 30)
    for top, label, text in ((60, "IBAN", "DE89370400440532"), (160, "Date", "03052024"), (260, "Name", "ANN MARSH")):
        draw.text((60, top + 4), label, font=font, fill="black")
        for number, character in enumerate(text):
            left = 200 + 40 * number
            draw.rectangle((left, top - 4, left + 40, top + 46), outline="black", width=2)
            draw.text((left + 20, top + 4), character, font=font, fill="black", anchor="ma")
    for number, character in enumerate("12345"):  # a scale
        draw.rectangle((200 + 40 * number, 356, 240 + 40 * number, 406), outline="black", width=2)
        draw.text((220 + 40 * number, 364), character, font=font, fill="black", anchor="ma")
    text, review = _read(ocr, page, tmp_path)
    assert [" ".join(line.split()) for line in text.splitlines()] == [
        "IBAN DE89370400440532",
        "Date 03052024",
        "Name ANN MARSH",
        "1 2 3 4 5",
    ]
    assert review == ()


def test_words_that_are_struck_out_are_marked(ocr: Ocr, tmp_path: Path):
    lines = ["The rent is 1,250.00 EUR per month.", "Payable on the first of a month.", "HEATING COSTS EXTRA"]
    page = _page(lines, (1240, 500), 32)
    draw, font = ImageDraw.Draw(page), ImageFont.truetype(ROBOTO, 32)
    left, end = (80 + draw.textlength(lines[0][:at], font=font) for at in (12, 20))
    draw.line((left, 102, end, 102), fill="black", width=3)
    draw.line((80, 80 + 51 + 38, 500, 80 + 51 + 38), fill="black", width=2)  # underlined
    draw.line((80, 202, 80 + draw.textlength(lines[2], font=font), 204), fill="black", width=3)
    text, review = _read(ocr, page, tmp_path)
    assert [" ".join(line.split()) for line in text.splitlines()] == lines
    assert review == ('page 1: words are struck out: "1,250.00"; "HEATING COSTS EXTRA"',)


def test_amounts_of_two_columns_are_not_glued(ocr: Ocr, tmp_path: Path):
    page, font = Image.new("RGB", (900, 500), "white"), ImageFont.truetype(ROBOTO, 30)
    for number, (item, price, amount) in enumerate((("Brush 2 x", "49,90", "99,80"), ("Paint 3 x", "12,50", "37,50"))):
        for x, text in ((80, item), (300, price), (410, amount)):
            ImageDraw.Draw(page).text((x, 100 + 60 * number), text, font=font, fill="black")
    lines = [line.split() for line in _read(ocr, page, tmp_path)[0].splitlines()]
    assert [line[-2:] for line in lines] == [["49,90", "99,80"], ["12,50", "37,50"]]


def test_line_that_runs_upwards_is_read(ocr: Ocr, tmp_path: Path):
    page = _page(["Rental agreement between both", "The monthly rent is 1250.00 EUR", "Keys handed over: two"])
    margin = Image.new("RGB", (420, 50), "white")
    ImageDraw.Draw(margin).text((8, 8), "Contract number 7734-B", font=ImageFont.truetype(ROBOTO, 28), fill="black")
    for degrees in (90, 270):
        page.paste(margin.rotate(degrees, expand=True), (900, 80))
        assert "Contract number 7734-B" in _read(ocr, page, tmp_path)[0].splitlines()


@pytest.mark.parametrize(
    "lines",
    [
        ["Σύμβαση μίσθωσης κατοικίας στην Αθήνα", "Το μηνιαίο μίσθωμα είναι 650 ευρώ"],
        ["Договор аренды жилого помещения", "Ежемесячная плата составляет 650 евро"],
        ["Hợp đồng thuê nhà ở tại thành phố", "Tiền thuê hàng tháng là mười triệu đồng mỗi tháng"],
        ["Rental agreement between the two", "Договор аренды жилого помещения", "Signed on the first of May"],
    ],
    ids=["Greek", "Cyrillic", "Vietnamese", "Latin and Cyrillic"],
)
def test_script_that_the_model_does_not_know_is_reported(ocr: Ocr, tmp_path: Path, lines: list[str]):
    _, review = _read(ocr, _page(lines), tmp_path)
    assert any("does not know" in reason or "no text" in reason or "yielded no text" in reason for reason in review)


@pytest.mark.parametrize(
    "lines",
    [
        ["חוזה שכירות לדירת מגורים", "דמי השכירות לחודש", "התשלום עד החמישי", "הפיקדון יוחזר בסוף"],
        ["عقد إيجار شقة سكنية", "قيمة الإيجار شهريا", "يدفع الإيجار في اليوم", "تعاد الوديعة عند النهاية"],
    ],
    ids=["Hebrew", "Arabic"],
)
def test_hebrew_and_arabic_are_reported_and_not_read_as_text(ocr: Ocr, tmp_path: Path, lines: list[str]):
    try:
        font = ImageFont.truetype("DejaVuSans.ttf", 36)  # no wheel contains a font with these letters
    except OSError:
        pytest.skip("DejaVu Sans is not installed")
    page = Image.new("RGB", (1000, 400), "white")
    for number, line in enumerate(lines):
        ImageDraw.Draw(page).text((940, 40 + 70 * number), line, font=font, fill="black", anchor="ra")
    ImageDraw.Draw(page).text((60, 330), "4200.00 03/05/2024", font=font, fill="black")
    text, review = _read(ocr, page, tmp_path)
    assert "".join(text.split()) == "4200.0003/05/2024"
    assert any("does not know: 4" in reason or "yielded no text: 4" in reason for reason in review)


@pytest.mark.parametrize(
    "lines",
    [
        ["Rental agreement between the landlord", "The monthly rent is 1,250.00 EUR", "fi ffl Illicit jumping i.e. j"],
        ["Größere Ausgaben müssen zwei prüfen", "Straßenbeleuchtung: 8.940,00 € zzgl. 19 % MwSt."],
        ["Umowa najmu lokalu mieszkalnego", "Zażółć gęślą jaźń, proszę państwa o ciszę"],
        ["Příliš žluťoučký kůň úpěl ďábelské ódy", "Kira sözleşmesi İstanbul'da imzalandı"],
    ],
    ids=["English", "German", "Polish", "Czech and Turkish"],
)
def test_latin_script_is_not_reported(ocr: Ocr, tmp_path: Path, lines: list[str]):
    assert _read(ocr, _page(lines), tmp_path)[1] == ()


@pytest.mark.parametrize("letters", [420, 500])
def test_very_large_type_above_ordinary_lines_is_read(ocr: Ocr, tmp_path: Path, letters: int):
    page = _page(["SALE"], A4, letters)
    for number in range(6):
        line = f"Offer {number} is valid until the stock is sold"
        ImageDraw.Draw(page).text((120, 1100 + 60 * number), line, font=ImageFont.truetype(ROBOTO, 40), fill="black")
    terms = "See the terms in our shops, please."
    ImageDraw.Draw(page).text((120, 2200), terms, font=ImageFont.truetype(ROBOTO, 17), fill="black")
    text, review = _read(ocr, page, tmp_path)
    assert text.split()[:3] == ["SALE", "Offer", "0"] and text.split("\n")[-2] == terms and review == ()
