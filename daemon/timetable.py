"""What is done from time to time: puts `Due` messages into the mailbox. The only module that imports apscheduler.

Every task looks at the state as it is (level-triggered), so that a tick that was missed does no harm.
"""

import logging
from collections.abc import Callable
from datetime import UTC
from typing import Any

from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler

from daemon.model import Due

RESCAN = "rescan"  # the whole inbox: events may be lost, and some file systems send none
PROBE = "probe"  # what parked jobs wait for
UNLOAD = "unload"  # workers idle for longer than their processor's keep_alive
TIDY = "tidy"  # the database: statistics for its query planner

_TIDY_SECONDS = 24 * 3600.0


class Timetable:
    """A scheduler thread that posts; it does nothing itself."""

    def __init__(self, post: Callable[[Any], None], *, rescan: float, probe: float, unload: float):
        logging.getLogger("apscheduler").setLevel(logging.WARNING)
        self._scheduler = BackgroundScheduler(
            timezone=UTC,
            executors={"default": ThreadPoolExecutor(1)},
            # misfire_grace_time: 1 s by default, after which a late run is dropped, for a one-shot for ever
            job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
        )
        for task, seconds in ((RESCAN, rescan), (PROBE, probe), (UNLOAD, unload), (TIDY, _TIDY_SECONDS)):
            self._scheduler.add_job(post, "interval", seconds=seconds, args=[Due(task=task)], id=task)

    def start(self) -> None:
        self._scheduler.start()

    def stop(self) -> None:
        if self._scheduler.running:
            self._scheduler.shutdown(wait=False)
