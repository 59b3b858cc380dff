"""Amounts of money as printed on statements, in any common notation, as exact `Decimal`. Pure."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from processors.statements.notation import currencies
from processors.statements.notation.decimal_mark import DecimalMark

Side = Literal["debit", "credit", ""]  # as printed in letters: CR, DR, H, S, …

_SPACE = "\u00a0\u202f\u2009 "
_LAKH = r"\d{1,2}(?:,\d{2})+,\d{3}(?=\.)"  # as in India: 12,34,567.89
_STARS = r"\*{0,12}"  # protection against forgery: "**1,234.50"
_NUMBER = rf"{_LAKH}|\d{{1,3}}(?:(?P<group>[.,'’{_SPACE}])\d{{3}}(?:(?P=group)\d{{3}})*)?|\d+"
_AMOUNT = re.compile(
    rf"{_STARS}(?P<open>\()?\s?(?P<before>[-−–+▲△])?\s?{currencies.PATTERN}?\s?(?P<inner>[-−–+])?\s?"
    rf"{_STARS}(?P<whole>{_NUMBER}|)(?P<mark>[.,])(?P<cents>\d{{2}})"
    rf"(?:\s?{currencies.PATTERN}(?=\)))?\s?(?P<close>\))?\s?{currencies.PATTERN}?\s?(?P<after>[-−–+])?\s?"
    r"(?:\((?P<inside>CR|DR|Cr|Dr|cr|dr)\)|(?P<letters>CR|DR|OD|Cr|Dr|cr|dr|C|D|H|S|Haben|Soll)"
    rf"(?:\s{currencies.PATTERN})?)?",  # "2.471,38 H EUR"
)
_MINUS = frozenset("-−–▲△")
_CREDIT_LETTERS = frozenset({"CR", "C", "H", "HABEN"})


@dataclass(frozen=True)
class Amount:
    """A printed amount."""

    value: Decimal  # never negative
    sign: Literal["-", "+", ""] = ""  # as printed: a minus before or after, or brackets
    side: Side = ""

    @property
    def signed(self) -> Decimal:
        """The value as a balance, negative if marked so."""
        return -self.value if self.sign == "-" or self.side == "debit" else self.value


def looks_like_amount(text: str) -> bool:
    """True if all of `text` is an amount, in either notation: "1,234.50", "(12,00)", "12.00-", "£5.00 CR"."""
    return _AMOUNT.fullmatch(text.strip()) is not None


def parse_amount(text: str, mark: DecimalMark) -> Amount | None:
    """The amount, with `mark` as the decimal mark; None if `text` is not an amount in that notation."""
    match = _AMOUNT.fullmatch(text.strip())
    if not match or match["mark"] != mark or match["group"] == mark:
        return None
    value = Decimal(f"{re.sub(r'[^0-9]', '', match['whole']) or 0}.{match['cents']}")
    signs = {match[name] for name in ("before", "inner", "after") if match[name]}
    minus = bool(signs & _MINUS) or bool(match["open"] and match["close"])
    letters = (match["letters"] or match["inside"] or "").upper()
    side: Side = "" if not letters else "credit" if letters in _CREDIT_LETTERS else "debit"
    return Amount(value, "-" if minus else "+" if signs else "", side)


def parse_amount_with_any_mark(text: str, mark: DecimalMark) -> Amount | None:
    """The same, and also an amount whose decimal mark OCR misread: "7.44" among "7,95" and "10,43"."""
    other: DecimalMark = "." if mark == "," else ","
    return parse_amount(text, mark) or (
        parse_amount(text, other) if text.count(other) == 1 and mark not in text else None
    )


def detect_decimal_mark(texts: Iterable[str]) -> DecimalMark:
    """The decimal mark in the majority of a document's amounts; "." if it has none."""
    marks = [match["mark"] for text in texts if (match := _AMOUNT.fullmatch(text.strip()))]
    return "," if marks.count(",") > marks.count(".") else "."
