"""The amounts on a line: the words that form each, and whether running text contains it. Pure."""

import functools
import re
from collections.abc import Sequence
from dataclasses import dataclass

from processors.statements.notation import currencies
from processors.statements.notation.amounts import looks_like_amount
from processors.statements.notation.dates import parse_date
from processors.statements.notation.words import PageWord, WordRun

_DIGIT_GAP = 0.55  # between groups of digits of one amount
_DIGIT_GAP_WIDTHS = 1.1  # the same in character widths: a typewriter's space is as wide as its digits
_SIGN_GAP = 1.6  # between an amount and its sign, currency or CR
_SIGNS = frozenset(
    {"-", "−", "–", "+", "£", "$", "€", "EUR", "GBP", "USD", "CHF", "CR", "DR", "C", "D", "H", "S", "OD"}
)
_PART = re.compile(  # of an amount, without digits
    rf"[\W_]*(?:{currencies.PATTERN})?[\W_]*(?:[a-zA-Z]{{1,2}}|Haben|Soll)?[\W_]*"
)
_SENTENCE_GAP = 0.8  # between an amount and the words around it
_DAY_OR_TIME = re.compile(r"(?:0[1-9]|[12]\d|3[01])[.](?:0[1-9]|1[0-2])|(?:[01]\d|2[0-3])[.][0-5]\d")
_MOST_AMOUNT_WORDS = 5


@dataclass(frozen=True)
class AmountCell(WordRun):
    """An amount on a line, of one or more words."""

    text: str


def find_amounts(words: Sequence[PageWord], height: float) -> list[AmountCell]:
    """The amounts on a line, each as long as possible."""
    found, at = [], 0
    while at < len(words):
        for count in range(_count_possible(words[at : at + _MOST_AMOUNT_WORDS]), 0, -1):
            run = words[at : at + count]
            text = _joined(run, height)
            if text:
                found.append(AmountCell(tuple(run), text))
                at += count - 1
                break
        at += 1
    return found


def is_in_sentence(cell: AmountCell, words: Sequence[PageWord], height: float) -> bool:
    """True for an amount within running text, such as "Card transaction of 24.66 USD issued by"; also for a day or a
    time at the end of such text ("purchase of 27.02") or after a date ("24/11 11.47")."""
    before = [word for word in words if 0 <= cell.left - word.right < _SENTENCE_GAP * height]
    after = [word for word in words if 0 <= word.left - cell.right < _SENTENCE_GAP * height]
    follows, precedes = (any(char.isalpha() for word in each for char in word.text) for each in (before, after))
    is_time = _DAY_OR_TIME.fullmatch(cell.text) is not None
    is_dated = any(parse_date(word.text) and not looks_like_amount(word.text) for word in before[-1:])
    return (follows and (precedes or is_time)) or (is_dated and is_time)


def _count_possible(words: Sequence[PageWord]) -> int:
    """How many of the first words may be parts of one amount."""
    return next((at for at, word in enumerate(words) if not _may_belong(word.text)), len(words))


@functools.lru_cache(1 << 14)
def _may_belong(text: str) -> bool:
    return any(char.isdigit() for char in text) or _PART.fullmatch(text) is not None or _is_sign(text)


def _joined(run: Sequence[PageWord], height: float) -> str | None:
    if not any(char.isdigit() for word in run for char in word.text):
        return None
    for a, b in zip(run, run[1:], strict=False):
        signs = _is_sign(a.text) or _is_sign(b.text)
        digits = max(_DIGIT_GAP * height, _DIGIT_GAP_WIDTHS * (b.right - b.left) / len(b.text))
        if b.left - a.right > (_SIGN_GAP * height if signs else digits):
            return None
    for text in (" ".join(word.text for word in run), "".join(word.text for word in run)):
        if looks_like_amount(text.removeprefix(":")):
            return text.removeprefix(":")
    return None


@functools.lru_cache(4096)
def _is_sign(text: str) -> bool:
    return text.strip("()").upper() in _SIGNS or re.fullmatch(currencies.PATTERN, text) is not None
