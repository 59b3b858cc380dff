"""The meaning of a table's columns, inferred from the arithmetic of the document instead of heading words. Pure.

Each assignment of {debit, credit | amount, balance} to the columns of amounts is scored on vectors of numbers, by how
many printed balances follow from the amounts before them; only the best few are then read as tables.
"""

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from processors.statements.checks.confirmation import (
    DOUBT,
    FURTHER_ROW,
    LEAST_LINKS,
    is_confirmed,
    is_plausible,
    is_sure,
    most_possible,
    rate,
)
from processors.statements.checks.links import is_complete
from processors.statements.notation.amounts import Amount, detect_decimal_mark, parse_amount
from processors.statements.notation.decimal_mark import DecimalMark
from processors.statements.notation.keywords import Column
from processors.statements.notation.words import PageWords, group_lines, line_height
from processors.statements.records import StatementDocument
from processors.statements.table.columns import CellLine, Layout, find_cells, find_layouts
from processors.statements.table.headings import Heading
from processors.statements.table.model import TableModel
from processors.statements.table.page_columns import unfold_columns
from processors.statements.table.table import find_tables

_MOST_READ = 4  # hypotheses that are read as tables
_BETTER = 0.5  # confirmed rows by which a hypothesis must exceed the reading by heading words
_BETTER_SHARE = 0.1  # the same as a share of all rows, so that a misread digit does not make another column better
_PROVEN_SHARE = 0.8  # of the rows, as `rate` counts them, that end the search


@dataclass(frozen=True)
class Assignment:
    """Positions of the columns of amounts; the others are not read."""

    debit: int | None = None
    credit: int | None = None
    amount: int | None = None
    balance: int | None = None


@dataclass(frozen=True)
class _Event:
    """The amounts of one line, in columns."""

    is_row: bool
    cents: dict[int, int]  # as balances: negative if marked as a debit
    values: dict[int, int]  # without sign
    marked: frozenset[int]  # columns in which the amount has a sign or letters


def find_best(pages: Sequence[PageWords], read: Callable[[TableModel], StatementDocument]) -> StatementDocument:
    """Read a document by its heading words and, if balances do not confirm that reading, by each hypothesis; return the
    reading that its own arithmetic confirms best."""
    best = read(TableModel())
    if is_sure(best):
        return best
    others = [TableModel(balances_alone=True)] if best.rows else []
    hypotheses = find_hypotheses(pages)
    if has_tables_beside(pages):
        apart = find_hypotheses(without_tables_beside(pages))
        others += [replace(model, keeps_beside=True) for model in (*apart, *hypotheses)]
    if folded := unfold_columns(pages):
        others += [replace(model, is_folded=True) for model in (TableModel(), *find_hypotheses(folded))]
    others += hypotheses
    for model in others:
        other = read(model)
        if _is_better(other, best):
            best = other
            if model.headings:
                _tell_inferred(best)
        if is_sure(best) and best is other and rate(best) >= _PROVEN_SHARE * most_possible(best):
            break
    return best


def _is_better(other: StatementDocument, best: StatementDocument) -> bool:
    """True if balances confirm more rows of `other`. If they confirm none, `other` must not replace any rows."""
    if not best.rows:
        return bool(other.rows) and rate(other) > rate(best) - DOUBT * len(other.rows)
    confirmed = [is_confirmed(each) for each in other.statements]
    proves = any(confirmed) and all(confirmed[at] or is_plausible(each) for at, each in enumerate(other.statements))
    least = _BETTER if is_sure(other) and not is_sure(best) else max(_BETTER, _BETTER_SHARE * len(other.rows))
    return proves and rate(other) > rate(best) + least


def _tell_inferred(document: StatementDocument) -> None:
    """Note that the columns were inferred; flag the rows of statements in which no balance confirms the columns."""
    document.notes.append("no heading row was understood: the columns were inferred from the printed balances")
    for statement in document.statements:
        if not is_confirmed(statement) and not is_complete(statement):
            for row in statement.rows:
                row.flags.append("its columns are inferred, and no balance confirms them")


def has_tables_beside(pages: Sequence[PageWords]) -> bool:
    """True if heading rows name tables side by side, which geometry alone would take for one."""
    lines = [group_lines(page) for page in pages]
    return any(table.is_beside_another for each in lines for table in find_tables(each, line_height(each)))


def without_tables_beside(pages: Sequence[PageWords]) -> list[PageWords]:
    """The pages without the tables side by side, whose columns are those of no other table."""
    found = []
    for page in pages:
        lines = group_lines(page)
        tables = find_tables(lines, line_height(lines))
        tops = [*sorted(table.top for table in tables), len(lines)]
        beside = {table.top for table in tables if table.is_beside_another}
        spans = [(top, min(other for other in tops if other > top)) for top in beside]
        kept = [line for at, line in enumerate(lines) if not any(top <= at < end for top, end in spans)]
        found.append(replace(page, words=tuple(word for line in kept for word in line.words)))
    return found


def find_hypotheses(pages: Sequence[PageWords]) -> list[TableModel]:
    """The tables that the document might have, the most consistent first."""
    lines = find_cells(pages)
    mark = detect_decimal_mark(cell.text for line in lines for cell in line.amounts)
    scored = []
    for rank, layout in enumerate(find_layouts(lines)):
        events = _events(lines, layout, mark)
        loose = _loose_values(lines, layout, mark)
        net = find_net(events)
        for number, assignment in enumerate(_assignments(len(layout.amounts))):
            is_net = assignment == Assignment(amount=net) and net is not None
            score = max(_score(events, assignment, loose), FURTHER_ROW * len(events) * is_net)
            model = TableModel(headings=_headings(layout, assignment), balances_alone=True, is_net=is_net)
            scored.append((-score, rank, number, model))
    best = [model for *_, model in sorted(scored, key=lambda each: each[:3])[:_MOST_READ]]
    return [each for model in best for each in (*_with_first_date(model), model)]


def _with_first_date(model: TableModel) -> list[TableModel]:
    """The model with the left one of two dates as that of a row, if it is the right one: only that is usual.

    The sums may prefer the right one because the line of the opening balance has only the left one.
    """
    lefts = {heading.column: heading.left for heading in model.headings}
    if not lefts.get("value_date", lefts["date"]) < lefts["date"]:
        return []
    names: dict[Column, Column] = {"date": "value_date", "value_date": "date"}
    swapped = [replace(each, column=names.get(each.column, each.column)) for each in model.headings]
    return [replace(model, headings=tuple(swapped))]


# ---------------------------------------------------------------------------------------------- vectors


def _assignments(columns: int) -> Iterator[Assignment]:
    places = range(columns)
    for amount in places:
        for balance in (*(each for each in places if each != amount), None):
            yield Assignment(amount=amount, balance=balance)
    for debit, credit in itertools.permutations(places, 2):
        for balance in (*(each for each in places if each not in (debit, credit)), None):
            yield Assignment(debit=debit, credit=credit, balance=balance)


def _events(lines: Sequence[CellLine], layout: Layout, mark: DecimalMark) -> list[_Event]:
    found = []
    for line in lines:
        amounts: dict[int, Amount] = {}
        for cell in line.amounts:
            column, amount = layout.column_of(cell), parse_amount(cell.text, mark)
            if column is not None and amount:
                amounts[column] = amount
        if amounts:
            cents = {column: int(amount.signed * 100) for column, amount in amounts.items()}
            values = {column: int(amount.value * 100) for column, amount in amounts.items()}
            marked = frozenset(column for column, amount in amounts.items() if amount.sign or amount.side)
            found.append(_Event(layout.is_row(line), cents, values, marked))
    return found


def find_net(events: Sequence[_Event]) -> int | None:
    """The column right of two others whose sum or difference it is in all rows, such as the net amount of a wallet."""
    rows = [event for event in events if event.is_row]
    for first, second, net in itertools.combinations(sorted({place for row in rows for place in row.cents}), 3):
        full = [row.cents for row in rows if {first, second, net} <= row.cents.keys()]
        changed = sum(row[second] != 0 for row in full)
        is_all = len(full) == len(rows) and changed >= LEAST_LINKS
        if is_all and any(all(row[net] == row[first] + sign * row[second] for row in full) for sign in (1, -1)):
            return net
    return None


def _loose_values(lines: Sequence[CellLine], layout: Layout, mark: DecimalMark) -> set[int]:
    """The amounts on lines that are not rows, which may be balances and totals."""
    cells = [cell for line in lines if not layout.is_row(line) for cell in line.amounts]
    return {int(amount.signed * 100) for cell in cells if (amount := parse_amount(cell.text, mark))}


def _score(events: Sequence[_Event], assignment: Assignment, loose: set[int]) -> float:
    """About the number of rows that the assignment explains, oldest or newest first."""
    if assignment.balance is None:
        return _score_by_total(events, assignment, loose)
    conventions = (1,) if assignment.amount is None else (1, -1, 0)
    return max(
        _count_explained(order, assignment, unmarked) for order in (events, events[::-1]) for unmarked in conventions
    )


def _score_by_total(events: Sequence[_Event], assignment: Assignment, loose: set[int]) -> float:
    rows = [event for event in events if event.is_row]
    unmarked = -1 if _marks_only_credits(rows, assignment.amount) else 1
    changes = [change for event in rows if (change := _change(event, assignment, unmarked)) is not None]
    total = sum(changes)
    explained = bool(total) and any(value + total in loose or value - total in loose for value in loose)
    return 0.01 * len(changes) + (FURTHER_ROW * len(changes) if explained else 0)


def _marks_only_credits(rows: Sequence[_Event], column: int | None) -> bool:
    """True if the column marks some amounts, all as money in: "12.00+", "12.00 CR"."""
    marked = [event.cents[column] for event in rows if column is not None and column in event.marked]
    return bool(marked) and min(marked) >= 0


def _count_explained(events: Sequence[_Event], assignment: Assignment, unmarked: int) -> float:
    """Rows between balances that follow from them; 0 for `unmarked`: a change in either direction."""
    balance: int | None = None
    change = rows = used = 0
    explained = 0.0
    for event in events:
        moved = _change(event, assignment, unmarked)
        if moved is not None:
            change, rows, used = change + moved, rows + 1, used + 1
        after = None if assignment.balance is None else event.cents.get(assignment.balance)
        if after is None:
            continue
        if balance is not None and rows and change:
            gap = after - balance
            fits = change == gap or (unmarked == 0 and abs(change) == abs(gap))
            explained += 1 + FURTHER_ROW * (rows - 1) if fits else 0
        balance, change, rows = after, 0, 0
    return explained + 0.01 * used


def _change(event: _Event, assignment: Assignment, unmarked: int) -> int | None:
    """The change of the balance in cents; None: the line is not a row, or contains the totals of two columns."""
    if assignment.amount is not None:
        value = event.cents.get(assignment.amount)
        if value is None:
            return None
        if unmarked and assignment.amount not in event.marked:
            return value * unmarked
        return value
    out, into = (
        None if column is None else event.values.get(column) for column in (assignment.debit, assignment.credit)
    )
    if out and into:
        return None
    return None if out is None and into is None else (into or 0) - (out or 0)


def _headings(layout: Layout, assignment: Assignment) -> tuple[Heading, ...]:
    names: dict[int | None, Column] = {
        assignment.debit: "debit",
        assignment.credit: "credit",
        assignment.amount: "amount",
        assignment.balance: "balance",
    }
    found = [
        Heading(names.get(place, "other"), column.left, column.right) for place, column in enumerate(layout.amounts)
    ]
    dates: tuple[tuple[Column, tuple[float, float] | None], ...]
    dates = ("date", layout.date), ("value_date", layout.value_date)
    # the left edge is that of all dates: what begins further right is text
    found += [Heading(name, edges[0], edges[0] + layout.height) for name, edges in dates if edges]
    found += [Heading("description", layout.text, layout.text + 5 * layout.height)]
    return tuple(sorted(found, key=lambda heading: heading.left))
