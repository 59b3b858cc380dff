"""What a person changes in a document. Pure."""

from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, field_validator

_MAX_CHARS = 2000
_MOST_DIGITS = 18

JsonObject = dict[str, Any]  # the content of a file NAME.json
RowField = Literal["date", "description", "reference", "debit", "credit", "balance"]
AMOUNTS = ("debit", "credit", "balance")
Text = Annotated[str, Field(max_length=_MAX_CHARS)]
Number = Annotated[int, Field(ge=1, le=10**7)]


class _Change(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class RowChange(_Change):
    """Values of a row of a statement; none: a person has confirmed the row as it is."""

    row: Number  # from 1, counted over all accounts of the file
    values: Mapping[RowField, Text | None]  # None: not printed

    @field_validator("values")
    @classmethod
    def _is_valid(cls, values: Mapping[RowField, str | None]) -> Mapping[RowField, str | None]:
        for name, value in values.items():
            if value is not None and name in AMOUNTS:
                _check_amount(name, value)
            elif value is not None and name == "date":
                try:
                    date.fromisoformat(value)
                except ValueError:
                    raise ValueError("the date must be year-month-day, such as 2024-05-31") from None
            elif value is None and name in ("description", "reference"):
                raise ValueError(f"the {name} must be a text")
        return values


class LineChange(_Change):
    """A line of a page of text."""

    page: Number
    line: Number  # on the page
    text: Text


class SegmentChange(_Change):
    """A segment of a transcript."""

    segment: Number
    text: Text


Change = RowChange | LineChange | SegmentChange
Changes = TypeAdapter(Sequence[Change])


def _check_amount(name: str, value: str) -> None:
    try:
        amount = Decimal(value)
    except InvalidOperation:
        raise ValueError(f"the {name} must be a number, such as 1234.50") from None
    if not amount.is_finite() or len(amount.as_tuple().digits) > _MOST_DIGITS or abs(amount.adjusted()) > _MOST_DIGITS:
        raise ValueError(f"the {name} must be a number with at most {_MOST_DIGITS} digits")
    if name != "balance" and amount < 0:
        raise ValueError(f"the {name} must not be negative: use the other column")


class InvalidChange(ValueError):
    """The document has no such place, or the change contradicts it."""
