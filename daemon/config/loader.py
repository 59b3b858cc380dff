"""config.toml -> settings. Unknown keys are errors, with the nearest known key in the message.

Every key has a default, so an empty file is a valid one. The options of processors and recipes are checked here as
well, by the processors' own classes: a mistake is reported at start, not when the first file arrives.
"""

import logging
import os
import re
import stat
from collections.abc import Mapping
from pathlib import Path

from daemon.config import toml
from daemon.config.folders import check_then, folder_rules
from daemon.config.schema import File
from daemon.config.settings import Recipe, Settings
from daemon.config.toml import key_literal, literal, walk
from daemon.config.validation import FIX, Mistakes, nearest, validate
from daemon.config.values import check_line
from daemon.core.errors import ConfigError
from daemon.core.names import printable_sentence
from processors import contract, registry

log = logging.getLogger(__name__)

_PATHS_TABLE = re.compile(r"^\[paths\][^\n]*\n(?:(?![ \t]*\[).*\n?)*", re.MULTILINE)
_MAX_BYTES = 256 * 1024

# What a new user has without writing a line.
BUILT_IN_RECIPES: Mapping[str, Mapping[str, object]] = {
    "read": {"processor": "vlm", "task": "read"},
    "describe": {"processor": "vlm", "task": "describe"},
    "summarize": {"processor": "vlm", "task": "summarize"},
    "minutes": {"processor": "vlm", "task": "minutes"},
    "ask": {"processor": "vlm", "task": "ask"},
    "bank-statement": {"processor": "ocr", "task": "bank-statement"},
    "receipt": {"processor": "ocr", "task": "receipt"},
    "invoice": {"processor": "ocr", "task": "invoice"},
    "transcribe": {"processor": "whisper"},
    "text": {"processor": "text"},
}


def load(path: Path | None) -> Settings:
    """Read and check `path`; None: all defaults, with the folders in `default_home()`.

    Raises:
        ConfigError: the file is missing, is not TOML, or has a wrong key or value; names it and the fix.
    """
    if path is None:
        return parse({}, source=None, home=default_home())
    return parse(read(path), source=path, home=path.resolve().parent)


def default_home() -> Path:
    """The folder of inbox, outbox and state where no config.toml names one; also that of a user's service."""
    return Path(os.path.expanduser("~")) / "inboxd"


def load_paths(path: Path) -> Settings:
    """`[paths]` of a file that is wrong elsewhere, with defaults for the rest: enough to find a daemon that runs with
    the previous settings.

    Raises:
        ConfigError: as `load`, if even `[paths]` cannot be read.
    """
    try:
        tables = read(path)
    except ConfigError as error:
        try:
            tables = toml.parse("".join(_PATHS_TABLE.findall(_read_bytes(path).decode("utf-8"))).encode())
        except (ConfigError, ValueError):  # [paths] itself is wrong
            raise error from None
    return parse({"paths": tables.get("paths", {})}, source=path, home=path.resolve().parent)


def read(path: Path) -> dict[str, object]:
    """The tables of `path`, unchecked.

    Raises:
        ConfigError: it cannot be read, or is not valid TOML.
    """
    content = _read_bytes(path)
    try:
        return toml.parse(content)
    except ValueError as error:
        raise ConfigError(f"{path} is not valid TOML: {error}.", "Correct that line.") from error


def _read_bytes(path: Path) -> bytes:
    """Read a regular file, or a link to one, without waiting for a writer of a pipe."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        mode = os.fstat(descriptor).st_mode
        if not stat.S_ISREG(mode):
            os.close(descriptor)
            what = "is a folder" if stat.S_ISDIR(mode) else "is not a regular file"
            raise ConfigError(f"{path} {what}.", "Name a file with --config, or replace it by a file.")
        with os.fdopen(descriptor, "rb") as file:
            content = file.read(_MAX_BYTES + 1)
    except FileNotFoundError as error:
        raise ConfigError(
            f"There is no {path}.", "Name another file with --config, or create this one: an empty file is valid."
        ) from error
    except OSError as error:
        raise ConfigError(
            f"Cannot read {path}: {error.strerror or error}.", "Check its permissions and the disk."
        ) from error
    if len(content) > _MAX_BYTES:
        raise ConfigError(f"{path} is larger than {_MAX_BYTES // 1024} KiB.", "Name the right file with --config.")
    return content


def load_again(old: Settings) -> Settings:
    """Read `old.source` again, for a running daemon.

    Raises:
        ConfigError: as `load`; or a path has changed, which needs a restart.
    """
    new = load(old.source)
    moved = [name for name in ("inbox", "outbox", "state", "models") if getattr(old, name) != getattr(new, name)]
    if moved:
        changes = ", ".join(f"{name} from {getattr(old, name)} to {getattr(new, name)}" for name in moved)
        raise ConfigError(
            f"{new.source}: [paths] changes {changes}; the running daemon keeps all its previous settings.",
            "Restart the daemon to apply this: systemctl restart inboxd.",
        )
    return new


def parse(tables: Mapping[str, object], *, source: Path | None, home: Path) -> Settings:
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
    for name, recipe in {**BUILT_IN_RECIPES, **file.recipes}.items():
        with mistakes.collected():
            recipes[name] = _recipe(name, recipe, processors, where, home, is_built_in=name not in file.recipes)
    mistakes.raise_all()
    for name, checked in recipes.items():
        check_then(f"[recipes.{name}] then", checked.recipe_options.then, recipes, where)
    return Settings(
        source=source,
        # resolved: a folder behind a symbolic link cannot be watched by the link's name
        inbox=_resolved(home, file.paths.inbox, where, "inbox"),
        outbox=_resolved(home, file.paths.outbox, where, "outbox"),
        state=_resolved(home, file.paths.state, where, "state"),
        models=_resolved(home, file.paths.models or file.paths.state / "models", where, "models"),
        layouts=_resolved(home, file.paths.state / "layouts", where, "state"),
        settle_seconds=file.inbox.settle_seconds,
        ignore=file.inbox.ignore,
        folders=folder_rules(file.inbox, recipes, where),
        recipes=recipes,
        processors=processors,
        retry=file.retry,
        workers=file.workers,
        devices=file.devices,
        cluster=file.cluster,
        schedule=file.schedule,
        retention=file.retention,
        hooks=file.hooks,
        metrics=file.metrics,
        web=file.web,
    )


def _resolved(home: Path, path: Path, where: str, name: str) -> Path:
    try:
        return (home / path).resolve()
    except (OSError, RuntimeError) as error:  # RuntimeError: a loop of symbolic links
        raise ConfigError(
            f"{where}: [paths] {name} = {literal(path)}: {error}.", "Name a folder that exists or can be created."
        ) from error


def _lines(options: Mapping[str, object], where: str, location: tuple[str, ...]) -> Mapping[str, object]:
    """Return options of a processor: models, programs, files and addresses, which have no control characters.

    Raises:
        ConfigError: one of them has some.
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
    table: Mapping[str, object],
    processors: Mapping[str, contract.Options],
    where: str,
    home: Path,
    *,
    is_built_in: bool,
) -> Recipe:
    """A recipe from its table, which holds its processor, its own options, and overrides of the processor's."""
    table = dict(table)
    processor = table.pop("processor", None)
    if not isinstance(processor, str):
        raise ConfigError(
            f"{where}: [recipes.{name}] names no processor.",
            _near_processor(table) or 'Add a line such as: processor = "ocr"',
        )
    cls = _find(processor, where, f"[recipes.{name}] processor")
    own = {key: value for key, value in table.items() if key not in cls.Options.model_fields}
    overrides = {key: value for key, value in table.items() if key in cls.Options.model_fields}
    location = ("recipes", name)
    inherited = processors[processor].model_dump() if processor in processors else {}
    known = [*cls.Recipe.model_fields, *cls.Options.model_fields, "processor"]
    options: contract.Options | None = None
    recipe_options: contract.RecipeOptions | None = None
    mistakes = Mistakes()
    with mistakes.collected():
        own_lines = _lines(overrides, where, location)
        options = validate(cls.Options, {**inherited, **own_lines}, where, location, known)
    with mistakes.collected():
        recipe_options = validate(cls.Recipe, own, where, location, known, home)
    mistakes.raise_all()
    assert options is not None and recipe_options is not None  # or else there was a mistake
    return Recipe(
        name=name, processor=processor, is_built_in=is_built_in, options=options, recipe_options=recipe_options
    )


def _near_processor(table: Mapping[str, object]) -> str:
    """The fix if a key of the table looks like a misspelled "processor"."""
    near = next((key for key in table if nearest(key, ["processor"])), None)
    return f'Did you mean "processor" instead of {literal(near)}?' if near else ""


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
