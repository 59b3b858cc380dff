"""The rules of each inbox folder, from `[inbox]` and `[inbox.folders.NAME]`: its recipes and their options."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from daemon.config.schema import FolderTable, InboxTable
from daemon.config.settings import Folder, Recipe, why_not_then
from daemon.config.toml import has_controls, key_literal, literal
from daemon.config.validation import nearest, validate
from daemon.core.errors import ConfigError
from processors.contract import Kind

_FOLDER_VALUES = ("priority", "originals", "layout", "duplicates", "unsupported", "wait_for_done", "wait_for_sidecar")


def folder_rules(inbox: InboxTable, recipes: Mapping[str, Recipe], where: str) -> dict[str, Folder]:
    """The rules by folder; "" is the top folder.

    Raises:
        ConfigError: a name is not that of a folder, or a recipe or an option does not exist or fit.
    """
    folders = {"": _folder(inbox, None)}
    for name in sorted(inbox.folders):  # a folder comes after the one that holds it
        _check_name(name, where)
        parts = Path(name).parts
        above = next(
            folders["/".join(parts[:length])]
            for length in range(len(parts) - 1, -1, -1)
            if "/".join(parts[:length]) in folders
        )
        folders[name] = _folder(inbox.folders[name], above)
    for name, folder in folders.items():
        table_name = f'[inbox.folders."{name}"]' if name else "[inbox]"
        for kind, recipe in folder.recipes.items():
            _check_binding(table_name, kind, recipe, recipes, where)
        _check_options(table_name, folder, recipes, where)
    return folders


def _check_name(name: str, where: str) -> None:
    parts = Path(name).parts
    if has_controls(name):
        raise ConfigError(
            f"{where}: [inbox.folders.{literal(name)}] must not contain control characters, such as line breaks.",
            "Rename the folder, and use its new name here.",
        )
    if not parts or name.startswith(("/", ".")) or ".." in parts:
        raise ConfigError(
            f'{where}: [inbox.folders."{name}"] is not a folder in the inbox.',
            'Name it relative to the inbox, such as [inbox.folders.bank] or [inbox.folders."bank/2024"].',
        )
    if name != "/".join(parts):
        raise ConfigError(
            f"{where}: [inbox.folders.{literal(name)}] is not a normalized path.",
            f"Write [inbox.folders.{key_literal('/'.join(parts))}].",
        )


def _folder(table: InboxTable | FolderTable, above: Folder | None) -> Folder:
    """The rules for one folder; `above`: those of the folder that contains it, for what its table leaves out."""

    def value(name: str) -> Any:
        own = getattr(table, name)
        return getattr(above, name) if own is None else own

    inherited = above.recipes if above else {}
    bound = {kind: inherited.get(kind, "") if getattr(table, kind) is None else getattr(table, kind) for kind in Kind}
    return Folder(
        recipes={kind: recipe for kind, recipe in bound.items() if recipe},
        options={**(above.options if above else {}), **table.options},
        **{name: value(name) for name in _FOLDER_VALUES},
    )


def _check_options(table: str, folder: Folder, recipes: Mapping[str, Recipe], where: str) -> None:
    """Check that each option is one of an existing recipe, and valid for the recipes that the folder uses."""
    known = {name for recipe in recipes.values() for name in recipe.cls.Recipe.model_fields}
    for name in (name for name in folder.options if name not in known):
        what = f"{where}: {table} options: unknown key {literal(name)}."
        similar = (nearest(name, recipes[bound].cls.Recipe.model_fields) for bound in folder.recipes.values())
        raise ConfigError(what, "".join(dict.fromkeys(similar)) or nearest(name, known) or "Remove it.")
    for bound in folder.recipes.values():
        recipe = recipes[bound]
        own = {name: value for name, value in folder.options.items() if name in recipe.cls.Recipe.model_fields}
        merged = {**recipe.recipe_options.model_dump(), **own}
        options = validate(recipe.cls.Recipe, merged, where, (table.strip("[]"), "options"))
        check_then(f"{table} options, then", options.then, recipes, where)


def check_then(what: str, then: Sequence[str], recipes: Mapping[str, Recipe], where: str) -> None:
    """Check the recipes that follow another one. what: the table and key that name them.

    Raises:
        ConfigError: one of them cannot.
    """
    for name in then:
        if why := why_not_then(name, recipes):
            raise ConfigError(f"{where}: {what} = {literal(name)}: {why}.", _fix_then(name, recipes))


def _fix_then(name: str, recipes: Mapping[str, Recipe]) -> str:
    fitting = sorted(each for each in recipes if why_not_then(each, recipes) is None)
    hint = "" if name in recipes else nearest(name, fitting)
    return f"{hint}Recipes that can follow another: {', '.join(fitting)}."


def _check_binding(table: str, kind: Kind, recipe: str, recipes: Mapping[str, Recipe], where: str) -> None:
    if recipe not in recipes:
        raise ConfigError(
            f"{where}: {table} {kind} = {literal(recipe)}: unknown recipe.",
            f"{nearest(recipe, recipes)}Known recipes: {', '.join(sorted(recipes))}.",
        )
    if kind not in recipes[recipe].kinds:
        others = sorted(name for name, each in recipes.items() if kind in each.kinds)
        raise ConfigError(
            f"{where}: {table} {kind} = {literal(recipe)}: the recipe supports "
            f"{' and '.join(sorted(recipes[recipe].kinds))} files, not {kind} files.",
            f"For {kind} files: {', '.join(others)}." if others else "Name another recipe.",
        )
