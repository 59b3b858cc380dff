"""config.toml -> validated, frozen settings. Unknown keys are errors, with the nearest known key in the message.

Every key has a default, so an empty file is a valid one. The options of processors and recipes are checked here, too,
by the processors' own classes: a mistake is told at start, not when the first file comes.
"""

import logging
import os
import re
import stat
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from daemon.config import toml
from daemon.config.schema import (
    Duplicates,
    File,
    FolderTable,
    Hook,
    InboxTable,
    MetricsTable,
    Originals,
    RetentionTable,
    RetryTable,
    ScheduleTable,
    WorkersTable,
    check_line,
)
from daemon.config.toml import has_controls, key_literal, literal, walk
from daemon.config.validation import FIX, Mistakes, nearest, validate
from daemon.core.errors import ConfigError
from daemon.core.names import printable_sentence
from processors import contract, registry
from processors.contract import Kind

log = logging.getLogger(__name__)

_PATHS_TABLE = re.compile(r"^\[paths\][^\n]*\n(?:(?![ \t]*\[).*\n?)*", re.MULTILINE)
_MAX_BYTES = 256 * 1024
_FOLDER_VALUES = ("priority", "originals", "duplicates", "wait_for_done", "wait_for_sidecar")
_SHOWN_TABLES = ("retry", "workers", "schedule", "retention", "metrics")

# What a new user has without writing a line.
BUILT_IN_RECIPES: Mapping[str, Mapping[str, Any]] = {
    "read": {"processor": "vlm", "task": "read"},
    "describe": {"processor": "vlm", "task": "describe"},
    "summarize": {"processor": "vlm", "task": "summarize"},
    "ask": {"processor": "vlm", "task": "ask"},
    "bank-statement": {"processor": "ocr", "task": "bank-statement"},
    "receipt": {"processor": "ocr", "task": "receipt"},
    "transcribe": {"processor": "whisper"},
}


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """What to do with a drop: a processor, its options, and this recipe's own."""

    name: str
    processor: str
    options: contract.Options  # of the processor, with what the recipe overrides
    recipe_options: contract.RecipeOptions
    is_built_in: bool = False

    @property
    def cls(self) -> type[contract.Processor]:
        return registry.find(self.processor)


@dataclass(frozen=True, kw_only=True)
class Folder:
    """What holds for one folder of the inbox."""

    recipes: Mapping[Kind, str]  # a kind without a recipe is not in it
    priority: int
    originals: Originals
    duplicates: Duplicates
    wait_for_done: bool
    wait_for_sidecar: float
    options: Mapping[str, Any]  # that the recipes which have them take from here


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The settings in force."""

    source: Path | None  # the file they come from; None: no file, all defaults
    inbox: Path
    outbox: Path
    state: Path
    models: Path  # downloaded weights
    settle_seconds: float
    folders: Mapping[str, Folder]  # by folder relative to the inbox; "" is the top
    recipes: Mapping[str, Recipe]
    processors: Mapping[str, contract.Options]
    retry: RetryTable
    workers: WorkersTable
    schedule: ScheduleTable
    retention: RetentionTable
    hooks: tuple[Hook, ...]
    metrics: MetricsTable

    @property
    def database(self) -> Path:
        return self.state / "jobs.db"

    @property
    def textfile(self) -> Path | None:
        """Where the metrics are written; None: nowhere."""
        home = self.source.resolve().parent if self.source else Path.cwd()
        return home / self.metrics.textfile if self.metrics.textfile else None

    @property
    def totals(self) -> Path:
        return self.state / "totals.json"

    @property
    def socket(self) -> Path:
        return self.state / "inboxd.sock"

    def folder(self, name: str) -> Folder:
        """What holds for the inbox folder `name` ("bank/2024"): its own table's, or the nearest one's above it."""
        parts = Path(name).parts
        for length in range(len(parts), 0, -1):
            if found := self.folders.get("/".join(parts[:length])):
                return found
        return self.folders[""]

    def on(self, processor: str) -> contract.Options:
        """The options of a processor; its defaults if config.toml has no table for it."""
        return self.processors.get(processor) or registry.find(processor).Options()


def load(path: Path | None) -> Settings:
    """Read and check `path`; None: all defaults, in the current folder.

    Raises:
        ConfigError: the file is missing, no TOML, or has a key or value that is wrong; names it and the mend.
    """
    if path is None:
        return parse({}, source=None, home=Path.cwd())
    return parse(read(path), source=path, home=path.resolve().parent)


def load_paths(path: Path) -> Settings:
    """`[paths]` of a file that is wrong elsewhere, all else by default: enough to look at a daemon that still goes by
    what the file said before.

    Raises:
        ConfigError: as `load`, if not even that can be told.
    """
    try:
        tables = read(path)
    except ConfigError as error:
        try:
            tables = toml.parse("".join(_PATHS_TABLE.findall(_read_bytes(path).decode("utf-8"))).encode())
        except (ConfigError, ValueError):  # it is that very table
            raise error from None
    return parse({"paths": tables.get("paths", {})}, source=path, home=path.resolve().parent)


def read(path: Path) -> dict[str, Any]:
    """The tables of `path`, not yet checked.

    Raises:
        ConfigError: it cannot be read, or is not valid TOML.
    """
    content = _read_bytes(path)
    try:
        return toml.parse(content)
    except ValueError as error:
        raise ConfigError(f"{path} is not valid TOML: {error}.", "Fix that line, and save it as UTF-8 text.") from error


def _read_bytes(path: Path) -> bytes:
    """Read a regular file, or a link to one, without waiting for a writer of a pipe."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        mode = os.fstat(descriptor).st_mode
        if not stat.S_ISREG(mode):
            os.close(descriptor)
            what = "is a folder" if stat.S_ISDIR(mode) else "is not a regular file"
            raise ConfigError(f"{path} {what}.", "Name a file with --config, or put one in its place.")
        with os.fdopen(descriptor, "rb") as file:
            content = file.read(_MAX_BYTES + 1)
    except FileNotFoundError as error:
        raise ConfigError(
            f"There is no {path}.", "Name the file with --config, or write one: an empty file is a valid one."
        ) from error
    except OSError as error:
        raise ConfigError(
            f"Cannot read {path}: {error.strerror or error}.", "Check its permissions and its disk."
        ) from error
    if len(content) > _MAX_BYTES:
        raise ConfigError(f"{path} is larger than {_MAX_BYTES // 1024} KiB.", "Is this the right file?")
    return content


def load_again(old: Settings) -> Settings:
    """What `old.source` says now, for a daemon that runs.

    Raises:
        ConfigError: as `load`; or a path has changed, which needs a new start.
    """
    new = load(old.source)
    moved = [name for name in ("inbox", "outbox", "state", "models") if getattr(old, name) != getattr(new, name)]
    if moved:
        changes = ", ".join(f"{name} from {getattr(old, name)} to {getattr(new, name)}" for name in moved)
        raise ConfigError(
            f"{new.source}: [paths] changes {changes}, and nothing of the file was applied.",
            "Start the daemon anew for that: systemctl restart inboxd.",
        )
    return new


def parse(tables: Mapping[str, Any], *, source: Path | None, home: Path) -> Settings:
    """The settings of a parsed config.toml.

    Raises:
        ConfigError: as `load`.
    """
    where = str(source or "the settings")
    file = validate(File, tables, where, ())
    mistakes = Mistakes()
    processors: dict[str, contract.Options] = {}
    for name, table in file.processors.items():
        with mistakes.collected():
            cls, location = _find(name, where, f"[processors.{name}]").Options, ("processors", name)
            processors[name] = validate(cls, _lines(table, where, location), where, location)
    recipes: dict[str, Recipe] = {}
    for name, table in {**BUILT_IN_RECIPES, **file.recipes}.items():
        with mistakes.collected():
            recipes[name] = _recipe(name, table, processors, where, home, is_built_in=name not in file.recipes)
    mistakes.raise_all()
    return Settings(
        source=source,
        # resolved: a folder behind a symbolic link cannot be watched by the link's name
        inbox=_resolved(home, file.paths.inbox, where, "inbox"),
        outbox=_resolved(home, file.paths.outbox, where, "outbox"),
        state=_resolved(home, file.paths.state, where, "state"),
        models=_resolved(home, file.paths.models or file.paths.state / "models", where, "models"),
        settle_seconds=file.inbox.settle_seconds,
        folders=_folders(file.inbox, recipes, where),
        recipes=recipes,
        processors=processors,
        retry=file.retry,
        workers=file.workers,
        schedule=file.schedule,
        retention=file.retention,
        hooks=file.hooks,
        metrics=file.metrics,
    )


def _resolved(home: Path, path: Path, where: str, name: str) -> Path:
    try:
        return (home / path).resolve()
    except (OSError, RuntimeError) as error:  # RuntimeError: a loop of symbolic links
        raise ConfigError(
            f"{where}: [paths] {name} = {literal(path)}: {error}.", "Name a folder that can be reached."
        ) from error


def _lines(options: Mapping[str, Any], where: str, location: tuple[str, ...]) -> Mapping[str, Any]:
    """Return options of a processor: models, programs, files and addresses, none of which has control characters.

    Raises:
        ConfigError: a text in one of them has some.
    """
    for key, value in options.items():
        try:
            for text, _ in walk(value):
                if isinstance(text, str):
                    check_line(text)
        except ValueError as error:
            raise ConfigError(
                f"{where}: [{'.'.join(map(key_literal, location))}] {key_literal(key)} = {literal(value)}: {error}.",
                FIX,
            ) from error
    return options


def _recipe(
    name: str,
    table: Mapping[str, Any],
    processors: Mapping[str, contract.Options],
    where: str,
    home: Path,
    *,
    is_built_in: bool,
) -> Recipe:
    """A recipe's table holds its processor, its own options, and overrides of the processor's."""
    table = dict(table)
    processor = table.pop("processor", None)
    if not isinstance(processor, str):
        raise ConfigError(
            f"{where}: [recipes.{name}] names no processor.",
            f'Add a line such as: processor = "{registry.known()[0]}"',
        )
    cls = _find(processor, where, f"[recipes.{name}] processor")
    own = {key: value for key, value in table.items() if key not in cls.Options.model_fields}
    overrides = {key: value for key, value in table.items() if key in cls.Options.model_fields}
    location = ("recipes", name)
    inherited = processors[processor].model_dump() if processor in processors else {}
    known = [*cls.Recipe.model_fields, *cls.Options.model_fields, "processor"]
    options = recipe_options = None
    mistakes = Mistakes()
    with mistakes.collected():
        own_lines = _lines(overrides, where, location)
        options = validate(cls.Options, {**inherited, **own_lines}, where, location, known)
    with mistakes.collected():
        recipe_options = validate(cls.Recipe, own, where, location, known, home)
    mistakes.raise_all()
    return Recipe(
        name=name, processor=processor, is_built_in=is_built_in, options=options, recipe_options=recipe_options
    )


def _folders(inbox: InboxTable, recipes: Mapping[str, Recipe], where: str) -> dict[str, Folder]:
    folders = {"": _folder(inbox, None)}
    for name in sorted(inbox.folders):  # a folder comes after the one that holds it
        table = inbox.folders[name]
        parts = Path(name).parts
        if has_controls(name):
            raise ConfigError(
                f"{where}: [inbox.folders.{literal(name)}] must not contain control characters, such as line breaks.",
                "Rename the folder, and write its new name.",
            )
        if not parts or name.startswith(("/", ".")) or ".." in parts:
            raise ConfigError(
                f'{where}: [inbox.folders."{name}"] is no folder of the inbox.',
                'Name it relative to the inbox, such as [inbox.folders.bank] or [inbox.folders."bank/2024"].',
            )
        if name != "/".join(parts):
            raise ConfigError(
                f"{where}: [inbox.folders.{literal(name)}] is not the plain name of a folder.",
                f"Write [inbox.folders.{key_literal('/'.join(parts))}].",
            )
        above = next(
            folders["/".join(parts[:length])]
            for length in range(len(parts) - 1, -1, -1)
            if "/".join(parts[:length]) in folders
        )
        folders[name] = _folder(table, above)
    for name, folder in folders.items():
        table_name = f'[inbox.folders."{name}"]' if name else "[inbox]"
        for kind, recipe in folder.recipes.items():
            _check_binding(table_name, kind, recipe, recipes, where)
        _check_options(table_name, folder, recipes, where)
    return folders


def _folder(table: InboxTable | FolderTable, above: Folder | None) -> Folder:
    """`above`: the folder that holds it, for what its table leaves out."""

    def value(name: str) -> Any:
        own = getattr(table, name)
        return getattr(above, name) if own is None else own

    bound = {
        kind: above.recipes.get(kind, "") if getattr(table, kind) is None else getattr(table, kind) for kind in Kind
    }
    return Folder(
        recipes={kind: recipe for kind, recipe in bound.items() if recipe},
        options={**(above.options if above else {}), **table.options},
        **{name: value(name) for name in _FOLDER_VALUES},
    )


def _check_options(table: str, folder: Folder, recipes: Mapping[str, Recipe], where: str) -> None:
    """Each option must be of a recipe that there is, and each bound recipe must take its own."""
    known = {name for recipe in recipes.values() for name in recipe.cls.Recipe.model_fields}
    for name in (name for name in folder.options if name not in known):
        raise ConfigError(f"{where}: {table} options: unknown key {name!r}.", nearest(name, known) or "Remove it.")
    for bound in folder.recipes.values():
        recipe = recipes[bound]
        own = {name: value for name, value in folder.options.items() if name in recipe.cls.Recipe.model_fields}
        merged = {**recipe.recipe_options.model_dump(), **own}
        validate(recipe.cls.Recipe, merged, where, (table.strip("[]"), "options"))


def _check_binding(table: str, kind: Kind, recipe: str, recipes: Mapping[str, Recipe], where: str) -> None:
    if recipe not in recipes:
        raise ConfigError(
            f'{where}: {table} {kind} = "{recipe}", but there is no such recipe.',
            f"{nearest(recipe, recipes)}Known recipes: {', '.join(sorted(recipes))}.",
        )
    if kind not in recipes[recipe].cls.kinds:
        raise ConfigError(
            f'{where}: {table} {kind} = "{recipe}", but its processor {recipes[recipe].processor} works on '
            f"{' and '.join(sorted(recipes[recipe].cls.kinds))}, not on {kind}.",
            "Bind a recipe with another processor.",
        )


def _find(name: str, where: str, what: str) -> type[contract.Processor]:
    try:
        return registry.find(name)
    except LookupError as error:
        raise ConfigError(
            f"{where}: {what}: {error}.",
            f"{nearest(name, registry.known())}Known processors: {', '.join(registry.known())}.",
        ) from error
    except Exception as error:  # error boundary: code of another package
        log.debug("%s", name, exc_info=True)
        raise ConfigError(
            f"{where}: {what}: the processor {literal(name)} cannot be loaded: {printable_sentence(str(error))}.",
            "Repair or reinstall the package that it comes from.",
        ) from error


def describe(settings: Settings) -> dict[str, Any]:
    """The settings in force as plain values, for people and scripts."""
    return {
        "source": str(settings.source) if settings.source else None,
        **{name: str(getattr(settings, name)) for name in ("inbox", "outbox", "state", "models")},
        "settle_seconds": settings.settle_seconds,
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
        **{name: getattr(settings, name).model_dump() for name in _SHOWN_TABLES},
        "hooks": [
            {**hook.model_dump(mode="json"), "webhook": hook.name if hook.webhook else ""} for hook in settings.hooks
        ],
    }


def changes(old: Settings, new: Settings) -> list[str]:
    """The names of the settings that differ, such as "recipes.lecture.language"."""
    before, after = _flat(describe(old)), _flat(describe(new))
    return sorted(name for name in before.keys() | after.keys() if before.get(name, ...) != after.get(name, ...))


def _flat(value: Any, name: str = "") -> dict[str, Any]:
    if not isinstance(value, Mapping):
        return {name: value}
    flat = {}
    for key, each in value.items():
        flat |= _flat(each, f"{name}.{key}" if name else str(key))
    return flat
