"""What a person changes in a document. Pure."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, field_validator

from processors.corrections import fields
from processors.corrections.fields import Type

_MAX_CHARS = 2000

JsonObject = dict[str, Any]  # the content of a file NAME.json
RowField = Literal["date", "description", "reference", "debit", "credit", "balance"]
AMOUNTS = ("debit", "credit", "balance")
Text = Annotated[str, Field(max_length=_MAX_CHARS)]
Number = Annotated[int, Field(ge=1, le=10**7)]
Values = Mapping[str, Text | None]  # by name; None: not printed
_ROW: fields.Types = {"date": Type.DATE, "description": Type.TEXT, "reference": Type.TEXT} | dict.fromkeys(
    AMOUNTS, Type.AMOUNT
)


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
            fields.check(name, value, _ROW[name])
            if value is not None and name in ("debit", "credit") and Decimal(value) < 0:
                raise ValueError(f"the {name} must not be negative: use the other column")
        return values


class FieldsChange(_Change):
    """Fields of a receipt or an invoice; a person has confirmed the others as they are."""

    fields: Values


class ItemChange(_Change):
    """An item of a receipt, or a line of an invoice. The number after the last one adds one."""

    item: Number
    values: Values | None  # empty: a person has confirmed it; None: there is no such item


class LineChange(_Change):
    """A line of a page of text."""

    page: Number
    line: Number  # on the page
    text: Text


class SegmentChange(_Change):
    """A segment of a transcript."""

    segment: Number
    text: Text


Change = RowChange | FieldsChange | ItemChange | LineChange | SegmentChange
Changes = TypeAdapter(Sequence[Change])


class InvalidChange(ValueError):
    """The document has no such place, or the change contradicts it."""


def set_values(target: object, values: Values, types: fields.Types) -> None:
    """Set attributes of a receipt, an invoice, or a line of them.

    Raises:
        InvalidChange: it has no such value, or the text is not of its type.
    """
    for name, value in values.items():
        if name not in types:
            raise InvalidChange(f"There is no value {name!r} to correct; there are {', '.join(types)}.")
        try:
            fields.check(name, value, types[name])
        except ValueError as error:
            raise InvalidChange(f"{str(error)[:1].upper()}{str(error)[1:]}.") from error
        setattr(target, name, fields.parse(value, types[name]))
