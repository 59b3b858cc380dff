"""The items of receipts and the lines of invoices, as people correct them: changed, confirmed, added, removed. Pure."""

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol, TypeVar

from processors.corrections.changes import InvalidChange, ItemChange, set_values
from processors.corrections.fields import Types, shown


class _Item(Protocol):
    confidence: float


L = TypeVar("L", bound=_Item)
_MOST = 10_000


def correct(items: Sequence[L], changes: Sequence[ItemChange], types: Types, new: Callable[[], L]) -> list[L]:
    """The items with the changes. Their numbers are those of `items`; the others keep theirs if one is removed.

    types: of the values; an item needs its description, the first one, and its amount, the last one.

    Raises:
        InvalidChange: there is no such item, or no such value of it.
    """
    found, removed = list(items), set()
    for change in changes:
        if change.item > min(len(found), _MOST) + 1 or (change.values is None and change.item > len(found)):
            raise InvalidChange(f"There is no item {change.item}; the last one is {len(found)}.")
        if change.values is None:
            removed.add(change.item)
            continue
        needed = (list(types)[0], list(types)[-1])
        if change.item > len(found):
            if lacking := [name for name in needed if not change.values.get(name)]:
                raise InvalidChange(f"A new item needs its {lacking[0]}.")
            found.append(new())
        removed.discard(change.item)
        item = found[change.item - 1]
        set_values(item, change.values, types)
        if lacking := [name for name in needed if getattr(item, name) in (None, "")]:
            raise InvalidChange(f"Item {change.item} needs its {shown(lacking[0])}.")
        item.confidence = 1.0
    return [item for number, item in enumerate(found, 1) if number not in removed]


def numbers(count: int, changes: Iterable[tuple[int, bool]]) -> list[int]:
    """The numbers of the `count` items of a corrected document.

    changes: the number of each changed item, and whether it was removed; in order.
    """
    is_removed = dict(changes)
    found: list[int] = []
    number = 0
    while len(found) < count:
        number += 1
        if not is_removed.get(number):
            found.append(number)
    return found
