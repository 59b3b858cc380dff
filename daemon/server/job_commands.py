"""Carries out the commands about jobs and their results: submit, retry, cancel, review, correct and prune."""

import collections

from daemon.config.current import CurrentSettings
from daemon.core.errors import StorageError
from daemon.core.job import Job, JobState
from daemon.core.names import printable
from daemon.files.disk_retry import DiskRetry, describe
from daemon.files.taken import OriginalGone
from daemon.intake.intake import Intake
from daemon.intake.submissions import InvalidSubmission, Submission
from daemon.publishing.correction_placer import CorrectionPlacer, CorrectionRefused
from daemon.publishing.publisher import Publisher
from daemon.queue.store import Store
from daemon.recovery.retention import Removal, Retention
from daemon.scheduling.dispatcher import Dispatcher
from daemon.server import api
from daemon.server.portions import Portions
from daemon.telemetry import totals

_RETRYABLE = (JobState.FAILED, JobState.CANCELLED)
_ID_CHARACTERS = 36  # length of a UUID; a refusal shows no more of what the client sent
_SHOWN_REMOVALS = 200  # maximum number of results that a reply to `prune` lists


class Refused(Exception):
    """The daemon cannot carry out the command; `fix` is the advice for the user."""

    def __init__(self, what: str, fix: str = ""):
        super().__init__(what)
        self.fix = fix


class JobCommands:
    """Called by the main thread only. A command that is not possible now raises `Refused`."""

    def __init__(
        self,
        settings: CurrentSettings,
        store: Store,
        disk_retry: DiskRetry,
        publishing: Publisher,
        correction_placer: CorrectionPlacer,
        dispatcher: Dispatcher,
        intake: Intake,
        retention: Retention,
    ):
        self._settings = settings
        self._store = store
        self._disk_retry = disk_retry
        self._publishing = publishing
        self._correction_placer = correction_placer
        self._dispatcher = dispatcher
        self._intake = intake
        self._retention = retention
        self._retries = Portions[str]()  # job ids
        self._removals = Portions[Removal]()

    def submit(self, command: api.Submit) -> api.SubmitReply:
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

    def retry(self, command: api.Retry) -> api.RetryReply:
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

    def cancel(self, command: api.Cancel) -> api.CancelReply:
        job = self._find(command.job)
        state = JobState.PUBLISHING if self._publishing.is_busy_with(job.id) else job.state
        if state.is_final or state is JobState.PUBLISHING:
            what = "is being published" if state is JobState.PUBLISHING else f"is already {state}"
            raise Refused(f"The job {job.path} {what}.", "Only a queued or running job can be cancelled.")
        is_done = self._dispatcher.cancel(job)
        if is_done and job.state is JobState.RUNNING:  # recorded once its worker has exited
            is_done = self._disk_retry.examine()
        return api.CancelReply(cancelled=job.id, waits_for=None if is_done else self._disk_retry.problem)

    def reviewed(self, command: api.Reviewed) -> api.ReviewedReply:
        job = self._find(command.job)
        if job.state is not JobState.DONE:
            raise Refused(f"The job {job.path} is {job.state}.", "Only the result of a done job can be reviewed.")
        self._store.set_reviewed(job, is_reviewed=command.reviewed)
        return api.ReviewedReply(job=job.id, file=job.path)

    def correct(self, command: api.Correct) -> api.CorrectReply:
        job = self._find(command.job)
        try:
            self._correction_placer.place(job, command.prepared, revision=command.revision)
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

    def prune(self, command: api.Prune) -> api.PruneReply:
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
