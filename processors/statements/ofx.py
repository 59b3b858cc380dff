"""Statements as OFX 2.1.1, which accounting programs import (specification: sections 2 and 11)."""

import hashlib
from datetime import date
from decimal import Decimal
from pathlib import Path
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

from processors.statements.records import Row, Statement, StatementDocument

_PROLOGUE = (
    '<?xml version="1.0" encoding="UTF-8" standalone="no"?>\n'
    '<?OFX OFXHEADER="200" VERSION="211" SECURITY="NONE" OLDFILEUID="NONE" NEWFILEUID="NONE"?>\n'
)
_LONGEST_NAME, _LONGEST_MEMO, _LONGEST_ACCOUNT = 32, 255, 22  # characters that the specification allows
_NO_CURRENCY = "XXX"  # ISO 4217: no currency involved


def write_ofx(document: StatementDocument, path: Path) -> list[str]:
    """Write what OFX can hold. Return what it cannot, in words: rows without a date or an amount, and statements
    without a balance. The memo of a flagged row contains its flags."""
    root, left_out = Element("OFX"), []
    _sign_on(root, document)
    for is_card, tag in ((False, "BANKMSGSRSV1"), (True, "CREDITCARDMSGSRSV1")):
        messages = Element(tag)
        for number, statement in enumerate(document.statements, start=1):
            if statement.is_liability == is_card and statement.rows:
                left_out += _add(messages, statement, number)
        if len(messages):
            root.append(messages)
    ElementTree.indent(root, " ")
    path.write_text(_PROLOGUE + ElementTree.tostring(root, encoding="unicode") + "\n", encoding="utf-8")
    return left_out


def _sign_on(root: Element, document: StatementDocument) -> None:
    last = max((row.date for row in document.rows if row.date), default=date(1970, 1, 1))
    sign_on = SubElement(SubElement(root, "SIGNONMSGSRSV1"), "SONRS")
    _status(sign_on)
    _text(sign_on, "DTSERVER", _day(last))  # from the data, not from the clock: the same file gives the same result
    _text(sign_on, "LANGUAGE", "ENG")


def _add(messages: Element, statement: Statement, number: int) -> list[str]:
    name = f"account {statement.account or number}"
    usable = [row for row in statement.rows if row.date and row.change]
    left_out = []
    if len(usable) < len(statement.rows):
        count = len(statement.rows) - len(usable)
        rows, verb = ("row", "is") if count == 1 else ("rows", "are")
        left_out.append(f"{name}: {count} {rows} without a date or an amount {verb} not in the OFX file")
    balance = _last_balance(statement)
    if balance is None or not usable:
        return [*left_out, f"{name}: not in the OFX file, which needs a balance and a dated row"]
    card = statement.is_liability
    response = SubElement(messages, "CCSTMTTRNRS" if card else "STMTTRNRS")
    _text(response, "TRNUID", str(number))
    _status(response)
    body = SubElement(response, "CCSTMTRS" if card else "STMTRS")
    _text(body, "CURDEF", statement.currency or _NO_CURRENCY)
    account = SubElement(body, "CCACCTFROM" if card else "BANKACCTFROM")
    if not card:
        _text(account, "BANKID", "0")
    _text(account, "ACCTID", (statement.account or "unknown")[-_LONGEST_ACCOUNT:])
    if not card:
        _text(account, "ACCTTYPE", "CHECKING")
    listed = SubElement(body, "BANKTRANLIST")
    start, end = statement.start or min(r.date for r in usable), statement.end or max(r.date for r in usable)
    _text(listed, "DTSTART", _day(start))
    _text(listed, "DTEND", _day(end))
    seen: dict[str, int] = {}
    for row in usable:
        _transaction(listed, statement, row, seen)
    ledger = SubElement(body, "LEDGERBAL")
    _text(ledger, "BALAMT", str(-balance if card else balance))
    _text(ledger, "DTASOF", _day(end))
    return left_out


def _transaction(listed: Element, statement: Statement, row: Row, seen: dict[str, int]) -> None:
    element = SubElement(listed, "STMTTRN")
    _text(element, "TRNTYPE", "CREDIT" if row.change > 0 else "DEBIT")
    _text(element, "DTPOSTED", _day(row.date))
    _text(element, "TRNAMT", str(row.change))
    key = f"{statement.account}|{row.date}|{row.change}|{row.description}"
    seen[key] = seen.get(key, 0) + 1  # the same purchase twice on a day: two transactions
    _text(element, "FITID", hashlib.sha256(f"{key}|{seen[key]}".encode()).hexdigest()[:32])
    _text(element, "NAME", row.description[:_LONGEST_NAME] or "?")
    flags = f"CHECK: {'; '.join(row.flags)}" if row.flags else ""
    longer = row.description if len(row.description) > _LONGEST_NAME else ""
    memo = " | ".join(part for part in (flags, longer, row.reference) if part)[:_LONGEST_MEMO]
    if memo:
        _text(element, "MEMO", memo)


def _last_balance(statement: Statement) -> Decimal | None:
    if statement.closing is not None:
        return statement.closing
    return next((row.balance for row in reversed(statement.rows) if row.balance is not None), statement.opening)


def _status(parent: Element) -> None:
    status = SubElement(parent, "STATUS")
    _text(status, "CODE", "0")
    _text(status, "SEVERITY", "INFO")


def _text(parent: Element, tag: str, text: str) -> None:
    SubElement(parent, tag).text = "".join(char if char.isprintable() else " " for char in text)


def _day(day: date) -> str:
    return f"{day:%Y%m%d}"
