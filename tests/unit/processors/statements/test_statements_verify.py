"""Verification: what must be flagged, and what must not."""

import re
from datetime import date
from decimal import Decimal

import pytest
from typed_pages import read_typed, typed_page

from processors.statements import read_statements, reasons, verify


def test_page_without_rows_needs_review():
    document = read_typed("""
        Account number: 00012345
        Opening balance  1,523.67
        Closing balance  4,619.41
    """)
    assert document.rows == []
    assert reasons(document)[0].startswith("no rows of a statement were found")


TYPED_FRENCH = """
    N° de compte 00041733091
    du 01/01/2024 au 31/01/2024

    Date     Nature des operations            Valeur          Debit          Credit
             SOLDE CREDITEUR AU 31.12.2023                                 1 523,67
    05.01    CARTE CARREFOUR MARKET           05.01          272,59
    18.01    REMISE DE CHEQUE                 18.01                        1 526,86
             TOTAL DES OPERATIONS                            272,59        1 526,86
             SOLDE CREDITEUR AU 31.01.2024                                 2 777,94
"""


def test_thousands_before_a_typewriter_space_belong_to_the_amount():
    (statement,) = read_typed(TYPED_FRENCH).statements
    assert [(str(row.debit), str(row.credit), row.description) for row in statement.rows] == [
        ("272.59", "None", "CARTE CARREFOUR MARKET"),
        ("None", "1526.86", "REMISE DE CHEQUE"),
    ]
    assert (str(statement.opening), str(statement.closing)) == ("1523.67", "2777.94")


def test_digits_before_an_amount_are_flagged_even_if_all_sums_agree():
    """Amounts, totals and balances that all lack their thousands still agree with each other."""
    document = read_typed(TYPED_FRENCH.replace("1 5", "1  5").replace("2 7", "2  7"))
    (statement,) = document.statements
    cut_off = next(row for row in statement.rows if "REMISE" in row.description)
    assert any("1" in flag and "not an amount" in flag for flag in cut_off.flags)
    assert any("first digits may be missing" in each.why for each in document.unread)
    assert all(one.passed for one in statement.checks)


INDIAN = """
    Account No : 48588462
    From : 01/01/2024   To : 31/01/2024

    Date        Narration             Chq./Ref.No.       Value Dt      Withdrawal Amt.    Deposit Amt.   Closing Balance
    01/01/24    INTEREST PAID         0000000670441361   01/01/24                             1,614.29       2,46,924.73
    02/01/24    POS RELIANCE FRESH    0000000017063295   02/01/24            40.57                           2,46,884.16
    05/01/24    NEFT CR EXAMPLE       0000000071832367   05/01/24                          1,00,000.00       3,46,884.16
"""


def test_amounts_grouped_by_lakh_are_amounts():
    (statement,) = read_typed(INDIAN).statements
    assert [(str(row.debit), str(row.credit), str(row.balance)) for row in statement.rows] == [
        ("None", "1614.29", "246924.73"),
        ("40.57", "None", "246884.16"),
        ("None", "100000.00", "346884.16"),
    ]
    assert not statement.flagged


def test_amounts_below_an_unknown_heading_are_flagged():
    (statement,) = read_typed(INDIAN.replace("Closing Balance", "Unheard-of word")).statements
    assert [bool(row.flags) for row in statement.rows] == [True, True, True]
    assert all("246" not in str(row.balance) for row in statement.rows)


def test_line_close_above_the_headings_is_not_a_heading():
    period = "From : 01/01/2024   To : 31/01/2024\n\n"
    (statement,) = read_typed(INDIAN.replace(period, "From : 01/01/2024\n")).statements
    assert [row.description for row in statement.rows] == ["INTEREST PAID", "POS RELIANCE FRESH", "NEFT CR EXAMPLE"]
    assert [row.value_date for row in statement.rows] == [row.date for row in statement.rows]


SHORT = """
    Account number: 00012345
    Statement period 1 May 2024 to 31 May 2024

    Date      Description               Paid out    Paid in      Balance
              Balance brought forward                           1,000.00
    01 May    RENT                        100.00                  900.00
    03 May    CAFE                         10.00                  890.00
    07 May    BOOKS                        20.00                  870.00
    12 May    SALARY                                  500.00    1,370.00
    15 May    WATER                        70.00                1,300.00
    19 May    BAKER                         5.00                1,295.00
    24 May    SHOES                        95.00                1,200.00
              Balance carried forward                           1,200.00
"""


def test_single_lost_balance_of_a_short_statement_is_flagged():
    (statement,) = read_typed(SHORT.replace("95.00                1,200.00", "95.00")).statements
    assert [row.description for row in statement.flagged] == ["SHOES"]


def test_rows_before_the_last_of_their_day_need_no_balance():
    (statement,) = read_typed(
        SHORT.replace("10.00                  890.00", "10.00")
        .replace("07 May    BOOKS ", "03 May    BOOKS ")
        .replace("70.00                1,300.00", "70.00")
        .replace("19 May", "15 May")
    ).statements
    assert len([row for row in statement.rows if row.balance is None]) == 2
    assert not statement.flagged


def test_lost_balance_within_a_day_is_flagged_if_each_row_has_one():
    text = re.sub(r"\d\d (?=May    )", "01 ", SHORT).replace("70.00                1,300.00", "70.00")
    (statement,) = read_typed(text).statements
    assert [row.description for row in statement.flagged] == ["WATER"]


def test_both_of_two_contradicting_dates_are_flagged():
    """Either the 8th (WATER) or the 12th (SALARY) may be misread; nothing decides which."""
    (statement,) = read_typed(SHORT.replace("15 May", "08 May")).statements
    assert [row.description for row in statement.flagged] == ["SALARY", "WATER"]


def test_single_date_that_contradicts_many_is_flagged():
    (statement,) = read_typed(SHORT.replace("19 May", "02 May")).statements
    assert [row.description for row in statement.flagged] == ["BAKER"]


DATED = """
    Account number: 00012345
    Period 01/01/2025 - 31/01/2025

    Date        Description               Debit     Credit    Balance
                Balance brought forward                       1,000.00
    02/01/2025  CARD PAYMENT              20.00                 980.00
    05/01/2025  SALARY                            2,000.00    2,980.00
    09/01/2025  RENT                     880.00               2,100.00
    17/01/2025  ELECTRICITY              100.00               2,000.00
    29/01/2025  REFUND                               50.00    2,050.00
"""


@pytest.mark.parametrize("misread", ["47/01/2025", "17/81/2025", "00/01/2025"])
def test_date_that_is_no_day_is_not_replaced_by_the_one_above(misread):
    (statement,) = read_typed(DATED.replace("17/01/2025", misread)).statements
    assert [row.description for row in statement.rows if row.flags] == [statement.rows[3].description]
    assert statement.rows[3].date is None
    assert statement.rows[3].debit == Decimal("100.00")


def test_date_far_from_all_others_is_flagged():
    """No period is printed that it could be outside of."""
    days = [f"{day:02}/01/2025  ROW {day:<9} {day}.00" for day in range(2, 12)]
    text = "Account number: 00012345\n\nDate        Description   Debit\n" + "\n".join(days)
    assert not any(row.flags for row in read_typed(text).rows)
    for misread in ("11/01/2029", "11/07/2025"):
        rows = read_typed(text.replace("11/01/2025", misread)).rows
        assert [row.date.day for row in rows if row.flags] == [11], misread


def test_date_in_the_future_is_flagged():
    document = read_statements([typed_page(DATED.replace("2025", "2075"))])
    verify(document, today=date(2025, 2, 3))
    assert all("is in the future" in row.flags[0] for row in document.rows)


def test_booking_date_that_does_not_fit_its_value_date_is_flagged():
    days = [f"{day:02}/01/2025  {day + 1:02}/01/2025  ROW {day:<9} {day}.00" for day in range(2, 22, 2)]
    text = "Account number: 00012345\n\nDate        Value date  Description  Debit\n" + "\n".join(days)
    assert not any(row.flags for row in read_typed(text).rows)
    rows = read_typed(text.replace("14/01/2025  15", "14/01/2025  25")).rows
    assert [row.description for row in rows if row.flags] == ["ROW 14"]
