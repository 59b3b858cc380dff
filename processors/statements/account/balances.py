"""Opening and closing balances and directions by the sums of the rows, whatever the words. Pure."""

import itertools
from collections import Counter
from collections.abc import Sequence
from decimal import Decimal

from processors.statements.account.subtotals import as_figure, single_values
from processors.statements.checks.links import find_links, is_complete
from processors.statements.notation.amounts import parse_amount
from processors.statements.notation.debit_credit import RowAmounts
from processors.statements.notation.decimal_mark import DecimalMark
from processors.statements.notation.words import TextLine, line_height
from processors.statements.records import PrintedBalance, Statement
from processors.statements.table.amount_cells import find_amounts
from processors.statements.table.raw import RawFigure, RawRow

_LEAST_ROWS = 3  # the sum of fewer rows may equal a difference of balances by chance
_LEAST_LINKS = 3  # balances that must follow from the rows before them
_MOST_WORDS = 40
_MOST_SECTIONS = 8  # of unknown direction, all combinations of which are tried


def find_values(lines: Sequence[TextLine], items: Sequence[RawRow | RawFigure], mark: DecimalMark) -> set[Decimal]:
    """The amounts on lines outside the rows, and the totals among the items."""
    height = line_height(lines)
    texts = [cell.text for line in lines for cell in find_amounts(line.words, height)]
    totals = [item for item in items if isinstance(item, RawFigure) and item.name == "total"]
    texts += [text for item in totals for text in item.money.values()]
    return {amount.signed for text in texts if (amount := parse_amount(text, mark))}


def infer_ends(
    statement: Statement, values: set[Decimal], *, are_signed: bool, printed: Sequence[Decimal] = ()
) -> None:
    """Set the opening and closing balance of rows without balances: the only two amounts whose difference is the sum of
    the rows.

    In the opposite order, the same pair explains the opposite sum. Therefore one of the two must be labeled, or the
    sign of each row must be printed instead of following from its column (`are_signed`). Otherwise, the opening balance
    must be the first of the two in `printed`, the amounts in the order of the page, and a minus must mean money out in
    this document.
    """
    known = statement.opening, statement.closing
    is_open = known == (None, None) and (are_signed or printed) or (known[0] is None) != (known[1] is None)
    if not is_open or len(statement.rows) < _LEAST_ROWS or any(row.balance is not None for row in statement.rows):
        return
    total = sum((row.change for row in statement.rows), Decimal(0)) * (-1 if statement.is_liability else 1)
    values = values | {value for value in known if value is not None}
    pairs = {(each, each + total) for each in values if each + total in values}
    pairs = {pair for pair in pairs if all(name in (None, value) for name, value in zip(known, pair, strict=True))}
    if known == (None, None) and not are_signed:
        pairs = {pair for pair in pairs if printed.index(pair[0]) < printed.index(pair[1])} if total else set()
    if total and len(pairs) == 1:
        statement.opening, statement.closing = next(iter(pairs))
        statement.anchors = [PrintedBalance(len(statement.rows), "closing", statement.closing, statement.rows[-1].page)]


def derive_ends(statement: Statement, values: set[Decimal], *, is_exact: bool) -> None:
    """Set the opening balance to the first printed balance less the rows before it, and the closing balance to that of
    the last row.

    The opening balance must be printed somewhere, unless no digit can be misread and three other balances follow from
    the rows before them: otherwise nothing proves the rows before the first balance.
    """
    rows = statement.rows
    if statement.closing is None and rows and all(anchor.at < len(rows) for anchor in statement.anchors):
        statement.closing = rows[-1].balance
    first = _first_balance(statement)
    if statement.opening is not None or first is None:
        return
    factor = -1 if statement.is_liability else 1
    count, balance = first
    opening = balance - factor * sum((row.change for row in rows[:count]), Decimal(0))
    links, _ = find_links(statement)
    is_proven = len(links) >= _LEAST_LINKS and all(link.gap == 0 for link in links)
    if opening in values or (is_exact and is_proven):
        statement.opening = opening


def _first_balance(statement: Statement) -> tuple[int, Decimal] | None:
    """The first printed balance, and the number of rows before it; None if it is printed before the first row."""
    rows = statement.rows
    found = [(at + 1, row.balance) for at, row in enumerate(rows) if row.balance is not None][:1]
    found += [(anchor.at, anchor.balance) for anchor in statement.anchors]
    first = min(found, key=lambda each: each[0], default=None)
    return first if first and first[0] else None


def infer_section_directions(amounts: Sequence[RowAmounts], sections: Sequence[int], total: Decimal | None) -> None:
    """Set unknown directions by section, if only one combination of directions makes the rows add up to `total`, the
    change of the balance."""
    unknown: dict[int, list[RowAmounts]] = {}
    for row, section in zip(amounts, sections, strict=True):
        if _is_unknown(row):
            unknown.setdefault(section, []).append(row)
    if total is None or not 0 < len(unknown) <= _MOST_SECTIONS or sum(map(len, unknown.values())) < _LEAST_ROWS:
        return
    rest = total - sum((row.change for row in amounts), Decimal(0))
    sums = [sum((row.value for row in rows), Decimal(0)) for rows in unknown.values()]
    found = [
        signs
        for signs in itertools.product((-1, 1), repeat=len(sums))
        if sum(sign * value for sign, value in zip(signs, sums, strict=True)) == rest
    ]
    if len(found) == 1:
        for sign, rows in zip(found[0], unknown.values(), strict=True):
            for row in rows:
                row.direction = sign


def infer_directions(amounts: Sequence[RowAmounts], texts: Sequence[str], total: Decimal | None) -> None:
    """Set unknown directions by a word such as "Af" or "Bij" that all rows of one direction have, and no other rows.

    With this word, the rows add up to `total`, the change of the balance.
    """
    unknown = [(row, set(text.split())) for row, text in zip(amounts, texts, strict=True) if _is_unknown(row)]
    if total is None or len(unknown) < _LEAST_ROWS:
        return
    rest = total - sum((row.change for row in amounts), Decimal(0))
    counts = Counter(word for _, words in unknown for word in words)
    for word, count in counts.most_common(_MOST_WORDS):
        if count == len(unknown):
            continue
        change = sum((row.value if word in words else -row.value for row, words in unknown), Decimal(0))
        if abs(change) == abs(rest):
            for row, words in unknown:
                row.direction = (1 if change == rest else -1) * (1 if word in words else -1)
            return


def choose_total(
    printed: Sequence[Decimal],
    values: Sequence[Decimal | None],
    outside: set[Decimal],
    ends: Sequence[Decimal | None],
    sections: Sequence[int],
    others: Sequence[Decimal | None],
) -> Decimal | None:
    """The printed total of one direction: the one to which the rows add up, or the sum of the totals of several
    sections.

    outside: the amounts outside the rows; the amount to which many rows add up is their total, whatever else is labeled
    as a total.
    ends: the opening and closing balance, which a column's total may include.
    sections: those of the values; a printed total may be that of one section.
    others: the values of the other direction, such as returns, which the total of a section may exclude.
    """
    total = sum((value for value in values if value), Decimal(0))
    is_outside = sum(value is not None for value in values) >= _LEAST_ROWS and total in outside
    includes_end = any(end is not None and total + abs(end) in printed for end in ends)
    is_sum = total in printed or total in (sum(printed), sum(set(printed)))
    sums, against = dict[int, Decimal](), dict[int, Decimal]()  # by section
    for value, other, section in zip(values, others, sections, strict=True):
        sums[section] = sums.get(section, Decimal(0)) + (value or Decimal(0))
        against[section] = against.get(section, Decimal(0)) + (other or Decimal(0))
    is_sum = is_sum or (len(sums) > 1 and set(printed) <= set(sums.values()))
    net = sum((value - against[section] for section, value in sums.items() if value), Decimal(0))
    is_sum = is_sum or (net in printed and set(printed) <= {*sums.values(), *against.values(), net})
    if not printed or is_outside or includes_end or is_sum:
        return total if printed else None
    return printed[-1]


def complete_totals(statement: Statement, values: set[Decimal]) -> None:
    """Set a total that no label names to the sum of many rows, if that is printed outside them, and drop one that must
    be another figure: balances and the other total prove the rows."""
    rows = statement.rows
    sums = {}
    for name in ("debit", "credit"):
        found = [value for row in rows if (value := getattr(row, name))]
        sums[f"printed_{name}s"] = total = sum(found, Decimal(0))
        if len(found) >= _LEAST_ROWS and total in values and getattr(statement, f"printed_{name}s") is None:
            setattr(statement, f"printed_{name}s", total)
    wrong = [name for name, total in sums.items() if getattr(statement, name) not in (None, total)]
    right = [name for name, total in sums.items() if getattr(statement, name) == total]
    if wrong and right and is_complete(statement):
        setattr(statement, wrong[0], None)


def owes_negative(statement: Statement, amounts: Sequence[RowAmounts]) -> bool:
    """True for a card that prints what is owed, and most of its rows, with a minus."""
    ends = [value for value in (statement.opening, statement.closing) if value]
    minuses = sum(row.amount is not None and row.amount.sign == "-" for row in amounts)
    return bool(ends) and max(ends) < 0 and 2 * minuses > len(amounts)


def infer_owed(statement: Statement, values: set[Decimal]) -> None:
    """Set the closing balance of a card without balances to the sum of its rows, if that is printed outside them."""
    rows = statement.rows
    is_open = statement.opening is None and statement.closing is None and not statement.anchors
    owed = -sum((row.change for row in rows), Decimal(0))
    if is_open and len(rows) >= _LEAST_ROWS and owed > 0 and owed in values:
        statement.closing = owed
        statement.anchors = [
            PrintedBalance(0, "opening", Decimal(0), rows[0].page),
            PrintedBalance(len(rows), "closing", owed, rows[-1].page),
        ]


def take_summary(items: Sequence[RawRow | RawFigure], mark: DecimalMark) -> list[RawRow | RawFigure]:
    """The items, with the lines of a summary below the last row marked as an opening and a closing balance.

    These lines look like rows of the last day, but their amounts differ by the sum of the rows above.
    """
    count = next((n for n, item in enumerate(reversed(items)) if not _looks_like_summary(item)), len(items))
    values = single_values(items, mark)
    rows, own, summary = list(items[: len(items) - count]), values[: len(items) - count], items[len(items) - count :]
    if len(summary) < 2 or len(own) < _LEAST_ROWS or None in own:
        return list(items)
    total = sum((value for value in own if value), Decimal(0))
    named = list(zip(values[len(own) :], [item for item in summary if isinstance(item, RawRow)], strict=True))
    pairs = [(first, last) for a, first in named for b, last in named if a is not None and b == a + total]
    if not total or len(pairs) != 1:
        return list(items)
    first, last = (as_figure(row, name) for row, name in zip(pairs[0], ("opening", "closing"), strict=True))
    return [first, *rows, last]


def take_closing(items: Sequence[RawRow | RawFigure], mark: DecimalMark) -> list[RawRow | RawFigure]:
    """The items. The last one becomes the closing balance if it looks like a row of the last day, but prints the sum of
    the opening balance and the rows above."""
    *above, last = single_values(items, mark) or [None]
    own = [value for value, item in zip(above, items, strict=False) if isinstance(item, RawRow)]
    values = [value for value in own if value is not None]
    if not last or not _looks_like_summary(items[-1]) or len(own) != len(values) or len(own) < _LEAST_ROWS:
        return list(items)
    figures = [item for item in items if isinstance(item, RawFigure) and item.name == "opening"]
    openings = [
        amount.signed for item in figures for text in item.money.values() if (amount := parse_amount(text, mark))
    ]
    total = sum(values, Decimal(0))
    if total and any(last in (opening + total, opening - total) for opening in openings):
        return [*items[:-1], as_figure(items[-1], "closing")]
    return list(items)


def _looks_like_summary(item: RawRow | RawFigure) -> bool:
    return isinstance(item, RawRow) and item.date_is_inherited and item.money.keys() == {"amount"}


def _is_unknown(row: RowAmounts) -> bool:
    return row.direction == 0 and bool(row.value)
