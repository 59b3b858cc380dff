"""From raw pages to statements: assigns rows to accounts, and decides marks and dates by the whole document. Pure."""

from collections.abc import Sequence

from processors.statements.account.balances import take_closing, take_summary
from processors.statements.account.eras import take_years_of_reiwa
from processors.statements.account.figures import drop_summary, printed_amounts
from processors.statements.account.leftovers import drop_disproven, drop_explained, drop_pages_without_rows
from processors.statements.account.periods import decide_dates
from processors.statements.account.places import find_places, to_fractions
from processors.statements.account.row_texts import drop_columns_of_text
from processors.statements.account.running_balances import take_running_balances
from processors.statements.account.statement import Account, build_statement, without_items
from processors.statements.account.subtotals import Item, drop_subtotals, drop_turnovers, take_leading_totals
from processors.statements.layouts.recall import LayoutMemory, read_with_layouts
from processors.statements.notation.amounts import detect_decimal_mark
from processors.statements.notation.conventions import Conventions, join_conventions
from processors.statements.notation.currency_accounts import number_of
from processors.statements.notation.words import PageWords, group_lines
from processors.statements.preparation.prepare import prepare_pages
from processors.statements.records import StatementDocument, Unread
from processors.statements.table.header import find_page_number
from processors.statements.table.model import TableModel
from processors.statements.table.raw import NO_DATE, RawDocument, RawRow
from processors.statements.table.reading import read_words


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
    proven: list[Conventions] = []
    if list(accounts) == [""] and reading.last_account:
        _reassign(reading, "", reading.last_account)
        accounts = dict.fromkeys([reading.last_account])
    numbered = [name for name in accounts if number_of(name)]
    if "" in accounts and numbered and (len(accounts) == 2 or not _has_rows(reading, "")):
        _reassign(reading, "", numbered[0])  # the number is printed further below
        del accounts[""]
    for name in accounts:
        items = [item for item in reading.items if item.account == name]
        drop_columns_of_text([item for item in items if isinstance(item, RawRow)])
        items = items if len(accounts) == 1 else drop_summary(items)
        items = take_running_balances(take_leading_totals(take_summary(items, mark), mark), mark)
        items = _report_below_totals(items, document)
        items = take_closing(drop_turnovers(drop_subtotals(items, mark), mark), mark)
        if any(isinstance(item, RawRow) for item in items) or len(accounts) == 1:
            era = take_years_of_reiwa(items, reading)
            dates = decide_dates(items, reading, known.date_order)
            document.notes += [note for note in (*era, *dates.notes) if note not in document.notes]
            built = build_statement(Account(name, reading, mark, dates, known), items, document)
            statement = built.statement
            document.statements.append(statement)
            proven.append(built.proven)
            if not statement.currency and any("$" in line.text for line in reading.lines):
                document.notes.append('the currency is unknown: "$" is the sign of several currencies')
            document.unread = drop_explained(document.unread, statement, mark)
            statement.places = find_places(statement, built.items, reading, mark, dates)
    document.unread = drop_pages_without_rows(document, reading, mark)
    document.unread = drop_disproven(document, mark)
    to_fractions(document, reading.frames)
    document.conventions = join_conventions(proven)
    return document


def _report_below_totals(items: Sequence[Item], document: StatementDocument) -> list[Item]:
    """The items without the lines below totals that do not add up to these totals: such lines may be anything."""
    doubtful = [item for item in items if isinstance(item, RawRow) and item.is_below_total]
    for row in doubtful:
        text = " ".join([*row.reference, *row.text, *(cell.text for cell in row.money.values())])
        document.unread.append(Unread(row.page, text, NO_DATE, row.box))
    return without_items(items, doubtful)


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
