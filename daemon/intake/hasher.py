"""Checksums of large files: a thread makes each file durable and computes its SHA-256, and the main thread records it.

A small file is synced and hashed when it is taken; see `regular_files.HASH_INLINE_BYTES`.
"""

import contextlib
import functools
import hashlib
import logging
import os
import queue
import threading
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from daemon.core import durable, regular_files
from daemon.core.messages import Hashed
from daemon.core.syncer import Syncer
from daemon.files.disk_retry import DiskRetry
from daemon.queue.store import Store

log = logging.getLogger(__name__)

_CHUNK_BYTES = 1 << 20
_SLICE_BYTES = 64 * 2**20  # bytes of one file to hash before the thread may continue with another file
_STOP_SECONDS = 1.0
_ERROR_PAUSE, _ERROR_PAUSE_MAX = 0.5, 4.0  # seconds until a file that cannot be read is tried again; doubled each time
_TRIES = 6  # of a file that cannot be read


class Checksums:
    """Requests checksums from the hasher, records them, and retries those that failed. Main thread only."""

    def __init__(self, store: Store, disk_retry: DiskRetry, hasher: "Hasher"):
        self._store = store
        self._disk_retry = disk_retry
        self._hasher = hasher
        self._tries: dict[str, int] = {}  # by job, failed attempts

    @property
    def pending(self) -> int:
        """The number of checksums that were requested and have not been recorded or given up."""
        return self._hasher.pending

    def request(self, job_id: str, path: Path) -> None:
        """Queue a taken file for hashing; the outcome is posted as `Hashed`."""
        self._hasher.submit(job_id, path)

    def receive(self, hashed: Hashed) -> str | None:
        """Record a checksum, so that its job may start. If the file cannot be read after `_TRIES`, return the error."""
        if hashed.sha256 is None:
            tries = self._tries[hashed.job] = self._tries.get(hashed.job, 0) + 1
            if tries >= _TRIES and self._disk_retry.trouble is None:
                self._close(hashed.job)
                return hashed.error
            log.warning("%s cannot be read, will retry: %s", hashed.job[:8], hashed.error)
            self._hasher.resubmit(hashed.job, min(_ERROR_PAUSE * 2 ** (tries - 1), _ERROR_PAUSE_MAX))
            return None
        self._close(hashed.job)
        step = functools.partial(self._store.set_sha256, hashed.job, hashed.sha256)
        self._disk_retry.run(f"checksum of {hashed.job}", step)
        return None

    def _close(self, job_id: str) -> None:
        self._hasher.forget(job_id)
        self._tries.pop(job_id, None)


class Hasher:
    """A thread that makes large files durable and computes their SHA-256. It continues with the file that has the
    fewest bytes left, so that a file of terabytes delays only larger files."""

    def __init__(self, post: Callable[[Hashed], None], scratch: Path):
        self._post = post
        self._syncer = Syncer(scratch)
        self._submitted: queue.SimpleQueue[tuple[str, Path] | None] = queue.SimpleQueue()
        self._paths: dict[str, Path] = {}  # by job
        self.pending = 0  # submitted and not yet forgotten; changed by the main thread only
        self._thread = threading.Thread(target=self._serve, name="hasher", daemon=True)
        self._thread.start()

    def submit(self, job_id: str, path: Path) -> None:
        self.pending += 1
        self._paths[job_id] = path
        self._submitted.put((job_id, path))

    def resubmit(self, job_id: str, after_seconds: float) -> None:
        timer = threading.Timer(after_seconds, self._submitted.put, [(job_id, self._paths[job_id])])
        timer.daemon = True
        timer.start()

    def forget(self, job_id: str) -> None:
        """Forget a job whose checksum has been received, or is no longer needed."""
        self.pending -= 1
        self._paths.pop(job_id, None)

    def stop(self) -> bool:
        """Stop the thread after the current slice; False: it is still running."""
        self._submitted.put(None)
        self._thread.join(_STOP_SECONDS)
        return not self._thread.is_alive()

    def _serve(self) -> None:
        works: list[_Hashing] = []
        while True:
            while not works or not self._submitted.empty():
                if (submitted := self._submitted.get()) is None:
                    for work in works:
                        work.close()
                    return
                works.append(_Hashing(*submitted))
            work = min(works, key=lambda each: each.left_bytes)
            try:
                sha256, why = work.advance(self._syncer), ""
                if sha256 is None:
                    continue
            except OSError as error:
                sha256, why = None, str(error)
            work.close()
            works.remove(work)
            self._post(Hashed(job=work.job_id, sha256=sha256, error=why))


class _Hashing:
    """The checksum of one large file, computed slice by slice."""

    def __init__(self, job_id: str, path: Path):
        self.job_id = job_id
        self._path = path
        self._digest = hashlib.sha256()
        self._file: BinaryIO | None = None
        self.left_bytes = 0
        with contextlib.suppress(OSError):  # the first slice reports it
            self.left_bytes = path.lstat().st_size

    def advance(self, syncer: Syncer) -> str | None:
        """Make the file durable, or hash another slice. Return the checksum after the last slice, None before that.

        Raises:
            OSError: the file cannot be read, or is gone.
        """
        if self._file is None:
            syncer.sync(self._path)
            durable.fsync_folder(self._path.parent)
            self._file = os.fdopen(regular_files.open_regular(self._path), "rb")
            return None
        size_bytes = self._path.lstat().st_size  # now: it may grow; the file of a cancelled job no longer exists
        for _ in range(_SLICE_BYTES // _CHUNK_BYTES):
            if not (chunk := self._file.read(_CHUNK_BYTES)):
                return self._digest.hexdigest()
            self._digest.update(chunk)
        self.left_bytes = size_bytes - self._file.tell()
        return None

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
