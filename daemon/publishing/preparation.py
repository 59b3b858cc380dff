"""Large originals that the background copies into their result folders, or whose checksums it computes."""

import functools
import logging
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from daemon.core import regular_files
from daemon.core.background import Background
from daemon.core.errors import InboxdError
from daemon.core.job import Job, Original
from daemon.core.journald import about
from daemon.files.outbox import Outbox

log = logging.getLogger(__name__)

INLINE_BYTES = regular_files.HASH_INLINE_BYTES  # the main thread copies and hashes files up to this size itself


@dataclass(kw_only=True)
class _Preparation:
    """One large original."""

    attempt: int
    home: Path | None  # destination folder
    is_pending: bool = True
    sha256: str | None = None  # set on success, if it is needed
    error: OSError | None = None  # set on failure


class Preparations:
    """The originals that are being prepared, or have been, by job. Main thread only.

    on_error: called with the job and the error if `again` (see `is_ready`) fails unexpectedly.
    """

    def __init__(self, outbox: Outbox, background: Background, *, on_error: Callable[[Job, Exception], None]):
        self._outbox = outbox
        self._background = background
        self._on_error = on_error
        self._preparations: dict[str, _Preparation] = {}
        self._failures: Counter[str] = Counter()
        self._altered: set[str] = set()  # jobs whose originals no longer match their checksums

    def __contains__(self, job_id: str) -> bool:
        return job_id in self._preparations

    def is_pending(self, job_id: str) -> bool:
        """True while the background works on this job's original."""
        preparation = self._preparations.get(job_id)
        return preparation is not None and preparation.is_pending

    def failures(self, job_id: str) -> int:
        """The number of times that the preparation of this job's original has failed."""
        return self._failures[job_id]

    def sha256(self, job_id: str) -> str | None:
        """The checksum of a prepared original; None: it was not prepared."""
        preparation = self._preparations.get(job_id)
        return preparation.sha256 if preparation else None

    def is_altered(self, job_id: str) -> bool:
        """True if this job's original differs from its checksum."""
        return job_id in self._altered

    def note_altered(self, job_id: str) -> bool:
        """Record that an original differs from its checksum. Return False if that was already known, and it differs
        again."""
        is_new = job_id not in self._altered
        self._altered.add(job_id)
        return is_new

    def forget(self, job_id: str) -> None:
        self._altered.discard(job_id)
        self._preparations.pop(job_id, None)
        self._failures.pop(job_id, None)

    def is_ready(
        self,
        job: Job,
        original: Original,
        home: Path | None,
        again: Callable[[], object],
        *,
        needs_sha256: bool = True,
    ) -> bool:
        """True if the original can be staged now; otherwise the background prepares it, then calls `again`.

        needs_sha256: False: an unknown checksum is computed only if the original must be copied anyway.

        Raises:
            OSError: the preparation failed.
        """
        done = self._preparations.get(job.id)
        if done is not None and (done.attempt, done.home) == (job.attempt, home):
            if done.error is not None:
                del self._preparations[job.id]
                raise done.error
            return not done.is_pending
        self._preparations.pop(job.id, None)  # of an earlier attempt, whose folder is gone
        if self.is_quick(job, original, home):
            return True
        self._start(job, original, home, again, needs_sha256=needs_sha256)
        return False

    def is_quick(self, job: Job, original: Original, home: Path | None) -> bool:
        """True if the main thread can stage the original itself: it is small, or only linked."""
        if original.path.lstat().st_size <= INLINE_BYTES:
            return True
        needs_no_copy = home is None or self._outbox.may_link(original.path, home)
        return bool(needs_no_copy and job.sha256)

    def _start(
        self,
        job: Job,
        original: Original,
        home: Path | None,
        again: Callable[[], object],
        *,
        needs_sha256: bool,
    ) -> None:
        preparation = self._preparations[job.id] = _Preparation(attempt=job.attempt, home=home)

        def then(outcome: str | Exception | None) -> None:
            preparation.is_pending = False
            if isinstance(outcome, Exception):
                preparation.error = outcome if isinstance(outcome, OSError) else OSError(str(outcome))
                self._failures[job.id] += 1
            else:
                preparation.sha256 = outcome
            try:
                again()
            except (OSError, InboxdError):
                raise
            except Exception as error:  # error boundary of one job
                log.exception("%s %s: cannot be published", job.id[:8], job.path, extra=about(job))
                self._on_error(job, error)

        place = functools.partial(
            self._outbox.place_original, original.path, home, job.sha256, needs_sha256=needs_sha256
        )
        is_read = needs_sha256 or (home is not None and not self._outbox.may_link(original.path, home))
        try:
            self._background.run(place, then, size_bytes=job.size_bytes if is_read else 0)
        except OSError:
            del self._preparations[job.id]
            raise
