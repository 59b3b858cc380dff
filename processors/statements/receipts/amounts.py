"""Amounts on the lines of a receipt: with decimals or, where a currency has none, without. Pure."""

import itertools
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation

from processors.statements.notation import currencies
from processors.statements.notation.dates import find_dates
from processors.statements.notation.decimal_mark import DecimalMark
from processors.statements.notation.words import TextLine
from processors.statements.receipts.keywords import Role, find_role

_WIDE = 1.0  # line heights: a gap of a column, not a space between words
_COLUMN = "   "  # represents such a gap
_MORE_CURRENCIES = "円|元|원|Euro|EURO|TL|Ft|din\\.?|лв\\.?|Rp\\.?|руб\\.?|грн\\.?|р\\."
CURRENCY = f"(?:{currencies.PATTERN}|{_MORE_CURRENCIES})"
_SIGN = "[-−–+△▲]"
_WHOLE = r"\d{1,3}(?:(?P<group>[.,'’ \u00a0\u202f])\d{3}(?:(?P=group)\d{3})*)?|\d+"
_START = r"(?:(?<![\w.,/\-−–+%])(?<!\d:)|(?<=[A-Za-z])(?=[€£$¥￥]))"
_BEFORE = rf"{_START}\*?(?P<open>\()?(?P<before>{_SIGN})? ?(?P<sign>{CURRENCY} ?)?(?P<inner>{_SIGN})? ?"
_AFTER = rf"(?P<close>\))?(?P<tail> ?{CURRENCY}(?![A-Za-z]))? ?(?P<after>[-−–](?:(?![\d\w])|(?=[\dA-Z]\s*$)))?"
_UNIT = r"(?! ?(?:kg|KG|g|l|ml|cl|m|km|lb|lbs|oz)\b)(?! ?[x×@*] ?\S)"
_DECIMAL = re.compile(
    rf"{_BEFORE}(?P<whole>{_WHOLE})(?P<mark>[.,])(?P<cents>\d{{2}})(?![\d%]|[.,:/]\d|-\d(?!\s*$)| ?%){_UNIT}{_AFTER}"
)
_INTEGER = re.compile(rf"{_BEFORE}(?P<whole>{_WHOLE})(?!\w*\d|[.,:/\-]\d| ?%|[年月日])(?![A-Za-z]{{2}}){_UNIT}{_AFTER}")
_TAX_CODE = re.compile(r"\(?(?:[A-Z]{1,2}\d?|[*#※＊軽外内非]{1,2}|\d(?: ?%)?|\d\d(?:[.,]\d)? ?%|[A-Z] ?[*#])\)?")
_NUMBER = r"\d+(?:[.,]\d{1,3})?"
_QUANTITY = re.compile(  # OCR mistakes lb for 1b
    rf"(?P<count>{_NUMBER}) ?(?:[^\W\d_]{{1,7}}\.?|1bs?)?(?: net| NET)?\s*(?:[x×X*@à]|\ba\b)\s*{CURRENCY}? ?"
    rf"(?P<unit>\d{{1,3}}(?: \d{{3}})+|\d+(?:[.,]\d{{2,3}})?)(?!\d)(?: ?{CURRENCY})?(?: ?/ ?(?:[^\W\d_]{{1,4}}|1b))?"
)

_DIGIT_CODE = re.compile(r"\d[.,]\d\d \d$")  # a code for a rate after the price
_GLUED_CODE = re.compile(r"(\d[.,]\d\d)(\d)$")
_LEAST_CODES = 3
_LEADING_COUNT = re.compile(r"\s*(\d{1,3})(?: ?[xX]\b)?(?= )")
_COUNT_BESIDE = re.compile(r" (\d{1,3}) $")
_UNIT_FIRST = re.compile(rf"@ ?{CURRENCY}?(?P<unit>\d[\d.,]*) ?[x×X*] ?(?P<count>\d+)(?: ?[個点本袋枚])?")  # noqa: RUF001


@dataclass(frozen=True)
class Cell:
    """An amount within a text."""

    start: int
    end: int
    value: Decimal
    text: str
    has_sign: bool  # a currency is beside it


@dataclass(frozen=True)
class Quantity:
    count: Decimal
    unit_price: Decimal
    start: int
    end: int

    @property
    def factors(self) -> tuple[Decimal, Decimal]:
        return self.unit_price, self.count

    def gives(self, price: Decimal) -> bool:
        """True if this quantity at this price costs `price`, rounded."""
        return abs(self.count * self.unit_price - price) <= Decimal("0.011")


@dataclass
class PricedLine:
    """A line that ends in an amount."""

    line: TextLine
    text: str  # without the price and the letter beside it
    price: Decimal
    cells: tuple[Cell, ...]  # all amounts of the line
    role: Role | None
    tax_code: str = ""
    quantity: Quantity | None = None
    description: str = field(default="")

    @property
    def confidence(self) -> float:
        return min(word.confidence for word in self.line.words)


@dataclass(frozen=True)
class Notation:
    """How a receipt prints its amounts."""

    mark: DecimalMark = "."
    has_decimals: bool = True


def spaced(line: TextLine, height: float) -> str:
    """The text of a line, in which three spaces are the gap between two columns."""
    parts = [line.words[0].text]
    for left, right in zip(line.words, line.words[1:], strict=False):
        parts += [_COLUMN if right.left - left.right > _WIDE * height else " ", right.text]
    return "".join(parts)


def detect_notation(texts: Iterable[str]) -> Notation:
    """The notation in the majority of a receipt's amounts."""
    texts = list(texts)
    marks = [match["mark"] for text in texts for match in _DECIMAL.finditer(text)]
    whole = [text for text in texts if _find_integers(text)]
    if len(marks) * 2 <= len(whole) and not (marks and len(whole) < 3):
        return Notation(has_decimals=False)
    return Notation("," if marks.count(",") > marks.count(".") else ".")


def find_cells(text: str, notation: Notation) -> list[Cell]:
    """The amounts of a text, from left to right."""
    if not notation.has_decimals:
        return _find_integers(text)
    found = []
    for match in _DECIMAL.finditer(text):
        if match["mark"] == notation.mark and match["group"] != notation.mark:
            digits = re.sub(r"\D", "", match["whole"])
            found.append(_cell(match, Decimal(f"{digits}.{match['cents']}")))
    return found


def has_other_notation(text: str, notation: Notation) -> bool:
    """True if a text ends in an amount with the other decimal mark."""
    cells = [match for match in _DECIMAL.finditer(text) if not text[match.end() :].strip()]
    return notation.has_decimals and any(match["mark"] != notation.mark for match in cells)


def find_quantity(text: str, notation: Notation) -> Quantity | None:
    """A quantity with a unit price: "2 Stk x 0,79", "0.456 kg @ 2.99/kg"."""
    match = _UNIT_FIRST.search(text) or _QUANTITY.search(text)
    if not match:
        return None
    count = Decimal(match["count"].replace(",", "."))
    if not notation.has_decimals:
        unit = Decimal(re.sub(r"\D", "", match["unit"]))
    else:
        try:
            unit = Decimal(match["unit"].replace(" ", "").replace(",", "."))
        except InvalidOperation:
            return None
    return Quantity(count, unit, match.start(), match.end())


def find_priced_lines(lines: Sequence[TextLine], height: float, notation: Notation) -> list[PricedLine]:
    """The lines that end in an amount, in order; not those of dates and of quantities."""
    found: list[PricedLine] = []
    above: TextLine | None = None  # the line before, if it has no amount
    texts = [spaced(line, height) for line in lines]
    has_codes = sum(bool(_DIGIT_CODE.search(text)) for text in texts) >= _LEAST_CODES
    for line, text in zip(lines, texts, strict=True):
        priced = _priced(line, _GLUED_CODE.sub(r"\1 \2", text) if has_codes else text, notation)
        if priced is None:
            above = line
            continue
        if not any(char.isalpha() for char in priced.description) and above is not None:
            is_near = line.top - above.bottom < 1.5 * height
            if is_near and priced.quantity and not find_dates(above.text):
                priced.description = above.text
        above = None
        found.append(priced)
    return _without_quantities(found)


def _priced(line: TextLine, text: str, notation: Notation) -> PricedLine | None:
    """`text`: that of the line, see `spaced`."""
    cells = find_cells(text, notation)
    if not cells or any(date.year for date in find_dates(line.text)):
        return None
    cell = cells[-1]
    after = text[cell.end :].strip()
    is_code = not after or bool(_TAX_CODE.fullmatch(after))
    rest = text[: cell.start] + ("" if is_code else f" {after}")
    quantity = find_quantity(text, notation)
    is_explained = quantity is not None and quantity.end <= cell.start and quantity.gives(cell.value)
    described = _without(rest, quantity) if quantity and is_explained else rest
    role = find_role(rest)
    if role == "information" and cell.value < 0:
        role = "discount"  # "savings" that are subtracted here
    return PricedLine(
        line=line,
        text=" ".join(rest.split()),
        price=cell.value,
        cells=tuple(cells),
        role=role,
        tax_code=after if is_code else "",
        quantity=quantity,
        description=" ".join(_without_unit_price(described, cells[:-1], cell).split()).strip(" .:"),
    )


def _without(text: str, quantity: Quantity) -> str:
    return f"{text[: quantity.start]} {text[quantity.end :]}"


def _without_unit_price(text: str, others: Sequence[Cell], price: Cell) -> str:
    """Remove the unit price in a column of its own between the text and the price."""
    if not others or not text.rstrip().endswith(f" {others[-1].text.strip()}"):
        return text
    unit, rest = others[-1], text.rstrip()[: -len(others[-1].text.strip())]
    counted = [_LEADING_COUNT.match(rest), _COUNT_BESIDE.search(rest)]
    if rest.endswith(_COLUMN):
        counts = [Decimal(digits) for digits in re.findall(r"(?<![\d.,])\d{1,3}(?![\d.,])", rest)]
        is_unit = unit.value != 0 and (unit.value == price.value or any(n * unit.value == price.value for n in counts))
    else:
        is_unit = any(match and Decimal(match[1]) * unit.value == price.value for match in counted)
    return rest if is_unit else text


def _without_quantities(found: list[PricedLine]) -> list[PricedLine]:
    """Remove the lines that only explain the price of a neighboring line."""
    left = []
    are_above = any(_is_above(one, below) for one, below in itertools.pairwise(found) if _count(one) not in (None, 1))
    for at, one in enumerate(found):
        quantity = one.quantity
        if are_above and _count(one) == 1 and at + 1 < len(found) and _is_above(one, found[at + 1]):
            continue
        if quantity is None or one.price not in quantity.factors or quantity.count == 1:  # it does not end in a unit
            left.append(one)
            continue
        near = [found[other] for other in (at + 1, at - 1) if 0 <= other < len(found)]
        explained = next((each for each in near if quantity.gives(each.price)), None)
        if explained is not None:
            explained.quantity = explained.quantity or quantity
        else:
            if not any(char.isalpha() for char in one.text[: quantity.start]):
                one.role = "quantity"
            left.append(one)
    return left


def _count(line: PricedLine) -> Decimal | None:
    return line.quantity.count if line.quantity else None


def _is_above(line: PricedLine, below: PricedLine) -> bool:
    """True if a line is only the quantity and the unit price of the item on the line below it."""
    quantity = line.quantity
    if quantity is None or line.price != quantity.unit_price or not quantity.gives(below.price):
        return False
    return not line.text[: quantity.start].strip() and any(char.isalpha() for char in below.description)


def _find_integers(text: str) -> list[Cell]:
    """Whole amounts: those with a currency beside them, and one at the end of a line, after a gap."""
    found = []
    for match in _INTEGER.finditer(text):
        digits = re.sub(r"\D", "", match["whole"])
        if len(digits) > 9 or (len(digits) > 1 and digits[0] == "0"):
            continue
        has_sign = bool(match["sign"] or match["tail"])
        after = text[match.end() :].strip()
        is_last = not after or bool(_TAX_CODE.fullmatch(after))
        before = text[: _start(match)]
        if has_sign or (is_last and (before.endswith(_COLUMN) or not before.strip() or match["group"])):
            found.append(_cell(match, Decimal(digits)))
    return found


def _cell(match: re.Match[str], value: Decimal) -> Cell:
    signs = {match[name] for name in ("before", "inner", "after") if match[name]}
    minus = bool(signs - {"+"}) or bool(match["open"] and match["close"])
    has_sign = bool(match["sign"] or match["tail"])
    return Cell(_start(match), match.end(), -value if minus else value, match[0], has_sign)


def _start(match: re.Match[str]) -> int:
    return match.end() - len(match[0].lstrip())
