"""The values of receipts and invoices that a person may correct, and how they are written. Pure."""

import re
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from enum import StrEnum

_MOST_DIGITS = 18
_AMOUNT = re.compile(r"-?[0-9]{1,40}(?:\.[0-9]{1,40})?")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_BREAK = re.compile(r"\s*[\t-\r\x1c-\x1f\x85\u2028\u2029]\s*")


class Type(StrEnum):
    """What the text of a value is."""

    TEXT = "text"
    AMOUNT = "amount"  # as 1234.50
    DATE = "date"  # as 2024-05-31


Types = Mapping[str, Type]  # by name of the value
RECEIPT: Types = {"shop": Type.TEXT, "date": Type.DATE, "currency": Type.TEXT} | dict.fromkeys(
    ("subtotal", "tax", "tip", "rounding", "total", "paid", "change"), Type.AMOUNT
)
RECEIPT_ITEM: Types = {"description": Type.TEXT} | dict.fromkeys(("quantity", "unit_price", "price"), Type.AMOUNT)
INVOICE: Types = (
    dict.fromkeys(("supplier", "customer", "number"), Type.TEXT)
    | dict.fromkeys(("date", "due_date", "delivery_date"), Type.DATE)
    | dict.fromkeys(("currency", "iban"), Type.TEXT)
    | dict.fromkeys(("net", "tax", "gross", "withheld", "paid", "due"), Type.AMOUNT)
)
INVOICE_LINE: Types = {"description": Type.TEXT, "quantity": Type.AMOUNT, "unit": Type.TEXT} | dict.fromkeys(
    ("unit_price", "discount", "tax_rate", "amount"), Type.AMOUNT
)


def check(name: str, value: str | None, kind: Type) -> None:
    """Check the text of a value; None: it is not printed.

    Raises:
        ValueError: it is not of this type.
    """
    if value is None and kind is Type.TEXT:
        raise ValueError(f"the {shown(name)} must be a text")
    if value is not None and kind is Type.DATE:
        _check_date(name, value)
    if value is not None and kind is Type.AMOUNT:
        _check_amount(name, value)


def parse(value: str | None, kind: Type) -> str | Decimal | date | None:
    """The value of a text that `check` has accepted."""
    if value is None or kind is Type.TEXT:
        return value
    return Decimal(value) if kind is Type.AMOUNT else date.fromisoformat(value)


def one_line(text: str) -> str:
    """The text with a space instead of each line break or tab: files have one line for each text."""
    return _BREAK.sub(" ", text).strip() if _BREAK.search(text) else text


def shown(name: str) -> str:
    """The name of a value, in words."""
    return "IBAN" if name == "iban" else name.replace("_", " ")


def _check_amount(name: str, value: str) -> None:
    if not _AMOUNT.fullmatch(value):
        raise ValueError(f"the {shown(name)} must be a number, such as 1234.50")
    amount = Decimal(value)
    if len(amount.as_tuple().digits) > _MOST_DIGITS or abs(amount.adjusted()) > _MOST_DIGITS:
        raise ValueError(f"the {shown(name)} must be a number with at most {_MOST_DIGITS} digits")


def _check_date(name: str, value: str) -> None:
    try:
        if not _DATE.fullmatch(value):
            raise ValueError(value)
        date.fromisoformat(value)
    except ValueError:
        raise ValueError(f"the {shown(name)} must be year-month-day, such as 2024-05-31") from None
