"""Statements as OFX 2.1.1, which accounting programs import (specification: sections 2 and 11)."""

from datetime import date
from pathlib import Path
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

from processors.statements.records import Row, Statement, StatementDocument
from processors.statements.writing.transactions import (
    final_balance,
    identify,
    one_line,
    report_left_out,
    transactions,
    warning,
)

_PROLOGUE = (
    '<?xml version="1.0" encoding="UTF-8" standalone="no"?>\n'
    '<?OFX OFXHEADER="200" VERSION="211" SECURITY="NONE" OLDFILEUID="NONE" NEWFILEUID="NONE"?>\n'
)
_LONGEST_NAME, _LONGEST_MEMO, _LONGEST_ACCOUNT = 32, 255, 22  # characters that the specification allows
_NO_CURRENCY = "XXX"  # ISO 4217: no currency involved


def write_ofx(document: StatementDocument, path: Path) -> list[str]:
    """Write what OFX can express. Return a description of what it cannot: rows without a date or an amount, and
    statements without a balance. The memo of a flagged row contains its flags."""
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
    usable, balance = transactions(statement), final_balance(statement)
    left_out = report_left_out(statement, name, "OFX file")
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
    days = [row.date for row in usable if row.date]  # see `transactions`: all of them
    start, end = statement.start or min(days), statement.end or max(days)
    _text(listed, "DTSTART", _day(start))
    _text(listed, "DTEND", _day(end))
    for row, identifier in identify(statement, usable):
        _transaction(listed, row, identifier)
    ledger = SubElement(body, "LEDGERBAL")
    _text(ledger, "BALAMT", str(-balance if card else balance))
    _text(ledger, "DTASOF", _day(end))
    return left_out


def _transaction(listed: Element, row: Row, identifier: str) -> None:
    assert row.date is not None  # see `transactions`
    element = SubElement(listed, "STMTTRN")
    _text(element, "TRNTYPE", "CREDIT" if row.change > 0 else "DEBIT")
    _text(element, "DTPOSTED", _day(row.date))
    _text(element, "TRNAMT", str(row.change))
    _text(element, "FITID", identifier)
    _text(element, "NAME", row.description[:_LONGEST_NAME] or "?")
    longer = row.description if len(row.description) > _LONGEST_NAME else ""
    memo = " | ".join(part for part in (warning(row), longer, row.reference) if part)[:_LONGEST_MEMO]
    if memo:
        _text(element, "MEMO", memo)


def _status(parent: Element) -> None:
    status = SubElement(parent, "STATUS")
    _text(status, "CODE", "0")
    _text(status, "SEVERITY", "INFO")


def _text(parent: Element, tag: str, text: str) -> None:
    SubElement(parent, tag).text = one_line(text)


def _day(day: date) -> str:
    return day.isoformat().replace("-", "")
