"""From raw pages to statements: decides notation, years and signs by the whole document. Pure."""

from collections.abc import Sequence
from dataclasses import replace

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
    take_summary,
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
from processors.statements.account.eras import take_years_of_reiwa
from processors.statements.account.figures import (
    add_figures,
    change,
    negate_balances,
    printed_amounts,
    printed_values,
    swap_ends,
)
from processors.statements.account.leftovers import drop_disproven, drop_explained, drop_pages_without_rows
from processors.statements.account.periods import Dates, decide_dates
from processors.statements.account.places import find_places, to_fractions
from processors.statements.account.posting_dates import take_purchase_dates
from processors.statements.account.row_texts import drop_columns_of_text
from processors.statements.account.rows import (
    amounts_of,
    doubt_lost_dates,
    drop_unnamed,
    is_newest_first,
    row_of,
    set_money,
)
from processors.statements.account.running_balances import take_running_balances
from processors.statements.account.subtotals import (
    count_trailing_totals,
    drop_subtotals,
    drop_turnovers,
    take_leading_totals,
)
from processors.statements.account.undated_rows import (
    date_last,
    find_apart,
    find_lacking,
    insert_rows,
    without_rows,
)
from processors.statements.checks.links import is_complete
from processors.statements.layouts.recall import LayoutMemory, read_with_layouts
from processors.statements.notation.amounts import detect_decimal_mark
from processors.statements.notation.conventions import Conventions, find_conventions, join_conventions
from processors.statements.notation.currency_accounts import currency_of_account, number_of
from processors.statements.notation.debit_credit import RowAmounts, set_directions
from processors.statements.notation.decimal_mark import DecimalMark
from processors.statements.notation.words import PageWords, group_lines
from processors.statements.preparation.prepare import prepare_pages
from processors.statements.records import Statement, StatementDocument, Unread
from processors.statements.table.header import find_page_number
from processors.statements.table.holder import find_holder
from processors.statements.table.raw import NO_DATE, RawDocument, RawFigure, RawRow
from processors.statements.table.reading import TableModel, read_words


def read_statements(pages: Sequence[PageWords], memory: LayoutMemory | None = None) -> StatementDocument:
    """The statements on these pages. Nothing is verified yet: see `verify`.

    memory: the layouts of earlier documents, to which the layout of this document is added; None: use and add none.
    """
    prepared = prepare_pages(pages)
    ordered, notes = _sort_by_printed_numbers(prepared.pages)
    return prepared.restore(read_with_layouts(ordered, lambda model: _read(ordered, notes, model), memory))


def _read(pages: Sequence[PageWords], notes: Sequence[str], model: TableModel) -> StatementDocument:
    reading = read_words(pages, model)
    document = StatementDocument(pages=len(pages), unread=reading.unread, notes=[*notes, *reading.notes])
    return assemble(reading, document, model.conventions)


def assemble(reading: RawDocument, document: StatementDocument, known: Conventions | None = None) -> StatementDocument:
    """Add the statements to `document`, one per account. `known`: conventions of earlier documents with the same
    layout."""
    known = known or Conventions()
    mark = detect_decimal_mark(printed_amounts(reading))
    accounts = dict.fromkeys(item.account for item in reading.items)
    proven: dict[str, Conventions] = {}
    if list(accounts) == [""] and reading.last_account:
        _reassign(reading, "", reading.last_account)
        accounts = dict.fromkeys([reading.last_account])
    if "" in accounts and (len(accounts) == 2 or (len(accounts) > 2 and not _has_rows(reading, ""))):
        _reassign(reading, "", next(name for name in accounts if name))  # the number is printed further below
        del accounts[""]
    for account in accounts:
        items = [item for item in reading.items if item.account == account]
        drop_columns_of_text([item for item in items if isinstance(item, RawRow)])
        items = take_running_balances(take_leading_totals(take_summary(items, mark), mark), mark)
        items = _report_below_totals(items, document)
        items = drop_turnovers(drop_subtotals(items, mark), mark)
        if any(isinstance(item, RawRow) for item in items) or len(accounts) == 1:
            era = take_years_of_reiwa(items, reading)
            dates = decide_dates(items, reading, known.date_order)
            document.notes += [note for note in (*era, *dates.notes) if note not in document.notes]
            used, statement, proven[account] = _read_account(account, items, reading, mark, dates, known, document)
            document.statements.append(statement)
            if not document.statements[-1].currency and any("$" in line.text for line in reading.lines):
                document.notes.append('the currency is unknown: "$" is the sign of several currencies')
            document.unread = drop_explained(document.unread, document.statements[-1], mark)
            document.statements[-1].places = find_places(document.statements[-1], used, reading, mark, dates)
    document.unread = drop_pages_without_rows(document, reading, mark)
    document.unread = drop_disproven(document, mark)
    to_fractions(document, reading.frames)
    document.conventions = join_conventions(list(proven.values()))
    return document


def _report_below_totals(items: Sequence[RawRow | RawFigure], document: StatementDocument) -> list[RawRow | RawFigure]:
    """The items without the lines below totals that do not add up to these totals: such lines may be anything."""
    doubtful = [item for item in items if isinstance(item, RawRow) and item.is_below_total]
    for row in doubtful:
        text = " ".join([*row.reference, *row.text, *(cell.text for cell in row.money.values())])
        document.unread.append(Unread(row.page, text, NO_DATE, row.box))
    return _without(items, doubtful)


def _has_rows(reading: RawDocument, account: str) -> bool:
    return any(isinstance(item, RawRow) and item.account == account for item in reading.items)


def _reassign(reading: RawDocument, account: str, to: str) -> None:
    for item in (*reading.items, *(each.row for each in reading.undated)):
        if item.account == account:
            item.account = to
    for lines in (reading.outside, reading.figure_lines, reading.not_rows):
        lines[:] = [(to if name == account else name, line) for name, line in lines]


def _sort_by_printed_numbers(pages: Sequence[PageWords]) -> tuple[list[PageWords], list[str]]:
    """Sort pages by their printed numbers, if each has one and no two are equal."""
    printed = [find_page_number(group_lines(page)) for page in pages]
    numbers = [each[0] for each in printed if each]
    if len(numbers) != len(pages) or len(set(numbers)) != len(pages) or numbers == sorted(numbers):
        return list(pages), []
    ordered = [page for _, page in sorted(zip(numbers, pages, strict=True), key=lambda pair: pair[0])]
    order = ", ".join(str(page.number) for page in ordered)
    return ordered, [f"the pages are not in the order of their printed numbers; order used: {order}"]


def _read_account(
    account: str,
    items: Sequence[RawRow | RawFigure],
    reading: RawDocument,
    mark: DecimalMark,
    dates: Dates,
    known: Conventions,
    document: StatementDocument,
) -> tuple[Sequence[RawRow | RawFigure], Statement, Conventions]:
    """The items that are those of the statement, the statement, and what its rows prove.

    Rows without dates are added, and tables of other rows are left out, if the balances then follow from the rows.
    """

    def read(used: Sequence[RawRow | RawFigure]) -> tuple[Statement, Conventions]:
        return _assemble(account, used, reading, mark, dates, known, document.doubts)

    statement, proven = read(items)
    if is_complete(statement):
        drop_unnamed(statement.rows)
        return items, statement, proven
    undated = [each for each in reading.undated if each.row.account == account]
    if lacking := find_lacking(statement, undated, mark):
        more = insert_rows(items, lacking)
        other, other_proven = read(more)
        if is_complete(other):
            document.notes.append(date_last(other))
            document.unread = without_rows(document.unread, lacking)
            return more, other, other_proven
    if apart := find_apart(items):
        fewer = _without(items, apart)
        other, other_proven = read(fewer)
        if is_complete(other):
            pages = ", ".join(str(page) for page in sorted({row.page for row in apart}))
            document.notes.append(f"{len(apart)} rows on page {pages} are not part of the balances and were left out")
            return fewer, other, other_proven
    return items, statement, proven


def _assemble(
    account: str,
    items: Sequence[RawRow | RawFigure],
    reading: RawDocument,
    mark: DecimalMark,
    dates: Dates,
    known: Conventions,
    doubts: list[str],
) -> tuple[Statement, Conventions]:
    """The statement of one account, and what its rows prove; adds what they do not prove to `doubts`."""
    outside = [line for name, line in reading.outside if name == account]
    raw = [item for item in items if isinstance(item, RawRow)]
    own = [line.text for name, line in (*reading.outside, *reading.not_rows, *reading.figure_lines) if name == account]
    own += [cell.text for each in raw for cell in each.money.values()]
    is_month_first = dates.order == "mdy" and any(each.date and each.date.pair for each in raw)
    others = [line.text for line in reading.lines if id(line) not in reading.row_lines]
    in_rows = [line.text for line in reading.lines if id(line) in reading.row_lines]
    currency = currency_of_account(account) or infer_currency(own, others, in_rows, is_month_first=is_month_first)
    holder = find_holder(outside) or find_holder([line for _, line in reading.outside])
    number = reading.ibans.get(account) or number_of(account)
    statement = Statement(account=number, holder=holder, currency=currency)
    newest_first = is_newest_first([row_of(each, dates) for each in raw])
    if newest_first or (newest_first is None and known.newest_first):
        items, raw = swap_ends(items[::-1]), raw[::-1]
    statement.rows = [row_of(each, dates) for each in raw]
    doubt_lost_dates(statement.rows, raw)
    totals = add_figures(statement, items, mark)
    amounts = [amounts_of(each, mark) for each in raw]
    mentions_loan = any(map(names_loan, others))
    is_loan = mentions_loan and not reading.are_columns_named and any(map(_has_side, amounts))
    if is_loan:  # columns inferred from a balance that is owed are the other way round
        amounts = [replace(each, debit=each.credit, credit=each.debit) for each in amounts]
    is_named = any(names_card(text) or names_brand(text) for text in others) or names_due_card(others)
    is_named = is_named or bool(known.is_card)
    may_be = may_be_card(amounts, others)
    is_card = is_named or subtracts_payments(raw, amounts)
    is_card = is_card or (may_be and pays_card(amounts, statement.opening, statement.account))
    if is_card:
        take_purchase_dates(statement.rows, reading.lines)
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
        return _assemble(account, _without(items, raw[-count:]), reading, mark, dates, known, doubts)
    infer_section_directions(amounts, [each.section_number for each in raw], change(statement))
    infer_directions(amounts, [" ".join([*each.text, *each.reference]) for each in raw], change(statement))
    for row, row_amounts, each in zip(statement.rows, amounts, raw, strict=True):
        set_money(row, row_amounts, each, mark)
    values = find_values([line for name, line in reading.not_rows if name == account], items, mark)
    ends = statement.opening, statement.closing
    rows = statement.rows
    sections = [row.section for row in rows]
    statement.printed_debits = choose_total(totals["debits"], [row.debit for row in rows], values, ends, sections)
    statement.printed_credits = choose_total(totals["credits"], [row.credit for row in rows], values, ends, sections)
    marks = [each.amount.sign or each.amount.side if each.amount else None for each in amounts]
    is_plain = reading.is_net or 2 * marks.count("-") > len(marks)  # on a card, few rows have a minus
    infer_ends(
        statement,
        values,
        are_signed=None not in marks and len(set(marks)) > 1,
        printed=printed_values(reading, account, mark) if "-" in marks and is_plain and not is_card else (),
    )
    derive_ends(statement, values, is_exact=reading.is_exact)
    complete_totals(statement, values)
    if is_card:
        infer_owed(statement, values)
    if dates.period and dates.is_printed:
        statement.start, statement.end = dates.period
    else:
        days = [row.date for row in statement.rows if row.date]
        statement.start, statement.end = min(days, default=None), max(days, default=None)
    printed = [each.date for each in raw]
    return statement, find_conventions(printed, amounts, dates.order, newest_first=newest_first, is_card=is_card)


def _has_side(amounts: RowAmounts) -> bool:
    return amounts.debit is not None or amounts.credit is not None


def _without(items: Sequence[RawRow | RawFigure], dropped: Sequence[RawRow]) -> list[RawRow | RawFigure]:
    return [item for item in items if not any(item is each for each in dropped)]
