"""Tells people and programs how jobs ended: by a command, a webhook, or on the desktop. In a thread of its own.

What was told is remembered by the number of the last event (state/hooks.json), so that nothing is forgotten over a
restart or a crash; the last call may then come twice. One that fails is tried again, in order, then left with a word
in the log. Nothing here can keep a job waiting.
"""

import contextlib
import json
import logging
import os
import subprocess
import threading
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from daemon import __version__
from daemon.config import Settings
from daemon.errors import InboxdError
from daemon.joblog import JobLog
from daemon.names import printable_lines
from daemon.tables import Hook

log = logging.getLogger(__name__)

_AT_ONCE = 50
_PAUSE, _PAUSE_MAX = 1.0, 300.0  # seconds between two tries; doubled each time
_STOP_SECONDS = 2.0
_OUTPUT_CHARACTERS = 500  # of what a failing command says


class CallFailed(Exception):
    """A hook could not be told."""


class Hooks:
    """The thread that calls. `wake` when a job has ended."""

    def __init__(self, settings: Settings):
        self._database = settings.database
        self._memory = settings.state / "hooks.json"
        self._settings = settings
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._digests: list[Mapping[str, Any]] = []
        self._thread = threading.Thread(target=self._serve, name="hooks", daemon=True)

    def start(self) -> None:
        """Begin with what was not told yet; where no hook was ever told anything, with what ends from now on."""
        self._told = self._recall()
        self._thread.start()

    def use(self, settings: Settings) -> None:
        """Call by other settings from now on."""
        self._settings = settings
        self._wake.set()

    def wake(self) -> None:
        """A job has ended."""
        if self._settings.hooks:
            self._wake.set()

    def tell_digest(self, digest: Mapping[str, Any]) -> None:
        """What went wrong since the last digest."""
        self._digests.append(digest)
        self._wake.set()

    def stop(self) -> None:
        """End; what is not told yet is told after the next start."""
        self._stopping.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(_STOP_SECONDS)

    # ---------------------------------------------------------------------------------------- the thread

    def _serve(self) -> None:
        self._wake.set()  # what an earlier run left
        while True:
            self._wake.wait()
            self._wake.clear()
            if self._stopping.is_set():
                return
            try:
                while self._tell_some():
                    pass
            except InboxdError as error:  # the job log cannot be read now; the next end of a job wakes us again
                log.warning("hooks: %s", error)

    def _tell_some(self) -> bool:
        """Tell what has ended since; False: there is no more."""
        while self._digests and not self._stopping.is_set():
            self._tell("digest", self._digests.pop(0))
        with JobLog(self._database) as jobs:
            ends = jobs.ends_after(self._told, limit=_AT_ONCE)
        for number, row in ends:
            if self._stopping.is_set():
                return False
            event = "failed" if row["state"] != "done" else "review" if row["review"] else "done"
            self._tell(event, self._payload(event, row))
            if self._stopping.is_set():
                return False  # perhaps cut short: told again after the next start
            self._told = number
            self._remember()
        return bool(ends)

    def _payload(self, event: str, row: Mapping[str, Any]) -> dict[str, Any]:
        outbox = self._settings.outbox
        return {
            "event": event,
            "inboxd": __version__,
            **row,
            "review": json.loads(row["review"]) if row["review"] else [],
            "result": str(outbox / row["result_path"]) if row["result_path"] else None,
        }

    def _tell(self, event: str, payload: Mapping[str, Any]) -> None:
        for hook in self._settings.hooks:
            if event in hook.on:
                self._call(hook, payload)

    def _call(self, hook: Hook, payload: Mapping[str, Any]) -> None:
        """Tell one hook, with as many tries as it has."""
        about = payload.get("file") or payload["event"]
        for attempt in range(1, hook.attempts + 1):
            try:
                _METHODS[hook.method](hook, payload)
                log.info("hook %s was told of %s (%s)", hook.name, about, payload["event"])
                return
            except CallFailed as error:
                log.warning("hook %s, attempt %d of %d: %s", hook.name, attempt, hook.attempts, error)
            if attempt < hook.attempts and self._stopping.wait(min(_PAUSE * 2 ** (attempt - 1), _PAUSE_MAX)):
                return
        log.error("hook %s could not be told of %s", hook.name, about)

    # ---------------------------------------------------------------------------------------- memory

    def _recall(self) -> int:
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            known = json.loads(self._memory.read_bytes())
            if known["database"] == self._database.stat().st_ino:  # else it was made anew, or put back from a copy
                return int(known["told"])
        with JobLog(self._database) as jobs:
            told = jobs.last_event()
        self._told = told
        self._remember()
        return told

    def _remember(self) -> None:
        scratch = self._memory.with_suffix(".part")
        try:
            scratch.write_text(json.dumps({"told": self._told, "database": self._database.stat().st_ino}))
            scratch.replace(self._memory)
        except OSError as error:  # then it may be told twice
            log.warning("hooks: %s cannot be written: %s", self._memory, error)


def digest(database: Path, *, since: str) -> dict[str, Any] | None:
    """What went wrong since an ISO time, and what waits; None: all is well."""
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
        "failed": [{key: row[key] for key in ("id", "file", "error_kind", "error", "result_path")} for row in failed],
        "review": [
            {
                "id": row["id"],
                "file": row["file"],
                "review": json.loads(row["review"]),
                "result_path": row["result_path"],
            }
            for row in review
        ],
        "waiting": [{key: row[key] for key in ("id", "file", "waiting_for")} for row in waiting],
    }


# ---------------------------------------------------------------------------------------------- the ways


def _run(hook: Hook, payload: Mapping[str, Any]) -> None:
    _start(hook.command, hook.timeout, json.dumps(payload).encode(), payload)


def _notify(hook: Hook, payload: Mapping[str, Any]) -> None:
    title, body = _words(payload)
    _start(["notify-send", "--app-name=inboxd", "--", title, body], hook.timeout, b"", payload)


def _start(command: Sequence[str], timeout: float, stdin: bytes, payload: Mapping[str, Any]) -> None:
    told = {"INBOXD_EVENT": str(payload["event"]), "INBOXD_JOB": str(payload.get("id", ""))}
    try:
        done = subprocess.run(
            command,
            input=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=timeout,
            env={**os.environ, **told},
            start_new_session=True,
        )
    except subprocess.TimeoutExpired as error:
        raise CallFailed(f"it took longer than {timeout:g} s, and was ended") from error
    except (OSError, ValueError) as error:
        raise CallFailed(f"it cannot be run: {error}") from error
    if done.returncode:
        said = done.stdout.decode(errors="replace").strip()[-_OUTPUT_CHARACTERS:]
        raise CallFailed(f"it ended with {done.returncode}: {printable_lines(said) or 'and said nothing'}")


def _post(hook: Hook, payload: Mapping[str, Any]) -> None:
    headers = {"Content-Type": "application/json", "User-Agent": f"inboxd/{__version__}"}
    request = urllib.request.Request(hook.webhook, json.dumps(payload).encode(), headers, method="POST")
    try:
        with urllib.request.urlopen(request, timeout=hook.timeout):
            return
    except (OSError, ValueError, urllib.error.URLError) as error:  # HTTPError, for all but 2xx, is one of them
        raise CallFailed(f"{error}") from error


_METHODS = {"command": _run, "webhook": _post, "desktop": _notify}


def _words(payload: Mapping[str, Any]) -> tuple[str, str]:
    """A title and a text for a person."""
    if payload["event"] == "digest":
        counts = (f"{len(payload[what])} {what}" for what in ("failed", "review", "waiting") if payload[what])
        return "inboxd: " + ", ".join(counts), "\n".join(row["file"] for row in payload["failed"][:5])
    titles = {"done": "is done", "review": "is done; please look at it", "failed": "could not be processed"}
    text = payload["error"] or "; ".join(payload["review"]) or payload["excerpt"]
    return f"{payload['file']} {titles[payload['event']]}", printable_lines(text or "")[:300]
