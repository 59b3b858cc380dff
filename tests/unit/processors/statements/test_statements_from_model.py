"""Statements from invented answers of a model: cards, days, sections, notations, accounts."""

from decimal import Decimal
from typing import Any

import jsonschema
import pytest

from processors.statements import (
    SecondReading,
    Statement,
    StatementDocument,
    from_page_answers,
    page_schema,
    reasons,
    row_index,
    verify,
)
from processors.statements.notation.answers import clean_account, is_same_account, read_amount

_ROW = ("date", "description", "reference", "debit", "credit", "amount", "balance")
_PAGE = ("account", "holder", "currency", "period", "opening", "closing", "total_debits", "total_credits")


def row(date: str | None, description: str, **values: str) -> dict[str, Any]:
    return dict.fromkeys(_ROW) | {"date": date, "description": description} | values


def page(*rows: dict[str, Any], **values: Any) -> dict[str, Any]:
    return dict.fromkeys(_PAGE) | {"rows": list(rows)} | values


def read(*pages: dict[str, Any], texts: dict[int, str] | None = None) -> StatementDocument:
    for each in pages:
        jsonschema.Draft202012Validator(page_schema()).validate(each)
    document = from_page_answers(list(enumerate(pages, start=1)), texts=texts)
    verify(document)
    return document


def only(document: StatementDocument) -> Statement:
    (statement,) = document.statements
    return statement


def moves(statement: Statement) -> list[tuple[str, str | None, str | None]]:
    printed = lambda value: None if value is None else str(value)  # noqa: E731
    return [(str(each.date), printed(each.debit), printed(each.credit)) for each in statement.rows]


CARD = page(
    row("03/05/2024", "Bookshop", amount="5.00"),
    row("04/05/2024", "Refund", amount="-2.00"),
    opening="10.00",
    closing="13.00",
)
PURCHASES = [("2024-05-03", "5.00", None), ("2024-05-04", None, "2.00")]


def test_card_is_known_by_the_second_reading_of_its_page():
    statement = only(read(CARD, texts={1: "Your account\nMinimum payment 5.00\nBookshop 5.00"}))
    assert statement.is_liability and moves(statement) == PURCHASES


def test_card_is_known_by_what_the_model_says_it_is():
    statement = only(read(CARD | {"kind": "Credit Card Statement"}))
    assert statement.is_liability and moves(statement) == PURCHASES


def test_second_reading_adds_no_currency_and_no_period():
    statement = only(read(CARD, texts={1: "Credit card limit USD 500.00 01/01/2020 - 31/01/2020"}))
    assert str(statement.start) == "2024-05-03"


def test_date_that_is_printed_once_a_day_is_carried_forward():
    statement = only(
        read(
            page(
                row("03 May 2024", "Rent", debit="50.00"),
                row(None, "Water", debit="7.00", balance="43.00"),
                opening="100.00",
            ),
            page(row(None, "Power", debit="3.00", balance="40.00"), closing="40.00"),
        )
    )
    assert [str(each.date) for each in statement.rows] == ["2024-05-03"] * 3
    assert not statement.flagged


def test_date_that_is_none_is_not_replaced_by_the_one_before():
    statement = only(
        read(
            page(
                row("03 May 2024", "Rent", debit="50.00", balance="50.00"),
                row("tomorrow", "Water", debit="7.00", balance="43.00"),
                row(None, "Power", debit="3.00", balance="40.00"),
                opening="100.00",
            )
        )
    )
    assert [each.date is None for each in statement.rows] == [False, True, True]
    assert len(statement.flagged) == 2


def test_sections_tell_deposits_from_withdrawals():
    statement = only(
        read(
            page(
                row("05/03/2024", "Payroll", amount="900.00", section="Deposits and Additions"),
                row("05/04/2024", "Interest", amount="1.00"),
                row("05/07/2024", "Rent", amount="400.00", section="Electronic Withdrawals"),
                row("05/17/2024", "Gym", amount="20.00"),
                opening="100.00",
                closing="581.00",
            )
        )
    )
    assert [(each.debit, each.credit) for each in statement.rows] == [
        (None, Decimal("900.00")),
        (None, Decimal("1.00")),
        (Decimal("400.00"), None),
        (Decimal("20.00"), None),
    ]
    assert not statement.flagged and statement.closing == Decimal("581.00")


def test_heading_that_is_unknown_ends_the_section_before():
    statement = only(
        read(
            page(
                row("05/03/2024", "Payroll", amount="900.00", section="Deposits"),
                row("05/04/2024", "Something", amount="1.00", section="Adjustments of all kinds"),
            )
        )
    )
    assert statement.rows[0].credit and statement.rows[1].flags == ["may be a debit or a credit"]


@pytest.mark.parametrize(
    ("printed", "standard"),
    [
        ("12,00 EUR", "12.00"),
        ("SGD 12.00", "12.00"),
        ("R$ 1.234,50", "1234.50"),
        ("\u221212.00", "-12.00"),
        ("1’234.50", "1234.50"),
        ("12.00C", "12.00CR"),
        ("12.00 Cr", "12.00CR"),
        ("12.00 (Dr)", "12.00DR"),
        ("12.00 OD", "12.00DR"),
        ("(12.00)", "-12.00"),
        ("£12.00-", "-12.00"),
        ("+12,00 €", "+12.00"),
        ("12,345", "12345.00"),
        ("¥12,345", "12345.00"),
        ("12,34,567.89", "1234567.89"),
        ("1 234,50 kr", "1234.50"),
        ("12 items", None),
        ("12,5", None),
        ("1,23,4", None),
        ("3.5.2024", None),
        ("N/A", None),
    ],
)
def test_amount_is_read_in_every_notation_that_may_be_printed(printed: str, standard: str | None):
    amount = read_amount(printed)
    assert (amount and amount.in_standard_form()) == standard


@pytest.mark.parametrize("printed", ["12,345", "12.00 (Dr)", "R$ 1.234,50", "\u221212.00", "1’234.50", "12,00 EUR"])
def test_grammar_permits_what_is_printed(printed: str):
    jsonschema.Draft202012Validator(page_schema()).validate(page(row("1 May", "x", amount=printed, balance=printed)))


def test_amounts_without_decimals_stay_whole():
    statement = only(
        read(
            page(
                row("2024年5月3日", "給与", credit="250,000", balance="262,345"),
                row("2024年5月7日", "家賃", debit="80,000", balance="182,345"),
                opening="12,345",
                currency="JPY",
            )
        )
    )
    assert moves(statement) == [("2024-05-03", None, "250000"), ("2024-05-07", "80000", None)]
    assert (str(statement.opening), str(statement.rows[0].balance)) == ("12345", "262345")
    assert reasons(read(page(row("2024-05-03", "Pay", credit="5,000", balance="17,345"), opening="12,345"))) == []


def test_whole_amount_among_amounts_with_decimals_is_flagged():
    statement = only(read(page(row("2024-05-03", "Pay", credit="5,000", balance="17.50"), opening="12.50")))
    assert any("5,000" in flag for flag in statement.rows[0].flags)


@pytest.mark.parametrize(
    ("printed", "number"),
    [
        ("GB98 CORA 1234 5600 0123 45", "GB98CORA12345600012345"),
        ("IBAN: NL21 OPAL 0417 1643 00", "NL21OPAL0417164300"),
        ("FR14 2004 1010 0505 0001 3M02 606", "FR1420041010050500013M02606"),
        ("Account number 00012345", "00012345"),
        ("12-34-56 00012345", "12-34-5600012345"),
        ("****1234", "****1234"),
    ],
)
def test_account_is_taken_as_it_is(printed: str, number: str):
    assert clean_account(printed) == number
    assert only(read(page(row("1/5/2024", "x", debit="1.00"), account=printed))).account == number


def test_masked_number_and_iban_are_those_of_one_account():
    assert is_same_account("GB98CORA12345600012345", "00012345")
    assert is_same_account("****2345", "00012345")
    assert not is_same_account("00012346", "00012345") and not is_same_account("12345", "00099999")


def test_each_account_of_a_page_is_a_statement():
    other = page(row("3 May 2024", "Interest", credit="1.00", balance="21.00"), account="222222", opening="20.00")
    document = read(
        page(
            row("3 May 2024", "Rent", debit="50.00", balance="50.00"),
            account="111111",
            opening="100.00",
            other_accounts=[other],
        )
    )
    assert [(each.account, str(each.opening), len(each.rows)) for each in document.statements] == [
        ("111111", "100.00", 1),
        ("222222", "20.00", 1),
    ]
    assert reasons(document) == []


@pytest.mark.parametrize(
    ("text", "is_flagged"),
    [
        ("3 May 2024 Rent of the flat 50.00 50.00", False),
        ("3 May 2024 Rentofthe flat 50.00 50.00", False),
        ("3 May 2024 Rest of the flat 50.00 50.00", True),
        ("3 May 2024 Rent of the flat 60.00", True),
    ],
)
def test_row_on_which_both_readings_agree_needs_no_flag(text: str, is_flagged: bool):
    answer = page(row("3 May 2024", "Rent of the flat", debit="50.00", balance="50.00"), opening="100.00")
    document = from_page_answers([(1, answer)], {(1, 0): 0.3}, {1: text})
    verify(document, SecondReading(texts={1: text}), min_confidence=0.7)
    (unsure,) = document.rows
    assert any("low confidence" in flag for flag in unsure.flags) == is_flagged


def test_confidence_of_a_row_of_a_further_account_is_its_own():
    other = page(row("3 May 2024", "Interest", credit="1.00"), account="222222")
    answer = page(row("3 May 2024", "Rent", debit="50.00"), account="111111", other_accounts=[other])
    document = from_page_answers([(1, answer)], {(1, row_index(0, 0)): 0.3})
    assert [each.confidence for each in document.rows] == [1.0, 0.3]


@pytest.mark.parametrize(("answered", "code"), [("$", ""), ("£", "GBP"), ("AUD", "AUD"), ("R$", "BRL"), (None, "EUR")])
def test_currency_is_the_printed_one_and_a_dollar_alone_is_none(answered: str | None, code: str):
    answer = page(row("3 May 2024", "Rent", debit="50,00 €" if answered is None else "50.00"), currency=answered)
    assert only(read(answer)).currency == code
