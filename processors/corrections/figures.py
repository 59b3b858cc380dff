"""What corrections of receipts and invoices share: doubts that a person settles, currencies, taxes, CSV."""

import copy
import re
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Protocol, TypeVar

from processors.corrections.changes import FieldsChange, InvalidChange, ItemChange
from processors.statements.notation.currencies import CODES, CODES_LIKE_WORDS
from processors.statements.receipts.records import TaxLine
from processors.statements.writing.csv_style import CsvOptions, CsvStyle

BY_A_PERSON = "a person"  # confirms a figure that no other figure confirms


class _Reviewed(Protocol):
    reasons: list[str]


D = TypeVar("D", bound=_Reviewed)


def reading_reasons(document: D, verify: Callable[[D], None]) -> list[str]:
    """The reasons that do not follow from the values: doubts of the reader, and differences to a second reading.
    verify: adds the reasons that follow from the values."""
    again = copy.deepcopy(document)
    again.reasons = []
    verify(again)
    return [each for each in document.reasons if each not in again.reasons]


def touched_items(descriptions: Sequence[str], changes: Sequence[FieldsChange | ItemChange]) -> list[str]:
    """The descriptions, as read, of the items that a person has corrected, confirmed or removed."""
    numbers = {change.item for change in changes if isinstance(change, ItemChange)}
    return [text for number, text in enumerate(descriptions, 1) if number in numbers]


def is_settled(reason: str, touched: Sequence[str], fields: re.Pattern[str] | None) -> bool:
    """True for a doubt about an item in `touched`, or about a field. `fields`: what names one, once confirmed."""
    about = re.sub(r"^page \d+: ", "", reason)
    if any(about.startswith(f"{description!r}:") for description in touched):
        return True
    return fields is not None and fields.search(reason) is not None


def check_currency(code: str) -> None:
    """Raises InvalidChange if this is no code of a currency."""
    if code and code not in CODES and code not in CODES_LIKE_WORDS:
        raise InvalidChange(f"{code!r} is no currency code of ISO 4217, such as EUR.")


def follow_tax(
    taxes: Sequence[TaxLine], gross_before: Decimal | None, tax: Decimal | None, gross: Decimal | None
) -> None:
    """Correct the only line of tax as well: it has the same figures."""
    if len(taxes) != 1 or tax is None:
        return
    [line] = taxes
    line.tax = tax
    if line.gross is not None and line.gross == gross_before and gross is not None:
        line.gross = gross
    if line.net is not None and line.gross is not None:
        line.net = line.gross - line.tax


def contradiction_of_taxes(taxes: Sequence[TaxLine], tax: Decimal | None) -> str:
    """Why the taxes by rate do not fit the tax; "" if they do."""
    by_rate = sum((line.tax for line in taxes), Decimal(0))
    if not taxes or tax is None or by_rate == tax:
        return ""
    return f"the taxes by rate add up to {by_rate}, but the tax is {tax}"


def csv_style(options: object) -> CsvStyle:
    """The style of CSV that the options of a recipe name."""
    given = options if isinstance(options, dict) else {}
    return CsvOptions.model_validate(
        {name: value for name, value in given.items() if str(name).startswith("csv_")}
    ).csv_style
