"""Checks at the next start after a power cut, and after the recovery. Each yields the errors that it finds."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from disk_state import FINAL, Remains
from producer import Drop


@dataclass(frozen=True, kw_only=True)
class Promises:
    """The facts that were known before a cut."""

    drops: dict[str, Drop]  # all files ever dropped, by checksum
    durable: frozenset[str]  # contents that had been dropped and made durable
    seen: dict[str, dict[str, Any]]  # rows that a reader of the job log had seen
    fragments: frozenset[str] = frozenset()  # contents to which a cut reduced files that were not durable

    def and_all_of(self, start: Remains) -> "Promises":
        """Add the contents of the disks at the start, `start`: all of them are durable from now on."""
        there = frozenset(sha256 for sha256, count in start.copies().items() if count)
        loose = [*start.inbox.values()]
        for job_id in start.taken:
            if job_id not in start.rows or start.rows[job_id]["sha256"] is None:
                loose.append(start.main_taken(job_id))
        return replace(
            self,
            durable=self.durable | (there & self.drops.keys()),
            fragments=self.fragments | (frozenset(loose) - self.drops.keys()),
        )


def at_start(promises: Promises, remains: Remains) -> Iterator[str]:
    """Check the disk before the recovery."""
    if remains.damage:
        yield f"the job log is damaged: {remains.damage}"
    withdrawn = _being_withdrawn(remains)
    for path in remains.unexplained:
        if not any(parent.match(name) for parent in path.parents for name in withdrawn):
            yield f"{path} is visible in the outbox without a result.json"
    for name, result in remains.results.items():
        for fault in () if name in withdrawn else result.faults:
            yield f"the visible result {name} is incomplete: {fault}"
    for job_id, seen in promises.seen.items():
        yield from _kept(seen, remains.rows.get(job_id))
    for row in remains.rows.values():
        yield from _has_its_bytes(row, promises, remains)
    copies, deleted = remains.copies(), _deleted(remains)
    for sha256 in promises.durable:
        if not copies[sha256] and sha256 not in deleted:
            yield f"{_name(promises, sha256)} was durable and is lost"


def after_recovery(promises: Promises, start: Remains, end: Remains) -> Iterator[str]:
    """Check the disk after a drain that began with `start`."""
    promises = promises.and_all_of(start)
    yield from at_start(promises, end)
    for row in end.rows.values():
        if row["state"] not in FINAL:
            yield f"{row['name']} is still {row['state']}"
        elif row["state"] == "done" and row["sha256"] in promises.drops:
            yield from _has_its_output(row, promises.drops[row["sha256"]], end)
    expected = {*start.rows, *(job_id for job_id in start.taken if start.main_taken(job_id))}
    if lost := expected - set(end.rows):
        yield f"the jobs {lost} are lost"
    new = Counter(row["sha256"] for job_id, row in end.rows.items() if job_id not in expected)
    if new != Counter(start.inbox.values()):
        yield f"from the inbox came {len(new)} jobs instead of {len(start.inbox)}, or others"
    owners = Counter(result.facts.get("job") for result in end.results.values())
    if set(owners) != set(end.rows) or set(owners.values()) - {1}:
        yield f"{len(end.results)} results of {len(owners)} jobs for {len(end.rows)} rows"
    yield from _is_once(promises, end)
    for what, there in (("inbox", end.inbox), (".taken", end.taken), (".staging", end.staging)):
        if there:
            yield f"left in {what}: {list(there)[:3]}"


def _kept(seen: dict[str, Any], row: dict[str, Any] | None) -> Iterator[str]:
    """Check that a row that a reader has seen, and that was therefore committed, still exists."""
    if row is None:
        yield f"the row of {seen['name']} ({seen['state']}) is missing"
    elif row["reopened"] > seen["reopened"] and seen["state"] in ("failed", "cancelled"):
        return
    elif seen["state"] in FINAL and row["state"] != seen["state"] or row["attempt"] < seen["attempt"]:
        yield f"{seen['name']} was {seen['state']} (attempt {seen['attempt']}), and is {row['state']} again"
    elif seen["sha256"] not in (None, row["sha256"]):
        yield f"the checksum of {seen['name']} is missing"


def _has_its_bytes(row: dict[str, Any], promises: Promises, remains: Remains) -> Iterator[str]:
    """Check that a file exists with its checksum once its row is committed (a large one: once its checksum is)."""
    name, sha256 = f"{row['name']} ({row['state']})", row["sha256"]
    if sha256 is not None and sha256 not in promises.drops and sha256 not in promises.fragments:
        yield f"{name} has a content that nobody dropped"
    published = remains.results.get(row["result_path"])
    if published is not None and published.facts.get("job") != row["id"]:
        published = None
    if row["state"] in FINAL and published is None:
        yield f"{name} has no result at {row['result_path']}"
        return
    if row["state"] == "publishing" and published is None and f"{row['id']}.{row['attempt']}" not in remains.staging:
        yield f"{name} is neither staged nor visible"
    if row["state"] in FINAL:
        where = (published.facts.get("original") or {}).get("path")
        archived = [sha for path, sha in remains.archive.items() if row["id"] in path.parts]
        found = archived if (where or "").startswith("archive:") else list(published.originals.values())
        if (published.facts.get("original") or {}).get("policy") == "delete":
            return
    else:
        found = list(remains.taken.get(row["id"], {}).values())
    if not found or sha256 is not None and sha256 not in found:
        yield f"{name} has lost its original"


def _has_its_output(row: dict[str, Any], drop: Drop, remains: Remains) -> Iterator[str]:
    result = remains.results.get(row["result_path"])
    if result is not None and list(result.outputs.values()) != [drop.output_sha256]:
        yield f"{row['name']} has a result that does not belong to its content"


def _is_once(promises: Promises, end: Remains) -> Iterator[str]:
    copies, deleted = end.copies(), _deleted(end)
    rows = Counter(row["sha256"] for row in end.rows.values())
    for sha256, drop in promises.drops.items():
        times = copies[sha256] + (sha256 in deleted)
        if times > 1 or rows[sha256] > 1 or sha256 in promises.durable and (times, rows[sha256]) != (1, 1):
            where = ", ".join(end.places(sha256))
            yield f"{drop.path} is there {times} times ({where}), with {rows[sha256]} rows"
        if drop.sidecar_sha256 is None or sha256 not in promises.durable:
            continue
        homes = [result for result in end.results.values() if sha256 in result.originals.values()]
        if any(drop.sidecar_sha256 not in result.originals.values() for result in homes):
            yield f"{drop.path} is without its sidecar"
        if copies[drop.sidecar_sha256] != 1:
            yield f"the sidecar of {drop.path} is there {copies[drop.sidecar_sha256]} times"


def _being_withdrawn(remains: Remains) -> set[str]:
    """The failures whose jobs are queued again: their folders are being removed."""
    rows = remains.rows.values()
    return {row["result_path"] for row in rows if row["result_path"] and row["outcome"] is None}


def _deleted(remains: Remains) -> set[str]:
    """The checksums of originals that were removed on purpose, once their results were visible."""
    originals = ((result.facts, result.facts.get("original") or {}) for result in remains.results.values())
    return {facts["sha256"] for facts, original in originals if original.get("policy") == "delete"}


def _name(promises: Promises, sha256: str) -> str:
    drop = promises.drops.get(sha256)
    return drop.path if drop else "a sidecar"
