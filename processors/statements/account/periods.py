"""The order of day and month, and the period of a statement, inferred from all dates of a document. Pure."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from processors.statements.notation.dates import (
    DateOrder,
    PrintedDate,
    detect_date_order,
    find_dates,
    find_months,
    find_periods,
    parse_date,
    resolve_date,
)
from processors.statements.notation.keywords import match_special, normalize
from processors.statements.notation.words import join_words, line_height, split_cells
from processors.statements.table.raw import RawDocument, RawFigure, RawRow

Period = tuple[date, date]

_LONGEST = timedelta(days=400)  # from the first to the last balance of a statement
_FIRST = {"dmy": "day", "mdy": "month", "ymd": "year"}
_LAST_ROW = timedelta(days=16)  # before the end of a statement; a later date is that of the next statement
_DAY = timedelta(days=1)
_YEAR = timedelta(days=366)
_BACK = timedelta(days=62)  # before a statement's date, if no other date is printed
_LEAST_ROWS = 3  # if none of so many rows is within a period, the period is a pair of other dates
_CLOSED = re.compile(
    r"(?<!next )(?<!previous )\b(?:as (?:at|of|on)|(?:statement )?closing date|(?:statement|billing|bill) date"
    r"|cut-?off date|fecha de (?:corte|cierre)"
    r"|data de fechamento|date d'arrete|date de cloture|abschlussdatum|abrechnungsdatum)\b"
)
_STARTS = re.compile(  # right before the first day of the period, which has a line of its own
    r"\b(?:(?:statement|period) (?:starts?|begins?|from)|(?:statement |period )?(?:start|begin|from) date|from"
    r"|von|ab|zeitraum von|anfangsdatum|debut|date de debut|du|dal|data inizio|desde|fecha (?:inicial|de inicio)|de"
    r"|data inicial|van|begindatum|fra|fran|od|alkaen|baslangic(?: tarihi)?)\s?:?\s*$"
)
_ENDS = re.compile(
    r"\b(?:(?:statement|period) (?:ends?|to|until)|(?:statement |period )?(?:end|to) date|to|until"
    r"|bis|zeitraum bis|enddatum|fin|date de fin|au|al|data fine|hasta|fecha (?:final|de fin)|a|ate"
    r"|data final|tot|t/m|einddatum|til|till|do|asti|bitis(?: tarihi)?)\s?:?\s*$"
)
_DUE = re.compile(
    r"\b(?:due (?:date|by)|payment due|date due|pay by|vencimiento|vencimento|scadenza|fallig(?:keit\w*)?|zahlbar bis"
    r"|date limite|echeance|vervaldatum|uiterlijke betaaldatum|for(?:falls|falds)dato|forfallodag|erapaiva"
    r"|termin platnosci|splatnost\w*)\b"
)
_PERIOD = re.compile(r"\b(?:period\w*|zeitraum|cycle|from|desde|zakres|okres)\b")
_DATES_OF_STATEMENT = 2  # its own, and that of its payment
_CELL_GAP = 1.2  # line heights between the words of one cell
_MOST_BETWEEN = 3  # lines from the first day of a period to the last one
_NO_DATE = re.compile(r"sort ?code|routing|bankleitzahl|\bblz\b|\bbsb\b|card number|valid|expir|gultig bis")


@dataclass(frozen=True)
class Dates:
    """How to read the dates of one account."""

    order: DateOrder
    period: Period | None = None
    is_printed: bool = False  # False: the period only serves to find the years
    notes: tuple[str, ...] = ()
    doubt: str = ""  # why a person should look at each row whose year is not printed


def decide_dates(items: Sequence[RawRow | RawFigure], reading: RawDocument, known: DateOrder | None = None) -> Dates:
    """Decide for one account. If the account prints no period, that of another account applies. `known`: see
    `detect_date_order`."""
    printed = [item.date for item in items if isinstance(item, RawRow) and item.date]
    own_lines = [line for account, line in reading.outside if account == items[0].account]
    own = [line.text for line in own_lines]
    everything = [line.text for _, line in reading.outside]
    dated = own if any(each.year for text in own for each in find_dates(text)) else everything
    order = detect_date_order(printed, None, known)
    found = _best_period(own, printed, order) or _best_period(everything, printed, order)
    if found and 2 * _count_inside(printed, found) < len(printed) and _closing_period(dated, printed, order):
        found = None  # from the day on which this statement was closed to that of the next one
    if not found and (month := _month_of_rows(dated, printed)):
        return Dates(order, month, True, _order_notes(printed, order))
    if found:
        order = detect_date_order(printed, found, known)
        start, end = _best_period(own, printed, order) or found
        doubt = "the year may be wrong: the period is longer than a year" if end - start > _YEAR else ""
        return Dates(order, (start, end), True, _order_notes(printed, order), doubt)
    notes = _order_notes(printed, order)
    if closing := _closing_period(dated, printed, order):
        others = [item.value_date for item in items if isinstance(item, RawRow) and item.value_date]
        days = [day for each in others if (day := resolve_date(each, order, closing)) and day >= closing[1] - _BACK]
        return Dates(order, (min([closing[0], *days]), closing[1]), True, notes)
    figures = [line.text for account, line in reading.figure_lines if account == items[0].account]
    cells = [
        join_words(cell) for line in own_lines for cell in split_cells(line.words, _CELL_GAP * line_height([line]))
    ]
    if not any(each.year is None for each in printed):
        around = _period_by_balances(items, [*_lines_of_balances(cells), *figures], order, None)
        is_period = around is not None and _count_inside(printed, around) == len(printed) > 0
        days = [day for each in printed if (day := resolve_date(each, order, around))]
        is_period = is_period and around is not None and around[1] - max(days) <= _LAST_ROW
        return Dates(order, around if is_period else None, is_period, notes)
    single, doubt = _single_date(dated, order)
    lines = dict.fromkeys([*_lines_of_balances(own), *_lines_of_balances(cells), *figures])
    if found := _period_by_balances(items, list(lines), order, single):
        return Dates(order, found, found[1] - found[0] != _BACK, notes)
    if single is None:
        month = _month_of_rows(dated, printed, anywhere=True)
        return Dates(order, month, month is not None, notes)
    if period := _yearless_period(dated, printed, order, (single - _BACK, single)):
        return Dates(order, period, True, notes, doubt)
    note = f"no period is printed; years are inferred from the date {single}"
    return Dates(order, (single - _BACK, single), False, (note, *notes), doubt)


def _without_due_dates(texts: Sequence[str]) -> list[str]:
    """The lines without the day on which a payment is due, which with the day of the statement looks like a period."""
    pairs = zip(["", *texts], texts, strict=False)
    return [text for above, text in pairs if not (_names_due_date(text, text) or _names_due_date(above, text))]


def _names_due_date(label: str, text: str) -> bool:
    """True if a line has two dates, and it or the line above labels them as those of a statement and its payment."""
    plain = normalize(label)
    is_label = bool(_DUE.search(plain)) and not _PERIOD.search(plain) and (label == text or not find_dates(label))
    return is_label and len(find_dates(text)) == _DATES_OF_STATEMENT


def _order_notes(printed: Iterable[PrintedDate], order: DateOrder) -> tuple[str, ...]:
    has_pairs = any(each.pair for each in printed)
    return (f"dates are read as {_FIRST[order]} first",) if has_pairs else ()


def _best_period(texts: Sequence[str], printed: Sequence[PrintedDate], order: DateOrder) -> Period | None:
    """The first printed period that contains most rows, if necessary with the other order of day and month."""
    orders: tuple[DateOrder, ...] = (order, "mdy" if order == "dmy" else "dmy")
    for each in orders:
        candidates = [*find_periods(_without_due_dates(texts), each), *_find_labelled(texts, each)]
        if candidates:
            best = max(candidates, key=lambda period: _count_inside(printed, period))
            if len(printed) < _LEAST_ROWS or _count_inside(printed, best):
                return best
    return None


def _find_labelled(texts: Sequence[str], order: DateOrder) -> Iterator[Period]:
    """The periods whose first and last day have lines of their own: "Statement starts 1 March 2025"."""
    for at, text in enumerate(texts):
        start = _labelled_date(text, _STARTS, order)
        for below in texts[at + 1 : at + 1 + _MOST_BETWEEN] if start else ():
            end = _labelled_date(below, _ENDS, order)
            if start and end and timedelta(0) < end - start <= _LONGEST:
                yield start, end
                break


def _labelled_date(text: str, label: re.Pattern[str], order: DateOrder) -> date | None:
    """The full date at the end of a line, if a label is right before it."""
    plain = normalize(text)
    words = plain.split()
    for count in range(1, min(4, len(words))):
        printed = parse_date(" ".join(words[-count:]))
        before = " ".join(words[:-count])
        if printed and printed.year and printed.length == len(plain) - len(before) - 1 and label.search(before):
            return resolve_date(printed, order, None)
    return None


def _yearless_period(
    texts: Sequence[str], printed: Sequence[PrintedDate], order: DateOrder, around: Period
) -> Period | None:
    """Two dates without years on one line outside the table that all rows are between, such as "03 FEV a 03 MAR"."""
    for text in texts:
        found = [resolve_date(each, order, around) for each in find_dates(text) if each.year is None]
        for start, end in zip(found, found[1:], strict=False):
            if start is None or end is None or not timedelta(0) < end - start <= _BACK:
                continue
            if _count_inside(printed, (start, end)) == len(printed):
                return start, end
    return None


def _month_of_rows(texts: Sequence[str], printed: Sequence[PrintedDate], *, anywhere: bool = False) -> Period | None:
    """The printed month that contains all rows."""
    months = find_months(texts, anywhere=anywhere)
    return next((month for month in months if printed and _count_inside(printed, month) == len(printed)), None)


def _count_inside(printed: Sequence[PrintedDate], period: Period) -> int:
    order = detect_date_order(printed, period)
    dates = [resolve_date(each, order, period) for each in printed]
    return sum(each is not None and period[0] <= each <= period[1] for each in dates)


def _single_date(texts: Sequence[str], order: DateOrder) -> tuple[date | None, str]:
    """The latest date of the year that is printed most often, and why it may be another year."""
    lines = [text for text in texts if not _NO_DATE.search(normalize(text))]
    found = [(each, text) for text in lines for one in find_dates(text) if (each := resolve_date(one, order, None))]
    full = [each for each, text in found if str(each.year) in text]  # two digits may be a part of another number
    dates = full or [each for each, _ in found]
    if not dates:
        return None, ""
    years = Counter(each.year for each in dates)
    most = max(years, key=lambda year: (years[year], year))
    doubt = "the year may be wrong: several are printed" if max(years) - min(years) > 1 else ""
    return max(each for each in dates if each.year == most), doubt


def _closing_period(texts: Iterable[str], printed: Sequence[PrintedDate], order: DateOrder) -> Period | None:
    """The period from the first row to the day on which the statement was closed, as on a card statement."""
    for text in texts:
        match = _CLOSED.search(normalize(text))
        found = find_dates(normalize(text)[match.end() :]) if match else []
        end = resolve_date(found[0], order, None) if found else None
        around = (end - _BACK, end) if end else None
        days = [resolve_date(each, order, around) for each in printed] if around else []
        known = [day for day in days if day]
        if around and known and len(known) == len(printed) and around[0] <= min(known) and max(known) <= around[1]:
            return min(known), around[1]
    return None


def _lines_of_balances(texts: Iterable[str]) -> list[str]:
    return [text for text in texts if match_special(text) in ("opening", "closing", "standing")]


def _period_by_balances(
    items: Sequence[RawRow | RawFigure], texts: Sequence[str], order: DateOrder, single: date | None
) -> Period | None:
    """The period from the first to the last date of a balance, or some weeks around the only one."""
    around = (single - _BACK, single) if single else None
    printed = [each for text in texts for each in find_dates(text)]
    dates = sorted({found for each in printed if (found := _resolve_either(each, order, around))})
    if not dates or dates[-1] - dates[0] > _LONGEST:
        return None
    if dates[0] < dates[-1]:
        is_end = (dates[0] + _DAY).day == 1  # the balance at the end of a month opens the next one
        return dates[0] + is_end * _DAY, dates[-1]
    is_first = isinstance(items[0], RawFigure)
    return (dates[0], dates[0] + _BACK) if is_first else (dates[0] - _BACK, dates[0])


def _resolve_either(printed: PrintedDate, order: DateOrder, around: Period | None) -> date | None:
    other: DateOrder = "mdy" if order == "dmy" else "dmy"
    return resolve_date(printed, order, around) or resolve_date(printed, other, around)
