"""Lines that print the balance so far in the column of amounts, such as "SALDO 02.01. 2.657,61+" below each day. Pure.

Each is found by its amount, to which the rows before it add up, so that no word has to be known.
"""

import re
from collections.abc import Sequence
from decimal import Decimal

from processors.statements.account.subtotals import Item, as_figure, single_amount
from processors.statements.notation.amounts import Amount, parse_amount
from processors.statements.notation.decimal_mark import DecimalMark
from processors.statements.notation.keywords import normalize
from processors.statements.table.raw import RawRow

_LEAST = 3  # balances after the first one; fewer may agree by chance
_MOST_STARTS = 8  # rows that are tried as the first balance
_CHANGES = 2  # rows between at least one pair of balances; otherwise, each row may be the change to the next
_FOLDED = str.maketrans({"0": "o", "1": "l", "5": "s"})  # letters that OCR mistakes for digits


def take_running_balances(items: Sequence[Item], mark: DecimalMark) -> list[Item]:
    """The items, in which each row that is a balance becomes a printed balance, if the signs of the other rows prove
    it."""
    amounts = [_amount(item, mark) for item in items]
    if not _are_signed(items, amounts):
        return list(items)
    starts = [(at, amount) for at, amount in enumerate(amounts) if amount][:_MOST_STARTS]
    chains = [_follow(items, amounts, at, first) for at, first in starts]
    best = max(chains, key=len, default=[])
    gaps = [b - a for a, b in zip(best, best[1:], strict=False)]
    if len(best) <= _LEAST or not any(gap > _CHANGES for gap in gaps):
        return list(items)
    texts = {_letters(items[at]) for at in best} - {""}
    rows = [at for at, item in enumerate(items) if isinstance(item, RawRow)]
    found = {at for at in rows if at in best or _letters(items[at]) in texts}
    return [
        as_figure(item, "opening" if at == 0 else "carried") if at in found else item for at, item in enumerate(items)
    ]


def _amount(item: Item, mark: DecimalMark) -> Amount | None:
    """The amount of a row, or of a balance that is already recognized."""
    if isinstance(item, RawRow):
        return single_amount(item, mark)
    texts = list(item.money.values()) if item.name in ("opening", "carried", "closing") else []
    return parse_amount(texts[0], mark) if len(texts) == 1 else None


def _are_signed(items: Sequence[Item], amounts: Sequence[Amount | None]) -> bool:
    """True if the rows have one amount each, with the direction of each printed."""
    rows = [(item, amount) for item, amount in zip(items, amounts, strict=True) if isinstance(item, RawRow)]
    return bool(rows) and all(amount and (amount.sign or amount.side or item.section) for item, amount in rows)


def _follow(items: Sequence[Item], amounts: Sequence[Amount | None], start: int, first: Amount) -> list[int]:
    """The positions of the balances from `start` on, which is `first`; the rows since the previous balance add up to
    each."""
    found, balance, has_changed = [start], first.signed, False
    last = max(at for at, amount in enumerate(amounts) if amount)
    for at in range(start + 1, len(items)):
        item, amount = items[at], amounts[at]
        if not amount:
            continue
        is_repeated = at == last and len(found) > 1  # the closing balance below that of the last day
        if (has_changed or is_repeated) and amount.signed == balance:
            found.append(at)
            has_changed = False
        elif isinstance(item, RawRow):
            balance += _change(item, amount)
            has_changed = True
        else:
            balance, has_changed = amount.signed, False
    return found


def _change(item: RawRow, amount: Amount) -> Decimal:
    if amount.sign or amount.side:
        return amount.signed
    return -amount.value if item.section == "debits" else amount.value


def _letters(item: Item) -> str:
    """The text of a row without dates and numbers."""
    words = normalize(" ".join([*item.text, *item.reference])).split() if isinstance(item, RawRow) else []
    return " ".join(word.translate(_FOLDED) for word in words if re.search(r"[^\W\d]", word))
