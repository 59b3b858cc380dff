"""Which way each amount went: by its column, its sign or letters, a heading, or the balance's change. Pure."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from processors.statements.amounts import Amount

_MOST_OPEN = 10  # rows without a direction between two balances that are tried in all combinations


@dataclass
class Movement:
    """A row's amounts. `direction` is +1 for money in, -1 for money out, 0 if not known."""

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


def decide(movements: Sequence[Movement], opening: Decimal | None, *, is_card: bool) -> bool:
    """Set the direction of every movement that can be told; True if the account is a liability (a card, a loan).

    A liability's balance is what is owed: it rises with each debit.
    """
    conventions = [(unmarked, liability) for unmarked in _likely(movements, is_card) for liability in (is_card, False)]
    best = max(conventions, key=lambda each: _fits(movements, opening, *each, is_card=is_card))
    unmarked, is_liability = best
    for movement in movements:
        movement.direction = _direction(movement, unmarked, is_card=is_card)
    _solve(movements, opening, -1 if is_liability else 1)
    return is_liability


def _likely(movements: Sequence[Movement], is_card: bool) -> tuple[int, ...]:
    """What an unmarked amount in a column of both kinds may mean, likeliest first."""
    amounts = [each.amount for each in movements if each.amount]
    if any(each.sign == "-" or each.side == "debit" for each in amounts):
        return (-1, 1) if is_card else (1, -1)
    if is_card or any(each.side == "credit" or each.sign == "+" for each in amounts):
        return (-1, 1)
    return (0,)


def _fits(
    movements: Sequence[Movement], opening: Decimal | None, unmarked: int, liability: bool, *, is_card: bool
) -> int:
    """How many printed balances follow from the one before."""
    factor = -1 if liability else 1
    fits, balance = 0, opening
    for movement in movements:
        if balance is not None:
            balance += factor * _direction(movement, unmarked, is_card=is_card) * movement.value
        if movement.balance is not None:
            fits += balance == movement.balance
            balance = movement.balance
    return fits


def _direction(movement: Movement, unmarked: int, *, is_card: bool) -> int:
    if movement.debit and movement.debit.value:
        return -1
    if movement.credit and movement.credit.value:
        return 1
    amount = movement.amount
    if amount is None:
        return 0
    if amount.side:
        return 1 if amount.side == "credit" else -1
    if amount.sign:
        return (1 if amount.sign == "+" else -1) * (-1 if is_card else 1)
    if movement.section:
        return 1 if movement.section == "credits" else -1
    return unmarked


def _solve(movements: Sequence[Movement], opening: Decimal | None, factor: int) -> None:
    """Give directions to what has none between two balances, if only one combination explains the second."""
    balance, between = opening, []
    for movement in movements:
        between.append(movement)
        if movement.balance is None:
            continue
        unknown = [each for each in between if each.direction == 0 and each.value]
        if balance is not None and 0 < len(unknown) <= _MOST_OPEN:
            rest = factor * (movement.balance - balance) - sum(each.change for each in between)
            found = [signs for signs in itertools.product((-1, 1), repeat=len(unknown)) if _sum(signs, unknown) == rest]
            if len(found) == 1:
                for each, sign in zip(unknown, found[0], strict=True):
                    each.direction = sign
        balance, between = movement.balance, []


def _sum(signs: Sequence[int], movements: Sequence[Movement]) -> Decimal:
    return sum((sign * each.value for sign, each in zip(signs, movements, strict=True)), Decimal(0))
