"""config.toml -> validated, frozen settings. Unknown keys are errors, with the nearest known key in the message.

Every key has a default, so an empty file is a valid one. The options of processors and recipes are checked here, too,
by the processors' own classes: a mistake is told at start, not when the first file comes.
"""

import difflib
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from daemon.errors import ConfigError
from daemon.hours import Hours
from processors import base
from processors.base import Kind, Seconds

Originals = Literal["keep", "archive", "delete"]

_MOST_SHOWN = 200  # characters of a wrong value

# What a new user has without writing a line.
BUILT_IN_RECIPES: Mapping[str, Mapping[str, Any]] = {
    "read": {"processor": "vlm", "task": "read"},
    "describe": {"processor": "vlm", "task": "describe"},
    "summarize": {"processor": "vlm", "task": "summarize"},
    "ask": {"processor": "vlm", "task": "ask"},
    "transcribe": {"processor": "whisper"},
}


def _normalize_hours(text: str) -> str:
    return str(Hours.parse(text))


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Paths(_Table):
    """Where things lie; relative paths start at the folder of config.toml."""

    inbox: Path = Path("inbox")
    outbox: Path = Path("outbox")
    state: Path = Path("state")  # jobs.db, the control socket, archived originals
    models: Path | None = None  # downloaded weights; default: models in the state folder


class FolderTable(_Table):
    """`[inbox.folders.NAME]`: a folder of the inbox; what it leaves out it takes from the folder above it."""

    image: str | None = None  # recipe for images and PDF files; "" for none
    audio: str | None = None  # recipe for audio and video
    text: str | None = None  # recipe for plain text
    priority: int | None = None  # greater goes first
    originals: Originals | None = None


class InboxTable(_Table):
    """`[inbox]`: the top folder, and every folder without a table of its own."""

    image: str = "read"
    audio: str = "transcribe"
    text: str = ""
    priority: int = 0
    originals: Originals = "keep"
    settle_seconds: Seconds = 2.0
    folders: dict[str, FolderTable] = Field(default_factory=dict)


class RetryTable(_Table):
    """`[retry]`: after a failure that may pass."""

    attempts: int = Field(default=3, ge=1)  # in all, the first included
    backoff: Seconds = 30.0  # before the second attempt; doubled each time
    backoff_max: Seconds = 3600.0


class WorkersTable(_Table):
    """`[workers]`: the processes that hold the models."""

    at_once: int = Field(default=2, ge=1)  # loaded processors at the same time
    stop_seconds: Seconds = 20.0  # how long a stop waits for running jobs before it puts them back


class ScheduleTable(_Table):
    """`[schedule]`: what is done from time to time."""

    rescan: Seconds = Field(default=30.0, gt=0)  # of the whole inbox, as events may be lost
    probe: Seconds = Field(default=15.0, gt=0)  # of what parked jobs wait for
    unload: Seconds = Field(default=15.0, gt=0)  # how often idle workers are looked at: see `keep_alive`
    active: Annotated[str, AfterValidator(_normalize_hours)] = ""  # when work may be started: "22:00-06:00"; "" always

    @property
    def hours(self) -> Hours:
        return Hours.parse(self.active)


class File(_Table):
    """The whole of config.toml."""

    paths: Paths = Paths()
    inbox: InboxTable = InboxTable()
    recipes: dict[str, dict[str, Any]] = Field(default_factory=dict)
    processors: dict[str, dict[str, Any]] = Field(default_factory=dict)
    retry: RetryTable = RetryTable()
    workers: WorkersTable = WorkersTable()
    schedule: ScheduleTable = ScheduleTable()


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """What to do with a drop: a processor, its options, and this recipe's own."""

    name: str
    processor: str
    options: base.Options  # of the processor, with what the recipe overrides
    recipe_options: base.RecipeOptions

    @property
    def cls(self) -> type[base.Processor]:
        return base.find(self.processor)


@dataclass(frozen=True, kw_only=True)
class Folder:
    """What holds for one folder of the inbox."""

    recipes: Mapping[Kind, str]  # a kind without a recipe is not in it
    priority: int
    originals: Originals


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
    processors: Mapping[str, base.Options]
    retry: RetryTable
    workers: WorkersTable
    schedule: ScheduleTable

    @property
    def database(self) -> Path:
        return self.state / "jobs.db"

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

    def on(self, processor: str) -> base.Options:
        """The options of a processor; its defaults if config.toml has no table for it."""
        return self.processors.get(processor) or base.find(processor).Options()


def load(path: Path | None) -> Settings:
    """Read and check `path`; None: all defaults, in the current folder.

    Raises:
        ConfigError: the file is missing, no TOML, or has a key or value that is wrong; names it and the mend.
    """
    if path is None:
        return parse({}, source=None, home=Path.cwd())
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ConfigError(
            f"There is no {path}.", "Name the file with --config, or write one: an empty file is a valid one."
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {error}.", "Mend its permissions or encoding (UTF-8).") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path} is no valid TOML: {error}.", "Mend that line.") from error
    return parse(tables, source=path, home=path.resolve().parent)


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
    file = _validate(File, tables, where, ())
    processors = {
        name: _validate(_find(name, where, f"[processors.{name}]").Options, table, where, ("processors", name))
        for name, table in file.processors.items()
    }
    recipes = {
        name: _recipe(name, table, processors, where, home)
        for name, table in {**BUILT_IN_RECIPES, **file.recipes}.items()
    }
    return Settings(
        source=source,
        # resolved: a folder behind a symbolic link cannot be watched by the link's name
        inbox=(home / file.paths.inbox).resolve(),
        outbox=(home / file.paths.outbox).resolve(),
        state=(home / file.paths.state).resolve(),
        models=(home / (file.paths.models or file.paths.state / "models")).resolve(),
        settle_seconds=file.inbox.settle_seconds,
        folders=_folders(file.inbox, recipes, where),
        recipes=recipes,
        processors=processors,
        retry=file.retry,
        workers=file.workers,
        schedule=file.schedule,
    )


def _recipe(
    name: str, table: Mapping[str, Any], processors: Mapping[str, base.Options], where: str, home: Path
) -> Recipe:
    """A recipe's table holds its processor, its own options, and overrides of the processor's."""
    table = dict(table)
    processor = table.pop("processor", None)
    if not isinstance(processor, str):
        raise ConfigError(
            f"{where}: [recipes.{name}] names no processor.",
            f'Add a line such as: processor = "{base.known()[0]}"',
        )
    cls = _find(processor, where, f"[recipes.{name}] processor")
    own = {key: value for key, value in table.items() if key not in cls.Options.model_fields}
    overrides = {key: value for key, value in table.items() if key in cls.Options.model_fields}
    location = ("recipes", name)
    inherited = processors[processor].model_dump() if processor in processors else {}
    known = [*cls.Recipe.model_fields, *cls.Options.model_fields, "processor"]
    return Recipe(
        name=name,
        processor=processor,
        options=_validate(cls.Options, {**inherited, **overrides}, where, location, known),
        recipe_options=_validate(cls.Recipe, own, where, location, known, home),
    )


def _folders(inbox: InboxTable, recipes: Mapping[str, Recipe], where: str) -> dict[str, Folder]:
    top = _folder(inbox, {kind: getattr(inbox, kind) for kind in Kind}, inbox.priority, inbox.originals)
    folders = {"": top}
    for name in sorted(inbox.folders):  # a folder comes after the one that holds it
        table = inbox.folders[name]
        parts = Path(name).parts
        if not parts or name.startswith(("/", ".")) or ".." in parts:
            raise ConfigError(
                f'{where}: [inbox.folders."{name}"] is no folder of the inbox.',
                'Name it relative to the inbox, such as [inbox.folders.bank] or [inbox.folders."bank/2024"].',
            )
        above = next(
            folders["/".join(parts[:length])]
            for length in range(len(parts) - 1, -1, -1)
            if "/".join(parts[:length]) in folders
        )
        folders["/".join(parts)] = _folder(table, above.recipes, above.priority, above.originals)
    for name, folder in folders.items():
        table_name = f'[inbox.folders."{name}"]' if name else "[inbox]"
        for kind, recipe in folder.recipes.items():
            _check_binding(table_name, kind, recipe, recipes, where)
    return folders


def _folder(table: InboxTable | FolderTable, above: Mapping[Kind, str], priority: int, originals: Originals) -> Folder:
    bound = {kind: getattr(table, kind) if getattr(table, kind) is not None else above.get(kind, "") for kind in Kind}
    return Folder(
        recipes={kind: recipe for kind, recipe in bound.items() if recipe},
        priority=priority if table.priority is None else table.priority,
        originals=originals if table.originals is None else table.originals,
    )


def _check_binding(table: str, kind: Kind, recipe: str, recipes: Mapping[str, Recipe], where: str) -> None:
    if recipe not in recipes:
        raise ConfigError(
            f'{where}: {table} {kind} = "{recipe}", but there is no such recipe.',
            f"{_nearest(recipe, recipes)}Known recipes: {', '.join(sorted(recipes))}.",
        )
    if kind not in recipes[recipe].cls.kinds:
        raise ConfigError(
            f'{where}: {table} {kind} = "{recipe}", but its processor {recipes[recipe].processor} works on '
            f"{' and '.join(sorted(recipes[recipe].cls.kinds))}, not on {kind}.",
            "Bind a recipe with another processor.",
        )


def _find(name: str, where: str, what: str) -> type[base.Processor]:
    try:
        return base.find(name)
    except LookupError as error:
        raise ConfigError(
            f"{where}: {what}: {error}.",
            f"{_nearest(name, base.known())}Known processors: {', '.join(base.known())}.",
        ) from error


def _validate(
    cls: Any,
    table: Any,
    where: str,
    location: tuple[str, ...],
    known: list[str] | None = None,
    home: Path | None = None,
) -> Any:
    """`home`: the folder at which the names of files in `table` start."""
    try:
        return cls.model_validate(table, context={"home": home})
    except ValidationError as error:
        problems = [_problem(item, cls, location, known) for item in error.errors()]
        raise ConfigError(
            "\n".join(f"{where}: {problem}" for problem in problems),
            "Mend it and start again; `inboxd config check` shows the settings in force.",
        ) from error


def _problem(item: Any, cls: Any, location: tuple[str, ...], known: list[str] | None) -> str:
    message = item["msg"].removeprefix("Value error, ").removeprefix("Input ")
    if not item["loc"]:  # of several keys together
        return f"[{'.'.join(location)}]: {message}"
    *path, key = [*location, *(str(part) for part in item["loc"])]
    table = f"[{'.'.join(path)}] " if path else ""
    if item["type"] == "extra_forbidden":
        nearest = _nearest(key, known or _fields_at(cls, item["loc"][:-1]))
        return f"{table}unknown key {key!r}. {nearest}".rstrip()
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
        **{name: getattr(settings, name).model_dump() for name in ("retry", "workers", "schedule")},
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


def _nearest(word: str, known: Any) -> str:
    close = difflib.get_close_matches(word, list(known), n=1)
    return f"Did you mean {close[0]!r}? " if close else ""
