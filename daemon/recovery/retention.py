"""Removes what is old enough: results, failures, archived originals, history. Off by default.

A result is removed only if its document names the job and it contains nothing that a person has added.
"""

import logging
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from daemon.config.current import CurrentSettings
from daemon.core import durable, names
from daemon.core.job import Job, JobState
from daemon.files import added_files, result_reader
from daemon.files.folders import Folders
from daemon.queue.store import Store

log = logging.getLogger(__name__)

_AT_ONCE = 200  # rows of history in one transaction
_RESULTS, _FAILURES = (JobState.DONE,), (JobState.FAILED, JobState.CANCELLED)


@dataclass(frozen=True, kw_only=True)
class Removal:
    """Something that is old enough to be removed. `why_not`: why it is not removed."""

    what: str  # "result", "failure", "archived original" or "history"
    path: str  # for people; of history: the number of rows
    job: Job | None = None
    folder: Path | None = None
    jobs: tuple[str, ...] = ()  # of history
    why_not: str = ""


class Retention:
    """Finds and removes what `[retention]` allows. Called by the main thread only."""

    def __init__(self, settings: CurrentSettings, store: Store, folders: Folders):
        self._settings = settings
        self._store = store
        self._folders = folders

    def due(self) -> Iterator[Removal]:
        """Find what may be removed now. Fetch the next item only after the last one has been removed."""
        rules, now = self._settings.value.retention, self._store.now()
        for states, what, age in (
            (_RESULTS, "result", rules.results),
            (_FAILURES, "failure", rules.failed),
        ):
            if age is not None:
                yield from self._results(states, what, now - int(age * 1e6))
        if rules.archive is not None:
            yield from self._archived(now - int(rules.archive * 1e6))
        if rules.history is not None:
            yield from self._history(now - int(rules.history * 1e6))

    def remove(self, removal: Removal) -> None:
        """Remove it, durably. After a crash, a partly removed folder is not visible, and the next start removes the
        rest.

        Raises:
            OSError, StorageError: it cannot be removed now; the next run retries.
        """
        if removal.why_not:
            return
        if removal.jobs:
            self._store.forget_history(removal.jobs)
        elif removal.folder is not None and removal.what == "archived original":
            durable.remove_tree(removal.folder)
            durable.remove_empty_folders(removal.folder.parent, up_to=self._folders.outbox.archive)
        elif removal.folder is not None and removal.job is not None:
            self._folders.outbox.remove_result(removal.job, removal.folder)
        if removal.job is not None and removal.what != "archived original":
            self._store.forget_result(removal.job, event=f"{removal.what} removed by [retention]")

    # ---------------------------------------------------------------------------------------- finding

    def _results(self, states: tuple[JobState, ...], what: str, before: int) -> Iterator[Removal]:
        after = ("", 0)
        while jobs := self._store.ended(states, before=before, after=after, limit=_AT_ONCE):
            for job in jobs:
                assert job.result_path is not None  # `ended` returns only jobs with a result
                folder = self._folders.outbox.path / job.result_path
                if not folder.is_dir() or folder.is_symlink():
                    # the folder was moved: only the row is updated
                    yield Removal(what=what, path=job.result_path, job=job)
                    continue
                yield Removal(
                    what=what, path=job.result_path, job=job, folder=folder, why_not=self._why_not(folder, job)
                )
            after = _position(jobs[-1])

    def _why_not(self, folder: Path, job: Job) -> str:
        """The reason why a result may not be removed; "" if it may."""
        path = folder / ("result.json" if job.state is JobState.DONE else "error.json")
        try:
            document = result_reader.read(path, root=folder)
            if document.facts.get("job") != job.id:
                return "another job's result has its name"
            foreign = added_files.added(folder, document.facts)
            changed = self._folders.outbox.changed_files(job) or added_files.changed(folder, document, job.mtime_ns)
        except (OSError, ValueError, LookupError, TypeError, AttributeError):
            return "it has changed since inboxd published it"
        if changed:
            return f"files have changed since inboxd published them: {_shown(changed)}"
        return f"it contains files that inboxd did not publish: {_shown(foreign)}" if foreign else ""

    def _archived(self, before: int) -> Iterator[Removal]:
        archive = self._folders.outbox.archive
        for folder in _job_folders(archive):
            job = self._store.get(folder.name)
            if job is None:
                ended = _newest(folder)
            else:
                is_its_home = names.is_safe_relative(job.folder) and self._folders.outbox.archive_folder(job) == folder
                ended = job.finished_at if is_its_home and job.state.is_final else None
            if ended is not None and ended < before:
                yield Removal(what="archived original", path=f"{folder.relative_to(archive)}", job=job, folder=folder)

    def _history(self, before: int) -> Iterator[Removal]:
        after = ("", 0)
        while jobs := self._store.ended(
            (*_RESULTS, *_FAILURES), before=before, after=after, limit=_AT_ONCE, with_result=False
        ):
            after = _position(jobs[-1])
            ids = tuple(job.id for job in jobs)
            yield Removal(what="history", path=f"{len(ids)} jobs, until {jobs[-1].path}", jobs=ids)


def _shown(paths: list[str]) -> str:
    return ", ".join(map(names.printable, paths[:3]))


def _position(job: Job) -> tuple[str, int]:
    """The position after the last row read, for `Store.ended`."""
    assert job.finished_at is not None  # it has ended
    return job.id, job.finished_at


def _newest(folder: Path) -> int | None:
    """The last change of a folder of files, or of anything in it, in microseconds. None if it contains more than files:
    in that case, it is an inbox folder with such a name, not the folder of a job. A copied file may have an old mtime,
    but not an old ctime."""
    with os.scandir(folder) as found:
        facts = [item.stat(follow_symlinks=False) for item in found]
    if not all(stat.S_ISREG(each.st_mode) for each in facts):
        return None
    return max(max(each.st_mtime_ns, each.st_ctime_ns) for each in (*facts, folder.stat())) // 1000


def _job_folders(folder: Path) -> Iterator[Path]:
    """The folders below `folder` whose name is a job id, without anything below them."""
    if not folder.is_dir():
        return
    for path in sorted(folder.iterdir()):
        if path.is_symlink() or not path.is_dir():
            continue
        if names.is_job_id(path.name):
            yield path
        else:
            yield from _job_folders(path)
