"""Tables of config.toml against their models; what is wrong is told with the nearest known key."""

import difflib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from daemon.errors import ConfigError

FIX = "Correct it and try again; `inboxd config check` shows the settings in force."
_MOST_SHOWN = 200  # characters of a wrong value


def validate(
    cls: Any,
    table: Any,
    where: str,
    location: tuple[str, ...],
    known: list[str] | None = None,
    home: Path | None = None,
) -> Any:
    """`table` as a `cls`.

    where: the file, for messages. location: the table in it. known: its keys, if there are more than those of `cls`.
    home: the folder at which the names of files in `table` start.

    Raises:
        ConfigError: names each key or value that is wrong, and the mend.
    """
    try:
        return cls.model_validate(table, context={"home": home})
    except ValidationError as error:
        raise ConfigError(
            "\n".join(f"{where}: {problem}" for problem in problems(error, cls, table, location, known)),
            FIX,
        ) from error


def nearest(word: str, known: Iterable[str]) -> str:
    """ "Did you mean …? ", if a known word is like it."""
    close = difflib.get_close_matches(word, list(known), n=1)
    return f"Did you mean {close[0]!r}? " if close else ""


def problems(
    error: ValidationError, cls: Any, table: Any, location: tuple[str, ...] = (), known: list[str] | None = None
) -> list[str]:
    """What is wrong in `table`, a sentence for each key or value. The rest as for `validate`."""
    found: dict[tuple[Any, ...], dict[str, Any]] = {}
    for item in error.errors():
        place = _place(table, item)
        if place in found:  # the next of the forms that the value may have
            found[place]["msg"] += f", or {_message(item)}"
        else:
            found[place] = {**item, "loc": place, "msg": _message(item)}
    holders = {place[:length] for place in found for length in range(1, len(place))}  # wrong for what is in them
    return [_problem(item, cls, location, known) for place, item in found.items() if place not in holders]


def _place(table: Any, item: Mapping[str, Any]) -> tuple[Any, ...]:
    """Where in `table` the mistake is: pydantic's `loc`, less its names for the forms that a value may have."""
    place: list[Any] = []
    for part in item["loc"]:
        keys = table if isinstance(table, Mapping) else range(len(table)) if isinstance(table, list | tuple) else ()
        if part in keys:
            table = table[part]
        elif item["type"] != "missing" or part != item["loc"][-1]:
            continue
        place.append(part)
    return tuple(place)


def _message(item: Mapping[str, Any]) -> str:
    message = item["msg"].removeprefix("Value error, ").removeprefix("Input ")
    return message.replace("valid tuple", "valid list").replace("Tuple should", "should")


def _problem(item: Any, cls: Any, location: tuple[str, ...], known: list[str] | None) -> str:
    if not item["loc"]:  # of several keys together
        return f"[{'.'.join(location)}]: {item['msg']}" if location else item["msg"]
    within = item["loc"][:-1] if isinstance(item["loc"][-1], int) else item["loc"]  # a wrong item tells itself
    *path, key = [*location, *(str(part) for part in within)]
    table = f"[{'.'.join(path)}] " if path else ""
    if item["type"] == "extra_forbidden":
        close = nearest(key, known or _fields_at(cls, item["loc"][:-1]))
        return f"{table}unknown key {key!r}. {close}".rstrip()
    return f"{table}{key} = {_shortened(repr(item['input']))}: {item['msg']}"


def _shortened(text: str) -> str:
    return text if len(text) <= _MOST_SHOWN else f"{text[:_MOST_SHOWN]} …"


def _fields_at(cls: Any, location: tuple[Any, ...]) -> list[str]:
    """The keys of the table at `location` below the model `cls`."""
    for part in location:
        if part in getattr(cls, "model_fields", {}):
            cls = cls.model_fields[part].annotation
            cls = next((arg for arg in getattr(cls, "__args__", ()) if hasattr(arg, "model_fields")), cls)
    return list(getattr(cls, "model_fields", {}))
