"""The lines of an invoice on which taxes may be printed, as `receipts.taxes` reads them. Pure."""

from collections.abc import Sequence

from processors.statements.invoices.keywords import find_invoice_role
from processors.statements.invoices.numbers import NumberedLine, last_label
from processors.statements.notation.words import TextLine

_NO_TAX = ("withheld", "charge", "discount", "payment", "information", "carried", "rounding")


def find_tax_lines(lines: Sequence[NumberedLine], skipped: set[int], first: int) -> list[list[TextLine]]:
    """The lines from number `first` on that are not rows: as printed, but cut if two tables are side by side."""
    others = [
        line
        for at, line in enumerate(lines)
        if at >= first and at not in skipped and not line.is_prose
        if not (line.amounts and find_invoice_role(line.label) in _NO_TAX)
    ]
    whole = [_without_text_at_left(line) for line in others]
    cut = [part for line in others for part in _cut(line)]
    return [whole, cut] if len(cut) > len(whole) else [whole]


def _without_text_at_left(line: NumberedLine) -> TextLine:
    """The line from the label of its first amount on."""
    if not line.amounts or not line.label:
        return line.line
    start = line.text.find(line.label)
    return _part(line, start, len(line.text)) if 0 < start < line.amounts[0].start else line.line


def _cut(line: NumberedLine) -> list[TextLine]:
    """The parts of a line, each from a label to the amount before the next one."""
    starts, end = [0], 0
    for amount in line.amounts:
        between = line.text[end : amount.start]
        if label := last_label(between):
            starts.append(end + between.find(label))
        end = amount.end
    ends = [*starts[1:], len(line.text)]
    return [_part(line, start, end) for start, end in zip(starts, ends, strict=True) if line.text[start:end].strip()]


def _part(line: NumberedLine, start: int, end: int) -> TextLine:
    words = [word for (begin, _), word in zip(line.places, line.line.words, strict=True) if start <= begin < end]
    return TextLine(page=line.line.page, words=tuple(words))
