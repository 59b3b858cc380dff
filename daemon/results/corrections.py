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
from daemon.core.names import printable
from daemon.files.corrected_files import PREPARED, RECORD
from daemon.queue.rows import JobRow
from daemon.results import document_files
from daemon.results.result_files import Folders, Result, corrections_of
from processors import contract, wellformed
from processors.corrections import fields
from processors.corrections.changes import JsonObject

_SECONDS = 60.0
_MOST_CHANGES = 5000
_BY_CHARS = 100
_ROOT = Path(contract.__file__).parents[1]  # where the package `processors` is found
_PLACES = ("row", "item", "page", "line", "segment")
_CONTENTS = ("values", "fields", "text")
_ITEMS = ("items", "lines")  # of a receipt, of an invoice
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
    wanted = [_on_one_line(change) for change in changes]
    added = [_recorded(change, document, by, now or datetime.now(UTC)) for change in wanted]
    if not added or len(before) + len(added) > _MOST_CHANGES:
        raise InvalidCorrection(f"A result can have up to {_MOST_CHANGES} corrections, and needs one.")
    name = str(uuid.uuid4())
    folder = folders.state / PREPARED / name
    try:
        folder.mkdir(parents=True, mode=0o700)
        made = _write(row, result, file, document, before, wanted, folder)
        files = [_facts_of(folder / each) for each in made["files"]]
        facts = {"schema": 1, "job": row["id"], "document": file, "review": made["review"]}
        content = {**facts, "files": files, "changes": [*before, *added]}
        (folder / RECORD).write_text(wellformed.dumps(content, indent=1) + "\n", encoding="utf-8")
        _give_to_daemon(folder, folders.state)
        yield name, len(before)
    except OSError as error:
        fix = "Run the command as root or as the daemon's user." if isinstance(error, PermissionError) else ""
        raise StorageError(f"The correction cannot be written now: {error.strerror or error}.", fix) from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _give_to_daemon(folder: Path, state: Path) -> None:
    """Let the daemon's user, the owner of `state`, read what root has prepared, and prepare folders beside it."""
    owner = state.stat()
    if os.geteuid() == 0 and owner.st_uid != 0:
        for path in (folder.parent, folder, *folder.iterdir()):
            os.chown(path, owner.st_uid, owner.st_gid, follow_symlinks=False)


def describe(change: Change) -> str:
    """A recorded change in words: "Row 2: debit 13.00 → 18.00"."""
    was = change.get("was")
    if "row" in change:
        return f"Row {change['row']}: {_changed(change.get('values'), was)}"
    if "item" in change:
        if change.get("values") is None:
            before = was.get("description") if isinstance(was, Mapping) else None
            return f"Item {change['item']}: “{_or_none(before)}” removed"
        return f"Item {change['item']}: {_changed(change.get('values'), was)}"
    if "fields" in change:
        changed = _changed(change["fields"], was)
        return changed[:1].upper() + changed[1:]
    line = f"Page {change.get('page')}, line {change.get('line')}"
    place = f"Segment {change['segment']}" if "segment" in change else line
    return f"{place}: “{str(was).strip()}” → “{change.get('text')}”"


def _changed(values: object, was: object) -> str:
    """The values, with what was there before."""
    if not isinstance(values, Mapping) or not values:
        return "confirmed"
    before = was if isinstance(was, Mapping) else {}
    return ", ".join(
        f"{fields.shown(str(name))} {_or_none(before.get(name))} → {_or_none(value)}" for name, value in values.items()
    )


def _or_none(value: object) -> str:
    return "none" if value in (None, "") else str(value)


def _document(result: Result) -> tuple[str, JsonObject]:
    """The name and the content of the JSON file as it was read."""
    found = document_files.load_json(result, as_read=True)
    if found is None:
        raise InvalidCorrection("This result has nothing to correct here.", "Edit its files instead.")
    return found


def _on_one_line(change: Change) -> Change:
    """A change whose texts are one line each."""
    return {name: _texts_on_one_line(value) if name in _CONTENTS else value for name, value in change.items()}


def _texts_on_one_line(content: object) -> object:
    if isinstance(content, Mapping):
        return {name: _texts_on_one_line(value) for name, value in content.items()}
    return fields.one_line(content) if isinstance(content, str) else content


def _recorded(change: Change, document: JsonObject, by: str, now: datetime) -> dict[str, object]:
    """A change as corrections.json lists it."""
    who = printable(" ".join(by.split())[:_BY_CHARS] or "unknown")
    return {"at": now.isoformat(timespec="seconds"), "by": who, **change, "was": _was(change, document)}


def _was(change: Change, document: JsonObject) -> object:
    """What the document as it was read has there; None: nothing, so that the change adds it or will be refused."""
    with contextlib.suppress(LookupError, TypeError, AttributeError, StopIteration):
        if "row" in change:
            rows = [row for account in document["statements"] for row in account["rows"]]
            return _values_of(rows[_index(change, "row")], change["values"], otherwise="flags")
        if "item" in change:
            items = next(document[name] for name in _ITEMS if name in document)
            return _values_of(items[_index(change, "item")], change["values"], otherwise="description")
        if "fields" in change:
            return _values_of(document, change["fields"], otherwise="reasons")
        if "segment" in change:
            return document["segments"][_index(change, "segment")]["text"]
        page = next(each for each in document["pages"] if each["number"] == change["page"])
        return page["lines"][_index(change, "line")]["text"]
    return None


def _values_of(place: JsonObject, names: object, *, otherwise: str) -> object:
    """The values that a change replaces; `otherwise`: what it confirms or removes."""
    if isinstance(names, Mapping) and names:
        return {name: place.get(name) for name in names}
    return {otherwise: place.get(otherwise)}


def _index(change: Change, name: str) -> int:
    number = change[name]
    if not isinstance(number, int) or number < 1:
        raise LookupError(name)
    return number - 1


def _write(
    row: JobRow,
    result: Result,
    file: str,
    document: object,
    before: Sequence[Change],
    added: Sequence[Change],
    folder: Path,
) -> JsonObject:
    stem = file.removesuffix(".json")
    order = {
        "document": document,
        "stem": stem,
        "title": PurePosixPath(row["file"]).name,
        "formats": [each.name.removeprefix(f"{stem}.") for each in result.files if each.name.startswith(f"{stem}.")],
        "options": result.facts.get("options"),
        "changes": [*map(_plain, before), *added],
        "earlier": len(before),
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


def _plain(change: Change) -> Change:
    """A recorded change as the person sent it."""
    return {name: value for name, value in change.items() if name in (*_PLACES, *_CONTENTS)}


def _facts_of(path: Path) -> dict[str, object]:
    content = path.read_bytes()
    return {"name": path.name, "size_bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
