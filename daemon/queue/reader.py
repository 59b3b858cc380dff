"""The queries of jobs.db for its readers: the command line, the web process, hooks, metrics."""

from collections.abc import Sequence
from dataclasses import dataclass

from daemon.core.errors import UsageError
from daemon.queue.read_only import ReadOnlyLog
from daemon.queue.rows import (
    AttemptRow,
    EndRow,
    EventRow,
    JobRow,
    NumberedEventRow,
    PagedRow,
    PlacedRow,
    QueueRow,
)

_RECENT = 2000  # jobs
# the conditions of partial indexes: SQLite uses such an index only for a query that repeats its condition
_OPEN = "state IN ('queued', 'running', 'publishing')"
_ENDED_BADLY = "state IN ('failed', 'cancelled')"
_INDEXED = (_OPEN, _ENDED_BADLY)
_NEEDS_REVIEW = "review <> '[]' AND state = 'done' AND reviewed_at IS NULL"
_NUMBERED = 4  # the first schema version in which event numbers are never reused


@dataclass(frozen=True, kw_only=True)
class JobFilter:
    """Which jobs a list shows."""

    states: Sequence[str] = ()
    recipe: str | None = None
    folder: str | None = None  # including its subfolders
    file: str | None = None  # a part of the path
    source: str | None = None
    review: bool = False  # only those with reasons for a review
    since_us: int | None = None  # received then or later, microseconds since the epoch
    finished_since_us: int | None = None

    def condition(self) -> tuple[str, list[object]]:
        """The condition on a row of `jobs`, and its values."""
        parts = ["1"]
        values: list[object] = []
        if self.states:
            parts += [index for index in _INDEXED if all(f"'{state}'" in index for state in self.states)]
            parts.append(f"state IN ({', '.join('?' * len(self.states))})")
            values += self.states
        if self.review:
            parts.append(_NEEDS_REVIEW)
        for part, value in (
            ("recipe = ?", self.recipe),
            ("(folder = ? OR substr(folder, 1, length(?) + 1) = ? || '/')", self.folder),
            ("instr(lower(folder || '/' || name), lower(?)) > 0", self.file),
            ("source = ?", self.source),
            ("received_at >= ?", self.since_us),
            ("finished_at >= ?", self.finished_since_us),
        ):
            if value is not None:
                parts.append(part)
                values += [value] * part.count("?")
        return " AND ".join(parts), values


EVERY_JOB = JobFilter()


class JobLog(ReadOnlyLog):
    """The view `job_log`, the attempts and the events."""

    def jobs(self, wanted: JobFilter = EVERY_JOB, *, by_end: bool = False, limit: int | None = None) -> list[JobRow]:
        """Rows of `job_log`, newest first, or with `by_end` those that ended last."""
        condition, values = wanted.condition()
        order = "finished_at DESC, id" if by_end else "received_at DESC, id"
        # the tables, not the view: only they have indexes
        ids = f"SELECT id, {order.split()[0]} AS at FROM jobs WHERE {condition} ORDER BY {order} LIMIT ?"
        return self._all(
            f"SELECT job_log.* FROM ({ids}) AS wanted JOIN job_log ON job_log.id = wanted.id "
            "ORDER BY wanted.at DESC, wanted.id",
            *values,
            limit or -1,
        )

    def page(self, wanted: JobFilter, *, before: tuple[int, str] | None = None, limit: int) -> list[PagedRow]:
        """Rows of `job_log`, newest first, that come after the row `before` (its received_at in microseconds, and its
        id). Takes the same time however long the history is, unless `wanted` matches few of many jobs."""
        condition, values = wanted.condition()
        if before is not None:
            condition += " AND received_at <= ? AND (received_at < ? OR id < ?)"
            values += [before[0], before[0], before[1]]
        # the tables, not the view: only they have indexes
        order = f"SELECT id FROM jobs WHERE {condition} ORDER BY received_at DESC, id DESC LIMIT ?"
        return self._all(
            f"SELECT job_log.*, jobs.received_at AS received_us FROM ({order}) AS wanted "
            "JOIN job_log ON job_log.id = wanted.id JOIN jobs ON jobs.id = wanted.id "
            "ORDER BY jobs.received_at DESC, jobs.id DESC",
            *values,
            limit,
        )

    def some(self, ids: Sequence[str]) -> list[JobRow]:
        """The rows of several jobs; jobs that do not exist are omitted."""
        return self._all(f"SELECT * FROM job_log WHERE id IN ({', '.join('?' * len(ids))})", *ids)

    def some_paged(self, ids: Sequence[str]) -> list[PagedRow]:
        """The rows of `some`, with their position in the order of the list."""
        return self._all(
            "SELECT job_log.*, jobs.received_at AS received_us FROM job_log JOIN jobs ON jobs.id = job_log.id "
            f"WHERE job_log.id IN ({', '.join('?' * len(ids))})",
            *ids,
        )

    def tallies(self) -> dict[str, int]:
        """The number of jobs in each category of a list: "all", "review" (not reviewed yet), "working", "waiting",
        "failed", "done". Counted by indexes, because most jobs are done."""
        row = self._all(
            "SELECT (SELECT count(*) FROM jobs) AS every, "
            f"(SELECT count(*) FROM jobs WHERE {_OPEN} AND state = 'queued') AS waiting, "
            f"(SELECT count(*) FROM jobs WHERE {_OPEN} AND state <> 'queued') AS working, "
            f"(SELECT count(*) FROM jobs WHERE {_ENDED_BADLY} AND state = 'failed') AS failed, "
            f"(SELECT count(*) FROM jobs WHERE {_ENDED_BADLY} AND state = 'cancelled') AS cancelled, "
            f"(SELECT count(*) FROM jobs WHERE {_NEEDS_REVIEW}) AS review"
        )[0]
        done = row["every"] - row["waiting"] - row["working"] - row["failed"] - row["cancelled"]
        return {
            "all": row["every"],
            "review": row["review"],
            "working": row["working"],
            "waiting": row["waiting"],
            "failed": row["failed"],
            "done": done,
        }

    def recent_folders(self) -> list[str]:
        """The folders of the latest jobs."""
        return [row["folder"] for row in self._recent("folder")]

    def recent_recipes(self) -> list[str]:
        """The recipes of the latest jobs."""
        return [row["recipe"] for row in self._recent("recipe") if row["recipe"]]

    def _recent(self, column: str) -> list[dict[str, str]]:
        latest = f"SELECT {column} FROM jobs ORDER BY received_at DESC LIMIT {_RECENT}"
        return self._all(f"SELECT DISTINCT {column} FROM ({latest}) ORDER BY {column}")

    def ends_since(self, at: int) -> list[int]:
        """The times at which jobs ended, from `at` on; microseconds since the epoch."""
        return [row["finished_at"] for row in self._all("SELECT finished_at FROM jobs WHERE finished_at >= ?", at)]

    def events_after(self, event: int, *, limit: int = -1) -> list[NumberedEventRow]:
        """The events after one, in order, with the files of their jobs; -1: all."""
        return self._all(
            "SELECT events.id AS number, at, event, detail, job, job_log.file FROM events "
            "JOIN job_log ON job_log.id = events.job WHERE events.id > ? ORDER BY events.id LIMIT ?",
            event,
            limit,
        )

    def find(self, prefix: str) -> JobRow:
        """The one job whose id begins with `prefix`.

        Raises:
            UsageError: there is none, or more than one.
        """
        found: list[JobRow] = self._all("SELECT * FROM job_log WHERE id >= ? AND id < ? LIMIT 2", prefix, prefix + "g")
        if not prefix or len(found) != 1:
            what = f"{'Several job ids begin' if found else 'No job id begins'} with {prefix!r}."
            raise UsageError(what, "Find it: `inboxd jobs --file NAME`. The first 8 digits suffice.")
        return found[0]

    def attempts(self, job_id: str) -> list[AttemptRow]:
        return self._all("SELECT * FROM attempts WHERE job = ? ORDER BY attempt", job_id)

    def events(self, job_id: str) -> list[EventRow]:
        return self._all("SELECT at, event, detail FROM events WHERE job = ? ORDER BY id", job_id)

    def identity(self) -> str:
        """An identifier shared only with copies of this job log; "" if its schema is older."""
        return str(self._value("SELECT id FROM log_identity")) if self.version() >= _NUMBERED else ""

    def last_event(self) -> int:
        """The number of the latest event, even if it has been removed since; 0: there never was one."""
        if self.version() < _NUMBERED:
            return int(self._value("SELECT coalesce(max(id), 0) FROM events"))
        return int(self._value("SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'events'"))

    def time_of_event(self, event: int) -> int | None:
        """The time of an event (microseconds); None if no event has that number."""
        found = self._all("SELECT at FROM events WHERE id = ?", event)
        return int(found[0]["at"]) if found else None

    def last_event_until(self, at: int) -> int:
        """The number of the latest event that was recorded up to `at` (microseconds); 0: there is none."""
        return int(self._value("SELECT coalesce(max(id), 0) FROM events WHERE at <= ?", at))

    def first_event_after(self, at: int) -> int | None:
        """The number of the first event that was recorded after `at` (microseconds)."""
        first = self._value("SELECT min(id) FROM events WHERE at > ?", at)
        return None if first is None else int(first)

    def latest_time(self) -> int:
        """The time of the latest event (microseconds); 0 if there is none."""
        return int(self._value("SELECT coalesce((SELECT at FROM events ORDER BY id DESC LIMIT 1), 0)"))

    def finished_jobs_after(self, event: int, *, limit: int) -> list[tuple[int, int, JobRow]]:
        """The jobs that ended after an event, in order: (number of their last event, its time in microseconds, row)."""
        rows = self._all(
            "SELECT events.id AS event_number, events.at AS event_at, job_log.* "
            "FROM events JOIN job_log ON job_log.id = events.job "
            "WHERE events.id > ? AND events.event IN ('done', 'failed') AND job_log.state = events.event "
            "ORDER BY events.id LIMIT ?",
            *(event, limit),
        )
        return [(row.pop("event_number"), row.pop("event_at"), row) for row in rows]

    def ends_after(self, event: int) -> list[EndRow]:
        """The ends of jobs and of attempts that will be retried, after the event with that number, in order."""
        return self._all(
            "SELECT events.id AS number, events.at, events.event, jobs.recipe, jobs.processor, jobs.error_kind, "
            "jobs.pages, jobs.media_seconds, (events.at - jobs.started_at) / 1e6 AS run_seconds "
            "FROM events JOIN jobs ON jobs.id = events.job WHERE events.id > ? "
            "AND (events.event IN ('done', 'failed', 'cancelled') OR events.event LIKE 'queued again: %') "
            "ORDER BY events.id",
            event,
        )

    def queue(self) -> list[QueueRow]:
        """The queue by recipe: how many jobs wait, since when (microseconds), and how many of them are parked."""
        return self._all(
            "SELECT coalesce(recipe, '') AS recipe, count(*) AS jobs, min(received_at) AS oldest, "
            "sum(waiting_for IS NOT NULL) AS parked FROM jobs WHERE state = 'queued' GROUP BY recipe"
        )

    def recipes(self) -> list[str]:
        """The recipes that jobs have used."""
        return [row["recipe"] for row in self._all("SELECT DISTINCT recipe FROM jobs WHERE recipe IS NOT NULL")]

    def folders(self) -> list[str]:
        """The inbox folders of all jobs."""
        return [row["folder"] for row in self._all("SELECT DISTINCT folder FROM job_log ORDER BY folder")]

    def attention(self, since: str) -> tuple[int, int]:
        """The number of results to review, and of failed jobs, that ended since an ISO time."""
        [row] = self._all(
            "SELECT count(CASE WHEN review IS NOT NULL AND reviewed_at IS NULL THEN 1 END) AS review, "
            "count(CASE WHEN state = 'failed' THEN 1 END) AS failed "
            "FROM job_log WHERE finished_at >= ?",
            since,
        )
        return row["review"], row["failed"]

    def counts(self) -> dict[str, int]:
        rows = self._all("SELECT state, count(*) AS count FROM job_log GROUP BY state")
        return {row["state"]: row["count"] for row in rows}

    def all_jobs(self) -> list[PlacedRow]:
        """The rows that `verify` compares with the folders: one per job, from one snapshot."""
        return self._all(
            "SELECT id, name, folder, state, attempt, sha256, outcome, result_path FROM jobs ORDER BY received_at"
        )

    def corrected_jobs(self) -> set[str]:
        """The jobs whose results people have corrected, if the events still exist."""
        return {row["job"] for row in self._all("SELECT DISTINCT job FROM events WHERE event = 'corrected'")}
