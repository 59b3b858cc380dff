"""Hits: their places, snippets and order."""

import pytest

from daemon.core.errors import UsageError
from daemon.search import update
from daemon.search.hits import Hit


def only_hit(archive, text: str) -> Hit:
    update.update(archive.folders)
    [result] = archive.search(text).results
    return result.hits[0]


def test_row_of_a_statement(archive):
    rows = [
        {"page": 1, "date": "2024-05-01", "description": "Standing order", "debit": "845.00"},
        {"page": 2, "date": "2024-05-03", "description": "Card Pike Lone", "debit": "1010.38"},
    ]
    archive.add("s", {"statements": [{"account": "00012345", "rows": rows[:1]}, {"account": "2", "rows": rows[1:]}]})
    hit = only_hit(archive, "1,010.38 pike")
    assert (hit.page, hit.anchor, hit.seconds) == (2, "r2", None)
    assert hit.parts == [("2024-05-03 Card ", False), ("Pike", True), (" Lone ", False), ("1010.38", True)]


def test_second_of_a_recording(archive):
    segments = [
        {"start": 0.0, "end": 2.0, "text": " Thanks for making"},
        {"start": 2.5, "end": 4.0, "text": " the time in Gudenburg."},
        {"start": 60.0, "end": 61.0, "text": "", "words": [{"word": " Good"}, {"word": " bye"}]},
    ]
    archive.add("t", {"segments": segments, "language": "en", "seconds": 70})
    hit = only_hit(archive, '"making the time"')
    assert (hit.seconds, hit.anchor) == (0.0, "at-0")
    assert only_hit(archive, "gudenburg").seconds == 2.5
    assert only_hit(archive, '"good bye"').anchor == "at-60000"


def test_box_on_a_page(archive):
    box = [[0, 0], [9, 0], [9, 9], [0, 9]]
    pieces = [{"text": "CORNER", "box": box}, {"text": "LARDER", "box": box}]
    lines = [{"text": "no box", "pieces": []}, {"text": "CORNER LARDER", "pieces": pieces}]
    page = {"number": 3, "width": 10, "height": 10, "lines": lines}
    archive.add("p", {"pages": [{"number": 1, "lines": []}, page]})
    hit = only_hit(archive, "larder")
    assert (hit.page, hit.anchor) == (3, "r2")
    assert (only_hit(archive, '"box corner"').page, only_hit(archive, '"no box"').anchor) == (3, "")


@pytest.mark.parametrize(
    ("text", "page", "anchor"),
    [
        ("first\nsecond needle", None, "l2"),
        ("first\n\fsecond\nneedle here", 2, "l3"),
        ("<!-- page 1 of 2 -->\nx\n<!-- page 2 of 2 -->\n\nneedle", 2, "l5"),
        ("## Page 1\n\nneedle\n## Page 2\n\ny", 1, "l3"),
        ("filler\n" * 3000 + "needle", None, "l3001"),
    ],
)
def test_line_of_a_text(text: str, page: int | None, anchor: str, archive):
    archive.add("t", text)
    hit = only_hit(archive, "needle")
    assert (hit.page, hit.anchor) == (page, anchor)


def test_receipt_and_invoice_are_found_by_their_fields(archive):
    archive.add("r", {"shop": "Corner Larder", "items": [{"description": "Oat milk", "price": "4.10"}]})
    archive.add("i", {"supplier": "Nordwind GmbH", "number": "2024-77", "lines": [{"description": "Consulting"}]})
    update.update(archive.folders)
    assert archive.names("oat 4.10") == ["r"]
    assert archive.names("2024-77 consulting") == ["i"]


def test_snippet_shows_the_surroundings_of_a_late_match(archive):
    archive.add("t", "before " * 50 + "the needle\n\n lies" + " after" * 100)
    snippet = only_hit(archive, "needle").snippet
    assert snippet.startswith("… before")
    assert "the needle lies after" in snippet
    assert snippet.endswith(" …")
    assert len(snippet) < 320


def test_one_result_shows_its_first_hits(archive):
    archive.add("many", "\f".join(f"needle {number}" for number in range(10)))
    update.update(archive.folders)
    [result] = archive.search("needle").results
    assert [hit.page for hit in result.hits] == [1, 2, 3]
    assert result.more == 7


def test_pages_of_hits_show_each_result_once_newest_first(archive):
    for number in range(7):
        archive.add(f"n{number}", "common")
    update.update(archive.folders)
    seen, before = [], None
    while True:
        found = archive.search("common", before=before, limit=3)
        seen += [result.row["file"] for result in found.results]
        if (before := found.next) is None:
            break
    assert seen == [f"n{number}" for number in reversed(range(7))]
    assert (found.indexed, found.total) == (7, 7)


def test_file_is_found_by_its_name(archive):
    archive.add("Quittung Müller", "x", folder="bank")
    update.update(archive.folders)
    assert archive.names("quittung bank mueller") == ["bank/Quittung Müller"]


def test_search_without_words_is_refused(archive):
    with pytest.raises(UsageError, match="no words"):
        archive.search("…")
