"""Places corrected files beside a result: by one rename, so that readers find the files of one correction only."""

import contextlib
import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from daemon.core import durable, names, regular_files
from daemon.core.job import Job, JobState
from daemon.files import added_files, result_reader, safe_folders
from daemon.files.corrected_files import FOLDER, PREPARED, RECORD
from daemon.files.folders import Folders
from daemon.queue.store import Store

_MAX_FILES = 20
_MAX_BYTES = 16 * 1024 * 1024  # of all files: the main thread writes them
_MAX_RECORD_BYTES = 4 * 1024 * 1024  # of corrections.json, which the main thread formats


class CorrectionRefused(Exception):
    """The prepared files cannot be placed; `fix` says what to do."""

    def __init__(self, what: str, fix: str = ""):
        super().__init__(what)
        self.fix = fix


class CorrectionPlacer:
    """Called by the main thread only."""

    def __init__(self, store: Store, folders: Folders):
        self._store = store
        self._folders = folders

    def place(self, job: Job, prepared: str, *, revision: int) -> None:
        """Place the files of state/corrections/`prepared`, durably, instead of those of earlier corrections.

        revision: how many corrections the result had when they were prepared.

        Raises:
            CorrectionRefused: they are not complete, or the result has been corrected in the meantime.
            OSError, StorageError: not possible now; nothing has changed, or only the event is missing.
        """
        if job.state is not JobState.DONE or job.result_path is None or not names.is_job_id(prepared):
            raise CorrectionRefused(f"There is no result of {job.path} to correct.")
        files, record = _read(self._folders.state / PREPARED / prepared, job)
        outbox = self._folders.outbox
        result = outbox.path / job.result_path
        if self._revision(result, job) != revision:
            raise CorrectionRefused(
                "Somebody else has corrected this result in the meantime.", "Load it again, and repeat the correction."
            )
        staged = outbox.staging / f"{job.id}.{FOLDER}"
        durable.remove_tree(staged)
        staged.mkdir()
        for name, content in files.items():
            durable.write_file(staged / name, content)
        durable.fsync_folder(staged)
        with safe_folders.opened(outbox.path, result) as folder:
            durable.put_in_place(staged, result / FOLDER, target_folder=folder)
            durable.fsync_folder(folder)
        outbox.fsync_staging()
        durable.remove_tree(staged)  # the earlier files, if there were any
        self._store.record_event(job, "corrected", _describe(record, revision))

    def _revision(self, result: Path, job: Job) -> int:
        """How many corrections a result has.

        Raises:
            CorrectionRefused: it is another result, a file that inboxd did not write has the name of the folder, or a
                person has changed what is in it.
        """
        root = self._folders.outbox.path
        try:
            if result_reader.read(result / "result.json", root=root).facts.get("job") != job.id:
                raise CorrectionRefused(
                    f"{job.result_path} contains the result of another job.", "Run `inboxd verify`."
                )
        except (FileNotFoundError, ValueError) as error:
            raise CorrectionRefused(
                f"The result {job.result_path} is missing or damaged.", "Run `inboxd verify`."
            ) from error
        if not os.path.lexists(result / FOLDER):
            return 0
        with contextlib.suppress(FileNotFoundError, ValueError, TypeError, KeyError):
            facts = result_reader.read(result / FOLDER / RECORD, root=root).facts
            if facts.get("job") == job.id:
                self._check_unchanged(job, result / FOLDER, facts)
                return len(facts["changes"])
        raise CorrectionRefused(f"inboxd did not write {job.result_path}/{FOLDER}.", "Rename it, then try again.")

    def _check_unchanged(self, job: Job, folder: Path, facts: result_reader.Facts) -> None:
        """Check that the next correction would replace only what inboxd wrote.

        Raises:
            CorrectionRefused: a person has added or changed files.
            OSError: the folder cannot be read now.
            ValueError, LookupError, TypeError: the record of the corrections was changed.
        """
        files = {str(file["name"]): file["sha256"] for file in facts["files"]}
        with safe_folders.opened(self._folders.outbox.path, folder) as descriptor:
            mine = list(added_files.others(".", {RECORD, *files}, below=descriptor))
            mine += [name for name, sha256 in files.items() if _is_changed(name, sha256, descriptor)]
        if mine:
            shown = names.printable_sentence(", ".join(sorted(mine)), most=200)
            what = f"Somebody has added or changed {shown} in {job.result_path}/{FOLDER}."
            raise CorrectionRefused(what, "Move that out of the folder, then try again.")


def _is_changed(name: str, sha256: object, folder: int) -> bool:
    """True if a file of the last correction has another content; False if a person has removed it."""
    if "/" in name:
        raise ValueError("a file has a wrong name")
    try:
        with os.fdopen(regular_files.open_regular(name, folder), "rb") as file:
            content = file.read(_MAX_BYTES + 1)
    except FileNotFoundError:
        return False
    except OSError:  # it is no longer a file
        return True
    return hashlib.sha256(content).hexdigest() != sha256


def _read(folder: Path, job: Job) -> tuple[dict[str, bytes], Mapping[str, object]]:
    """The files that were prepared, and their record."""
    try:
        record = result_reader.read(folder / RECORD, root=folder, most_bytes=_MAX_RECORD_BYTES).facts
        listed = record["files"]
        if record.get("job") != job.id or not isinstance(record["changes"], list) or len(listed) > _MAX_FILES:
            raise ValueError("the record is wrong")
        files = dict(_contents(folder, listed))
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise CorrectionRefused(f"The corrected files cannot be read: {error}.") from error
    files[RECORD] = (json.dumps(record, ensure_ascii=False, indent=1) + "\n").encode("utf-8", "backslashreplace")
    return files, record


def _contents(folder: Path, listed: list[Mapping[str, object]]) -> Iterator[tuple[str, bytes]]:
    left = _MAX_BYTES
    for entry in listed:
        name = str(entry["name"])
        if not names.is_safe_relative(name) or "/" in name or name.startswith(".") or name == RECORD:
            raise ValueError("a file has a wrong name")
        with os.fdopen(regular_files.open_regular(folder / name), "rb") as file:
            content = file.read(left + 1)
        left -= len(content)
        if left < 0 or hashlib.sha256(content).hexdigest() != entry["sha256"]:
            raise ValueError(f"{name} is too large, or has changed")
        yield name, content


def _describe(record: Mapping[str, object], revision: int) -> str:
    changes = record["changes"]
    assert isinstance(changes, list)
    added = len(changes) - revision
    by = changes[-1].get("by") if changes and isinstance(changes[-1], dict) else None
    return names.printable_sentence(f"{added} correction{'s' if added != 1 else ''} by {by or 'unknown'}", most=200)
