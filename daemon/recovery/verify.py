"""`inboxd verify`: proves that every file is in exactly one place, and complete. Only reads; the daemon may be running.

For each row it checks the one place where the original must be, and compares checksums; then it searches the daemon's
folders for files without a row. An apparent error is checked again before it is reported, because a running daemon may
be between two steps.
"""

import functools
import time
from collections.abc import Callable, Iterator, Set
from dataclasses import dataclass
from pathlib import Path

from daemon.core import names
from daemon.core.regular_files import sha256_of
from daemon.files import corrected_files, flat, result_reader
from daemon.files.folders import Folders
from daemon.files.originals import RESULT
from daemon.files.taken import OriginalGone
from daemon.queue.reader import JobLog
from daemon.queue.rows import PlacedRow
from daemon.recovery.unplaced import read as read_unplaced

_CHECKS = 5  # of an apparent error, before it is reported
_PAUSE_SECONDS = 0.2


@dataclass(frozen=True, kw_only=True)
class Discrepancy:
    """A violation of the guarantee, or (`is_error` False) a change that a person has made to results."""

    job: str
    what: str
    is_error: bool = True


@dataclass(frozen=True, kw_only=True)
class Verdict:
    jobs: int
    bytes_checked: int
    findings: tuple[Discrepancy, ...]

    @property
    def is_clean(self) -> bool:
        return not any(finding.is_error for finding in self.findings)


class Verification:
    """One check of a job log and its folders. `is_running`: a daemon is using them; without one, a state that the next
    start will repair is no error."""

    def __init__(self, folders: Folders, database: Path, *, is_running: bool):
        self._folders = folders
        self._database = database
        self._is_running = is_running
        self._unplaced = read_unplaced(folders.state)  # failures of the last recovery
        self._bytes = 0
        self._corrected: Set[str] = frozenset()  # jobs whose results people have corrected

    def run(self, on_job: Callable[[int, int], None] = lambda done, total: None) -> Verdict:
        """Check everything. `on_job` is called with (done, total) after each job."""
        rows = self._rows()
        with JobLog(self._database) as log:
            self._corrected = log.corrected_jobs()
        findings: list[Discrepancy] = []
        for done, row in enumerate(rows.values(), start=1):
            findings += self._check_repeatedly(row["id"], functools.partial(self._check, row))
            on_job(done, len(rows))
        for job_id in self._unexplained():
            findings += self._check_repeatedly(job_id, functools.partial(self._explain, job_id))
        with JobLog(self._database) as log:
            if (state := log.integrity()) != "ok":
                findings.append(Discrepancy(job="", what=f"the job log is damaged: {state}"))
        return Verdict(jobs=len(rows), bytes_checked=self._bytes, findings=tuple(findings))

    def _rows(self) -> dict[str, PlacedRow]:
        with JobLog(self._database) as log:
            return {row["id"]: row for row in log.all_jobs()}

    def _check_repeatedly(self, job_id: str, check: Callable[[], Iterator[Discrepancy]]) -> list[Discrepancy]:
        """Repeat a check that finds errors: the daemon may be between two steps. Return the last findings."""
        findings = list(check())
        for _ in range(_CHECKS):
            if not any(finding.is_error for finding in findings):
                break
            time.sleep(_PAUSE_SECONDS)
            row = self._rows().get(job_id)
            findings = list(self._check(row) if row else check())
        return findings

    # ---------------------------------------------------------------------------------------- one job

    def _check(self, row: PlacedRow) -> Iterator[Discrepancy]:
        def finding(what: str, *, is_error: bool = True) -> Discrepancy:
            return Discrepancy(
                job=row["id"], what=f"{row['state']}, {row['folder'] or '.'}/{row['name']}: {what}", is_error=is_error
            )

        match row["state"]:
            case "queued" | "running":
                yield from self._check_taken(row, finding)
                yield from self._check_placed(row, finding)
            case "publishing":
                yield from self._check_placed(row, finding)
                staged = self._folders.outbox.staging / f"{row['id']}.{row['attempt']}"
                assert row["result_path"] is not None  # the intent names it
                result = self._folders.outbox.path / row["result_path"]
                if staged.is_dir() and not self._folders.taken.has(row["id"]):
                    yield finding("it is staged, but the original is no longer in inbox/.taken")
                elif not staged.is_dir() and result.is_dir():
                    yield from self._check_result(row, finding)
            case _:
                if self._folders.taken.has(row["id"]):
                    yield finding(
                        "inbox/.taken still contains a copy (the next start removes it)", is_error=self._is_running
                    )
                yield from self._check_result(row, finding)

    def _check_placed(self, row: PlacedRow, finding: Callable[..., Discrepancy]) -> Iterator[Discrepancy]:
        if why := self._unplaced.get(row["id"]):
            yield finding(f"recovery at the last start failed: {why}")

    def _check_taken(self, row: PlacedRow, finding: Callable[..., Discrepancy]) -> Iterator[Discrepancy]:
        try:
            original = self._folders.taken.original(row["id"])
        except OriginalGone:
            yield finding("the original is not in inbox/.taken")
            return
        try:
            is_changed = row["sha256"] and self._hash(original.path) != row["sha256"]
        except OSError as error:  # it may have been published in the meantime
            yield finding(f"the original in inbox/.taken cannot be read: {error.strerror}")
            return
        if is_changed:
            yield finding("the original in inbox/.taken has changed since it was taken")

    def _check_result(self, row: PlacedRow, finding: Callable[..., Discrepancy]) -> Iterator[Discrepancy]:
        if row["result_path"] is None:
            return  # removed by [retention]
        result = self._folders.outbox.path / row["result_path"]
        document = result / ("result.json" if row["state"] == "done" or row["outcome"] == "done" else "error.json")
        if not result.is_dir():
            yield finding(f"{row['result_path']} was moved or removed by a person", is_error=False)
            return
        try:
            facts = result_reader.read(document, root=self._folders.outbox.path).facts
        except (OSError, ValueError) as error:
            if not any(result.iterdir()):  # results are never published empty
                yield finding(f"{row['result_path']} was emptied by a person", is_error=False)
            else:
                yield finding(f"{document.name} cannot be read: {error}")
            return
        if facts.get("job") != row["id"]:
            yield finding(f"{row['result_path']} contains the result of another job", is_error=False)
            return
        try:
            files = list(self._files(row, facts))
        except (ValueError, LookupError, TypeError, AttributeError):
            yield finding(f"{document.name} was changed, and names no files that can be checked")
            return
        for path, sha256 in files:
            yield from self._check_file(path, sha256, finding)
        if document.name == RESULT:
            yield from self._check_corrections(row, result / corrected_files.FOLDER, finding)

    def _check_corrections(
        self, row: PlacedRow, folder: Path, finding: Callable[..., Discrepancy]
    ) -> Iterator[Discrepancy]:
        name = f"{corrected_files.FOLDER}/{corrected_files.RECORD}"
        try:
            facts = result_reader.read(folder / corrected_files.RECORD, root=self._folders.outbox.path).facts
        except (FileNotFoundError, NotADirectoryError):
            if row["id"] in self._corrected:
                yield finding(f"{name} is missing from its result: removed by a person", is_error=False)
            return
        except (OSError, ValueError) as error:
            yield finding(f"{name} cannot be read: {error}")
            return
        if facts.get("job") != row["id"]:
            yield finding(f"{name} belongs to another job", is_error=False)
            return
        try:
            files = [(folder / _below(file["name"]), str(file["sha256"])) for file in facts["files"]]
        except (ValueError, LookupError, TypeError, AttributeError):
            yield finding(f"{name} was changed, and names no files that can be checked")
            return
        for path, sha256 in files:
            yield from self._check_file(path, sha256, finding)

    def _files(self, row: PlacedRow, facts: result_reader.Facts) -> Iterator[tuple[Path, str | None]]:
        """The files of a result, with their checksums (None: not known).

        Raises:
            ValueError, LookupError, TypeError, AttributeError: a person has changed the document.
        """
        assert row["result_path"] is not None
        outbox, places = self._folders.outbox, flat.FilePlaces(row["result_path"], row["name"], facts)
        for file in facts.get("files") or []:
            yield outbox.path / places.path(_below(file["name"])), str(file["sha256"])
        where = (facts.get("original") or {}).get("path")
        if where:
            archived = where.startswith("archive:")
            path = _below(where.removeprefix("archive:"))
            yield outbox.archive / path if archived else outbox.path / places.path(path), row["sha256"]

    def _check_file(self, path: Path, sha256: str | None, finding: Callable[..., Discrepancy]) -> Iterator[Discrepancy]:
        try:
            actual = self._hash(path)
        except (FileNotFoundError, NotADirectoryError):
            yield finding(f"{path.name} is missing from its result: removed by a person", is_error=False)
            return
        except OSError as error:
            yield finding(f"{path} cannot be read: {error.strerror}")
            return
        if sha256 and actual != sha256:
            yield finding(f"the content of {path} has changed since it was published")

    # ---------------------------------------------------------------------------------------- no row

    def _unexplained(self) -> Iterator[str]:
        rows = self._rows()
        yield from sorted(set(self._folders.taken.job_ids()) - set(rows))
        staged = {name.split(".")[0]: name for name in self._folders.outbox.attempts()}
        yield from sorted(job_id for job_id in staged if job_id not in rows or _has_ended(rows[job_id]))

    def _explain(self, job_id: str) -> Iterator[Discrepancy]:
        row = self._rows().get(job_id)
        if row is None and self._folders.taken.has(job_id):
            why = self._unplaced.get(job_id)
            yield Discrepancy(
                job=job_id,
                what=f"inbox/.taken/{job_id} has no row in the job log ({why or 'the next start records it'})",
                is_error=self._is_running or why is not None,
            )
        staged = [name for name in self._folders.outbox.attempts() if name.startswith(f"{job_id}.")]
        if staged and (row is None or _has_ended(row)):
            yield Discrepancy(
                job=job_id,
                what=f"outbox/.staging/{staged[0]} belongs to no running job (the next start removes it)",
                is_error=self._is_running,
            )

    def _hash(self, path: Path) -> str:
        self._bytes += path.stat().st_size
        return sha256_of(path)


def _below(path: str) -> str:
    """A path from a document that a person may have changed.

    Raises:
        ValueError, AttributeError: it leaves the folder that it is relative to, or is not text.
    """
    if not names.is_safe_relative(path):
        raise ValueError(f"{path[:100]!r} is not a file of a result")
    return path


def _has_ended(row: PlacedRow) -> bool:
    return row["state"] in ("done", "failed", "cancelled")
