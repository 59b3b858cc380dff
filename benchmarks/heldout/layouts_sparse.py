"""Held-out layouts that print little to verify a row with: no running balance, at most totals."""

import random
from datetime import date
from pathlib import Path

from benchmarks.heldout.layouts_later import comma, row_of
from benchmarks.heldout.ledger import Ledger, TruthAccount, ends_day, keep_books
from benchmarks.heldout.sheet import Sheet


def bare_list(path: Path, rng: random.Random, count: int, family: str) -> list[TruthAccount]:
    """The printout of an internet bank: In before Out, newest first, no balances and no totals."""
    book = keep_books(rng, "en", "GBP", count=count, start=date(2024, 3, 1))
    truth, sheet = TruthAccount(book), Sheet(path, family, size=10)

    def head() -> None:
        for x, text, align in (
            (40, "Date", "left"),
            (120, "Description", "left"),
            (460, "In", "right"),
            (555, "Out", "right"),
        ):
            sheet.text(x, text, align, bold=True)
        sheet.down(16)

    sheet.text(40, f"Transactions of account {book.account}", bold=True, size=13)
    sheet.down(20)
    sheet.text(40, f"{book.start:%d/%m/%Y} to {book.end:%d/%m/%Y}")
    sheet.down(24)
    head()
    sheet.on_page = head
    for move in reversed(book.movements):
        sheet.need(16)
        text = " ".join(move.texts)
        sheet.text(40, f"{move.day:%d/%m/%Y}")
        sheet.text(120, text)
        sheet.text(460 if move.change > 0 else 555, comma(move.amount), "right")
        truth.rows.append(row_of(sheet, move))
        sheet.down(15)
    truth.rows.reverse()
    sheet.save()
    return [truth]


def typed_list(path: Path, rng: random.Random, count: int, family: str) -> list[TruthAccount]:
    """Unsigned amounts; a word in a separate column marks debit or credit; the only balance is the closing one."""
    book = keep_books(rng, "us", "USD", count=count, start=date(2024, 5, 1), account="4410077231")
    truth, sheet = TruthAccount(book), Sheet(path, family, letter=True)

    def head() -> None:
        for x, text, align in (
            (40, "Posted", "left"),
            (110, "Type", "left"),
            (170, "Payee", "left"),
            (570, "Amount", "right"),
        ):
            sheet.text(x, text, align, bold=True)
        sheet.down(15)

    sheet.text(40, "Account activity", bold=True, size=13)
    sheet.down(20)
    sheet.text(40, f"Account {book.account}    {book.start:%m/%d/%Y} through {book.end:%m/%d/%Y}")
    sheet.down(14)
    sheet.text(40, f"Balance on {book.end:%m/%d/%Y}: ${comma(book.closing)}")
    sheet.down(24)
    head()
    sheet.on_page = head
    for move in book.movements:
        sheet.need(16)
        kind = "Credit" if move.change > 0 else "Debit"
        sheet.text(40, f"{move.day:%m/%d/%Y}")
        sheet.text(110, kind)
        sheet.text(170, " ".join(move.texts))
        sheet.text(570, f"${comma(move.amount)}", "right")
        truth.rows.append(row_of(sheet, move, None, (kind,)))
        sheet.down(14)
    sheet.save()
    return [truth]


def business(path: Path, rng: random.Random, count: int, family: str) -> list[TruthAccount]:
    """Sections with a total each, checks in two columns side by side, then a table of daily balances."""
    book = keep_books(rng, "business", "USD", count=count, start=date(2024, 2, 1), account="7700314425", days=29)
    truth, sheet = TruthAccount(book), Sheet(path, family, letter=True)
    moves = book.movements
    checks = [move for at, move in enumerate(moves) if move.change < 0 and at % 3 == 0]
    others = [move for move in moves if move.change < 0 and not any(move is one for one in checks)]

    def title(text: str, *heads: tuple[float, str, str]) -> None:
        sheet.down(12)
        sheet.need(60)
        sheet.text(40, text, bold=True, size=11)
        sheet.down(16)
        for x, name, align in heads:
            sheet.text(x, name, align)
        sheet.down(13)

    def section(name: str, total: str, chosen: list) -> None:
        title(name, (40, "Date", "left"), (100, "Description", "left"), (570, "Amount", "right"))
        for move in chosen:
            sheet.need(14)
            sheet.text(40, f"{move.day:%m/%d}")
            sheet.text(100, " ".join(move.texts))
            sheet.text(570, comma(move.amount), "right")
            truth.rows.append(row_of(sheet, move))
            sheet.down(13)
        sheet.text(40, total, bold=True)
        sheet.text(570, f"${comma(sum(one.amount for one in chosen))}", "right", bold=True)
        sheet.down(14)

    _summarize(sheet, book, sum(one.amount for one in checks), sum(one.amount for one in others))
    section("Deposits and Other Credits", "Total deposits and other credits", [one for one in moves if one.change > 0])
    title("Checks Paid", *_CHECK_HEADS)
    for at in range(0, len(checks), 2):
        sheet.need(14)
        for (number, move), left in zip(enumerate(checks[at : at + 2], at), (0, 290), strict=False):
            sheet.text(40 + left, str(1041 + number))
            sheet.text(100 + left, f"{move.day:%m/%d}")
            sheet.text(270 + left, comma(move.amount), "right")
            drawn = row_of(sheet, move)
            truth.rows.append(type(drawn)(drawn.page, drawn.day, str(1041 + number), drawn.debit, None))
        sheet.down(13)
    sheet.text(40, "Total checks paid", bold=True)
    sheet.text(560, f"${comma(sum(one.amount for one in checks))}", "right", bold=True)
    sheet.down(14)
    section("Electronic Withdrawals", "Total electronic withdrawals", others)
    title("Daily Ending Balance", (40, "Date", "left"), (200, "Balance", "right"))
    for at, move in enumerate(moves):
        if ends_day(moves, at):
            sheet.need(14)
            sheet.text(40, f"{move.day:%m/%d}")
            sheet.text(200, comma(move.balance), "right")
            sheet.down(13)
    sheet.save()
    return [truth]


_CHECK_HEADS = tuple(
    (x + left, name, align)
    for left in (0, 290)
    for x, name, align in ((40, "Check No.", "left"), (100, "Date", "left"), (270, "Amount", "right"))
)


def _summarize(sheet: Sheet, book: Ledger, checks: object, others: object) -> None:
    sheet.text(40, "Business Complete Checking", bold=True, size=14)
    sheet.text(570, f"Account Number {book.account}", "right")
    sheet.down(20)
    sheet.text(40, f"February 1, 2024 through February {book.end.day}, 2024")
    for name, amount in (
        ("Beginning Balance", f"${comma(book.opening)}"),
        ("Deposits and Other Credits", comma(book.money_in)),
        ("Checks Paid", f"-{comma(checks)}"),
        ("Electronic Withdrawals", f"-{comma(others)}"),
        ("Ending Balance", f"${comma(book.closing)}"),
    ):
        sheet.down(13)
        sheet.text(40, name)
        sheet.text(300, amount, "right")
    sheet.down(16)
