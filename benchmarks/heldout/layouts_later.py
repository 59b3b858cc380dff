"""Held-out layouts drawn after the authors of the reader knew the first ten: signs and columns."""

import random
from datetime import date
from decimal import Decimal
from pathlib import Path

from benchmarks.heldout.ledger import Movement, Truth, TruthAccount, ends_day, keep_books, same_day
from benchmarks.heldout.sheet import Sheet

_ITALIAN_MONTHS = {1: "gennaio", 2: "febbraio"}


def comma(amount: Decimal) -> str:
    return f"{amount:,.2f}"


def point(amount: Decimal) -> str:
    return comma(amount).translate(str.maketrans(",.", ".,"))


def lakh(amount: Decimal) -> str:
    """Indian grouping: 12,34,567.89."""
    whole, cents = f"{amount:.2f}".split(".")
    head, tail = whole[:-3], whole[-3:]
    groups = [head[max(0, end - 2) : end] for end in range(len(head), 0, -2)][::-1]
    return ",".join([*groups, tail]) + f".{cents}"


def row_of(sheet: Sheet, move: Movement, balance: Decimal | None = None, texts: tuple[str, ...] = ()) -> Truth:
    debit, credit = (move.amount, None) if move.change < 0 else (None, move.amount)
    return Truth(sheet.page, move.day, " ".join((*texts, *move.texts)), debit, credit, balance)


def write_texts(sheet: Sheet, x: float, texts: tuple[str, ...], step: float = 11) -> None:
    """Write the first line at the current height, and the others below it."""
    for number, text in enumerate(texts):
        sheet.text(x, text, y=sheet.y + number * step)


def indian(path: Path, rng: random.Random, count: int, family: str) -> list[TruthAccount]:
    """Narration, reference number and value date before the amounts; lakh grouping; a summary of counts at the end."""
    opening = Decimal("245310.44")
    book = keep_books(rng, "in", "INR", count=count, start=date(2024, 1, 1), opening=opening, days=31)
    truth, sheet = TruthAccount(book), Sheet(path, family, size=8)

    def head() -> None:
        sheet.text(36, f"Page No .: {sheet.page}", size=7)
        sheet.text(330, f"Account No : {book.account}   Currency : INR")
        sheet.down(12)
        sheet.text(36, f"From : {book.start:%d/%m/%Y}   To : {book.end:%d/%m/%Y}")
        sheet.down(16)
        for x, text, align in (
            (36, "Date", "left"),
            (80, "Narration", "left"),
            (270, "Chq./Ref.No.", "left"),
            (345, "Value Dt", "left"),
            (450, "Withdrawal Amt.", "right"),
            (510, "Deposit Amt.", "right"),
            (570, "Closing Balance", "right"),
        ):
            sheet.text(x, text, align, bold=True, size=7)
        sheet.down(14)

    head()
    sheet.on_page = head
    for move in book.movements:
        sheet.need(11 * len(move.texts) + 6)
        reference = f"{rng.randrange(10**9):012d}"
        sheet.text(36, f"{move.day:%d/%m/%y}")
        write_texts(sheet, 80, move.texts, 10)
        sheet.text(270, reference)
        sheet.text(345, f"{move.day:%d/%m/%y}")
        sheet.text(510 if move.change > 0 else 450, lakh(move.amount), "right")
        sheet.text(570, lakh(move.balance), "right")
        truth.rows.append(row_of(sheet, move, move.balance, (reference,)))
        sheet.down(10 * len(move.texts) + 4)
    outs = sum(one.change < 0 for one in book.movements)
    sheet.need(60)
    sheet.down(14)
    sheet.text(36, "STATEMENT SUMMARY :-", bold=True)
    sheet.down(14)
    heads = ("Opening Balance", "Dr Count", "Cr Count", "Debits", "Credits", "Closing Bal")
    values = (
        lakh(book.opening),
        str(outs),
        str(count - outs),
        lakh(book.money_out),
        lakh(book.money_in),
        lakh(book.closing),
    )
    for number, (name, value) in enumerate(zip(heads, values, strict=True)):
        sheet.text(110 + number * 90, name, "right", bold=True)
        sheet.text(110 + number * 90, value, "right", y=sheet.y + 12)
    sheet.save()
    return [truth]


def australian(path: Path, rng: random.Random, count: int, family: str) -> list[TruthAccount]:
    """A day and a month without a year; balances marked CR or DR, once per day; totals at the end of each page."""
    book = keep_books(rng, "au", "AUD", count=count, start=date(2023, 12, 18), overdraft=Decimal(600), days=31)
    truth, sheet, moves = TruthAccount(book), Sheet(path, family), book.movements
    sums = {"out": Decimal(0), "in": Decimal(0)}

    def head() -> None:
        sheet.text(555, f"Statement {40 + sheet.page} (Page {sheet.page})", "right", size=7)
        sheet.down(16)
        for x, text, align in (
            (40, "Date", "left"),
            (90, "Transaction", "left"),
            (380, "Debit", "right"),
            (460, "Credit", "right"),
            (555, "Balance", "right"),
        ):
            sheet.text(x, text, align, bold=True)
        sheet.down(15)

    def marked(amount: Decimal) -> str:
        return f"${comma(abs(amount))} {'DR' if amount < 0 else 'CR'}"

    def page_sums() -> None:
        sheet.text(90, "SUB TOTAL CARRIED FORWARD TO NEXT PAGE", size=8)
        sheet.text(380, comma(sums["out"]), "right")
        sheet.text(460, comma(sums["in"]), "right")

    sheet.text(40, "Smart Access", bold=True, size=14)
    sheet.text(555, f"Account number 06 2000 {book.account}", "right")
    sheet.down(22)
    sheet.text(40, f"Statement period {book.start.day} Dec 2023 - {book.end.day} Jan 2024")
    sheet.down(13)
    sheet.text(40, f"Closing balance {marked(book.closing)}")
    sheet.down(20)
    head()
    sheet.text(40, f"{book.start:%d %b}")
    sheet.text(90, "2023 OPENING BALANCE", bold=True)
    sheet.text(555, marked(book.opening), "right")
    sheet.down(14)
    sheet.on_page, sheet.off_page = head, page_sums
    for at, move in enumerate(moves):
        sheet.need(11 * len(move.texts) + 20)
        shown = ends_day(moves, at)
        sheet.text(40, f"{move.day:%d %b}")
        write_texts(sheet, 90, move.texts)
        last = sheet.y + 11 * (len(move.texts) - 1)
        sheet.text(460 if move.change > 0 else 380, comma(move.amount), "right", y=last)
        if shown:
            sheet.text(555, marked(move.balance), "right", y=last)
        truth.rows.append(row_of(sheet, move, move.balance if shown else None))
        sums["in" if move.change > 0 else "out"] += move.amount
        sheet.down(11 * len(move.texts) + 4)
    sheet.text(40, f"{book.end:%d %b}")
    sheet.text(90, "2024 CLOSING BALANCE", bold=True)
    sheet.text(555, marked(book.closing), "right")
    sheet.save()
    return [truth]


def dutch(path: Path, rng: random.Random, count: int, family: str) -> list[TruthAccount]:
    """Money out before money in, named Af and Bij; no balance in the table; both balances and totals above it."""
    book = keep_books(
        rng, "nl", "EUR", count=count, start=date(2024, 1, 2), account=f"NL91ABNA{rng.randrange(10**10):010d}"
    )
    truth, sheet, moves = TruthAccount(book), Sheet(path, family), book.movements

    def head() -> None:
        for x, text, align in (
            (40, "Datum", "left"),
            (100, "Omschrijving", "left"),
            (470, "Bedrag af", "right"),
            (555, "Bedrag bij", "right"),
        ):
            sheet.text(x, text, align, bold=True)
        sheet.down(15)

    sheet.text(40, "Rekeningafschrift", bold=True, size=14)
    sheet.down(22)
    sheet.text(40, f"IBAN {book.account}    Periode {book.start:%d-%m-%Y} t/m {book.end:%d-%m-%Y}")
    sheet.down(16)
    for number, (name, amount) in enumerate(
        (
            ("Vorig saldo", book.opening),
            ("Totaal afgeschreven", book.money_out),
            ("Totaal bijgeschreven", book.money_in),
            ("Nieuw saldo", book.closing),
        )
    ):
        sheet.text(40 + 130 * number, name, size=8)
        sheet.text(40 + 130 * number, f"EUR {point(amount)}", y=sheet.y + 12)
    sheet.down(40)
    head()
    sheet.on_page = head
    for at, move in enumerate(moves):
        if sheet.need(11 * len(move.texts) + 6) or not same_day(moves, at):
            sheet.text(40, f"{move.day:%d-%m-%Y}")
        write_texts(sheet, 100, move.texts)
        sheet.text(555 if move.change > 0 else 470, point(move.amount), "right")
        truth.rows.append(row_of(sheet, move))
        sheet.down(11 * len(move.texts) + 4)
    sheet.save()
    return [truth]


def italian(path: Path, rng: random.Random, count: int, family: str) -> list[TruthAccount]:
    """Two dates, money out and in, then the text; the opening and the closing balance are rows of the table."""
    book = keep_books(
        rng, "it", "EUR", count=count, start=date(2024, 1, 1), account=f"IT60X0542811101{rng.randrange(10**12):012d}"
    )
    truth, sheet = TruthAccount(book), Sheet(path, family)

    def head() -> None:
        for x, text, align in (
            (40, "Data", "left"),
            (100, "Valuta", "left"),
            (240, "Dare", "right"),
            (320, "Avere", "right"),
            (340, "Descrizione operazioni", "left"),
        ):
            sheet.text(x, text, align, bold=True)
        sheet.down(15)

    def balance(name: str, day: date, amount: Decimal) -> None:
        sheet.text(40, f"{day:%d.%m.%y}")
        sheet.text(320, point(amount), "right")
        sheet.text(340, name, bold=True)
        sheet.down(14)

    sheet.text(40, "Estratto conto corrente", bold=True, size=14)
    sheet.down(22)
    sheet.text(40, f"IBAN {book.account}")
    sheet.text(555, f"dal 1 gennaio 2024 al {book.end.day} {_ITALIAN_MONTHS[book.end.month]} 2024", "right")
    sheet.down(22)
    head()
    sheet.on_page = head
    balance("SALDO INIZIALE", book.start, book.opening)
    for move in book.movements:
        sheet.need(11 * len(move.texts) + 6)
        sheet.text(40, f"{move.day:%d.%m.%y}")
        sheet.text(100, f"{move.day:%d.%m.%y}")
        sheet.text(320 if move.change > 0 else 240, point(move.amount), "right")
        write_texts(sheet, 340, move.texts)
        truth.rows.append(row_of(sheet, move))
        sheet.down(11 * len(move.texts) + 4)
    balance("SALDO FINALE", book.end, book.closing)
    sheet.save()
    return [truth]
