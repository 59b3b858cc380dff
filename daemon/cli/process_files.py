"""`inboxd process FILE…`: the daemon's complete pipeline for a few files, in folders of its own, beside any daemon."""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from daemon.config import toml
from daemon.config.settings import Folder, Settings
from daemon.config.toml import literal
from daemon.config.validation import nearest
from daemon.core import durable
from daemon.core.errors import StorageError, UsageError
from daemon.core.names import OPTIONS_SUFFIX, SIDECAR_SUFFIXES, printable, printable_path
from daemon.intake import filetype
from daemon.queue.reader import JobLog
from daemon.queue.rows import ShownRow
from daemon.server.service import Service


def process(
    settings: Settings,
    files: Sequence[Path],
    *,
    recipe: str | None,
    options: Mapping[str, object],
    output: Path,
    on_change: Callable[[Service], None] | None = None,
) -> list[ShownRow]:
    """Process copies of `files` and move their result folders to `output`; the files themselves are not changed.

    recipe: for every file of a kind that it supports, instead of what config.toml selects for the top of the inbox.
    options: of the recipe, which override those of sidecars.
    Returns the rows of the job log, `result_path` relative to `output`; None for a job that failed.

    Raises:
        UsageError: a file does not exist, or there is no such recipe.
        StorageError: the output folder cannot be used.
    """
    for file in files:
        if not file.is_file():
            raise UsageError(f"There is no file {file}.", "Name files or folders, or - for the standard input.")
    if recipe is not None:
        _check_kinds(settings, files, recipe)
    top = settings.folders[""] if recipe is None else _with_recipe(settings, recipe)
    with _workspace(output) as home:
        inside = replace(
            settings,
            inbox=home / "inbox",
            outbox=home / "outbox",
            state=home / "state",
            settle_seconds=0.0,
            ignore=(),  # a file that the user names is wanted
            folders={"": replace(top, layout="folder")},
        )
        copies = [_copy(file, inside.inbox, options) for file in files]
        kind = filetype.sniff(files[0]).kind
        first = top.recipes.get(kind) if kind else None
        service = Service(inside, drain=True, on_change=on_change, first_recipe=first)
        service.run()
        with JobLog(inside.database) as log:
            rows: dict[str, ShownRow] = {row["file"]: row for row in log.jobs()}
        left = {path.relative_to(inside.inbox): why for path, why in service.app.intake.left.items()}
        return [
            _deliver(rows.get(printable_path(name)) or _not_taken(left.get(name)), inside.outbox, file, output)
            for name, file in zip(copies, files, strict=True)
        ]


def files_in(paths: Sequence[Path], *, fitting: Callable[[Path], bool]) -> list[Path]:
    """`paths`, with each folder replaced by the files in it and its subfolders that are `fitting`, sorted; not the
    hidden ones and sidecars.

    Raises:
        UsageError: a folder has no such files.
    """
    found: list[Path] = []
    for path in paths:
        inside = [each for each in sorted(path.rglob("*")) if _is_meant(each, path)] if path.is_dir() else [path]
        fits = [each for each in inside if each == path or fitting(each)]
        if not fits:
            raise UsageError(f"The folder {path} has no files to process.", "Name another one, or another recipe.")
        found += fits
    return found


def _is_meant(path: Path, folder: Path) -> bool:
    is_hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
    return path.is_file() and not is_hidden and path.suffix not in SIDECAR_SUFFIXES


def fits(settings: Settings, recipe: str | None) -> Callable[[Path], bool]:
    """A function that returns whether `recipe` supports a file; None: the recipe that config.toml selects."""
    top = settings.folders[""] if recipe is None else _with_recipe(settings, recipe)
    kinds = set(top.recipes) if recipe is None else set(settings.recipes[recipe].kinds)
    return lambda file: filetype.sniff(file).kind in kinds


def _check_kinds(settings: Settings, files: Sequence[Path], recipe: str) -> None:
    """Raise UsageError if `recipe` does not support the content of a file."""
    _with_recipe(settings, recipe)  # it exists
    kinds = settings.recipes[recipe].kinds
    for file in files:
        kind = filetype.sniff(file).kind
        if kind is not None and kind not in kinds:
            others = sorted(name for name, each in settings.recipes.items() if kind in each.kinds)
            raise UsageError(
                f"{printable(str(file))}: the recipe {literal(recipe)} does not support {kind} files.",
                f"For {kind} files: {', '.join(others)}." if others else "",
            )


def _with_recipe(settings: Settings, recipe: str) -> Folder:
    """The rules of the top folder, with `recipe` for every kind that it supports."""
    if recipe not in settings.recipes:
        known = sorted(settings.recipes)
        hint = nearest(recipe, known)
        raise UsageError(f"Unknown recipe {literal(recipe)}.", f"{hint}Known recipes: {', '.join(known)}.")
    kinds = settings.recipes[recipe].kinds
    top = settings.folders[""]
    return replace(top, recipes={**top.recipes, **dict.fromkeys(kinds, recipe)})


@contextmanager
def _workspace(output: Path) -> Iterator[Path]:
    """A temporary folder in `output`, so that results can be renamed out of it."""
    try:
        output.mkdir(parents=True, exist_ok=True)
        home = Path(tempfile.mkdtemp(prefix=".inboxd-process-", dir=output))
    except OSError as error:
        raise StorageError(
            f"Cannot use the output folder {output}: {os.strerror(error.errno or 0)}.",
            "Name a folder that you may write to with --output.",
        ) from error
    try:
        yield home
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _copy(file: Path, inbox: Path, options: Mapping[str, object]) -> Path:
    """Copy a file, its sidecars and the options into the inbox; return its path there, relative to the inbox.

    A copy, as a link would let a processor's mistake reach the file. A second file of the same name gets a folder.

    Raises:
        StorageError: it cannot be read or written.
    """
    name, number = Path(file.name), 1
    while (inbox / name).exists() or (inbox / name.parts[0]).is_file():
        number += 1
        name = Path(str(number), file.name)
    sidecars = (file.with_name(file.name + suffix) for suffix in SIDECAR_SUFFIXES)
    try:
        (inbox / name).parent.mkdir(parents=True, exist_ok=True)
        for source in (*sidecars, file):
            if source.is_file():
                shutil.copy2(source, (inbox / name).parent / source.name)
        if options:
            _add_options(inbox / f"{name}{OPTIONS_SUFFIX}", options)
    except OSError as error:
        raise StorageError(
            f"Cannot copy {file}: {error.strerror or error}.",
            "Check its permissions and the space in the output folder; --output names another one.",
        ) from error
    return name


def _add_options(sidecar: Path, options: Mapping[str, object]) -> None:
    """Set options in a copied NAME.toml. Leave an invalid one unchanged, so that the daemon reports its mistake."""
    try:
        own = toml.parse(sidecar.read_bytes()) if sidecar.exists() else {}
    except ValueError:
        return
    sidecar.write_text(toml.lines({**own, **options}), encoding="utf-8")


def _not_taken(why: str | None) -> ShownRow:
    """The row of a file that the intake left alone."""
    error = f"Not processed: {why or 'its name is that of a temporary file or a sidecar. Rename it.'}"
    return {
        "recipe": None,
        "kind": None,
        "review": None,
        "run_seconds": None,
        "result_path": None,
        "waiting_for": None,
        "state": "failed",
        "error": error,
        "excerpt": "",
        "file": "",  # `_deliver` sets it
    }


def _deliver(row: ShownRow, outbox: Path, file: Path, output: Path) -> ShownRow:
    """Move one result folder out of the workspace, under a free name."""
    row["file"] = str(file)
    if row["state"] != "done" or row["result_path"] is None:
        row["result_path"] = None
        return row
    source = outbox / row["result_path"]
    number = 1
    while True:
        name = source.name if number == 1 else f"{source.name} ({number})"
        try:
            durable.rename_noreplace(source, output / name)
        except FileExistsError:
            number += 1
            continue
        durable.fsync_folder(output)
        row["result_path"] = name
        return row
