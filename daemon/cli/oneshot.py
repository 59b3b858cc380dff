"""`inboxd process FILE…`: the daemon's whole way for a few files, in folders of its own, beside any running daemon."""

import shutil
import tempfile
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from daemon.config.settings import Folder, Settings
from daemon.core import durable
from daemon.core.errors import UsageError
from daemon.core.names import SIDECAR_SUFFIXES, printable_path
from daemon.queue.reader import JobLog
from daemon.server.service import Service
from processors.contract import Kind


def process(
    settings: Settings,
    files: Sequence[Path],
    *,
    recipe: str | None,
    output: Path,
    on_change: Callable[[Service], None] | None = None,
) -> list[dict[str, Any]]:
    """Process copies of `files`; their result folders are in `output` afterwards, the files themselves are untouched.

    recipe: for all of them, instead of what config.toml binds to the top of the inbox.
    Returns the rows of the job log, `result_path` relative to `output`; of what failed, it is None.

    Raises:
        UsageError: a file is not there, or there is no such recipe.
    """
    for file in files:
        if not file.is_file():
            raise UsageError(f"There is no file {file}.", "Name files, not folders.")
    top = settings.folders[""] if recipe is None else _bound(settings, recipe)
    output.mkdir(parents=True, exist_ok=True)
    with _workspace(output) as home:
        inside = replace(
            settings,
            inbox=home / "inbox",
            outbox=home / "outbox",
            state=home / "state",
            settle_seconds=0.0,
            folders={"": top},
        )
        laid = [_place(file, inside.inbox) for file in files]
        service = Service(inside, drain=True, on_change=on_change)
        service.run()
        with JobLog(inside.database) as log:
            rows = {row["file"]: row for row in log.jobs()}
        left = {path.relative_to(inside.inbox): why for path, why in service.intake.left.items()}
        return [
            _deliver(rows.get(printable_path(name)) or _not_taken(left.get(name)), inside.outbox, file, output)
            for name, file in zip(laid, files, strict=True)
        ]


def _bound(settings: Settings, recipe: str) -> Folder:
    if recipe not in settings.recipes:
        known = ", ".join(sorted(settings.recipes))
        raise UsageError(f"There is no recipe {recipe!r}.", f"Known recipes: {known}.")
    kinds = settings.recipes[recipe].cls.kinds
    top = settings.folders[""]
    return replace(top, recipes={kind: recipe if kind in kinds else top.recipes.get(kind, recipe) for kind in Kind})


@contextmanager
def _workspace(output: Path):
    home = Path(tempfile.mkdtemp(prefix=".inboxd-process-", dir=output))
    try:
        yield home
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _place(file: Path, inbox: Path) -> Path:
    """Copy a file, and its sidecars if it has any, into the inbox; its path there, relative to the inbox.

    A copy, as a link would let a processor's mistake reach the file. The second one of a name gets a folder.
    """
    name, number = Path(file.name), 1
    while (inbox / name).exists():
        number += 1
        name = Path(str(number), file.name)
    (inbox / name).parent.mkdir(parents=True, exist_ok=True)
    sidecars = (file.with_name(file.name + suffix) for suffix in SIDECAR_SUFFIXES)
    for source in (*sidecars, file):
        if source.is_file():
            shutil.copy2(source, (inbox / name).parent / source.name)
    return name


def _not_taken(why: str | None) -> dict[str, Any]:
    """The row of a file that was no drop."""
    error = f"It was not taken: {why or 'its name is that of a temporary file or of a sidecar; rename it.'}"
    empty = dict.fromkeys(("recipe", "review", "run_seconds", "result_path", "waiting_for"))
    return {**empty, "state": "failed", "error": error, "excerpt": ""}


def _deliver(row: dict[str, Any], outbox: Path, file: Path, output: Path) -> dict[str, Any]:
    """Move one result folder out of the workspace, under a free name."""
    row["file"] = str(file)
    if row["state"] != "done":
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
