"""The values of receipts and invoices that a person may correct, and how they are written. Pure."""

from collections.abc import Mapping
from datetime import date
from decimal import Decimal, InvalidOperation
from enum import StrEnum

_MOST_DIGITS = 18


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
        try:
            date.fromisoformat(value)
        except ValueError:
            raise ValueError(f"the {shown(name)} must be year-month-day, such as 2024-05-31") from None
    if value is not None and kind is Type.AMOUNT:
        _check_amount(name, value)


def parse(value: str | None, kind: Type) -> str | Decimal | date | None:
    """The value of a text that `check` has accepted."""
    if value is None or kind is Type.TEXT:
        return value
    return Decimal(value) if kind is Type.AMOUNT else date.fromisoformat(value)


def shown(name: str) -> str:
    """The name of a value, in words."""
    return "IBAN" if name == "iban" else name.replace("_", " ")


def _check_amount(name: str, value: str) -> None:
    try:
        amount = Decimal(value)
    except InvalidOperation:
        raise ValueError(f"the {shown(name)} must be a number, such as 1234.50") from None
    if not amount.is_finite() or len(amount.as_tuple().digits) > _MOST_DIGITS or abs(amount.adjusted()) > _MOST_DIGITS:
        raise ValueError(f"the {shown(name)} must be a number with at most {_MOST_DIGITS} digits")
