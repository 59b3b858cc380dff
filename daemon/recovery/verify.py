"""`inboxd verify`: proves that every drop is in exactly one place, and whole. Reads only, also beside a running daemon.

For each row it looks for the one place where the original must be, and compares checksums; then it looks for files in
the daemon's folders that no row explains. What a running daemon is changing just now is looked at again before it is
called wrong.
"""

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from daemon.core.durable import sha256_of
from daemon.files.inbox import OriginalGone
from daemon.files.layout import Folders
from daemon.queue.reader import JobLog
from daemon.recovery.unplaced import read as read_unplaced

_LOOKS = 5  # at something that seems wrong, before it is
_PAUSE_SECONDS = 0.2


@dataclass(frozen=True, kw_only=True)
class Finding:
    """Something that breaks the promise, or (`is_error` False) that a person has done to results since."""

    job: str
    what: str
    is_error: bool = True


@dataclass(frozen=True, kw_only=True)
class Verdict:
    jobs: int
    bytes_checked: int
    findings: tuple[Finding, ...]

    @property
    def is_clean(self) -> bool:
        return not any(finding.is_error for finding in self.findings)


class Audit:
    """One examination of a job log and its folders. `is_running`: a daemon works on them; without one, what a crash
    left and the next start mends is no error."""

    def __init__(self, folders: Folders, database: Path, *, is_running: bool):
        self._folders = folders
        self._database = database
        self._is_running = is_running
        self._unplaced = read_unplaced(folders.state)  # failures of the last recovery
        self._bytes = 0

    def run(self, on_job: Callable[[int, int], None] = lambda done, total: None) -> Verdict:
        """`on_job` is told (done, total) after each job."""
        rows = self._rows()
        findings: list[Finding] = []
        for done, row in enumerate(rows.values(), start=1):
            findings += self._patiently(row["id"], lambda row=row: list(self._check(row)))
            on_job(done, len(rows))
        for job_id in self._unexplained():
            findings += self._patiently(job_id, lambda job_id=job_id: list(self._explain(job_id)))
        with JobLog(self._database) as log:
            if (state := log.integrity()) != "ok":
                findings.append(Finding(job="", what=f"the job log is damaged: {state}"))
        return Verdict(jobs=len(rows), bytes_checked=self._bytes, findings=tuple(findings))

    def _rows(self) -> dict[str, dict[str, Any]]:
        with JobLog(self._database) as log:
            return {row["id"]: row for row in log.everything()}

    def _patiently(self, job_id: str, look: Callable[[], list[Finding]]) -> list[Finding]:
        """The findings that stay when row and folders are read again: the daemon may be between two steps."""
        findings = look()
        for _ in range(_LOOKS):
            if not any(finding.is_error for finding in findings):
                break
            time.sleep(_PAUSE_SECONDS)
            row = self._rows().get(job_id)
            findings = list(self._check(row)) if row else look()
        return findings

    # ---------------------------------------------------------------------------------------- one job

    def _check(self, row: dict[str, Any]) -> Iterator[Finding]:
        def finding(what: str, *, is_error: bool = True) -> Finding:
            return Finding(
                job=row["id"], what=f"{row['state']}, {row['folder'] or '.'}/{row['name']}: {what}", is_error=is_error
            )

        match row["state"]:
            case "queued" | "running":
                yield from self._check_taken(row, finding)
                yield from self._check_placed(row, finding)
            case "publishing":
                yield from self._check_placed(row, finding)
                staged = self._folders.outbox.staging / f"{row['id']}.{row['attempt']}"
                result = self._folders.outbox.path / row["result_path"]
                if staged.is_dir() and not (self._folders.inbox.taken / row["id"]).is_dir():
                    yield finding("it is staged, but the original is not in inbox/.taken any more")
                elif not staged.is_dir() and result.is_dir():
                    yield from self._check_result(row, finding)
            case _:
                if (self._folders.inbox.taken / row["id"]).is_dir():
                    yield finding(
                        "inbox/.taken still holds a copy (swept at the next start)", is_error=self._is_running
                    )
                yield from self._check_result(row, finding)

    def _check_placed(self, row: dict[str, Any], finding: Callable[..., Finding]) -> Iterator[Finding]:
        if why := self._unplaced.get(row["id"]):
            yield finding(f"recovery at the last start failed: {why}")

    def _check_taken(self, row: dict[str, Any], finding: Callable[..., Finding]) -> Iterator[Finding]:
        try:
            original = self._folders.inbox.original(row["id"])
        except OriginalGone:
            yield finding("the original is not in inbox/.taken")
            return
        if row["sha256"] and self._hash(original.path) != row["sha256"]:
            yield finding("the original in inbox/.taken has changed since it was taken")

    def _check_result(self, row: dict[str, Any], finding: Callable[..., Finding]) -> Iterator[Finding]:
        if row["result_path"] is None:
            return  # removed by [retention]
        result = self._folders.outbox.path / row["result_path"]
        document = result / ("result.json" if row["state"] == "done" or row["outcome"] == "done" else "error.json")
        if not result.is_dir():
            yield finding(f"{row['result_path']} was moved away or removed by somebody", is_error=False)
            return
        try:
            facts = json.loads(document.read_bytes())
        except (OSError, ValueError) as error:
            if not any(result.iterdir()):  # no result was ever empty
                yield finding(f"{row['result_path']} was emptied by somebody", is_error=False)
            else:
                yield finding(f"{document.name} cannot be read: {error}")
            return
        if facts.get("job") != row["id"]:
            yield finding(f"{row['result_path']} holds another job's result", is_error=False)
            return
        for file in facts.get("files", []):
            yield from self._check_file(result / file["name"], file["sha256"], finding)
        where = (facts.get("original") or {}).get("path")
        if where:
            archived = where.startswith("archive:")
            path = self._folders.outbox.archive / where.removeprefix("archive:") if archived else result / where
            yield from self._check_file(path, row["sha256"], finding)

    def _check_file(self, path: Path, sha256: str | None, finding: Callable[..., Finding]) -> Iterator[Finding]:
        try:
            actual = self._hash(path)
        except FileNotFoundError:
            yield finding(f"{path.name} is missing from its result: removed by somebody", is_error=False)
            return
        if sha256 and actual != sha256:
            yield finding(f"{path} does not have the content it was published with")

    # ---------------------------------------------------------------------------------------- no row

    def _unexplained(self) -> Iterator[str]:
        rows = self._rows()
        yield from sorted(set(self._folders.inbox.taken_ids()) - set(rows))
        staged = {name.split(".")[0]: name for name in self._folders.outbox.attempts()}
        yield from sorted(job_id for job_id in staged if job_id not in rows or _has_ended(rows[job_id]))

    def _explain(self, job_id: str) -> Iterator[Finding]:
        row = self._rows().get(job_id)
        if row is None and (self._folders.inbox.taken / job_id).is_dir():
            why = self._unplaced.get(job_id)
            yield Finding(
                job=job_id,
                what=f"inbox/.taken/{job_id} has no row in the job log ({why or 'the next start records it'})",
                is_error=self._is_running or why is not None,
            )
        staged = [name for name in self._folders.outbox.attempts() if name.startswith(f"{job_id}.")]
        if staged and (row is None or _has_ended(row)):
            yield Finding(
                job=job_id,
                what=f"outbox/.staging/{staged[0]} belongs to no running job (swept at the next start)",
                is_error=self._is_running,
            )

    def _hash(self, path: Path) -> str:
        self._bytes += path.stat().st_size
        return sha256_of(path)


def _has_ended(row: dict[str, Any]) -> bool:
    return row["state"] in ("done", "failed", "cancelled")
