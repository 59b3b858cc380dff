"""Calls one hook: runs its command, posts to its webhook, or shows a desktop notification."""

import http.client
import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from typing import Any

from daemon.config.hook import Hook
from daemon.core.names import printable_lines
from daemon.notify import webhook

Payload = Mapping[str, Any]  # the input of a hook, as JSON
_MAX_BYTES = 4 * 1024 * 1024  # of the JSON for a hook
_MIN_CHARS = 4096  # of each text in it: keeps paths complete
_OUTPUT_CHARACTERS = 500  # of the output of a failing command


class CallFailed(Exception):
    """A call of a hook failed."""


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


def call(hook: Hook, payload: Payload) -> None:
    """Call a hook once.

    Raises:
        CallFailed: it failed; a retry may help.
    """
    _METHODS[hook.method](hook, payload)


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
        except PermissionError as error:
            raise CallFailed(f"cannot start: permission denied. Make it executable: chmod +x {command[0]}") from error
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
