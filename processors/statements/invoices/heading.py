"""The header of an invoice: its number, its dates and its IBAN, each with the page it is printed on. Pure."""

import datetime
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from processors.statements.invoices.keywords import TITLE, Field, find_field, promises_payment
from processors.statements.notation.dates import DateOrder, PrintedDate, resolve_date
from processors.statements.notation.iban import find_ibans, has_valid_check_digits
from processors.statements.notation.words import TextLine, WordRun, split_cells
from processors.statements.receipts.heading import detect_order, find_printed_dates
from processors.statements.receipts.keywords import fold

_GAP = 1.2  # line heights between the words of one cell
_BELOW = 2.6  # line heights: maximum distance of a value below its label
_LONGEST_LABEL = 5  # words
_DAYS_TO_PAY = range(0, 181)
_NUMBER = re.compile(
    r"\d{1,3}(?: \d{3})+$|(?:[A-Z]{1,6}[ -]{1,3}(?=\S*\d))?(?=[^\s]*\d)[A-Z0-9][\w./\-–#]*", re.IGNORECASE
)  # noqa: RUF001
_RANGE = re.compile(r"\d\.?\s*(?:–|\s-|-\s)\s*\d")  # noqa: RUF001 - of days: no one date
_IBAN_LENGTH = 42  # characters at most, with a space after each four
_IBAN_START = re.compile(r"(?<![A-Z0-9])[A-Z]{2} ?\d{2}")
_DATE_LABELS = ("date", "due_date", "delivery_date", "other_date")


@dataclass(frozen=True)
class Cell(WordRun):
    """Words of a line that are close together."""

    page: int
    line: int  # index of its line

    @property
    def text(self) -> str:
        return " ".join(word.text for word in self.words)


@dataclass(frozen=True)
class Labelled:
    """A label, and the cell that holds its value."""

    field: Field
    value: str
    cell: Cell
    is_below: bool = False
    is_title: bool = False  # the label is that of the document: "Invoice", not "Invoice no."


def find_cells(lines: Sequence[TextLine], height: float) -> list[list[Cell]]:
    """The cells of each line."""
    return [
        [Cell(words, line.page, at) for words in split_cells(line.words, _GAP * height)]
        for at, line in enumerate(lines)
    ]


def find_labelled(rows: Sequence[Sequence[Cell]], height: float) -> list[Labelled]:
    """The values after, beside or below a label."""
    return [found for at, cells in enumerate(rows) for found in _labelled_of(rows, at, cells, height)]


def _labelled_of(rows: Sequence[Sequence[Cell]], at: int, cells: Sequence[Cell], height: float) -> Iterator[Labelled]:
    for number, cell in enumerate(cells):
        field = find_field(cell.text)
        if field is None:
            yield from _inside(cell)
            continue
        beside = cells[number + 1] if number + 1 < len(cells) else None
        is_title = TITLE.fullmatch(fold(cell.text)) is not None
        if beside and find_field(beside.text) is None:
            yield Labelled(field, beside.text, beside, is_title=is_title)
        below = next(cell_below(rows, at, cell, _BELOW * height), None)
        if below:
            yield Labelled(field, below.text, below, is_below=True, is_title=is_title)


def _inside(cell: Cell) -> Iterator[Labelled]:
    """Labels with their values within one cell: "Invoice no. 12 of 3 May 2025"."""
    words = cell.words
    starts: list[tuple[int, int, Field]] = []  # first word, first word of the value, field
    at = 0
    while at < len(words):
        for count in range(min(_LONGEST_LABEL, len(words) - at), 0, -1):
            text = " ".join(word.text for word in words[at : at + count])
            is_marked = at == 0 or text.endswith(":") or words[at - 1].text.endswith((",", "|", "·", "-"))
            if (field := find_field(text)) and (is_marked or field in _DATE_LABELS):
                starts.append((at, at + count, field))
                at += count
                break
        else:
            at += 1
    ends = [*(first for first, _, _ in starts[1:]), len(words)]
    for (_, begin, named), end in zip(starts, ends, strict=False):  # no label: no end either
        if begin < end:
            part = Cell(words[begin:] if named in _DATE_LABELS else words[begin:end], cell.page, cell.line)
            yield Labelled(named, part.text.lstrip(": "), part)


def cell_below(rows: Sequence[Sequence[Cell]], at: int, cell: Cell, gap: float) -> Iterator[Cell]:
    """The cells below this one, line by line without a gap, that begin with it or overlap with it."""
    bottom = cell.bottom
    for other in rows[at + 1 :]:
        if not other or other[0].page != cell.page or min(each.top for each in other) - bottom > gap:
            return
        under = [each for each in other if each.left < cell.right and cell.left < each.right]
        if under:
            best = min(under, key=lambda each: abs(each.left - cell.left))
            if best.top - bottom > gap:
                return
            yield best
            bottom = best.bottom


def find_number(labelled: Sequence[Labelled], rows: Sequence[Sequence[Cell]]) -> tuple[str, int]:
    """The number of the invoice, and its page; ("", 0) if there is none."""
    found = []
    for each in labelled:
        match = _NUMBER.match(each.value.lstrip("#:№ ")) if each.field == "number" else None
        if match and not _is_date_only(match[0]):
            found.append((each, match[0].strip(".,-")))
    if not found:
        return "", 0
    each, number = min(
        found, key=lambda pair: (pair[0].is_title, pair[0].is_below, pair[0].cell.page, pair[0].cell.line)
    )
    return number, each.cell.page


def _is_date_only(text: str) -> bool:
    dates = find_printed_dates(text, "")
    return bool(dates and dates[0].year and dates[0].length == len(text) and not re.search(r"/\d+/\d{4}$", text))


@dataclass(frozen=True)
class _Dated:
    field: Field | None
    printed: PrintedDate
    page: int
    line: int


@dataclass
class Dates:
    date: datetime.date | None = None
    due_date: datetime.date | None = None
    delivery_date: datetime.date | None = None
    pages: dict[str, int] = field(default_factory=dict)
    doubt: str = ""


def find_invoice_dates(
    labelled: Sequence[Labelled], rows: Sequence[Sequence[Cell]], table: set[int], currency: str
) -> Dates:
    """The dates by their labels; an unlabelled date above the table is that of the invoice. `table`: lines of it."""
    dated = [
        _Dated(each.field, printed, each.cell.page, each.cell.line)
        for each in labelled
        if each.field in _DATE_LABELS
        for printed in find_printed_dates(each.value, currency)[:1]
        if printed.year and not (each.field == "delivery_date" and _RANGE.search(each.value))
    ]
    known = {(each.printed.day, each.printed.month, each.printed.year, each.printed.pair) for each in dated}
    first_row = min(table, default=len(rows))
    loose = [
        _Dated(None, printed, cell.page, cell.line)
        for cells in rows
        for cell in cells
        if cell.line not in table
        for printed in find_printed_dates(cell.text, currency)
        if printed.year and (printed.day, printed.month, printed.year, printed.pair) not in known
    ]
    phrased = [
        _Dated("due_date", printed, cell.page, cell.line)
        for cells in rows
        for cell in cells
        for before, printed in _with_text_before(cell, currency)
        if printed.year and promises_payment(before) and "skonto" not in before.lower()
    ]
    dated += phrased
    order, is_certain = _choose_order([*dated, *loose], currency)
    found = Dates()
    for name in ("date", "due_date", "delivery_date"):
        options = [each for each in dated if each.field == name]
        if name == "date":
            options += [each for each in loose if each.page == 1 and each.line < first_row]
        for each in options:
            if day := resolve_date(each.printed, order, None):
                setattr(found, name, day)
                found.pages[name] = each.page
                break
    if found.date is None and found.delivery_date:
        found.date, found.pages["date"] = found.delivery_date, found.pages["delivery_date"]
        found.doubt = f"the date is that of the delivery, {found.date}: no date of the invoice was found"
    pairs = [each.printed.pair for each in dated if each.printed.pair]
    is_open = not is_certain and any(max(pair) <= 12 and pair[0] != pair[1] for pair in pairs)
    if is_open and found.date:
        found.doubt = f"the date is read as {found.date}: day or month may be first"
    return found


def _with_text_before(cell: Cell, currency: str) -> Iterator[tuple[str, PrintedDate]]:
    """The dates within a sentence, with the words from the date before."""
    before = ""
    for at, word in enumerate(cell.words):
        found = find_printed_dates(" ".join(each.text for each in cell.words[at : at + 3]), currency)
        starts = found and word.text[:1].isdigit() and find_printed_dates(f"{word.text} ", currency)
        printed = (found[0] if not starts else (starts[0] if starts[0].year else found[0])) if found else None
        if printed and printed.year and before and word.text[:1].isdigit():
            yield before, printed
            before = ""
        else:
            before = f"{before} {word.text}".strip()


def _choose_order(dated: Sequence[_Dated], currency: str) -> tuple[DateOrder, bool]:
    """Day or month first: by a number above twelve, by the time from the invoice to its due date, by the currency."""
    printed = [each.printed for each in dated]
    order, is_certain = detect_order(printed, currency)
    if any(each.pair and max(each.pair) > 12 for each in printed):
        return order, is_certain
    orders: tuple[DateOrder, ...] = ("dmy", "mdy")
    fits = [each for each in orders if _is_plausible(dated, each)]
    return (fits[0], is_certain or order == fits[0]) if len(fits) == 1 else (order, is_certain)


def _is_plausible(dated: Sequence[_Dated], order: DateOrder) -> bool:
    days = {
        name: resolve_date(each.printed, order, None)
        for name in ("date", "due_date")
        for each in dated
        if each.field == name
    }
    date, due = days.get("date"), days.get("due_date")
    return date is None or due is None or (due - date).days in _DAYS_TO_PAY


def find_iban(rows: Sequence[Sequence[Cell]]) -> tuple[str, int, list[str]]:
    """The first IBAN with correct check digits, its page, and the numbers labeled as IBANs whose check digits are
    wrong."""
    good: list[tuple[str, int]] = []
    wrong: list[str] = []
    unnamed: list[str] = []
    for cell in (cell for cells in rows for cell in cells):
        for match in _IBAN_START.finditer(cell.text):
            iban = next(find_ibans(cell.text[match.start() :]), "")
            if iban and has_valid_check_digits(iban):
                good.append((iban, cell.page))
            elif iban and "iban" in cell.text[: match.start()].lower()[-8:]:
                wrong.append(iban)
            elif iban and iban[4:].isdigit() and not cell.text[match.start() + _IBAN_LENGTH :].strip():
                unnamed.append(iban)
    iban, page = good[0] if good else ("", 0)
    return iban, page, list(dict.fromkeys(wrong if good else wrong or unnamed))
