"""Collects what the row of a taken file contains: type, recipe, options, checksum. Changes no file."""

import errno
import hashlib
import logging
import os
from collections.abc import Callable
from pathlib import Path

from daemon.config.current import CurrentSettings
from daemon.core import regular_files
from daemon.core.job import DROPPED, Entry, Job, JobState, Overrides
from daemon.core.names import CONTENT_SUFFIXES, MAX_SIDECAR_BYTES, OPTIONS_SUFFIX, printable_path
from daemon.files.folders import Folders
from daemon.intake.filetype import Content
from daemon.intake.options_files import InvalidOptions, read_bounded
from daemon.intake.overrides import Choice, choose

log = logging.getLogger(__name__)

_CHUNK_BYTES = 1 << 20


class Describer:
    """Describes taken files. `now_us` returns the time, microseconds since the
    epoch."""

    def __init__(self, settings: CurrentSettings, folders: Folders, *, now_us: Callable[[], int]):
        self._settings = settings
        self._inbox = folders.inbox
        self._taken = folders.taken
        self._now_us = now_us

    def describe(
        self, job_id: str, taken: Entry, content: Content, choice: Choice | None = None, *, source: str = DROPPED
    ) -> Job:
        """Return the row of a taken file. `choice`: its recipe and options, if they were chosen before it was taken.

        Raises:
            OSError: the file or a sidecar cannot be read.
        """
        folder = self._taken.folder_of(taken.path, job_id)
        choice = choice or self._choose(taken, self._inbox.path / folder, content)
        return Job(
            id=job_id,
            name=printable_path(taken.path.name),
            folder=printable_path(folder),
            kind=content.kind,
            media_type=content.media_type,
            recipe=choice.recipe,
            overrides=choice.overrides | self._describe_sidecars(taken.path),
            state=JobState.QUEUED,
            priority=choice.priority,
            inode=taken.inode,
            size_bytes=taken.size_bytes,
            mtime_ns=taken.mtime_ns,
            sha256=self._sha256_of_small(taken.path),
            received_at=self._now_us(),
            source=source,
        )

    def _choose(self, taken: Entry, folder: Path, content: Content) -> Choice:
        """Choose the recipe and its options. If an options file has become invalid since the file was found complete,
        config.toml alone decides."""
        sidecar = taken.path.with_name(taken.path.name + OPTIONS_SUFFIX)
        settings = self._settings.value
        try:
            has_sidecar = self._inbox.entry(sidecar) is not None
            return choose(settings, self._inbox, folder, content.kind, sidecar if has_sidecar else None)
        except (InvalidOptions, OSError) as error:
            log.error("%s: its options files cannot be used: %s", printable_path(taken.path.name), error)
            rules = settings.folder(printable_path(folder.relative_to(self._inbox.path)))
            return Choice(recipe=rules.recipes.get(content.kind) if content.kind else None, priority=rules.priority)

    def _describe_sidecars(self, taken: Path) -> Overrides:
        """Checksums of the sidecars that are part of a taken file's content, such as the prompt of an image.

        Raises:
            OSError: a sidecar has grown beyond its limit since it was last examined, or cannot be read.
        """
        sums = {}
        for sidecar in self._inbox.sidecars(taken):
            suffix, limit = sidecar.path.suffix, MAX_SIDECAR_BYTES[sidecar.path.suffix]
            if sidecar.size_bytes > limit:
                raise OSError(errno.EFBIG, os.strerror(errno.EFBIG), sidecar.path.name)
            if suffix in CONTENT_SUFFIXES:
                sums[suffix] = hashlib.sha256(self._read_sidecar(sidecar.path, limit)).hexdigest()
        return Overrides(sidecars=sums) if sums else Overrides()

    def _read_sidecar(self, sidecar: Path, limit: int) -> bytes:
        try:
            return read_bounded(self._inbox, sidecar, limit)
        except InvalidOptions as error:
            raise OSError(errno.EFBIG, os.strerror(errno.EFBIG), sidecar.name) from error

    def _sha256_of_small(self, taken: Path) -> str | None:
        """The SHA-256 of a small taken file; None: the file is large, so the hasher computes its checksum later."""
        digest, left = hashlib.sha256(), regular_files.HASH_INLINE_BYTES
        with self._inbox.open_file(taken) as file:
            if os.fstat(file.fileno()).st_size > regular_files.HASH_INLINE_BYTES:
                return None
            while chunk := file.read(_CHUNK_BYTES):
                left -= len(chunk)
                if left < 0:  # the file is growing
                    return None
                digest.update(chunk)
        return digest.hexdigest()
