"""Commands about jobs and their results: submit, retry, cancel, review, correct and prune."""

from typing import Annotated

from pydantic import Field, JsonValue

from daemon.server.api.base import Command, Reply, Text


class SubmitReply(Reply):
    job: Text
    waits_for: Text | None  # what prevents the daemon from recording the job; None: the job is recorded durably


class Submit(Command):
    """Take a complete file from the folder .incoming of the inbox, as if it had been dropped into it.

    If the name of the file there is a UUID, that becomes the job's id. A client that lost the reply may then repeat the
    submission: the daemon answers with the same job. With another name, check whether the file is still in .incoming:
    if so, the daemon has not taken it.
    """

    name = "submit"

    file: Text  # its name in .incoming; the client has closed it. A refused file remains there
    folder: Text = ""  # the inbox folder whose rules apply; it need not exist
    file_name: Text  # the name of the original
    options: dict[str, JsonValue] = {}  # what the sidecar NAME.toml may contain: "recipe", and the recipe's options
    priority: int | None = None  # None: that of the folder
    prompt: Text = ""  # what the sidecar NAME.prompt would contain
    password: Text = ""  # the same of NAME.password
    source: Text = "api"  # the program that submits it, as the job log shows it: "web", "cli" …; not "inbox"


class RefusedJob(Reply):
    job: Text
    file: Text
    why: Text


class RetryReply(Reply):
    retried: list[Text]
    refused: list[RefusedJob]
    rest: int | None = None  # of the next request, for the jobs that this one had no time for


class Retry(Command):
    """Queue a failed job again, or with `failed` all of them; a waiting one is tried at once."""

    name = "retry"

    job: Text | None = None  # the first digits of its id
    failed: bool = False
    rest: int | None = None  # of the previous reply, to continue


class CancelReply(Reply):
    cancelled: Text
    waits_for: Text | None  # what delays the cancellation, or its record; None: nothing


class Cancel(Command):
    """Cancel an unfinished job."""

    name = "cancel"

    job: Text


class ReviewedReply(Reply):
    job: Text
    file: Text


class Reviewed(Command):
    """Record that a person has reviewed the result of a job; with `reviewed` false, that it still needs a review."""

    name = "reviewed"

    job: Text
    reviewed: bool = True


class CorrectReply(Reply):
    job: Text
    file: Text


class Correct(Command):
    """Place the corrected files, from a folder in state/corrections, beside the result of a job."""

    name = "correct"

    job: Text
    prepared: Text  # the name of the folder, a UUID; the daemon does not remove it
    revision: Annotated[int, Field(ge=0)]  # how many corrections the result had when they were prepared


class Removed(Reply):
    what: Text
    path: Text
    kept: Text  # why it is not removed; "": it is removed


class PruneReply(Reply):
    removed: bool  # False: a dry run
    counts: dict[Text, int]
    first: list[Removed]
    rest: int | None = None  # of the next request, for the results that this one had no time for


class Prune(Command):
    """Remove the results that are older than [retention] allows; with `dry_run`, only report them."""

    name = "prune"

    dry_run: bool = True
    rest: int | None = None  # of the previous reply, to continue
