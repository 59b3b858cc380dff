"""Reports how jobs ended, by a command, a webhook or a desktop notification, in a thread of its own.

A cursor (state/hooks.json, see `cursor`) records what has been reported, so that nothing is lost across a restart or
a crash; the last call may then be repeated. A failed call is retried, in order, then given up with a line in the log.
While the job log cannot be read or hooks.json cannot be written, the thread retries after a pause, and repeats no
call. Hooks never delay a job.
"""

import contextlib
import json
import logging
import threading
import time
from dataclasses import replace

from daemon import __version__
from daemon.config.hook import Hook
from daemon.config.settings import Settings
from daemon.core.errors import InboxdError
from daemon.notify.digest import digest
from daemon.notify.hook_calls import CallFailed, Payload, call
from daemon.queue import cursor
from daemon.queue.cursor import Cursor
from daemon.queue.reader import JobLog
from daemon.queue.rows import JobRow

log = logging.getLogger(__name__)

_BATCH = 50  # ends of jobs per read of the job log
_PAUSE, _PAUSE_MAX = 1.0, 300.0  # seconds between two attempts; doubled each time
_STOP_SECONDS = 2.0
_RETRY_SECONDS = 3.0  # between attempts to read the job log or to save the cursor


class Hooks:
    """The thread that calls the hooks. Call `wake` when a job has ended."""

    def __init__(self, settings: Settings):
        self._database = settings.database
        self._cursor_file = settings.state / "hooks.json"
        self._settings = settings
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._digests: list[int] = []  # due digests: the start of the period of each, microseconds since the epoch
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

    def send_digest(self, since_us: int) -> None:
        """Report the failures and reviews since a time (microseconds since the epoch), if there are any."""
        self._digests.append(since_us)
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
            found = digest(self._database, since_us=self._digests[0])
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
                call(hook, payload)
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
