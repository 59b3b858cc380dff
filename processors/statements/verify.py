"""What an accountant would verify: arithmetic, dates, certainty, a second reading. Adds flags, changes no value."""

import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from processors.statements.records import LEAST_CONFIDENCE, Check, Document, Row, Statement

_MARKS = "[.,'’ \u00a0\u202f]?"  # between the digits of an amount
_MOST_WITHOUT_BALANCE = 0.1  # of the rows of a kind (last of their day or not) that have a balance as a rule
_LEAST_BALANCES = 5  # fewer show no rule
_MOST_OUT_OF_ORDER = 0.2  # if more rows are out of order, the rows are not in the order of dates


@dataclass
class _Link:
    """From one printed balance to the next: the rows between, whose amounts must explain the change."""

    rows: list[Row]
    before: Decimal
    after: Decimal
    where: str
    own: Row | None  # the row that carries `after`; None: a line of its own does

    factor: int

    @property
    def gap(self) -> Decimal:
        return self.after - self.before - self.factor * sum((row.change for row in self.rows), Decimal(0))


def check(
    statement: Statement, evidence: Mapping[int, str] | None = None, *, least_confidence: float = LEAST_CONFIDENCE
) -> list[Check]:
    """Verify a statement; set `flags` of its rows and its `checks`, which are also returned.

    `evidence`: by page, the text of another reading of it (a text layer, OCR), in which each amount must occur.
    `least_confidence`: of a row's least certain word; one with less is flagged.
    """
    statement.checks = [_check_balances(statement)]
    statement.checks += _check_totals(statement)
    if statement.second_reading:
        statement.checks.append(statement.second_reading)
    _check_dates(statement)
    _check_presence(statement)
    for row in statement.rows:
        if row.confidence < least_confidence:
            row.flags.append(f"read with little certainty ({row.confidence:.2f})")
        if not row.description:
            row.flags.append("has no description")
        if evidence and row.page in evidence:
            _compare(row, evidence[row.page])
    return statement.checks


def reasons(document: Document) -> list[str]:
    """Why a person should look at the document, in words; empty if all that was printed was read and agrees."""
    found = []
    flagged = [row for row in document.rows if row.flags]
    if not document.rows:
        found.append("no rows of a statement were found; read the page as text with the recipe `read`")
    if flagged:
        pages = ", ".join(str(page) for page in sorted({row.page for row in flagged}))
        found.append(f"{_rows_are(len(flagged))} flagged, on {_pages(pages)}")
    for statement in document.statements:
        name = f"account {statement.account}: " if len(document.statements) > 1 else ""
        found += [f"{name}{one.text}" for one in statement.checks if not one.passed]
    if document.unread:
        pages = ", ".join(str(page) for page in sorted({each.page for each in document.unread}))
        count = len(document.unread)
        things = "1 line or page was" if count == 1 else f"{count} lines or pages were"
        found.append(f"{things} not understood, on {_pages(pages)}")
    return found


def occurs(value: Decimal, text: str) -> bool:
    """Does an amount occur in another reading of its page, digit by digit, however it is written there?"""
    digits = _MARKS.join(char for char in str(value) if char.isdigit())
    return bool(re.search(rf"(?<!\d)0*{digits}(?!\d)", text))


def _pages(pages: str) -> str:
    return f"page{'s' if ',' in pages else ''} {pages}"


def _rows_are(count: int) -> str:
    return "1 row is" if count == 1 else f"{count} rows are"


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
    """The rows of it that a second reading does not confirm; all, unless that reading has the one that is missing."""
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


def _check_dates(statement: Statement) -> None:
    known = [row for row in statement.rows if row.date]
    fewest_wrong, doubtful = _find_out_of_order([row.date.toordinal() for row in known])
    if fewest_wrong <= _MOST_OUT_OF_ORDER * len(known):
        for place in doubtful:
            row = known[place]
            row.flags.append(f"its date {row.date} is out of the order of the rows around it")
    for row in known:
        if statement.start and statement.end and not statement.start <= row.date <= statement.end:
            row.flags.append(f"its date {row.date} is outside the period {statement.start} to {statement.end}")


def _check_presence(statement: Statement) -> None:
    """Where nearly every row has a balance, or nearly every last one of a day, one without has lost it."""
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


def _find_out_of_order(values: Sequence[int]) -> tuple[int, list[int]]:
    """How many values at least break an order that never falls, and the places of all that may be among them.

    A value is certain if each longest subsequence that never falls has it: of two that contradict each other, neither.
    """
    up_to = _longest_ending_at(values)
    down_from = _longest_ending_at([-value for value in reversed(values)])[::-1]
    longest = max(up_to, default=0)
    in_one = [place for place in range(len(values)) if up_to[place] + down_from[place] - 1 == longest]
    rivals = Counter(up_to[place] for place in in_one)
    certain = {place for place in in_one if rivals[up_to[place]] == 1}
    return len(values) - longest, [place for place in range(len(values)) if place not in certain]


def _longest_ending_at(values: Sequence[int]) -> list[int]:
    """For each place the length of the longest subsequence up to it that never falls (patience sorting)."""
    tails: list[int] = []
    lengths = []
    for value in values:
        at = bisect_right(tails, value)
        tails[at:] = [value, *tails[at + 1 :]]
        lengths.append(at + 1)
    return lengths


def _compare(row: Row, text: str) -> None:
    for value in (row.debit, row.credit, row.balance):
        if value is not None and not occurs(value, text):
            row.flags.append(f"the amount {value} does not occur in another reading of page {row.page}")
