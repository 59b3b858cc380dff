"""Makes files durable that others wrote."""

import os
import shutil
from pathlib import Path

from daemon.core.regular_files import open_regular


class Syncer:
    """Makes files durable that others wrote. Remembers for which of them that failed.

    After a failed fsync the kernel may have dropped the pages that it could not write, and the next fsync of the same
    file would succeed without them. Therefore the readable content is copied to a new file, which replaces the old one.
    `scratch`: the path of that new file, on the same file system.
    """

    def __init__(self, scratch: Path) -> None:
        self._scratch = scratch
        self._untrusted: set[tuple[int, int]] = set()

    def sync(self, path: Path) -> None:
        """Make the content of `path` durable. The caller fsyncs the folder.

        Raises:
            OSError: not possible now; `path` is unchanged.
        """
        identity = _identity(path)
        if not self.sync_in_place(path):
            _replace_by_copy(path, self._scratch)
            self._untrusted.discard(identity)

    def sync_in_place(self, path: Path | str) -> bool:
        """The same without a copy; any thread may call it. False: an fsync of the file has failed, now or before.

        Raises:
            OSError: it cannot be opened.
        """
        descriptor = open_regular(path)
        try:
            facts = os.fstat(descriptor)
            identity = (facts.st_dev, facts.st_ino)
            if identity in self._untrusted:
                return False
            try:
                os.fsync(descriptor)
            except OSError:
                self._untrusted.add(identity)
                return False
            return True
        finally:
            os.close(descriptor)


def _identity(path: Path) -> tuple[int, int]:
    facts = path.lstat()
    return facts.st_dev, facts.st_ino


def _replace_by_copy(path: Path, copy: Path) -> None:
    """Replace `path` by a durable copy of itself, created at `copy`."""
    copy.unlink(missing_ok=True)
    try:
        with os.fdopen(open_regular(path), "rb") as reader, copy.open("xb") as writer:
            shutil.copyfileobj(reader, writer, 1 << 20)
            writer.flush()
            os.fsync(writer.fileno())
        shutil.copystat(path, copy)
        copy.replace(path)
    except OSError:
        copy.unlink(missing_ok=True)
        raise
