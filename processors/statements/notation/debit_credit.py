"""Debit or credit: by the column of an amount, its sign or letters, a heading, or the change of the balance. Pure."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from processors.statements.notation.amounts import Amount

_MOST_OPEN = 10  # rows of unknown direction between two balances, all combinations of which are tried


@dataclass
class RowAmounts:
    """A row's amounts. `direction` is +1 for money in, -1 for money out, 0 if unknown."""

    debit: Amount | None = None
    credit: Amount | None = None
    amount: Amount | None = None
    section: str | None = None
    balance: Decimal | None = None
    direction: int = 0

    @property
    def value(self) -> Decimal:
        return next((each.value for each in (self.debit, self.credit, self.amount) if each and each.value), Decimal(0))

    @property
    def change(self) -> Decimal:
        return self.direction * self.value


def set_directions(
    rows: Sequence[RowAmounts],
    opening: Decimal | None,
    closing: Decimal | None = None,
    *,
    is_card: bool,
    unmarked: int | None = None,
    owes_negative: bool = False,
    are_named: bool = False,
) -> bool:
    """Set every direction that can be determined; return True if the account is a liability (a card, a loan).

    The balance of a liability is the amount owed: it rises with each debit.

    unmarked: the direction of amounts without a sign in earlier documents, which applies where nothing is marked.
    owes_negative: the card prints what is owed with a minus, and so its purchases.
    are_named: headings name the columns of debits and credits, so that balances need not tell one from the other.
    """
    _forget_credits_without_minus(rows)
    usual = _conventions(rows, is_card)
    meanings = (unmarked,) if unmarked and usual == (0,) else usual
    conventions = [(meaning, liability, is_card) for meaning in meanings for liability in (is_card, False)]
    has_letters = any(row.amount and row.amount.side for row in rows)  # "CR" is money in, also on a liability
    if is_card or has_letters:  # a minus is money in on most cards, money out on some
        conventions += [(meaning, True, False) for meaning in meanings]
    if is_card:
        conventions.append((1, False, False))  # balances may prove that it is not a card
    if are_named and any(row.debit or row.credit for row in rows):  # a loan or store account, whatever its name
        conventions.append((usual[0], True, is_card))
    if is_card and _has_plus_only(rows):  # "12.00+" is a payment, even if no balance proves it
        conventions.insert(0, (-1, True, False))
    if is_card and _are_mostly_minus(rows):  # as on other accounts, whose statement may only mention a card
        conventions.insert(0, (1, False, False))
    if owes_negative:
        conventions = [(1, True, False)]
    meaning, is_liability, minus_is_in = max(
        conventions, key=lambda each: _count_explained(rows, opening, closing, *each)
    )
    for row in rows:
        row.direction = _direction(row, meaning, minus_is_in=minus_is_in)
    _solve_by_balances(rows, opening, -1 if is_liability else 1)
    return is_liability


def _are_mostly_minus(rows: Sequence[RowAmounts]) -> bool:
    amounts = [row.amount for row in rows if row.amount]
    return 2 * sum(each.sign == "-" for each in amounts) > len(amounts)


def _has_plus_only(rows: Sequence[RowAmounts]) -> bool:
    """True if a few amounts have a plus, and none has a minus."""
    signs = [row.amount.sign for row in rows if row.amount]
    return "-" not in signs and 0 < 2 * signs.count("+") < len(signs)


def _forget_credits_without_minus(rows: Sequence[RowAmounts]) -> None:
    """If rows below a heading of credits have a minus, rows without one belong to another heading."""
    if are_credits_marked(rows):
        for row in rows:
            if row.section == "credits" and row.amount and not row.amount.sign:
                row.section = None


def are_credits_marked(rows: Sequence[RowAmounts]) -> bool:
    """True if the first rows below a heading of credits have a minus, and no row after the first one without it has
    one.

    On other accounts, a single row among the credits has a minus, such as a deposit that was returned.
    """
    marks = [row.amount.sign == "-" for row in rows if row.section == "credits" and row.amount]
    return bool(marks) and marks[0] and marks == sorted(marks, reverse=True)


def _conventions(rows: Sequence[RowAmounts], is_card: bool) -> tuple[int, ...]:
    """The possible meanings of an unmarked amount in a column of debits and credits, the most likely first."""
    amounts = [each.amount for each in rows if each.amount]
    if any(each.sign == "-" or each.side == "debit" for each in amounts):
        return (-1, 1) if is_card else (1, -1)
    if is_card or any(each.side == "credit" or each.sign == "+" for each in amounts):
        return (-1, 1)
    return (0,)


def _count_explained(
    rows: Sequence[RowAmounts],
    opening: Decimal | None,
    closing: Decimal | None,
    unmarked: int,
    liability: bool,
    minus_is_in: bool,
) -> int:
    """The number of printed balances that follow from the balance before."""
    factor = -1 if liability else 1
    fits, balance = 0, opening
    for row in rows:
        if balance is not None:
            balance += factor * _direction(row, unmarked, minus_is_in=minus_is_in) * row.value
        if row.balance is not None:
            fits += balance == row.balance
            balance = row.balance
    return fits + (balance is not None and balance == closing)


def _direction(row: RowAmounts, unmarked: int, *, minus_is_in: bool) -> int:
    if row.debit and row.debit.value:
        return -1
    if row.credit and row.credit.value:
        return 1
    amount = row.amount
    if amount is None:
        return 0
    if amount.side:
        return 1 if amount.side == "credit" else -1
    if amount.sign:
        return (1 if amount.sign == "+" else -1) * (-1 if minus_is_in else 1)
    if row.section:
        return 1 if row.section == "credits" else -1
    return unmarked


def _solve_by_balances(rows: Sequence[RowAmounts], opening: Decimal | None, factor: int) -> None:
    """Set unknown directions between two balances if only one combination explains the second."""
    balance, between = opening, []
    for row in rows:
        between.append(row)
        if row.balance is None:
            continue
        unknown = [each for each in between if each.direction == 0 and each.value]
        if balance is not None and 0 < len(unknown) <= _MOST_OPEN:
            rest = factor * (row.balance - balance) - sum(each.change for each in between)
            found = [signs for signs in itertools.product((-1, 1), repeat=len(unknown)) if _sum(signs, unknown) == rest]
            if len(found) == 1:
                for each, sign in zip(unknown, found[0], strict=True):
                    each.direction = sign
        balance, between = row.balance, []


def _sum(signs: Sequence[int], rows: Sequence[RowAmounts]) -> Decimal:
    return sum((sign * each.value for sign, each in zip(signs, rows, strict=True)), Decimal(0))
