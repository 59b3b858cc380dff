"""What is done from time to time: puts `Due` messages into the mailbox. The only module that imports apscheduler.

Every task looks at the state as it is (level-triggered), so that a tick that was missed does no harm.
"""

import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from apscheduler.executors.debug import DebugExecutor
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.interval import IntervalTrigger

from daemon.config.hours import parse_clock
from daemon.config.schema import ScheduleTable
from daemon.core.messages import Due

RESCAN = "rescan"  # the whole inbox: events may be lost, and some file systems send none
PROBE = "probe"  # what parked jobs wait for
UNLOAD = "unload"  # workers idle for longer than their processor's keep_alive
TIDY = "tidy"  # the database: statistics for its query planner
HOURS = "hours"  # the active hours begin or end
DIGEST = "digest"  # to tell what went wrong in a day
NIGHTLY = "nightly"  # the check and the copy of the database, and what is old enough to be removed

_TIDY_SECONDS = 24 * 3600.0
_STEP_SECONDS = 1.0  # by which the clock must be set at once to be noticed; what NTP slews is far less


class Timetable:
    """A scheduler thread that posts; it does nothing itself."""

    def __init__(self, post: Callable[[Any], None], schedule: ScheduleTable):
        logging.getLogger("apscheduler").setLevel(logging.WARNING)
        self._scheduler = BackgroundScheduler(
            timezone=UTC,
            executors={"default": DebugExecutor()},  # in its own thread, and no other is woken: a task only posts
            # misfire_grace_time: 1 s by default, after which a late run is dropped, for a one-shot for ever
            job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
        )
        self._post = post
        self._offset = time.time() - time.monotonic()
        self._plan(schedule)

    def _plan(self, schedule: ScheduleTable) -> None:
        self._scheduler.remove_all_jobs()
        self._intervals = {task: getattr(schedule, task) for task in (RESCAN, PROBE, UNLOAD)} | {TIDY: _TIDY_SECONDS}
        start = datetime.now(UTC)  # of all, so that what is due as often is due at once: one wake-up, not several
        for task, seconds in self._intervals.items():
            trigger = IntervalTrigger(seconds=seconds, start_date=start)
            self._scheduler.add_job(self._post, trigger, args=[Due(task=task)], id=task)
        for change in schedule.hours.changes:
            # of the local time zone, by its own clock: a night on which the clocks change is longer or shorter
            trigger = CronTrigger(hour=change.hour, minute=change.minute)
            self._scheduler.add_job(self._post, trigger, args=[Due(task=HOURS)])
        for task in (NIGHTLY, DIGEST):
            if moment := getattr(schedule, task):
                clock = parse_clock(moment)
                trigger = CronTrigger(hour=clock.hour, minute=clock.minute)
                self._scheduler.add_job(self._post, trigger, args=[Due(task=task)])

    def use(self, schedule: ScheduleTable) -> None:
        """Go by other times from now on."""
        self._plan(schedule)

    def start(self) -> None:
        self._scheduler.start()

    def follow_clock(self) -> float:
        """The seconds by which the clock of the day was set since the last call; 0.0 if it was not.

        The scheduler counts by that clock: set back by hours, it would post nothing for hours. So it starts anew.
        """
        offset = time.time() - time.monotonic()
        step, self._offset = offset - self._offset, offset
        if abs(step) < _STEP_SECONDS:
            return 0.0
        start = datetime.now(UTC)
        for task, seconds in self._intervals.items():
            self._scheduler.reschedule_job(task, trigger=IntervalTrigger(seconds=seconds, start_date=start))
        return step

    def stop(self) -> None:
        if self._scheduler.running:
            self._scheduler.shutdown(wait=False)
