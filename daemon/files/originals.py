"""The original and its sidecars in a result: their location, and how they get there."""

import errno
import logging
import os
from collections.abc import Iterable
from pathlib import Path

from daemon.core import copies, durable, names, regular_files
from daemon.core.job import Job, Original
from daemon.files import corrected_files, result_reader

log = logging.getLogger(__name__)

ORIGINAL = "original"  # the subfolder for an original whose name another file of the result has
ARCHIVE = "archive:"  # begins the path of an original that is not in the outbox
RESULT = "result.json"  # what the daemon writes for a result
ERROR_DOCUMENTS = ("error.json", "error.txt")  # the same for a failure


def original_folder(original: Original, others: Iterable[str]) -> str:
    """The folder of an original, relative to its result: that of the `others`, or, if one of them or a folder of inboxd
    has its name, a subfolder."""
    own = {original.path.name, *(path.name for path in original.sidecars.values())}
    taken = {Path(other).parts[0] for other in others} | {ORIGINAL, corrected_files.FOLDER}
    return ORIGINAL if own & taken else "."


def path_within(folder: str, original: Original) -> str:
    """The path of an original in the `original_folder` of its result, relative to the result."""
    return f"{folder}/{original.path.name}".removeprefix("./")


def originals_in(result: Path) -> list[Path]:
    """The original in a failed result and its sidecars, as error.json names them; if that cannot be read, all files
    that the daemon did not write itself."""
    try:
        original = result_reader.read(result / "error.json", root=result).facts["original"]
        if original is None:
            return []
        path = original["path"]
        if not path or not names.is_safe_relative(path) or Path(path).parts[:-1] not in ((), (ORIGINAL,)):
            raise ValueError(f"{path!r} is not the path of an original")
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return _likely_originals(result)
    paths = (result / f"{path}{suffix}" for suffix in ("", *names.SIDECAR_SUFFIXES))
    return [path for path in paths if os.path.lexists(path)]


def _likely_originals(result: Path) -> list[Path]:
    """The same without error.json, which a retry removes first. A subfolder "original" that contains both documents or
    folders is not part of this result: it holds the failures of an inbox folder of that name."""
    if not result.is_dir():
        return []
    home = result / ORIGINAL
    below = list(home.iterdir()) if home.is_dir() and not home.is_symlink() else []
    has_documents = {path.name for path in below}.issuperset(ERROR_DOCUMENTS)
    if below and not has_documents and not any(path.is_dir() for path in below):
        return below
    return [path for path in result.iterdir() if path.name not in ERROR_DOCUMENTS and not path.is_dir()]


def place_all(job: Job, original: Original, home: Path, *, is_placed: bool) -> None:
    """Link or copy an original and its sidecars into the folder `home`, durably; `is_placed`: the original is already
    there."""
    if not is_placed or not os.path.lexists(home / original.path.name):
        place(original.path, home, job.sha256, at_most=regular_files.HASH_INLINE_BYTES)
    for sidecar in original.sidecars.values():
        try:
            place(sidecar, home, None, at_most=names.MAX_SIDECAR_BYTES[sidecar.suffix])
        except OSError as error:
            if error.errno != errno.EFBIG:
                raise
            grown = "%s %s: %s has grown since it was taken; omitted from the result"
            log.warning(grown, job.id[:8], job.path, sidecar.name)
    durable.fsync_folder(home)


def place(source: Path, folder: Path, sha256: str | None, *, at_most: int | None = None) -> str | None:
    """Link or copy a file into a folder; return its checksum if it is known or had to be computed."""
    target = folder / source.name
    if os.path.lexists(target):
        if target.samefile(source):
            return sha256
        target.unlink()
    return copies.link_or_copy(source, target, sha256, at_most=at_most) or sha256
