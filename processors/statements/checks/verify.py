"""Verification: arithmetic, dates, confidence, a second reading. Adds flags and checks, changes no value.

`verify` checks the document; `reasons` and `doubtful_pages` report what the checks found.
"""

import re
from collections.abc import Collection, Iterable, Sequence
from datetime import date
from decimal import Decimal
from operator import attrgetter

from processors.statements.checks.date_checks import check_dates
from processors.statements.checks.links import Link, find_links
from processors.statements.checks.sequences import align
from processors.statements.records import (
    MIN_CONFIDENCE,
    CheckResult,
    Row,
    SecondReading,
    Statement,
    StatementDocument,
    Unread,
)

_LOOSE_SHARE = 0.1  # share of the rows that no balance needs to cover if a second reading confirms them
_SEPARATOR = "[.,'’ \u00a0\u202f]?"  # between the digits of an amount
_LETTERS_ONLY = re.compile(r"[\W\d_]+")
_LONGER_WORD = 3  # letters; shorter ones occur by chance
_MOST_WITHOUT_BALANCE = 0.1  # share of the rows of a kind (last of their day or not) that usually have a balance
_LEAST_BALANCES = 5  # fewer show no rule
_LEAST_ALIKE = 0.5  # of a page's rows: if fewer are, the second reading failed and proves nothing about the first
_COMPARED = {"date": "the date", "debit": "the debit", "credit": "the credit", "balance": "the balance"}
_ALIGNED_BY = (attrgetter(*_COMPARED), lambda row: row.change, lambda row: row.description.casefold())


def verify(
    document: StatementDocument,
    second: SecondReading | None = None,
    *,
    min_confidence: float = MIN_CONFIDENCE,
    today: date | None = None,
) -> None:
    """Verify a document: set the flags of its rows and the checks of its statements.

    `min_confidence`: a row whose least certain word has less is flagged. `today`: None if unknown.
    """
    if second:
        _compare_rows(document, second)
    for statement in document.statements:
        statement.checks = [_check_balances(statement), *_check_totals(statement)]
        if statement.second_reading:
            statement.checks.append(statement.second_reading)
        check_dates(statement, today)
        _check_presence(statement)
        for row in statement.rows:
            _check_row(row, second.texts.get(row.page) if second else None, min_confidence)


def reasons(document: StatementDocument) -> list[str]:
    """The reasons why a person should review the document; empty if inboxd read everything that is printed, and all of
    it agrees."""
    found = []
    flagged = [row for row in document.rows if row.flags]
    if not document.rows:
        found.append("no rows of a statement were found; read the page as text with the recipe `read`")
    if flagged:
        found.append(f"{_rows_are(len(flagged))} flagged, on {_pages(row.page for row in flagged)}")
    for statement in document.statements:
        name = f"account {statement.account}: " if len(document.statements) > 1 else ""
        found += [f"{name}{check.text}" for check in statement.checks if not check.passed]
    found += document.doubts
    if document.unread:
        count = len(document.unread)
        things = "1 line or page was" if count == 1 else f"{count} lines or pages were"
        found.append(f"{things} not understood, on {_pages(each.page for each in document.unread)}")
    return found


def doubtful_pages(document: StatementDocument, with_text: Collection[int] = ()) -> set[int]:
    """The pages of a verified document on which something does not agree or was not understood, and those of the few
    rows that no balance covers.

    with_text: the pages whose text is that of the file. If no balance covers any row, it is their layout that was not
    understood, and OCR of them shows nothing further.
    """
    pages = {each.page for each in document.unread} | {row.page for row in document.rows if row.flags}
    for statement in document.statements:
        links, loose = find_links(statement)
        pages |= {row.page for row in loose if links and len(loose) <= _most_loose(statement)}
        if any(check.passed is False for check in statement.checks):
            pages |= {row.page for row in statement.rows}
    is_covered = any(find_links(statement)[0] for statement in document.statements)
    return pages if is_covered else pages - set(with_text)


def occurs(value: Decimal, text: str) -> bool:
    """True if an amount occurs in another reading of its page, digit by digit, in whatever notation."""
    digits = _SEPARATOR.join(char for char in str(value) if char.isdigit())
    return bool(re.search(rf"(?<!\d)0*{digits}(?!\d)", text))


def is_confirmed_by(text: str, values: Iterable[Decimal | None], words: str) -> bool:
    """True if another reading of the page has all these amounts, at least one, and every longer word."""
    printed = [value for value in values if value is not None]
    letters = _LETTERS_ONLY.sub("", text.casefold())
    longer = [word for word in _LETTERS_ONLY.sub(" ", words.casefold()).split() if len(word) >= _LONGER_WORD]
    return bool(printed) and all(occurs(value, text) for value in printed) and all(word in letters for word in longer)


def _pages(numbers: Iterable[int]) -> str:
    pages = sorted(set(numbers))
    return f"page{'s' if len(pages) > 1 else ''} {', '.join(map(str, pages))}"


def _rows_are(count: int) -> str:
    return "1 row is" if count == 1 else f"{count} rows are"


# ---------------------------------------------------------------------------------------------- arithmetic


def _check_balances(statement: Statement) -> CheckResult:
    links, loose = find_links(statement)
    if not links:
        return CheckResult("balances", None, "too few balances are printed to verify the rows")
    for number, link in enumerate(links):
        following = links[number + 1] if number + 1 < len(links) else None
        previous = links[number - 1] if number else None
        if link.gap == 0:
            continue
        if following and link.own and link.gap + following.gap == 0:
            link.own.flags.append(f"its balance {link.after} does not match the amounts, but the balances around it do")
        elif not (previous and previous.own and previous.gap + link.gap == 0):
            _flag_link(link, statement)
    bad = sum(link.gap != 0 for link in links)
    if bad:
        worst = next(link for link in links if link.gap)
        text = f"{bad} of {len(links)} balances do not follow from the rows before, first {worst.where}"
        return CheckResult("balances", False, f"{text}: off by {worst.gap}")
    many = len(links) > 1
    follow = f"all {len(links)} printed balances follow" if many else "the printed balance follows"
    follow += " from the amounts"
    if loose and len(loose) <= _most_loose(statement) and all(row.confirmed for row in loose):
        return CheckResult("balances", True, f"{follow}; a second reading confirms {_others(len(loose))}")
    if loose:
        return CheckResult("balances", None, f"{_rows_are(len(loose))} not verified by a balance")
    return CheckResult("balances", True, follow)


def _most_loose(statement: Statement) -> float:
    """The maximum number of rows without a covering balance that a second reading may confirm; balances prove the
    directions of the others."""
    return max(1, _LOOSE_SHARE * len(statement.rows))


def _others(count: int) -> str:
    return "the other row" if count == 1 else f"the other {count} rows"


def _flag_link(link: Link, statement: Statement) -> None:
    """Flag the rows of a link that neither a second reading nor a total confirms. If a second reading confirms all of
    them, flag all of them, unless a row is missing beside one; the totals of all rows prove them, so flag none."""
    if all(_is_in_total(row, statement) for row in link.rows):
        return
    suspects = [row for row in link.rows if not row.confirmed and not _is_in_total(row, statement)]
    if not suspects and any(row.missing_beside for row in link.rows):
        return
    change = link.after - link.before
    total = change - link.gap
    many = "these rows add up" if len(link.rows) > 1 else "its amount comes"
    for row in suspects or link.rows:
        row.flags.append(f"the balance changes by {change}, but {many} to {total} (a row may be missing before it)")


def _is_in_total(row: Row, statement: Statement) -> bool:
    """True if a row is among those to which a printed total of its direction adds up."""
    printed, total = (
        (statement.printed_debits, statement.money_out)
        if row.debit
        else (statement.printed_credits, statement.money_in)
    )
    return printed is not None and printed == total


def _check_totals(statement: Statement) -> list[CheckResult]:
    checks = []
    for name, printed, values in (
        ("debits", statement.printed_debits, [row.debit for row in statement.rows]),
        ("credits", statement.printed_credits, [row.credit for row in statement.rows]),
    ):
        if printed is not None:
            total = sum((value for value in values if value), Decimal(0))
            agrees = "as printed" if total == printed else f"but {printed} is printed"
            checks.append(CheckResult(name, total == printed, f"the {name} add up to {total}, {agrees}"))
    return checks


# ---------------------------------------------------------------------------------------------- rows


def _check_row(row: Row, text: str | None, min_confidence: float) -> None:
    """`text`: a second reading of its page, in which its amounts must occur; None: there is none."""
    is_unsure = row.confidence < min_confidence
    if is_unsure and not (text and is_confirmed_by(text, (row.debit, row.credit, row.balance), row.description)):
        row.flags.append(f"low confidence ({row.confidence:.2f})")
    if not row.description and not row.reference:
        row.flags.append("has no description")
    for value in (row.debit, row.credit, row.balance):
        if text is not None and value is not None and not occurs(value, text):
            row.flags.append(f"the amount {value} does not occur in the second reading of page {row.page}")


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
                row.flags.append("has no balance, although nearly all other rows have one")


# ---------------------------------------------------------------------------------------------- second reading


def _compare_rows(document: StatementDocument, second: SecondReading) -> None:
    """Compare the rows of each page that was read again; flag differences, report rows that only `second` has."""
    for page, reader in second.readers.items():
        rows = [row for row in document.rows if row.page == page]
        others = [row for row in second.rows if row.page == page]
        pairs = list(align(rows, others, _ALIGNED_BY))
        if sum(not _differences(row, other) for row, other in pairs) < _LEAST_ALIKE * len(rows):
            document.notes.append(f"page {page} was read again ({reader}), but too few rows agree to compare them")
            continue
        for number, (row, other) in enumerate(pairs):
            if row is None:
                if other:
                    document.unread.append(_missing_row(other, reader))
                for neighbour, _ in (*pairs[max(0, number - 1) : number], *pairs[number + 1 : number + 2]):
                    if neighbour:
                        neighbour.missing_beside = True
            else:
                differences = _differences(row, other)
                row.confirmed = not differences
                if differences:
                    row.flags.append(f"the second reading ({reader}) {' and '.join(differences)}")
    for statement in document.statements:
        statement.second_reading = _count_confirmed(statement.rows)


def _count_confirmed(rows: Sequence[Row]) -> CheckResult | None:
    """None: no row was read twice."""
    compared = [row for row in rows if row.confirmed is not None]
    if not compared:
        return None
    same = sum(bool(row.confirmed) for row in compared)
    text = f"{same} of {len(compared)} rows that were read twice agree"
    return CheckResult("second reading", same == len(compared), text)


def _missing_row(other: Row, reader: str) -> Unread:
    amounts = [
        f"{name} {value}" for name in ("debit", "credit", "balance") if (value := getattr(other, name)) is not None
    ]
    text = " ".join(filter(None, [str(other.date), other.description, *amounts]))
    return Unread(other.page, text, f"a row that only the second reading ({reader}) has", other.box)


def _differences(row: Row | None, other: Row | None) -> list[str]:
    """A description of what `other` has instead."""
    if row is None or other is None:
        return ["lacks this row"]
    found = []
    for name, words in _COMPARED.items():
        value = getattr(other, name)
        if getattr(row, name) != value:
            found.append(f"lacks {words}" if value is None else f"has {words} {value}")
    return found
