"""QIF and beancount, read back by the libraries of other programs."""

import importlib
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
from beancount import loader
from beancount.core.data import Balance, Transaction

from processors import statements
from processors.statements import Row, Statement, StatementDocument

ODD = 'Café "Söhne" \\ & Co ^ ; =1'
LINES = "first\nTX9999\n^\r second"


def _document(*, is_card: bool = False) -> StatementDocument:
    rows = [
        Row(1, date(2024, 5, 1), ODD, debit=Decimal("20.00"), reference='ref "1"', value_date=date(2024, 5, 3)),
        Row(1, date(2024, 5, 2), LINES, credit=Decimal("30.50"), flags=['low "confidence" (0.40)']),
        Row(2, None, "No date", debit=Decimal("1.00"), flags=["the date is missing"]),
    ]
    statement = Statement(account="**** 12-34", currency="GBP", rows=rows, is_liability=is_card)
    statement.opening, statement.closing = Decimal("0.00"), Decimal("-10.50" if is_card else "10.50")
    statement.start, statement.end = date(2024, 5, 1), date(2024, 5, 31)
    return StatementDocument([statement], pages=2)


def _load(document: StatementDocument, folder: Path):
    left_out = statements.write_beancount(document, folder / "s.beancount")
    entries, errors, _ = loader.load_file(str(folder / "s.beancount"))
    return entries, errors, left_out


def test_beancount_reads_every_transaction_and_balance(tmp_path: Path):
    entries, errors, left_out = _load(_document(), tmp_path)
    first, second = [entry for entry in entries if isinstance(entry, Transaction)]
    assert errors == []
    assert (first.date, first.narration, first.flag) == (date(2024, 5, 1), ODD, "*")
    assert (first.meta["reference"], first.meta["value-date"]) == ('ref "1"', date(2024, 5, 3))
    assert (first.postings[0].account, first.postings[0].units.number) == ("Assets:Bank:12-34", Decimal("-20.00"))
    assert [posting.account for posting in (first.postings[1], second.postings[1])] == [
        "Expenses:Uncategorized",
        "Income:Uncategorized",
    ]
    assert (second.flag, second.meta["review"]) == ("!", 'low "confidence" (0.40)')
    assert second.narration == LINES.replace("\n", " ").replace("\r", " ")
    balances = [(entry.date, entry.amount.number) for entry in entries if isinstance(entry, Balance)]
    assert balances == [(date(2024, 5, 1), 0), (date(2024, 6, 1), Decimal("10.50"))]
    assert left_out == ["account **** 12-34: 1 row without a date or an amount is not in the beancount file"]


def test_beancount_has_what_a_card_owes_as_a_negative_balance(tmp_path: Path):
    document = _document(is_card=True)
    document.rows[1].credit = None
    document.rows[1].debit = Decimal("30.50")
    document.statements[0].closing = Decimal("50.50")
    entries, errors, _ = _load(document, tmp_path)
    assert errors == [] and entries[-1].amount.number == Decimal("-50.50")
    assert entries[-1].account == "Liabilities:Card:12-34"


def test_statements_of_two_months_are_included_in_one_ledger(tmp_path: Path):
    may = _document()
    may.statements[0].opening, may.statements[0].closing = Decimal("5.00"), Decimal("15.50")
    statements.write_beancount(may, tmp_path / "may.beancount")
    june = StatementDocument([Statement(account="**** 12-34", currency="GBP", opening=Decimal("15.50"))], pages=1)
    june.statements[0].rows = [Row(1, date(2024, 6, 3), "Rent", debit=Decimal("5.00"))]
    june.statements[0].start, june.statements[0].closing = date(2024, 6, 1), Decimal("10.50")
    statements.write_beancount(june, tmp_path / "june.beancount")
    pad = next(line for line in (tmp_path / "may.beancount").read_text().splitlines() if " pad " in line)
    opened = ["Assets:Bank:12-34", "Expenses:Uncategorized", "Income:Uncategorized", "Equity:Opening-Balances"]
    main = [f"2024-01-01 open {account}" for account in opened]
    main += ['include "may.beancount"', 'include "june.beancount"', pad.removeprefix("; ")]
    (tmp_path / "main.beancount").write_text("\n".join(main) + "\n")
    entries, errors, _ = loader.load_file(str(tmp_path / "main.beancount"))
    assert errors == [] and sum(isinstance(entry, Transaction) for entry in entries) == 4  # one is the pad


def test_wrong_balance_is_an_error_of_the_ledger(tmp_path: Path):
    document = _document()
    document.statements[0].closing = Decimal("10.51")
    assert len(_load(document, tmp_path)[1]) == 1


def test_dates_at_the_ends_of_the_calendar_are_written(tmp_path: Path):
    document = _document()
    document.rows[0].date, document.rows[1].date = date.min, date.max
    for write in (statements.write_beancount, statements.write_qif, statements.write_ofx):
        write(document, tmp_path / "s")
        assert "0001" in (tmp_path / "s").read_text()


def test_qif_is_one_block_a_row(tmp_path: Path):
    left_out = statements.write_qif(_document(), tmp_path / "s.qif")
    text = (tmp_path / "s.qif").read_text()
    assert text.startswith("!Account\nN**** 12-34\nTBank\n^\n!Type:Bank\nD2024-05-01\nT-20.00\n")
    assert text.count("\n^\n") == 3 and "\nTX" not in text
    assert left_out == ["account **** 12-34: 1 row without a date or an amount is not in the QIF file"]


@pytest.mark.skipif(not importlib.util.find_spec("quiffen"), reason="quiffen is not available for this Python")
@pytest.mark.parametrize("is_card", [False, True])
def test_qif_is_read_back_by_another_library(tmp_path: Path, is_card: bool):
    from quiffen import Qif

    statements.write_qif(_document(is_card=is_card), tmp_path / "s.qif")
    (account,) = Qif.parse(tmp_path / "s.qif").accounts.values()
    ((kind, read),) = account.transactions.items()
    assert account.name == "**** 12-34" and kind.value == ("CCard" if is_card else "Bank")
    assert [each.amount for each in read] == [Decimal("-20.00"), Decimal("30.50")]
    assert [each.date.date() for each in read] == [date(2024, 5, 1), date(2024, 5, 2)]
    assert (read[0].payee, read[0].check_number) == (ODD, 'ref "1"')
    assert read[1].memo == 'CHECK: low "confidence" (0.40)'
