"""Held-out layouts of Britain, Canada and the United States."""

import random
from datetime import date
from decimal import Decimal
from pathlib import Path

from benchmarks.heldout.ledger import Truth, TruthAccount, ends_day, keep_books, same_day
from benchmarks.heldout.sheet import Sheet

_ADVERT = "You could earn more with our new Saver: 4.15% AER, from £1.00. Ask in branch or call 0345 600 2200."


def comma(amount: Decimal) -> str:
    return f"{amount:,.2f}"


def high_street(path: Path, rng: random.Random, count: int, family: str) -> list[TruthAccount]:
    """A date and a balance once per day; type codes before the text; amounts on the last line; D for overdrawn."""
    book = keep_books(rng, "en", "GBP", count=count, start=date(2023, 12, 14), overdraft=Decimal(900))
    truth, sheet, moves = TruthAccount(book), Sheet(path, family), book.movements

    def head() -> None:
        sheet.text(40, "Your Current Account details", bold=True, size=13)
        sheet.text(555, f"Sheet Number {180 + sheet.page}", "right")
        sheet.down(30)
        for x, text, align in (
            (40, "Date", "left"),
            (95, "Payment type and details", "left"),
            (400, "Paid out", "right"),
            (475, "Paid in", "right"),
            (555, "Balance", "right"),
        ):
            sheet.text(x, text, align, bold=True)
        sheet.down(14)

    def balance(label: str, amount: Decimal) -> None:
        sheet.text(95, label, bold=True)
        sheet.text(555, overdrawn(amount), "right")
        sheet.down(13)

    def overdrawn(amount: Decimal) -> str:
        return f"{comma(abs(amount))} D" if amount < 0 else comma(amount)

    sheet.text(40, "14 December 2023 to 12 January 2024", bold=True)
    sheet.text(340, f"Account Number {book.account}   Sort code 40-17-22")
    sheet.down(20)
    sheet.text(40, "Account Summary", bold=True)
    for label, amount in (
        ("Opening Balance", overdrawn(book.opening)),
        ("Payments In", comma(book.money_in)),
        ("Payments Out", comma(book.money_out)),
        ("Closing Balance", overdrawn(book.closing)),
    ):
        sheet.down(12)
        sheet.text(40, label)
        sheet.text(240, amount, "right")
    sheet.down(24)
    head()
    sheet.text(40, "14 Dec 23")
    balance("BALANCE BROUGHT FORWARD", book.opening)
    sheet.on_page = head
    for at, move in enumerate(moves):
        before = moves[at - 1].balance if at else book.opening
        sheet.off_page = lambda amount=before: balance("BALANCE CARRIED FORWARD", amount)
        if sheet.need(13 * len(move.texts) + 16):
            balance("BALANCE BROUGHT FORWARD", before)
            fresh = True
        else:
            fresh = False
        if fresh or not same_day(moves, at):
            sheet.text(40, f"{move.day:%d %b %y}")
        code = rng.choice(("VIS", "DD", "SO", "BP")) if move.change < 0 else "CR"
        sheet.text(95, code)
        for number, text in enumerate(move.texts):
            sheet.text(125, text)
            if number + 1 < len(move.texts):
                sheet.down(11)
        sheet.text(475 if move.change > 0 else 400, comma(move.amount), "right")
        shown = ends_day(moves, at)
        if shown:
            sheet.text(555, overdrawn(move.balance), "right")
        sheet.down(13)
        debit, credit = (move.amount, None) if move.change < 0 else (None, move.amount)
        truth.rows.append(
            Truth(sheet.page, move.day, " ".join((code, *move.texts)), debit, credit, move.balance if shown else None)
        )
    balance("BALANCE CARRIED FORWARD", book.closing)
    sheet.down(20)
    sheet.text(40, _ADVERT, size=8)
    sheet.text(40, "Credit interest is 0.00% gross; overdrafts over £25.00 cost 39.9% EAR.", size=8, y=sheet.y + 12)
    sheet.save()
    return [truth]


def app_bank(path: Path, rng: random.Random, count: int, family: str) -> list[TruthAccount]:
    """Two accounts; one signed amount column with the currency in front; a gray line of details below each row."""
    books = [
        keep_books(rng, "en", "GBP", count=count - count // 3, start=date(2024, 2, 1), account="04417783"),
        keep_books(
            rng, "en", "GBP", count=count // 3, start=date(2024, 2, 1), account="90211456", opening=Decimal("25.00")
        ),
    ]
    sheet, truths = Sheet(path, family, size=10), []
    for number, book in enumerate(books):
        if number:
            sheet.on_page = lambda: None
            sheet.turn()
        truths.append(_app_account(sheet, book, rng))
    sheet.save()
    return truths


def _app_account(sheet: Sheet, book, rng: random.Random) -> TruthAccount:
    truth = TruthAccount(book)

    def head() -> None:
        sheet.rule(40, 555)
        sheet.down(4)
        for x, text, align in ((40, "Date", "left"), (120, "Description", "left")):
            sheet.text(x, text, align, gray=0.3)
        sheet.text(470, "(GBP) Amount", "right", gray=0.3)
        sheet.text(555, "(GBP) Balance", "right", gray=0.3)
        sheet.down(18)

    sheet.text(40, "Personal Account statement" if not truth.rows else "", bold=True, size=16)
    sheet.down(24)
    sheet.text(40, f"01/02/2024 - {book.end:%d/%m/%Y}")
    sheet.text(555, f"Account number: {book.account}", "right")
    sheet.down(14)
    sheet.text(555, "Sort code: 04-00-04", "right")
    sheet.text(40, f"£{comma(book.closing)} total balance on {book.end:%d/%m/%Y}", bold=True)
    sheet.down(14)
    sheet.text(40, f"£{comma(book.money_out)} total outgoings     £{comma(book.money_in)} total deposits")
    sheet.down(26)
    head()
    sheet.on_page = head
    for move in book.movements:
        sheet.need(34)
        sheet.text(40, f"{move.day:%d/%m/%Y}")
        sheet.text(120, move.texts[0])
        sheet.text(470, f"{'-' if move.change < 0 else ''}{comma(move.amount)}", "right")
        sheet.text(555, comma(move.balance), "right")
        texts = [move.texts[0]]
        for text in move.texts[1:]:
            sheet.down(12)
            sheet.text(120, text, size=8, gray=0.4)
            texts.append(text)
        sheet.down(22)
        debit, credit = (move.amount, None) if move.change < 0 else (None, move.amount)
        truth.rows.append(Truth(sheet.page, move.day, " ".join(texts), debit, credit, move.balance))
    sheet.down(10)
    sheet.text(40, "Your eligible deposits are protected up to £85,000.00 by the scheme.", size=7, gray=0.4)
    return truth


def sections(path: Path, rng: random.Random, count: int, family: str) -> list[TruthAccount]:
    """Separate tables with totals for deposits and withdrawals, month first without years, no balances in rows."""
    book = keep_books(rng, "us", "USD", count=count, start=date(2024, 3, 5), account="000000812334567")
    truth, sheet = TruthAccount(book), Sheet(path, family, letter=True)
    sheet.text(40, "March 05, 2024 through April 03, 2024", size=10)
    sheet.text(570, f"Account Number: {book.account}", "right", size=10)
    sheet.down(40)
    sheet.text(40, "CHECKING SUMMARY", bold=True, size=12)
    sheet.down(20)
    sheet.text(450, "AMOUNT", "right", bold=True)
    for label, amount in (
        ("Beginning Balance", f"${comma(book.opening)}"),
        ("Deposits and Additions", comma(book.money_in)),
        ("Electronic Withdrawals", f"-{comma(book.money_out)}"),
        ("Ending Balance", f"${comma(book.closing)}"),
    ):
        sheet.down(14)
        sheet.text(40, label)
        sheet.text(450, amount, "right")
    rows = []
    for title, wanted, total in (
        ("DEPOSITS AND ADDITIONS", 1, "Total Deposits and Additions"),
        ("ELECTRONIC WITHDRAWALS", -1, "Total Electronic Withdrawals"),
    ):
        sheet.down(36)
        sheet.need(90)
        sheet.text(40, title, bold=True, size=12)
        sheet.down(20)
        _section_head(sheet)
        sheet.on_page = lambda name=title: _continued(sheet, name)
        moves = [move for move in book.movements if move.change * wanted > 0]
        for number, move in enumerate(moves):
            sheet.need(15)
            sheet.text(40, f"{move.day:%m/%d}")
            sheet.text(100, move.texts[0])
            sheet.text(570, f"{'$' if number == 0 else ''}{comma(move.amount)}", "right")
            sheet.down(15)
            debit, credit = (move.amount, None) if wanted < 0 else (None, move.amount)
            rows.append(Truth(sheet.page, move.day, move.texts[0], debit, credit))
        sheet.rule(40, 570)
        sheet.down(3)
        sheet.text(40, total, bold=True)
        sheet.text(570, f"${comma(book.money_in if wanted > 0 else book.money_out)}", "right", bold=True)
    truth.rows = rows
    sheet.down(40)
    sheet.text(40, "A monthly service fee of $12.00 was not charged, as your balance was above $1,500.00.", size=8)
    sheet.save()
    return [truth]


def _section_head(sheet: Sheet) -> None:
    sheet.text(40, "DATE", bold=True, size=8)
    sheet.text(100, "DESCRIPTION", bold=True, size=8)
    sheet.text(570, "AMOUNT", "right", bold=True, size=8)
    sheet.down(14)


def _continued(sheet: Sheet, title: str) -> None:
    sheet.text(40, f"{title} (continued)", bold=True, size=12)
    sheet.down(20)
    _section_head(sheet)


def credit_card(path: Path, rng: random.Random, count: int, family: str) -> list[TruthAccount]:
    """Two dates without years across new year, month first; repayments have a minus; the balance is owed."""
    book = keep_books(
        rng, "us", "USD", count=count, start=date(2023, 12, 15), opening=Decimal("-412.80"), overdraft=Decimal(90_000)
    )
    truth, sheet = TruthAccount(book), Sheet(path, family, letter=True)
    sheet.text(40, "Cardmember statement", bold=True, size=15)
    sheet.down(26)
    sheet.text(40, "Statement Period 12/15/23 - 01/13/24")
    sheet.text(570, "Account ending in 4 1187", "right")
    for label, amount in (
        ("Previous Balance", -book.opening),
        ("Payments and Credits", -book.money_in),
        ("Purchases and Charges", book.money_out),
        ("New Balance", -book.closing),
    ):
        sheet.down(14)
        sheet.text(40, label)
        sheet.text(260, dollars(amount), "right")
    sheet.down(18)
    sheet.text(40, "Minimum Payment Due $35.00     Payment Due Date 02/08/24")
    sheet.down(34)

    def head() -> None:
        sheet.shade(36, 574, 26)
        for x, upper, lower in ((40, "Trans", "Date"), (90, "Post", "Date")):
            sheet.text(x, upper, bold=True)
            sheet.text(x, lower, bold=True, y=sheet.y + 11)
        sheet.text(140, "Description of Transaction", bold=True, y=sheet.y + 11)
        sheet.text(570, "Amount", "right", bold=True, y=sheet.y + 11)
        sheet.down(32)

    head()
    sheet.on_page = head
    for move in book.movements:
        sheet.need(15)
        sheet.text(40, f"{move.day:%m/%d}")
        sheet.text(90, f"{move.day:%m/%d}")
        sheet.text(140, move.texts[0])
        sheet.text(570, dollars(-move.change), "right")
        sheet.down(15)
        debit, credit = (move.amount, None) if move.change < 0 else (None, move.amount)
        truth.rows.append(Truth(sheet.page, move.day, move.texts[0], debit, credit))
    sheet.down(20)
    sheet.text(40, "2024 totals year to date: fees $0.00, interest $0.00", size=8)
    sheet.save()
    return [truth]


def dollars(amount: Decimal) -> str:
    return f"{'-' if amount < 0 else ''}${comma(abs(amount))}"
