"""The data of several pages as those of one document."""

from processors.vlm.document.output import merge


def test_pages_are_merged_and_conflicts_reported():
    pages = [
        ("page 1", {"holder": "Ann", "iban": None, "rows": [1], "bank": {"name": "A"}}),
        ("page 2", {"holder": "Bob", "iban": "X1", "rows": [2, 3], "bank": {"name": "", "city": "Ulm"}}),
        ("page 3", {"holder": "Ann", "iban": "X2", "rows": []}),
    ]
    merged = merge(pages)
    assert merged.data == {"holder": "Ann", "iban": "X1", "rows": [1, 2, 3], "bank": {"name": "A", "city": "Ulm"}}
    assert merged.conflicts == ["$.holder: Ann on page 1, Bob on page 2", "$.iban: X1 on page 2, X2 on page 3"]


def test_merging_no_pages_gives_no_data():
    assert merge([]).data is None
