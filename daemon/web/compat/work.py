"""Steps that the APIs of other programs share: submit a file, wait for its result, read it."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from anyio import to_thread
from pydantic import JsonValue
from starlette.requests import Request

from daemon.config.settings import Settings
from daemon.core.errors import InboxdError
from daemon.core.job import JobState
from daemon.queue.rows import JobRow
from daemon.results import result_files
from daemon.web.backend import Backend, UploadOptions, backend_of
from daemon.web.errors import WebError, translate
from daemon.web.uploads import Upload
from processors.contract import Kind

FOLDER = "api"  # of the inbox and the outbox
JOB_HEADER = "X-Inboxd-Job"
_WAIT_SECONDS = 5.0  # between checks whether the client is still connected
_MAX_BYTES = 64 * 2**20  # of an output that is sent in an answer


class Files(Protocol):
    """The files of a form."""

    @property
    def files(self) -> Sequence[tuple[str, Upload]]: ...


@dataclass(frozen=True, kw_only=True)
class Finished:
    """A job that is done, and its result."""

    row: JobRow
    result: result_files.Result

    @property
    def headers(self) -> dict[str, str]:
        return {JOB_HEADER: self.row["id"]}

    async def text(self, *suffixes: str) -> str | None:
        """The text of the first output whose name ends in one of `suffixes`, tried in order; None: there is none.

        Raises:
            WebError: the output cannot be read, or is too large.
        """
        for suffix in suffixes:
            for file in self.result.files:
                if file.sha256 is not None and file.name.endswith(suffix):
                    return await to_thread.run_sync(self._read, file.name)
        return None

    def _read(self, name: str) -> str:
        with os.fdopen(self.result.open(name), "rb") as file:
            content = file.read(_MAX_BYTES + 1)
        if len(content) > _MAX_BYTES:
            raise WebError(500, "too_large", f"{name} is too large for a response.", "Download it: see /api/v1/jobs.")
        return content.decode(errors="replace")


def default_recipe(settings: Settings, kind: Kind) -> str | None:
    """The recipe that the inbox folder `api` assigns to files of a kind; None: there is none."""
    return settings.folder(FOLDER).recipes.get(kind)


def recipes_for(settings: Settings, kind: Kind) -> list[str]:
    """The recipes that support files of a kind."""
    return sorted(name for name, recipe in settings.recipes.items() if kind in recipe.kinds)


def has_option(settings: Settings, recipe: str, option: str) -> bool:
    """True if a recipe has the option, and a request may set it."""
    found = settings.recipes.get(recipe)
    if found is None:
        return False
    options = type(found.recipe_options)
    return option in options.model_fields and option not in options.only_in_config


def only_file(form: Files) -> Upload:
    """Return the only file of a form.

    Raises:
        WebError: the form has no file, or several.
    """
    if len(form.files) != 1:
        what = "The request has no file." if not form.files else "The request has several files."
        raise WebError(400, "no_file" if not form.files else "several_files", what, "Send one file at a time.")
    return form.files[0][1]


async def submit(backend: Backend, upload: Upload, options: dict[str, JsonValue], *, prompt: str = "") -> str:
    """Submit a file to the daemon; return the id of its job.

    Raises:
        WebError: the daemon refused the file (400), or cannot take it now.
    """
    try:
        return await backend.submit(upload, UploadOptions(folder=FOLDER, options=options, prompt=prompt))
    except InboxdError as error:
        shown = translate(error)
        raise (WebError(400, "refused", shown.what, shown.fix) if shown.code == "refused" else shown) from error


async def wait_for(request: Request, job_id: str) -> Finished:
    """Wait for the result of a job, however long it takes. If the client disconnects, the job continues.

    Raises:
        WebError: the job failed or was cancelled, or the client disconnected.
    """
    backend = backend_of(request)
    while True:
        row = await backend.events.wait_for_end(job_id, _WAIT_SECONDS)
        if JobState(row["state"]).is_final:
            return await finished(backend, row)
        if await request.is_disconnected():
            raise WebError(499, "client_went_away", "The client closed the connection.", headers={JOB_HEADER: job_id})


async def finished(backend: Backend, row: JobRow) -> Finished:
    """Open the result of a job that has ended.

    Raises:
        WebError: the job failed or was cancelled, or its result is no longer there.
    """
    headers = {JOB_HEADER: row["id"]}
    if row["state"] != JobState.DONE:
        is_file = row["error_kind"] in ("bad_input", "cancelled")
        what = row["error"] or f"The job was {row['state']}."
        raise WebError(422 if is_file else 500, row["error_kind"] or "failed", what, headers=headers)
    if row["recipe"] is None:  # passed on unread
        raise WebError(422, "no_recipe", row["excerpt"] or "No recipe reads this file.", headers=headers)
    result = await to_thread.run_sync(result_files.find, row, backend.settings)
    if result is None:
        raise WebError(500, "no_result", "The result is missing: its folder was moved or removed.", headers=headers)
    return Finished(row=row, result=result)


async def with_prefix(backend: Backend, upload: Upload, prefix: bytes, name: str) -> Upload:
    """Create an upload with `prefix` before the content of a complete upload. The caller discards both."""
    longer = backend.receiver.create(name)
    try:
        await longer.write(prefix)
        with upload.path.open("rb") as file:
            while chunk := await to_thread.run_sync(file.read, 1 << 20):
                await longer.write(chunk)
        await longer.finish()
    except BaseException:
        longer.discard()
        raise
    return longer
