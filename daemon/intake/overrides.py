"""Chooses the recipe and the options of a file: those of config.toml, and those of the options files beside it.

Anyone who may drop a file may write these options files. They can therefore only select a recipe of config.toml and set
its harmless options, never what a processor loads or runs. inboxd reports a mistake in them, and leaves the file in the
inbox until the mistake is corrected.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import ValidationError

from daemon.config.schema import OptionsFile
from daemon.config.settings import Recipe, Settings, why_not_then
from daemon.config.toml import literal
from daemon.config.validation import MAX_MISTAKES, nearest, problems, shortened
from daemon.core.job import Overrides
from daemon.core.names import printable_path
from daemon.files.inbox import Inbox
from daemon.intake.options_files import InvalidOptions, UnwrittenSidecar, parse, read_sources
from processors.contract import Kind, RecipeOptions


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
    for source in read_sources(inbox, folder, sidecar):
        origin, table = source.origin, parse(source.content)
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
        tables = ", ".join(f"[processors.{processor}]" for processor in sorted(processors))
        return f"{literal(name)} cannot be set here: set it in config.toml, in {tables} or in a recipe."
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
