"""Reports how jobs ended, by a command, a webhook or a desktop notification, in a thread of its own.

A cursor (state/hooks.json, see `cursor`) records what has been reported, so that nothing is lost across a restart or
a crash; the last call may then be repeated. A failed call is retried, in order, then given up with a line in the log.
While the job log cannot be read or hooks.json cannot be written, the thread retries after a pause, and repeats no
call. Hooks never delay a job.
"""

import contextlib
import http.client
import json
import logging
import os
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from daemon import __version__
from daemon.config.schema import Hook
from daemon.config.settings import Settings
from daemon.core.errors import InboxdError
from daemon.core.names import printable_lines
from daemon.notify import webhook
from daemon.queue import cursor
from daemon.queue.cursor import Cursor
from daemon.queue.reader import JobLog
from daemon.queue.rows import JobRow

Payload = Mapping[str, Any]  # the input of a hook, as JSON

log = logging.getLogger(__name__)

_BATCH = 50  # ends of jobs per read of the job log
_PAUSE, _PAUSE_MAX = 1.0, 300.0  # seconds between two attempts; doubled each time
_STOP_SECONDS = 2.0
_RETRY_SECONDS = 3.0  # between attempts to read the job log or to save the cursor
_MAX_BYTES = 4 * 1024 * 1024  # of the JSON for a hook
_MIN_CHARS = 4096  # of each text in it: keeps paths complete
_OUTPUT_CHARACTERS = 500  # of the output of a failing command


class CallFailed(Exception):
    """A call of a hook failed."""


class Hooks:
    """The thread that calls the hooks. Call `wake` when a job has ended."""

    def __init__(self, settings: Settings):
        self._database = settings.database
        self._cursor_file = settings.state / "hooks.json"
        self._settings = settings
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._digests: list[str] = []  # due digests: the start of the period of each
        self._added_at: int | None = None  # when the first hook was added; None once the cursor is set to that
        self._is_saved = True  # whether hooks.json matches the last report
        self._problem = ""  # why it does not, or why the job log cannot be read
        self._thread = threading.Thread(target=self._serve, name="hooks", daemon=True)

    def start(self) -> None:
        """Start with the jobs not reported yet; if there never was a hook, with jobs that end from now on.

        Raises:
            StorageError, StoreError, UsageError: the job log cannot be read.
        """
        if not self._settings.hooks:
            with contextlib.suppress(OSError):  # a hook that is added later must not report the past
                self._cursor_file.unlink(missing_ok=True)
        known = self._load_cursor()
        with JobLog(self._database) as jobs:
            self._cursor = Cursor.at_end(jobs) if known is None else known.found_in(jobs)
        if self._cursor != known and self._settings.hooks:
            self._save_cursor()
        self._thread.start()

    def apply(self, settings: Settings) -> None:
        """Use other settings from now on. The first hook reports jobs that end after it was added."""
        if settings.hooks and not self._settings.hooks:
            self._added_at = time.time_ns() // 1000
        self._settings = settings
        self._wake.set()

    def wake(self) -> None:
        """A job has ended."""
        if self._settings.hooks:
            self._wake.set()

    def send_digest(self, since: str) -> None:
        """Report the failures and reviews since an ISO time, if there are any."""
        self._digests.append(since)
        self._wake.set()

    def stop(self) -> None:
        """Stop; jobs not reported yet are reported after the next start."""
        self._stopping.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(_STOP_SECONDS)

    # ---------------------------------------------------------------------------------------- the thread

    def _serve(self) -> None:
        self._wake.set()  # for jobs that an earlier run has not reported
        pause: float | None = None  # until the next retry
        while True:
            self._wake.wait(pause)
            self._wake.clear()
            if self._stopping.is_set():
                return
            pause = None if self._catch_up() else _RETRY_SECONDS

    def _catch_up(self) -> bool:
        """Report everything that is due; False: the job log or hooks.json is unavailable."""
        try:
            while self._send_pending():
                pass
        except (OSError, InboxdError) as error:
            self._warn_once(f"hooks: {error}")
            return False
        if not self._is_saved:
            self._save_cursor()
        if self._is_saved:
            self._problem = ""
        return self._is_saved

    def _warn_once(self, problem: str) -> None:
        """Log a problem, but not again while it lasts."""
        if problem != self._problem:
            log.warning("%s Retrying.", problem)
        self._problem = problem

    def _send_pending(self) -> bool:
        """Report due digests and a batch of jobs that have ended; False: there are no more."""
        if not self._settings.hooks:
            self._digests.clear()
            return False
        if self._added_at is not None:
            with JobLog(self._database) as jobs:
                passed = jobs.last_event_until(self._added_at)
                self._cursor = Cursor(log=jobs.identity(), event=passed, at=self._added_at).found_in(jobs)
            self._added_at = None
            self._save_cursor()
        while self._digests and not self._stopping.is_set():
            found = digest(self._database, since=self._digests[0])
            self._digests.pop(0)
            if found is not None:
                self._send("digest", found)
        with JobLog(self._database) as jobs:
            self._cursor = self._cursor.found_in(jobs)
            ends = jobs.finished_jobs_after(self._cursor.event, limit=_BATCH)
        for number, at, row in ends:
            if self._stopping.is_set():
                return False
            event = "failed" if row["state"] != "done" else "review" if row["review"] else "done"
            self._send(event, self._payload(event, row))
            if self._stopping.is_set():
                return False  # perhaps interrupted: reported again after the next start
            self._cursor = replace(self._cursor, event=number, at=at)
            self._save_cursor()
        return bool(ends)

    def _payload(self, event: str, row: JobRow) -> Payload:
        outbox = self._settings.outbox
        return {
            "event": event,
            "inboxd": __version__,
            **row,
            "review": json.loads(row["review"]) if row["review"] else [],
            "result": str(outbox / row["result_path"]) if row["result_path"] else None,
        }

    def _send(self, event: str, payload: Payload) -> None:
        for hook in self._settings.hooks:
            if event in hook.on:
                self._call(hook, payload)

    def _call(self, hook: Hook, payload: Payload) -> None:
        """Call one hook, with retries."""
        about = payload.get("file") or payload["event"]
        for attempt in range(1, hook.attempts + 1):
            try:
                _METHODS[hook.method](hook, payload)
                log.info("hook %s: reported %s (%s)", hook.name, about, payload["event"])
                return
            except CallFailed as error:
                log.warning("hook %s: attempt %d of %d failed: %s", hook.name, attempt, hook.attempts, error)
            except Exception:  # error boundary: one call; the thread continues with the next
                log.exception("hook %s: attempt %d of %d failed", hook.name, attempt, hook.attempts)
            if attempt < hook.attempts and self._stopping.wait(min(_PAUSE * 2 ** (attempt - 1), _PAUSE_MAX)):
                return
        log.error("hook %s: gave up reporting %s", hook.name, about)

    # ---------------------------------------------------------------------------------------- the cursor

    def _load_cursor(self) -> Cursor | None:
        with contextlib.suppress(OSError, ValueError):
            return Cursor.parse(json.loads(self._cursor_file.read_bytes()), self._cursor_file, self._database)
        return None

    def _save_cursor(self) -> None:
        try:
            cursor.save(self._cursor.as_dict(), self._cursor_file)
            self._is_saved = True
        except OSError as error:  # if the daemon ends before this succeeds, the last calls are repeated
            self._is_saved = False
            self._warn_once(f"hooks: cannot write {self._cursor_file}: {error.strerror or error}.")


def digest(database: Path, *, since: str) -> Payload | None:
    """The failures and reviews since an ISO time, and the waiting jobs; None: there are none."""
    with JobLog(database) as jobs:
        failed = jobs.jobs(states=("failed",), finished_since=since)
        review = jobs.jobs(states=("done",), review=True, finished_since=since)
        waiting = [row for row in jobs.jobs(states=("queued",)) if row["waiting_for"]]
    if not (failed or review or waiting):
        return None
    return {
        "event": "digest",
        "inboxd": __version__,
        "since": since,
        "failed": [_columns(row, "id", "file", "error_kind", "error", "result_path") for row in failed],
        "review": [
            {
                "id": row["id"],
                "file": row["file"],
                "review": json.loads(row["review"] or "[]"),
                "result_path": row["result_path"],
            }
            for row in review
        ],
        "waiting": [_columns(row, "id", "file", "waiting_for") for row in waiting],
    }


def _columns(row: Mapping[str, object], *names: str) -> dict[str, object]:
    return {name: row[name] for name in names}


# ---------------------------------------------------------------------------------------------- the calls


def encode(payload: Payload, *, most: int = _MAX_BYTES) -> bytes:
    """The JSON for a hook, of at most `most` bytes: longer lists and texts are cut off."""
    items = chars = 1 << 20
    while len(content := json.dumps(payload).encode()) > most and items:
        items, chars = items // 4, chars // 4
        whole = {**payload, "truncated": True}
        payload = {key: _cut(value, items, max(chars, _MIN_CHARS)) for key, value in whole.items()}
    return content


def _cut(value: object, items: int, chars: int) -> object:
    if isinstance(value, str):
        return value if len(value) <= chars else f"{value[:chars]} …"
    if isinstance(value, Mapping):
        return {key: _cut(each, items, chars) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_cut(each, items, chars) for each in value[:items]]
    return value


def _run(hook: Hook, payload: Payload) -> None:
    _start(hook.command, hook.timeout, encode(payload), payload)


def _notify(hook: Hook, payload: Payload) -> None:
    title, body = _words(payload)
    _start(["notify-send", "--app-name=inboxd", "--", title, body], hook.timeout, b"", payload)


def _start(command: Sequence[str], timeout: float, stdin: bytes, payload: Payload) -> None:
    variables = {"INBOXD_EVENT": str(payload["event"]), "INBOXD_JOB": str(payload.get("id", ""))}
    # no pipe: a process that the command leaves in the background would keep it open
    with os.fdopen(os.memfd_create("hook"), "rb") as written:
        try:
            done = subprocess.run(
                command,
                input=stdin,
                stdout=written,
                stderr=subprocess.STDOUT,
                timeout=timeout,
                env={**os.environ, **variables},
                start_new_session=True,
            )
        except subprocess.TimeoutExpired as error:
            raise CallFailed(f"killed after its timeout of {timeout:g} s") from error
        except (OSError, ValueError) as error:
            raise CallFailed(f"cannot start: {error}") from error
        if done.returncode:
            written.seek(max(0, os.fstat(written.fileno()).st_size - 4 * _OUTPUT_CHARACTERS))
            output = written.read().decode(errors="replace").strip()[-_OUTPUT_CHARACTERS:]
            raise CallFailed(f"exit status {done.returncode}: {printable_lines(output) or 'no output'}")


def _post(hook: Hook, payload: Payload) -> None:
    try:
        webhook.post(hook.webhook, encode(payload), timeout=hook.timeout)
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise CallFailed(f"{error}") from error


_METHODS = {"command": _run, "webhook": _post, "desktop": _notify}


def _words(payload: Payload) -> tuple[str, str]:
    """The title and the text of a notification."""
    if payload["event"] == "digest":
        counts = (f"{len(payload[what])} {what}" for what in ("failed", "review", "waiting") if payload[what])
        return "inboxd: " + ", ".join(counts), "\n".join(row["file"] for row in payload["failed"][:5])
    titles = {"done": "is done", "review": "is done; please review it", "failed": "could not be processed"}
    text = payload["error"] or "; ".join(payload["review"]) or payload["excerpt"]
    return f"{payload['file']} {titles[payload['event']]}", printable_lines(text or "")[:300]
