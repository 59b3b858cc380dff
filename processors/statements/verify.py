"""Verification: arithmetic, dates, confidence, a second reading. Adds flags and checks, changes no value.

`verify` and `verify_receipt` check what was read; `reasons` and `doubtful_pages` report what they found.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from processors.statements.receipts import Receipt
from processors.statements.records import LEAST_CONFIDENCE, Check, Document, Row, SecondReading, Statement, Unread
from processors.statements.sequences import align, find_out_of_order

_SEPARATOR = "[.,'’ \u00a0\u202f]?"  # between the digits of an amount
_MOST_WITHOUT_BALANCE = 0.1  # of the rows of a kind (last of their day or not) that have a balance as a rule
_LEAST_BALANCES = 5  # fewer show no rule
_MOST_OUT_OF_ORDER = 0.2  # if more rows are out of order, the statement does not list its rows by date
_LEAST_ALIKE = 0.5  # of a page's rows: if fewer are, the second reading failed and proves nothing about the first
_COMPARED = {"date": "the date", "debit": "the debit", "credit": "the credit", "balance": "the balance"}


@dataclass
class _Link:
    """The rows between two printed balances; their amounts must explain the change."""

    rows: list[Row]
    before: Decimal
    after: Decimal
    where: str
    own: Row | None  # the row that carries `after`; None: a line of its own does
    factor: int  # -1 for a liability, whose balance rises with each debit

    @property
    def gap(self) -> Decimal:
        return self.after - self.before - self.factor * sum((row.change for row in self.rows), Decimal(0))


def verify(
    document: Document, second: SecondReading | None = None, *, least_confidence: float = LEAST_CONFIDENCE
) -> None:
    """Verify a document: set the flags of its rows and the checks of its statements.

    `least_confidence`: a row whose least certain word has less is flagged.
    """
    if second:
        _compare_rows(document, second)
    for statement in document.statements:
        statement.checks = [_check_balances(statement), *_check_totals(statement)]
        if statement.second_reading:
            statement.checks.append(statement.second_reading)
        _check_dates(statement)
        _check_presence(statement)
        for row in statement.rows:
            _check_row(row, least_confidence)
            if second and row.page in second.texts:
                _find_amounts(row, second.texts[row.page])


def verify_receipt(receipt: Receipt, texts: Mapping[int, str], *, least_confidence: float = LEAST_CONFIDENCE) -> None:
    """Verify a receipt: add to its reasons for review. `texts`: see `SecondReading`."""
    total = sum((item.price for item in receipt.items), Decimal(0))
    allowed = {receipt.total, receipt.subtotal}
    if receipt.total is not None and receipt.tax is not None:
        allowed.add(receipt.total - receipt.tax)  # tax is added at the end, as in the United States
    if receipt.total is None:
        receipt.reasons.append("no total was found")
    elif total not in allowed:
        receipt.reasons.append(f"the items come to {total}, but the total is {receipt.total}")
    if receipt.date is None:
        receipt.reasons.append("no date was found")
    for item in receipt.items:
        if item.confidence < least_confidence:
            receipt.reasons.append(f"{item.description!r} was read with little certainty ({item.confidence:.2f})")
    for item in receipt.items:
        if item.page in texts and not occurs(item.price, texts[item.page]):
            receipt.reasons.append(f"{item.description!r}: {item.price} does not occur in another reading")


def reasons(document: Document) -> list[str]:
    """Why a person should review the document; empty if all that is printed was read and agrees."""
    found = []
    flagged = [row for row in document.rows if row.flags]
    if not document.rows:
        found.append("no rows of a statement were found; read the page as text with the recipe `read`")
    if flagged:
        found.append(f"{_rows_are(len(flagged))} flagged, on {_pages(row.page for row in flagged)}")
    for statement in document.statements:
        name = f"account {statement.account}: " if len(document.statements) > 1 else ""
        found += [f"{name}{check.text}" for check in statement.checks if not check.passed]
    if document.unread:
        count = len(document.unread)
        things = "1 line or page was" if count == 1 else f"{count} lines or pages were"
        found.append(f"{things} not understood, on {_pages(each.page for each in document.unread)}")
    return found


def doubtful_pages(document: Document) -> set[int]:
    """The pages of a verified document on which something does not agree or was not understood."""
    pages = {each.page for each in document.unread} | {row.page for row in document.rows if row.flags}
    for statement in document.statements:
        if any(check.passed is False for check in statement.checks):
            pages |= {row.page for row in statement.rows}
    return pages


def occurs(value: Decimal, text: str) -> bool:
    """True if an amount occurs in another reading of its page, digit by digit, in whatever notation."""
    digits = _SEPARATOR.join(char for char in str(value) if char.isdigit())
    return bool(re.search(rf"(?<!\d)0*{digits}(?!\d)", text))


def _pages(numbers: Iterable[int]) -> str:
    pages = sorted(set(numbers))
    return f"page{'s' if len(pages) > 1 else ''} {', '.join(map(str, pages))}"


def _rows_are(count: int) -> str:
    return "1 row is" if count == 1 else f"{count} rows are"


# ---------------------------------------------------------------------------------------------- arithmetic


def _check_balances(statement: Statement) -> Check:
    links, loose = _links(statement)
    if not links:
        return Check("balances", None, "no two balances are printed to verify the rows by")
    for number, link in enumerate(links):
        following = links[number + 1] if number + 1 < len(links) else None
        previous = links[number - 1] if number else None
        if link.gap == 0:
            continue
        if following and link.own and link.gap + following.gap == 0:
            link.own.flags.append(f"its balance {link.after} disagrees with the amounts; those around it agree")
        elif not (previous and previous.own and previous.gap + link.gap == 0):
            _flag_link(link)
    bad = sum(link.gap != 0 for link in links)
    if bad:
        worst = next(link for link in links if link.gap)
        text = f"{bad} of {len(links)} balances do not follow from the rows before, first {worst.where}"
        return Check("balances", False, f"{text}: off by {worst.gap}")
    if loose:
        return Check("balances", None, f"{_rows_are(len(loose))} verified by no balance")
    return Check("balances", True, f"all {len(links)} printed balances follow from the amounts")


def _flag_link(link: _Link) -> None:
    """Flag its rows that no second reading confirms; if all are confirmed, all, unless a row is missing beside one."""
    suspects = [row for row in link.rows if not row.confirmed]
    if not suspects and any(row.missing_beside for row in link.rows):
        return
    change = link.after - link.before
    total = change - link.gap
    many = "the amounts of these rows come" if len(link.rows) > 1 else "its amount comes"
    for row in suspects or link.rows:
        row.flags.append(f"the balance changes by {change}, but {many} to {total} (a row may be missing before it)")


def _links(statement: Statement) -> tuple[list[_Link], list[Row]]:
    """The links, and the rows that none covers."""
    anchors = sorted(statement.anchors, key=lambda anchor: anchor.at)
    factor = -1 if statement.is_liability else 1
    balance, links, between, loose = statement.opening, [], [], []

    def close(after: Decimal, where: str, own: Row | None) -> None:
        nonlocal balance, between
        if balance is not None:
            links.append(_Link(between, balance, after, where, own, factor))
        else:
            loose.extend(between)
        balance, between = after, []

    for number, row in enumerate([*statement.rows, None]):
        while anchors and (anchors[0].at <= number or row is None):
            anchor = anchors.pop(0)
            close(anchor.balance, f"at the {anchor.name} balance on page {anchor.page}", None)
        if row is not None:
            between.append(row)
            if row.balance is not None:
                close(row.balance, f"at the row of {row.date} on page {row.page}", row)
    return links, loose + between


def _check_totals(statement: Statement) -> list[Check]:
    checks = []
    for name, printed, values in (
        ("debits", statement.printed_debits, [row.debit for row in statement.rows]),
        ("credits", statement.printed_credits, [row.credit for row in statement.rows]),
    ):
        if printed is not None:
            total = sum((value for value in values if value), Decimal(0))
            agrees = "as printed" if total == printed else f"but {printed} is printed"
            checks.append(Check(name, total == printed, f"the {name} come to {total}, {agrees}"))
    return checks


# ---------------------------------------------------------------------------------------------- rows


def _check_row(row: Row, least_confidence: float) -> None:
    if row.confidence < least_confidence:
        row.flags.append(f"read with little certainty ({row.confidence:.2f})")
    if not row.description:
        row.flags.append("has no description")


def _check_dates(statement: Statement) -> None:
    dated = [row for row in statement.rows if row.date]
    fewest_wrong, doubtful = find_out_of_order([row.date.toordinal() for row in dated])
    if fewest_wrong <= _MOST_OUT_OF_ORDER * len(dated):
        for at in doubtful:
            dated[at].flags.append(f"its date {dated[at].date} is out of the order of the rows around it")
    for row in dated:
        if statement.start and statement.end and not statement.start <= row.date <= statement.end:
            row.flags.append(f"its date {row.date} is outside the period {statement.start} to {statement.end}")


def _check_presence(statement: Statement) -> None:
    """Flag a row without a balance where nearly all rows have one, or nearly all that are the last of their day."""
    rows = statement.rows
    following = [*rows[1:], None] if rows else []
    last = [row for row, after in zip(rows, following, strict=True) if after is None or after.date != row.date]
    others = [row for row, after in zip(rows, following, strict=True) if after is not None and after.date == row.date]
    for alike in (last, others):
        lacking = [row for row in alike if row.balance is None]
        is_usual = len(alike) - len(lacking) >= _LEAST_BALANCES
        if is_usual and len(lacking) <= max(1, _MOST_WITHOUT_BALANCE * len(alike)):
            for row in lacking:
                row.flags.append("has no balance, as nearly all other rows have")


# ---------------------------------------------------------------------------------------------- second reading


def _find_amounts(row: Row, text: str) -> None:
    for value in (row.debit, row.credit, row.balance):
        if value is not None and not occurs(value, text):
            row.flags.append(f"the amount {value} does not occur in another reading of page {row.page}")


def _compare_rows(document: Document, second: SecondReading) -> None:
    """Compare the rows of each page that was read again; flag differences, report rows that only `second` has."""
    for page, reader in second.readers.items():
        rows = [row for row in document.rows if row.page == page]
        others = [row for row in second.rows if row.page == page]
        pairs = list(align(rows, others, (_values, lambda row: row.change, lambda row: row.description.casefold())))
        if sum(not _differences(row, other) for row, other in pairs) < _LEAST_ALIKE * len(rows):
            document.notes.append(f"page {page} was read again ({reader}), with too little success to compare")
            continue
        for number, (row, other) in enumerate(pairs):
            if row is None:
                document.unread.append(_missing_row(other, reader))
                for neighbour, _ in (*pairs[max(0, number - 1) : number], *pairs[number + 1 : number + 2]):
                    if neighbour:
                        neighbour.missing_beside = True
            else:
                differences = _differences(row, other)
                row.confirmed = not differences
                if differences:
                    row.flags.append(f"another reading of it ({reader}) {' and '.join(differences)}")
    for statement in document.statements:
        statement.second_reading = _count_confirmed(statement.rows)


def _count_confirmed(rows: Sequence[Row]) -> Check | None:
    """None: no row was read twice."""
    compared = [row for row in rows if row.confirmed is not None]
    if not compared:
        return None
    same = sum(bool(row.confirmed) for row in compared)
    text = f"{same} of {len(compared)} rows that were read twice are the same"
    return Check("second reading", same == len(compared), text)


def _missing_row(other: Row, reader: str) -> Unread:
    amounts = [
        f"{name} {value}" for name in ("debit", "credit", "balance") if (value := getattr(other, name)) is not None
    ]
    text = " ".join(filter(None, [str(other.date), other.description, *amounts]))
    return Unread(other.page, text, f"a row that only another reading of the page has ({reader})")


def _differences(row: Row | None, other: Row | None) -> list[str]:
    """What `other` has instead, in words."""
    if row is None or other is None:
        return ["does not have it"]
    found = []
    for name, words in _COMPARED.items():
        value = getattr(other, name)
        if getattr(row, name) != value:
            found.append(f"lacks {words}" if value is None else f"has {words} {value}")
    return found


def _values(row: Row) -> tuple[Any, ...]:
    return tuple(getattr(row, name) for name in _COMPARED)
