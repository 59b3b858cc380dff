"""What a person changes in a document. Pure."""

import unicodedata
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    TypeAdapter,
    ValidationError,
    field_validator,
)

from processors.corrections import fields
from processors.corrections.fields import Type

_MAX_CHARS = 2000
_MOST_PROBLEMS = 3  # of changes, in a message

JsonObject = dict[str, Any]  # the content of a file NAME.json
RowField = Literal["date", "description", "reference", "debit", "credit", "balance"]
AMOUNTS = ("debit", "credit", "balance")


def _without_controls(text: str) -> str:
    if any(unicodedata.category(char) == "Cc" for char in text):
        raise ValueError("a text must be one line without control characters")
    return text


Text = Annotated[str, Field(max_length=_MAX_CHARS), AfterValidator(_without_controls)]
Number = Annotated[int, Field(ge=1, le=10**7, strict=True)]  # strict: neither true nor "2"
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
    """Fields of a receipt or an invoice; a person has confirmed the others unchanged."""

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


def _kind(change: object) -> str:
    """The key that names the place, which distinguishes the kinds of changes."""
    return next((each for each in _KINDS if isinstance(change, Mapping) and each in change), "line")


_KINDS = ("row", "fields", "item", "segment", "line")
Change = Annotated[
    Annotated[RowChange, Tag("row")]
    | Annotated[FieldsChange, Tag("fields")]
    | Annotated[ItemChange, Tag("item")]
    | Annotated[LineChange, Tag("line")]
    | Annotated[SegmentChange, Tag("segment")],
    Discriminator(_kind),
]
Changes = TypeAdapter(Sequence[Change])


class InvalidChange(ValueError):
    """The document has no such place, or the change contradicts it."""


def _named(number: int) -> str:
    return f"change {number}" if number > 0 else "an earlier change"


def problems(error: ValidationError, *, earlier: int = 0) -> str:
    """What is wrong with changes, in words: "In change 2: row: Input should be a valid integer".

    earlier: how many changes, at the start, were made before; the others count from 1.
    """
    found = []
    for each in error.errors()[:_MOST_PROBLEMS]:
        number, _, *place = each["loc"]
        where = "" if each["type"] == "value_error" else "".join(f"{part}: " for part in place if part != "[key]")
        what = f"{where}{each['msg'].removeprefix('Value error, ')}"
        if place[-1:] == ["[key]"]:
            what = f"there is no value {each['input']!r} to correct: choose one of {', '.join(_ROW)}"
        found.append(f"{_named(int(number) + 1 - earlier)}: {what}")
    return f"In {'; '.join(found)}."


def set_values(target: object, values: Values, types: fields.Types) -> None:
    """Set attributes of a receipt, an invoice, or a line of them.

    Raises:
        InvalidChange: it has no such value, or the text is not of its type.
    """
    for name, value in values.items():
        if name not in types:
            raise InvalidChange(f"There is no value {name!r} to correct: choose one of {', '.join(types)}.")
        try:
            fields.check(name, value, types[name])
        except ValueError as error:
            raise InvalidChange(f"{str(error)[:1].upper()}{str(error)[1:]}.") from error
        setattr(target, name, fields.parse(value, types[name]))
