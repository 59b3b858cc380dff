"""The conventions that a document's rows prove, and those that are known from its layout. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from typing import Literal

from processors.statements.notation.dates import DateOrder, PrintedDate
from processors.statements.notation.debit_credit import RowAmounts

_LEAST_UNMARKED = 3  # amounts without a sign, all of one direction; fewer show no rule


@dataclass(frozen=True, kw_only=True)
class Conventions:
    """None: not known. A known convention decides only what the rows of a document leave open."""

    date_order: DateOrder | None = None  # of dates that are numbers
    newest_first: bool | None = None
    unmarked: Literal[-1, 1] | None = None  # direction of an amount without a sign, where others have one
    is_card: bool | None = (
        None  # a card, whose purchases are positive; None: its amounts have columns for each direction
    )

    def agrees(self, other: "Conventions") -> bool:
        """True if both agree on everything that both know and that changes a value; the order of rows does not
        matter."""
        names = [each.name for each in fields(self) if each.name != "newest_first"]
        pairs = [(getattr(self, name), getattr(other, name)) for name in names]
        return all(a is None or b is None or a == b for a, b in pairs)

    def completed_by(self, other: "Conventions") -> "Conventions":
        """These conventions, and those that only `other` knows."""
        own = {each.name: getattr(self, each.name) for each in fields(self)}
        return Conventions(**{name: getattr(other, name) if value is None else value for name, value in own.items()})


def find_conventions(
    dates: Iterable[PrintedDate | None],
    amounts: Iterable[RowAmounts],
    order: DateOrder,
    *,
    newest_first: bool | None,
    is_card: bool,
) -> Conventions:
    """What the rows of one account prove. `order`, `is_card`: how the rows were read."""
    is_proven = any(each and each.pair and max(each.pair) > 12 for each in dates)
    single = [row for row in amounts if row.amount and row.amount.value and not row.section]
    return Conventions(
        date_order=order if is_proven else None,
        newest_first=newest_first,
        unmarked=_find_unmarked(single),
        is_card=is_card if single else None,
    )


def join_conventions(found: Sequence[Conventions]) -> Conventions:
    """What the accounts of one document prove together: nothing if they contradict one another."""
    joined = Conventions()
    for each in found:
        if not joined.agrees(each):
            return Conventions()
        joined = joined.completed_by(each)
    return joined


def _find_unmarked(single: Sequence[RowAmounts]) -> Literal[-1, 1] | None:
    unmarked = [row.direction for row in single if row.amount and not row.amount.sign and not row.amount.side]
    if len(unmarked) == len(single) or len(unmarked) < _LEAST_UNMARKED:
        return None
    return 1 if set(unmarked) == {1} else -1 if set(unmarked) == {-1} else None
