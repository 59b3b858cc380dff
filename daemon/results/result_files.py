"""The files of a result: which there are, and opening one safely.

No path is built from a request. A client names a file; it is served only if result.json (or error.json) lists exactly
that name, and it is opened below the outbox without following links.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from daemon.core import names, regular_files
from daemon.core.errors import InboxdError, StoreError
from daemon.files import corrected_files, result_reader, safe_folders
from daemon.files.flat import FilePlaces
from daemon.files.originals import ERROR_DOCUMENTS
from daemon.queue.rows import JobRow

_RESULT = "result.json"
_ARCHIVE = "archive:"


class FileMissing(InboxdError):
    """A file of a result cannot be had. `code`: for programs."""

    def __init__(self, code: str, what: str, fix: str):
        super().__init__(what, fix)
        self.code = code


class DamagedResult(StoreError):
    """result.json cannot be read."""


@dataclass(frozen=True, kw_only=True)
class ResultFile:
    """A file that a client may have."""

    name: str  # relative to the result
    size_bytes: int | None  # None: not recorded
    sha256: str | None


@dataclass(frozen=True, kw_only=True)
class Result:
    """A result, or what is left of a failed job."""

    root: Path  # the outbox
    places: FilePlaces
    facts: Mapping[str, object]  # of result.json or error.json
    files: Sequence[ResultFile]  # the outputs and the documents, without the original
    corrections: Mapping[str, object] | None  # of corrected/corrections.json; None: nobody has corrected anything
    original: tuple[Path, Path] | None  # the trusted folder above it, and its path; None: it was deleted

    def open(self, name: str) -> int:
        """Open one of the files for reading; return the descriptor.

        Raises:
            FileMissing: no such file is listed, or it is no longer there.
        """
        if name not in {file.name for file in self.files}:
            raise FileMissing("no_such_file", "The result has no such file.", "See `files` of the job.")
        return _open(self.root, self.root / self.places.path(name))

    def open_original(self) -> int:
        """The same for the original."""
        if self.original is None:
            raise FileMissing("no_original", "The original was not kept.", "See [inbox] originals in docs/settings.md.")
        return _open(*self.original)


class Folders(Protocol):
    """The folders of one daemon, as its settings name them."""

    @property
    def outbox(self) -> Path: ...
    @property
    def state(self) -> Path: ...


def find(row: JobRow, folders: Folders) -> Result | None:
    """The result of a job; None: there is none yet, or it is no longer there.

    Raises:
        DamagedResult: it cannot be read.
    """
    path = row["result_path"]
    if not path or not names.is_safe_relative(path):
        return None
    folder = folders.outbox / path
    documents = (_RESULT,) if row["state"] == "done" else ERROR_DOCUMENTS
    try:
        facts = result_reader.read(folder / documents[0], root=folders.outbox).facts
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise DamagedResult(f"{documents[0]} of this job cannot be read.", "Run `inboxd verify`.") from error
    if facts.get("job") != row["id"]:  # a result of another job has taken its place
        return None
    places = FilePlaces(path, Path(row["file"]).name, facts)
    extra = [ResultFile(name=name, size_bytes=None, sha256=None) for name in documents]
    corrections = read_corrections(folder, row["id"], folders.outbox) if row["state"] == "done" else None
    return Result(
        root=folders.outbox,
        places=places,
        facts=facts,
        files=[*_listed(facts.get("files")), *_corrected(corrections), *extra],
        corrections=corrections,
        original=_original(facts.get("original"), places, folders),
    )


def read_corrections(folder: Path, job_id: str, outbox: Path) -> Mapping[str, object] | None:
    """The record of the corrections of a result; None: there are none, or people have broken it."""
    try:
        facts = result_reader.read(folder / corrected_files.FOLDER / corrected_files.RECORD, root=outbox).facts
    except (OSError, ValueError):
        return None
    return facts if facts.get("job") == job_id and is_unicode(facts) else None


def corrections_of(result: Result) -> Sequence[Mapping[str, object]]:
    """The corrections, in order."""
    changes = result.corrections.get("changes") if result.corrections else None
    return [change for change in changes if isinstance(change, dict)] if isinstance(changes, list) else []


def _corrected(corrections: Mapping[str, object] | None) -> list[ResultFile]:
    if corrections is None:
        return []
    files = [file for file in _listed(corrections.get("files")) if "/" not in file.name]
    record = ResultFile(name=corrected_files.RECORD, size_bytes=None, sha256=None)
    return [replace(file, name=f"{corrected_files.FOLDER}/{file.name}") for file in (*files, record)]


def _listed(files: object) -> list[ResultFile]:
    """The outputs that result.json lists; entries that people have broken are left out."""
    found = []
    for entry in files if isinstance(files, list) else ():
        name = entry.get("name") if isinstance(entry, dict) else None
        if isinstance(name, str) and name and names.is_safe_relative(name) and is_unicode(name):
            size, checksum = entry.get("size_bytes"), entry.get("sha256")
            found.append(
                ResultFile(
                    name=name,
                    size_bytes=size if isinstance(size, int) and 0 <= size < 2**63 else None,
                    sha256=checksum if isinstance(checksum, str) else None,
                )
            )
    return found


def is_unicode(value: object) -> bool:
    """False if a text in a value of JSON has half of a surrogate pair, which cannot be sent."""
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True


def _original(where: object, places: FilePlaces, folders: Folders) -> tuple[Path, Path] | None:
    """The trusted folder above the original, and its path."""
    path = where.get("path") if isinstance(where, dict) else None
    if not isinstance(path, str):
        return None
    is_archived = path.startswith(_ARCHIVE)
    path = path.removeprefix(_ARCHIVE)
    if not path or not names.is_safe_relative(path):
        return None
    root = folders.state / "archive" if is_archived else folders.outbox
    return root, root / (path if is_archived else places.path(path))


def _open(root: Path, path: Path) -> int:
    try:
        with safe_folders.opened(root, path.parent) as folder:
            return regular_files.open_regular(path.name, folder)
    except OSError as error:
        what = "This file is no longer in its place."
        raise FileMissing("file_gone", what, "Run `inboxd verify`.") from error
