"""The outbox: <outbox>/.staging/<uuid>.<attempt>/ is completed, made durable, and renamed to its place.

Owns where results lie; the rows that go with each step are `publishing`'s. Nothing here overwrites anything.
"""

import contextlib
import errno
import itertools
import json
import logging
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from daemon.core import durable, names
from daemon.core.durable import HASH_INLINE_BYTES
from daemon.core.job import Job, JobState, Original
from daemon.files import beneath, documents

log = logging.getLogger(__name__)

FAILED = "failed"  # the folder of the outbox for what could not be done
RESULT = "result.json"
DOCUMENTS = ("error.json", "error.txt")  # what the daemon writes for a failure
ORIGINAL = "original"  # the folder of a result for an original whose name another file there has


LOCK_FILE = ".lock"  # in each folder that belongs to one daemon alone


class Outbox:
    """The outbox folder, and the hidden folder the daemon owns in it."""

    def __init__(self, path: Path, *, archive: Path, inbox: Path):
        self.path = path
        self.own = beneath.HeldFolder(path / ".staging")
        self.archive = archive
        self._inbox = inbox

    @property
    def staging(self) -> Path:
        """The path to use for the hidden folder; see `HeldFolder`."""
        return self.own.path

    def prepare_attempt(self, job: Job) -> Path:
        """An empty staging folder for this attempt; what earlier attempts left is removed."""
        self.discard_attempts(job.id)
        folder = self.staging / job.staging_name()
        folder.mkdir()
        return folder

    def attempts(self) -> list[str]:
        """The names of all staging folders, `ID.ATTEMPT` each, and of what else lies among them."""
        return [name for name in os.listdir(self.staging) if name != LOCK_FILE]

    def discard_attempts(self, job_id: str) -> None:
        for item in os.scandir(self.staging):
            if item.name.split(".")[0] == job_id:
                durable.remove_tree(Path(item.path))

    def stage(
        self,
        job: Job,
        original: Original | None,
        place: str,
        documents: Mapping[str, bytes],
        *,
        is_laid: bool = False,
    ) -> None:
        """Complete an attempt's folder: the original and its sidecars at `place` (see `original_place`), `documents`
        beside the outputs, all of it durable. `is_laid`: the original is there already, by `lay_original`.

        Raises:
            OSError: disk full, read-only …; nothing was published, and staging again is safe.
        """
        folder = self.staging / job.staging_name()
        folder.mkdir(exist_ok=True)
        if original is not None:
            home = folder / place
            home.mkdir(exist_ok=True)
            self._lay_all(job, original, home, is_laid=is_laid)
        for name, content in documents.items():
            (folder / name).unlink(missing_ok=True)
            durable.write_file(folder / name, content)
        durable.fsync_folder(folder)
        durable.fsync_folder(self.staging)

    def holds(self, job: Job, name: str, size_bytes: int) -> bool:
        """Is there such an output of this attempt, as its worker says?"""
        path = self.staging / job.staging_name() / name
        return path.is_file() and not path.is_symlink() and path.stat().st_size == size_bytes

    def archive_home(self, job: Job) -> Path:
        """The folder for an archived original: state/archive/<folder>/<uuid>."""
        assert names.is_safe_relative(job.folder)
        return self.archive / job.folder / job.id

    def archive_original(self, job: Job, original: Original, *, is_laid: bool = False) -> None:
        """Store the original in `archive_home`, durably; `is_laid`: it is already there. Idempotent."""
        home = self.archive_home(job)
        durable.make_folder(home)
        self._lay_all(job, original, home, is_laid=is_laid)

    def lay_original(self, source: Path, home: Path | None, sha256: str | None) -> str:
        """Link or copy a file into `home` (None: nowhere), durably; return its checksum. May take long; may be called
        from another thread.

        Raises:
            CopyDiffers: the copy does not have the known checksum.
            OSError: not possible now; it is safe to repeat.
        """
        if home is not None:
            durable.make_folder(home)
            sha256 = _lay(source, home, sha256)
            durable.fsync_folder(home)
        return sha256 or durable.sha256_of(source)

    def may_link(self, source: Path, home: Path) -> bool:
        """Check whether the file may be hard-linked into `home`; see `durable.may_link`."""
        target = home / source.name
        if target.exists() and target.samefile(source):
            return True
        while not home.is_dir():
            home = home.parent
        return durable.may_link(source, home)

    def _lay_all(self, job: Job, original: Original, home: Path, *, is_laid: bool) -> None:
        if not is_laid or not os.path.lexists(home / original.path.name):
            _lay(original.path, home, job.sha256, at_most=HASH_INLINE_BYTES)
        for sidecar in original.sidecars.values():
            try:
                _lay(sidecar, home, None, at_most=names.MAX_SIDECAR_BYTES[sidecar.suffix])
            except OSError as error:
                if error.errno != errno.EFBIG:
                    raise
                grown = "%s %s: %s has grown since it was taken; omitted from the result"
                log.warning(grown, job.id[:8], job.path, sidecar.name)
        durable.fsync_folder(home)

    def free_result_path(self, job: Job, *, failed: bool) -> str:
        """A name for the result that is not taken, relative to the outbox: "bank/2024-01", "failed/bank/x (2)"."""
        assert names.is_safe_relative(job.folder)
        parts = [names.printable(part) for part in Path(job.folder).parts]
        if parts and parts[0] == FAILED and not failed:
            parts[0] = f"{FAILED} (folder)"  # outbox/failed is for what could not be done
        parent = self._free_parent([FAILED, *parts] if failed else parts)
        stem = names.result_stem(job.name)

        def is_taken(number: int) -> bool:
            # a folder of the inbox keeps its name in the outbox for its own results
            name = _numbered(stem, number)
            return os.path.lexists(self.path / parent / name) or self._is_folder_of_inbox(Path(job.folder, name))

        return str(parent / _numbered(stem, _first_free(is_taken)))

    def _free_parent(self, parts: Iterable[str]) -> Path:
        """The folder for the results of a folder of the inbox, relative to the outbox. A part whose name a file, a link
        or a result has is numbered: "scans (2)/2024"."""
        parent = Path()
        for part in parts:
            free = (_numbered(part, number) for number in itertools.count(1))
            parent = next(parent / name for name in free if self._may_hold_results(parent / name))
        return parent

    def _may_hold_results(self, folder: Path) -> bool:
        path = self.path / folder
        if not os.path.lexists(path):
            return True
        is_result = any(os.path.lexists(path / document) for document in (RESULT, DOCUMENTS[0]))
        return path.is_dir() and not path.is_symlink() and not is_result

    def _is_folder_of_inbox(self, folder: Path) -> bool:
        try:
            with beneath.opened(self._inbox, self._inbox / folder):
                return True
        except OSError:  # it is none, or nobody lets us look
            return False

    def is_staged(self, job: Job) -> bool:
        return (self.staging / job.staging_name()).is_dir()

    def publish(self, job: Job) -> None:
        """Rename the staged folder to `job.result_path`: the moment the result exists. The caller calls `fsync_result`.

        Raises:
            FileExistsError: the name was taken meanwhile.
        """
        assert job.result_path is not None
        target = self.path / job.result_path
        with beneath.opened(self.path, target.parent, make=True) as folder:
            durable.rename_noreplace(self.staging / job.staging_name(), target, target_folder=folder)

    def fsync_result(self, job: Job) -> None:
        """Make the rename durable. That somebody has moved the result's folder away meanwhile is no error."""
        assert job.result_path is not None
        parent = (self.path / job.result_path).parent
        with contextlib.suppress(FileNotFoundError), beneath.opened(self.path, parent) as folder:
            durable.fsync_folder(folder)
        durable.fsync_folder(self.staging)

    def lacks_original(self, job: Job) -> bool:
        """Was this job given up while its original was not to be found, and so published without it?

        Raises:
            OSError: that cannot be told now.
        """
        if job.state is JobState.DONE or job.result_path is None:
            return False
        try:
            return json.loads((self.path / job.result_path / "error.json").read_bytes())["original"] is None
        except FileNotFoundError:
            return False  # somebody has taken the folder away, original and all
        except (ValueError, LookupError, TypeError):
            return True  # better once more than never

    def remove_result(self, job: Job, folder: Path) -> None:
        """Remove a result, durable: out of sight by one rename, then bit by bit; the start sweeps what a crash left."""
        hidden = self.staging / f"{job.id}.removed"
        durable.remove_tree(hidden)
        with beneath.opened(self.path, folder.parent) as parent:
            durable.rename_noreplace(folder, hidden, source_folder=parent)
            durable.fsync_folder(parent)
        durable.remove_tree(hidden)
        durable.remove_empty_folders(
            folder.parent, up_to=self.path / FAILED if job.state is not JobState.DONE else self.path
        )

    def withdraw(self, result_path: str) -> None:
        """Remove a failed job's folder, of which only what the daemon wrote: the original was fetched back before.

        Durable, also where an earlier run that died had removed it: else it would come back with a second original.
        """
        folder = self.path / result_path
        originals = originals_in(folder)  # before error.json, which names them, is removed
        with contextlib.suppress(FileNotFoundError):
            self._unlink(folder, DOCUMENTS)  # error.json first: a folder that has one has its original
            for path in originals:
                self._unlink(path.parent, [path.name])
        durable.remove_empty_folders(folder / ORIGINAL, up_to=folder)
        durable.remove_empty_folders(folder, up_to=self.path / FAILED)
        while not folder.is_dir():
            folder = folder.parent
        durable.fsync_folder(folder)

    def _unlink(self, folder: Path, wanted: Iterable[str]) -> None:
        """Remove the `wanted` files of a folder of the outbox.

        Raises:
            FileNotFoundError: there is no such folder.
        """
        with beneath.opened(self.path, folder) as descriptor:
            for name in wanted:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(name, dir_fd=descriptor)


def _numbered(name: str, number: int) -> str:
    return name if number == 1 else f"{name} ({number})"


def _first_free(is_taken: Callable[[int], bool]) -> int:
    """A number from 1 on that is not taken; the first one, if those before it all are. In the logarithm of its size:
    the ten-thousandth `scan.pdf` must not look at the nine thousand before it."""
    taken, free = 0, 1
    while is_taken(free):
        taken, free = free, 2 * free
    while free - taken > 1:
        middle = (taken + free) // 2
        if is_taken(middle):
            taken = middle
        else:
            free = middle
    return free


def original_place(original: Original, others: Iterable[str]) -> str:
    """Where in its result an original lies: beside the `others`, or if one has its name, in a folder of its own."""
    names = {original.path.name, *(path.name for path in original.sidecars.values())}
    taken = {Path(other).parts[0] for other in others} | {ORIGINAL}
    return ORIGINAL if names & taken else "."


def originals_in(result: Path) -> list[Path]:
    """The original in a failed result, and its sidecars: those that error.json names; if it cannot be read, all files
    that the daemon did not write itself."""
    try:
        original = documents.read(result / "error.json", root=result).facts["original"]
        if original is None:
            return []
        path = original["path"]
        if not path or not names.is_safe_relative(path) or Path(path).parts[:-1] not in ((), (ORIGINAL,)):
            raise ValueError(f"{path!r} is not an original's place")
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return _likely_originals(result)
    paths = (result / f"{path}{suffix}" for suffix in ("", *names.SIDECAR_SUFFIXES))
    return [path for path in paths if os.path.lexists(path)]


def _likely_originals(result: Path) -> list[Path]:
    """The same without error.json, which a retry removes first. A folder with both documents, or with folders in it,
    is not this result's: the failures of an inbox folder called "original" lie there."""
    if not result.is_dir():
        return []
    home = result / ORIGINAL
    below = list(home.iterdir()) if home.is_dir() and not home.is_symlink() else []
    has_documents = {path.name for path in below}.issuperset(DOCUMENTS)
    if below and not has_documents and not any(path.is_dir() for path in below):
        return below
    return [path for path in result.iterdir() if path.name not in DOCUMENTS and not path.is_dir()]


def _lay(source: Path, folder: Path, sha256: str | None, *, at_most: int | None = None) -> str | None:
    """Link or copy a file into a folder; return its checksum if it is known or had to be computed."""
    target = folder / source.name
    if os.path.lexists(target):
        if target.samefile(source):
            return sha256
        target.unlink()
    return durable.link_or_copy(source, target, sha256, at_most=at_most) or sha256
