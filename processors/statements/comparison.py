"""Two readings of the same pages, row by row. Flags what differs, tells what only the second has; changes no value."""

from collections.abc import Iterator, Mapping, Sequence
from difflib import SequenceMatcher
from typing import Any

from processors.statements.records import Check, Document, Row, Unread

Pair = tuple[Row | None, Row | None]  # of the first reading, of the second; one may be missing

_LEAST_ALIKE = 0.5  # of a page's rows: if fewer are, the second reading went wrong and says nothing about the first
_NAMES = {"date": "the date", "debit": "the debit", "credit": "the credit", "balance": "the balance"}


def compare(document: Document, other: Document, by: Mapping[int, str]) -> None:
    """Hold rows against those of another reading of the same file; to be called before `check`.

    `by`: the pages that were read again, each with what read it, in words.
    """
    for page, reader in by.items():
        own = [row for row in document.rows if row.page == page]
        pairs = _align(own, [row for row in other.rows if row.page == page])
        alike = sum(_differences(one, another) == [] for one, another in pairs)
        if alike < _LEAST_ALIKE * len(own):
            document.notes.append(f"page {page} was read again ({reader}), with too little success to compare")
            continue
        for number, (one, another) in enumerate(pairs):
            if one is None:
                text = " ".join(filter(None, [str(another.date), another.description, *_amounts(another)]))
                why = f"a row that only another reading of the page has ({reader})"
                document.unread.append(Unread(page, text, why))
                for neighbour, _ in (*pairs[max(0, number - 1) : number], *pairs[number + 1 : number + 2]):
                    if neighbour:
                        neighbour.missing_beside = True
            else:
                differences = _differences(one, another)
                one.confirmed = not differences
                if differences:
                    one.flags.append(f"another reading of it ({reader}) {' and '.join(differences)}")
    for statement in document.statements:
        compared = [row for row in statement.rows if row.confirmed is not None]
        if compared:
            same = sum(bool(row.confirmed) for row in compared)
            text = f"{same} of {len(compared)} rows that were read twice are the same"
            statement.second_reading = Check("second reading", same == len(compared), text)


def _differences(one: Row | None, another: Row | None) -> list[str]:
    """What the second has otherwise, in words."""
    if one is None or another is None:
        return ["does not have it"]
    found = []
    for name, words in _NAMES.items():
        theirs = getattr(another, name)
        if getattr(one, name) != theirs:
            found.append(f"lacks {words}" if theirs is None else f"has {words} {theirs}")
    return found


def _amounts(row: Row) -> list[str]:
    return [f"{name} {value}" for name in ("debit", "credit", "balance") if (value := getattr(row, name)) is not None]


def _align(own: Sequence[Row], theirs: Sequence[Row]) -> list[Pair]:
    """Pairs in order: rows alike in all, then, between these, in the amount, then in the text; the rest by place."""
    return list(_pair(own, theirs, (_values, lambda row: row.change, lambda row: row.description.casefold())))


def _values(row: Row) -> tuple[Any, ...]:
    return tuple(getattr(row, name) for name in _NAMES)


def _pair(own: Sequence[Row], theirs: Sequence[Row], keys: Sequence[Any]) -> Iterator[Pair]:
    if not keys:
        if len(own) == len(theirs):
            yield from zip(own, theirs, strict=True)
        else:
            yield from ((row, None) for row in own)
            yield from ((None, row) for row in theirs)
        return
    key, *further = keys
    matcher = SequenceMatcher(None, [key(row) for row in own], [key(row) for row in theirs], autojunk=False)
    for tag, start, end, other_start, other_end in matcher.get_opcodes():
        if tag == "equal":
            yield from zip(own[start:end], theirs[other_start:other_end], strict=True)
        else:
            yield from _pair(own[start:end], theirs[other_start:other_end], further)
