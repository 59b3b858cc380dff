"""Amounts and dates in the notations of many countries."""

from datetime import date
from decimal import Decimal

import pytest

from processors.statements.notation.amounts import Amount, detect_decimal_mark, parse_amount
from processors.statements.notation.currencies import detect_currency
from processors.statements.notation.dates import detect_date_order, find_dates, find_period, parse_date, resolve_date


@pytest.mark.parametrize(
    ("text", "mark", "amount"),
    [
        ("1,234.50", ".", Amount(Decimal("1234.50"))),
        ("£12.00", ".", Amount(Decimal("12.00"))),
        ("1.234,50", ",", Amount(Decimal("1234.50"))),
        ("1 234,50 €", ",", Amount(Decimal("1234.50"))),
        ("1'234.50", ".", Amount(Decimal("1234.50"))),
        ("(12.00)", ".", Amount(Decimal("12.00"), "-")),
        ("12.00-", ".", Amount(Decimal("12.00"), "-")),
        ("-£12.00", ".", Amount(Decimal("12.00"), "-")),
        ("−12,00", ",", Amount(Decimal("12.00"), "-")),
        ("+12,00", ",", Amount(Decimal("12.00"), "+")),
        ("12.00 CR", ".", Amount(Decimal("12.00"), "", "credit")),
        ("12.00DR", ".", Amount(Decimal("12.00"), "", "debit")),
        ("12,00 S", ",", Amount(Decimal("12.00"), "", "debit")),
        ("(1 234,50 €)", ",", Amount(Decimal("1234.50"), "-")),
        ("R1 234.50", ".", Amount(Decimal("1234.50"))),
        ("-US$12.00", ".", Amount(Decimal("12.00"), "-")),
        ("12,00 zł", ",", Amount(Decimal("12.00"))),
        ("SGD 12.00 DR", ".", Amount(Decimal("12.00"), "", "debit")),
    ],
)
def test_amount_is_read_exactly_in_each_notation(text, mark, amount):
    assert parse_amount(text, mark) == amount


@pytest.mark.parametrize("text", ["12", "1.234", "12:30", "Card 12.00", "1,2,456.00", "12.345", "01.05.2024", ""])
def test_other_text_is_not_an_amount(text):
    assert parse_amount(text, ".") is None


def test_decimal_mark_is_decided_by_the_document():
    assert detect_decimal_mark(["1.234,50", "12,00", "3.50"]) == ","
    assert parse_amount("3.50", ",") is None


def test_currency_is_the_one_named_most():
    assert detect_currency(["Balance in EUR", "£ 3.00", "€ 12,00"]) == "EUR"


@pytest.mark.parametrize(
    ("texts", "code"),
    [
        (["Account currency: ZAR", "TOP UP MOBILE ALL NETWORKS"], "ZAR"),
        (["TOP UP MOBILE", "ALL SAINTS", "PARMIGIANO DOP"], None),
        (["Moneda: COP", "COP 12,00"], "COP"),
        (["Devise du compte : MAD"], "MAD"),
        (["US$ 3.00", "A$ 12.00", "A$ 13.00"], "AUD"),
        (["R$ 12,00"], "BRL"),
    ],
)
def test_a_code_that_is_a_word_counts_only_after_a_label(texts, code):
    assert detect_currency(texts) == code


PERIOD = date(2023, 12, 15), date(2024, 1, 14)


@pytest.mark.parametrize(
    "text",
    ["2024-01-05", "05/01/2024", "05.01.24", "5 Jan 2024", "05JAN", "Jan 5", "5. Januar 2024", "5 janv. 2024", "05.01."]
    + ["5 de enero de 2024", "January 5, 2024", "05-Jan-24"],
)
def test_date_is_read_in_each_notation_and_completed_from_the_period(text):
    assert resolve_date(parse_date(text), "dmy", PERIOD) == date(2024, 1, 5)


@pytest.mark.parametrize(
    ("text", "month"), [("15 0ct", 10), ("25 N0v", 11), ("3 Ju1y", 7), ("3. Jun1", 6), ("5 Apri1", 4)]
)
def test_month_is_recognized_even_if_ocr_reads_digits_for_letters(text, month):
    """A row with an unknown date was given the date of the row before, which no sum reveals."""
    assert parse_date(text).month == month
    assert parse_date(text).length == len(text)


def test_year_that_is_not_printed_changes_at_new_year():
    assert resolve_date(parse_date("28 Dec"), "dmy", PERIOD) == date(2023, 12, 28)
    assert resolve_date(parse_date("3 Jan"), "dmy", PERIOD) == date(2024, 1, 3)


@pytest.mark.parametrize(
    ("text", "month"),
    [
        ("28 KASIM 2025", 11),
        ("28 kasim 2025", 11),
        ("01 EKİM 2025", 10),
        ("3 Mayis", 5),
        ("3 ARALIK", 12),
        ("HAZİRAN 3", 6),
    ],
)
def test_month_is_recognized_whatever_the_dots_of_its_letters(text, month):
    assert parse_date(text).month == month


def test_day_or_month_first_is_decided_by_the_whole_document():
    american = [parse_date(text) for text in ("01/02/2024", "01/05/2024", "01/28/2024")]
    assert detect_date_order(american) == "mdy"
    assert detect_date_order([parse_date(text) for text in ("01/02", "02/02", "04/02")]) == "dmy"
    assert (
        detect_date_order([parse_date(t) for t in ("02/01/24", "02/04/24")], (date(2024, 2, 1), date(2024, 2, 29)))
        == "mdy"
    )


def test_day_that_does_not_exist_is_not_a_date():
    assert resolve_date(parse_date("31/02/2024"), "dmy", None) is None


@pytest.mark.parametrize(
    "line",
    ["Statement period 15 December 2023 to 14 January 2024", "15.12.2023 - 14.01.2024", "15 Dec - 14 Jan 2024"],
)
def test_period_is_found(line):
    assert find_period(["Some Bank", line], "dmy") == PERIOD


def test_dates_within_a_text_are_found():
    assert [each.pair for each in find_dates("du 01/02/2024 au 28/02/2024")] == [(1, 2), (28, 2)]
