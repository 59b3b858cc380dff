"""The headings of a table's columns: a row of known words, or repeated cells for tables side by side. Pure."""

import functools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

from processors.statements.notation import currencies
from processors.statements.notation.keywords import Column, match_column, normalize
from processors.statements.notation.words import PageWord, TextLine, join_words, split_cells

MONEY: frozenset[Column] = frozenset({"debit", "credit", "amount", "balance"})
_MOST_HEADING_WORDS = 5
_LEAST_HEADINGS = 3
_NAMED_SHARE = 0.6  # of a heading row's words that must be headings
_HEADING_GAP = 0.9  # line heights between words of one heading
_PAYMENTS = re.compile(r"payments?\b")
_LEAST_RATIO = 0.8  # of the letters of two headings
_MOST_CACHED = 1 << 12  # lines; a document is read several times


@dataclass(frozen=True)
class Heading:
    column: Column
    left: float
    right: float


@functools.lru_cache(_MOST_CACHED)
def find_headings(line: TextLine, height: float) -> tuple[Heading, ...] | None:
    """The headings, if the line is the heading row of a table, which names a date and money, and little else."""
    words = line.words
    found: list[Heading] = []
    named = at = 0
    while at < len(words):
        run = _longest_heading(words[at : at + _MOST_HEADING_WORDS], height) or _currency_heading(words, at, height)
        if run and _continues_heading(words, at, height):
            run = None
        if run:
            column, count = run
            taken = {heading.column for heading in found}
            if column == "date" and column in taken:
                column = "value_date"
            if column == "debit" and column in taken and _PAYMENTS.match(words[at].text.lower()):
                column = "credit"  # beside charges or purchases: the payments for them
            if column not in taken:
                found.append(Heading(column, words[at].left, words[at + count - 1].right))
            named += count
        at += run[1] if run else 1
    columns = {heading.column for heading in found}
    if "date" not in columns and "value_date" in columns:
        found = [Heading("date", h.left, h.right) if h.column == "value_date" else h for h in found]
        columns = {heading.column for heading in found}
    if not columns & MONEY:
        found = [Heading("amount", h.left, h.right) if _is_valor(h, words) else h for h in found]
        columns = {heading.column for heading in found}
    is_heading = len(found) >= _LEAST_HEADINGS and "date" in columns and columns & MONEY
    return tuple(found) if is_heading and named >= _NAMED_SHARE * len(words) else None


def _continues_heading(words: Sequence[PageWord], at: int, height: float) -> bool:
    """True for "in" right after the heading of amounts: "Amount in", above "EUR"."""
    is_close = at > 0 and words[at].left - words[at - 1].right <= _HEADING_GAP * height
    return is_close and words[at].text.lower() == "in" and match_column(words[at - 1].text) == "amount"


def _is_valor(heading: Heading, words: Sequence[PageWord]) -> bool:
    """True for "Valor" as the last heading: the value date in Spanish, the amount in Portuguese."""
    last = words[-1]
    return heading.column == "value_date" and heading.right == last.right and normalize(last.text) == "valor"


@functools.lru_cache(_MOST_CACHED)
def find_side_by_side(line: TextLine, height: float) -> tuple[tuple[Heading, ...], ...]:
    """The headings of tables side by side: the same two or more columns again, from the date on."""
    words = line.words
    found: list[list[Heading]] = []
    named = at = 0
    while at < len(words):
        column, count = _longest_heading(words[at : at + _MOST_HEADING_WORDS], height) or (None, 1)
        if column == "date":
            found.append([])
        if column and found:
            found[-1].append(Heading(column, words[at].left, words[at + count - 1].right))
        named += count if column else 0
        at += count
    alike = {tuple(heading.column for heading in group) for group in found}
    is_repeated = len(found) > 1 and len(alike) == 1 and any(column in MONEY for group in alike for column in group)
    if is_repeated and named >= _NAMED_SHARE * len(words):
        return tuple(tuple(group) for group in found)
    return tuple(_find_repeated(line, height))


def _find_repeated(line: TextLine, height: float) -> list[tuple[Heading, ...]]:
    """The headings of tables side by side, whatever their words: the same cells again, from date to amount."""
    cells = split_cells(line.words, _HEADING_GAP * height)
    texts = [normalize(join_words(cell)) for cell in cells]
    for size in range(2, len(cells) // 2 + 1):
        groups = [texts[at : at + size] for at in range(0, len(cells), size)]
        if len(cells) % size or not all(map(_are_alike, groups, [groups[0]] * len(groups))):
            continue
        known = [[match_column(text) for text in group] for group in groups]
        names = _name_repeated([next(filter(None, each), None) for each in zip(*known, strict=True)])
        if len(set(groups[0])) < size:
            continue
        if names and all(any(map(_has_no_digit, same)) for same in zip(*groups, strict=True)):
            headings = [
                Heading(name, cell[0].left, cell[-1].right)
                for name, cell in zip(names * len(groups), cells, strict=True)
            ]
            return [tuple(headings[at : at + size]) for at in range(0, len(headings), size)]
    return []


def _name_repeated(names: Sequence[Column | None]) -> list[Column] | None:
    """The columns of repeated headings, of which a date and money must be known, or else the other end of the row."""
    first, *between, last = names
    is_known = first == "date" or last in MONEY
    if not is_known or first not in (None, "date") or (last is not None and last not in MONEY):
        return None
    return ["date", *(name or "description" for name in between), last or "amount"]


def _are_alike(group: Sequence[str], other: Sequence[str]) -> bool:
    """True if OCR may have read one text as the other, cell by cell."""
    return all(SequenceMatcher(None, a, b).ratio() >= _LEAST_RATIO for a, b in zip(group, other, strict=True))


def _has_no_digit(text: str) -> bool:
    return not any(char.isdigit() for char in text)


def _longest_heading(words: Sequence[PageWord], height: float) -> tuple[Column, int] | None:
    for count in range(len(words), 0, -1):
        run = words[:count]
        together = all(b.left - a.right <= _HEADING_GAP * height for a, b in zip(run, run[1:], strict=False))
        if together and (column := match_column(" ".join(word.text for word in run))):
            return column, count
    return None


def _currency_heading(words: Sequence[PageWord], at: int, height: float) -> tuple[Column, int] | None:
    """A heading of nothing but a currency: the last one is that of the account, those before it are foreign."""
    bare = [
        number
        for number, word in enumerate(words)
        if _is_currency(word.text.strip("()"))
        and (number == 0 or word.left - words[number - 1].right > _HEADING_GAP * height)
    ]
    return ("amount" if at == bare[-1] else "other", 1) if at in bare else None


@functools.lru_cache(4096)
def _is_currency(text: str) -> bool:
    return re.fullmatch(currencies.PATTERN, text) is not None and len(text) > 1
