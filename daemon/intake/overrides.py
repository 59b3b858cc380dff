"""Options beside a file: `.inboxd.toml` in its folder and in those above, and the sidecar NAME.toml.

Anyone who may drop a file may write these options files. They can therefore only select a recipe of config.toml and set
its harmless options, never what a processor loads or runs. inboxd reports a mistake in them, and leaves the file in the
inbox until the mistake is corrected. It opens options files through their folders, never by path, and reads them only
up to the size limit.

In an inbox of several users, nobody may set options for the files of another user. inboxd uses an options file only if
it belongs to root, to the user of this service, to the owner of its folder or, for a sidecar, to the owner of the file
NAME. It ignores all others; `why_untrusted` gives the reason.
"""

import functools
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import ValidationError

from daemon.config import toml
from daemon.config.schema import OptionsFile
from daemon.config.settings import Recipe, Settings, why_not_then
from daemon.config.toml import literal
from daemon.config.validation import MAX_MISTAKES, nearest, problems, shortened
from daemon.core import regular_files
from daemon.core.job import Overrides
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
_PARSED = 128  # cached files: a folder's options apply to each file in it


class InvalidOptions(Exception):
    """An options file contains a mistake; described for the person who wrote it."""

    def __init__(self, what: str):
        super().__init__(printable_sentence(what))


@dataclass(frozen=True, kw_only=True)
class _Source:
    """An options file. `is_shared`: the options apply to all files in a folder, which may be of several kinds."""

    origin: str  # display name
    is_shared: bool
    content: bytes


@dataclass(frozen=True, kw_only=True)
class Choice:
    """The options with which to process a file. `origins`: the options file that each value comes from."""

    recipe: str | None
    priority: int
    options: Mapping[str, object] = field(default_factory=dict)  # of the recipe, where they differ from config.toml's
    origins: Mapping[str, str] = field(default_factory=dict)  # by option; "recipe" for the recipe

    @property
    def overrides(self) -> Overrides:
        """The overrides that the job's row stores."""
        return Overrides(options=dict(self.options), origins=dict(self.origins)) if self.origins else Overrides()


@dataclass(frozen=True, kw_only=True)
class UnwrittenSidecar:
    """The content that NAME.toml would have, for a file that a program submits together with its options."""

    name: str
    content: bytes


def choose(
    settings: Settings, inbox: Inbox, folder: Path, kind: Kind | None, sidecar: Path | UnwrittenSidecar | None
) -> Choice:
    """Combine config.toml with the options files of a file. `folder`: absolute path of its folder in the inbox, which
    need not exist; `sidecar`: its NAME.toml.

    Raises:
        InvalidOptions: an options file contains a mistake.
        OSError: an options file cannot be read now.
    """
    relative = printable_path(folder.relative_to(inbox.path))
    rules = settings.folder(relative)
    recipe, priority = rules.recipes.get(kind) if kind else None, rules.priority
    options: dict[str, object] = {}
    origins: dict[str, str] = {}
    shared: set[str] = set()
    for source in _sources(inbox, folder, sidecar):
        origin, table = source.origin, _parsed(source.content)
        if isinstance(table, str):
            raise InvalidOptions(f"{origin}{table}")
        chosen = table.recipe if table.recipe is not None else getattr(table, kind) if kind else None
        if chosen is not None:
            recipe, origins["recipe"] = chosen or None, origin
        priority = priority if table.priority is None else table.priority
        own = table.model_extra or {}
        _check_known(settings, origin, own)
        options |= own
        origins |= dict.fromkeys(own, origin)
        shared = shared | own.keys() if source.is_shared else shared - own.keys()
    if not origins:
        return Choice(recipe=recipe, priority=priority)
    choice = Choice(recipe=recipe, priority=priority, options=options, origins=origins)
    return _check(settings, kind, choice, shared)


def _check_known(settings: Settings, origin: str, options: Mapping[str, object]) -> None:
    """Check that each option belongs to at least one recipe: a folder's files may be of several kinds and recipes."""
    known = {*OptionsFile.model_fields, *(name for recipe in settings.recipes.values() for name in settable(recipe))}
    if unknown := [name for name in options if name not in known]:
        sentences = [_unknown(settings, name, known) for name in unknown[:MAX_MISTAKES]]  # each search takes time
        raise InvalidOptions(f"{origin}: {' '.join(shortened(sentences, more=len(unknown) - len(sentences)))}")


def _unknown(settings: Settings, name: str, known: set[str]) -> str:
    """A sentence about an option that no recipe has, with the fix if one is known."""
    processors = {recipe.processor for recipe in settings.recipes.values() if name in recipe.cls.Options.model_fields}
    if processors:
        tables = " or ".join(f"[processors.{processor}]" for processor in sorted(processors))
        return f"{literal(name)} cannot be set here: set it in config.toml, in {tables}."
    return f"unknown key {literal(name)}. {nearest(name, known)}".rstrip()


def _check(settings: Settings, kind: Kind | None, choice: Choice, shared: set[str]) -> Choice:
    """Validate the choice; drop options that its recipe lacks if they are `shared`, from a folder's file."""
    if choice.recipe is None:  # no recipe will use the options
        origins = {name: origin for name, origin in choice.origins.items() if name == "recipe"}
        return Choice(recipe=None, priority=choice.priority, origins=origins)
    where = choice.origins.get("recipe", "config.toml")
    recipe = settings.recipes.get(choice.recipe)
    if recipe is None:
        known_recipes = ", ".join(sorted(settings.recipes))
        raise InvalidOptions(f"{where}: unknown recipe {literal(choice.recipe)}. Known recipes: {known_recipes}.")
    if kind not in recipe.kinds:
        files = f"{kind} files" if kind else "files of this type"
        raise InvalidOptions(f"{where}: the recipe {literal(choice.recipe)} does not support {files}.")
    known = settable(recipe)
    if foreign := [name for name in choice.options if name not in known | shared]:
        raise InvalidOptions(_foreign(choice, foreign, known))
    options = {name: value for name, value in choice.options.items() if name in known}
    origins = {name: origin for name, origin in choice.origins.items() if name in known or name == "recipe"}
    try:
        then = options_of(recipe, options).then
    except ValidationError as error:
        wrong = problems(error, type(recipe.recipe_options), _merged(recipe, options))
        raise InvalidOptions(f"{', '.join(sorted(set(origins.values())))}: {'; '.join(wrong)}") from error
    for name in then:
        if why := why_not_then(name, settings.recipes):
            raise InvalidOptions(f"{origins.get('then', where)}: then = {literal(name)}: {why}.")
    return Choice(recipe=choice.recipe, priority=choice.priority, options=options, origins=origins)


def _foreign(choice: Choice, names: Sequence[str], known: set[str]) -> str:
    """A sentence about options that the recipe does not have."""
    origins = ", ".join(sorted({choice.origins[name] for name in names}))
    has = f"it has {', '.join(sorted(known))}" if known else "it has none"
    return f"{origins}: {', '.join(map(literal, names))}: not an option of the recipe {literal(choice.recipe)}; {has}."


def settable(recipe: Recipe) -> set[str]:
    """The options of a recipe that an options file may set."""
    cls = type(recipe.recipe_options)
    return set(cls.model_fields.keys() - cls.only_in_config)


def options_of(recipe: Recipe, overrides: Mapping[str, object]) -> RecipeOptions:
    """A recipe's options, with `overrides` in place of some values.

    Raises:
        ValidationError: a value is invalid, or two values contradict each other.
    """
    if not overrides:
        return recipe.recipe_options
    return type(recipe.recipe_options).model_validate(_merged(recipe, overrides))


def _merged(recipe: Recipe, overrides: Mapping[str, object]) -> dict[str, object]:
    return {**recipe.recipe_options.model_dump(), **overrides}


def why_untrusted(inbox: Inbox, path: Path) -> str | None:
    """The reason why inboxd ignores a `.inboxd.toml`, or the sidecar of a file in the inbox; None if inboxd uses it, or
    if it does not exist.

    Raises:
        OSError: the owner of a file cannot be determined now.
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
    return f"it is ignored, because it belongs to another user (uid {facts.st_uid}) than {whose}."


def read_bounded(inbox: Inbox, path: Path, limit: int) -> bytes:
    """Read a file in the inbox that may be growing.

    Raises:
        InvalidOptions: the file has more than `limit` bytes.
        OSError: see `Inbox.open_file`.
    """
    with inbox.open_file(path) as file:
        content = file.read(limit + 1)
    if len(content) > limit:
        raise InvalidOptions(too_large(path.name, limit))
    return content


def _read_folder_file(inbox: Inbox, path: Path) -> bytes | None:
    """Read a `.inboxd.toml`; None: the file does not exist, or inboxd ignores it."""
    try:
        with inbox.opened(path.parent) as folder:
            trusted = (os.fstat(folder).st_uid, 0, os.geteuid())  # see `why_untrusted`
            if os.stat(path.name, dir_fd=folder, follow_symlinks=False).st_uid not in trusted:
                return None
            descriptor = regular_files.open_regular(path.name, folder)
    except FileNotFoundError:
        return None
    with os.fdopen(descriptor, "rb") as file:
        if os.fstat(descriptor).st_uid not in trusted:  # another file has replaced it meanwhile
            return None
        content = file.read(MAX_OPTIONS_BYTES + 1)
    if len(content) > MAX_OPTIONS_BYTES:
        raise InvalidOptions(too_large(path.name, MAX_OPTIONS_BYTES))
    return content


def too_large(name: str, limit: int) -> str:
    """The message for a sidecar that exceeds its limit."""
    return f"{printable(name)} exceeds the limit of {limit // 1024} KiB. Shorten or remove it."


def _sources(inbox: Inbox, folder: Path, sidecar: Path | UnwrittenSidecar | None) -> list[_Source]:
    """Read the options files that apply to a file, most general first."""
    parts = folder.relative_to(inbox.path).parts
    paths = [inbox.path.joinpath(*parts[:length], FOLDER_FILE) for length in range(len(parts) + 1)]
    found = []
    for path in paths:
        if (content := _read_folder_file(inbox, path)) is not None:
            origin = printable_path(path.relative_to(inbox.path))
            found.append(_Source(origin=origin, is_shared=True, content=content))
    if sidecar is not None:
        found.append(_own_source(inbox, sidecar))
    left = MAX_OPTIONS_BYTES
    for source in found:
        left -= len(source.content)
        if left < 0:
            limit = MAX_OPTIONS_BYTES // 1024
            raise InvalidOptions(
                f"{source.origin} and the {FOLDER_FILE} files above it exceed {limit} KiB in total. Shorten them."
            )
    return found


def _own_source(inbox: Inbox, sidecar: Path | UnwrittenSidecar) -> _Source:
    """Read NAME.toml."""
    if isinstance(sidecar, UnwrittenSidecar):
        content = sidecar.content
    else:
        content = read_bounded(inbox, sidecar, MAX_OPTIONS_BYTES)
    return _Source(origin=printable(sidecar.name), is_shared=False, content=content)


@functools.lru_cache(maxsize=_PARSED)
def _parsed(content: bytes) -> OptionsFile | str:
    """Parse an options file; if it is invalid, return the end of an error message that begins with its name."""
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
        return OptionsFile.model_validate(table)
    except ValidationError as error:
        return f": {'; '.join(problems(error, OptionsFile, table))}"
