"""The markup of document models as Markdown."""

import pytest

from processors.vlm.markup import (
    doctags_to_markdown,
    front_matter_to_notes,
    grounding_to_markdown,
    tables_to_markdown,
    without_thoughts,
)


def table(*rows: str) -> str:
    return "\n".join(rows)


@pytest.mark.parametrize(
    ("html", "markdown"),
    [
        (
            "<table><tr><th>Date</th><th>Amount</th></tr><tr><td>1 May</td><td>12.00</td></tr></table>",
            table("| Date | Amount |", "| --- | --- |", "| 1 May | 12.00 |"),
        ),
        (
            "<table border=1><thead><tr><td colspan='2'>A &amp; B</td></tr></thead><tr><td>x|y<td>2<br/>3</table>",
            table("| A & B |  |", "| --- | --- |", "| x\\|y | 2 3 |"),
        ),
        (
            "<table><tr><td rowspan=2>A</td><td>1</td></tr><tr><td>2</td></tr></table>",
            table("| A | 1 |", "| --- | --- |", "|  | 2 |"),
        ),
        ("<table><tr><td>cut</td><td>off", table("| cut | off |", "| --- | --- |")),
        ("<table></table>", "<table></table>"),
        ("no table: 3 < 4 > 2", "no table: 3 < 4 > 2"),
        ("<table><tr><td colspan=99999999>A</td></tr></table>", None),
    ],
)
def test_tables_become_markdown(html: str, markdown: str | None):
    found = tables_to_markdown(html).text
    assert len(found) < 2000 if markdown is None else found == markdown


def test_text_around_a_table_stays():
    found = tables_to_markdown("# Bill\n<table><tr><td>A</td></tr></table>\nTotal 3").text
    assert [block.strip() for block in found.split("\n\n")] == ["# Bill", "| A |\n| --- |", "Total 3"]


@pytest.mark.parametrize(
    ("matter", "notes"),
    [
        ("primary_language: en\nis_rotation_valid: True\nrotation_correction: 0\nis_table: False", ()),
        ("is_rotation_valid: False\nrotation_correction: 270", ("turned by 270 degrees",)),
        ("rotation_correction: 180", ("turned by 180 degrees",)),
        ("{broken: [", ()),
        ("just words", ()),
    ],
)
def test_front_matter_is_removed_and_a_turned_page_reported(matter: str, notes: tuple[str, ...]):
    found = front_matter_to_notes(f"---\n{matter}\n---\n\n# Title\nText")
    assert found.text == "# Title\nText" and len(found.notes) == len(notes)
    assert all(note in written for note, written in zip(notes, found.notes, strict=True))


def test_rule_between_two_paragraphs_does_not_count_as_front_matter():
    assert front_matter_to_notes("A\n\n---\n\nB").text == "A\n\n---\n\nB"
    assert front_matter_to_notes("---\nis_table: False\n---").text == "", "such a page has no text"


@pytest.mark.parametrize(
    ("written", "answer"),
    [
        ("<think>\nhm\n</think>\n\n42", "42"),
        ("hm\n</think>\n42", "42"),
        ("<think>\n\n</think>42", "42"),
        ("A text that mentions <think> alone.", "A text that mentions <think> alone."),
    ],
)
def test_thoughts_are_removed(written: str, answer: str):
    assert without_thoughts(written).text == answer


def test_places_of_regions_are_removed():
    written = "<|ref|>title<|/ref|><|det|>[[1, 2, 3, 4]]<|/det|>\n# Bill\n<|ref|>text<|/ref|><|det|>[[1, 2]]<|/det|>\nA"
    assert grounding_to_markdown(written).text == "# Bill\nA"


DOCTAGS = """<doctag><page_header><loc_1><loc_2>Bank of A</page_header>
<section_header_level_1><loc_12><loc_30>Statement</section_header_level_1>
<text><loc_1>Dear &amp; valued</text>
<unordered_list><list_item>one</list_item><list_item>two</list_item></unordered_list>
<ordered_list><list_item>first</list_item><list_item>second</list_item></ordered_list>
<otsl><loc_1><caption>Rows</caption><ched>Date<ched>Amount<nl><fcel>1 May<fcel>12.00<nl><fcel>2 May<ecel><nl></otsl>
<code><_Python_>print(1)
print(2)</code>
<formula>a^2</formula></doctag><|end_of_text|>"""


def test_doctags_become_markdown():
    assert doctags_to_markdown(DOCTAGS).text.split("\n\n") == [
        "Bank of A", "## Statement", "Dear & valued", "- one", "- two", "1. first", "2. second", "Rows",
        "| Date | Amount |\n| --- | --- |\n| 1 May | 12.00 |\n| 2 May |  |", "```python\nprint(1)\nprint(2)\n```",
        "$$a^2$$",
    ]  # fmt: skip


def test_cells_without_a_table_around_them_are_one():
    found = doctags_to_markdown("<fcel>A<lcel><nl><fcel>1<fcel>2<nl>").text
    assert found == table("| A |  |", "| --- | --- |", "| 1 | 2 |")


@pytest.mark.parametrize("text", ["plain text", "a < b and c > d", "1. one\n2. two", ""])
def test_text_without_tags_is_left_alone(text: str):
    assert doctags_to_markdown(text).text == text


def test_element_that_is_cut_off_keeps_its_text():
    assert doctags_to_markdown("<doctag><text>one</text><text>two").text == "one\n\ntwo"
