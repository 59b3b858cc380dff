"""Statements from a model's answers, one a page, in the form of `page_schema`. Pure.

The model copies text as printed; notation, years and signs are decided here, as for pages read by layout.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from processors.statements.amounts import DecimalMark, detect_decimal_mark, looks_like_amount, parse_amount
from processors.statements.assembly import assemble
from processors.statements.currencies import detect_currency
from processors.statements.dates import parse_date
from processors.statements.header import AccountTracker
from processors.statements.reading import RawDocument, RawFigure, RawRow
from processors.statements.receipts import Item, Receipt
from processors.statements.receipts.heading import find_date
from processors.statements.records import StatementDocument, Unread
from processors.statements.table import AmountCell
from processors.statements.words import PageWord, TextLine

_Answer = Mapping[str, Any]  # the answer about a page, or a row in it: JSON that fits its schema

_AMOUNT = r"^[-+(]? ?[£$€]? ?[-+]?[0-9][0-9 .,']{0,16}[.,][0-9]{2} ?\)?[-+]? ?(CR|DR|S|H)?$"
_MONEY = ("debit", "credit", "amount", "balance")
_TEXTS = {
    "account": "account number or IBAN",
    "holder": "name of the account's holder",
    "currency": "three letters, such as EUR",
    "period": 'the statement\'s period as printed, such as "01/05/2024 to 31/05/2024"',
}
_SUMS = ("subtotal", "tax", "total")
_OF_RECEIPT = ("shop", "date", "currency", *_SUMS)
_FIGURES = {
    "opening": "opening balance, or the balance brought forward to this page",
    "closing": "closing balance of the statement; not what is carried forward to the next page",
    "total_debits": "printed total of the debits",
    "total_credits": "printed total of the credits",
}


def page_schema() -> dict[str, object]:
    """The JSON Schema of the answer about one page: everything as printed, null for what is not on it."""
    row = {
        "date": _text("date of the movement, as printed"),
        "description": {"type": "string", "maxLength": 500},
        "reference": _text("reference or type, where it has a column of its own"),
        "debit": _amount("money out, where there is a column for it"),
        "credit": _amount("money in, where there is a column for it"),
        "amount": _amount("where one column holds both, with its sign or letters"),
        "balance": _amount("balance after the movement, with its sign or letters"),
    }
    whole = {name: _text(meaning) for name, meaning in _TEXTS.items()}
    whole |= {name: _amount(meaning) for name, meaning in _FIGURES.items()}
    whole["rows"] = {"type": "array", "items": _object(row), "maxItems": 200}
    return _object(whole)


def from_page_answers(
    answers: Sequence[tuple[int, _Answer]], confidences: Mapping[tuple[int, int], float] | None = None
) -> StatementDocument:
    """A document from (page, answer in the form of `page_schema`), in reading order.

    Nothing is verified yet. A value that is not a date or an amount flags its row or is reported as unread.

    confidences: by page and index of a row in its answer, the probability of the least certain of its values.
    """
    reading, accounts = RawDocument(), AccountTracker()
    for page, answer in answers:
        _read_page(page, answer, reading, accounts, confidences or {})
    return assemble(reading, StatementDocument(pages=len(answers), unread=reading.unread))


def receipt_schema() -> dict[str, object]:
    """The JSON Schema of the answer about one page of a receipt: everything as printed, null for what is not on it."""
    item = {
        "description": {"type": "string", "maxLength": 200},
        "price": _amount("what the line comes to; with its sign where it is a discount"),
    }
    whole = {
        "shop": _text("name of the shop"),
        "date": _text("date of the purchase, as printed"),
        "currency": _text("three letters, such as EUR"),
        "items": {"type": "array", "items": _object(item), "maxItems": 200},
        "subtotal": _amount("sum before tax, where it is printed"),
        "tax": _amount("tax, where it is printed"),
        "total": _amount("what was to be paid"),
    }
    return _object(whole)


def receipt_from_answers(
    answers: Sequence[tuple[int, _Answer]], confidences: Mapping[tuple[int, int], float] | None = None
) -> Receipt:
    """A receipt from (page, answer in the form of `receipt_schema`); see `from_page_answers`."""
    first = {name: next((answer[name] for _, answer in answers if answer.get(name)), None) for name in _OF_RECEIPT}
    items = [(page, number, item) for page, answer in answers for number, item in enumerate(answer.get("items") or [])]
    sums = {name: first[name] for name in _SUMS}
    mark = detect_decimal_mark(text for text in (*sums.values(), *(item["price"] for _, _, item in items)) if text)
    receipt = Receipt(
        shop=first["shop"] or "",
        date=find_date([first["date"]] if first["date"] else [])[0],
        currency=detect_currency([first["currency"]] if first["currency"] else []) or "",
    )
    for name, text in sums.items():
        setattr(receipt, name, _receipt_amount(receipt, text, mark, name))
    for page, number, item in items:
        price = _receipt_amount(receipt, item["price"], mark, repr(item["description"]))
        if price is not None:
            sure = (confidences or {}).get((page, number), 1.0)
            receipt.items.append(Item(page, item["description"], price, sure))
    return receipt


def _receipt_amount(receipt: Receipt, text: str | None, mark: DecimalMark, what: str) -> Decimal | None:
    amount = parse_amount(text, mark) if text else None
    if amount is None and (text or what not in _SUMS):
        receipt.reasons.append(f"{what}: {f'{text} is not an amount' if text else 'no amount'}")
    return amount and amount.signed


def _read_page(
    page: int,
    answer: _Answer,
    reading: RawDocument,
    accounts: AccountTracker,
    confidences: Mapping[tuple[int, int], float],
) -> None:
    if answer.get("account"):
        accounts.update(f"account number {answer['account']}")
    account = accounts.current
    for label, name in (("", "period"), ("Account holder: ", "holder"), ("", "currency")):
        if answer.get(name):
            line = TextLine(page, (PageWord(f"{label}{answer[name]}", 0, 0, 1, 1),))
            reading.outside.append((account, line))
            reading.lines.append(line)
    _add_figure(reading, page, account, "opening", answer.get("opening"))
    rows = answer.get("rows") or []
    for number, row in enumerate(rows):
        reading.items.append(_row(page, account, row, confidences.get((page, number), 1.0)))
    _add_figure(reading, page, account, "closing", answer.get("closing"))
    _add_figure(reading, page, account, "debits", answer.get("total_debits"))
    _add_figure(reading, page, account, "credits", answer.get("total_credits"))
    if not rows:
        reading.unread.append(Unread(page, "", "no rows were found on this page"))


def _add_figure(reading: RawDocument, page: int, account: str, name: str, text: str | None) -> None:
    if not text:
        return
    if not looks_like_amount(text):
        reading.unread.append(Unread(page, text, f"given as {name}, but not an amount"))
        return
    column = "balance" if name in ("opening", "closing") else {"debits": "debit", "credits": "credit"}[name]
    reading.items.append(RawFigure(page, account, name, {column: text}))


def _row(page: int, account: str, row: _Answer, confidence: float) -> RawRow:
    raw = RawRow(page, account, parse_date(row.get("date") or ""), confidence=confidence)
    raw.text = [row["description"]] if row.get("description") else []
    raw.reference = [row["reference"]] if row.get("reference") else []
    for name in _MONEY:
        text = (row.get(name) or "").strip()
        if looks_like_amount(text):
            raw.money[name] = AmountCell((), text)
        elif text:
            raw.unreadable.append(text)
    return raw


def _object(properties: Mapping[str, object]) -> dict[str, object]:
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


def _text(meaning: str) -> dict[str, object]:
    return {"type": ["string", "null"], "maxLength": 120, "description": meaning}


def _amount(meaning: str) -> dict[str, object]:
    return {"anyOf": [{"type": "string", "pattern": _AMOUNT}, {"type": "null"}], "description": meaning}
