"""What was not read, without what the balances explain or disprove. Pure."""

import itertools
from collections import Counter
from collections.abc import Collection, Sequence
from datetime import date
from decimal import Decimal

from processors.statements.checks.links import is_complete
from processors.statements.notation.amounts import looks_like_amount, parse_amount
from processors.statements.notation.dates import parse_date, shape_of
from processors.statements.notation.decimal_mark import DecimalMark
from processors.statements.notation.securities import names_security
from processors.statements.notation.words import TextLine, join_words, line_height, split_cells
from processors.statements.records import Statement, StatementDocument, Unread
from processors.statements.table.amount_cells import find_amounts
from processors.statements.table.raw import IN_SENTENCE, NO_AMOUNT, NO_DATE, NO_ROWS, RawDocument, RawRow

_CELL_GAP = 1.2  # line heights between the words of one cell
_DISPROVEN = (NO_DATE, IN_SENTENCE)  # why lines were not read that balances may prove to be no rows
_MOST_DISPROVEN = 3  # such lines; more may be the rows of another account
_DISPROVEN_SHARE = 0.1  # of the rows
_MOST_SECTIONS = 20  # with sums that a summary may print


def drop_explained(unread: Sequence[Unread], statement: Statement, mark: DecimalMark) -> list[Unread]:
    """Lines without those whose amounts are all balances or totals of the statement."""
    known = _known_values(statement)
    return [
        each
        for each in unread
        if each.why != NO_DATE or not (amounts := _amounts_of(each, mark)) or not amounts <= known
    ]


def drop_pages_without_rows(document: StatementDocument, reading: RawDocument, mark: DecimalMark) -> list[Unread]:
    """What was not understood, without the pages that have no rows, such as a summary on the first page of a card.

    The balances must prove that no row is missing, and no line of such a page may look like one.
    """
    if not _is_complete(document):
        return document.unread
    shapes = {shape_of(item.date.text) for item in reading.items if isinstance(item, RawRow) and item.date}
    known = set().union(*(_daily_balances(each) | _sums_of_sections(each) for each in document.statements if each.rows))
    lines = [line for line in reading.lines if _looks_like_row(line, shapes)]
    dated = {line.page for line in lines if not (found := _printed_on(line, mark)) or not found <= known}
    return [each for each in document.unread if each.why != NO_ROWS or each.page in dated]


def _is_complete(document: StatementDocument) -> bool:
    """True if there are rows, and the balances prove that none is missing."""
    with_rows = [each for each in document.statements if each.rows]
    return bool(with_rows) and all(map(is_complete, with_rows))


def _daily_balances(statement: Statement) -> set[Decimal]:
    """The balances at the end of each day, as a ledger of daily balances prints them."""
    factor = -1 if statement.is_liability else 1
    balance = statement.opening or Decimal(0)
    found = {balance}
    rows = sorted((row for row in statement.rows if row.date), key=lambda row: row.date or date.min)
    for _, day in itertools.groupby(rows, key=lambda row: row.date):
        balance += factor * sum((row.change for row in day), Decimal(0))
        found.add(balance)
    return found


def _sums_of_sections(statement: Statement) -> set[Decimal]:
    """The debits and the credits of each section, and of sections that follow each other, as a summary prints them."""
    sections = [list(rows) for _, rows in itertools.groupby(statement.rows, key=lambda row: row.section)]
    found = set[Decimal]()
    for start in range(min(len(sections), _MOST_SECTIONS)):
        debits = credits = Decimal(0)
        for rows in sections[start : start + _MOST_SECTIONS]:
            debits += sum((row.debit for row in rows if row.debit), Decimal(0))
            credits += sum((row.credit for row in rows if row.credit), Decimal(0))
            found |= {debits, credits, -debits, -credits}
    return found - {Decimal(0)}


def _printed_on(line: TextLine, mark: DecimalMark) -> set[Decimal]:
    texts = [cell.text for cell in find_amounts(line.words, line_height([line]))]
    return {amount.signed for text in texts if (amount := parse_amount(text, mark))}


def _looks_like_row(line: TextLine, shapes: Collection[str]) -> bool:
    """True for a line that begins with a date, or has one at the start of a cell and an amount; `shapes`: of the dates
    of rows."""
    height = line_height([line])
    cells = [join_words(cell) for cell in split_cells(line.words, _CELL_GAP * height)]
    dated = [not looks_like_amount(text) and _has_shape(text, shapes) for text in cells]
    return dated[0] or (any(dated) and bool(find_amounts(line.words, height)))


def _has_shape(text: str, shapes: Collection[str]) -> bool:
    printed = parse_date(text)
    return printed is not None and shape_of(printed.text) in shapes


def _known_values(statement: Statement) -> set[Decimal]:
    debits = sum((row.debit for row in statement.rows if row.debit), Decimal(0))
    credits = sum((row.credit for row in statement.rows if row.credit), Decimal(0))
    ends = [value for value in (statement.opening, statement.closing) if value is not None]
    return {abs(value) for value in (debits, credits, debits - credits, *ends, Decimal(0))}


def _amounts_of(line: Unread, mark: DecimalMark) -> set[Decimal]:
    words = line.text.split()
    return {amount.value for word in words if (amount := parse_amount(word, mark))}


def drop_disproven(document: StatementDocument, mark: DecimalMark) -> list[Unread]:
    """What was not understood, without a few lines that are no rows: the balances prove that no row is missing.

    Two lines of the same amount may both be rows whose amounts cancel out. A portfolio may have
    many lines of securities.
    """
    found = [each for each in document.unread if _may_be_disproven(each) and not names_security(each.text)]
    texts = {each.text: each for each in found}  # a footer is on each page
    counts = Counter(value for each in texts.values() for value in _amounts_of(each, mark))
    most = max(_MOST_DISPROVEN, _DISPROVEN_SHARE * len(document.rows))
    if not _is_complete(document) or len(texts) > most or max(counts.values(), default=0) > 1:
        return document.unread
    return [each for each in document.unread if not _may_be_disproven(each)]


def _may_be_disproven(unread: Unread) -> bool:
    """True for a line with an amount, but no date, and for a line with a rate, such as that of interest."""
    return unread.why in _DISPROVEN or (unread.why == NO_AMOUNT and "%" in unread.text)
