"""Options that lie near a file: `.inboxd.toml` in its folder and those above it, and the sidecar NAME.toml.

Whoever may drop a file may write these, so they choose among the recipes of config.toml and set options of a recipe,
never what a processor loads or runs. What is wrong in them is told, and the file waits in the inbox until it is mended.
"""

import os
import stat
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from daemon.config import Recipe, Settings
from daemon.inbox import Inbox
from daemon.names import printable_path
from daemon.tables import Nearby
from daemon.validation import nearest, problems
from processors.base import Kind, RecipeOptions

FOLDER_FILE = ".inboxd.toml"
_MOST_BYTES = 64 * 1024


class WrongOptions(Exception):
    """A file near a drop says what cannot be; in words for the person who wrote it."""


@dataclass(frozen=True, kw_only=True)
class Choice:
    """What is to be done with a drop. `origins`: for what comes from near the file, which file says so."""

    recipe: str | None
    priority: int
    options: Mapping[str, Any] = field(default_factory=dict)  # of the recipe, that differ from config.toml's
    origins: Mapping[str, str] = field(default_factory=dict)  # by option; "recipe" for the recipe

    @property
    def overrides(self) -> dict[str, Any]:
        """As the row of the job keeps it."""
        return {"options": dict(self.options), "origins": dict(self.origins)} if self.origins else {}


def choose(settings: Settings, inbox: Inbox, folder: Path, kind: Kind | None, sidecar: Path | None) -> Choice:
    """What config.toml and the files near a drop say together. `folder`: where it lies or lay in the inbox, absolute;
    `sidecar`: its NAME.toml.

    Raises:
        WrongOptions: they do not go together.
        OSError: one of them cannot be read now.
    """
    relative = printable_path(folder.relative_to(inbox.path))
    rules = settings.folder(relative)
    recipe, priority = rules.recipes.get(kind) if kind else None, rules.priority
    options: dict[str, Any] = {}
    origins: dict[str, str] = {}
    for origin, content in _files(inbox, folder, sidecar):
        nearby = _parse(origin, content)
        chosen = nearby.recipe if nearby.recipe is not None else getattr(nearby, kind) if kind else None
        if chosen is not None:
            recipe, origins["recipe"] = chosen or None, origin
        priority = priority if nearby.priority is None else nearby.priority
        own = nearby.model_extra or {}
        _check_known(settings, origin, own)
        options |= own
        origins |= dict.fromkeys(own, origin)
    if not origins:
        return Choice(recipe=recipe, priority=priority)
    return _check(settings, kind, Choice(recipe=recipe, priority=priority, options=options, origins=origins))


def _check_known(settings: Settings, origin: str, options: Mapping[str, Any]) -> None:
    """Folders hold files of several kinds, so an option need not be of the recipe at hand; but of one there is."""
    known = {name for recipe in settings.recipes.values() for name in settable(recipe)} | Nearby.model_fields.keys()
    for name in options.keys() - known:
        loaded = sorted(
            {recipe.processor for recipe in settings.recipes.values() if name in recipe.cls.Options.model_fields}
        )
        if loaded:
            tables = " or ".join(f"[processors.{processor}]" for processor in loaded)
            raise WrongOptions(f"{origin}: unknown key {name!r} here: set it in config.toml, in {tables}.")
        raise WrongOptions(f"{origin}: unknown key {name!r}. {nearest(name, known)}".rstrip())


def _check(settings: Settings, kind: Kind | None, choice: Choice) -> Choice:
    """The choice, less the options that its recipe does not have, if they come from a folder's file."""
    if choice.recipe is None:
        return choice
    where = choice.origins.get("recipe", "config.toml")
    recipe = settings.recipes.get(choice.recipe)
    if recipe is None:
        raise WrongOptions(f"{where} names the recipe {choice.recipe!r}. There are: {', '.join(settings.recipes)}.")
    if kind not in recipe.cls.kinds:
        raise WrongOptions(f"{where} names the recipe {choice.recipe!r}, which does not work on {kind or 'this'}.")
    known = settable(recipe)
    unknown = {name: origin for name, origin in choice.origins.items() if name in choice.options.keys() - known}
    for name, origin in unknown.items():
        if not origin.endswith(FOLDER_FILE):
            known_here = ", ".join(sorted(known)) or "none"
            raise WrongOptions(f"{origin} sets {name!r}, which the recipe {choice.recipe!r} has not: {known_here}.")
    options = {name: value for name, value in choice.options.items() if name in known}
    origins = {name: origin for name, origin in choice.origins.items() if name in known or name == "recipe"}
    try:
        options_of(recipe, options)
    except ValidationError as error:
        wrong = problems(error, type(recipe.recipe_options), _merged(recipe, options))
        raise WrongOptions(f"{', '.join(sorted(set(origins.values())))}: {'; '.join(wrong)}") from error
    return Choice(recipe=choice.recipe, priority=choice.priority, options=options, origins=origins)


def settable(recipe: Recipe) -> set[str]:
    """The options of a recipe that a file near a drop may set."""
    cls = type(recipe.recipe_options)
    return set(cls.model_fields.keys() - cls.only_in_config)


def options_of(recipe: Recipe, overrides: Mapping[str, Any]) -> RecipeOptions:
    """A recipe's options with some of them replaced.

    Raises:
        ValidationError: they do not go together.
    """
    if not overrides:
        return recipe.recipe_options
    return type(recipe.recipe_options).model_validate(_merged(recipe, overrides))


def _merged(recipe: Recipe, overrides: Mapping[str, Any]) -> dict[str, Any]:
    return {**recipe.recipe_options.model_dump(), **overrides}


def _files(inbox: Inbox, folder: Path, sidecar: Path | None) -> list[tuple[str, bytes]]:
    """The files near a drop, the most general first: (name for people, content)."""
    found = []
    parts = folder.relative_to(inbox.path).parts
    for length in range(len(parts) + 1):
        path = inbox.path.joinpath(*parts[:length], FOLDER_FILE)
        try:
            with inbox.opened(path.parent) as descriptor:
                found.append((str(path.relative_to(inbox.path)), _read(path.name, descriptor)))
        except FileNotFoundError:
            continue
    if sidecar is not None:
        found.append((sidecar.name, _read(str(sidecar), None)))
    return found


def _read(name: str, folder: int | None) -> bytes:
    descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise WrongOptions(f"{Path(name).name} is no regular file.")
        content = file.read(_MOST_BYTES + 1)
    if len(content) > _MOST_BYTES:
        raise WrongOptions(f"{Path(name).name} is larger than {_MOST_BYTES} bytes.")
    return content


def _parse(origin: str, content: bytes) -> Nearby:
    try:
        table = tomllib.loads(content.decode())
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise WrongOptions(f"{origin} is no valid TOML: {error}.") from error
    try:
        return Nearby.model_validate(table)
    except ValidationError as error:
        raise WrongOptions(f"{origin}: {'; '.join(problems(error, Nearby, table))}") from error
