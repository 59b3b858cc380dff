"""The years of rows that print none, by the period or by other dates of the document."""

import datetime

import pytest
from typed_pages import read_typed

from processors.statements import reasons

ROWS = """
        Date        Description              Amount      Balance
                    Opening balance                     1,000.00
        {0}         CARD PURCHASE            -20.00       980.00
        {1}         PAYROLL                2,000.00     2,980.00
        {2}         RENT                    -880.00     2,100.00
"""
SPELLED = ROWS.format("Jan02", "Jan14", "Jan31")


def _dates(document):
    return [str(row.date) for row in document.rows]


def test_order_of_day_and_month_follows_the_period_where_rows_spell_the_month():
    document = read_typed("        Statement Period 01/01/25 - 01/31/25\n" + SPELLED)
    assert _dates(document) == ["2025-01-02", "2025-01-14", "2025-01-31"]
    assert (str(document.statements[0].start), str(document.statements[0].end)) == ("2025-01-01", "2025-01-31")


def test_account_without_a_period_has_that_of_the_other_account():
    document = read_typed(
        "        Account number: 111111111\n        Statement Period 01/01/25 - 01/31/25\n"
        + SPELLED
        + "\n        Account number: 222222222\n"
        + SPELLED
    )
    assert len(document.statements) == 2
    assert _dates(document) == ["2025-01-02", "2025-01-14", "2025-01-31"] * 2


def test_two_dates_that_no_row_is_between_are_no_period():
    numeric = ROWS.format("02 Jan", "14 Jan", "31 Jan")
    document = read_typed("        Statement date 01 Feb 2025   Payment due 25 Feb 2025\n" + numeric)
    assert _dates(document) == ["2025-01-02", "2025-01-14", "2025-01-31"]
    assert not any(row.flags for row in document.rows)


def test_sort_code_is_no_date():
    numeric = ROWS.format("02 Jan", "14 Jan", "31 Jan")
    document = read_typed("        Sort code 07-04-36\n        Statement date 01 February 2025\n" + numeric)
    assert _dates(document) == ["2025-01-02", "2025-01-14", "2025-01-31"]


def test_rows_are_flagged_if_years_far_apart_are_printed():
    numeric = ROWS.format("02 Jan", "14 Jan", "31 Jan")
    document = read_typed("        Printed 01 February 2025\n        Member of the scheme from 03 May 2014\n" + numeric)
    assert all(row.flags for row in document.rows)
    assert reasons(document)


def test_period_is_that_of_the_dated_balances():
    document = read_typed(
        """
        January 31, 2025
        Beginning balance on 1/1       1,000.00
        Ending balance on 1/31         2,100.00

        Date        Description              Amount      Balance
        1/2         CARD PURCHASE            -20.00       980.00
        1/14        PAYROLL                2,000.00     2,980.00
        1/30        RENT                    -880.00     2,100.00
        """
    )
    assert (str(document.statements[0].start), str(document.statements[0].end)) == ("2025-01-01", "2025-01-31")


def test_row_without_any_year_says_what_is_printed():
    document = read_typed(ROWS.format("02 Jan", "14 Jan", "31 Jan"))
    assert [row.date for row in document.rows] == [None] * 3
    assert "14/1 is printed" in document.rows[1].flags[0]


def test_years_are_in_doubt_in_a_period_of_more_than_a_year():
    text = """
        Account number: 00012345
        Period 31/12/{year} - 31/01/2025

        Date        Description               Debit     Credit    Balance
                    Balance brought forward                       1,000.00
        02/01       CARD PAYMENT              20.00                 980.00
        09/01       RENT                     880.00                 100.00
        17/01       ELECTRICITY              100.00                   0.00
    """
    assert not any(row.flags for row in read_typed(text.format(year=2024)).rows)
    assert all("the year may be" in row.flags[0] for row in read_typed(text.format(year=2023)).rows)


@pytest.mark.parametrize(
    ("period", "dates"),
    [
        ("Statement 01 - 31 Jan 2025", ("2 Jan", "14 Jan", "31 Jan")),
        ("1.-31.1.2025", ("02.01.", "14.01.", "31.01.")),
        ("2025/01/01 - 2025/01/31", ("1.02", "1.14", "1.31")),
        ("", ("02JAN25", "14JAN25", "31JAN25")),
        ("2025.01.01 - 2025.01.31", ("25.01.02", "25.01.14", "25.01.31")),
    ],
)
def test_dates_of_every_notation_are_read(period, dates):
    rows = [f"{each:<11}" for each in dates]
    document = read_typed(
        f"        {period}\n"
        + ROWS.replace("{0}        ", "{0}").replace("{1}        ", "{1}").replace("{2}        ", "{2}").format(*rows)
    )
    assert _dates(document) == ["2025-01-02", "2025-01-14", "2025-01-31"]
    assert not reasons(document)


@pytest.mark.parametrize(
    "dates",
    [
        "STATEMENT DATE      PAYMENT DUE DATE\n        01-02-2025          24-02-2025",
        "Statement date 01-02-2025    Payment due date 24-02-2025",
        "Rechnungsdatum 01.02.2025    Fälligkeit 24.02.2025",
    ],
)
def test_day_of_a_payment_ends_no_period(dates: str):
    document = read_typed(f"        {dates}\n" + ROWS.format("02 Jan", "14 Jan", "31 Jan"))
    assert _dates(document) == ["2025-01-02", "2025-01-14", "2025-01-31"]
    assert document.statements[0].end != datetime.date(2025, 2, 24) and not any(row.flags for row in document.rows)


def test_period_above_the_day_of_a_payment_is_kept():
    document = read_typed(
        "        Statement period 01-01-2025 - 31-01-2025    Payment due date 24-02-2025\n"
        + ROWS.format("02 Jan", "14 Jan", "31 Jan")
    )
    assert (str(document.statements[0].start), str(document.statements[0].end)) == ("2025-01-01", "2025-01-31")
