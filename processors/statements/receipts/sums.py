"""The total of a receipt: the amount to which the amounts before it add up. Pure.

The lines are read as a running sum: each amount is added to the sum, or is equal to it. All such interpretations are
tried; if several work, other evidence for the last sum (cash less change, a payment, the word beside it) decides.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal

from processors.statements.receipts.amounts import PricedLine

_MOST_STATES = 4000
_MOST_STARTS = 8  # lines with amounts above the items: a capital, a table number
_SCORES = {
    "total": 4.0,
    "subtotal": 0.0,
    "net": 0.0,
    "tax": -4.0,
    "payment": -1.5,
    "change": -4.0,
    "tip": -2.0,
    "quantity": -2.0,
}
_PENALTIES = {"total": 4.0, "subtotal": 4.0, "net": 4.0, "payment": 2.5, "change": 4.0}  # for adding such a line
_SKIPPED = ("information", "quantity", "tax", "subtotal", "net")  # lines that need not be part of the sum
_SKIP_COST = 0.3
_LEAST_SCORE = 1.0
_LEAST_ITEMS = 2  # above a breakdown of the total
_MOST_ITEMS = 99  # a whole number up to this may be the number of items
_MOST_PARTS = 5  # of a breakdown


@dataclass(frozen=True)
class Sums:
    """One way to read the lines as a running sum."""

    start: int  # the first line that belongs to the sum
    total_at: int  # the line of the total
    first_sum_at: int  # the line of the first sum: the end of the items
    added: tuple[int, ...]  # the lines that are added
    signs: tuple[int, ...]  # -1: a discount printed without a minus
    passed: tuple[int, ...]  # the lines in between that are not part of the sum
    confirmed_by: tuple[str, ...]
    score: float


def find_sums(lines: Sequence[PricedLine]) -> Sums | None:
    """The best interpretation of the lines as a running sum; None if there is none."""
    best: Sums | None = None
    for start in range(min(len(lines), _MOST_STARTS)):
        for added, signs, sums in _walk(lines, start):
            one = _judge(lines, start, added, signs, sums)
            if best is None or one.score > best.score:
                best = one
    return best if best and best.score >= _LEAST_SCORE else None


def find_labelled_total(lines: Sequence[PricedLine]) -> int | None:
    """The line that its words, or a payment, identify as the total, although nothing adds up to it."""
    named = [at for at, line in enumerate(lines) if line.role == "total" and line.price > 0]
    confirmed = [at for at in named if confirmations(lines, at)]
    if confirmed or named:
        return (confirmed or named)[0]
    paid = [at for at, line in enumerate(lines) if at and line.price > 0 and find_cash(lines, at)]
    repeated = [at for at, line in enumerate(lines) if line.role == "payment" and _is_only_item(lines[:at], line)]
    return next(iter(paid or repeated), None)


def _is_only_item(before: Sequence[PricedLine], payment: PricedLine) -> bool:
    """True if a single item precedes the payment and costs as much: a parking fee, a fare."""
    items = [line.price for line in before if line.role is None]
    return items == [payment.price]


def confirmations(lines: Sequence[PricedLine], total_at: int) -> list[str]:
    """The evidence for the total in the lines after it."""
    found = []
    total = lines[total_at].price
    if find_cash(lines, total_at):
        found.append("cash less change")
    later = [line for line in lines[total_at + 1 :] if line.price == total and line.role in (None, "payment")]
    if later:
        found.append("the payment")
    return found


def find_cash(lines: Sequence[PricedLine], total_at: int) -> tuple[Decimal, Decimal] | None:
    """Cash and change after the total, by their difference."""
    total, later = lines[total_at].price, lines[total_at + 1 :]
    for at, cash in enumerate(later):
        for change in later[at + 1 : at + 3]:
            if cash.price > total and cash.price - abs(change.price) == total and change.role != "tax":
                return cash.price, abs(change.price)
    return None


# the next line, the sum so far, the lines added, their signs, and the lines that are sums
_State = tuple[int, Decimal, tuple[int, ...], tuple[int, ...], tuple[int, ...]]


def _walk(
    lines: Sequence[PricedLine], start: int
) -> Iterator[tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]]:
    """All running sums from `start`: the lines added, their signs, and the lines that are sums, the last one last."""
    states: list[_State] = [(start, Decimal(0), (), (), ())]
    visited = 0
    while states and visited < _MOST_STATES:
        at, running, added, signs, sums = states.pop()
        visited += 1
        if at == len(lines):
            continue
        line = lines[at]
        has_tax = any(lines[other].role == "tax" for other in added)
        is_skipped = line.role in _SKIPPED and at > start and not (line.role == "tax" and has_tax)
        if is_skipped or _repeats_discounts(line, [lines[other] for other in added]):
            states.append((at + 1, running, added, signs, sums))
        if line.role == "information" or (line.role == "tax" and _is_left_out(lines, start, at, added)):
            continue
        for sign in _possible_signs(line, signs, [lines[other] for other in added]):
            states.append((at + 1, running + sign * line.price, (*added, at), (*signs, sign), sums))
        if after_breakdown := _end_of_breakdown(lines, at, running, added):
            states.append((after_breakdown, running, added, signs, sums))
        if added and line.price == running and running > 0:
            after = (*sums, at)
            yield added, signs, after
            states.append((at + 1, running, added, signs, after))


def _penalty(line: PricedLine) -> float:
    """For adding a line that is a sum itself."""
    return 0.0 if line.role is None or _is_fee(line) else _PENALTIES.get(line.role, 0.0)


def _judge(
    lines: Sequence[PricedLine], start: int, added: tuple[int, ...], signs: tuple[int, ...], sums: tuple[int, ...]
) -> Sums:
    total = lines[sums[-1]].price
    alike = [at for at in sums if lines[at].price == total and at > added[-1]]
    total_at = next((at for at in alike if lines[at].role == "total"), alike[0])
    role = lines[total_at].role
    score = 0.0 if role is None else _SCORES.get(role, -1.0)
    score -= sum(_penalty(lines[at]) for at in added)
    score -= sum(lines[at].role is None for at in sums if lines[at].price != total)  # an item that is not a sum
    passed = set(range(start, sums[-1])) - {*added, *sums}
    score -= _SKIP_COST * len(passed)
    score += min(len(added), 6) * 0.5 - 0.5 * start + (0.3 if len(added) > 1 else 0.0)
    confirmed_by = confirmations(lines, total_at)
    score += 2.0 * ("cash less change" in confirmed_by) + 1.0 * ("the payment" in confirmed_by)
    if any(line.role == "total" and abs(line.price) > total for line in lines[total_at + 1 :]):
        score -= 2.0
    if len(added) > 1:
        confirmed_by.insert(0, "the items")
    elif lines[total_at].role == "total":
        confirmed_by.insert(0, "the item and the word beside the total")
    return Sums(start, total_at, sums[0], added, signs, tuple(sorted(passed)), tuple(confirmed_by), score)


def _end_of_breakdown(lines: Sequence[PricedLine], at: int, running: Decimal, added: Sequence[int]) -> int | None:
    """The line of the total after lines that divide it, for example by tax, and perhaps after the number of items."""
    if len(added) < _LEAST_ITEMS or lines[at].price <= 0:
        return None
    for start in (at, at + 1) if lines[at].price <= _MOST_ITEMS and lines[at].price % 1 == 0 else (at,):
        for end in range(start + 2, min(start + _MOST_PARTS, len(lines) - 1) + 1):
            parts = [line.price for line in lines[start:end]]
            if min(parts) > 0 and sum(parts) == running == lines[end].price:
                return end
    return None


def _repeats_discounts(line: PricedLine, added: Sequence[PricedLine]) -> bool:
    """True for a sum of the discounts that were subtracted where they are printed, whatever the word beside it."""
    discounts = [abs(other.price) for other in added if other.price < 0]
    is_repeated = line.role == "discount" or (line.role is None and len(discounts) > 1)
    return is_repeated and bool(discounts) and sum(discounts) == abs(line.price)


def _is_left_out(lines: Sequence[PricedLine], start: int, at: int, added: Sequence[int]) -> bool:
    """True if a tax before line `at` is not part of the sum: either all taxes are part of it, or none."""
    return any(lines[other].role == "tax" and other not in added for other in range(start, at))


def _possible_signs(line: PricedLine, signs: Sequence[int], added: Sequence[PricedLine]) -> Sequence[int]:
    """The possible signs of an amount. A discount may be printed without its minus, but then all discounts of the
    receipt are."""
    if line.role != "discount" or line.price <= 0:
        return (1,)
    known = [sign for sign, other in zip(signs, added, strict=True) if other.role == "discount" and other.price > 0]
    return known[:1] or (1, -1)


def _is_fee(line: PricedLine) -> bool:
    return line.role == "payment" and any(char == "%" for char in line.text)
