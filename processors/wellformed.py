"""Text and JSON that every reader accepts: no surrogates, no NaN, no infinity. Pure."""

import json
import math
from collections.abc import Callable, Mapping
from typing import NoReturn


def text(found: str) -> str:
    """Return valid Unicode: a surrogate pair becomes its character, a lone surrogate U+FFFD."""
    return found if found.isascii() else found.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def texts(value: object) -> object:
    """Apply `text` to every string in a JSON value."""
    match value:
        case str():
            return text(value)
        case dict():
            return {text(key): texts(each) for key, each in value.items()}
        case list():
            return [texts(each) for each in value]
    return value


def finite(value: object) -> object:
    """Replace numbers that JSON cannot represent (RFC 8259, 6) in a JSON value with None."""
    match value:
        case float():
            return value if math.isfinite(value) else None
        case Mapping():
            return {key: finite(each) for key, each in value.items()}
        case list() | tuple():
            return [finite(each) for each in value]
    return value


def dumps(
    value: object,
    *,
    indent: int | None = None,
    levels: int | None = None,
    default: Callable[[object], object] | None = None,
) -> str:
    """Serialize to JSON that any parser accepts, without escaping non-ASCII text. `default`: see `json.dumps`.

    levels: of objects and arrays that are indented; those within them are written on one line, which is faster.
    """

    def known(other: object) -> object:
        if default is None:
            raise TypeError(f"{type(other).__name__} is not a JSON type")
        return finite(default(other))

    def encode(part: object, indent: int | None = None) -> str:
        return json.dumps(part, ensure_ascii=False, allow_nan=False, indent=indent, default=known)

    def write(whole: object) -> str:
        if indent is None or levels is None:
            return text(encode(whole, indent))
        return text(_spread(whole, "\n", " " * indent, levels, encode))

    try:
        return write(value)
    except (ValueError, TypeError):  # a number, or a mapping, that `json` does not know
        return write(finite(value))


def _spread(value: object, line: str, step: str, levels: int, encode: Callable[[object], str]) -> str:
    """JSON with an indentation in the first `levels`. line: the line end and indentation around the value."""
    match value:
        case {**pairs} if pairs and levels:
            parts = [
                f"{encode(str(key))}: {_spread(each, line + step, step, levels - 1, encode)}"
                for key, each in pairs.items()
            ]
            return f"{{{line}{step}{f',{line}{step}'.join(parts)}{line}}}"
        case [*items] if items and levels:
            parts = [_spread(each, line + step, step, levels - 1, encode) for each in items]
            return f"[{line}{step}{f',{line}{step}'.join(parts)}{line}]"
    return encode(value)


def refuse_constant(name: str) -> NoReturn:
    """Reject NaN and Infinity, as `parse_constant` of `json.loads`, which accepts them by default.

    Raises:
        ValueError: always.
    """
    raise ValueError(f"{name} is not JSON")
