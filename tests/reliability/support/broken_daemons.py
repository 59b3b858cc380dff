"""Broken daemons, for the negative controls of the rigs: each breaks one promise, only in the rig's own process."""

import contextlib
import os
import shutil
import sqlite3
from collections.abc import Callable

from daemon import config
from daemon.core import durable
from daemon.files.outbox import Outbox
from daemon.files.taken import TakenFiles
from daemon.recovery.startup import Recovery


def break_daemon(how: str, settings: config.Settings) -> None:
    """Break the daemon that is about to start in this process."""
    _BREAKS[how](settings)


def _forget_taken(settings: config.Settings) -> None:
    """Recovery ignores files that were taken but have no row."""
    _replace(Recovery, "_sweep_or_adopt", lambda self, job_id: None)


def _copy_one_by_one(settings: config.Settings) -> None:
    """Results are copied into their visible folder file by file."""

    def publish(self: Outbox, job) -> None:
        target = self.path / job.result_path
        durable.make_folder(target.parent)
        target.mkdir()
        staged = self.staging / job.staging_name()
        for path in sorted(staged.rglob("*"), key=lambda path: path.name == "result.json"):
            if path.is_dir():
                (target / path.relative_to(staged)).mkdir(exist_ok=True)
                continue
            copy = target / path.relative_to(staged)
            copy.parent.mkdir(exist_ok=True)
            shutil.copyfile(path, copy)
            with copy.open() as file:
                os.fsync(file.fileno())
        durable.remove_tree(staged)

    _replace(Outbox, "publish", publish)


def _repeat_published(settings: config.Settings) -> None:
    """After a crash, a job that was being published is processed again, whether its result is in the outbox or not."""
    if not settings.database.exists():
        return
    with contextlib.closing(sqlite3.connect(settings.database, timeout=10)) as database:
        database.execute(
            "UPDATE jobs SET state = 'queued', lease = NULL, outcome = NULL, result_path = NULL "
            "WHERE state = 'publishing'"
        )
        database.commit()


def _leak_descriptors(settings: config.Settings) -> None:
    """Each job leaks a descriptor."""
    release = TakenFiles.release

    def leak(self: TakenFiles, *job_ids: str) -> None:
        os.open(self.path, os.O_RDONLY)
        release(self, *job_ids)

    _replace(TakenFiles, "release", leak)


def _hoard_memory(settings: config.Settings) -> None:
    """Each job leaks two megabytes."""
    release, hoard = TakenFiles.release, []

    def keep(self: TakenFiles, *job_ids: str) -> None:
        hoard.append(os.urandom(2**21))
        release(self, *job_ids)

    _replace(TakenFiles, "release", keep)


def _replace(owner: type, name: str, broken: Callable) -> None:
    if not hasattr(owner, name):
        raise AssertionError(f"{owner.__name__}.{name} no longer exists: this sabotage breaks nothing. Adapt it")
    setattr(owner, name, broken)


_BREAKS: dict[str, Callable[[config.Settings], None]] = {
    "forgets taken files": _forget_taken,
    "copies results file by file": _copy_one_by_one,
    "publishes results twice": _repeat_published,
    "leaks a descriptor per job": _leak_descriptors,
    "leaks memory per job": _hoard_memory,
}
