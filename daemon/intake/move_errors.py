"""Explains why a file cannot be moved out of the inbox, and what its owner or an administrator must change.

Changes nothing. The messages name the file or folder in the inbox, and are the same at each try.
"""

import errno
import os
import stat
from pathlib import Path

from daemon.core.names import printable, printable_path
from daemon.files.inbox import Inbox


def explain_move_error(inbox: Inbox, path: Path, error: OSError) -> str | None:
    """Explain an error of `TakenFiles.take`; None: nothing in the inbox caused the error."""
    if error.filename2 is None:  # not a rename
        return None
    try:
        with inbox.opened(path.parent) as folder:
            return _explain(inbox, path.with_name(Path(os.fsdecode(error.filename)).name), folder, error.errno)
    except OSError:
        return None


def permissions(inbox: Inbox, path: Path) -> object:
    """The state that decides whether a file can be moved out of its folder; removing the obstacle changes it."""
    try:
        with inbox.opened(path.parent) as folder:
            above, own = os.fstat(folder), os.stat(path.name, dir_fd=folder, follow_symlinks=False)
    except OSError:
        return None
    return above.st_dev, above.st_ino, above.st_mode, above.st_uid, above.st_gid, own.st_ino, own.st_ctime_ns


def _explain(inbox: Inbox, path: Path, folder: int, code: int | None) -> str | None:
    uid = os.geteuid()
    above, own = os.fstat(folder), os.stat(path.name, dir_fd=folder, follow_symlinks=False)
    file = printable_path(path.relative_to(inbox.path))
    where = printable_path(path.parent.relative_to(inbox.path)) or printable(str(inbox.path))
    match code:
        case errno.EXDEV if path.parent != inbox.path:
            return f"{where} is on another file system than the inbox. Move its files to a folder of the inbox itself."
        case errno.EROFS:
            return f"{where} is on a read-only file system. Mount it writable."
        case errno.EBUSY:
            return f"{file} is in use as a mount point. Unmount it."
        case errno.EACCES if not os.access(".", os.W_OK | os.X_OK, dir_fd=folder, effective_ids=True):
            return f"uid {uid} may not move files out of {where}. Give it write permission on that folder."
        case errno.EPERM if above.st_mode & stat.S_ISVTX and uid not in (above.st_uid, own.st_uid):
            return (
                f"{where} has the sticky bit, so uid {uid} may not move other users' files out of it."
                f" Remove the bit (chmod -t) from that folder, or give {file} to that user (chown)."
            )
        case errno.EPERM:
            return f"{file} or its folder is immutable or append-only. Clear the attribute (chattr -i -a)."
    return None
