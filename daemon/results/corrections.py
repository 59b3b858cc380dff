"""Prepares corrected files of a result in state/corrections/, which the daemon then places beside the result.

A separate program applies the corrections (see processors/corrections). The document as it was read never changes:
corrections.json records every correction, with who made it, when, and what was there before.
"""

import contextlib
import hashlib
import json
import os
import shutil
import subprocess
import sys
import uuid
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath

from daemon.core.errors import InboxdError, StorageError
from daemon.files.corrected import PREPARED, RECORD
from daemon.queue.rows import JobRow
from daemon.results import documents
from daemon.results.result_files import Folders, Result, corrections_of
from processors import contract, wellformed
from processors.corrections.changes import JsonObject

_SECONDS = 60.0
_MOST_CHANGES = 5000
_BY_CHARS = 100
_ROOT = Path(contract.__file__).parents[1]  # where the package `processors` is found
_PLACES = ("row", "page", "line", "segment")
Change = Mapping[str, object]  # see processors/corrections/changes.py


class InvalidCorrection(InboxdError):
    """The correction does not fit the result."""


@contextlib.contextmanager
def prepared(
    row: JobRow, result: Result, changes: Sequence[Change], by: str, folders: Folders, *, now: datetime | None = None
) -> Iterator[tuple[str, int]]:
    """Prepare the files of the result with further changes; yield the name of their folder in state/corrections and
    the number of changes that the result had before. The folder is removed afterwards.

    Raises:
        InvalidCorrection: there is nothing to correct, or a change does not fit the document.
        StorageError: they cannot be written now.
    """
    file, document = _document(result)
    before = list(corrections_of(result))
    added = [_recorded(change, document, by, now or datetime.now(UTC)) for change in changes]
    if not added or len(before) + len(added) > _MOST_CHANGES:
        raise InvalidCorrection(f"A result can have up to {_MOST_CHANGES} corrections, and needs one.")
    name = str(uuid.uuid4())
    folder = folders.state / PREPARED / name
    try:
        folder.mkdir(parents=True, mode=0o700)
        made = _write(row, result, file, document, [*before, *added], folder)
        files = [_facts_of(folder / each) for each in made["files"]]
        facts = {"schema": 1, "job": row["id"], "document": file, "review": made["review"]}
        content = {**facts, "files": files, "changes": [*before, *added]}
        (folder / RECORD).write_text(wellformed.dumps(content, indent=1) + "\n", encoding="utf-8")
        yield name, len(before)
    except OSError as error:
        raise StorageError(f"The correction cannot be written now: {error.strerror or error}.") from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _document(result: Result) -> tuple[str, JsonObject]:
    """The name and the content of the JSON file as it was read."""
    found = documents.load_json(result, as_read=True)
    if found is None or not {"statements", "segments", "pages"} & found[1].keys():
        raise InvalidCorrection("This result has no rows, lines or segments to correct.", "Edit its files instead.")
    return found


def _recorded(change: Change, document: JsonObject, by: str, now: datetime) -> dict[str, object]:
    """A change as corrections.json lists it."""
    who = " ".join(by.split())[:_BY_CHARS] or "unknown"
    return {"at": now.isoformat(timespec="seconds"), "by": who, **change, "was": _was(change, document)}


def _was(change: Change, document: JsonObject) -> object:
    """What the document as it was read has there; None: nothing, so that the change will be refused."""
    with contextlib.suppress(LookupError, TypeError):
        values = change.get("values")
        if isinstance(values, Mapping):
            rows = [row for account in document["statements"] for row in account["rows"]]
            row = rows[_index(change, "row")]
            return {name: row.get(name) for name in values} if values else {"flags": row.get("flags", [])}
        if "segment" in change:
            return document["segments"][_index(change, "segment")]["text"]
        page = next(each for each in document["pages"] if each["number"] == change["page"])
        return page["lines"][_index(change, "line")]["text"]
    return None


def _index(change: Change, name: str) -> int:
    number = change[name]
    if not isinstance(number, int) or number < 1:
        raise LookupError(name)
    return number - 1


def _write(
    row: JobRow, result: Result, file: str, document: object, changes: Sequence[Change], folder: Path
) -> JsonObject:
    stem = file.removesuffix(".json")
    order = {
        "document": document,
        "stem": stem,
        "title": PurePosixPath(row["file"]).name,
        "formats": [each.name.removeprefix(f"{stem}.") for each in result.files if each.name.startswith(f"{stem}.")],
        "options": result.facts.get("options"),
        "changes": [_plain(change) for change in changes],
    }
    try:
        done = subprocess.run(
            (sys.executable, "-P", "-m", "processors.corrections.write"),
            input=json.dumps(order).encode(),
            cwd=folder,
            env={"PYTHONPATH": str(_ROOT), "PATH": os.environ.get("PATH", "")},
            capture_output=True,
            timeout=_SECONDS,
            start_new_session=True,
            check=True,
        )
        answer: JsonObject = json.loads(done.stdout)
    except (subprocess.SubprocessError, ValueError) as error:
        raise InvalidCorrection(
            "inboxd cannot write this correction.", "Edit the files of the result instead."
        ) from error
    if "error" in answer:
        raise InvalidCorrection(str(answer["error"]))
    return answer


def _plain(change: Change) -> dict[str, object]:
    return {name: value for name, value in change.items() if name in (*_PLACES, "values", "text")}


def _facts_of(path: Path) -> dict[str, object]:
    content = path.read_bytes()
    return {"name": path.name, "size_bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
