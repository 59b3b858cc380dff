"""Sends the log to journald with priorities, and with the fields JOB, FILE, RECIPE and STATE for lines about a job.

`journalctl -u inboxd JOB=1f3a…` then shows the history of one job. The protocol: https://systemd.io/JOURNAL_NATIVE_PROTOCOL
"""

import logging
import os
import socket
import struct
import sys
from collections.abc import Iterator, Mapping

from daemon.core.job import Job
from daemon.core.names import printable_lines

_SOCKET = "/run/systemd/journal/socket"
_PRIORITIES = {logging.DEBUG: 7, logging.INFO: 6, logging.WARNING: 4, logging.ERROR: 3, logging.CRITICAL: 2}
_MAX_BYTES = 100_000  # of a field; a datagram holds about 200 kB


def about(job: Job) -> dict[str, object]:
    """The `extra` of a log call about a job."""
    return {"job": job}


def is_connected() -> bool:
    """True if stderr of this process is connected to journald (JOURNAL_STREAM of systemd.exec(5))."""
    device, _, inode = os.environ.get("JOURNAL_STREAM", "").partition(":")
    try:
        facts = os.fstat(sys.stderr.fileno())
    except (OSError, ValueError):
        return False
    return (device, inode) == (str(facts.st_dev), str(facts.st_ino)) and os.path.exists(_SOCKET)


class JournalHandler(logging.Handler):
    """Sends each record to journald, or, if that fails, to stderr as a line with its priority."""

    def __init__(self, address: str = _SOCKET):
        super().__init__()
        self._address = address
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)

    def emit(self, record: logging.LogRecord) -> None:
        try:
            text = printable_lines(self.format(record))
            self._socket.sendto(b"".join(_encode(_fields(record, text))), self._address)
        except OSError:
            for line in text.splitlines():  # sd-daemon(3)
                print(f"<{_PRIORITIES.get(record.levelno, 6)}>{line}", file=sys.stderr, flush=True)
        except Exception:
            self.handleError(record)

    def close(self) -> None:
        self._socket.close()
        super().close()


def _fields(record: logging.LogRecord, text: str) -> Mapping[str, str]:
    fields = {
        "MESSAGE": text,
        "PRIORITY": str(_PRIORITIES.get(record.levelno, 6)),
        "SYSLOG_IDENTIFIER": "inboxd",
        "LOGGER": record.name,
    }
    job: Job | None = getattr(record, "job", None)
    if job is not None:
        fields |= {"JOB": job.id, "FILE": job.path, "RECIPE": job.recipe or "", "STATE": str(job.state)}
    return fields


def _encode(fields: Mapping[str, str]) -> Iterator[bytes]:
    """Encode each field with its length, so that its text may have several lines."""
    for name, value in fields.items():
        content = value.encode(errors="replace")[:_MAX_BYTES]
        yield name.encode() + b"\n" + struct.pack("<Q", len(content)) + content + b"\n"
