"""JSON whose numbers stay as they are written: an amount never passes through a float. Pure."""

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from processors import wellformed


def loads(text: str) -> Any:
    """As `json.loads`, with Decimal for non-integer numbers, and without lone surrogates.

    Raises:
        ValueError: it is no JSON.
    """
    return wellformed.texts(json.loads(text, parse_float=Decimal, parse_constant=wellformed.refuse_constant))


def dumps(value: Any, indent: str = "") -> str:
    """The same JSON again, indented; a Decimal as it was written."""
    deeper = indent + "  "
    match value:
        case Mapping() if value:
            inside = (f"{deeper}{_quote(key)}: {dumps(each, deeper)}" for key, each in value.items())
            return "{\n" + ",\n".join(inside) + f"\n{indent}}}"
        case list() | tuple() if value:
            return "[\n" + ",\n".join(f"{deeper}{dumps(each, deeper)}" for each in value) + f"\n{indent}]"
        case Decimal():
            return str(value)
        case _:
            return _quote(value)


def _quote(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
