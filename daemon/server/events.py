"""The numbered events of the jobs, and the progress of workers and jobs, for a live view.

The number of an event is the id of its row in the job log. A reader asks for the events after the last number that it
has seen, so it misses none across a restart. The daemon stores nothing per reader: a slow reader catches up in bounded
steps, and delays no other reader.
"""

import os

from daemon.queue.store import Store
from daemon.server import api
from daemon.server.status import StatusReport

_MAX_EVENTS = 500  # per reply, because the main thread reads them


class Events:
    """Answers the command `events`. Called by the main thread only."""

    def __init__(self, store: Store, status: StatusReport):
        self._store = store
        self._status = status

    def after(self, command: api.Events) -> api.EventsReply:
        """The events after number `command.after`. If that is higher than the latest number, because the job log was
        replaced, no events and the latest number.
        """
        latest = self._store.last_event()
        after = latest if command.after is None or command.after > latest else command.after
        found = self._store.events_after(after, limit=_MAX_EVENTS)
        last = found[-1]["number"] if found else after
        return api.EventsReply(
            pid=os.getpid(),
            events=[api.JobEvent(**event) for event in found],
            last=last,
            has_more=last < latest,
            running=self._status.running(),
            workers=self._status.workers(),
        )
