"""Pydantic's errors about a value, in words for people who write config.toml."""

import math
from collections.abc import Mapping
from typing import get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from daemon.config.toml import literal

_WORDS = {  # by pydantic's type of the error
    **dict.fromkeys(("int_type", "int_parsing", "int_from_float", "int_parsing_size"), "must be a whole number"),
    **dict.fromkeys(("float_type", "float_parsing", "finite_number"), "must be a number"),
    **dict.fromkeys(("bool_type", "bool_parsing"), "must be true or false"),
    **dict.fromkeys(
        ("list_type", "tuple_type", "set_type", "frozen_set_type"), 'must be a list, such as ["one", "two"]'
    ),
    **dict.fromkeys(("dict_type", "mapping_type", "model_type", "model_attributes_type"), "must be a table"),
    "string_type": "must be text, in quotes",
    "path_type": "must be a path, in quotes",
    "missing": "is missing",
}
DESCRIBED = "string_pattern_mismatch"  # its words are the field's description, of all forms of its value
_BOUNDS = ("gt", "ge", "lt", "le")
_BOUND_TYPES = {"greater_than", "greater_than_equal", "less_than", "less_than_equal"}

Place = tuple[int | str, ...]  # keys and numbers of items, from the table down


def describe_error(item: ErrorDetails, cls: type[BaseModel]) -> str:
    """The reason why a value is wrong, in plain words."""
    kind, value, context = item["type"], item["input"], item.get("ctx", {})
    if kind in _WORDS:
        return _WORDS[kind]
    if kind in _BOUND_TYPES:
        return _bounds_words(_bounds(cls, item["loc"]) | {key: context[key] for key in _BOUNDS if key in context})
    match kind:
        case "literal_error" | "enum":
            return f"must be {context['expected']}".replace("'", '"')
        case "too_short":
            return f"must have at least {_count(context['min_length'], 'item')}"
        case "too_long":
            return f"must have at most {_count(context['max_length'], 'item')}"
        case "string_too_short":
            least = context["min_length"]
            return "must not be empty" if least == 1 else f"must have at least {_count(least, 'character')}"
        case "string_too_long":
            return f"must have at most {_count(context['max_length'], 'character')}"
        case kind if kind == DESCRIBED:
            field = _field(cls, item["loc"])
            return f"must be {(field and field.description) or 'text that matches ' + context['pattern']}"
    words = item["msg"].removeprefix("Value error, ").removeprefix(f"{value!r} ").replace(repr(value), literal(value))
    if isinstance(value, float) and math.isnan(value):
        return "must be a number of seconds" if "duration" in words else "must be a number"
    return words


def _count(number: int, what: str) -> str:
    return f"one {what}" if number == 1 else f"{number:,} {what}s"


def _bounds_words(bounds: Mapping[str, float]) -> str:
    if "ge" in bounds and "le" in bounds:
        return f"must be between {_number(bounds['ge'])} and {_number(bounds['le'])}"
    words = {"ge": "at least", "gt": "greater than", "le": "at most", "lt": "less than"}
    stated = [key for key in words if key in bounds and not (key == "ge" and "gt" in bounds)]
    return f"must be {' and '.join(f'{words[key]} {_number(bounds[key])}' for key in stated)}"


def _number(number: float) -> str:
    return f"{int(number) if number == int(number) else number:,}"


def _bounds(cls: object, loc: Place) -> dict[str, float]:
    """All bounds of the number at `loc` below the model `cls`, as its annotation states them."""
    field = _field(cls, loc)
    if field is None:
        return {}
    marks = [*field.metadata, *(mark for arg in _flat(field.annotation) for mark in getattr(arg, "__metadata__", ()))]
    marks += [inner for mark in marks for inner in getattr(mark, "metadata", ())]  # of a Field(…) in an Annotated
    return {key: getattr(mark, key) for mark in marks for key in _BOUNDS if getattr(mark, key, None) is not None}


def _field(cls: object, loc: Place) -> FieldInfo | None:
    """The field at `loc` below the model `cls`."""
    field = None
    for part in loc:
        if part in (fields := getattr(cls, "model_fields", {})):
            field = fields[part]
            cls = model_in(field.annotation)
    return field


def _flat(annotation: object) -> list[object]:
    found = [annotation]
    for each in found:  # grows during the iteration
        found += [arg for arg in get_args(each) if arg not in found]
    return found


def model_in(annotation: object) -> object:
    """The model in an annotation such as `dict[str, FolderTable]`."""
    return next((arg for arg in _flat(annotation) if hasattr(arg, "model_fields")), annotation)
