"""The values of the rows of the table: description, quantity, unit price, rate. Pure."""

import re
from collections.abc import Sequence
from decimal import Decimal

from processors.statements.invoices.keywords import Concept
from processors.statements.invoices.numbers import Number, NumberedLine
from processors.statements.invoices.records import Invoice, InvoiceLine
from processors.statements.invoices.table import Heading, Row, Table, find_product
from processors.statements.notation.words import PageWord, TextLine

_NEAR = 1.8  # line heights: a line of text further away belongs to no row
_POSITION = re.compile(r"\d{1,3}[.)]?")
_SMALLER = 0.91  # of the height of the row: the print of details
_HIGHEST_RATE = 30  # percent
_CODES = tuple(map(Decimal, range(1, 5)))  # of rates, printed beside a line


def read_lines(table: Table, column: Sequence[tuple[Row, Number]], lines: Sequence[NumberedLine]) -> list[InvoiceLine]:
    """The rows that have an amount in this column, with the text around them."""
    texts = _texts_by_row(table, [row for row, _ in column], lines)
    return [_read_row(row, amount, texts.get(row.at, ([], []))) for row, amount in column]


def drop_codes(invoice: Invoice) -> None:
    """Remove rates of lines that are codes: they have no percent sign, and are not among the rates of the invoice."""
    rates = {line.rate for line in invoice.taxes if line.rate is not None}
    for line in invoice.lines:
        if line.tax_rate and rates and line.tax_rate not in rates:
            line.doubt = line.doubt or (
                f"its rate of {line.tax_rate} % is not among the taxes" if line.has_percent else ""
            )
            line.tax_rate = line.tax_rate if line.has_percent else None


def _read_row(row: Row, amount: Number, texts: tuple[list[str], list[str]]) -> InvoiceLine:
    line = row.line
    product = find_product(line, amount, row.headings)
    rate = _rate(row, amount)
    used = [amount, *([product.quantity, product.price] if product else [])]
    if product and product.discount:
        used.append(product.discount)
    words = _description_words(row, [*used, *([rate] if rate else [])], product.quantity if product else None)
    above, below = texts
    found = InvoiceLine(
        line.line.page,
        " ".join([*above, *(word.text for word in words), *below]),
        amount.value,
        tax_rate=rate.value if rate else None,
        has_percent=bool(rate and (rate.is_percent or _is_of_rates(row, rate))),
        confidence=line.confidence,
    )
    if product:
        found.quantity, found.unit_price = product.quantity.value, product.price.value
        found.unit = _unit(line, product.quantity, used)
        if product.discount and (product.discount.is_percent or product.discount.decimals != 2):
            found.discount = abs(product.discount.value)
    else:
        found.doubt = _unexplained(row, amount, rate, words)
        found.quantity = _value_below(row, "quantity", amount)
        found.unit_price = _value_below(row, "price", amount)
    return found


def _unexplained(row: Row, amount: Number, rate: Number | None, words: Sequence[PageWord]) -> str:
    """The reason for a review of a row in which no numbers before the amount have the amount as their product."""
    description = {id(word) for word in words}
    line = row.line
    for one in line.numbers:
        own = [
            word
            for (start, end), word in zip(line.places, line.line.words, strict=True)
            if start < one.end and one.start < end
        ]
        is_text = any(id(word) in description for word in own) or one.start == 0
        is_code = any(each.concept == "code" and each.is_above(one) for each in row.headings)
        if one.end <= amount.start and one is not rate and not (one.is_percent or is_text or is_code):
            return f"no quantity times a price gives its amount of {amount.value}"
    return ""


def _is_of_rates(row: Row, rate: Number) -> bool:
    """True below a heading that names a percentage, which a code is not."""
    return (
        any(
            each.concept == "rate" and each.is_above(rate) and each.right - each.left > rate.right - rate.left
            for each in row.headings
        )
        and rate.value not in _CODES
    )


def _value_below(row: Row, concept: Concept, amount: Number) -> Decimal | None:
    heading = next((each for each in row.headings if each.concept == concept), None)
    below = [one for one in row.line.numbers if heading and heading.is_above(one) and one is not amount]
    return below[0].value if len(below) == 1 else None


def _rate(row: Row, amount: Number) -> Number | None:
    """The tax rate: below its heading, or else a percentage after the description."""
    heading = next((each for each in row.headings if each.concept in ("rate", "tax")), None)
    for one in row.line.numbers:
        if (
            heading
            and heading.is_above(one)
            and one is not amount
            and (one.is_percent or 0 <= one.value <= _HIGHEST_RATE)
        ):
            return one
    if any(each.concept == "discount" for each in row.headings):
        return None
    first = row.line.amounts[0].start
    percents = [one for one in row.line.numbers if one.is_percent and one.start > first]
    return percents[0] if len(percents) == 1 and 0 <= percents[0].value <= _HIGHEST_RATE else None


def _description_words(row: Row, used: Sequence[Number], quantity: Number | None) -> list[PageWord]:
    """The words below the heading of the description; without a heading, the longest text that is not a value."""
    heading = _description_heading(row.headings)
    pieces = _pieces(row, used, heading.left if heading else None)
    if heading:
        following = [each.left for each in row.headings if each.left > heading.left]
        before = [each.right for each in row.headings if each.right <= heading.left]
        end, start = min(following, default=float("inf")), max(before, default=float("-inf"))
        inside = [piece for piece in pieces if start < piece[0].left < end and piece[-1].right > heading.left]
        place = quantity.left if quantity else None
        if place and inside and inside[0][0].left < place:
            inside = [piece for piece in inside if piece[0].left < place]  # without the unit after the quantity
        if found := [word for piece in inside for word in piece]:
            return found
    return max(pieces, key=_letters, default=[])


def _description_heading(headings: Sequence[Heading]) -> Heading | None:
    """The heading of the description; "Item" beside "Description" is a code."""
    named = [each for each in headings if each.concept == "description"]
    return named[-1] if named else None


def _pieces(row: Row, used: Sequence[Number], edge: float | None) -> list[list[PageWord]]:
    """The words that are not values, as runs without a wide gap, a value or the edge of the description between
    them."""
    line, found = row.line, list[list[PageWord]]()
    last: int | None = None  # where the last word ends in the text of the line
    for (begin, stop), word in zip(line.places, line.line.words, strict=True):
        is_value = any(one.start < stop and begin < one.end for one in used)
        is_position = begin == 0 and bool(_POSITION.fullmatch(word.text)) and line.text[stop : stop + 3] == "   "
        if is_value or is_position:
            last = None
            continue
        is_edge = bool(found) and edge is not None and found[-1][-1:] and found[-1][-1].right <= edge + 1 <= word.right
        if last is None or line.text[last:begin] == "   " or is_edge:
            found.append([])
        found[-1].append(word)
        last = stop
    return found


def _letters(words: Sequence[PageWord]) -> int:
    return sum(char.isalpha() for word in words for char in word.text)


def _unit(line: NumberedLine, quantity: Number, used: Sequence[Number]) -> str:
    """The word between the quantity and the next number."""
    after = [one.start for one in used if one.start >= quantity.end]
    text = line.text[quantity.end : min(after, default=quantity.end)].strip(" x×@*")
    return text if text and len(text) <= 12 and "   " not in text and not any(char.isdigit() for char in text) else ""


def _texts_by_row(
    table: Table, rows: Sequence[Row], lines: Sequence[NumberedLine]
) -> dict[int, tuple[list[str], list[str]]]:
    """For each row, the lines of text above and below that belong to its description."""
    found: dict[int, tuple[list[str], list[str]]] = {}
    places = sorted(row.at for row in rows)
    for at in table.texts:
        text = lines[at].line
        before = max((place for place in places if place < at), default=None)
        after = min((place for place in places if place > at), default=None)
        height = text.bottom - text.top
        gap_before = _gap(lines, before, at, table) if before is not None else None
        gap_after = _gap(lines, at, after, table) if after is not None else None
        if before is not None and gap_before is not None:
            is_nearest = gap_before <= _NEAR * height and (gap_after is None or gap_before <= gap_after)
            if is_nearest and _is_as_large(text, lines[before].line):
                found.setdefault(before, ([], []))[1].append(text.text)
        elif before is None and after is not None and gap_after is not None and gap_after <= _NEAR * height:
            found.setdefault(after, ([], []))[0].append(text.text)
    return found


def _is_as_large(text: TextLine, row: TextLine) -> bool:
    """False for details in smaller print: by the height of words and the width of characters."""
    heights = [max(word.height for word in line.words) for line in (text, row)]
    widths = [_character_width(line) for line in (text, row)]
    return heights[0] / heights[1] + widths[0] / widths[1] > 2 * _SMALLER


def _character_width(line: TextLine) -> float:
    words = [word for word in line.words if any(char.isalpha() for char in word.text)] or line.words
    return sum(word.right - word.left for word in words) / sum(len(word.text) for word in words)


def _gap(lines: Sequence[NumberedLine], upper: int, lower: int, table: Table) -> float | None:
    """The largest gap between consecutive lines from one to the other, on the same page; None if there is none."""
    if lines[upper].line.page != lines[lower].line.page:
        return None
    between = [lines[at].line for at in range(upper, lower + 1)]
    return max(max(0.0, below.top - above.bottom) for above, below in zip(between, between[1:], strict=False))
