"""Markdown of pages made by hand."""

from dataclasses import replace

from processors.ocr.markdown import to_markdown
from processors.ocr.reading_order import order
from processors.ocr.text_lines import TextBox

CHARACTER = 0.5  # of a line's height


def _box(text: str, left: float, top: float, height: float = 14) -> TextBox:
    right, bottom = left + CHARACTER * height * len(text), top + height
    return TextBox(text=text, confidence=1.0, corners=((left, top), (right, top), (right, bottom), (left, bottom)))


def _markdown(*boxes: TextBox) -> str:
    return to_markdown(order(boxes))


def test_title_heading_and_paragraphs():
    assert _markdown(
        _box("Annual report", 50, 20, 28),
        _box("The annual report of the manage-", 50, 70),
        _box("ment board was published. Order", 50, 90),
        _box("number 4711-", 50, 110),
        _box("0815 must be quoted.", 50, 130),
        _box("Second part", 50, 180, 18),
        _box("Nothing else happened in March", 50, 210),
    ).split("\n\n") == [
        "# Annual report",
        "The annual report of the management board was published. Order number 4711-0815 must be quoted.",
        "## Second part",
        "Nothing else happened in March",
    ]


def test_table_has_one_line_for_each_row():
    rows = [("Item", "Count", "Amount"), ("Paint, white", "3", "49.90"), ("Brush", "10", "9.80")]
    boxes = [
        _box(cell, left, 100 + 20 * number)
        for number, row in enumerate(rows)
        for cell, left in zip(row, (50, 250, 350), strict=True)
    ]
    assert _markdown(*boxes).splitlines() == [
        "| Item | Count | Amount |",
        "| --- | --- | --- |",
        "| Paint, white | 3 | 49.90 |",
        "| Brush | 10 | 9.80 |",
    ]


def test_lines_of_an_address_stay_lines():
    address = [
        _box(text, 50, 20 + 20 * n) for n, text in enumerate(("Eleanor Marsh", "9 Ropewalk Hill", "Brindlemouth"))
    ]
    text = _box("The annual report of the board was published in the month of May", 50, 140)
    assert _markdown(*address, text).split("\n\n")[0] == "Eleanor Marsh\\\n9 Ropewalk Hill\\\nBrindlemouth"


def test_lists_and_their_continued_lines():
    boxes = [_box("• Paint, white", 50, 100), _box("and very matt", 64, 120), _box("• Brush", 50, 140)]
    assert _markdown(*boxes) == "- Paint, white and very matt\n- Brush"
    assert _markdown(_box("1. First", 50, 100), _box("2) Second", 50, 120)) == "1. First\n2) Second"


def test_words_that_are_struck_out_are_marked():
    words = [_box(word, 50 + 90 * number, 100) for number, word in enumerate(("Rent:", "1,250.00", "net", "1,300.00"))]
    struck = [replace(word, is_struck=word.text in ("1,250.00", "net")) for word in words]
    assert to_markdown(order(struck)) == "Rent: ~~1,250.00 net~~ 1,300.00"


def test_markup_on_the_page_is_text():
    assert _markdown(_box("# 5 <b> of the list", 50, 100)) == "\\# 5 \\<b> of the list"


def test_cell_of_several_lines_stays_one_cell():
    rows = [
        (100, ("Article", "Description", "Price")),
        (125, ("A-100", "Garden chair, folding,", "49.90")),
        (140, (None, "green, with cushion")),  # a little to the left
        (165, ("A-220", "Table made of oak,", "310.00")),
        (180, (None, "oiled twice, for eight")),
        (195, (None, "persons")),
        (220, ("B-7", "Parasol", "89.50")),
    ]
    boxes = [
        _box(cell, left - (3 if top == 140 else 0), top)
        for top, row in rows
        for cell, left in zip(row, (50, 150, 400), strict=False)
        if cell
    ]
    below = _box("Prices include the delivery to your door in town.", 50, 245)
    assert _markdown(*boxes, below).splitlines() == [
        "| Article | Description | Price |",
        "| --- | --- | --- |",
        "| A-100 | Garden chair, folding, green, with cushion | 49.90 |",
        "| A-220 | Table made of oak, oiled twice, for eight persons | 310.00 |",
        "| B-7 | Parasol | 89.50 |",
        "",
        "Prices include the delivery to your door in town.",
    ]


def test_short_line_below_a_table_is_a_paragraph():
    rows = [("Item", "Count"), ("Paint", "3"), ("Brush", "10")]
    boxes = [
        _box(cell, left, 100 + 20 * number)
        for number, row in enumerate(rows)
        for cell, left in zip(row, (50, 250), strict=True)
    ]
    assert _markdown(*boxes, _box("Thank you", 50, 160)).splitlines()[-1] == "Thank you"
