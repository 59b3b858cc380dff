"""config.toml -> validated, frozen settings. Unknown keys are errors, with the nearest known key in the message.

Every key has a default, so an empty file is a valid one. The options of processors and recipes are checked here, too,
by the processors' own classes: a mistake is told at start, not when the first file comes.
"""

import difflib
import ipaddress
import math
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictInt,
    ValidationError,
    field_validator,
    model_validator,
)

from daemon.errors import ConfigError
from daemon.hours import Hours, parse_clock
from processors import base
from processors.base import Kind, Seconds, parse_duration, parse_size

Originals = Literal["keep", "archive", "delete"]
Duplicates = Literal["process", "skip", "reuse"]

_FOLDER_VALUES = ("priority", "originals", "duplicates", "wait_for_done", "wait_for_sidecar")

_SHOWN_TABLES = ("retry", "workers", "schedule", "retention", "metrics")
_MOST_SHOWN = 200  # characters of a wrong value

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


def _normalize_hours(text: str) -> str:
    return str(Hours.parse(text))


def _check_clock(text: str) -> str:
    parse_clock(text)
    return text


def _check_clock_or_none(text: str) -> str:
    return text and _check_clock(text)


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
    duplicates: Duplicates | None = None
    wait_for_done: bool | None = None
    wait_for_sidecar: Seconds | None = None
    options: dict[str, Any] = Field(default_factory=dict)  # of the recipes that have them


class Nearby(BaseModel):
    """`.inboxd.toml` in a folder, or NAME.toml beside NAME. What is no key here is an option of the recipe."""

    model_config = ConfigDict(extra="allow", frozen=True)

    recipe: str | None = None  # whatever the kind; "" for none
    image: str | None = None
    audio: str | None = None
    text: str | None = None
    priority: StrictInt | None = None


class InboxTable(_Table):
    """`[inbox]`: the top folder, and every folder without a table of its own."""

    image: str = "read"
    audio: str = "transcribe"
    text: str = ""
    priority: int = 0
    originals: Originals = "keep"
    duplicates: Duplicates = "process"  # a file whose content was done before, by the same recipe and options
    wait_for_done: bool = False  # take NAME only when there is NAME.done, for producers that cannot rename
    wait_for_sidecar: Seconds = 0.0  # how long a file waits for a sidecar that may still come
    options: dict[str, Any] = Field(default_factory=dict)
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
    memory: str = ""  # that loaded models share, such as a GPU's "14GB"; "" is no bound: see `memory` of a processor
    patience: Seconds = 600.0  # how long a job waits at most while another loaded model goes on with its own queue
    short: str = ""  # a file up to this size ("5MB") may go to a second worker of its kind while the first is busy
    stop_seconds: Seconds = 20.0  # how long a stop waits for running jobs before it puts them back

    @field_validator("memory", "short")
    @classmethod
    def _check_size(cls, text: str) -> str:
        if text and not isinstance(parse_size(text), int):
            raise ValueError('write an amount, such as "14GB"')
        return text

    @property
    def memory_bytes(self) -> float:
        return parse_size(self.memory) if self.memory else math.inf

    @property
    def short_bytes(self) -> float:
        return parse_size(self.short) if self.short else -1


class ScheduleTable(_Table):
    """`[schedule]`: what is done from time to time."""

    rescan: Seconds = Field(default=30.0, gt=0)  # of the whole inbox, as events may be lost
    probe: Seconds = Field(default=15.0, gt=0)  # of what parked jobs wait for
    unload: Seconds = Field(default=15.0, gt=0)  # how often idle workers are looked at: see `keep_alive`
    active: Annotated[str, AfterValidator(_normalize_hours)] = ""  # when work may be started: "22:00-06:00"; "" always
    nightly: Annotated[str, AfterValidator(_check_clock)] = "03:30"  # check and copy the job log, and retention
    digest: Annotated[str, AfterValidator(_check_clock_or_none)] = ""  # "08:00": tell hooks what went wrong in a day
    backups: int = Field(default=7, ge=0)  # nightly copies of the job log that are kept, in state/backups

    @property
    def hours(self) -> Hours:
        return Hours.parse(self.active)


def _parse_age(value: object) -> float | None:
    if value in ("", None):
        return None
    seconds = parse_duration(value)
    if seconds <= 0:
        raise ValueError('an age is greater than 0; "" is for ever')
    return seconds


Age = Annotated[float | None, BeforeValidator(_parse_age)]  # seconds; None: for ever


class RetentionTable(_Table):
    """`[retention]`: what is removed by itself, at `[schedule] nightly`, so long after its job has ended."""

    results: Age = None  # folders in the outbox, with the originals that are kept in them
    failed: Age = None  # the same below outbox/failed
    archive: Age = None  # archived originals
    history: Age = None  # rows of the job log


class Hook(_Table):
    """`[[hooks]]`: whom to tell how jobs end. Exactly one of `command`, `webhook` and `desktop`."""

    on: tuple[Literal["done", "review", "failed", "digest"], ...] = ("review", "failed", "digest")
    command: tuple[str, ...] = ()  # a program and its arguments; the job comes as JSON on its stdin
    webhook: str = ""  # http(s)://…: the same JSON is posted there
    desktop: bool = False  # a notification (notify-send), where the service is a person's own
    timeout: Seconds = Field(default=30.0, gt=0)
    attempts: int = Field(default=5, ge=1)

    @model_validator(mode="after")
    def _check(self) -> "Hook":
        if sum(map(bool, (self.command, self.webhook, self.desktop))) != 1:
            raise ValueError(
                'a hook has exactly one of command = ["program", "argument"], webhook = "https://…", desktop'
            )
        if self.webhook and not self.webhook.startswith(("http://", "https://")):
            raise ValueError("a webhook begins with http:// or https://")
        return self

    @property
    def method(self) -> Literal["command", "webhook", "desktop"]:
        return "command" if self.command else "webhook" if self.webhook else "desktop"

    @property
    def name(self) -> str:
        """For the log; of a webhook without what may be a secret in its address."""
        return (
            self.command[0]
            if self.command
            else f"{'/'.join(self.webhook.split('/')[:3])}/…"
            if self.webhook
            else "desktop"
        )


def _check_listen(text: str) -> str:
    if not text or text.startswith("/"):
        return text
    host, _, port = text.rpartition(":")
    try:
        is_loopback = host == "localhost" or ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        is_loopback = False
    if not port.isascii() or not port.isdecimal() or not 0 < int(port) < 65536:
        raise ValueError('write an address and a port, such as "127.0.0.1:9461", or the path of a Unix socket')
    if not is_loopback:
        raise ValueError(
            "metrics tell what is worked on, to anyone who asks, so they are served on this machine only: "
            'write "127.0.0.1:9461", and let what may read them come through a proxy that asks who it is'
        )
    return text


def _check_textfile(path: str) -> str:
    if path and not path.endswith(".prom"):
        raise ValueError('node_exporter reads only files that end in ".prom"')
    return path


class MetricsTable(_Table):
    """`[metrics]`: for Prometheus. `inboxd metrics` shows them at any time."""

    textfile: Annotated[str, AfterValidator(_check_textfile)] = ""  # for node_exporter's textfile collector
    every: Seconds = Field(default=15.0, ge=1)  # how often that file is written
    listen: Annotated[str, AfterValidator(_check_listen)] = ""  # "127.0.0.1:9461", or the path of a Unix socket


class File(_Table):
    """The whole of config.toml."""

    paths: Paths = Paths()
    inbox: InboxTable = InboxTable()
    recipes: dict[str, dict[str, Any]] = Field(default_factory=dict)
    processors: dict[str, dict[str, Any]] = Field(default_factory=dict)
    retry: RetryTable = RetryTable()
    workers: WorkersTable = WorkersTable()
    schedule: ScheduleTable = ScheduleTable()
    retention: RetentionTable = RetentionTable()
    hooks: tuple[Hook, ...] = ()
    metrics: MetricsTable = MetricsTable()


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """What to do with a drop: a processor, its options, and this recipe's own."""

    name: str
    processor: str
    options: base.Options  # of the processor, with what the recipe overrides
    recipe_options: base.RecipeOptions
    is_built_in: bool = False

    @property
    def cls(self) -> type[base.Processor]:
        return base.find(self.processor)


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
    processors: Mapping[str, base.Options]
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
        name: _recipe(name, table, processors, where, home, is_built_in=name not in file.recipes)
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
        retention=file.retention,
        hooks=file.hooks,
        metrics=file.metrics,
    )


def _recipe(
    name: str,
    table: Mapping[str, Any],
    processors: Mapping[str, base.Options],
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
        is_built_in=is_built_in,
        options=_validate(cls.Options, {**inherited, **overrides}, where, location, known),
        recipe_options=_validate(cls.Recipe, own, where, location, known, home),
    )


def _folders(inbox: InboxTable, recipes: Mapping[str, Recipe], where: str) -> dict[str, Folder]:
    folders = {"": _folder(inbox, None)}
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
        folders["/".join(parts)] = _folder(table, above)
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
    for name in folder.options.keys() - known:
        raise ConfigError(f"{where}: {table} options: unknown key {name!r}.", nearest(name, known) or "Remove it.")
    for bound in folder.recipes.values():
        recipe = recipes[bound]
        own = {name: value for name, value in folder.options.items() if name in recipe.cls.Recipe.model_fields}
        merged = {**recipe.recipe_options.model_dump(), **own}
        _validate(recipe.cls.Recipe, merged, where, (table.strip("[]"), "options"))


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


def _find(name: str, where: str, what: str) -> type[base.Processor]:
    try:
        return base.find(name)
    except LookupError as error:
        raise ConfigError(
            f"{where}: {what}: {error}.",
            f"{nearest(name, base.known())}Known processors: {', '.join(base.known())}.",
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
        close = nearest(key, known or _fields_at(cls, item["loc"][:-1]))
        return f"{table}unknown key {key!r}. {close}".rstrip()
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


def nearest(word: str, known: Any) -> str:
    """ "Did you mean …? ", if a known word is like it."""
    close = difflib.get_close_matches(word, list(known), n=1)
    return f"Did you mean {close[0]!r}? " if close else ""
