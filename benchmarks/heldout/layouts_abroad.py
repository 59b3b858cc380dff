"""Held-out layouts of Canada, Germany, Switzerland, France and Spain."""

import random
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

from benchmarks.heldout.ledger import Movement, Truth, TruthAccount, ends_day, keep_books, same_day
from benchmarks.heldout.sheet import Sheet


def continental(amount: Decimal, group: str = ".") -> str:
    return f"{amount:,.2f}".replace(",", "\0").replace(".", ",").replace("\0", group)


def canadian(path: Path, rng: random.Random, count: int, family: str) -> list[TruthAccount]:
    """Day and month once per day; text of two lines, amount on the last one; a balance per day."""
    book = keep_books(rng, "en", "CAD", count=count, start=date(2024, 5, 3))
    truth, sheet, moves = TruthAccount(book), Sheet(path, family, letter=True), book.movements

    def head() -> None:
        sheet.text(40, "Details of your account activity", bold=True, size=12)
        sheet.down(22)
        for x, text, align in (
            (40, "Date", "left"),
            (90, "Description", "left"),
            (400, "Withdrawals ($)", "right"),
            (480, "Deposits ($)", "right"),
            (570, "Balance ($)", "right"),
        ):
            sheet.text(x, text, align)
        sheet.down(12)
        sheet.rule(40, 570)
        sheet.down(4)

    sheet.text(40, "From May 3, 2024 to June 1, 2024", bold=True)
    sheet.text(570, f"Your account number: {book.account}", "right")
    sheet.down(40)
    head()
    sheet.text(90, "Opening Balance")
    sheet.text(570, f"{book.opening:,.2f}", "right")
    sheet.down(15)
    sheet.on_page = head
    for at, move in enumerate(moves):
        turned = sheet.need(12 * len(move.texts) + 4)
        if turned or not same_day(moves, at):
            sheet.text(40, f"{move.day.day} {move.day:%b}")
        for text in move.texts[:-1]:
            sheet.text(90, text)
            sheet.down(11)
        sheet.text(90, move.texts[-1])
        sheet.text(400 if move.change < 0 else 480, f"{move.amount:,.2f}", "right")
        shown = move.balance if ends_day(moves, at) else None
        if shown is not None:
            sheet.text(570, f"{shown:,.2f}", "right")
        sheet.down(15)
        truth.rows.append(_truth(sheet.page, move, shown))
    sheet.text(90, "Closing Balance", bold=True)
    sheet.text(570, f"${book.closing:,.2f}", "right", bold=True)
    sheet.save()
    return [truth]


def savings_bank(path: Path, rng: random.Random, count: int, family: str) -> list[TruthAccount]:
    """German: day and month with points, no year; two amount columns that share a heading; details below."""
    book = keep_books(rng, "de", "EUR", count=count, start=date(2023, 12, 20), account="DE02120300000000202051")
    truth, sheet = TruthAccount(book), Sheet(path, family)

    def head() -> None:
        sheet.text(40, f"Kontoauszug 1/2024     Seite {sheet.page}", bold=True, size=12)
        sheet.down(26)
        sheet.text(40, "Datum", bold=True)
        sheet.text(95, "Erläuterung", bold=True)
        sheet.text(455, "Betrag Soll EUR", "right", bold=True)
        sheet.text(555, "Betrag Haben EUR", "right", bold=True)
        sheet.down(12)
        sheet.rule(40, 555)
        sheet.down(6)

    def state(day: date, amount: Decimal, tail: str) -> None:
        sheet.text(95, f"Kontostand am {day:%d.%m.%Y}{tail}", bold=True)
        sheet.text(555 if amount >= 0 else 455, f"{continental(abs(amount))}{'+' if amount >= 0 else '-'}", "right")
        sheet.down(18)

    sheet.text(40, "Musterstädtische Sparkasse", size=14)
    sheet.down(24)
    sheet.text(40, "IBAN DE02 1203 0000 0000 2020 51  BIC BYLADEM1001")
    sheet.down(30)
    head()
    state(book.start - timedelta(days=1), book.opening, ", Auszug Nr. 12")
    sheet.on_page = head
    for move in book.movements:
        sheet.need(12 * (len(move.texts) + 1) + 4)
        page = sheet.page
        sheet.text(40, f"{move.day:%d.%m.}")
        sheet.text(95, move.texts[0])
        sheet.text(455 if move.change < 0 else 555, continental(move.amount), "right")
        for text in move.texts[1:]:
            sheet.down(11)
            sheet.text(95, text)
        sheet.down(15)
        truth.rows.append(_truth(page, move, None))
    state(book.end, book.closing, " um 20:03 Uhr")
    sheet.text(40, "Ihr Dispositionskredit beträgt 2.000,00 EUR. Der Sollzins beträgt 11,25 % p. a.", size=7)
    sheet.save()
    return [truth]


def post_bank(path: Path, rng: random.Random, count: int, family: str) -> list[TruthAccount]:
    """German: two dates in one column, the sign apart from the amount, the new balance in a box at the end."""
    book = keep_books(rng, "de", "EUR", count=count, start=date(2024, 1, 2), overdraft=Decimal(2000))
    truth, sheet = TruthAccount(book), Sheet(path, family)

    def head() -> None:
        sheet.shade(36, 559, 14)
        sheet.text(40, "Buchung/Wert")
        sheet.text(130, "Vorgang/Buchungsinformation")
        sheet.text(555, "EUR", "right")
        sheet.text(480, "Betrag", "left")
        sheet.down(20)

    sheet.text(40, "Auszug 1/2024 vom 02.01.2024 bis 31.01.2024", bold=True)
    sheet.text(555, f"Kontonummer {book.account}", "right")
    sheet.down(16)
    sheet.text(40, f"Alter Kontostand EUR {_signed(book.opening)}")
    sheet.down(30)
    head()
    sheet.on_page = head
    for move in book.movements:
        sheet.need(12 * len(move.texts) + 6)
        page = sheet.page
        sheet.text(40, f"{move.day:%d.%m.}/{move.day + timedelta(days=1):%d.%m.}")
        sheet.text(130, move.texts[0])
        sheet.text(555, _signed(move.change), "right")
        for text in move.texts[1:]:
            sheet.down(11)
            sheet.text(130, text)
        sheet.down(16)
        truth.rows.append(_truth(page, move, None))
    sheet.down(10)
    sheet.rule(300, 555)
    sheet.down(4)
    sheet.text(300, "Neuer Kontostand EUR", bold=True)
    sheet.text(555, _signed(book.closing), "right", bold=True)
    sheet.save()
    return [truth]


def swiss(path: Path, rng: random.Random, count: int, family: str) -> list[TruthAccount]:
    """Apostrophes between thousands, the value date between amounts and balance, two-digit years."""
    book = keep_books(rng, "de", "CHF", count=count, start=date(2024, 4, 1), opening=Decimal("18250.40"))
    truth, sheet, moves = TruthAccount(book), Sheet(path, family), book.movements
    places = (("Datum", 40, "left"), ("Buchungstext", 95, "left"), ("Belastung", 340, "right"))
    places += (("Gutschrift", 415, "right"), ("Valuta", 430, "left"), ("Saldo", 555, "right"))

    def francs(amount: Decimal) -> str:
        return f"{amount:,.2f}".replace(",", "'")

    def head() -> None:
        for text, x, align in places:
            sheet.text(x, text, align, bold=True)
        sheet.down(16)

    def state(label: str, amount: Decimal) -> None:
        sheet.text(95, label)
        sheet.text(555, francs(amount), "right")
        sheet.down(15)

    sheet.text(40, "Kontoauszug 01.04.2024 - 30.04.2024  in CHF", bold=True, size=12)
    sheet.down(18)
    sheet.text(40, "IBAN CH93 0076 2011 6238 5295 7")
    sheet.down(30)
    head()
    state("Saldovortrag", book.opening)
    sheet.on_page = head
    for at, move in enumerate(moves):
        before = moves[at - 1].balance if at else book.opening
        sheet.off_page = lambda amount=before: state("Übertrag", amount)
        if sheet.need(12 * len(move.texts) + 20):
            state("Übertrag", before)
        page = sheet.page
        sheet.text(40, f"{move.day:%d.%m.%y}")
        sheet.text(95, move.texts[0])
        sheet.text(340 if move.change < 0 else 415, francs(move.amount), "right")
        sheet.text(430, f"{move.day:%d.%m.%y}")
        shown = move.balance if ends_day(moves, at) else None
        if shown is not None:
            sheet.text(555, francs(shown), "right")
        for text in move.texts[1:]:
            sheet.down(11)
            sheet.text(95, text, size=8)
        sheet.down(15)
        truth.rows.append(_truth(page, move, shown))
    sheet.text(95, "Umsatztotal")
    sheet.text(340, francs(book.money_out), "right")
    sheet.text(415, francs(book.money_in), "right")
    sheet.down(14)
    sheet.text(95, "Schlusssaldo", bold=True)
    sheet.text(555, francs(book.closing), "right", bold=True)
    sheet.save()
    return [truth]


def french(path: Path, rng: random.Random, count: int, family: str) -> list[TruthAccount]:
    """Spaces between thousands, the value date before the amounts, only the first and the last balance."""
    book = keep_books(rng, "fr", "EUR", count=count, start=date(2024, 1, 2), account="00041733091")
    truth, sheet = TruthAccount(book), Sheet(path, family)

    def head() -> None:
        sheet.rule(40, 555)
        sheet.down(3)
        for x, text, align in (
            (40, "Date", "left"),
            (90, "Nature des opérations", "left"),
            (340, "Valeur", "left"),
            (470, "Débit", "right"),
            (555, "Crédit", "right"),
        ):
            sheet.text(x, text, align, bold=True)
        sheet.down(13)
        sheet.rule(40, 555)
        sheet.down(5)

    def state(label: str, amount: Decimal) -> None:
        sheet.text(90, label, bold=True)
        sheet.text(555 if amount >= 0 else 470, continental(abs(amount), " "), "right", bold=True)
        sheet.down(16)

    sheet.text(40, "RELEVÉ DE COMPTE CHÈQUES", bold=True, size=13)
    sheet.down(20)
    sheet.text(40, "du 01/01/2024 au 31/01/2024")
    sheet.text(555, f"N° de compte {book.account}", "right")
    sheet.down(30)
    head()
    state("SOLDE CREDITEUR AU 31.12.2023", book.opening)
    sheet.on_page = head
    for move in book.movements:
        sheet.need(12 * len(move.texts) + 4)
        page = sheet.page
        sheet.text(40, f"{move.day:%d.%m}")
        sheet.text(90, move.texts[0])
        sheet.text(340, f"{move.day:%d.%m}")
        sheet.text(470 if move.change < 0 else 555, continental(move.amount, " "), "right")
        for text in move.texts[1:]:
            sheet.down(11)
            sheet.text(98, text)
        sheet.down(14)
        truth.rows.append(_truth(page, move, None))
    sheet.text(90, "TOTAL DES OPERATIONS", bold=True)
    sheet.text(470, continental(book.money_out, " "), "right", bold=True)
    sheet.text(555, continental(book.money_in, " "), "right", bold=True)
    sheet.down(16)
    state("SOLDE CREDITEUR AU 31.01.2024", book.closing)
    sheet.down(10)
    sheet.text(40, "Votre autorisation de découvert : 800,00 EUR. TAEG 19,50 %.", size=7)
    sheet.save()
    return [truth]


def spanish(path: Path, rng: random.Random, count: int, family: str) -> list[TruthAccount]:
    """Newest first, signed amounts and balances, headings in capitals, balances of the period in a box."""
    book = keep_books(rng, "es", "EUR", count=count, start=date(2024, 3, 1), overdraft=Decimal(500))
    truth, sheet = TruthAccount(book), Sheet(path, family)

    def euros(amount: Decimal) -> str:
        return f"{'-' if amount < 0 else ''}{continental(abs(amount))}"

    def head() -> None:
        for x, text, align in (
            (40, "F. OPERACIÓN", "left"),
            (115, "F. VALOR", "left"),
            (190, "CONCEPTO", "left"),
            (470, "IMPORTE", "right"),
            (555, "SALDO", "right"),
        ):
            sheet.text(x, text, align, bold=True, size=8)
        sheet.down(15)

    sheet.text(40, "EXTRACTO DE CUENTA", bold=True, size=13)
    sheet.text(555, f"Nº DE CUENTA: {book.account}", "right")
    sheet.down(22)
    sheet.text(40, f"Período: 01/03/2024 - {book.end:%d/%m/%Y}")
    sheet.down(16)
    sheet.text(40, f"Saldo inicial: {euros(book.opening)} EUR")
    sheet.text(300, f"Saldo final: {euros(book.closing)} EUR")
    sheet.down(30)
    head()
    sheet.on_page = head
    for move in reversed(book.movements):
        sheet.need(15)
        sheet.text(40, f"{move.day:%d/%m/%Y}")
        sheet.text(115, f"{move.day:%d/%m/%Y}")
        sheet.text(190, move.texts[0])
        sheet.text(470, euros(move.change), "right")
        sheet.text(555, euros(move.balance), "right")
        sheet.down(15)
        truth.rows.insert(0, _truth(sheet.page, Movement(move.day, move.texts[:1], move.change, move.balance), True))
    sheet.save()
    return [truth]


def _truth(page: int, move: Movement, balance: Decimal | bool | None) -> Truth:
    debit, credit = (move.amount, None) if move.change < 0 else (None, move.amount)
    return Truth(page, move.day, " ".join(move.texts), debit, credit, move.balance if balance is not None else None)


def _signed(amount: Decimal) -> str:
    return f"{'-' if amount < 0 else '+'} {continental(abs(amount))}"
