"""The statement of one account, from its raw rows and figures: kind of account, signs, balances and period. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from processors.statements.account.balances import (
    choose_total,
    complete_totals,
    derive_ends,
    find_values,
    infer_directions,
    infer_ends,
    infer_owed,
    infer_section_directions,
    owes_negative,
)
from processors.statements.account.cards import (
    DOUBT,
    LOAN_DOUBT,
    find_card_number,
    may_be_card,
    names_brand,
    names_card,
    names_due_card,
    names_loan,
    pays_card,
    subtracts_payments,
)
from processors.statements.account.currency_evidence import infer_currency
from processors.statements.account.figures import add_figures, change, negate_balances, printed_values, swap_ends
from processors.statements.account.periods import Dates
from processors.statements.account.rows import (
    amounts_of,
    doubt_lost_dates,
    drop_unnamed,
    is_newest_first,
    row_of,
    separate_lists,
    set_money,
)
from processors.statements.account.subtotals import Item, count_trailing_totals
from processors.statements.account.undated_rows import (
    are_repeated,
    date_last,
    find_apart,
    find_beyond,
    find_lacking,
    has_text,
    insert_rows,
    is_portfolio,
    without_rows,
)
from processors.statements.checks.links import is_complete
from processors.statements.notation.conventions import Conventions, find_conventions
from processors.statements.notation.currency_accounts import currency_of_account, number_of
from processors.statements.notation.debit_credit import RowAmounts, set_directions
from processors.statements.notation.decimal_mark import DecimalMark
from processors.statements.records import Statement, StatementDocument
from processors.statements.table.booking_dates import DOUBT as DATES_DOUBT
from processors.statements.table.booking_dates import take_booking_dates
from processors.statements.table.holder import find_holder
from processors.statements.table.raw import RawDocument, RawRow


@dataclass(frozen=True)
class Account:
    """An account of a document, and how its dates and amounts are read."""

    name: str  # as in `RawRow.account`
    reading: RawDocument  # of all accounts
    mark: DecimalMark
    dates: Dates
    known: Conventions  # of earlier documents with the same layout


@dataclass(frozen=True)
class BuiltStatement:
    statement: Statement
    items: Sequence[Item]  # that it was built from
    proven: Conventions  # by its rows


def build_statement(account: Account, items: Sequence[Item], document: StatementDocument) -> BuiltStatement:
    """Build the statement of an account; add notes and doubts to the document.

    Rows without dates are added, and tables of other rows are left out, if the balances then follow from the rows.
    Such rows with text below the closing balance are reported: they may be those of another account.
    """
    built = _build(account, items, document.doubts)
    if is_complete(built.statement):
        drop_unnamed(built.statement.rows)
        return built
    undated = [each for each in account.reading.undated if each.row.account == account.name]
    if lacking := find_lacking(built.statement, undated, account.mark):
        other = _build(account, insert_rows(items, lacking), document.doubts)
        if is_complete(other.statement):
            document.notes.append(date_last(other.statement))
            document.unread = without_rows(document.unread, lacking)
            return other
    listed = find_apart(items)
    for apart in (listed, *find_beyond(items)):
        other = _build(account, without_items(items, apart), document.doubts) if apart else built
        if is_complete(other.statement):
            drop_unnamed(other.statement.rows)
            pages = ", ".join(str(page) for page in sorted({row.page for row in apart}))
            count = "1 row" if len(apart) == 1 else f"{len(apart)} rows"
            note = f"the balances exclude {count} on page {pages}, which inboxd left out"
            is_explained = apart is listed or not any(map(has_text, apart)) or are_repeated(apart, items)
            is_explained = is_explained or is_portfolio(apart)
            (document.notes if is_explained else document.doubts).append(note)
            return other
    return built


def without_items(items: Sequence[Item], dropped: Sequence[RawRow]) -> list[Item]:
    return [item for item in items if not any(item is each for each in dropped)]


def _build(account: Account, items: Sequence[Item], doubts: list[str]) -> BuiltStatement:
    """Build the statement of these items; add what its rows do not prove to `doubts`."""
    used, reading, mark, known = items, account.reading, account.mark, account.known
    raw = [item for item in items if isinstance(item, RawRow)]
    statement = _read_header(account, raw)
    newest_first = is_newest_first([row_of(each, account.dates) for each in raw])
    if newest_first or (newest_first is None and known.newest_first):
        items, raw = swap_ends(items[::-1]), raw[::-1]
    statement.rows = [row_of(each, account.dates) for each in raw]
    doubt_lost_dates(statement.rows, raw)
    separate_lists(statement.rows, items)
    totals = add_figures(statement, items, mark)
    amounts = [amounts_of(each, mark) for each in raw]
    others = [line.text for line in reading.lines if id(line) not in reading.row_lines]
    mentions_loan = any(map(names_loan, others))
    is_loan = mentions_loan and not reading.are_columns_named and any(map(_has_side, amounts))
    if is_loan:  # columns inferred from a balance that is owed are the other way round
        amounts = [replace(each, debit=each.credit, credit=each.debit) for each in amounts]
    is_named = any(names_card(text) or names_brand(text) for text in others) or names_due_card(others)
    is_named = is_named or bool(known.is_card)
    may_be = may_be_card(amounts, others)
    is_card = is_named or subtracts_payments(raw, amounts)
    is_card = is_card or (may_be and pays_card(amounts, statement.opening, statement.account))
    if not reading.are_dates_named:
        is_shown = take_booking_dates(statement.rows, raw, is_card=is_card)
        doubts += [DATES_DOUBT] if not is_shown and DATES_DOUBT not in doubts else []
    if is_card:
        statement.account = statement.account or find_card_number(raw)
    owes = is_card and owes_negative(statement, amounts)
    if owes:
        negate_balances(statement, amounts)
    if not is_card and may_be and DOUBT not in doubts:
        doubts.append(DOUBT)
    statement.is_liability = set_directions(
        amounts,
        statement.opening,
        statement.closing,
        is_card=is_card,
        unmarked=None if is_card else known.unmarked,
        owes_negative=owes,
        are_named=reading.are_columns_named or is_loan,
    )
    if mentions_loan and not any(map(_has_side, amounts)) and LOAN_DOUBT not in doubts:
        doubts.append(LOAN_DOUBT)
    if count := count_trailing_totals(raw, amounts):
        return replace(_build(account, without_items(items, raw[-count:]), doubts), items=used)
    infer_section_directions(amounts, [each.section_number for each in raw], change(statement))
    infer_directions(amounts, [" ".join([*each.text, *each.reference]) for each in raw], change(statement))
    for row, row_amounts, each in zip(statement.rows, amounts, raw, strict=True):
        set_money(row, row_amounts, each, mark)
    values = find_values([line for name, line in reading.not_rows if name == account.name], items, mark)
    ends = statement.opening, statement.closing
    rows = statement.rows
    sections = [row.section for row in rows]
    debits, credits = [row.debit for row in rows], [row.credit for row in rows]
    statement.printed_debits = choose_total(totals["debits"], debits, values, ends, sections, credits)
    statement.printed_credits = choose_total(totals["credits"], credits, values, ends, sections, debits)
    marks = [each.amount.sign or each.amount.side if each.amount else None for each in amounts]
    is_plain = reading.is_net or 2 * marks.count("-") > len(marks)  # on a card, few rows have a minus
    infer_ends(
        statement,
        values,
        are_signed=None not in marks and len(set(marks)) > 1,
        printed=printed_values(reading, account.name, mark) if "-" in marks and is_plain and not is_card else (),
    )
    derive_ends(statement, values, is_exact=reading.is_exact)
    complete_totals(statement, values)
    if is_card:
        infer_owed(statement, values)
    _set_period(statement, account.dates)
    printed = [each.date for each in raw]
    order = account.dates.order
    proven = find_conventions(printed, amounts, order, newest_first=newest_first, is_card=is_card)
    return BuiltStatement(statement, used, proven)


def _read_header(account: Account, raw: Sequence[RawRow]) -> Statement:
    """A statement without rows: its account number, holder and currency."""
    name, reading = account.name, account.reading
    outside = [line for own, line in reading.outside if own == name]
    texts = [line.text for own, line in (*reading.outside, *reading.not_rows, *reading.figure_lines) if own == name]
    texts += [cell.text for each in raw for cell in each.money.values()]
    others = [line.text for line in reading.lines if id(line) not in reading.row_lines]
    in_rows = [line.text for line in reading.lines if id(line) in reading.row_lines]
    is_month_first = account.dates.order == "mdy" and any(each.date and each.date.pair for each in raw)
    number = reading.ibans.get(name) or number_of(name)
    currency = currency_of_account(name) or infer_currency(
        number, texts, others, in_rows, is_month_first=is_month_first
    )
    holder = find_holder(outside) or find_holder([line for _, line in reading.outside])
    return Statement(account=number, holder=holder, currency=currency)


def _set_period(statement: Statement, dates: Dates) -> None:
    """Set the printed period, or else that of the rows."""
    if dates.period and dates.is_printed:
        statement.start, statement.end = dates.period
    else:
        days = [row.date for row in statement.rows if row.date]
        statement.start, statement.end = min(days, default=None), max(days, default=None)


def _has_side(amounts: RowAmounts) -> bool:
    return amounts.debit is not None or amounts.credit is not None
