"""Describes the recipes, for people and programs: what each is for, where it is bound, and whether it could run now."""

from typing import Any, TypedDict

from daemon.config.option_texts import OPTION_TEXTS
from daemon.config.settings import Recipe, Settings
from processors import contract


class RecipeFacts(TypedDict):
    """A recipe as `inboxd recipes` and the control socket show it."""

    name: str
    is_built_in: bool
    processor: str  # the recipe's own
    runs_on: str | None  # the processor that would process a file now; None: none could
    note: str  # why another processor would process it, what the recipe waits for, or which server must respond
    kinds: list[str]  # of files: "image", "audio", "text"
    folders: list[str]  # of the inbox, that are bound to it; "" is the top
    options: dict[str, object]  # the values in force
    schema: dict[str, Any]  # JSON Schema of the options, with defaults and descriptions
    settable: list[str]  # the options that may be set for one file


def describe_recipes(settings: Settings) -> list[RecipeFacts]:
    """All recipes, by name. Looks only at config.toml and the downloaded weights."""
    return [_describe(recipe, settings) for _, recipe in sorted(settings.recipes.items())]


def _describe(recipe: Recipe, settings: Settings) -> RecipeFacts:
    runs_on, note = _plan(recipe, settings)
    return {
        "name": recipe.name,
        "is_built_in": recipe.is_built_in,
        "processor": recipe.processor,
        "runs_on": runs_on,
        "note": note,
        "kinds": sorted(recipe.kinds),
        "folders": sorted(name for name, rules in settings.folders.items() if recipe.name in rules.recipes.values()),
        "options": recipe.recipe_options.model_dump(mode="json"),
        "schema": _schema(recipe),
        "settable": sorted(type(recipe.recipe_options).model_fields.keys() - recipe.recipe_options.only_in_config),
    }


def _schema(recipe: Recipe) -> dict[str, Any]:
    schema = type(recipe.recipe_options).model_json_schema()
    for name, option in schema.get("properties", {}).items():
        if name in OPTION_TEXTS:
            option.setdefault("description", OPTION_TEXTS[name])
    return schema


def _plan(recipe: Recipe, settings: Settings) -> tuple[str | None, str]:
    """The processor that would process a file now, with the reason if it is not the recipe's own, or the server that
    must respond; None, with what is missing, if there is none."""
    try:
        plan = recipe.cls.plan(recipe.options, recipe.recipe_options, settings.models)
    except Exception as error:  # a processor's own code
        return None, f"Its processor failed to plan the recipe ({error!r})."
    match plan:
        case contract.NotReady():
            return None, plan.why
        case contract.Substitute():
            return plan.processor, plan.why
    if servers := getattr(recipe.options, "base_urls", ()):
        return (
            recipe.processor,
            f"Its jobs run if {' or '.join(servers)} responds; inboxd does not check this in advance.",
        )
    return recipe.processor, ""
