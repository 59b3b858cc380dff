"""The JSON Schema of what is to be extracted: read, checked before the first file comes, and held against answers.

Imported by the daemon: jsonschema and llguidance (no torch) are imported once a recipe has a schema.
"""

import json
import math
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

_MOST_BYTES = 256 * 1024  # of a schema; a longer one is another file
_MOST_NAMED = 3  # errors told of one answer
_COMPACT = {"separators": (",", ":"), "ensure_ascii": False}


def load(given: object, home: Path) -> dict[str, Any]:
    """The schema itself (a table), or that of the file named, relative to `home`; checked.

    Raises:
        ValueError: there is no such file, it is no JSON Schema, or no answer can be held to it; says what to mend.
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


def _read(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            content = file.read(_MOST_BYTES + 1)
        found = json.loads(content)
    except OSError as error:
        raise ValueError(f"{path} cannot be read ({error.strerror}): correct the name or put the file there") from error
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not valid UTF-8: save it as UTF-8") from error
    except json.JSONDecodeError as error:
        raise ValueError(f"{path} is no JSON: {error}") from error
    except RecursionError as error:
        raise ValueError(f"{path} is nested too deeply for a JSON Schema") from error
    except ValueError as error:  # of int(), which reads at most 4300 digits
        raise ValueError(f"{path} is no schema: it holds a number with too many digits") from error
    if len(content) > _MOST_BYTES:
        raise ValueError(f"{path} is longer than {_MOST_BYTES // 1024} KiB: that is no schema")
    if not isinstance(found, dict):
        raise ValueError(f'{path} is no schema: it must be an object, such as {{"type": "object", "properties": …}}')
    return found


def _check(schema: Mapping[str, Any]) -> None:
    import jsonschema
    from llguidance import LLMatcher

    try:
        jsonschema.Draft202012Validator.check_schema(schema)
    except jsonschema.SchemaError as error:
        raise ValueError(f"is no valid JSON Schema: at {error.json_path}: {error.message}") from error
    if schema.get("type") not in ("object", "array"):
        raise ValueError('must describe an object or an array: add "type": "object" at its top')
    for reference in _references(schema):
        if not reference.startswith("#"):
            raise ValueError(f"refers to {reference!r}: nothing is fetched; copy that part to its own $defs")
    is_error, messages = LLMatcher.validate_grammar_with_warnings(grammar(json.dumps(schema)))
    if is_error:
        raise ValueError(f"cannot hold an answer: {messages[0]}")


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
def grammar(schema: str) -> str:
    """llguidance's grammar of answers that fit `schema` (JSON), without space between their parts.

    What a grammar cannot say (uniqueItems, not, if …) is left to `errors`.
    """
    from llguidance import LLMatcher

    return LLMatcher.grammar_from_json_schema(schema, overrides={"lenient": True, "whitespace_flexible": False})


def written(schema: Mapping[str, Any]) -> str:
    """The schema as it is put into a prompt, and as the key of caches."""
    return json.dumps(schema, **_COMPACT)


def form(schema: Mapping[str, Any]) -> str:
    """The schema as a form to be filled in, for a prompt: each value is its description, `<such as this>`.

    A third as long as the schema, patterns and all, and nearer to the answer; for schemas without references.
    """
    if "properties" in schema:
        return "{" + ", ".join(f'"{name}": {form(value)}' for name, value in schema["properties"].items()) + "}"
    if "items" in schema:
        return f"[{form(schema['items'])}, ...]"
    return f"<{schema.get('description', 'text')}>"


def errors(data: object, schema: Mapping[str, Any]) -> list[str]:
    """How `data` (as `json.loads` gives it) does not fit; the first few, as sentences. Fetches no reference."""
    found = (f"{error.json_path}: {error.message[:200]}" for error in _validator(written(schema)).iter_errors(data))
    first = [message for message, _ in zip(found, range(_MOST_NAMED), strict=False)]
    return first or [f"{path}: is no finite number" for path in _not_finite(data, "$")][:_MOST_NAMED]


@cache
def _validator(schema: str) -> Any:
    import jsonschema
    from referencing import Registry

    return jsonschema.Draft202012Validator(json.loads(schema), registry=Registry())  # which retrieves nothing


def _not_finite(node: object, path: str) -> Iterator[str]:
    """JSON has no infinity, but 1E9999 reads as one."""
    if isinstance(node, float) and not math.isfinite(node):
        yield path
    elif isinstance(node, Mapping):
        for key, value in node.items():
            yield from _not_finite(value, f"{path}.{key}")
    elif isinstance(node, list):
        for number, value in enumerate(node):
            yield from _not_finite(value, f"{path}[{number}]")
