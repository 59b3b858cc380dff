"""Carries out the commands of `api`: calls the parts of the daemon, and turns each failure into an answer."""

import collections
import logging
import os
from collections.abc import Callable
from typing import Any, TypeVar

from pydantic import ValidationError

from daemon.config.current import CurrentSettings
from daemon.config.recipes import describe_recipes
from daemon.core.clock import Clock
from daemon.core.errors import InboxdError, StartOver, StorageError
from daemon.core.job import Job, JobState
from daemon.core.messages import Request
from daemon.core.names import printable
from daemon.files.disk_retry import DiskRetry, describe
from daemon.files.taken import OriginalGone
from daemon.intake.intake import Intake
from daemon.intake.submissions import InvalidSubmission, Submission
from daemon.publishing.corrector import CorrectionRefused, Corrector
from daemon.publishing.publisher import Publisher
from daemon.queue.store import Store
from daemon.recovery.retention import Removal, Retention
from daemon.scheduling.dispatcher import Dispatcher
from daemon.scheduling.pause import Pause
from daemon.server import api
from daemon.server.client import SAME_VERSION
from daemon.server.events import Events
from daemon.server.portions import Portions, Superseded
from daemon.server.reload import Reloader
from daemon.server.status import StatusReport
from daemon.telemetry import totals
from daemon.workers.supervisor import Workers

log = logging.getLogger(__name__)

C = TypeVar("C", bound=api.Command)

_ID_CHARACTERS = 36  # length of a UUID; a refusal shows no more of what the client sent
_RETRYABLE = (JobState.FAILED, JobState.CANCELLED)
_SHOWN_REMOVALS = 200  # maximum number of results that a reply to `prune` lists


class Refused(Exception):
    """The daemon cannot carry out the command; `fix` is the advice for the user."""

    def __init__(self, what: str, fix: str = ""):
        super().__init__(what)
        self.fix = fix


class Commands:
    """Answers requests, on the main thread."""

    def __init__(
        self,
        settings: CurrentSettings,
        store: Store,
        disk_retry: DiskRetry,
        workers: Workers,
        publishing: Publisher,
        corrector: Corrector,
        dispatcher: Dispatcher,
        intake: Intake,
        pause: Pause,
        retention: Retention,
        status: StatusReport,
        events: Events,
        reloader: Reloader,
        clock: Clock,
    ):
        self._settings = settings
        self._store = store
        self._disk_retry = disk_retry
        self._workers = workers
        self._publishing = publishing
        self._corrector = corrector
        self._dispatcher = dispatcher
        self._intake = intake
        self._pause = pause
        self._retention = retention
        self._reloader = reloader
        self._clock = clock
        self._retries = Portions[str]()  # job ids
        self._removals = Portions[Removal]()
        self._registry: dict[str, tuple[type[api.Command], Callable[[Any], api.Reply]]] = {}
        self._register(api.Status, lambda _: status.status())
        self._register(api.Metrics, lambda _: status.metrics())
        self._register(api.Events, events.after)
        self._register(api.Submit, self._submit)
        self._register(api.Retry, self._retry)
        self._register(api.Cancel, self._cancel)
        self._register(api.Reviewed, self._reviewed)
        self._register(api.Correct, self._correct)
        self._register(api.Probe, lambda _: self.probe())
        self._register(api.Pause, self._pause_work)
        self._register(api.Resume, self._resume)
        self._register(api.Reload, lambda _: api.ReloadReply(changed=self._reloader.reload()))
        self._register(api.Prune, self._prune)
        self._register(api.Unload, self._unload)
        self._register(api.Recipes, self._recipes)

    def _register(self, command: type[C], carry_out: Callable[[C], api.Reply]) -> None:
        self._registry[command.name] = command, carry_out

    def answer(self, request: Request) -> dict[str, object]:
        """Carry out a request. Return {"ok": true, …} or {"ok": false, "error": …, "fix": …, "exit_code": …}.

        Raises:
            StartOver: somebody replaced a folder or the job log. The client has its answer already.
        """
        try:
            return {"ok": True, **self._carry_out(request).to_wire()}
        except Refused as error:
            return _refusal(str(error), error.fix, os.EX_USAGE)
        except Superseded:
            fix = "Run it again: what was done remains done."
            return _refusal("The same command was started again, or the daemon was.", fix, os.EX_TEMPFAIL)
        except StartOver as error:
            if request.reply is not None:
                fix = "The daemon is restarting: try again in a moment."
                request.reply.put(_refusal(error.what, fix, error.exit_code))
            raise
        except (OSError, StorageError) as error:
            fix = "Try again later; `inboxd status` shows the cause."
            return _refusal(f"Temporarily not possible: {describe(error)}", fix, StorageError.exit_code)
        except InboxdError as error:
            return _refusal(error.what, error.fix, error.exit_code)
        except Exception:  # error boundary: one message
            log.exception("%s: internal error; the daemon is still running", request.command)
            fix = "The daemon is still running. Please report the traceback in its log (journalctl -u inboxd -p err)."
            return _refusal(f"Internal error in command {request.command!r}.", fix, os.EX_SOFTWARE)

    def _carry_out(self, request: Request) -> api.Reply:
        """Validate the arguments and carry out the command.

        Raises:
            Refused: there is no such command, its arguments are invalid, or the command is not possible now.
        """
        if request.command not in self._registry:
            raise Refused(f"Unknown command {request.command[:_ID_CHARACTERS]!r}.", SAME_VERSION)
        command, carry_out = self._registry[request.command]
        try:
            arguments = command.model_validate(dict(request.arguments))
        except ValidationError as error:
            raise Refused(f"Cannot execute {request.command!r}: {_reasons(error)}.", SAME_VERSION) from error
        return carry_out(arguments)

    # ---------------------------------------------------------------------------------------- jobs

    def _submit(self, command: api.Submit) -> api.SubmitReply:
        priority = {} if command.priority is None else {"priority": command.priority}
        submission = Submission(
            upload=command.file,
            folder=command.folder,
            name=command.file_name,
            options={**command.options, **priority},
            prompt=command.prompt,
            password=command.password,
            source=command.source,
        )
        try:
            job, waits_for = self._intake.submit(submission)
        except InvalidSubmission as error:
            raise Refused(str(error), error.fix) from error
        return api.SubmitReply(job=job, waits_for=waits_for)

    def _retry(self, command: api.Retry) -> api.RetryReply:
        if command.failed:
            return self._retry_failed(command)
        job = self._find(command.job or "")
        try:
            self._retry_one(job)
        except (OriginalGone, Refused) as error:
            fix = getattr(error, "fix", "")
            raise Refused(f"The job {job.path} cannot be retried: {error}", fix) from error
        return api.RetryReply(retried=[job.id], refused=[])

    def _retry_failed(self, command: api.Retry) -> api.RetryReply:
        retried, refused = [], []
        trouble = ""  # of a disk, which would affect the other jobs as well
        for job_id in self._retries.take(command.rest, lambda: [job.id for job in self._store.failed()]):
            job = self._store.get(job_id)
            if job is None or job.state not in _RETRYABLE:
                continue  # another command has retried it meanwhile
            why = trouble
            try:
                if not trouble:
                    self._retry_one(job)
                    retried.append(job.id)
                    continue
            except (OriginalGone, Refused) as error:
                why = str(error)
            except (OSError, StorageError) as error:
                why = trouble = describe(error)
            refused.append(api.RefusedJob(job=job.id, file=job.path, why=why))
        return api.RetryReply(retried=retried, refused=refused, rest=self._retries.rest)

    def _retry_one(self, job: Job) -> None:
        if self._publishing.is_busy_with(job.id):
            raise Refused("it is being processed.", "Try again later; see `inboxd status`.")
        if job.state is JobState.QUEUED:
            self._dispatcher.probe(at_once=True)
            self._store.reassign(self._store.get(job.id) or job, run_at=0)
            return
        if job.state not in _RETRYABLE:
            raise Refused(
                f"it is {job.state}.",
                "Only failed, cancelled and waiting jobs can be retried. To process the file again, drop it again.",
            )
        if job.result_path is None:
            raise Refused("its file was removed by [retention].", "Drop the file again.")
        self._publishing.retry(job, self._assign_recipe)

    def _assign_recipe(self, queued: Job) -> None:
        """Assign the recipe that config.toml specifies now, in case somebody has corrected config.toml since."""
        if "recipe" in queued.overrides.get("origins", {}):
            return

        def step() -> None:
            job = self._store.get(queued.id)
            if job is None or job.state is not JobState.QUEUED:
                return
            recipes = self._settings.value.folder(job.folder).recipes
            self._store.reassign(job, recipe=recipes.get(job.kind) if job.kind else None)

        self._disk_retry.run(f"recipe of {queued.path} ({queued.id})", step)  # retried: the job is already queued

    def _cancel(self, command: api.Cancel) -> api.CancelReply:
        job = self._find(command.job)
        state = JobState.PUBLISHING if self._publishing.is_busy_with(job.id) else job.state
        if state.is_final or state is JobState.PUBLISHING:
            what = "is being published" if state is JobState.PUBLISHING else f"is already {state}"
            raise Refused(f"The job {job.path} {what}.", "Only a queued or running job can be cancelled.")
        is_done = self._dispatcher.cancel(job)
        if is_done and job.state is JobState.RUNNING:  # recorded once its worker has exited
            is_done = self._disk_retry.examine()
        return api.CancelReply(cancelled=job.id, waits_for=None if is_done else self._disk_retry.problem)

    def _reviewed(self, command: api.Reviewed) -> api.ReviewedReply:
        job = self._find(command.job)
        if job.state is not JobState.DONE:
            raise Refused(f"The job {job.path} is {job.state}.", "Only the result of a done job can be reviewed.")
        self._store.set_reviewed(job, is_reviewed=command.reviewed)
        return api.ReviewedReply(job=job.id, file=job.path)

    def _correct(self, command: api.Correct) -> api.CorrectReply:
        job = self._find(command.job)
        try:
            self._corrector.place(job, command.prepared, revision=command.revision)
        except CorrectionRefused as error:
            raise Refused(str(error), error.fix) from error
        return api.CorrectReply(job=job.id, file=job.path)

    def _find(self, prefix: str) -> Job:
        prefix, is_possible = prefix[:_ID_CHARACTERS], 0 < len(prefix) <= _ID_CHARACTERS
        found = self._store.find(printable(prefix)) if is_possible else []
        if len(found) != 1:
            what = "No job id begins" if not found else "Several job ids begin"
            raise Refused(f"{what} with {prefix!r}.", "Find it: `inboxd jobs --file NAME`. The first 8 digits suffice.")
        return found[0]

    # ---------------------------------------------------------------------------------------- the daemon

    def probe(self) -> api.Done:
        """Check the inbox, the disks, and the weights and servers that parked jobs wait for, now."""
        self._disk_retry.retry(at_once=True)
        self._intake.look_everywhere(self._clock.monotonic())
        self._intake.retry_blocked(self._clock.monotonic())
        self._dispatcher.probe(at_once=True)
        return api.Done()

    def _pause_work(self, command: api.Pause) -> api.PauseReply:
        self._pause.pause(printable(command.reason) if command.reason else "")
        if command.now:
            self._dispatcher.put_back_running()
        return api.PauseReply(running=sum(len(worker.jobs) for worker in self._workers))

    def _resume(self, command: api.Resume) -> api.ResumeReply:
        self._pause.resume()
        return api.ResumeReply(closed=self._pause.reason)

    def _unload(self, _: api.Unload) -> api.UnloadReply:
        busy = sorted({worker.processor for worker in self._workers if worker.jobs})
        return api.UnloadReply(ended=self._dispatcher.idle_workers.end_all("inboxd unload was run"), busy=busy)

    def _recipes(self, _: api.Recipes) -> api.RecipesReply:
        return api.RecipesReply.model_validate({"recipes": describe_recipes(self._settings.value)})

    def _prune(self, command: api.Prune) -> api.PruneReply:
        counts: collections.Counter[str] = collections.Counter()
        shown: list[api.Removed] = []
        if not command.dry_run and command.rest is None:
            totals.save(self._settings.value.database, self._settings.value.totals)
        for removal in self._removals.take(command.rest, self._retention.due):
            counts["kept" if removal.why_not else removal.what] += len(removal.jobs) or 1
            if len(shown) < _SHOWN_REMOVALS:
                shown.append(api.Removed(what=removal.what, path=removal.path, kept=removal.why_not))
            if not command.dry_run:
                self._retention.remove(removal)
        return api.PruneReply(removed=not command.dry_run, counts=dict(counts), first=shown, rest=self._removals.rest)


def _reasons(error: ValidationError) -> str:
    """The errors in the arguments, without the values, which may have any length."""
    return "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors(include_input=False))


def _refusal(error: str, fix: str, exit_code: int) -> dict[str, object]:
    return {"ok": False, "error": error, "fix": fix, "exit_code": exit_code}
