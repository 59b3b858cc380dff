"""Takes files that a program submits with a command, as opposed to files that somebody drops into the inbox.

A submitted file is complete and comes with its options, so inboxd does not wait: it takes the file at once, or refuses
it and leaves it where it is. After its move to .taken, the file is a taken file like any other.
"""

import errno
import functools
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from daemon.config.current import CurrentSettings
from daemon.config.toml import lines, walk
from daemon.core import regular_files
from daemon.core.errors import InboxdError, StorageError
from daemon.core.job import DROPPED, Entry, Job
from daemon.core.names import (
    MAX_SIDECAR_BYTES,
    NAME_MAX,
    OPTIONS_SUFFIX,
    PASSWORD_SUFFIX,
    SIDECAR_SUFFIXES,
    is_job_id,
    is_safe_relative,
    printable,
    printable_path,
    source_name,
)
from daemon.files.disk_retry import DiskRetry
from daemon.files.folders import Folders
from daemon.intake import unsupported
from daemon.intake.claimer import Claimer
from daemon.intake.describer import Describer
from daemon.intake.filetype import Content, sniff
from daemon.intake.ignored_names import ignore_patterns, is_ignored
from daemon.intake.options_files import InvalidOptions, UnwrittenSidecar, too_large
from daemon.intake.overrides import Choice, choose
from daemon.intake.prerequisites import lacks_prompt
from daemon.queue.store import Store, new_id

_PROMPT_SUFFIX = ".prompt"


class InvalidSubmission(Exception):
    """A refused submission, whose file stays where it is; `fix` is the advice for the sender."""

    def __init__(self, what: str, fix: str = ""):
        super().__init__(what)
        self.fix = fix


@dataclass(frozen=True, kw_only=True)
class Submission:
    """A file in .incoming, with its folder, options and sidecars."""

    upload: str  # its name in .incoming; if that is a UUID, the job gets it as its id
    folder: str  # the inbox folder whose rules apply, relative to the inbox; "" is the top
    name: str  # the name of the original
    options: Mapping[str, object] = field(default_factory=dict)  # what NAME.toml may contain
    prompt: str = ""  # content of NAME.prompt
    password: str = ""  # content of NAME.password
    source: str  # the program that submits it


class Submissions:
    """Takes submitted files. Called by the main thread only."""

    def __init__(
        self,
        settings: CurrentSettings,
        store: Store,
        folders: Folders,
        disk_retry: DiskRetry,
        describer: Describer,
        claimer: Claimer,
    ):
        self._settings = settings
        self._store = store
        self._inbox = folders.inbox
        self._taken = folders.taken
        self._incoming = folders.incoming
        self._submitted = folders.submitted
        self._disk_retry = disk_retry
        self._describer = describer
        self._claimer = claimer

    def take(self, submission: Submission) -> tuple[str, str | None]:
        """Take a submitted file; return the id of its job, and what delays the job's row (None: the row is durable).

        If the name of the upload is a UUID, the sender may repeat a submission whose outcome it does not know.

        Raises:
            InvalidSubmission: inboxd refuses the submission.
            OSError, StorageError: a disk does not allow the submission now. The file may be taken already: repeat the
                submission to find out.
        """
        path, upload = self._destination(submission), submission.upload
        job_id = upload if is_job_id(upload) else new_id()
        self._submitted.finish_take(job_id)  # which an error of a disk may have interrupted
        is_known = self._is_known(job_id)
        content = self._examine(upload, path, is_optional=is_known)
        if is_known and content is not None:
            raise InvalidSubmission(f"There is already a job {job_id}.", "Give the file another UUID as its name.")
        if content is not None:
            self._take(job_id, submission, path, content)
        return job_id, self._delay(job_id)

    def _is_known(self, job_id: str) -> bool:
        return self._store.get(job_id) is not None or self._taken.has(job_id)

    def _delay(self, job_id: str) -> str | None:
        if self._store.get(job_id) is not None:
            return None
        if self._taken.has(job_id):
            return self._disk_retry.problem or "a restart of inboxd"
        raise InvalidSubmission(
            "inboxd cannot add the file to the job log.", "The file is in the inbox; see `inboxd status`."
        )

    # ---------------------------------------------------------------------------------------- examine

    def _destination(self, submission: Submission) -> Path:
        """The path in the inbox that the file would have if somebody had dropped it there."""
        folder, name, upload = submission.folder, submission.name, submission.upload
        if not upload or "/" in upload or not is_safe_relative(upload):
            raise InvalidSubmission(f"{printable(upload)} is not the name of a file in {self._incoming.path}.")
        if submission.source == DROPPED or source_name(submission.source) is None:
            fix = "Use up to 32 lowercase letters, digits and hyphens, beginning with a letter."
            raise InvalidSubmission(f"{printable(submission.source)} is not a valid source name.", fix)
        if not is_safe_relative(folder) or any(is_ignored(part) for part in folder.split("/") if part):
            raise InvalidSubmission(f"{printable(folder)} is not a folder from which inboxd takes files.")
        if not name or "/" in name or not is_safe_relative(name) or is_ignored(name):
            raise InvalidSubmission(f"inboxd ignores files with the name {printable(name)}.", "Choose another name.")
        if name.endswith(SIDECAR_SUFFIXES):
            fix = "Submit its content as options, prompt or password of the file that it belongs to."
            raise InvalidSubmission(f"{printable(name)} is the name of a sidecar.", fix)
        path = self._inbox.path / folder / name
        if self._inbox.is_too_deep(path.parent):
            raise InvalidSubmission(f"{printable(folder)} is nested too deeply.")
        patterns = ignore_patterns(self._settings.value.ignore)
        if patterns is not None and patterns.match(path.relative_to(self._inbox.path)):
            raise InvalidSubmission(f"A pattern of [inbox] ignore matches {printable(name)}.", "Choose another name.")
        return path

    def _examine(self, upload: str, path: Path, *, is_optional: bool) -> Content | None:
        """Identify the content of an upload. None: the file does not exist, which only `is_optional` allows."""
        try:
            with self._incoming.opened() as folder:
                if regular_files.writer_has(Path(upload), folder):
                    raise InvalidSubmission(f"A program still writes to {printable(upload)}.", "Close the file first.")
                return sniff(self._incoming.path / upload, folder, name=path.name)
        except FileNotFoundError:
            if is_optional:
                return None
            fix = "Write the complete file there, then submit it."
            raise InvalidSubmission(f"There is no file {printable(upload)} in {self._incoming.path}.", fix) from None
        except OSError as error:
            if error.errno not in (errno.EINVAL, errno.ELOOP):  # a link, a pipe, a folder …
                raise
            fix = "Submit the file itself."
            raise InvalidSubmission(f"{printable(upload)} is not a regular file.", fix) from error

    def _sidecars(self, submission: Submission) -> dict[str, bytes]:
        """The contents of the sidecars that the file would have had in the inbox, by suffix."""
        texts = {
            OPTIONS_SUFFIX: _options_toml(submission),
            _PROMPT_SUFFIX: submission.prompt,
            PASSWORD_SUFFIX: submission.password,
        }
        sidecars = {suffix: text.encode("utf-8", "backslashreplace") for suffix, text in texts.items() if text}
        for suffix, content in sidecars.items():
            if len(content) > MAX_SIDECAR_BYTES[suffix]:
                raise InvalidSubmission(too_large(submission.name + suffix, MAX_SIDECAR_BYTES[suffix]))
            if len(os.fsencode(submission.name + suffix)) > NAME_MAX:
                raise InvalidSubmission("The name of the file is too long for its sidecars.", "Choose a shorter name.")
        return sidecars

    def _choose(self, path: Path, content: Content, sidecars: Mapping[str, bytes]) -> Choice:
        settings, name = self._settings.value, path.name + OPTIONS_SUFFIX
        own = UnwrittenSidecar(name=name, content=sidecars[OPTIONS_SUFFIX]) if OPTIONS_SUFFIX in sidecars else None
        try:
            choice = choose(settings, self._inbox, path.parent, content.kind, own)
        except InvalidOptions as error:
            raise InvalidSubmission(f"Its options are wrong: {error}") from error
        folder = printable_path(path.parent.relative_to(self._inbox.path))
        if choice.recipe is None and settings.folder(folder).unsupported == "leave":
            why = unsupported.explain(content.kind, content.media_type, size_bytes=1, folder=folder)
            raise InvalidSubmission(f"inboxd does not support this file. {why}")
        if _PROMPT_SUFFIX not in sidecars and lacks_prompt(settings, choice):
            raise InvalidSubmission(f"The recipe {choice.recipe} needs a prompt.", "Submit the file with one.")
        return choice

    # ---------------------------------------------------------------------------------------- take

    def _take(self, job_id: str, submission: Submission, path: Path, content: Content) -> None:
        if not self._disk_retry.can_take:
            raise StorageError(self._disk_retry.problem or "a disk cannot be written")
        sidecars = self._sidecars(submission)
        choice = self._choose(path, content, sidecars)
        job, entry = self._move(job_id, submission, path, content, sidecars, choice)
        self._claimer.record_submitted(job, replace(entry, path=path), self._incoming.path)

    def _move(
        self,
        job_id: str,
        submission: Submission,
        path: Path,
        content: Content,
        sidecars: Mapping[str, bytes],
        choice: Choice,
    ) -> tuple[Job, Entry]:
        """Move the file to .taken, and return its row and its entry there; after an error, return the file."""
        try:
            taken = self._submitted.take(job_id, submission.upload, path, sidecars, source=submission.source)
            job = self._describer.describe(job_id, taken, content, choice, source=submission.source)
            return job, taken
        except InboxdError:
            raise
        except Exception:  # the caller reports it
            self._undo(job_id, submission.upload, path)
            raise

    def _undo(self, job_id: str, upload: str, path: Path) -> None:
        """Undo a submission that failed, as far as possible now, and the rest as soon as the disks allow."""
        try:
            self._give_back(job_id, upload, path)
        except OSError:
            step = functools.partial(self._give_back_draft, job_id, upload, path)
            self._disk_retry.run(f"undo of the submission {job_id}", step)

    def _give_back_draft(self, job_id: str, upload: str, path: Path) -> None:
        """Undo the rest of a failed submission, unless a repetition has continued it. Safe to repeat."""
        if self._submitted.has_draft(job_id):
            self._give_back(job_id, upload, path)

    def _give_back(self, job_id: str, upload: str, path: Path) -> None:
        """Return the file to .incoming or, if that is impossible, to the inbox: no file in .taken may lack a row."""
        try:
            self._submitted.give_back(job_id, upload, path)
        finally:
            if self._taken.has(job_id):
                self._claimer.return_taken(job_id, path)


def _options_toml(submission: Submission) -> str:
    """The options as NAME.toml would contain them; "" if there are none.

    Raises:
        InvalidSubmission: a value has no counterpart in TOML.
    """
    options = {name: value for name, value in submission.options.items() if value is not None}  # null: not set
    if any(each is None for each, _ in walk(options)):
        raise InvalidSubmission("Its options are wrong: null in a list or table is not supported.")
    return lines(options)
