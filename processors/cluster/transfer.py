"""Transfers files in chunks, and lists folders. Both halves use this module."""

import contextlib
import hashlib
import os
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Self

CHUNK_BYTES = 4 * 1024 * 1024  # larger messages take longer to repeat, smaller ones cost more calls
SMALL_BYTES = 64 * 1024  # total size of the files sent with one call: Ray passes up to 100 KB without its object store
_SCRATCH = ".arriving"  # suffix of a file that is not complete yet


@dataclass(frozen=True, kw_only=True)
class SmallFile:
    """A complete file that is sent as an argument of a call."""

    path: str  # relative
    content: bytes
    sha256: str
    mtime_ns: int | None = None


@dataclass(frozen=True, kw_only=True, order=True)
class Entry:
    """A file or a folder, as it was listed."""

    path: str  # relative; bytes that are not UTF-8 as surrogates
    size_bytes: int  # -1: a folder
    mtime_ns: int

    @property
    def is_folder(self) -> bool:
        return self.size_bytes < 0


def check_path(path: str) -> str:
    """Return `path` if it is relative and stays within its folder.

    Raises:
        ValueError: the path is absolute or leads out of its folder.
    """
    pure = PurePath(path)
    if not pure.parts or pure.is_absolute() or ".." in pure.parts or "\0" in path:
        raise ValueError(f"{path!r} is not a path within the folder")
    return path


def list_folder(folder: Path) -> list[Entry]:
    """All regular files and folders below `folder`, sorted; none if it does not exist. Omits vanished files."""
    found = []
    for where, folders, files in os.walk(folder):
        for name in folders:
            found.append(Entry(path=os.path.relpath(os.path.join(where, name), folder), size_bytes=-1, mtime_ns=0))
        for name in files:
            path = Path(where, name)
            with contextlib.suppress(FileNotFoundError):
                facts = path.stat(follow_symlinks=False)
                if path.is_file() and not path.is_symlink() and not name.endswith(_SCRATCH):
                    relative = os.path.relpath(path, folder)
                    found.append(Entry(path=relative, size_bytes=facts.st_size, mtime_ns=facts.st_mtime_ns))
    return sorted(found)


def read_chunk(path: Path, offset: int, size_bytes: int = CHUNK_BYTES) -> bytes:
    """
    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        file.seek(offset)
        return file.read(size_bytes)


def digest_of(path: Path) -> str:
    """The SHA-256 of a file.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class Arriving:
    """A file that arrives in chunks, in any order. `commit` verifies it and gives it its final name."""

    def __init__(self, path: Path):
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        short = hashlib.sha256(os.fsencode(path.name)).hexdigest()[:16]  # the name may have the longest possible length
        self._scratch = path.with_name(f".{short}{_SCRATCH}")
        self._file = self._scratch.open("w+b")

    def put(self, offset: int, chunk: bytes) -> None:
        """
        Raises:
            OSError: it cannot be written.
        """
        os.pwrite(self._file.fileno(), chunk, offset)

    def commit(self, sha256: str, *, mtime_ns: int | None = None, is_durable: bool = True) -> None:
        """Verify the content and rename the file.

        Raises:
            OSError: it cannot be written.
            ValueError: the content has another digest: it was damaged in transfer.
        """
        with self._file as file:
            if is_durable:
                os.fsync(file.fileno())
            file.seek(0)
            arrived = hashlib.file_digest(file, "sha256").hexdigest()
        if arrived != sha256:
            self._scratch.unlink(missing_ok=True)
            raise ValueError(f"{self._path.name!r} was damaged in transfer between the nodes")
        if mtime_ns is not None:
            os.utime(self._scratch, ns=(mtime_ns, mtime_ns))
        self._scratch.rename(self._path)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """After an error, remove what arrived so far."""
        self._file.close()
        if kind is not None:
            self._scratch.unlink(missing_ok=True)


def remove_missing(folder: Path, present: Iterable[str]) -> None:
    """Remove the files and folders below `folder` that are not `present`."""
    wanted = {*present}
    for entry in reversed(list_folder(folder)):
        if entry.path not in wanted:
            with contextlib.suppress(OSError):
                path = folder / entry.path
                shutil.rmtree(path) if entry.is_folder else path.unlink()
