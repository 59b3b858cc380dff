"""What the command line may ask of the running daemon, and its answers."""

import collections
import functools
import inspect
import logging
import os
import time
import typing
from collections.abc import Callable, Mapping
from typing import Any

from daemon import __version__
from daemon.config.settings import Settings
from daemon.core.errors import InboxdError, StartOver, StorageError
from daemon.core.job import Job, JobState
from daemon.core.messages import Asked
from daemon.core.names import printable, printable_path
from daemon.files.disk_retry import DiskRetry, describe
from daemon.files.inbox import OriginalGone
from daemon.files.layout import Layout
from daemon.intake.intake import Intake
from daemon.intake.watcher import Watcher
from daemon.publishing.publisher import Publisher
from daemon.queue.store import Store
from daemon.recovery.retention import Retention
from daemon.scheduling.dispatcher import Dispatch
from daemon.scheduling.pause import Gate
from daemon.telemetry import totals
from daemon.telemetry.exporter import Exporter
from daemon.workers.supervisor import Workers

log = logging.getLogger(__name__)

_SAME_VERSION = (
    "The command and the daemon may be of different versions: compare `inboxd --version` with `inboxd status`."
)
_SHOWN = 200  # removals that `prune` tells one by one


class Refused(Exception):
    """The command cannot be carried out; `fix` says what can."""

    def __init__(self, what: str, fix: str = ""):
        super().__init__(what)
        self.fix = fix


class Commands:
    """Answers `Asked` messages, on the main thread."""

    def __init__(
        self,
        settings: Settings,
        *,
        store: Store,
        folders: Layout,
        storage: DiskRetry,
        workers: Workers,
        publishing: Publisher,
        dispatch: Dispatch,
        intake: Intake,
        watcher: Watcher,
        gate: Gate,
        retention: Retention,
        exporter: Exporter,
        reload: Callable[[], list[str]],
    ):
        self.settings = settings
        self._store = store
        self._folders = folders
        self._storage = storage
        self._workers = workers
        self._publishing = publishing
        self._dispatch = dispatch
        self._intake = intake
        self._watcher = watcher
        self._gate = gate
        self._retention = retention
        self._exporter = exporter
        self._reload = reload
        self.config_problem: str | None = None  # why the last reload was refused
        self.backup_problem: str | None = None  # why last night's copy of the job log was not made
        self._started = time.monotonic()

    def answer(self, asked: Asked) -> dict[str, Any]:
        """The answer, {"ok": true, …} or {"ok": false, "error": …, "fix": …, "exit_code": …}.

        Raises:
            StartOver: a folder or the job log was replaced; the caller has been answered.
        """
        try:
            return {"ok": True, **self._handler(asked)()}
        except Refused as error:
            return _refusal(str(error), error.fix, os.EX_USAGE)
        except StartOver as error:
            if asked.reply is not None:
                fix = "The daemon is restarting: try again in a moment."
                asked.reply.put(_refusal(error.what, fix, error.exit_code))
            raise
        except (OSError, StorageError) as error:
            fix = "Try again later; `inboxd status` shows the cause."
            return _refusal(f"Temporarily not possible: {describe(error)}", fix, StorageError.exit_code)
        except InboxdError as error:
            return _refusal(error.what, error.fix, error.exit_code)
        except Exception:  # error boundary: one message
            log.exception("%s: internal error; the daemon is still running", asked.command)
            fix = "The daemon is still running. Please report the traceback in its log (journalctl -u inboxd -p err)."
            return _refusal(f"Internal error in command {asked.command!r}.", fix, os.EX_SOFTWARE)

    def _handler(self, asked: Asked) -> Callable[[], dict[str, Any]]:
        """Return the bound handler of the command.

        Raises:
            Refused: there is no such command, or its arguments do not match.
        """
        handlers = (self.status, self.retry, self.cancel, self.probe, self.pause, self.resume, self.reload, self.prune)
        handlers += (self.metrics,)
        handler = next((each for each in handlers if each.__name__ == asked.command), None)
        if handler is None:
            raise Refused(f"Unknown command {asked.command!r}.", _SAME_VERSION)
        try:
            bound = inspect.signature(handler).bind(**asked.arguments)
        except TypeError as error:
            raise Refused(f"Cannot execute {asked.command!r}: {error}.", _SAME_VERSION) from error
        types = typing.get_type_hints(handler)
        for name, value in bound.arguments.items():
            if not isinstance(value, types[name]):
                raise Refused(f"{asked.command}: {value!r} is not a valid {name}.", _SAME_VERSION)
        return functools.partial(handler, *bound.args, **bound.kwargs)

    def status(self) -> dict[str, Any]:
        """What is going on now."""
        return {
            "version": __version__,
            "pid": os.getpid(),
            "uptime_seconds": round(time.monotonic() - self._started, 1),
            "inbox": str(self.settings.inbox),
            "outbox": str(self.settings.outbox),
            "jobs": self._store.counts(),
            "running": [
                self._running(job, worker.processor) for worker in self._workers for job in worker.jobs.values()
            ],
            "workers": [self._worker(worker) for worker in self._workers],
            "waiting": self._waiting(),
            "closed": self._gate.why_closed,
            "config_problem": self.config_problem,
            "backup_problem": self.backup_problem,
            "metrics_problem": self._exporter.problem,
            "storage_problem": self._storage.problem,
            "left_in_inbox": {
                printable_path(path.relative_to(self._folders.inbox.path)): why
                for path, why in self._intake.left.items()
            },
            "unplaced": dict(self._intake.unplaced),
            "watch_problems": {printable(str(folder)): why for folder, why in self._watcher.problems.items()},
        }

    def metrics(self) -> dict[str, Any]:
        """What only the daemon knows of what `metrics` tells; all else is in the job log."""
        unclaimed = [entry.ctime_ns for entry in self._intake.unclaimed]
        return {
            "version": __version__,
            "pid": os.getpid(),
            "uptime_seconds": time.monotonic() - self._started,
            "unclaimed": len(unclaimed),
            "oldest_unclaimed_ns": min(unclaimed, default=None),
            "left_in_inbox": len(self._intake.left),
            "polled_folders": len(self._watcher.problems),
            "claims": self._intake.claims.as_dict(),
            "workers": [
                {"processor": worker.processor, "pid": worker.pid, "state": worker.state, "jobs": len(worker.jobs)}
                for worker in self._workers
            ],
            "worker_starts": dict(self._workers.starts),
            "worker_ends": [[*labels, count] for labels, count in self._workers.ends.items()],
            "parked": self._dispatch.parked,
            "closed": self._gate.why_closed is not None,
            "storage_problem": self._storage.problem is not None,
            "config_problem": self.config_problem is not None,
        }

    def _waiting(self) -> list[Mapping[str, Any]]:
        try:
            return _grouped(self._store.waiting())
        except StorageError:  # `storage_problem` tells of it
            return []

    def retry(self, job: str | None = None, failed: bool = False) -> dict[str, Any]:
        """Queue a failed job again, or all of them; a waiting one is tried at once."""
        if not failed:
            found = self._find(job or "")
            try:
                self._retry(found)
            except (OriginalGone, Refused) as error:
                fix = getattr(error, "fix", "")
                raise Refused(f"{found.path} cannot be tried again: {error}", fix) from error
            return {"retried": [found.id], "refused": []}
        retried, refused = [], []
        trouble = ""  # of a disk, which would affect the other jobs as well
        for each in self._store.failed():
            try:
                if not trouble:
                    self._retry(each)
                    retried.append(each.id)
                    continue
            except (OriginalGone, Refused) as error:
                refused.append({"job": each.id, "file": each.path, "why": str(error)})
                continue
            except (OSError, StorageError) as error:
                trouble = describe(error)
            refused.append({"job": each.id, "file": each.path, "why": trouble})
        return {"retried": retried, "refused": refused}

    def _retry(self, job: Job) -> None:
        if self._publishing.is_busy_with(job.id):
            raise Refused("it is being processed.", "Try again later; see `inboxd status`.")
        if job.state is JobState.QUEUED:
            self._dispatch.probe(at_once=True)
            self._store.reassign(self._store.get(job.id), run_at=0)
            return
        if job.state not in (JobState.FAILED, JobState.CANCELLED):
            raise Refused(f"it is {job.state}.", "Only a failed, cancelled or waiting job can be tried again.")
        if job.result_path is None:
            raise Refused("its file was removed by [retention].", "Drop the file again.")
        self._publishing.retry(job, self._bind_again)

    def _bind_again(self, queued: Job) -> None:
        """Assign the recipe that config.toml specifies now, in case it has been corrected since."""
        if "recipe" in queued.overrides.get("origins", {}):
            return

        def step() -> None:
            job = self._store.get(queued.id)
            if job is None or job.state is not JobState.QUEUED:
                return
            recipes = self.settings.folder(job.folder).recipes
            self._store.reassign(job, recipe=recipes.get(job.kind) if job.kind else None)

        self._storage.run(f"recipe of {queued.path} ({queued.id[:8]})", step)  # retried: the job is already queued

    def cancel(self, job: str) -> dict[str, Any]:
        """Cancel a job. `waits_for`: why the cancellation, or recording it, is delayed; None: it is not delayed."""
        found = self._find(job)
        state = JobState.PUBLISHING if self._publishing.is_busy_with(found.id) else found.state
        if state.is_final or state is JobState.PUBLISHING:
            what = "is being published" if state is JobState.PUBLISHING else f"is {state} already"
            raise Refused(f"{found.path} {what}.", "Only a queued or running job can be cancelled.")
        is_done = self._dispatch.cancel(found)
        if is_done and found.state is JobState.RUNNING:  # recorded once its worker has exited
            is_done = self._storage.examine()
        return {"cancelled": found.id, "waits_for": None if is_done else self._storage.problem}

    def probe(self) -> dict[str, Any]:
        """Look again, now, at the inbox, at the disks, and at what parked jobs wait for."""
        self._storage.retry(at_once=True)
        self._intake.look_everywhere(time.monotonic())
        self._intake.retry_blocked(time.monotonic())
        self._dispatch.probe(at_once=True)
        return {}

    def pause(self, reason: str = "", now: bool = False) -> dict[str, Any]:
        """Start nothing more; running jobs may finish, or, with `now`, are put back into the queue."""
        self._gate.pause(printable(reason))
        if now:
            self._dispatch.put_back_running()
        return {"running": sum(len(worker.jobs) for worker in self._workers)}

    def resume(self) -> dict[str, Any]:
        """Work again."""
        self._gate.resume()
        return {"closed": self._gate.why_closed}

    def reload(self) -> dict[str, Any]:
        """Apply config.toml as it is now to all that starts from now on."""
        return {"changed": self._reload()}

    def prune(self, dry_run: bool = True) -> dict[str, Any]:
        """What `[retention]` would remove now, the first of it in detail; without `dry_run` it is removed."""
        counts: collections.Counter[str] = collections.Counter()
        shown = []
        if not dry_run:
            totals.save(self.settings.database, self.settings.totals)
        for removal in self._retention.due():
            counts["kept" if removal.why_not else removal.what] += len(removal.jobs) or 1
            if len(shown) < _SHOWN:
                shown.append({"what": removal.what, "path": removal.path, "kept": removal.why_not})
            if not dry_run:
                self._retention.remove(removal)
        return {"removed": not dry_run, "counts": dict(counts), "first": shown}

    def one_line(self) -> str:
        """The state in a line, for the service manager."""
        return ". ".join(filter(None, (self._counts_and_files(), self._gate.why_closed, self.config_problem)))

    def _counts_and_files(self) -> str:
        counts = self._store.counts()
        names = [job.path for worker in self._workers for job in worker.jobs.values()]
        line = f"{counts.get('queued', 0)} queued, {len(names)} running, {counts.get('done', 0)} done, "
        line += f"{counts.get('failed', 0)} failed"
        return f"{line}: {', '.join(names[:3])}" if names else line

    def _find(self, prefix: str) -> Job:
        found = self._store.find(printable(prefix)) if prefix else []  # SQLite rejects lone surrogates
        if len(found) != 1:
            what = "No job's id begins" if not found else "More than one job's id begins"
            raise Refused(f"{what} with {prefix!r}.", "See the ids with `inboxd jobs`; the first 8 digits suffice.")
        return found[0]

    def _running(self, job: Job, processor: str) -> dict[str, Any]:
        progress = self._dispatch.progress.get(job.id)
        return {
            "job": job.id,
            "file": job.path,
            "recipe": job.recipe,
            "processor": processor,
            "attempt": job.attempt,
            "started_at_us": job.started_at,
            "progress": {"done": progress.done, "total": progress.total, "unit": progress.unit} if progress else None,
        }

    def _worker(self, worker: Any) -> dict[str, Any]:
        loading = self._dispatch.progress.get(f" {worker.processor}")
        return {
            "processor": worker.processor,
            "state": worker.state,
            "pid": worker.pid,
            "model": worker.loaded.model if worker.loaded else None,
            "device": worker.loaded.device if worker.loaded else None,
            "loading": {"done": loading.done, "total": loading.total, "unit": loading.unit} if loading else None,
        }


def _refusal(error: str, fix: str, exit_code: int) -> dict[str, Any]:
    return {"ok": False, "error": error, "fix": fix, "exit_code": exit_code}


def _grouped(jobs: list[Job]) -> list[Mapping[str, Any]]:
    """The waiting jobs by what they wait for."""
    groups: dict[str, list[str]] = {}
    for job in jobs:
        groups.setdefault(job.waiting_for or "", []).append(job.path)
    return [{"for": why, "count": len(files), "files": files[:5]} for why, files in groups.items()]
