"""The settings as plain values, and what differs between two of them, as config.toml spells it."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

from daemon.config.settings import Folder, Settings
from daemon.config.toml import key_literal, literal
from processors.contract import Kind

_PATHS = ("inbox", "outbox", "state", "models")
_TABLES = ("retry", "workers", "cluster", "schedule", "retention", "metrics")  # that the daemon itself uses

_Tables = dict[str, dict[str, object]]  # by name, such as "[recipes.lecture]": the values by key


def describe(settings: Settings) -> dict[str, Any]:
    """The settings in force as plain values, for people and scripts."""
    return {
        "source": str(settings.source) if settings.source else None,
        **{name: str(getattr(settings, name)) for name in _PATHS},
        "settle_seconds": settings.settle_seconds,
        "ignore": list(settings.ignore),
        "folders": {name: asdict(folder) for name, folder in settings.folders.items()},
        "recipes": {
            name: {
                "processor": recipe.processor,
                **recipe.options.model_dump(mode="json"),
                **recipe.recipe_options.model_dump(mode="json"),
            }
            for name, recipe in settings.recipes.items()
        },
        "processors": {name: options.model_dump(mode="json") for name, options in settings.processors.items()},
        **{name: getattr(settings, name).model_dump(mode="json") for name in (*_TABLES, "web")},
        "devices": {name: table.model_dump() for name, table in settings.devices.items()},
        "hooks": [
            {**hook.model_dump(mode="json"), "webhook": hook.name if hook.webhook else ""} for hook in settings.hooks
        ],
    }


def changes(old: Settings, new: Settings) -> list[str]:
    """A line for each difference, such as `[recipes.lecture] language = "de" (was "auto")`."""
    processors = tuple(dict.fromkeys((*old.processors, *new.processors)))
    before, after = _tables(old, processors), _tables(new, processors)
    lines = []
    for table in dict.fromkeys((*before, *after)):
        if table not in after:
            lines.append(f"{table} removed")
        elif table not in before:
            lines.append(f"{table} added")
        else:
            lines += _differences(table, before, after)
    return lines if old.hooks == new.hooks else [*lines, "[[hooks]] changed"]  # their values may be secret


def _differences(table: str, before: _Tables, after: _Tables) -> Iterator[str]:
    processor = f"[processors.{after[table].get('processor')}]"  # of a recipe, which inherits its options
    for key in dict.fromkeys((*before[table], *after[table])):
        was, now = before[table].get(key), after[table].get(key)
        is_inherited = (before.get(processor, {}).get(key), after.get(processor, {}).get(key)) == (was, now)
        if was != now and not is_inherited:
            yield f"{table} {key_literal(key)} = {_shown(now)} (was {_shown(was)})"


def _shown(value: object) -> str:
    return "unset" if value is None else literal(value)


def _tables(settings: Settings, processors: tuple[str, ...]) -> _Tables:
    """All settings but the hooks, by table and key."""
    values = describe(settings)
    tables: _Tables = {"[paths]": {name: values[name] for name in _PATHS}}
    for name, folder in settings.folders.items():
        tables[f"[inbox.folders.{key_literal(name)}]" if name else "[inbox]"] = _folder_table(folder)
    tables["[inbox]"] |= {"settle_seconds": settings.settle_seconds, "ignore": list(settings.ignore)}
    tables |= {f"[processors.{name}]": settings.on(name).model_dump(mode="json") for name in processors}
    tables |= {f"[recipes.{key_literal(name)}]": table for name, table in values["recipes"].items()}
    tables |= {f"[devices.{key_literal(name)}]": table for name, table in values["devices"].items()}
    return tables | {f"[{name}]": values[name] for name in _TABLES}


def _folder_table(folder: Folder) -> dict[str, object]:
    values: Mapping[str, object] = asdict(folder)
    return {kind.value: folder.recipes.get(kind, "") for kind in Kind} | {
        key: value for key, value in values.items() if key != "recipes"
    }
