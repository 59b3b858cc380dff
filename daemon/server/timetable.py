"""The timetable of recurring tasks: puts `Due` messages into the mailbox. The only module that imports apscheduler.

Every task uses the current state when it runs (level-triggered), so a missed run does no harm.
"""

import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime

from apscheduler.executors.debug import DebugExecutor
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.interval import IntervalTrigger

from daemon.config.hours import parse_clock
from daemon.config.schema import ScheduleTable
from daemon.config.settings import Settings
from daemon.core.messages import Due

RESCAN = "rescan"  # the whole inbox: events may be lost, and some file systems send none
PROBE = "probe"  # check the weights and servers that parked jobs wait for
UNLOAD = "unload"  # end workers that have been idle for longer than their processor's keep_alive
TIDY = "tidy"  # statistics for the query planner of the database, and files that nobody submitted
HOURS = "hours"  # the active hours begin or end
DIGEST = "digest"  # a report of what went wrong in a day
NIGHTLY = "nightly"  # check and copy the database, remove what is old enough

_TIDY_SECONDS = 24 * 3600.0
_STEP_SECONDS = 1.0  # smallest step of the clock that is noticed; NTP adjusts the clock in far smaller ones


class Timetable:
    """A scheduler thread that posts; the main thread carries the tasks out."""

    def __init__(self, post: Callable[[Due], None], schedule: ScheduleTable):
        self._post = post
        self._schedule = schedule
        self._scheduler: BackgroundScheduler | None = None  # from `start` on
        self._intervals: dict[str, float] = {}  # seconds, by task
        self._offset = time.time() - time.monotonic()

    def start(self) -> None:
        logging.getLogger("apscheduler").setLevel(logging.WARNING)
        self._scheduler = BackgroundScheduler(
            timezone=UTC,
            executors={"default": DebugExecutor()},  # in its own thread, and no other is woken: a task only posts
            # misfire_grace_time: 1 s by default, after which a late run is dropped, and a one-shot is lost
            job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
        )
        self._plan(self._scheduler)
        self._scheduler.start()

    def apply(self, settings: Settings) -> None:
        """Use the schedule of new settings from now on."""
        self._schedule = settings.schedule
        if self._scheduler is not None:
            self._plan(self._scheduler)

    def follow_clock(self) -> float:
        """Return the seconds by which the system clock was set since the last call; 0.0 if it was not set.

        The scheduler uses the system clock. After that was set back by hours, the scheduler would post nothing for
        hours, so this method reschedules the tasks that repeat at intervals.
        """
        offset = time.time() - time.monotonic()
        step, self._offset = offset - self._offset, offset
        if self._scheduler is None or abs(step) < _STEP_SECONDS:
            return 0.0
        start = datetime.now(UTC)
        for task, seconds in self._intervals.items():
            self._scheduler.reschedule_job(task, trigger=IntervalTrigger(seconds=seconds, start_date=start))
        return step

    def stop(self) -> None:
        if self._scheduler is not None and self._scheduler.running:
            self._scheduler.shutdown(wait=False)

    def _plan(self, scheduler: BackgroundScheduler) -> None:
        schedule = self._schedule
        scheduler.remove_all_jobs()
        self._intervals = {task: getattr(schedule, task) for task in (RESCAN, PROBE, UNLOAD)} | {TIDY: _TIDY_SECONDS}
        start = datetime.now(UTC)  # one start for all, so that tasks with equal intervals are due together
        for task, seconds in self._intervals.items():
            trigger = IntervalTrigger(seconds=seconds, start_date=start)
            scheduler.add_job(self._post, trigger, args=[Due(task=task)], id=task)
        for change in schedule.hours.changes:
            # of the local time zone, by its own clock: a night on which the clocks change is longer or shorter
            trigger = CronTrigger(hour=change.hour, minute=change.minute)
            scheduler.add_job(self._post, trigger, args=[Due(task=HOURS)])
        for task in (NIGHTLY, DIGEST):
            if moment := getattr(schedule, task):
                clock = parse_clock(moment)
                trigger = CronTrigger(hour=clock.hour, minute=clock.minute)
                scheduler.add_job(self._post, trigger, args=[Due(task=task)])
