"""The position of a reader in the events of the job log, across restarts; used by hooks, totals and the search.

The number of an event is never reused within one job log. But the log may be replaced between two reads: by a copy, in
which later events have numbers that this reader has already seen on other events, or by a log rebuilt from the folders.
A cursor therefore also stores the identity of its log and the time of its event, and finds its position again by the
time.
"""

import contextlib
import json
import os
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from daemon.core import durable
from daemon.queue.reader import JobLog

_BEFORE_IDENTITIES = ""  # the log that an older release read, recognized by its inode
_ANOTHER = "another"  # an older release read a file with another inode
_FILE_TIME_LAG_US = 100_000  # the time of a file comes from a coarser clock than the time of an event


@dataclass(frozen=True, kw_only=True)
class Cursor:
    """The last event that was read."""

    log: str  # identity of the job log
    event: int  # the number of the event; 0: before the first one
    at: int  # when it was recorded, microseconds since the epoch, or a time by which all earlier events had been read

    @classmethod
    def at_end(cls, jobs: JobLog) -> "Cursor":
        """A cursor after the last recorded event."""
        last = jobs.last_event()
        at = jobs.time_of_event(last)
        return cls(log=jobs.identity(), event=last, at=time.time_ns() // 1000 if at is None else at)

    @classmethod
    def parse(cls, facts: Any, file: Path, database: Path) -> "Cursor | None":
        """Parse the cursor from the content of a file in state/; None if it has no valid one.

        Older releases saved the number and the inode of the database only, as `told` or `last_event`.
        """
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            if "event" in facts:
                return cls(log=str(facts["log"]), event=int(facts["event"]), at=int(facts["at"]))
            number = facts["told"] if "told" in facts else facts["last_event"]
            inode = facts["database"] if "told" in facts else facts["job_log"]
            is_ours = inode == database.stat().st_ino
            log = _BEFORE_IDENTITIES if is_ours else _ANOTHER
            return cls(log=log, event=int(number), at=file.stat().st_mtime_ns // 1000)
        return None

    def as_dict(self) -> dict[str, object]:
        """The inverse of `parse`."""
        return asdict(self)

    def position(self, jobs: JobLog) -> int:
        """The number in `jobs` up to which this reader has read."""
        if self.log == _BEFORE_IDENTITIES:
            # numbers were reused once the log was emptied: an event younger than the file cannot have been read
            younger = jobs.first_event_after(self.at + _FILE_TIME_LAG_US)
            return min(self.event, jobs.last_event() if younger is None else younger - 1)
        if self.log != jobs.identity():
            return jobs.last_event_until(self.at)
        moment = jobs.time_of_event(self.event)  # None: the event was removed by [retention]
        is_the_same_event = self.event <= jobs.last_event() and moment in (None, self.at)
        return self.event if is_the_same_event else jobs.last_event_until(self.at)

    def found_in(self, jobs: JobLog) -> "Cursor":
        """Translate this cursor to `jobs`; unchanged unless the log was replaced or upgraded in the meantime."""
        event = self.position(jobs)
        moment = jobs.time_of_event(event)
        return Cursor(log=jobs.identity(), event=event, at=self.at if moment is None else moment)

    def reads(self, jobs: JobLog) -> bool:
        """True if `jobs` is the log that this cursor was saved for, or a copy of it."""
        return self.log in (_BEFORE_IDENTITIES, jobs.identity())


def save(facts: Mapping[str, object], file: Path) -> None:
    """Replace the file with a reader's data and cursor, atomically.

    Raises:
        OSError: it cannot be written now; the file is unchanged.
    """
    scratch = file.with_name(f".{file.name}.part")
    scratch.unlink(missing_ok=True)
    try:
        durable.write_file(scratch, json.dumps(facts).encode())
        os.replace(scratch, file)
    except OSError:
        with contextlib.suppress(OSError):
            scratch.unlink()
        raise
