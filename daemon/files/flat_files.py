"""Moves the files of a flat result to their names in the outbox, and back; see `flat`.

Each file becomes visible by one rename, complete and durable; a result of several files, file by file. The caller
renames the record last, which completes the result. Nothing here overwrites anything.
"""

import contextlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from daemon.core import durable
from daemon.core.job import Job
from daemon.files import added_files, flat, result_reader, safe_folders
from daemon.files.originals import RESULT


class FlatFiles:
    """The files of the result of a job whose `result_path` is known.

    root: the trusted folder above `home`.
    home: the folder with result.json, a staging folder or the record: the files come from it and return to it.
    """

    def __init__(self, job: Job, outbox: Path, *, root: Path, home: Path):
        """Read result.json.

        Raises:
            OSError, ValueError, LookupError, TypeError, AttributeError: it is missing or damaged.
        """
        document = result_reader.read(home / RESULT, root=root)
        assert job.result_path is not None
        path = Path(flat.visible_path(job.result_path))
        self._outbox = outbox
        self._home = home
        self._folder = outbox / path.parent
        entries = flat.entries(document.facts)
        visible = flat.visible_names(job.name, path.name, entries)
        self._names = {entry: visible[entry] for entry in entries}  # in this order: the original appears last
        self._sizes = added_files.sizes(document.facts)
        self._published = added_files.published(document.facts)
        self._newest_ns = max(document.changed_ns, job.mtime_ns)  # the time of an original may be in the future

    def place(self) -> None:
        """Rename the files to their names in the outbox, durably. Repeating it after a crash continues it.

        Raises:
            FileExistsError: something else has one of the names; all files are in `home` again.
            NotADirectoryError: something else has the name of the folder.
        """
        with safe_folders.opened(self._outbox, self._folder, make=True) as folder:
            try:
                for entry, name in self._names.items():
                    if os.path.lexists(self._home / entry):
                        target = self._folder / name
                        durable.rename_noreplace(self._home / entry, target, target_folder=folder)
            except FileExistsError:
                self._take_back(folder)
                raise
            durable.fsync_folder(folder)
        durable.fsync_folder(self._home)

    def take_back(self) -> None:
        """Rename the files that nobody has changed, moved or replaced back into `home`, durably."""
        with contextlib.suppress(FileNotFoundError), safe_folders.opened(self._outbox, self._folder) as folder:
            self._take_back(folder)

    def changed(self) -> list[str]:
        """The names of the result that belong to other files now, or to files that a person has changed."""
        with contextlib.suppress(FileNotFoundError), safe_folders.opened(self._outbox, self._folder) as folder:
            found = self._visible(folder)
            return [name for entry, name, facts in found if not self._is_ours(folder, entry, name, facts)]
        return []

    def _take_back(self, folder: int) -> None:
        for entry, name, facts in self._visible(folder):
            if self._is_ours(folder, entry, name, facts) and not os.path.lexists(self._home / entry):
                durable.rename_noreplace(self._folder / name, self._home / entry, source_folder=folder)
        durable.fsync_folder(self._home)
        durable.fsync_folder(folder)

    def _visible(self, folder: int) -> Iterator[tuple[str, str, os.stat_result]]:
        for entry, name in self._names.items():
            with contextlib.suppress(FileNotFoundError):
                yield entry, name, os.stat(name, dir_fd=folder, follow_symlinks=False)

    def _is_ours(self, folder: int, entry: str, name: str, facts: os.stat_result) -> bool:
        """True if this still is the file or folder that was published, before result.json was written, and nothing was
        added to it. A user's file of the same name has another size, or is newer."""
        if not stat.S_ISDIR(facts.st_mode):
            return self._is_file_of_ours(entry, facts)
        within = {path.removeprefix(f"{entry}/") for path in self._published if path.startswith(f"{entry}/")}
        if facts.st_uid != os.geteuid() or any(added_files.others(name, within, below=folder)):
            return False
        for path in within:
            with contextlib.suppress(FileNotFoundError, NotADirectoryError):
                found = os.stat(f"{name}/{path}", dir_fd=folder, follow_symlinks=False)
                if not self._is_file_of_ours(f"{entry}/{path}", found):
                    return False
        return True

    def _is_file_of_ours(self, path: str, facts: os.stat_result) -> bool:
        is_as_recorded = facts.st_size == self._sizes.get(path, facts.st_size) and facts.st_uid == os.geteuid()
        return stat.S_ISREG(facts.st_mode) and is_as_recorded and facts.st_mtime_ns <= self._newest_ns
