"""What people type into a search box, as a query of FTS5, and where a text matches it. Pure.

All words must occur in the same passage. "Quoted words" are a phrase, and word* also finds longer words.
"""

import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from daemon.search.folding import Token, tokens

MAX_CHARS = 300
_MOST_TERMS = 12
_MOST_WORDINGS = 8  # of one term
_TERM = re.compile(r'"([^"]*)"?(\*?)|(\S+)')
_AMOUNT = re.compile(r"(\d{1,3}(?:[.,'’]\d{3})+|\d+)(?:[.,](\d{1,2}))?")
_UMLAUTS = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "Ä": "ae", "Ö": "oe", "Ü": "ue", "å": "aa", "Å": "aa"})
_DIGRAPHS = (("ae", "a"), ("oe", "o"), ("ue", "u"), ("aa", "a"))

Wording = tuple[str, ...]  # folded words in a row


@dataclass(frozen=True, kw_only=True)
class Term:
    """A word or a phrase, with its other spellings."""

    wordings: Sequence[Wording]
    is_prefix: bool  # of the last word

    def to_fts(self) -> str:
        star = " *" if self.is_prefix else ""
        return f"({' OR '.join(_quoted(wording) + star for wording in self.wordings)})"

    def spans(self, found: Sequence[Token]) -> Iterator[tuple[int, int]]:
        """Where these tokens of a text match: start and end in the text."""
        for wording in self.wordings:
            for at in range(len(found) - len(wording) + 1):
                if self._matches(found, at, wording):
                    yield found[at].start, found[at + len(wording) - 1].end

    def _matches(self, found: Sequence[Token], at: int, wording: Wording) -> bool:
        last = found[at + len(wording) - 1].folded
        if not (last.startswith(wording[-1]) if self.is_prefix else last == wording[-1]):
            return False
        return all(found[at + offset].folded == word for offset, word in enumerate(wording[:-1]))


def parse(text: str) -> list[Term]:
    """The terms of a query; none if it contains no word."""
    terms = []
    for found in _TERM.finditer(text[:MAX_CHARS]):
        raw = found[1] if found[3] is None else found[3]
        is_prefix = raw.endswith("*") if found[3] is not None else bool(found[2])
        if wordings := _wordings(raw):
            terms.append(Term(wordings=wordings, is_prefix=is_prefix))
    return terms[:_MOST_TERMS]


def to_fts(terms: Sequence[Term]) -> str:
    """The query for FTS5. Words consist of letters and digits only, so that none is taken for its syntax."""
    return " AND ".join(term.to_fts() for term in terms)


def spans(terms: Sequence[Term], text: str) -> list[tuple[int, int]]:
    """Where a text matches, in order, without overlaps."""
    found = list(tokens(text))
    merged: list[tuple[int, int]] = []
    for start, end in sorted({span for term in terms for span in term.spans(found)}):
        if merged and start < merged[-1][1]:
            merged[-1] = merged[-1][0], max(end, merged[-1][1])
        else:
            merged.append((start, end))
    return merged


def _quoted(wording: Wording) -> str:
    return '"' + " ".join(wording) + '"'


def _wordings(raw: str) -> list[Wording]:
    """The words of a term, and their other spellings: Müller and Mueller, 1234.56 and 1,234.56."""
    words = [token.folded for token in tokens(raw)]
    if not words:
        return []
    written_out = [token.folded for token in tokens(raw.translate(_UMLAUTS))]
    choices = [
        dict.fromkeys((word, other, *_without_digraphs(word))) for word, other in zip(words, written_out, strict=True)
    ]
    found = itertools.islice(itertools.product(*choices), _MOST_WORDINGS)
    return list(dict.fromkeys((*found, *_amounts(raw))))


def _without_digraphs(word: str) -> Iterator[str]:
    shortened = word
    for digraph, letter in _DIGRAPHS:
        shortened = shortened.replace(digraph, letter)
    if shortened != word:
        yield shortened


def _amounts(raw: str) -> Iterator[Wording]:
    """An amount with and without its thousands in groups."""
    found = _AMOUNT.fullmatch(raw.strip("*+-"))
    if found is None:
        return
    digits, decimals = re.sub(r"\D", "", found[1]), (found[2],) if found[2] else ()
    yield digits, *decimals
    if len(digits) > 3:
        head = len(digits) % 3 or 3
        groups = (digits[:head], *(digits[at : at + 3] for at in range(head, len(digits), 3)))
        yield *groups, *decimals
