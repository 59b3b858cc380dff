"""Options from files near an original: `.inboxd.toml` in its folder and the folders above, and the sidecar NAME.toml.

All users of the inbox may write these files, so they can only choose among the recipes of config.toml and set options
of a recipe, never what a processor loads or runs. Errors in them are reported, and the original waits in the inbox
until they are fixed. They are opened relative to their folders, never by their paths, and read up to their size limit.

In a shared inbox, users may not choose for the files of others: an options file counts only if it belongs to root, to
the user of this service, to the owner of its folder or, if it is a sidecar, to the owner of NAME. Others are ignored;
`why_ignored` explains why.
"""

import functools
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from daemon.config import toml
from daemon.config.schema import Nearby
from daemon.config.settings import Recipe, Settings
from daemon.config.validation import nearest, problems
from daemon.core.names import (
    MAX_SIDECAR_BYTES,
    OPTIONS_SUFFIX,
    SIDECAR_SUFFIXES,
    printable,
    printable_path,
    printable_sentence,
)
from daemon.files.inbox import Inbox
from processors.contract import Kind, RecipeOptions

FOLDER_FILE = ".inboxd.toml"
MAX_OPTIONS_BYTES = MAX_SIDECAR_BYTES[OPTIONS_SUFFIX]  # total size of the options files that apply to one file
_PARSED = 128  # cached files: a folder's options are needed for each file in it


class WrongOptions(Exception):
    """An options file is invalid; the message is for the person who wrote it."""

    def __init__(self, what: str):
        super().__init__(printable_sentence(what))


@dataclass(frozen=True, kw_only=True)
class _Source:
    """An options file. `is_shared`: applies to all files in a folder, which may be of several kinds."""

    origin: str  # display name
    is_shared: bool
    content: bytes


@dataclass(frozen=True, kw_only=True)
class Choice:
    """How a file is to be processed. `origins`: which options file has set what."""

    recipe: str | None
    priority: int
    options: Mapping[str, Any] = field(default_factory=dict)  # options of the recipe that differ from config.toml
    origins: Mapping[str, str] = field(default_factory=dict)  # by option; "recipe" for the recipe

    @property
    def overrides(self) -> dict[str, Any]:
        """The column of the job's row."""
        return {"options": dict(self.options), "origins": dict(self.origins)} if self.origins else {}


def choose(settings: Settings, inbox: Inbox, folder: Path, kind: Kind | None, sidecar: Path | None) -> Choice:
    """Choose the recipe and its options from config.toml and the options files near an original. `folder`: the inbox
    folder that it is in or came from, absolute; `sidecar`: its NAME.toml.

    Raises:
        WrongOptions: one is invalid, or they contradict one another.
        OSError: one of them cannot be read now.
    """
    relative = printable_path(folder.relative_to(inbox.path))
    rules = settings.folder(relative)
    recipe, priority = rules.recipes.get(kind) if kind else None, rules.priority
    options: dict[str, Any] = {}
    origins: dict[str, str] = {}
    shared: set[str] = set()
    for source in _sources(inbox, folder, sidecar):
        origin, nearby = source.origin, _parsed(source.content)
        if isinstance(nearby, str):
            raise WrongOptions(f"{origin}{nearby}")
        chosen = nearby.recipe if nearby.recipe is not None else getattr(nearby, kind) if kind else None
        if chosen is not None:
            recipe, origins["recipe"] = chosen or None, origin
        priority = priority if nearby.priority is None else nearby.priority
        own = nearby.model_extra or {}
        _check_known(settings, origin, own)
        options |= own
        origins |= dict.fromkeys(own, origin)
        shared = shared | own.keys() if source.is_shared else shared - own.keys()
    if not origins:
        return Choice(recipe=recipe, priority=priority)
    choice = Choice(recipe=recipe, priority=priority, options=options, origins=origins)
    return _check(settings, kind, choice, shared)


def _check_known(settings: Settings, origin: str, options: Mapping[str, Any]) -> None:
    """Check that each option exists in some recipe: not necessarily in this one, as a folder may hold several kinds."""
    known = {name for recipe in settings.recipes.values() for name in settable(recipe)} | Nearby.model_fields.keys()
    for name in options.keys() - known:
        loaded = sorted(
            {recipe.processor for recipe in settings.recipes.values() if name in recipe.cls.Options.model_fields}
        )
        if loaded:
            tables = " or ".join(f"[processors.{processor}]" for processor in loaded)
            raise WrongOptions(f"{origin}: unknown key {name!r} here: set it in config.toml, in {tables}.")
        raise WrongOptions(f"{origin}: unknown key {name!r}. {nearest(name, known)}".rstrip())


def _check(settings: Settings, kind: Kind | None, choice: Choice, shared: set[str]) -> Choice:
    """Validate the choice; drop options that its recipe lacks if they are `shared`, from a folder's file."""
    if choice.recipe is None:  # no recipe will use its options
        origins = {name: origin for name, origin in choice.origins.items() if name == "recipe"}
        return Choice(recipe=None, priority=choice.priority, origins=origins)
    where = choice.origins.get("recipe", "config.toml")
    recipe = settings.recipes.get(choice.recipe)
    if recipe is None:
        raise WrongOptions(f"{where} names the recipe {choice.recipe!r}. There are: {', '.join(settings.recipes)}.")
    if kind not in recipe.cls.kinds:
        raise WrongOptions(f"{where} names the recipe {choice.recipe!r}, which does not work on {kind or 'this'}.")
    known = settable(recipe)
    unknown = {name: origin for name, origin in choice.origins.items() if name in choice.options.keys() - known}
    for name, origin in unknown.items():
        if name not in shared:
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
    """The options of a recipe that options files may set."""
    cls = type(recipe.recipe_options)
    return set(cls.model_fields.keys() - cls.only_in_config)


def options_of(recipe: Recipe, overrides: Mapping[str, Any]) -> RecipeOptions:
    """A recipe's options with some of them replaced.

    Raises:
        ValidationError: they are invalid or contradict one another.
    """
    if not overrides:
        return recipe.recipe_options
    return type(recipe.recipe_options).model_validate(_merged(recipe, overrides))


def _merged(recipe: Recipe, overrides: Mapping[str, Any]) -> dict[str, Any]:
    return {**recipe.recipe_options.model_dump(), **overrides}


def why_ignored(inbox: Inbox, path: Path) -> str | None:
    """Why a `.inboxd.toml`, or a sidecar in the inbox whose file NAME exists, is ignored; None: it is not, or it does
    not exist.

    Raises:
        OSError: that cannot be determined now.
    """
    try:
        with inbox.opened(path.parent) as folder:
            above = os.fstat(folder)
            facts = os.stat(path.name, dir_fd=folder, follow_symlinks=False)
            if path.name == FOLDER_FILE:
                whose, owners = "its folder", {above.st_uid}
            elif path.suffix in SIDECAR_SUFFIXES:
                main = os.stat(path.stem, dir_fd=folder, follow_symlinks=False)
                whose, owners = path.stem, {above.st_uid, main.st_uid}
            else:
                return None
    except FileNotFoundError:
        return None
    if facts.st_uid in owners | {0, os.geteuid()}:
        return None
    return f"it belongs to another user (uid {facts.st_uid}) than {whose}, so it is ignored."


def read_bounded(inbox: Inbox, path: Path, limit: int) -> bytes:
    """Read a file in the inbox that may be growing.

    Raises:
        WrongOptions: it has more than `limit` bytes.
        OSError: see `Inbox.open_file`.
    """
    with inbox.open_file(path) as file:
        content = file.read(limit + 1)
    if len(content) > limit:
        raise WrongOptions(too_large(path.name, limit))
    return content


def _read_folder_file(inbox: Inbox, path: Path) -> bytes | None:
    """Read a `.inboxd.toml`; None: it does not exist, or is ignored."""
    try:
        if why_ignored(inbox, path):
            return None
        with inbox.opened(path.parent) as folder:
            owner = os.fstat(folder).st_uid
        with inbox.open_file(path) as file:
            if os.fstat(file.fileno()).st_uid not in (owner, 0, os.geteuid()):  # replaced since
                return None
            content = file.read(MAX_OPTIONS_BYTES + 1)
    except FileNotFoundError:
        return None
    if len(content) > MAX_OPTIONS_BYTES:
        raise WrongOptions(too_large(path.name, MAX_OPTIONS_BYTES))
    return content


def too_large(name: str, limit: int) -> str:
    """The message for a sidecar that exceeds its limit."""
    return f"{printable(name)} exceeds the limit of {limit // 1024} KiB. Shorten or remove it."


def _sources(inbox: Inbox, folder: Path, sidecar: Path | None) -> list[_Source]:
    """Read the options files that apply to a file, the most general first."""
    found, left = [], MAX_OPTIONS_BYTES
    parts = folder.relative_to(inbox.path).parts
    paths = [inbox.path.joinpath(*parts[:length], FOLDER_FILE) for length in range(len(parts) + 1)]
    for path in [*paths, *([sidecar] if sidecar else [])]:
        is_shared = path is not sidecar
        content = _read_folder_file(inbox, path) if is_shared else read_bounded(inbox, path, MAX_OPTIONS_BYTES)
        if content is None:
            continue
        origin = printable_path(path.relative_to(inbox.path)) if is_shared else printable(path.name)
        left -= len(content)
        if left < 0:
            limit = MAX_OPTIONS_BYTES // 1024
            raise WrongOptions(
                f"{origin} and the {FOLDER_FILE} files above it exceed {limit} KiB in total. Shorten them."
            )
        found.append(_Source(origin=origin, is_shared=is_shared, content=content))
    return found


@functools.lru_cache(maxsize=_PARSED)
def _parsed(content: bytes) -> Nearby | str:
    """Parse an options file; for an invalid one, return the error message to append to its name."""
    try:
        table = toml.parse(content)
    except ValueError as error:
        return f" is not valid TOML: {error}."
    for name, value in table.items():
        try:
            toml.check_plain(value)
        except ValueError as error:
            return f": {printable_sentence(name, most=100)}: {error}."
    try:
        return Nearby.model_validate(table)
    except ValidationError as error:
        return f": {'; '.join(problems(error, Nearby, table))}"
