"""Values of a model's answer as they may be printed: amounts in any notation, and account numbers. Pure."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from processors.statements.notation.currencies import CODES, CODES_LIKE_WORDS, SIGNS
from processors.statements.notation.decimal_mark import DecimalMark

Answer = Mapping[str, Any]  # about a page, an account or a row: JSON that fits its schema
Schema = dict[str, Any]  # a JSON Schema

_SPACES = " \u00a0\u202f\u2009"
# what the grammar permits: a number with anything short around it, such as "R$ 1.234,50", "(12,00 EUR)" or "7.00 (Dr)"
AMOUNT_PATTERN = rf"^[^0-9\n]{{0,12}}[0-9][0-9.,'’{_SPACES}]{{0,24}}[^0-9\n]{{0,12}}$"
_PARTS = re.compile(rf"(?P<before>\D*)(?P<number>\d(?:[\d.,'’{_SPACES}]*\d)?)(?P<after>\D*)")
_DECIMALS = re.compile(r"(?P<whole>.*\d)(?P<mark>[.,])(?P<cents>\d\d)")
_GROUPED = re.compile(
    rf"\d{{1,3}}(?:(?P<group>[.,'’{_SPACES}])\d{{3}}(?:(?P=group)\d{{3}})*)?|\d+|\d{{1,2}}(?:,\d{{2}})+,\d{{3}}"
)
_MINUS = "-−–‐‑△▲"  # noqa: RUF001
_LETTERS = {
    "CREDIT": ("CR", "CREDIT", "C", "H", "HABEN", "BIJ", "CRE"),
    "DEBIT": ("DR", "DEBIT", "DB", "D", "S", "SOLL", "AF", "OD", "DEB"),
}
_SIDES = {letters: side for side, known in _LETTERS.items() for letters in known}
_CURRENCY_WORDS = {"EURO", "EUROS", "KR", "FR", "RS", "RM", "RP", "FT", "TL", "LEI", "R", "円", "元", "원", "¥", "￥"}
_CURRENCIES = {*CODES, *CODES_LIKE_WORDS, *(sign.upper() for sign in SIGNS), *_CURRENCY_WORDS}
_TOKEN = re.compile(rf"[{re.escape(_MINUS)}+()]|[^\s{re.escape(_MINUS)}+()]+")
SHARED_SIGNS = ("$",)  # of several currencies, so no evidence of any of them
_IBAN = re.compile(r"[A-Z]{2}\d{2}[A-Z0-9]{11,30}")
_LABEL = re.compile(r"^\D*?(?=[\d*•]|X+\d)")
_LEAST_ALIKE = 4  # digits at the end of two numbers of one account, of which one is masked or an IBAN


@dataclass(frozen=True)
class AnsweredAmount:
    """An amount as copied by a model."""

    whole: str  # digits only
    cents: str  # "" if it has no decimals
    mark: DecimalMark | None
    sign: Literal["-", "+", ""]
    letters: Literal["CR", "DR", ""]
    currency: str  # as printed; "" if none, or one of several countries'

    def in_standard_form(self) -> str:
        """As `parse_amount` reads it, with a decimal point."""
        return f"{self.sign}{self.whole}.{self.cents or '00'}{self.letters}"


def read_amount(text: str) -> AnsweredAmount | None:
    """The parts of an amount; None if `text` is not an amount."""
    match = _PARTS.fullmatch(text.strip())
    if not match:
        return None
    number = match["number"]
    decimals = _DECIMALS.fullmatch(number)
    whole = decimals["whole"] if decimals else number
    grouped = _GROUPED.fullmatch(whole)
    if not grouped or (decimals and grouped["group"] == decimals["mark"]):
        return None
    around = _read_around(f"{match['before']} {match['after']}")
    if around is None:
        return None
    sign, letters, currency = around
    mark: DecimalMark | None = ("," if decimals["mark"] == "," else ".") if decimals else None
    return AnsweredAmount(
        re.sub(r"\D", "", whole), decimals["cents"] if decimals else "", mark, sign, letters, currency
    )


def _read_around(text: str) -> tuple[Literal["-", "+", ""], Literal["CR", "DR", ""], str] | None:
    """Sign, letters and currency around a number; None if there is anything else."""
    sign: Literal["-", "+", ""] = ""
    letters: Literal["CR", "DR", ""] = ""
    currency = ""
    tokens = [token.strip(".:") for token in _TOKEN.findall(text)]
    words = [token for token in tokens if token not in "()"]
    for token in words:
        wanted = token.upper()
        if token in _MINUS or token == "+":
            sign = "+" if token == "+" else "-"
        elif wanted in _SIDES:
            letters = "CR" if _SIDES[wanted] == "CREDIT" else "DR"
        elif wanted in _CURRENCIES or f"{wanted}." in _CURRENCIES:
            currency = "" if token in SHARED_SIGNS else token
        else:
            return None
    if "(" in tokens and ")" in tokens and not letters:
        sign = "-"
    return sign, letters, currency


class Notation:
    """The notation of the amounts of one account, determined from all of them."""

    def __init__(self, texts: Iterable[str]):
        marks = [amount.mark for text in texts if (amount := read_amount(text))]
        self.has_decimals = not marks or any(marks)
        self.mark: DecimalMark = "," if marks.count(",") > marks.count(".") else "."

    def standardize(self, text: str) -> str | None:
        """An amount in the form that `parse_amount` reads with a decimal point; None if `text` is not an amount in this
        notation."""
        amount = read_amount(text)
        if amount is None or (amount.mark != self.mark if self.has_decimals else amount.mark is not None):
            return None
        return amount.in_standard_form()


def clean_account(text: str) -> str:
    """An account number or IBAN without its label and spaces."""
    joined = re.sub(r"\s", "", text).upper()
    if match := _IBAN.search(joined.removeprefix("IBAN").lstrip(":")):
        return match[0]
    return _LABEL.sub("", joined, count=1).replace(".", "") or joined


def is_same_account(one: str, other: str) -> bool:
    """True if both may be the number of one account: equal, masked, or an IBAN that ends in the other."""
    short, long = sorted((re.sub(r"[^A-Z0-9]", "", each) for each in (one, other)), key=len)
    digits = re.search(r"\d*$", short)
    tail = digits[0] if digits else ""
    is_masked = "*" in one + other or "•" in one + other or "X" in short
    return one == other or (len(tail) >= _LEAST_ALIKE and long.endswith(tail if is_masked else short))


def object_schema(properties: Schema) -> Schema:
    """An object with exactly these properties."""
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


def text_schema(meaning: str) -> Schema:
    """A short text, or null."""
    return {"type": ["string", "null"], "maxLength": 120, "description": meaning}


def amount_schema(meaning: str) -> Schema:
    """An amount as printed, or null."""
    return {"anyOf": [{"type": "string", "pattern": AMOUNT_PATTERN}, {"type": "null"}], "description": meaning}
