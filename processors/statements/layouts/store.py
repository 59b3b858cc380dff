"""The folder of remembered layouts: one small JSON file each, replaced by a rename. The only module that touches it.

Several workers may write at once: each change reads the folder again under a lock and merges into what it finds. A file
that is damaged, too large or of another version is ignored and reported, never changed.
"""

import contextlib
import fcntl
import json
import logging
import os
import re
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from processors.statements.layouts.record import NAME, VERSION, RememberedLayout

log = logging.getLogger(__name__)

MAX_LAYOUTS = 200  # the one that was used least recently makes room for a new one
MAX_BYTES = 16 * 1024  # of one file
_MAX_FILES = 1000  # that are looked at
_LOCK_SECONDS = 20.0  # after that, changes are made without the lock, because a rename still leaves complete files
_LOCK_POLL_SECONDS = 0.02
_SCRATCH_SECONDS = 600.0  # no process takes this long to write a file
_SUFFIX = ".json"


@dataclass(frozen=True)
class Damaged:
    """A file that was ignored."""

    name: str  # without its suffix
    why: str


class LayoutStore:
    """The layouts in `folder`, which may not exist yet."""

    def __init__(self, folder: Path):
        self.folder = folder

    def load(self) -> tuple[list[RememberedLayout], list[Damaged]]:
        """All layouts by name, and the files that were ignored. A missing folder has none.

        Raises:
            OSError: the folder cannot be read.
        """
        layouts, damaged = [], []
        for path in self._files():
            try:
                layouts.append(_read(path))
            except FileNotFoundError:
                continue  # forgotten since
            except (OSError, ValueError) as error:
                damaged.append(Damaged(path.stem, _describe(error)))
        return layouts, damaged

    def change(
        self, decide: Callable[[Sequence[RememberedLayout]], RememberedLayout | None]
    ) -> RememberedLayout | None:
        """Write the layout that `decide` creates from the present ones, and return it. None: there is nothing to write.

        Raises:
            OSError: it cannot be written.
        """
        self._make_folder()
        with self._locked():
            self._remove_scratch()
            present, _ = self.load()
            layout = decide(present)
            if layout is not None and layout not in present:
                self._make_room(present, layout)
                self._write(layout)
            return layout

    def forget(self, name: str) -> bool:
        """Remove a layout, or a damaged file; False if there is none of that name.

        Raises:
            OSError: it cannot be removed.
        """
        with self._locked():
            found = next((path for path in self._files() if path.stem == name), None)
            if found is not None:
                found.unlink(missing_ok=True)
        return found is not None

    def free_name(self, wanted: str) -> str:
        """`wanted`, or that with a number, if a file has the name already."""
        taken = {path.stem for path in self._files()}
        numbered = (f"{wanted}-{number}" for number in range(2, _MAX_FILES))
        return next(name for name in (wanted, *numbered) if name not in taken)

    def _files(self) -> list[Path]:
        try:
            with os.scandir(self.folder) as entries:
                names = [each.name for each in entries if each.name.endswith(_SUFFIX) and each.name[0] != "."]
        except (FileNotFoundError, NotADirectoryError):
            return []
        return sorted((self.folder / name for name in names), key=lambda path: path.stem)[:_MAX_FILES]

    def _make_folder(self) -> None:
        """Create the folder for this user only, and the state folder above it, because `inboxd process` may be the
        first to use it."""
        for folder in (self.folder.parent, self.folder):
            with contextlib.suppress(FileExistsError):
                folder.mkdir(mode=0o700)
                _give_to_owner(folder, folder.parent)

    def _remove_scratch(self) -> None:
        """Remove what killed processes left, but no new file: a process that could not get the lock may be writing
        it."""
        for path in self.folder.glob(".*.*"):
            with contextlib.suppress(FileNotFoundError):
                if time.time() - path.stat(follow_symlinks=False).st_mtime > _SCRATCH_SECONDS:
                    path.unlink()

    def _make_room(self, present: Sequence[RememberedLayout], layout: RememberedLayout) -> None:
        others = sorted((each for each in present if each.name != layout.name), key=lambda each: each.used)
        for each in others[: max(0, len(others) + 1 - MAX_LAYOUTS)]:
            log.info("forgot the layout %s, last used on %s, to make room", each.name, each.used)
            (self.folder / f"{each.name}{_SUFFIX}").unlink(missing_ok=True)

    def _write(self, layout: RememberedLayout) -> None:
        content = json.dumps(layout.model_dump(mode="json"), indent=1, ensure_ascii=False).encode()
        if len(content) > MAX_BYTES:
            raise OSError(f"the layout {layout.name} has {len(content)} bytes")
        scratch = self.folder / f".{layout.name}.{secrets.token_hex(4)}"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(scratch, flags, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                _give_to_owner(scratch, self.folder)
                os.fsync(file.fileno())
            scratch.rename(self.folder / f"{layout.name}{_SUFFIX}")
        except OSError:
            with contextlib.suppress(OSError):
                scratch.unlink(missing_ok=True)
            raise

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """Hold the folder's lock. Continue without it if another process does not release it, or if the file system has
        no locks."""
        try:
            descriptor = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except (FileNotFoundError, NotADirectoryError):
            yield
            return
        try:
            _lock(descriptor)
            yield
        finally:
            os.close(descriptor)


def _lock(descriptor: int) -> None:
    until = time.monotonic() + _LOCK_SECONDS
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() >= until:
                return
            time.sleep(_LOCK_POLL_SECONDS)
        except OSError:  # a file system without locks
            return


def _read(path: Path) -> RememberedLayout:
    """Read one file.

    Raises:
        OSError, ValueError: it is not a layout.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        content = file.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise ValueError(f"it is larger than {MAX_BYTES // 1024} KiB")
    try:
        fields = json.loads(content)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    if isinstance(fields, dict) and fields.get("version") != VERSION:
        raise ValueError(f"its format has the version {str(fields.get('version'))[:20]}, not {VERSION}")
    layout = RememberedLayout.model_validate(fields)
    if layout.name != path.stem or not re.fullmatch(NAME, layout.name):
        raise ValueError("its name is not that of its file")
    return layout


def _describe(error: Exception) -> str:
    if isinstance(error, OSError):
        return error.strerror or "it cannot be read"
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        return f"{'.'.join(map(str, first['loc'])) or 'it'}: {first['msg']}"[:200]
    return "it is not JSON" if isinstance(error, json.JSONDecodeError | UnicodeDecodeError) else str(error)[:200]


def _give_to_owner(path: Path, above: Path) -> None:
    """Give whatever root creates to the owner of the folder above it, the service, which must be able to read it."""
    if os.geteuid() == 0:
        owner = above.stat()
        os.chown(path, owner.st_uid, owner.st_gid, follow_symlinks=False)
