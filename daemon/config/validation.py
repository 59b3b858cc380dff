"""Validation of tables of config.toml against their models, with each mistake reported in words."""

import contextlib
import difflib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from daemon.config.error_words import DESCRIBED, Place, describe_error, model_in
from daemon.config.toml import key_literal, literal
from daemon.core.errors import ConfigError

M = TypeVar("M", bound=BaseModel)

FIX = "Correct config.toml; docs/settings.md explains the settings."
MAX_MISTAKES = 50  # in one file, to show
_MOST_ITEMS = 3  # wrong items of a list to show


@dataclass(kw_only=True)
class _Mistake:
    """A wrong value. `kind`: pydantic's type of the error; `words`: why it is wrong."""

    kind: str
    place: Place
    words: str
    value: object


def validate(
    cls: type[M],
    table: object,
    where: str,
    location: tuple[str, ...],
    known: list[str] | None = None,
    home: Path | None = None,
) -> M:
    """`table` as a `cls`.

    where: the file, for messages. location: the table in it. known: its keys, if there are more than those of `cls`.
    home: the folder that relative paths in `table` start at.

    Raises:
        ConfigError: names each wrong key or value, and the fix.
    """
    try:
        return cls.model_validate(table, context={"home": home})
    except ValidationError as error:
        raise ConfigError(
            "\n".join(f"{where}: {problem}" for problem in problems(error, cls, table, location, known)), FIX
        ) from error


class Mistakes:
    """Collects ConfigErrors, so that a file with several mistakes is refused once, for all of them."""

    def __init__(self) -> None:
        self._found: list[ConfigError] = []

    @contextlib.contextmanager
    def collected(self) -> Iterator[None]:
        """Keep a ConfigError of this block for `raise_all`."""
        try:
            yield
        except ConfigError as error:
            self._found.append(error)

    def raise_all(self) -> None:
        """Raise the collected errors, if any, as one ConfigError."""
        if self._found:
            fixes = dict.fromkeys(error.fix for error in self._found)
            whats = shortened([error.what for error in self._found])
            raise ConfigError("\n".join(whats), "\n".join(list(fixes)[:MAX_MISTAKES])) from self._found[0]


def nearest(word: str, known: Iterable[str]) -> str:
    """ "Did you mean …? ", if a known word is similar."""
    close = difflib.get_close_matches(word, list(known), n=1)
    return f"Did you mean {literal(close[0])}? " if close else ""


def problems(
    error: ValidationError,
    cls: type[BaseModel],
    table: object,
    location: tuple[str, ...] = (),
    known: list[str] | None = None,
) -> list[str]:
    """The mistakes in `table`, a sentence for each key or value, in their order. For the arguments see `validate`."""
    found: dict[Place, _Mistake] = {}
    for item in error.errors():
        place, words = _place(table, item), describe_error(item, cls)
        if place not in found:
            value = _value(table, place, item["input"])
            found[place] = _Mistake(kind=item["type"], place=place, words=words, value=value)
        elif found[place].kind != DESCRIBED and words not in found[place].words:  # another form that it may have
            found[place].words += f", or {words.removeprefix('must be ')}"
    holders = {place[:length] for place in found for length in range(1, len(place))}  # wrong because of their content
    wrong = [item for place, item in found.items() if place not in holders]
    orders: dict[int, dict[int | str, int]] = {}
    return _sentences(sorted(wrong, key=lambda item: _position(table, item.place, orders)), cls, location, known)


def _place(table: Any, item: ErrorDetails) -> Place:
    """The place of the mistake in `table`: pydantic's `loc` without the names of alternative types of a value."""
    place: list[int | str] = []
    for part in item["loc"]:
        keys = table if isinstance(table, Mapping) else range(len(table)) if isinstance(table, list | tuple) else ()
        if part in keys:
            table = table[part]
        elif item["type"] != "missing" or part != item["loc"][-1]:
            continue
        place.append(part)
    return tuple(place)


def _value(table: Any, place: Place, seen: object) -> object:
    """The value at `place` as written; `seen`: the same, perhaps converted by an earlier validator."""
    for part in place:
        try:
            table = table[part]
        except (KeyError, IndexError, TypeError):
            return seen
    return table


def _position(table: Any, place: Place, orders: dict[int, dict[int | str, int]]) -> list[int]:
    """The position of `place` in the file; a missing key is at the end of its table. `orders`: the positions of the
    keys by the table's identity, filled here."""
    position: list[int] = []
    for part in place:
        if id(table) not in orders:
            keys = table if isinstance(table, Mapping) else range(len(table))
            orders[id(table)] = {key: number for number, key in enumerate(keys)}
        order = orders[id(table)]
        if part not in order:
            return [*position, len(order)]
        position.append(order[part])
        table = table[part]
    return position


# ---------------------------------------------------------------------------------------------- sentences


def _sentences(wrong: Iterable[_Mistake], cls: object, location: tuple[str, ...], known: list[str] | None) -> list[str]:
    """A sentence for each mistake; one for all items of a list that are wrong for the same reason."""
    values: dict[tuple[str, str], list[str]] = {}  # by the key and the words
    for item in wrong:
        place, value, words = item.place, item.value, item.words
        is_item = bool(place) and isinstance(place[-1], int)
        if not place or (
            is_item and isinstance(value, Mapping) and item.kind == "value_error"
        ):  # of several keys together
            values.setdefault((f"{_table_name((*location, *place))}: " * bool(location or place), words), [])
            continue
        whole: Place = (*location, *(place[:-1] if is_item else place))
        path, key = whole[:-1], str(whole[-1])
        table = f"{_table_name(path)} " if path else ""
        if item.kind == "extra_forbidden":
            is_shown = len(values) < MAX_MISTAKES  # a search for thousands of keys takes seconds
            close = nearest(key, known or _fields_at(cls, place[:-1])) if is_shown else ""
            values.setdefault((f"{table}unknown key {literal(key)}. {close}".rstrip(), ""), [])
        elif item.kind == "missing":
            values.setdefault((f"{table}{key_literal(key)} ", words), [])
        else:
            shown = values.setdefault((f"{table}{key_literal(key)} = ", words), [])
            shown.append(literal(value))
    return shortened([_sentence(key, words, shown) for (key, words), shown in values.items()])


def shortened(sentences: list[str], *, more: int = 0) -> list[str]:
    """The first sentences about mistakes. `more`: how many mistakes have none."""
    more += max(0, len(sentences) - MAX_MISTAKES)
    return [*sentences[:MAX_MISTAKES], f"… and {more} more mistakes."] if more else sentences


def _sentence(key: str, words: str, shown: list[str]) -> str:
    if not shown:
        return f"{key}{words}"
    if len(shown) == 1 and shown[0].startswith('"') and shown[0] in words:  # the reason contains it
        return f"{key.removesuffix(' = ')}: {words}"
    more = f", … ({len(shown)} in all)" if len(shown) > _MOST_ITEMS else ""
    return f"{key}{', '.join(shown[:_MOST_ITEMS])}{more}: {words}"


def _table_name(path: Place) -> str:
    """`[a.b]`; of a table in a list, `[[hooks]] number 1`."""
    name = ""
    parts: list[str] = []
    for part in path:
        if isinstance(part, int):
            name, parts = f"[[{'.'.join(parts)}]] number {part + 1}", []
        else:
            parts.append(key_literal(part))
    after = ".".join(parts)
    return f"{name} {after}".rstrip() if name else f"[{after}]"


def _fields_at(cls: object, location: Place) -> list[str]:
    """The keys of the table at `location` below the model `cls`."""
    for part in location:
        if part in (fields := getattr(cls, "model_fields", {})):
            cls = model_in(fields[part].annotation)
    return list(getattr(cls, "model_fields", {}))
