"""Commands for several jobs at once, and the link from one open review to the next."""

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import parse_qs, urlencode

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from daemon.core.errors import UsageError
from daemon.core.names import is_job_id
from daemon.queue.reader import JobFilter, JobLog
from daemon.queue.rows import PagedRow
from daemon.server.client import Refused
from daemon.web.backend import Backend, backend_of
from daemon.web.commands import JOB_ACTIONS, act_on_job
from daemon.web.errors import WebError
from daemon.web.pages.templating import base_of
from daemon.web.small_bodies import small_body

MOST = 500
_MAX_BYTES = 64 * 1024


class _BulkAction(BaseModel):
    model_config = ConfigDict(extra="forbid")

    action: str = Field(pattern=f"^({'|'.join(JOB_ACTIONS)})$")
    jobs: list[str] = Field(max_length=MOST)


@dataclass(frozen=True, kw_only=True)
class Outcome:
    job: str
    problem: str  # why the daemon refused; "": it carried the command out


async def _act_on(backend: Backend, action: str, job: str) -> Outcome:
    """Carry out a command for one job; a refusal is an outcome.

    Raises:
        NotRunning: the daemon does not answer.
    """
    try:
        await act_on_job(backend, action, job)
    except WebError as error:
        return Outcome(job=job, problem=str(error))
    except (Refused, UsageError) as error:
        return Outcome(job=job, problem=error.what)
    return Outcome(job=job, problem="")


async def _act_on_all(backend: Backend, chosen: _BulkAction) -> Sequence[Outcome]:
    return [await _act_on(backend, chosen.action, job) for job in dict.fromkeys(chosen.jobs) if is_job_id(job)]


async def _body(request: Request) -> bytes:
    return await small_body(request, _MAX_BYTES, f"Name up to {MOST} jobs in one request.")


async def act_on_jobs(request: Request) -> Response:
    """Retry, cancel or review several jobs."""
    try:
        chosen = _BulkAction.model_validate_json(await _body(request))
    except ValidationError as error:
        fix = f'Send JSON: {{"action": "retry", "jobs": [IDs, up to {MOST}]}}; actions: {", ".join(JOB_ACTIONS)}.'
        raise WebError(400, "bad_parameter", "The request cannot be read.", fix) from error
    outcomes = await _act_on_all(backend_of(request), chosen)
    return JSONResponse(
        {
            "done": [each.job for each in outcomes if not each.problem],
            "refused": [{"job": each.job, "why": each.problem} for each in outcomes if each.problem],
        }
    )


async def act_on_chosen(request: Request) -> Response:
    """Carry out the command of a button for the chosen rows of the list, and show the list again."""
    fields = parse_qs((await _body(request)).decode("utf-8", "replace"))
    try:
        chosen = _BulkAction(action=fields.get("action", [""])[-1], jobs=fields.get("job", []))
    except ValidationError as error:
        raise WebError(400, "bad_parameter", f"Choose up to {MOST} jobs.") from error
    outcomes = await _act_on_all(backend_of(request), chosen)
    refused = [each for each in outcomes if each.problem]
    counts = {
        "done": len(outcomes) - len(refused),
        "refused": len(refused),
        "why": refused[0].problem if refused else "",
    }
    back = parse_qs(fields.get("back", [""])[-1])
    kept = {name: values[-1] for name, values in back.items() if name in ("state", "q", "folder", "recipe")}
    return RedirectResponse(f"{base_of(request)}/?{urlencode({**kept, **counts})}", 303)


async def next_review(request: Request) -> Response:
    """Show the next open review after the job `after`, in the order of the list; at the end, start again."""
    after = request.query_params.get("after", "")

    def find(log: JobLog) -> str | None:
        wanted = JobFilter(review=True)
        current = log.some_paged([after]) if is_job_id(after) else []
        before = (current[0]["received_us"], current[0]["id"]) if current else None
        found: list[PagedRow] = log.page(wanted, before=before, limit=1) or log.page(wanted, limit=1)
        return found[0]["id"] if found else None

    job = await backend_of(request).read(find)
    return RedirectResponse(f"{base_of(request)}/jobs/{job}#flag" if job else f"{base_of(request)}/?state=review", 303)


API = [Route("/api/v1/actions", act_on_jobs, methods=["POST"])]
PAGES = [Route("/jobs", act_on_chosen, methods=["POST"]), Route("/reviews/next", next_review)]
