"""Dates that OCR has lost or misread: the row gets another row's date, so it is flagged."""

import pytest
from typed_pages import typed_page

from processors.statements import read_statements, verify

_HEAD = """
  Account number 12345678             USD
  Statement period 1/1/2026 to 1/31/2026
  Date      Description                Debit     Credit    Balance
            Opening balance                                1,000.00
"""
_ROW = "  1/{day:<7} Grocery {day:<18} {amount:>9}           {balance:>9}\n"


def _statement(own: str, of: int = 14) -> str:
    """`of` rows of 10.00, of which the sixth has `own` in the place of its date."""
    lines = [_ROW.format(day=day, amount="10.00", balance=f"{1000 - 10 * day:,.2f}") for day in range(1, of + 1)]
    lines[5] = lines[5].replace(f"1/{6:<7}", f"{own:<9}", 1)
    return (
        _HEAD + "".join(lines) + f"            Closing balance                                {1000 - 10 * of:,.2f}\n"
    )


@pytest.mark.parametrize("own", ["", "116", "116."])
def test_lost_date_of_a_scan_is_flagged(own: str):
    document = read_statements([typed_page(_statement(own), confidence=0.99)])
    verify(document)
    (row,) = [row for row in document.rows if any("has no date of its own" in flag for flag in row.flags)]
    assert str(row.debit) == "10.00"
    assert row is document.rows[5]


def test_missing_date_of_a_text_layer_is_that_of_the_row_above():
    document = read_statements([typed_page(_statement(""))])
    assert [row.flags for row in document.rows] == [[]] * 14
    assert document.rows[5].date == document.rows[4].date
