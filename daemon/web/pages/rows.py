"""Jobs as the list of the console shows them."""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from daemon.queue.rows import JobRow
from daemon.server import api
from daemon.web.pages.formats import Formats, clock_of

_STATES = {  # by state of the job log: the class, the icon and the word
    "queued": ("wait", "wait", "Waiting"),
    "running": ("work", "work", "Working"),
    "publishing": ("work", "work", "Working"),
    "done": ("done", "done", "Done"),
    "failed": ("fail", "fail", "Failed"),
    "cancelled": ("wait", "stop", "Cancelled"),
}
_REVIEW = ("look", "look", "Needs review")
OPEN = ("queued", "running", "publishing")


@dataclass(frozen=True, kw_only=True)
class State:
    """How the list shows the state of a job."""

    css: str
    icon: str
    word: str


def state_of(row: JobRow) -> State:
    css, icon, word = _REVIEW if needs_review(row) else _STATES.get(row["state"], _STATES["queued"])
    return State(css=css, icon=icon, word=word)


def needs_review(row: JobRow) -> bool:
    return row["state"] == "done" and bool(row["review"]) and not row.get("reviewed_at")


@dataclass(frozen=True, kw_only=True)
class ListedJob:
    """One row of the list."""

    id: str
    name: str
    folder: str
    state: State
    line: str  # a summary of the result, or the reason why the job waits
    line_css: str
    recipe: str
    received: str
    received_iso: str
    took: str
    progress: api.Amount | None
    action: str  # "cancel", "retry", "review" or ""


def listed(row: JobRow, formats: Formats, running: Iterable[api.RunningJob]) -> ListedJob:
    progress = next((job.progress for job in running if job.job == row["id"]), None)
    state = state_of(row)
    line = progress_text(progress) if progress else _line(row)
    return ListedJob(
        id=row["id"],
        name=row["file"].rpartition("/")[2],
        folder=row["folder"],
        state=state,
        line=line,
        line_css=state.css if state.css in ("look", "fail") else "",
        recipe=row["recipe"] or "none",
        received=formats.clock(row["received_at"]),
        received_iso=row["received_at"],
        took=formats.took(row["run_seconds"]) if row["state"] == "done" else "",
        progress=progress,
        action=_action(row),
    )


def _line(row: JobRow) -> str:
    match row["state"]:
        case "queued":
            return row["waiting_for"] or "waiting for its turn"
        case "running" | "publishing":
            return "starts"
        case "failed" | "cancelled":
            return (row["error"] or "").split("\n")[0]
    if needs_review(row):
        return str(json.loads(row["review"] or "[]")[0])
    return row["excerpt"]


def _action(row: JobRow) -> str:
    if needs_review(row):
        return "review"
    if row["state"] in OPEN:
        return "cancel"
    return "retry" if row["state"] in ("failed", "cancelled") and row["error_kind"] != "bad_input" else ""


def progress_text(progress: api.Amount) -> str:
    """ "page 5 of 12", "8:20 of 21:04", "3 of 7 files"."""
    done, total, unit = progress.done, progress.total, progress.unit
    if unit in ("seconds", "s"):
        return f"{clock_of(done)} of {clock_of(total)}" if total else clock_of(done)
    if total is None:
        return f"{done:g} {unit}"
    if unit in ("pages", "page"):
        return f"page {min(done + 1, total):g} of {total:g}"
    return f"{done:g} of {total:g} {unit}"


def sections(rows: Sequence[JobRow], formats: Formats) -> Iterator[tuple[str, list[JobRow]]]:
    """Group the rows by day, after a group "Now" of the unfinished jobs."""
    open_rows = [row for row in rows if row["state"] in OPEN]
    if open_rows:
        order = {"running": 0, "publishing": 0, "queued": 1}
        yield "Now", sorted(open_rows, key=lambda row: order[row["state"]])
    ended = (row for row in rows if row["state"] not in OPEN)
    for heading, of_day in groupby(ended, key=lambda row: formats.heading(row["received_at"])):
        yield heading, list(of_day)
