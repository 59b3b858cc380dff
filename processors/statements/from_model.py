"""Statements from a model's answers, one a page, in the form of `page_schema`. Pure.

The model copies text as printed; notation, years and signs are decided here, as for pages read by layout.
"""

import re
from collections.abc import Mapping, Sequence

from processors.statements.account.assembly import assemble
from processors.statements.account.cards import names_card
from processors.statements.notation.amounts import (
    looks_like_amount,
)
from processors.statements.notation.answers import (
    SHARED_SIGNS,
    Answer,
    Notation,
    Schema,
    amount_schema,
    clean_account,
    is_same_account,
    object_schema,
    read_amount,
    text_schema,
)
from processors.statements.notation.dates import PrintedDate, parse_date
from processors.statements.notation.keywords import Column, match_section
from processors.statements.notation.words import PageWord, TextLine
from processors.statements.preparation.no_decimals import remove_decimals
from processors.statements.records import StatementDocument, Unread
from processors.statements.table.amount_cells import AmountCell
from processors.statements.table.raw import RawDocument, RawFigure, RawRow

_MOST_ROWS = 1000  # of one account on one page, for `row_index`
_EAST_ASIAN = re.compile(r"(\d{4})\s?[年년]\s?(\d{1,2})\s?[月월]\s?(\d{1,2})\s?[日일]")
_MONEY: tuple[Column, ...] = ("debit", "credit", "amount", "balance")
_TEXTS = {
    "account": "account number or IBAN",
    "holder": "name of the account's holder",
    "currency": "currency as printed, such as EUR or £",
    "period": 'the statement\'s period as printed, such as "01/05/2024 to 31/05/2024"',
}
_FIGURES = {
    "opening": "opening balance, or the balance brought forward to this page",
    "closing": "closing balance of the statement; not what is carried forward to the next page",
    "total_debits": "printed total of the debits",
    "total_credits": "printed total of the credits",
}


def page_schema() -> Schema:
    """The JSON Schema of the answer about one page: everything as printed, null for what is not on it.

    The answer may omit what most pages lack: the kind of the document, a row's section, further accounts.
    """
    account = _account_schema()
    optional = {
        "kind": text_schema("what the document calls itself, such as Credit card statement"),
        "other_accounts": {
            "type": ["array", "null"],
            "items": account,
            "maxItems": 20,
            "description": "further accounts with tables of their own on this page, in the same form",
        },
    }
    return account | {"properties": account["properties"] | optional}


def _account_schema() -> Schema:
    row = {
        "date": text_schema("date of the movement, as printed"),
        "description": {"type": "string", "maxLength": 500},
        "reference": text_schema("reference or type, where it has a column of its own"),
        "debit": amount_schema("money out, where there is a column for it"),
        "credit": amount_schema("money in, where there is a column for it"),
        "amount": amount_schema("where one column holds both, with its sign or letters"),
        "balance": amount_schema("balance after the movement, with its sign or letters"),
    }
    required = object_schema(row)
    section = {"section": text_schema("heading above the row, such as Deposits or Withdrawals")}
    whole = {name: text_schema(meaning) for name, meaning in _TEXTS.items()}
    whole |= {name: amount_schema(meaning) for name, meaning in _FIGURES.items()}
    rows = required | {"properties": required["properties"] | section}
    whole["rows"] = {"type": "array", "items": rows, "maxItems": 200}
    return object_schema(whole)


def from_page_answers(
    answers: Sequence[tuple[int, Answer]],
    confidences: Mapping[tuple[int, int], float] | None = None,
    texts: Mapping[int, str] | None = None,
) -> StatementDocument:
    """A document from (page, answer in the form of `page_schema`), in reading order.

    Nothing is verified yet. A value that is not a date or an amount flags its row or is reported as unread.

    confidences: by page and index of a row in its answer (see `row_index`), the probability of the least certain of
    its values. texts: by page, what another reader found on it; it may name the kind of the account.
    """
    reader = _AnswerReader(confidences or {})
    for page, answer in answers:
        reader.read_page(page, answer)
    for page, text in (texts or {}).items():
        reader.read_text(page, text)
    return reader.document(len(answers))


def row_index(account: int | None, row: int) -> int:
    """The index of a row in `confidences`: that of its account in `other_accounts`, or None, and its own."""
    return row if account is None else (account + 1) * _MOST_ROWS + row


class _AnswerReader:
    """The answers about the pages of one document, in their order."""

    def __init__(self, confidences: Mapping[tuple[int, int], float]):
        self._confidences = confidences
        self._reading = RawDocument()
        self._account = ""
        self._dates: dict[str, PrintedDate | None] = {}  # by account: the last one, which rows of its day may lack
        self._sections: dict[str, str | None] = {}  # by account: the last heading
        self._money: dict[str, list[str]] = {}  # by account: its amounts as printed

    def read_page(self, page: int, answer: Answer) -> None:
        if kind := answer.get("kind"):
            self._reading.lines.append(_line(page, kind))
        self._read_account(page, answer, None)
        for number, other in enumerate(answer.get("other_accounts") or []):
            self._read_account(page, other, number)

    def read_text(self, page: int, text: str) -> None:
        """Add the lines that distinguish a card or a loan from a current account; amounts and dates come only from the
        answers."""
        self._reading.lines += [_line(page, line) for line in text.splitlines() if names_card(line)]

    def document(self, pages: int) -> StatementDocument:
        notations = {account: Notation(texts) for account, texts in self._money.items()}
        for item in [*self._reading.items]:
            _standardize(item, notations[item.account], self._reading)
        document = assemble(self._reading, StatementDocument(pages=pages, unread=self._reading.unread))
        for statement in document.statements:
            if statement.account in notations and not notations[statement.account].has_decimals:
                remove_decimals(statement)
        return document

    def _read_account(self, page: int, answer: Answer, number: int | None) -> None:
        self._account = account = self._identify(answer.get("account"))
        self._money.setdefault(account, [])
        for label, name in (("", "period"), ("Account holder: ", "holder"), ("", "currency")):
            if answer.get(name) and (name != "currency" or answer[name].strip() not in SHARED_SIGNS):
                self._add_line(page, f"{label}{answer[name]}")
        self._add_figure(page, "opening", answer.get("opening"))
        rows = answer.get("rows") or []
        for at, row in enumerate(rows):
            self._add_row(page, row, self._confidences.get((page, row_index(number, at)), 1.0))
        for name, key in (("closing", "closing"), ("debits", "total_debits"), ("credits", "total_credits")):
            self._add_figure(page, name, answer.get(key))
        if not rows:
            self._reading.unread.append(Unread(page, "", "no rows were found on this page"))
        if not answer.get("currency"):
            printed = [amount.currency for text in self._money[account] if (amount := read_amount(text))]
            for currency in dict.fromkeys(filter(None, printed)):
                self._add_line(page, currency)

    def _identify(self, printed: str | None) -> str:
        """The account that an answer names, or the previous account; a masked number is that of the account with the
        same last digits."""
        account = clean_account(printed) if printed else ""
        if not account:
            return self._account
        return next((known for known in self._money if known and is_same_account(known, account)), account)

    def _add_line(self, page: int, text: str) -> None:
        line = _line(page, text)
        self._reading.outside.append((self._account, line))
        self._reading.lines.append(line)

    def _add_figure(self, page: int, name: str, text: str | None) -> None:
        if not text:
            return
        if not read_amount(text):
            self._reading.unread.append(Unread(page, text, f"given as {name}, but not an amount"))
            return
        column = "balance" if name in ("opening", "closing") else {"debits": "debit", "credits": "credit"}[name]
        self._money[self._account].append(text)
        self._reading.items.append(RawFigure(page, self._account, name, {column: text}))

    def _add_row(self, page: int, row: Answer, confidence: float) -> None:
        account, printed = self._account, row.get("date")
        if printed:
            self._dates[account] = parse_date(_EAST_ASIAN.sub(r"\1-\2-\3", printed))
        if heading := row.get("section"):
            self._sections[account] = match_section(heading)
        raw = RawRow(page, account, self._dates.get(account), confidence=confidence)
        raw.date_is_inherited = not printed
        raw.section = self._sections.get(account)
        raw.text = [row["description"]] if row.get("description") else []
        raw.reference = [row["reference"]] if row.get("reference") else []
        for name in _MONEY:
            if text := (row.get(name) or "").strip():
                raw.money[name] = AmountCell((), text)
                self._money[account].append(text)
        self._reading.items.append(raw)


def _line(page: int, text: str) -> TextLine:
    return TextLine(page=page, words=(PageWord(text, 0, 0, 1, 1),))


def _standardize(item: RawRow | RawFigure, notation: Notation, reading: RawDocument) -> None:
    """Convert the amounts to the notation that the assembly reads; report whatever is not an amount."""
    if isinstance(item, RawFigure):
        for column, text in item.money.items():
            item.money[column] = notation.standardize(text) or text
            if notation.standardize(text) is None:
                reading.unread.append(
                    Unread(item.page, text, f"{item.name}: its format differs from that of the others")
                )
        return
    for column, cell in list(item.money.items()):
        if standard := notation.standardize(cell.text):
            item.money[column] = AmountCell((), standard)
        elif not looks_like_amount(cell.text):  # otherwise, the assembly reports that the format differs
            del item.money[column]
            item.unreadable.append(cell.text)
