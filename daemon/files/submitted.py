"""Takes submitted files: <inbox>/.incoming/x -> <inbox>/.taken/<uuid>/a/x.

A file is taken together with its sidecars, whose contents were submitted with it, by the rename of a draft of its
folder in .taken.
"""

import contextlib
import os
from collections.abc import Mapping
from pathlib import Path

from daemon.core import durable, names, regular_files
from daemon.core.job import Entry
from daemon.files.inbox import Inbox, entry_of
from daemon.files.incoming import Incoming
from daemon.files.taken import DRAFT, TakenFiles, make_folders, walk_up

_SOURCE_ATTRIBUTE = "user.inboxd.source"  # see xattr(7)


class SubmittedFiles:
    """Moves files from .incoming to .taken, and back."""

    def __init__(self, incoming: Incoming, inbox: Inbox, taken: TakenFiles):
        self._incoming = incoming
        self._inbox = inbox
        self._taken = taken

    def take(self, job_id: str, upload: str, path: Path, sidecars: Mapping[str, bytes], *, source: str) -> Entry:
        """Move the file `upload` from .incoming to .taken/<uuid>/, as if it had been taken from `path` in the inbox.

        sidecars: their contents by suffix. They are made first, in a folder that gets its name once the file is in it:
        a recovery neither finds the file without its options nor returns options to the inbox that nobody put there.
        source: see `source_of`.

        The caller continues as after `TakenFiles.take`, with .incoming as the source, or calls `give_back` after an
        error.

        Raises:
            FileNotFoundError: there is no such upload.
            OSError: it cannot be moved.
        """
        draft = job_id + DRAFT
        home = make_folders(self._taken.path, Path(draft, path.parent.relative_to(self._inbox.path)))
        for suffix, content in sidecars.items():
            durable.write_file(home / f"{path.name}{suffix}", content)
        durable.fsync_folder(home)
        with self._incoming.opened() as folder:
            _note_source(upload, folder, source)
            durable.rename_noreplace(Path(upload), home / path.name, source_folder=folder)
        durable.rename_noreplace(self._taken.path / draft, self._taken.path / job_id)
        taken = self._taken.path / job_id / path.relative_to(self._inbox.path)
        return entry_of(taken, taken.lstat())

    def source_of(self, taken: Path) -> str | None:
        """The program that submitted a taken file, for a file without a row; None: it was dropped, or the file system
        has no extended attributes.

        Raises:
            OSError: it cannot be opened.
        """
        with self._inbox.open_file(taken) as file, contextlib.suppress(OSError):
            return names.source_name(os.getxattr(file.fileno(), _SOURCE_ATTRIBUTE).decode("ascii", "replace"))
        return None

    def finish_take(self, job_id: str) -> None:
        """Complete a `take` that a crash has interrupted, or undo it if the file was not moved yet. Safe to repeat.

        Raises:
            OSError: not possible now.
        """
        draft = self._taken.path / f"{job_id}{DRAFT}"
        files = {Path(name).name for _, _, names_ in walk_up(draft) for name in names_}
        if any(not name.endswith(names.SIDECAR_SUFFIXES) for name in files):
            durable.rename_noreplace(draft, self._taken.path / job_id)
        elif draft.is_dir():
            durable.remove_tree(draft)

    def has_draft(self, job_id: str) -> bool:
        """True if a `take` was interrupted, and was neither completed nor undone."""
        return (self._taken.path / f"{job_id}{DRAFT}").is_dir()

    def give_back(self, job_id: str, upload: str, path: Path) -> None:
        """Undo `take`, also if it has failed: return the file to .incoming, and remove what was written beside it.

        Raises:
            OSError: it cannot be moved now; it remains taken.
        """
        self.finish_take(job_id)
        taken = self._taken.path / job_id / path.relative_to(self._inbox.path)
        if os.path.lexists(taken):
            with self._incoming.opened() as folder:
                durable.rename_noreplace(taken, Path(upload), target_folder=folder)
        self._taken.release(job_id)


def _note_source(upload: str, folder: int, source: str) -> None:
    """Attach to a file who submits it, in case of a crash before that is recorded."""
    descriptor = regular_files.open_regular(upload, folder)
    try:
        with contextlib.suppress(OSError):  # a file system without them
            os.setxattr(descriptor, _SOURCE_ATTRIBUTE, source.encode())
    finally:
        os.close(descriptor)
