"""The items of receipts and the lines of invoices with their numbers, which corrections never change."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from daemon.results import documents, result_files
from processors.corrections import items

Item = documents.Item | documents.InvoiceLine


@dataclass(frozen=True, kw_only=True)
class Numbered:
    """An item of a receipt or a line of an invoice, with its number in the document as it was read."""

    number: int
    of: Item


def numbered(document: documents.Document | None, result: result_files.Result | None) -> list[Numbered]:
    """The items of a document with their numbers; `result`: with the corrections that the document has, None: none."""
    found = _items(document)
    numbers = items.numbers(len(found), _changed(result))
    return [Numbered(number=number, of=item) for number, item in zip(numbers, found, strict=True)]


def next_item(document: documents.Document | None, result: result_files.Result | None) -> int:
    """The number of an item to add."""
    shown = [each.number for each in numbered(document, result)]
    return 1 + max([0, *shown, *(number for number, _ in _changed(result))])


def _changed(result: result_files.Result | None) -> Iterator[tuple[int, bool]]:
    """The number of each corrected item, and whether it was removed; in order."""
    for change in result_files.corrections_of(result) if result is not None else ():
        number = change.get("item")
        if isinstance(number, int):
            yield number, change.get("values") is None


def _items(document: documents.Document | None) -> Sequence[Item]:
    match document:
        case documents.Receipt():
            return document.items
        case documents.Invoice():
            return document.lines
    return ()
