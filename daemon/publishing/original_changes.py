"""Compares an original with the description of its content in the job's row."""

from daemon.core import regular_files
from daemon.core.job import Job, Original
from daemon.files.inbox import as_recorded
from daemon.publishing import preparation
from daemon.queue.changes import ContentFacts


def changes(job: Job, original: Original | None) -> ContentFacts:
    """The columns of the row that no longer match the original because a program continued writing to it. The
    background computes the new checksum of a large file."""
    if original is None:
        return ContentFacts()
    found = original.path.lstat()
    if (found.st_size, as_recorded(found.st_mtime_ns)) == (job.size_bytes, job.mtime_ns):
        return ContentFacts()
    return facts(original)


def facts(original: Original) -> ContentFacts:
    """The columns of the row that describe an original's content, as it is now."""
    found = original.path.lstat()
    is_small = found.st_size <= preparation.INLINE_BYTES
    sha256 = regular_files.sha256_of(original.path, at_most=preparation.INLINE_BYTES) if is_small else None
    return ContentFacts(sha256=sha256, size_bytes=found.st_size, mtime_ns=as_recorded(found.st_mtime_ns))
