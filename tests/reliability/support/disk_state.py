"""The files on the disks of a place, read one by one and checked for completeness, without the help of inboxd."""

import hashlib
import json
import os
import shutil
import sqlite3
import stat
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FINAL = ("done", "failed", "cancelled")
ROWS = """
    SELECT id, name, state, attempt, sha256, outcome, result_path,
        (SELECT count(*) FROM events WHERE job = jobs.id AND event = 'queued by command') AS reopened
    FROM jobs
"""


@dataclass(frozen=True, kw_only=True)
class Site:
    """The folders of a place, on disks that are mounted and unmounted."""

    config: Path
    inbox: Path
    outbox: Path
    state: Path

    @property
    def database(self) -> Path:
        return self.state / "jobs.db"


@dataclass(frozen=True, kw_only=True)
class Remains:
    """All files at one moment, by path, with their checksums."""

    rows: dict[str, dict[str, Any]]  # by job id
    damage: str  # of the job log; "": none
    inbox: dict[Path, str]  # files that the daemon would take
    sidecars: dict[Path, str]  # in the inbox
    taken: dict[str, dict[Path, str]]  # by job id
    results: dict[str, "Result"]  # by folder, relative to the outbox
    unexplained: list[Path]  # visible in the outbox, but not part of a result
    archive: dict[Path, str]
    staging: list[str]

    def main_taken(self, job_id: str) -> str | None:
        """The checksum of a job's original in .taken."""
        files = self.taken.get(job_id, {})
        return next((sha256 for path, sha256 in files.items() if path.suffix != ".prompt"), None)

    def copies(self) -> Counter[str]:
        """Count the copies of each content, as an original or a sidecar."""
        counter = Counter([*self.inbox.values(), *self.sidecars.values(), *self.archive.values()])
        for files in self.taken.values():
            counter.update(files.values())
        for result in self.results.values():
            counter.update(result.originals.values())
        return counter

    def places(self, sha256: str) -> Iterator[str]:
        """The paths of the copies of a content, for a message."""
        for files in (self.inbox, self.sidecars, self.archive, *self.taken.values()):
            yield from (str(path) for path, there in files.items() if there == sha256)
        for name, result in self.results.items():
            yield from (f"result {name}/{path}" for path, there in result.originals.items() if there == sha256)


@dataclass(frozen=True, kw_only=True)
class Result:
    """A folder in the outbox with a result.json or an error.json."""

    facts: dict[str, Any]  # of that document
    outputs: dict[str, str]
    originals: dict[str, str]  # with its sidecars
    faults: list[str]  # the reasons why it is incomplete


def read_disks(site: Site) -> Remains:
    """Read everything and change nothing; the job log is read from a copy."""
    rows, damage = _rows(site.database)
    taken = {home.name: dict(_files(home)) for home in _folders(site.inbox / ".taken")}
    renamed = {path.stat().st_ino for files in taken.values() for path in files}  # btrfs may show the old name, too
    visible = {
        path: sha256
        for path, sha256 in _files(site.inbox)
        if not any(part.startswith(".") for part in path.relative_to(site.inbox).parts)
        and path.stat().st_ino not in renamed
    }
    results, unexplained = _results(site.outbox)
    return Remains(
        rows=rows,
        damage=damage,
        inbox={path: sha256 for path, sha256 in visible.items() if path.suffix != ".prompt"},
        sidecars={path: sha256 for path, sha256 in visible.items() if path.suffix == ".prompt"},
        taken=taken,
        results=results,
        unexplained=unexplained,
        archive=dict(_files(site.state / "archive")),
        staging=[path.name for path in _folders(site.outbox / ".staging")],
    )


def _results(outbox: Path) -> tuple[dict[str, Result], list[Path]]:
    """The visible results, and the files that are part of none."""
    files = {path: sha256 for path, sha256 in _files(outbox) if ".staging" not in path.parts}
    documents = {path.parent: path for path in files if path.name in ("result.json", "error.json")}
    there: dict[Path, dict[str, str]] = {folder: {} for folder in documents}
    unexplained = []
    for path, sha256 in files.items():
        folder = next((parent for parent in path.parents if parent in documents), None)
        if folder is None:
            unexplained.append(path)
        else:
            there[folder][str(path.relative_to(folder))] = sha256
    results = {
        str(folder.relative_to(outbox)): _result(document, there[folder]) for folder, document in documents.items()
    }
    return results, unexplained


def _result(document: Path, there: dict[str, str]) -> Result:
    """there: the content of the result's folder."""
    faults = []
    try:
        facts = json.loads(document.read_bytes())
    except ValueError as error:
        return Result(facts={}, outputs={}, originals={}, faults=[f"{document.name}: {error}"])
    outputs = {file["name"]: file["sha256"] for file in facts.get("files", [])}
    for name, sha256 in outputs.items():
        if there.get(name) != sha256:
            faults.append(f"{name} is {'not as it was written' if name in there else 'missing'}")
    written = {*outputs, document.name, "error.txt"}
    if document.name == "error.json" and there.get("error.txt") in (None, _sha256_of_nothing):
        faults.append("error.txt is missing or empty")
    originals = {name: sha256 for name, sha256 in there.items() if name not in written}
    where = (facts.get("original") or {}).get("path")
    if where and not where.startswith("archive:") and where not in originals:
        faults.append(f"the original {where} is missing")
    return Result(facts=facts, outputs=outputs, originals=originals, faults=faults)


def _rows(database: Path) -> tuple[dict[str, dict[str, Any]], str]:
    """The jobs, and the faults of the file."""
    if not database.exists():
        return {}, ""
    with tempfile.TemporaryDirectory() as scratch:
        for path in (database, database.with_name("jobs.db-wal")):
            if path.exists():
                shutil.copyfile(path, Path(scratch) / path.name)
        connection = sqlite3.connect(Path(scratch) / database.name)
        connection.row_factory = sqlite3.Row
        try:
            damage = connection.execute("PRAGMA quick_check").fetchone()[0]
            if connection.execute("PRAGMA user_version").fetchone()[0] == 0:
                return {}, ""
            rows = {row["id"]: dict(row) for row in connection.execute(ROWS)}
            return rows, "" if damage == "ok" else damage
        except sqlite3.DatabaseError as error:
            return {}, str(error)
        finally:
            connection.close()


def _files(folder: Path) -> Iterator[tuple[Path, str]]:
    for home, _, names in os.walk(folder):
        for name in names:
            path = Path(home, name)
            if stat.S_ISREG(path.lstat().st_mode):
                yield path, hashlib.sha256(path.read_bytes()).hexdigest()


def _folders(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if path.is_dir()] if folder.is_dir() else []


_sha256_of_nothing = hashlib.sha256(b"").hexdigest()
