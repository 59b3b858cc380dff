"""Commands that the daemon carries out for the console and the API."""

from daemon.server import api
from daemon.web.backend import Backend
from daemon.web.errors import WebError

JOB_ACTIONS = ("retry", "cancel", "reviewed", "unreviewed")


async def act_on_job(backend: Backend, action: str, job: str) -> api.Reply:
    """Retry or cancel a job, or record whether a person has reviewed its result.

    Raises:
        NotRunning, Refused: see `Backend.ask`.
        WebError: there is no such action, or the job cannot be retried.
    """
    match action:
        case "retry":
            reply = await backend.ask(api.Retry(job=job), api.RetryReply)
            if reply.refused:
                raise WebError(409, "refused", reply.refused[0].why)
            return reply
        case "cancel":
            return await backend.ask(api.Cancel(job=job), api.CancelReply)
        case "reviewed" | "unreviewed":
            return await backend.ask(api.Reviewed(job=job, reviewed=action == "reviewed"), api.ReviewedReply)
    raise WebError(404, "not_found", "There is no such action.")


async def act_on_daemon(backend: Backend, action: str) -> api.Reply:
    """Pause or resume the daemon, or unload its idle models.

    Raises:
        NotRunning, Refused: see `Backend.ask`.
        WebError: there is no such action.
    """
    match action:
        case "pause":
            return await backend.ask(api.Pause(reason=""), api.PauseReply)
        case "resume":
            return await backend.ask(api.Resume(), api.ResumeReply)
        case "unload":
            return await backend.ask(api.Unload(), api.UnloadReply)
    raise WebError(404, "not_found", "There is no such action.")
