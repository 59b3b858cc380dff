"""Words that the shell may complete: job IDs, states, recipes, folders, layouts.

Empty, without an error, if unavailable. The scripts for the shells are typer's; they call these functions.
"""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from daemon import config
from daemon.core.errors import InboxdError
from daemon.core.job import JobState
from daemon.core.names import printable
from daemon.queue.reader import JobFilter, JobLog

_MOST_JOBS = 200  # the newest
_ID_CHARACTERS = 8

Completions = list[tuple[str, str]]  # (word, description)


def jobs(source: Path | None, states: Iterable[str] = ()) -> Completions:
    """The first characters of the IDs of the newest jobs, with their files."""

    def read() -> Iterator[tuple[str, str]]:
        with JobLog(config.load(source).database) as log:
            for row in log.jobs(JobFilter(states=tuple(states)), limit=_MOST_JOBS):
                yield row["id"][:_ID_CHARACTERS], f"{printable(row['file'])}, {row['state']}"

    return _read(read)


def states() -> Completions:
    """The states of jobs."""
    return [(state.value, "") for state in JobState]


def recipes(source: Path | None) -> Completions:
    """The recipes of config.toml and the built-in ones."""

    def read() -> Iterator[tuple[str, str]]:
        for name, recipe in sorted(config.load(source).recipes.items()):
            yield name, recipe.processor

    return _read(read)


def folders(source: Path | None) -> Completions:
    """The folders in the inbox."""

    def read() -> Iterator[tuple[str, str]]:
        inbox = config.load(source).inbox
        for path in sorted(inbox.rglob("*")):
            parts = path.relative_to(inbox).parts
            if path.is_dir() and not any(part.startswith(".") for part in parts):
                yield "/".join(map(printable, parts)), ""

    return _read(read)


def layouts(source: Path | None) -> Completions:
    """The remembered layouts of statements, and the files that are damaged."""

    def read() -> Iterator[tuple[str, str]]:
        from processors.statements.layouts.store import LayoutStore

        found, damaged = LayoutStore(config.load(source).layouts).load()
        yield from ((layout.name, printable(layout.bank.name)) for layout in found)
        yield from ((file.name, "damaged") for file in damaged if file.name.isprintable())

    return _read(read)


def _read(read: Callable[[], Iterator[tuple[str, str]]]) -> Completions:
    """All completions; none after an error, which must not disturb the command line."""
    try:
        return list(read())
    except (OSError, InboxdError):
        return []
