"""Reading order of text whose positions are made by hand: columns, tables, sidebars, scripts."""

from dataclasses import replace

import pytest

from processors import bidi
from processors.ocr import reading_order, rivers
from processors.ocr.reading_order import order
from processors.ocr.text_lines import TextBox

PITCH, HEIGHT, CHARACTER = 20, 14, 7  # pixels
LEFT_COLUMN = (
    "The committee reviewed the",
    "report of the treasurer and",
    "thanked her for the clear",
    "words of all figures.",
)
RIGHT_COLUMN = (
    "Under item seven the new",
    "fence was discussed; three",
    "offers are on the table, the",
    "cheapest at 4,310 EUR.",
)


def _box(text: str, left: float, top: float, height: float = HEIGHT) -> TextBox:
    right, bottom = left + CHARACTER * len(text) * height / HEIGHT, top + height
    return TextBox(text=text, confidence=1.0, corners=((left, top), (right, top), (right, bottom), (left, bottom)))


def _column(lines: tuple[str, ...], left: float, top: float = 100, pitch: float = PITCH) -> list[TextBox]:
    return [_box(line, left, top + pitch * number) for number, line in enumerate(lines)]


def _words(lines: list[TextBox]) -> list[TextBox]:
    """The same lines as single words, as a text layer has them."""
    found = []
    for line in lines:
        x, top = line.corners[0]
        for word in line.text.split():
            found.append(_box(word, x, top, line.height))
            x += CHARACTER * (len(word) + 1)
    return found


def _rows(rows: list[tuple[str, ...]], lefts: tuple[int, ...]) -> list[TextBox]:
    """Rows of a table with cells that start at `lefts`."""
    return [
        _box(cell, left, 100 + PITCH * number)
        for number, row in enumerate(rows)
        for cell, left in zip(row, lefts, strict=True)
    ]


def _read(boxes: list[TextBox]) -> list[str]:
    return [line.text for block in order(boxes) for line in block.lines]


@pytest.mark.parametrize("form", [list, _words])
@pytest.mark.parametrize("columns", [2, 3])
def test_columns_are_read_one_after_the_other(form, columns: int):
    texts = [LEFT_COLUMN, RIGHT_COLUMN, LEFT_COLUMN][:columns]
    boxes = [box for number, text in enumerate(texts) for box in form(_column(text, 50 + 240 * number))]
    assert _read(boxes) == [line for text in texts for line in text]


def test_headings_and_footers_across_both_columns_stay_where_they_are():
    title = _box("A heading that spans both of the columns", 80, 60)
    middle = _box("A second heading that spans both of the columns", 60, 200)
    number = _box("17", 250, 330)
    first = [*_column(LEFT_COLUMN, 50), *_column(RIGHT_COLUMN, 290)]
    second = [*_column(RIGHT_COLUMN, 50, 230), *_column(LEFT_COLUMN, 290, 230)]
    read = _read([*first, *second, title, middle, number])
    assert read == [title.text, *LEFT_COLUMN, *RIGHT_COLUMN, middle.text, *RIGHT_COLUMN, *LEFT_COLUMN, "17"]


def test_sidebar_with_other_line_heights_is_read_apart():
    sidebar = ("Open from nine", "to five daily", "and on Sunday", "only by phone", "or by letter")
    boxes = [*_column(LEFT_COLUMN * 2, 50), *_column(sidebar, 300, 103, pitch=17)]
    assert _read(boxes) == [*LEFT_COLUMN * 2, *sidebar]


def test_table_is_read_row_by_row():
    rows = [("Paint, white, ten liters", "3", "49.90"), ("Brush", "10", "9.80"), ("Delivery to the door", "1", "15.00")]
    boxes = _rows(rows, (50, 300, 380))
    assert [line.split("  ")[0] for line in _read(boxes)] == [
        "Paint, white, ten liters",
        "Brush",
        "Delivery to the door",
    ]
    assert _read(boxes)[0].split()[-2:] == ["3", "49.90"]


def test_table_whose_cells_are_sentences_is_read_row_by_row():
    rows = [
        ("Rent paid before the third", "Deposit is due in full then"),
        ("Keys for all of the doors", "Tenant must return them all"),
        ("Heating costs of the year", "Landlord sends a bill in May"),
        ("Notice of three months", "Both sides must put in writing"),
    ]
    boxes = _rows(rows, (50, 300))
    assert [line.split("  ")[0] for line in _read(boxes)] == [row[0] for row in rows]


def test_form_keeps_each_label_beside_its_value():
    rows = [("Name:", "Eleanor Marsh"), ("Street:", "9 Ropewalk Hill"), ("Born:", "3 May 1980"), ("Phone:", "555 0100")]
    boxes = _rows(rows, (50, 200))
    assert [" ".join(line.split()) for line in _read(boxes)] == [" ".join(row) for row in rows]


@pytest.mark.parametrize(
    ("raise_by", "small", "right"), [(-3, "2", "85 m²"), (-8, "2", "85 m²"), (8, "2", "85 m2"), (-3, "a", "85 ma")]
)
def test_small_raised_and_lowered_text_stays_on_its_line(raise_by: float, small: str, right: str):
    boxes = [_box("85", 50, 100), _box("m", 71, 100), _box(small, 78, 100 + raise_by, 8), _box("Rooms: 3", 50, 130)]
    assert _read(boxes) == [right, "Rooms: 3"]


def test_words_are_compared_only_with_higher_ones_to_find_raised_text(monkeypatch: pytest.MonkeyPatch):
    compared = []
    real = reading_order._is_script
    monkeypatch.setattr(reading_order, "_is_script", lambda *words: compared.append(words) or real(*words))
    words = [_box("was", 40 * column, 100 + 15 * row) for row in range(60) for column in range(10)]
    assert len(order([*words, _box("A title", 0, 50, 2 * HEIGHT)])) and len(compared) <= len(words)


def test_cells_of_a_dense_table_are_compared_only_with_those_near_them(monkeypatch: pytest.MonkeyPatch):
    looks = []
    real = rivers.Piece.middle.fget
    monkeypatch.setattr(rivers.Piece, "middle", property(lambda piece: looks.append(1) or real(piece)))
    words = [
        _box("12.50", 55 * column + row % 7, 15 * row + column % 3, 11) for row in range(60) for column in range(30)
    ]
    assert len(_read(words)) == 60
    assert len(looks) < 500 * len(words)


def test_line_that_runs_upwards_in_the_margin_is_one_line():
    turned = [
        TextBox(text=text, confidence=1.0, corners=((10, start), (10, end), (24, end), (24, start)))
        for text, start, end in (("Contract", 400, 330), ("number", 320, 270), ("7734-B", 260, 200))
    ]
    assert _read([*_column(LEFT_COLUMN, 50), *turned]) == ["Contract number 7734-B", *LEFT_COLUMN]


def _upwards(text: str, left: float, bottom: float) -> TextBox:
    """Text that runs up from `bottom`."""
    right, top = left + HEIGHT, bottom - CHARACTER * len(text)
    return TextBox(text=text, confidence=1.0, corners=((left, bottom), (left, top), (right, top), (right, bottom)))


@pytest.mark.parametrize("down", [False, True])
def test_headings_that_run_up_or_down_are_read_above_their_columns(down: bool):
    rows = [("Marsh, Eleanor", "8", "7", "6"), ("Hill, Anne", "4", "4", "0"), ("Brindle, Tom", "8", "8", "8")]
    heads = [_upwards(text, 205 + 60 * number, 95) for number, text in enumerate(("Monday", "Tuesday", "Friday"))]
    if down:
        heads = [replace(head, corners=head.corners[2:] + head.corners[:2]) for head in heads]
    title = _box("Hours of each employee", 50, 20)
    read = [" ".join(line.split()) for line in _read([*_rows(rows, (50, 208, 268, 328)), *heads, title])]
    assert read == [title.text, "Monday Tuesday Friday", *_flat(tuple(rows))]


def test_vertical_japanese_is_read_down_and_from_the_right():
    def down(text: str, left: float) -> TextBox:
        right, bottom = left + 14, 100 + 14 * len(text)
        return TextBox(text=text, confidence=1.0, corners=((left, 100), (right, 100), (right, bottom), (left, bottom)))

    assert _read([down("賃料は月額八万円", 50), down("契約書を締結する", 75)]) == [
        "契約書を締結する",
        "賃料は月額八万円",
    ]


def test_hebrew_columns_and_words_are_read_from_the_right():
    right = ("חוזה שכירות לדירת", "מגורים ברחוב הראשי", "דמי השכירות הם כאן", "סוף העמוד הראשון")
    left = ("התשלום עד החמישי", "בחודש לפי החוזה", "והפיקדון יוחזר אז", "בסוף תקופת השכירות")
    boxes = []
    for lines, end in ((right, 500), (left, 240)):
        for number, line in enumerate(lines):
            x = end
            for word in line.split():
                x -= CHARACTER * len(word)
                boxes.append(_box(word, x, 100 + PITCH * number))
                x -= CHARACTER
    assert _read(boxes) == [*right, *left]


def test_latin_words_in_a_hebrew_line_keep_their_order():
    visual = ["4200", "Rental Street", "ברחוב", "דירה"]
    words = [(text, text) for part in visual for text in part.split()]
    assert bidi.logical_order(words) == ["דירה", "ברחוב", "Rental", "Street", "4200"]


RECEIPT = (
    ("CORNER BAKERY",),
    ("12 Mill Lane, Leeds",),
    ("Rye bread large", "3.40"),
    ("Cinnamon roll", "1.95"),
    ("Oat milk 1 l", "2.10"),
    ("TOTAL", "7.45"),
    ("CARD PAYMENT", "7.45"),
)
OTHER_RECEIPT = (
    ("Taxi Brennan",),
    ("Receipt no 4471",),
    ("Airport to hotel", "31.00"),
    ("Luggage, two bags", "2.00"),
    ("SUM in EUR", "33.00"),
    ("Thank you for the ride",),
)


def _receipt(rows: tuple[tuple[str, ...], ...], left: float, top: float, pitch: float, slope: float) -> list[TextBox]:
    """Amounts end 210 pixels from the left margin; the receipt lies on the glass with a slope."""
    boxes = []
    for number, (text, *amount) in enumerate(rows):
        cells = [(text, left), *((each, left + 210 - CHARACTER * len(each)) for each in amount)]
        boxes += [_sloping(_box(each, x, top + pitch * number), slope, left) for each, x in cells]
    return boxes


def _sloping(box: TextBox, slope: float, left: float) -> TextBox:
    first, second, third, fourth = ((x, y + slope * (x - left)) for x, y in box.corners)
    return replace(box, corners=(first, second, third, fourth))


def _flat(rows: tuple[tuple[str, ...], ...]) -> list[str]:
    return [" ".join(row) for row in rows]


@pytest.mark.parametrize(
    ("form", "pitch", "slope"),
    [(list, 20, 0.0), (_words, 20, 0.0), (list, 17, 0.0), (_words, 17, 0.0), (list, 23, 0.04), (list, 20, -0.06)],
)
def test_two_receipts_on_one_sheet_are_read_one_after_the_other(form, pitch: float, slope: float):
    left, right = _receipt(RECEIPT, 60, 100, 20, 0.01), _receipt(OTHER_RECEIPT, 340, 108, pitch, slope)
    read = [" ".join(line.split()) for line in _read(form([*right, *left]))]
    assert read == [*_flat(RECEIPT), *_flat(OTHER_RECEIPT)]


def test_two_copies_of_a_form_on_one_sheet_are_read_one_after_the_other():
    second = tuple((text.replace("Rye", "Wheat"), *rest) for text, *rest in RECEIPT)
    boxes = [*_receipt(RECEIPT, 60, 100, 20, 0), *_receipt(second, 340, 100, 20, 0)]
    assert [" ".join(line.split()) for line in _read(boxes)] == [*_flat(RECEIPT), *_flat(second)]


def test_four_receipts_on_one_sheet_are_read_by_columns():
    places = [
        (RECEIPT, 60, 100, 20),
        (OTHER_RECEIPT, 340, 109, 19),
        (OTHER_RECEIPT, 60, 300, 20),
        (RECEIPT, 340, 305, 21),
    ]
    boxes = [box for rows, left, top, pitch in places for box in _receipt(rows, left, top, pitch, 0)]
    read = [" ".join(line.split()) for line in _read(boxes)]
    assert read == [*_flat(RECEIPT), *_flat(OTHER_RECEIPT), *_flat(OTHER_RECEIPT), *_flat(RECEIPT)]


def test_wide_table_of_a_sheet_is_read_row_by_row():
    rows = [
        (f"Item number {n}", f"{n} pieces", f"Supplier {name} and sons", f"{n}.50")
        for n, name in enumerate(("Marsh", "Hill", "Ropewalk", "Larkfield", "Brindle", "Quill"))
    ]
    assert [line.split()[2] for line in _read(_rows(rows, (50, 160, 320, 520)))] == list("012345")


def test_every_box_comes_out_once():
    boxes = [*_column(LEFT_COLUMN, 50), *_column(RIGHT_COLUMN, 290), _box("Title of it all is here across", 100, 50)]
    ordered = [box for block in order(boxes) for line in block.lines for box in line.boxes]
    assert sorted(map(id, ordered)) == sorted(map(id, boxes))
    assert order([]) == ()


def test_words_without_a_height_are_in_order():
    words = [_box(text, 50, 100 + 20 * number, 0.0) for number, text in enumerate(("one", "two", "three", "four"))]
    assert _read(words) == ["one", "two", "three", "four"]


def test_sender_above_and_beside_a_letter_comes_before_it():
    sender = _column(("Marsh & Tarn Ltd", "12 Mill Lane", "Kesterton KE4 2QQ", "Phone 0117 496 0322"), 400, 60, 16)
    address = _column(("Ms Eleanor Quill", "8 Harbor Street", "Tarn TN1 9AB"), 50, 170)
    letter = _column(LEFT_COLUMN, 50, 340)
    boxes = [*_words([*sender, *address, *letter]), _box("14 March 2027", 420, 270), _box("Your order", 50, 310)]
    assert _read(boxes) == [
        *("Marsh & Tarn Ltd", "12 Mill Lane", "Kesterton KE4 2QQ", "Phone 0117 496 0322"),
        *("Ms Eleanor Quill", "8 Harbor Street", "Tarn TN1 9AB"),
        *("14 March 2027", "Your order", *LEFT_COLUMN),
    ]


@pytest.mark.parametrize("form", [list, _words])
def test_initial_that_is_several_lines_high_begins_its_paragraph(form):
    lines = ("nce upon a time there was a mill", "whose wheel nobody had ever seen", "turning at the hour of noon and")
    following = "the miller himself could not say why."
    initial = TextBox(text="O", confidence=1.0, corners=((50, 100), (86, 100), (86, 154), (50, 154)))
    boxes = [initial, *form(_column(lines, 92)), *form([_box(following, 50, 160)])]
    assert _read(boxes) == ["O nce upon a time there was a mill", *lines[1:], following]


def test_large_number_beside_short_lines_is_not_an_initial():
    number = TextBox(text="7", confidence=1.0, corners=((50, 100), (86, 100), (86, 154), (50, 154)))
    assert _read([number, *_column(("Days until", "the summer", "begins"), 300)])[-1] == "begins"
