"""Tables of config.toml against their models; what is wrong is told with the nearest known key."""

import difflib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from daemon.errors import ConfigError

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
        problems = [_problem(item, cls, location, known) for item in error.errors()]
        raise ConfigError(
            "\n".join(f"{where}: {problem}" for problem in problems),
            "Mend it and start again; `inboxd config check` shows the settings in force.",
        ) from error


def nearest(word: str, known: Iterable[str]) -> str:
    """ "Did you mean …? ", if a known word is like it."""
    close = difflib.get_close_matches(word, list(known), n=1)
    return f"Did you mean {close[0]!r}? " if close else ""


def _problem(item: Any, cls: Any, location: tuple[str, ...], known: list[str] | None) -> str:
    message = item["msg"].removeprefix("Value error, ").removeprefix("Input ")
    if not item["loc"]:  # of several keys together
        return f"[{'.'.join(location)}]: {message}"
    *path, key = [*location, *(str(part) for part in item["loc"])]
    table = f"[{'.'.join(path)}] " if path else ""
    if item["type"] == "extra_forbidden":
        close = nearest(key, known or _fields_at(cls, item["loc"][:-1]))
        return f"{table}unknown key {key!r}. {close}".rstrip()
    return f"{table}{key} = {_shortened(repr(item['input']))}: {message}"


def _shortened(text: str) -> str:
    return text if len(text) <= _MOST_SHOWN else f"{text[:_MOST_SHOWN]} …"


def _fields_at(cls: Any, location: tuple[Any, ...]) -> list[str]:
    """The keys of the table at `location` below the model `cls`."""
    for part in location:
        if part in getattr(cls, "model_fields", {}):
            cls = cls.model_fields[part].annotation
            cls = next((arg for arg in getattr(cls, "__args__", ()) if hasattr(arg, "model_fields")), cls)
    return list(getattr(cls, "model_fields", {}))
