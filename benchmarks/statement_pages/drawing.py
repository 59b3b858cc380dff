"""Draw statements as PDF with reportlab, and record the contents of each page."""

import random
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from importlib.resources import files
from pathlib import Path

import reportlab
from reportlab.lib.pagesizes import A4
from reportlab.lib.units import mm
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.pdfgen.canvas import Canvas

from benchmarks.statement_pages.accounts import Account, Movement, invent
from benchmarks.statement_pages.layouts import Column, Layout

_TOP, _TABLE_TOP, _BOTTOM = 15, 62, 272  # mm from the upper edge
_GROUP = {"de": ".", "es": ".", "fr": " ", "ch": "'"}
_CURRENCY = {"en-GB": "GBP", "en-US": "USD", "ch": "CHF"}


@dataclass(frozen=True)
class Truth:
    """A row as printed; `page` counts the pages of the file from 1."""

    account: str
    page: int
    date: date
    description: str
    debit: Decimal | None
    credit: Decimal | None
    balance: Decimal | None


def draw(layout: Layout, seed: int, path: Path) -> list[Truth]:
    """Write one file of one to six pages."""
    random_ = random.Random(f"{layout.name} {seed}")
    _register()
    rows = random_.choice((8, 20, 45, 70)) // layout.accounts
    language = {"ch": "de"}.get(layout.locale, layout.locale[:2])
    accounts = [invent(random_, language, rows, is_card=layout.is_card) for _ in range(layout.accounts)]
    sheets = [sheet for account in accounts for sheet in _lay_out(layout, account)]
    order = list(range(len(sheets)))
    if layout.shuffled:
        random_.shuffle(order)
    canvas = Canvas(str(path), pagesize=A4)
    truth = []
    for place, index in enumerate(order, start=1):
        account, lines = sheets[index]
        numbers = {"page": index + 1, "pages": len(sheets)}
        _Sheet(canvas, layout, account).draw(lines, numbers)
        canvas.showPage()
        for line in lines:
            if isinstance(line, _Row):
                truth.append(_truth(account, place, line))
    canvas.save()
    return truth


@dataclass
class _Row:
    movement: Movement
    shows_balance: bool
    shows_date: bool


@dataclass
class _Figure:
    text: str
    balance: Decimal | None = None
    debit: Decimal | None = None
    credit: Decimal | None = None


def _truth(account: Account, page: int, row: _Row) -> Truth:
    one = row.movement
    debit, credit = (-one.change, None) if one.change < 0 else (None, one.change)
    balance = one.balance if row.shows_balance else None
    return Truth(account.number, page, one.date, one.description, debit, credit, balance)


def _lay_out(layout: Layout, account: Account) -> list[tuple[Account, list[_Row | _Figure]]]:
    """The lines of each sheet."""
    has_balance = any(column.kind == "balance" for column in layout.columns)
    rows: list[_Row] = []
    for number, one in enumerate(account.movements):
        is_new_day = number == 0 or account.movements[number - 1].date != one.date
        is_last = number == len(account.movements) - 1
        shows_balance = has_balance and (is_last or number % layout.balance_every == layout.balance_every - 1)
        rows.append(_Row(one, shows_balance, layout.repeat_date or is_new_day))
    if layout.newest_first:
        rows.reverse()
    room = (_BOTTOM - _TABLE_TOP) / layout.pitch - 6
    sheets: list[list[_Row | _Figure]] = [[]]
    if not layout.summary and layout.opening:
        sheets[0].append(_Figure(layout.opening, account.opening))
    used = 1
    for row in rows:
        height = len(row.movement.lines)
        if used + height > room:
            if layout.carried:
                balance = sheets[-1][-1].movement.balance
                sheets[-1].append(_Figure(layout.carried, balance))
                sheets.append([_Figure(layout.brought, balance)])
            else:
                sheets.append([])
            row.shows_date = True
            used = 1
        sheets[-1].append(row)
        used += height
    if layout.totals:
        debits = sum((-one.change for one in account.movements if one.change < 0), Decimal(0))
        credits = sum((one.change for one in account.movements if one.change > 0), Decimal(0))
        sheets[-1].append(_Figure(layout.totals, None, debits, credits))
    if not layout.summary and layout.closing:
        sheets[-1].append(_Figure(layout.closing, account.closing))
    return [(account, sheet) for sheet in sheets]


class _Sheet:
    def __init__(self, canvas: Canvas, layout: Layout, account: Account):
        self._canvas, self._layout, self._account = canvas, layout, account

    def draw(self, lines: list[_Row | _Figure], numbers: dict[str, int]) -> None:
        self._head()
        layout, y = self._layout, _TABLE_TOP
        self._canvas.setFont(_bold(layout.font), layout.size)
        for column in layout.columns:
            self._put(column, y, column.heading)
        self._canvas.setFont(layout.font, layout.size)
        for line in lines:
            y += layout.pitch * 1.3 if isinstance(line, _Figure) else layout.pitch
            if isinstance(line, _Figure):
                self._figure(line, y)
            else:
                self._row(line, y)
                y += layout.pitch * (len(line.movement.lines) - 1)
            if layout.rules:
                self._canvas.line(12 * mm, _up(y + 1.3), 198 * mm, _up(y + 1.3))
        for number, footer in enumerate(layout.footers):
            self._canvas.drawString(18 * mm, _up(280 + 5 * number), footer.format(**numbers))

    def _head(self) -> None:
        layout, account = self._layout, self._account
        self._canvas.setFont(_bold(layout.font), layout.size + 6)
        self._canvas.drawString(18 * mm, _up(_TOP), "Harbour & Vale")
        self._canvas.setFont(layout.font, layout.size)
        number = account.number if "IBAN" not in layout.account else f"DE21 3005 0000 {account.number}"
        period = layout.period.format(
            start=_day(account.start, layout.period_dates), end=_day(account.end, layout.period_dates)
        )
        lines = [layout.holder, "14 Quayside Row", layout.account.format(account=number), period]
        for place, line in enumerate(lines):
            self._canvas.drawString((18 if place < 2 else 110) * mm, _up(_TOP + 8 + 6 * (place % 2)), line)
        currency = _CURRENCY.get(layout.locale, "EUR")
        self._canvas.drawString(18 * mm, _up(_TOP + 22), f"{currency}")
        if layout.summary:
            for place, (name, value) in enumerate(
                ((layout.opening, account.opening), (layout.closing, account.closing))
            ):
                self._canvas.drawString(110 * mm, _up(_TOP + 24 + 5 * place), name)
                self._canvas.drawRightString(190 * mm, _up(_TOP + 24 + 5 * place), self._balance(value))

    def _row(self, row: _Row, y: float) -> None:
        one, layout = row.movement, self._layout
        for column in layout.columns:
            if column.kind == "description":
                for place, text in enumerate(one.lines):
                    self._put(column, y + place * layout.pitch, text)
            elif column.kind == "date" and not row.shows_date:
                continue
            elif text := self._cell(column.kind, one, row):
                self._put(column, y, text)

    def _cell(self, kind: str, one: Movement, row: _Row) -> str:
        layout = self._layout
        if kind in ("date", "value_date"):
            return _day(one.date if kind == "date" else one.value_date, layout.dates)
        if kind == "reference":
            return one.reference
        if kind == "balance":
            return self._balance(one.balance) if row.shows_balance else ""
        if kind == "amount":
            return self._amount(one.change)
        wanted = one.change < 0 if kind == "debit" else one.change > 0
        return self._number(abs(one.change)) if wanted else ""

    def _figure(self, figure: _Figure, y: float) -> None:
        for column in self._layout.columns:
            value = getattr(figure, column.kind, None)
            if column.kind == "description":
                self._put(column, y, figure.text)
            elif column.kind == "balance" and figure.balance is not None:
                self._put(column, y, self._balance(figure.balance))
            elif column.kind in ("debit", "credit") and value is not None:
                self._put(column, y, self._number(value))
        money = [column for column in self._layout.columns if column.kind in ("amount", "credit")]
        if figure.balance is not None and all(column.kind != "balance" for column in self._layout.columns):
            text = self._balance(figure.balance) if money[0].kind == "amount" else self._number(abs(figure.balance))
            column = money[0] if figure.balance >= 0 or money[0].kind == "amount" else self._debit()
            self._put(column, y, text)

    def _debit(self) -> Column:
        return next(column for column in self._layout.columns if column.kind == "debit")

    def _amount(self, change: Decimal) -> str:
        text = self._number(abs(change))
        out = change < 0
        styles = {"plain": (text, text), "minus": (f"-{text}", text), "trailing": (f"{text}-", text)}
        styles |= {"brackets": (f"({text})", text), "crdr": (f"{text} DR", f"{text} CR"), "cr": (text, f"{text} CR")}
        return styles[self._layout.amounts][0 if out else 1]

    def _balance(self, value: Decimal) -> str:
        text = self._number(abs(value))
        if value >= 0:
            return f"{text} CR" if self._layout.balances == "dr" else text
        if self._layout.amounts == "trailing":
            return f"{text}-"
        styles = {"minus": f"-{text}", "trailing": f"{text}-", "brackets": f"({text})", "dr": f"{text} DR"}
        return styles[self._layout.balances]

    def _number(self, value: Decimal) -> str:
        whole, cents = f"{value:,.2f}".split(".")
        group = _GROUP.get(self._layout.locale, ",")
        return whole.replace(",", group) + ("." if self._layout.locale[:2] in ("en", "ch") else ",") + cents

    def _put(self, column: Column, y: float, text: str) -> None:
        names = {"left": "drawString", "right": "drawRightString", "center": "drawCentredString"}
        getattr(self._canvas, names[column.align])(column.x * mm, _up(y), text)


def _up(y: float) -> float:
    """Convert to PDF coordinates, which start at the lower edge."""
    return A4[1] - y * mm


def _day(day: date, form: str) -> str:
    return day.strftime(form.replace("%N", "%b"))


def _bold(font: str) -> str:
    return {"Times-Roman": "Times-Bold", "Helvetica": "Helvetica-Bold", "Courier": "Courier-Bold"}.get(
        font, f"{font}-Bold"
    )


def _register() -> None:
    """The fonts come with Python packages: reportlab, font-roboto, font-caladea, font-source-serif-pro."""
    if "Roboto" in pdfmetrics.getRegisteredFontNames():
        return
    vera = Path(reportlab.__file__).parent / "fonts"
    folders = {name: files(f"font_{name}") / "files" for name in ("roboto", "caladea", "source_serif_pro")}
    for name, plain, bold in (
        ("Vera", vera / "Vera.ttf", vera / "VeraBd.ttf"),
        ("Roboto", folders["roboto"] / "Roboto-Regular.ttf", folders["roboto"] / "Roboto-Bold.ttf"),
        ("Caladea", folders["caladea"] / "Caladea-Regular.ttf", folders["caladea"] / "Caladea-Bold.ttf"),
        ("SourceSerif", folders["source_serif_pro"] / "SourceSerifPro-Regular.ttf",
         folders["source_serif_pro"] / "SourceSerifPro-Bold.ttf"),
    ):  # fmt: skip
        pdfmetrics.registerFont(TTFont(name, str(plain)))
        pdfmetrics.registerFont(TTFont(f"{name}-Bold", str(bold)))
