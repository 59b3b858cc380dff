"""The lines of goods and services: rows found by quantity × price = amount, by columns and by headings. Pure."""

import itertools
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from processors.statements.invoices.keywords import Concept, find_concept, find_invoice_role
from processors.statements.invoices.numbers import COLUMN, Number, NumberedLine
from processors.statements.notation.words import PageWord
from processors.statements.receipts.keywords import names_tax

_GAP = 1.6  # line heights: words further apart are not one heading
_LONGEST_HEADING = 4  # words
_LEAST_KNOWN = 0.5  # of the words of a row of headings
_CENT = Decimal("0.0051")  # of a rounded product
_HUNDRED = Decimal(100)
_OF_A_COLUMN = ("description", "quantity", "unit", "price", "discount", "rate")  # begin a column of their own
_SUMMARY = ("subtotal", "net", "tax", "total", "due", "payment", "rounding", "change")


@dataclass(frozen=True)
class Heading:
    """The heading of one column."""

    concept: Concept
    left: float
    right: float

    def is_above(self, number: Number) -> bool:
        return self.left < number.right and number.left < self.right


@dataclass(frozen=True)
class Product:
    """The calculation of an amount from the numbers beside it."""

    quantity: Number
    price: Number
    discount: Number | None = None  # in percent, or an amount


@dataclass
class Row:
    """A line of the table. `at`: its index among the lines of the document."""

    at: int
    line: NumberedLine
    headings: tuple[Heading, ...]


@dataclass
class Table:
    """The rows of the table, and the lines within it that are not rows."""

    rows: list[Row] = field(default_factory=list)
    headings: dict[int, tuple[Heading, ...]] = field(default_factory=dict)  # by index of the line of headings
    texts: list[int] = field(default_factory=list)  # lines of text only, within the table
    carried: list[int] = field(default_factory=list)


def find_table(lines: Sequence[NumberedLine]) -> Table:
    """The table, over all pages."""
    height = _height(lines)
    table, is_open = Table(), False
    headings: tuple[Heading, ...] = ()
    for at, line in enumerate(lines):
        if found := find_headings(line, height):
            headings, is_open = found, True
            table.headings[at] = found
            continue
        if _heads_taxes(line, height) or _heads_totals(line):
            is_open = False
            continue
        role = find_invoice_role(line.label)
        product = has_product(line, headings)
        if product and (is_open or headings or _is_amount_last(line)):
            is_open = True
            table.rows.append(Row(at, line, headings))
        elif role == "carried" and line.amounts:
            table.carried.append(at)
        elif role in _SUMMARY and line.amounts:
            is_open = False
        elif is_open and line.amounts:
            table.rows.append(Row(at, line, headings))
        elif is_open:
            table.texts.append(at)
    table.rows = _without_sums(table)
    return table


def _without_sums(table: Table) -> list[Row]:
    """The rows that are not the sum of all rows before them, whatever their words."""
    sums: set[int] = set()
    for column in find_columns(table):
        running, count = Decimal(0), 0
        for row, number in column:
            is_sum = count > 1 or (count == 1 and names_tax(row.line.label))
            if is_sum and running and number.value == running and not find_product(row.line, number, row.headings):
                sums.add(row.at)
            else:
                running += number.value
                count += 1
    return [row for row in table.rows if row.at not in sums]


def find_headings(line: NumberedLine, height: float) -> tuple[Heading, ...]:
    """The headings of the columns, if this is a row of them."""
    found, known = _known_headings(line, height)
    concepts = {heading.concept for heading in found}
    named = concepts & {"amount", "price", "net", "gross", "unit"} and concepts & {"description", "quantity", "code"}
    return tuple(found) if named and known >= _LEAST_KNOWN * len(line.line.words) else ()


def _heads_taxes(line: NumberedLine, height: float) -> bool:
    """True for the headings of a table of taxes by rate."""
    found, known = _known_headings(line, height)
    concepts = {heading.concept for heading in found}
    is_of_tax = bool(concepts & {"rate", "tax"}) and bool(concepts & {"net", "gross", "amount", "tax"})
    is_of_goods = concepts & {"description", "quantity", "price", "unit"}
    return len(found) > 1 and is_of_tax and not is_of_goods and known >= _LEAST_KNOWN * len(line.line.words)


def _heads_totals(line: NumberedLine) -> bool:
    """True for the labels of totals that are printed side by side, each above its amount."""
    roles = [find_invoice_role(cell) for cell in line.text.split(COLUMN)]
    return not line.amounts and sum(role in _SUMMARY for role in roles) > 1


def _known_headings(line: NumberedLine, height: float) -> tuple[list[Heading], int]:
    """The headings on a line, and their number of words."""
    words = line.line.words
    if line.amounts or len(words) < 2:
        return [], 0
    found: list[Heading] = []
    known = at = 0
    while at < len(words):
        for count in range(min(_LONGEST_HEADING, len(words) - at), 0, -1):
            group = words[at : at + count]
            if _is_together(group, height) and (concept := _concept_of([word.text for word in group])):
                found.append(Heading(concept, group[0].left, group[-1].right))
                known += count
                at += count
                break
        else:
            at += 1
    return found, known


def _concept_of(words: Sequence[str]) -> Concept | None:
    """What the words name together; None if they are the headings of two columns, such as "Price Discount"."""
    whole = find_concept(" ".join(words))
    if whole in ("rate", "code"):
        return whole
    for at in range(1, len(words)):
        first, second = find_concept(" ".join(words[:at])), find_concept(" ".join(words[at:]))
        if first and second in _OF_A_COLUMN and first != second:
            return None
    return whole


def _is_together(words: Sequence[PageWord], height: float) -> bool:
    return all(right.left - left.right <= _GAP * height for left, right in itertools.pairwise(words))


def find_columns(table: Table) -> list[list[tuple[Row, Number]]]:
    """The possible columns of amounts: for each, the rows that have an amount in it; the last column first."""
    known = [row for row in table.rows if has_product(row.line, row.headings)] or table.rows
    counts = Counter(len(row.line.amounts) for row in known)
    if not counts:
        return []
    usual = max(counts, key=lambda count: (counts[count], count))
    usual_rows = [row.line.amounts for row in known if len(row.line.amounts) == usual]
    places = [
        (min(amounts[column].left for amounts in usual_rows), max(amounts[column].right for amounts in usual_rows))
        for column in range(usual)
    ]
    found = []
    for left, right in reversed(places):
        cells = [(row, _in_column(row.line.amounts, left, right)) for row in table.rows]
        found.append([(row, number) for row, number in cells if number])
    return found


def _in_column(amounts: Sequence[Number], left: float, right: float) -> Number | None:
    inside = [(min(right, one.right) - max(left, one.left), one) for one in amounts]
    best = max(inside, key=lambda each: each[0])
    return best[1] if best[0] > 0 else None


def find_product(line: NumberedLine, amount: Number, headings: Sequence[Heading] = ()) -> Product | None:
    """The quantity and the price whose product is the amount; if there are several, the headings decide."""
    factors = [one for one in line.numbers if one.end <= amount.start and not one.is_percent]
    products = [
        Product(quantity, price, discount)
        for price, quantity in itertools.permutations(factors, 2)
        if not quantity.has_currency
        for discount in _discounts(line, amount, quantity, price, headings)
    ]
    if not products:
        return None
    return max(products, key=lambda product: _rate_product(product, amount, headings))


def _discounts(
    line: NumberedLine, amount: Number, quantity: Number, price: Number, headings: Sequence[Heading]
) -> Iterator[Number | None]:
    """None if the product is the amount; otherwise, the discount with which it becomes the amount."""
    value, wanted = abs(quantity.value * price.value), abs(amount.value)
    slack = _CENT * 100 if amount.decimals == 0 else _CENT
    if abs(value - wanted) <= slack:
        yield None
        return
    for each in line.numbers:
        if each in (quantity, price, amount) or each.end > amount.start or each.end <= quantity.start:
            continue
        is_named = each.is_percent or any(one.concept == "discount" and one.is_above(each) for one in headings)
        is_named = is_named or max(quantity.end, price.end) <= each.start
        share = value * (_HUNDRED - abs(each.value)) / _HUNDRED
        if is_named and 0 < abs(each.value) < _HUNDRED and abs(share - wanted) <= slack:
            yield each


def _rate_product(product: Product, amount: Number, headings: Sequence[Heading]) -> tuple[int, int, int, int]:
    by_concept = {heading.concept: heading for heading in headings}
    fits = sum(
        concept in by_concept and by_concept[concept].is_above(number)
        for concept, number in (("quantity", product.quantity), ("price", product.price))
    )
    is_money = int(product.price.is_amount) - int(product.quantity.has_currency)
    return fits, int(product.discount is None), is_money, int(product.quantity.start < product.price.start)


def has_product(line: NumberedLine, headings: Sequence[Heading] = ()) -> bool:
    """True if one of the amounts is the product of two numbers before it, and not merely 1 × itself."""
    for amount in line.amounts:
        product = find_product(line, amount, headings)
        if product and (product.price.is_amount or product.quantity.value != 1) and amount.value:
            return True
    return False


def _is_amount_last(line: NumberedLine) -> bool:
    return bool(line.numbers) and line.numbers[-1].is_amount


def _height(lines: Sequence[NumberedLine]) -> float:
    heights = sorted(word.height for line in lines for word in line.line.words)
    return heights[len(heights) // 2] if heights else 1.0
