"""The forms of the console that correct a document: their inputs, and the change that a submitted form describes."""

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

from babel.numbers import NumberFormatError, format_decimal, parse_decimal

from daemon.results import corrections, document_files, documents, result_files
from daemon.results.numbered_items import numbered
from daemon.web.errors import WebError
from daemon.web.pages.formats import Formats
from processors.corrections import fields
from processors.corrections.fields import Type, Types

_ROW: Types = {"date": Type.DATE, "description": Type.TEXT, "reference": Type.TEXT} | dict.fromkeys(
    ("debit", "credit", "balance"), Type.AMOUNT
)
_WORDS = {"debit": "Money out", "credit": "Money in", "tax_rate": "Tax in percent", "discount": "Discount in percent"}
_LONG = ("description", "shop", "supplier", "customer")


@dataclass(frozen=True, kw_only=True)
class Input:
    """An input of a form."""

    name: str
    label: str
    value: str
    type: Type
    is_long: bool


def number_in(form: Mapping[str, str], name: str) -> int:
    """Read the integer in the field `name`.

    Raises:
        WebError: the field has no number.
    """
    text = form.get(name, "")
    if not (text.isascii() and text.isdecimal() and len(text) < 9):
        raise WebError(400, "bad_parameter", f"{name} has a wrong value.")
    return int(text)


def change_of(
    form: Mapping[str, str], result: result_files.Result | None, formats: Formats
) -> tuple[corrections.Change, str]:
    """Return the change that a form describes, and the anchor of the corrected place in the page.

    Raises:
        WebError: a field has an invalid value, or the document has no such place.
    """
    document = document_files.load(result) if result is not None else None
    if "row" in form:
        number = number_in(form, "row")
        row = _row(document, number)
        return {"row": number, "values": _differences(form, row, _ROW, formats)}, f"#r{number}"
    if "item" in form:
        number = number_in(form, "item")
        if "remove" in form:
            return {"item": number, "values": None}, "#it"
        item = next((each.of for each in numbered(document, result) if each.number == number), None)
        return {"item": number, "values": _differences(form, item, types_of_items(document), formats)}, f"#i{number}"
    if "fields" in form:
        return {"fields": _differences(form, document, types_of(document), formats)}, "#fields"
    if "segment" in form:
        return {"segment": number_in(form, "segment"), "text": form.get("text", "")}, "#tr"
    change = {"page": number_in(form, "page"), "line": number_in(form, "line"), "text": form.get("text", "")}
    return change, "#tx"


def types_of(document: documents.Document | None) -> Types:
    """The fields of a receipt or an invoice."""
    match document:
        case documents.Receipt():
            return fields.RECEIPT
        case documents.Invoice():
            return fields.INVOICE
    return {}


def types_of_items(document: documents.Document | None) -> Types:
    """The fields of an item of a receipt or an invoice."""
    match document:
        case documents.Receipt():
            return fields.RECEIPT_ITEM
        case documents.Invoice():
            return fields.INVOICE_LINE
    return {}


def inputs(of: object, types: Types) -> list[Input]:
    """The inputs of a form. `of`: the values that they show; None: they are empty."""
    return [
        Input(
            name=name,
            label=_WORDS.get(name) or fields.shown(name)[:1].upper() + fields.shown(name)[1:],
            value=str(getattr(of, name, None) or ""),
            type=kind,
            is_long=name in _LONG,
        )
        for name, kind in types.items()
    ]


def _row(document: documents.Document | None, number: int) -> documents.StatementRow:
    accounts = document.statements if isinstance(document, documents.Statement) else ()
    rows = [each for account in accounts for each in account.rows]
    if not 1 <= number <= len(rows):
        raise WebError(404, "no_such_row", f"There is no row {number}.")
    return rows[number - 1]


def _differences(form: Mapping[str, str], shown: object, types: Types, formats: Formats) -> dict[str, str | None]:
    """The values that differ from those shown. If none differs, the person has confirmed the values."""
    values: dict[str, str | None] = {}
    for name, kind in types.items():
        if name not in form:
            continue
        text = form[name].strip()
        if text and text == str(getattr(shown, name, None)):
            continue
        entered = _amount(text, name, formats) if kind is Type.AMOUNT else text
        value = entered if entered or kind is Type.TEXT else None
        if value != (getattr(shown, name, None) or ("" if kind is Type.TEXT else None)):
            values[name] = value
    return values


def _amount(text: str, name: str, formats: Formats) -> str:
    """Read an amount that is written as 1234.50, or in the format of the browser's language; return it as 1234.50."""
    if not text:
        return ""
    found = set()
    with contextlib.suppress(InvalidOperation):
        found.add(Decimal(text))
    with contextlib.suppress(NumberFormatError):
        found.add(parse_decimal(text, locale=formats.locale, strict=True))
    if not found:
        what = f"The {fields.shown(name)} must be a number, such as 1234.50."
        raise WebError(422, "wrong_correction", what)
    if len(found) > 1:
        ways = (format_decimal(each, "0.###", locale=formats.locale) for each in sorted(found, reverse=True))
        what = f"{text} can mean {' or '.join(ways)}: write it in one of these ways."
        raise WebError(422, "wrong_correction", what)
    return str(found.pop())
