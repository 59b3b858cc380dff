"""JSON by a schema: loads and checks a recipe's JSON Schema, validates answers, and reads and writes exact numbers.

Imported by the daemon: jsonschema and llguidance (no torch) are imported once a recipe has a schema.
"""

import json
import math
from collections.abc import Iterator, Mapping
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from processors import wellformed

if TYPE_CHECKING:
    from jsonschema import Draft202012Validator

_MAX_BYTES = 256 * 1024  # of a schema; a longer file is not a schema
_MAX_ERRORS = 3  # reported for one answer
_COMPACT = (",", ":")  # separators of JSON


# ---------------------------------------------------------------------------------------------- JSON Schema


def load_schema(given: object, home: Path) -> dict[str, object]:
    """Check and return a schema, given as a table or as the name of a file relative to `home`.

    Raises:
        ValueError: the file is missing, not a JSON Schema, or not convertible to a grammar; says what to fix.
    """
    if not isinstance(given, str | dict):
        raise ValueError("is neither the name of a JSON Schema file nor a table")
    found = given if isinstance(given, dict) else _read(_path(given, home))
    try:
        _check(found)
    except RecursionError:
        raise ValueError("is nested too deeply for a JSON Schema") from None
    return found


def _path(given: str, home: Path) -> Path:
    if "\0" in given:
        raise ValueError("is not the name of a file: it contains a NUL character")
    try:
        return home / Path(given).expanduser()
    except RuntimeError as error:
        raise ValueError(f"{given} names the home folder of a user who does not exist") from error


def _read(path: Path) -> dict[str, object]:
    try:
        with path.open("rb") as file:
            content = file.read(_MAX_BYTES + 1)
        found = json.loads(content)
    except OSError as error:
        raise ValueError(f"{path} cannot be read ({error.strerror}): correct the name or put the file there") from error
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not valid UTF-8: save it as UTF-8") from error
    except json.JSONDecodeError as error:
        raise ValueError(f"{path} is not JSON: {error}") from error
    except RecursionError as error:
        raise ValueError(f"{path} is nested too deeply for a JSON Schema") from error
    except ValueError as error:  # of int(), which reads at most 4300 digits
        raise ValueError(f"{path} is not a schema: it contains a number with too many digits") from error
    if len(content) > _MAX_BYTES:
        raise ValueError(f"{path} is longer than {_MAX_BYTES // 1024} KiB: too long for a schema")
    if not isinstance(found, dict):
        raise ValueError(f'{path} is not a schema: it must be an object, such as {{"type": "object", "properties": …}}')
    return found


def _check(schema: Mapping[str, object]) -> None:
    import jsonschema
    from llguidance import LLMatcher

    try:
        jsonschema.Draft202012Validator.check_schema(schema)
    except jsonschema.SchemaError as error:
        raise ValueError(f"is not a valid JSON Schema: at {error.json_path}: {error.message}") from error
    if schema.get("type") not in ("object", "array"):
        raise ValueError('must describe an object or an array: add "type": "object" at its top')
    for reference in _references(schema):
        if not reference.startswith("#"):
            raise ValueError(f"refers to {reference!r}: nothing is fetched; copy that part to its own $defs")
    is_error, messages = LLMatcher.validate_grammar_with_warnings(schema_grammar(json.dumps(schema)))
    if is_error:
        raise ValueError(f"cannot be compiled to a grammar: {messages[0]}")


def _references(node: object) -> Iterator[str]:
    if isinstance(node, Mapping):
        for key, value in node.items():
            if key in ("$ref", "$dynamicRef") and isinstance(value, str):
                yield value
            yield from _references(value)
    elif isinstance(node, list):
        for value in node:
            yield from _references(value)


@cache
def schema_grammar(schema: str) -> str:
    """The llguidance grammar of answers that fit `schema` (JSON), without whitespace between their parts.

    What a grammar cannot express (uniqueItems, not, if …) is left to `schema_errors`.
    """
    from llguidance import LLMatcher

    return LLMatcher.grammar_from_json_schema(schema, overrides={"lenient": True, "whitespace_flexible": False})


def schema_text(schema: Mapping[str, object]) -> str:
    """The schema as text in a prompt, and as the key of caches."""
    return json.dumps(schema, separators=_COMPACT, ensure_ascii=False)


def schema_form(schema: Mapping[str, Any]) -> str:
    """The schema as a form to fill in, for a prompt: each value is replaced by its description, `<like this>`.

    A third as long as the schema with its patterns, and closer to the answer; only for schemas without references.
    """
    if "properties" in schema:
        return "{" + ", ".join(f'"{name}": {schema_form(value)}' for name, value in schema["properties"].items()) + "}"
    if "items" in schema and "description" not in schema:
        return f"[{schema_form(schema['items'])}, ...]"
    return f"<{schema.get('description', 'text')}>"


def schema_errors(data: object, schema: Mapping[str, object]) -> list[str]:
    """The first few violations in `data` (as `json.loads` returns it), as sentences. Fetches no reference."""
    found = (f"{error.json_path}: {error.message[:200]}" for error in _validator(schema_text(schema)).iter_errors(data))
    first = [message for message, _ in zip(found, range(_MAX_ERRORS), strict=False)]
    return first or [f"{path}: is not a finite number" for path in _not_finite(data, "$")][:_MAX_ERRORS]


@cache
def _validator(schema: str) -> "Draft202012Validator":
    import jsonschema
    from referencing import Registry

    return jsonschema.Draft202012Validator(
        json.loads(schema), registry=Registry()
    )  # an empty registry: fetches nothing


def _not_finite(node: object, path: str) -> Iterator[str]:
    """JSON has no infinity, but `json.loads` reads 1E9999 as one."""
    if isinstance(node, float) and not math.isfinite(node):
        yield path
    elif isinstance(node, Mapping):
        for key, value in node.items():
            yield from _not_finite(value, f"{path}.{key}")
    elif isinstance(node, list):
        for number, value in enumerate(node):
            yield from _not_finite(value, f"{path}[{number}]")


# ---------------------------------------------------------------------------------------------- exact numbers


def loads(text: str) -> Any:
    """Like `json.loads`, but with Decimal for non-integer numbers (no amount passes through a float), and without lone
    surrogates.

    Raises:
        ValueError: it is not JSON.
    """
    return wellformed.texts(json.loads(text, parse_float=Decimal, parse_constant=wellformed.refuse_constant))


def dumps(value: object, indent: str = "") -> str:
    """The same JSON, indented, with each Decimal as it was written."""
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


def _quote(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)
