"""Checks that the outbox contains only complete results, and a consumer that checks each result as soon as it appears.

The consumer moves some results away immediately, as a user's script would. It relies only on the files.
"""

import hashlib
import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mixed_files import FOLDERS

_PAUSE_SECONDS = 0.002
_FRESH_NS = (
    50_000_000  # a folder that changed more recently than this may have changed again within the same tick of its mtime
)


@dataclass(frozen=True, kw_only=True)
class Seen:
    """The findings about one visible result."""

    path: str
    state: str = ""  # done or failed
    job: str = ""
    sha256: str = ""  # of the original
    sidecar: str | None = None  # the SHA-256 of the original's NAME.prompt
    outputs: tuple[str, ...] = ()  # SHA-256
    faults: tuple[str, ...] = ()  # the reasons why it is incomplete


def examine(result: Path, archive: Path) -> Seen:
    """Read a result as another program would: its document, every file it names, and the original."""
    try:
        return _examine(result, archive)
    except (OSError, ValueError, KeyError, TypeError) as error:
        return Seen(path=str(result), faults=(f"{result}: {error!r}",))


def _examine(result: Path, archive: Path) -> Seen:
    state = "failed" if (result / "error.json").exists() else "done"
    facts = json.loads((result / ("error.json" if state == "failed" else "result.json")).read_bytes())
    faults, outputs = [], []
    if state == "failed" and not (result / "error.txt").read_text().endswith(".\n"):
        faults.append(f"{result}: error.txt is cut off")
    for file in facts.get("files", []):
        outputs.append(_sha256(result / file["name"]))
        if outputs[-1] != file["sha256"]:
            faults.append(f"{result}: {file['name']} is not what result.json says")
    where = facts["original"]["path"]
    original = archive / where.removeprefix("archive:") if where.startswith("archive:") else result / where
    if _sha256(original) != facts["sha256"]:
        faults.append(f"{result}: the original {where} has another content")
    sidecar = Path(f"{original}.prompt")
    return Seen(
        path=str(result),
        state=state,
        job=facts["job"],
        sha256=facts["sha256"],
        sidecar=_sha256(sidecar) if sidecar.exists() else None,
        outputs=tuple(outputs),
        faults=tuple(faults),
    )


def mirrored(outbox: Path) -> set[Path]:
    """The folders of the outbox that are not results themselves."""
    done = {outbox / ("failed (folder)" if folder == "failed" else folder) for folder in FOLDERS}
    return {*done, outbox / "failed", *(outbox / "failed" / folder for folder in FOLDERS)}


def visible_results(outbox: Path) -> Iterator[Path]:
    """All folders of the outbox that are results: neither hidden nor mirrored from the inbox."""
    folders = mirrored(outbox)
    for folder in folders:
        yield from _results_in(folder, folders)


def consume(outbox: Path, archive: Path, kept: Path, stop: Any, report: Any) -> None:
    """Check what appears until `stop` is set; move every second result to `kept`; send the findings."""
    folders = mirrored(outbox)
    read_at: dict[Path, int] = {}  # the mtime a folder had when it was last read
    known: set[Path] = set()
    faults: list[str] = []
    looked = moved = 0
    last = False
    while not last:
        last = stop.is_set()  # before the check, so that it includes all that appeared until then
        for folder in folders:
            for result in _changed(folder, folders, read_at):
                if result in known:
                    continue
                faults += [f"at first sight: {fault}" for fault in examine(result, archive).faults]
                looked += 1
                if looked % 2:
                    result.rename(kept / str(looked))
                    moved += 1
                else:
                    known.add(result)
        time.sleep(_PAUSE_SECONDS)
    report.send({"looked": looked, "moved": moved, "faults": faults})


def _changed(folder: Path, folders: set[Path], read_at: dict[Path, int]) -> list[Path]:
    """The results of a folder, if it may have changed since it was last read."""
    try:
        mtime = folder.stat().st_mtime_ns
    except FileNotFoundError:
        return []
    if read_at.get(folder) == mtime and time.time_ns() - mtime > _FRESH_NS:
        return []
    read_at[folder] = mtime
    return list(_results_in(folder, folders))


def _results_in(folder: Path, folders: set[Path]) -> Iterator[Path]:
    if not folder.is_dir():
        return
    for item in os.scandir(folder):
        path = Path(item.path)
        if not item.name.startswith(".") and path not in folders:
            yield path


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
