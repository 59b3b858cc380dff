"""The outbox: results are staged in <outbox>/.staging/<uuid>.<attempt>/, made durable, and renamed to their names.

Moves files; `publishing` writes the rows that belong to each step. Nothing here overwrites anything.
"""

import contextlib
import errno
import json
import os
import stat
from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path

from daemon.core import copies, durable, names, regular_files
from daemon.core.job import Job, JobState, Original
from daemon.core.syncer import Syncer
from daemon.files import flat, originals, result_reader, safe_folders
from daemon.files.flat_files import FlatFiles
from daemon.files.lock_files import LOCK_FILE
from daemon.files.originals import ERROR_DOCUMENTS, ORIGINAL, RESULT, originals_in
from daemon.files.result_names import FAILED, ResultNames


class Outbox:
    """The outbox folder, and the hidden folder the daemon owns in it."""

    def __init__(self, path: Path, *, archive: Path, inbox: Path):
        self.path = path
        self.own = safe_folders.HeldFolder(path / ".staging")
        self.archive = archive
        self._names = ResultNames(path, inbox)

    @property
    def staging(self) -> Path:
        """The path to use for the hidden folder; see `HeldFolder`."""
        return self.own.path

    def prepare_attempt(self, job: Job) -> Path:
        """Create an empty staging folder for this attempt, and remove those of earlier attempts."""
        folder = self.staging / job.staging_name()
        if job.attempt <= 1:  # usually there are none: do not search among those of all other jobs
            with contextlib.suppress(FileExistsError):
                folder.mkdir()
                return folder
        self.discard_attempts(job.id)
        folder.mkdir()
        return folder

    def attempts(self) -> list[str]:
        """The names of all staging folders, `ID.ATTEMPT` each, and of anything else among them."""
        return [name for name in os.listdir(self.staging) if name != LOCK_FILE]

    def discard_attempts(self, *job_ids: str) -> None:
        """Remove the staging folders of jobs."""
        for item in os.scandir(self.staging):
            if item.name.split(".")[0] in job_ids:
                durable.remove_tree(Path(item.path))

    def stage(
        self,
        job: Job,
        original: Original | None,
        place: str,
        documents: Mapping[str, bytes],
        *,
        is_placed: bool = False,
    ) -> None:
        """Complete an attempt's folder, durably: put the original and its sidecars into the subfolder `place` (see
        `original_folder`), and `documents` beside the outputs. `is_placed`: the original is already there.

        Raises:
            OSError: disk full, read-only …; nothing was published, and staging again is safe.
        """
        folder = self.staging / job.staging_name()
        folder.mkdir(exist_ok=True)
        if original is not None:
            home = folder / place
            home.mkdir(exist_ok=True)
            originals.place_all(job, original, home, is_placed=is_placed)
        for name, content in documents.items():
            (folder / name).unlink(missing_ok=True)
            durable.write_file(folder / name, content)
        durable.fsync_folder(folder)
        durable.fsync_folder(self.staging)

    def stage_unsynced(self, job: Job, original: Original | None, place: str, document: bytes) -> Callable[[], None]:
        """As `stage`, for an original without sidecars and result.json, but without the fsyncs. Return the function
        that makes the folder durable, which any thread may call; the caller must call it, and then fsyncs `staging`.

        Raises:
            OSError: disk full, read-only …; nothing was published, and staging again is safe.
        """
        folder = self.staging / job.staging_name()
        folders = [folder]
        if original is not None:
            home = folder / place
            home.mkdir(exist_ok=True)
            originals.place(original.path, home, job.sha256, at_most=regular_files.HASH_INLINE_BYTES)
            folders = [home, folder] if home != folder else [folder]
        descriptor = durable.write_unsynced(folder / RESULT, document)

        def make_durable() -> None:
            durable.fsync_and_close(descriptor)
            for each in folders:
                durable.fsync_folder(each)

        return make_durable

    def has_output(self, job: Job, name: str, size_bytes: int) -> bool:
        """Check that an output that a worker reports exists and has that size."""
        try:
            facts = os.lstat(self.staging.joinpath(job.staging_name(), name))
        except OSError as error:
            if error.errno not in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
                raise
            return False
        return stat.S_ISREG(facts.st_mode) and facts.st_size == size_bytes

    def archive_folder(self, job: Job) -> Path:
        """The folder for an archived original: state/archive/<folder>/<uuid>."""
        assert names.is_safe_relative(job.folder)
        return self.archive.joinpath(job.folder, job.id)

    def archive_original(self, job: Job, original: Original, *, is_placed: bool = False) -> None:
        """Store the original in `archive_folder`, durably; `is_placed`: it is already there. Idempotent."""
        home = self.archive_folder(job)
        durable.make_folder(home)
        originals.place_all(job, original, home, is_placed=is_placed)

    def has_archived(self, job: Job) -> bool:
        """Check whether `archive_folder` exists, even if its job has not ended."""
        return os.path.lexists(self.archive_folder(job))

    def discard_archived(self, job: Job) -> None:
        """Remove what an earlier attempt archived, durably: that had no result, and this one goes elsewhere.
        The caller has the original."""
        if self.has_archived(job):
            home = self.archive_folder(job)
            durable.remove_tree(home)
            durable.remove_empty_folders(home.parent, up_to=self.archive)

    def place_original(
        self, source: Path, home: Path | None, sha256: str | None, *, needs_sha256: bool = True
    ) -> str | None:
        """Link or copy a file into the folder `home` (None: do not), durably; return its checksum. May take long, and
        may be called from another thread.

        sha256: the checksum; None: unknown, and the content may not be durable yet.
        needs_sha256: False: if the file is only linked, an unknown checksum is not computed.

        Raises:
            CopyDiffers: the copy does not have the known checksum.
            OSError: not possible now; safe to repeat.
        """
        if home is not None:
            durable.make_folder(home)
            if sha256 is None and self.may_link(source, home):
                Syncer(home / ".copy").sync(source)
            sha256 = originals.place(source, home, sha256)
            durable.fsync_folder(home)
        return regular_files.sha256_of(source) if sha256 is None and needs_sha256 else sha256

    def may_link(self, source: Path, home: Path) -> bool:
        """Check whether the file may be hard-linked into `home`; see `copies.may_link`."""
        target = home / source.name
        if target.exists() and target.samefile(source):
            return True
        while not home.is_dir():
            home = home.parent
        return copies.may_link(source, home)

    def free_result_path(self, job: Job, *, failed: bool, reserved: Collection[str] = (), is_flat: bool = False) -> str:
        """A free path for the result; see `ResultNames.free_path`. is_flat: the path of a record, for the staged
        result; none of its files has a name that is taken."""
        entries = self._staged_entries(job) if is_flat else None
        return self._names.free_path(job, failed=failed, reserved=reserved, flat_entries=entries)

    def is_staged(self, job: Job) -> bool:
        return (self.staging / job.staging_name()).is_dir()

    def publish(self, job: Job) -> None:
        """Rename the staged folder to `job.result_path`: the result is then visible. The caller calls `fsync_results`.
        The files of a flat result are renamed first, durably.

        Raises:
            FileExistsError: something else has that name now, or that of a file of a flat result.
        """
        assert job.result_path is not None
        target = self.path / job.result_path
        staged = self.staging / job.staging_name()
        files = self._flat_files(job, staged, self.staging) if flat.is_flat(job.result_path) else None
        if files is not None:
            files.place()
        try:
            with safe_folders.opened(self.path, target.parent, make=True) as folder:
                durable.rename_noreplace(staged, target, target_folder=folder)
        except (FileExistsError, NotADirectoryError):
            if files is not None:
                files.take_back()
            raise

    def _flat_files(self, job: Job, home: Path, root: Path) -> FlatFiles:
        return FlatFiles(job, self.path, root=root, home=home)

    def _staged_entries(self, job: Job) -> list[str]:
        """What the staged result consists of; see `flat.entries`."""
        return flat.entries(result_reader.read(self.staging / job.staging_name() / RESULT, root=self.staging).facts)

    def fsync_staging(self) -> None:
        durable.fsync_folder(self.staging)

    def fsync_results(self, *result_paths: str | None) -> None:
        """Make the renames durable. It is no error if somebody has moved a result away in the meantime."""
        for parent in dict.fromkeys((self.path / path).parent for path in result_paths if path is not None):
            with contextlib.suppress(FileNotFoundError), safe_folders.opened(self.path, parent) as folder:
                durable.fsync_folder(folder)
        durable.fsync_folder(self.staging)

    def lacks_original(self, job: Job) -> bool:
        """Check whether a failed job was published without its original, which could not be found then.

        Raises:
            OSError: this cannot be determined now.
        """
        if job.state is JobState.DONE or job.result_path is None:
            return False
        try:
            return json.loads((self.path / job.result_path / "error.json").read_bytes())["original"] is None
        except FileNotFoundError:
            return False  # somebody has moved the folder with the original away
        except (ValueError, LookupError, TypeError):
            return True  # rather return it twice than never

    def changed_files(self, job: Job) -> list[str]:
        """The names of a flat result that belong to other files now, or to files that a person has changed.

        Raises:
            OSError, ValueError, LookupError, TypeError, AttributeError: its result.json is missing or was changed.
        """
        if job.result_path is None or not flat.is_flat(job.result_path):
            return []
        return self._flat_files(job, self.path / job.result_path, self.path).changed()

    def remove_result(self, job: Job, folder: Path) -> None:
        """Remove a result, durably: hide it by one rename, then remove its files. The next start completes this after a
        crash. The files of a flat result return to its record first; a crash leaves the rest for the next removal."""
        if job.result_path is not None and flat.is_flat(job.result_path):
            self._flat_files(job, folder, self.path).take_back()
            durable.remove_empty_folders((self.path / flat.visible_path(job.result_path)).parent, up_to=self.path)
        hidden = self.staging / f"{job.id}.removed"
        durable.remove_tree(hidden)
        with safe_folders.opened(self.path, folder.parent) as parent:
            durable.rename_noreplace(folder, hidden, source_folder=parent)
            durable.fsync_folder(parent)
        durable.remove_tree(hidden)
        durable.remove_empty_folders(
            folder.parent, up_to=self.path / FAILED if job.state is not JobState.DONE else self.path
        )

    def withdraw(self, result_path: str) -> None:
        """Remove from a failed job's folder what the daemon wrote and the original, which was fetched back before.

        Durable even if a run that was killed had removed it: otherwise it could reappear with a second original.
        """
        folder = self.path / result_path
        found = originals_in(folder)  # before error.json, which names them, is removed
        with contextlib.suppress(FileNotFoundError):
            self._unlink(folder, ERROR_DOCUMENTS)  # error.json first: a folder that has one has its original
            for path in found:
                self._unlink(path.parent, [path.name])
        durable.remove_empty_folders(folder / ORIGINAL, up_to=folder)
        durable.remove_empty_folders(folder, up_to=self.path / FAILED)
        while not folder.is_dir():
            folder = folder.parent
        durable.fsync_folder(folder)

    def _unlink(self, folder: Path, wanted: Iterable[str]) -> None:
        """Remove the `wanted` files of a folder of the outbox.

        Raises:
            FileNotFoundError: the folder does not exist.
        """
        with safe_folders.opened(self.path, folder) as descriptor:
            for name in wanted:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(name, dir_fd=descriptor)
