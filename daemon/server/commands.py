"""Carries out the commands of `api`: calls the parts of the daemon, and turns each failure into an answer."""

import logging
import os
from collections.abc import Callable
from typing import Any, TypeVar

from pydantic import ValidationError

from daemon.config.current import CurrentSettings
from daemon.config.recipes import describe_recipes
from daemon.core.clock import Clock
from daemon.core.errors import InboxdError, StartOver, StorageError
from daemon.core.messages import Request
from daemon.core.names import printable
from daemon.files.disk_retry import DiskRetry, describe
from daemon.intake.intake import Intake
from daemon.scheduling.dispatcher import Dispatcher
from daemon.scheduling.pause import Pause
from daemon.server import api
from daemon.server.client import SAME_VERSION
from daemon.server.events import Events
from daemon.server.job_commands import JobCommands, Refused
from daemon.server.portions import Superseded
from daemon.server.reload import Reloader
from daemon.server.status import StatusReport
from daemon.workers.supervisor import Workers

log = logging.getLogger(__name__)

C = TypeVar("C", bound=api.Command)

_NAME_CHARACTERS = 36  # of an unknown command, in a refusal


class Commands:
    """Answers requests, on the main thread."""

    def __init__(
        self,
        settings: CurrentSettings,
        jobs: JobCommands,
        disk_retry: DiskRetry,
        workers: Workers,
        dispatcher: Dispatcher,
        intake: Intake,
        pause: Pause,
        status: StatusReport,
        events: Events,
        reloader: Reloader,
        clock: Clock,
    ):
        self._settings = settings
        self._disk_retry = disk_retry
        self._workers = workers
        self._dispatcher = dispatcher
        self._intake = intake
        self._pause = pause
        self._reloader = reloader
        self._clock = clock
        self._registry: dict[str, tuple[type[api.Command], Callable[[Any], api.Reply]]] = {}
        self._register(api.Status, lambda _: status.status())
        self._register(api.Metrics, lambda _: status.metrics())
        self._register(api.Events, events.after)
        self._register(api.Submit, jobs.submit)
        self._register(api.Retry, jobs.retry)
        self._register(api.Cancel, jobs.cancel)
        self._register(api.Reviewed, jobs.reviewed)
        self._register(api.Correct, jobs.correct)
        self._register(api.Probe, lambda _: self.probe())
        self._register(api.Pause, self._pause_work)
        self._register(api.Resume, self._resume)
        self._register(api.Reload, lambda _: api.ReloadReply(changed=self._reloader.reload()))
        self._register(api.Prune, jobs.prune)
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
            raise Refused(f"Unknown command {request.command[:_NAME_CHARACTERS]!r}.", SAME_VERSION)
        command, carry_out = self._registry[request.command]
        try:
            arguments = command.model_validate(dict(request.arguments))
        except ValidationError as error:
            raise Refused(f"Cannot execute {request.command!r}: {_reasons(error)}.", SAME_VERSION) from error
        return carry_out(arguments)

    def probe(self) -> api.Done:
        """Check the inbox, the disks, and the weights and servers that parked jobs wait for, now."""
        self._disk_retry.retry(at_once=True)
        self._intake.check_all(self._clock.monotonic())
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


def _reasons(error: ValidationError) -> str:
    """The errors in the arguments, without the values, which may have any length."""
    return "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors(include_input=False))


def _refusal(error: str, fix: str, exit_code: int) -> dict[str, object]:
    return {"ok": False, "error": error, "fix": fix, "exit_code": exit_code}
