"""Disks whose power can be cut: file systems in image files that are copied at one instant, in the middle of a run.

The images of all disks are in one file system, the shelf. A cut freezes the shelf (FIFREEZE): from that instant on, no
write reaches any image, whatever the daemon does, and the copies are of the same instant. The file systems in the
images do not notice: what they had not written by then (data without an fsync, an uncommitted journal) is not in the
copies. They are mounted so that nothing becomes durable by chance: no periodic commits, no flush at a rename. Linux and
root only.
"""

import contextlib
import errno
import fcntl
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from sandbox import wait_for

_FIFREEZE, _FITHAW = 0xC0045877, 0xC0045878  # linux/fs.h
_SHELF_BYTES = 8 * 2**30  # sparse, as all images are
_FREE_BYTES = 2**30  # in memory; otherwise, the images are on the disk


@dataclass(frozen=True)
class _FileSystem:
    size_bytes: int
    make: tuple[str, ...]  # the image's path follows
    options: str  # of the mount


_SHELF = _FileSystem(
    _SHELF_BYTES,
    ("mkfs.ext4", "-q", "-F", "-O", "^has_journal", "-E", "lazy_itable_init=1,nodiscard"),
    "loop,noatime,noinit_itable",
)
_FILE_SYSTEMS = {
    "ext4": _FileSystem(
        96 * 2**20,
        ("mkfs.ext4", "-q", "-F", "-J", "size=4", "-E", "lazy_itable_init=1,nodiscard"),
        "loop,noatime,commit=300,noauto_da_alloc,noinit_itable",
    ),
    "xfs": _FileSystem(320 * 2**20, ("mkfs.xfs", "-q", "-f", "-K"), "loop,noatime,nouuid"),
    "btrfs": _FileSystem(256 * 2**20, ("mkfs.btrfs", "-q", "-f", "-K"), "loop,noatime,commit=300"),
}


class Disks:
    """Named disks, each with a file system (`kinds`: name -> "ext4", "xfs" or "btrfs").

    They are in memory or, if that is too small, below `home`.
    """

    def __init__(self, home: Path, kinds: Mapping[str, str]):
        _require(kinds.values())
        self._kinds = dict(kinds)
        _sweep(_roomy(home))
        self._scratch = Path(tempfile.mkdtemp(prefix="disks-", dir=_roomy(home)))
        self._lock = _lock(self._scratch)
        self._shelf = self._scratch / "shelf"
        self._cuts = 0
        self._mounted: list[Path] = []
        for folder in (self._shelf, *(self.path(name) for name in kinds)):
            folder.mkdir()
        image = self._scratch / "shelf.img"
        _make(image, _SHELF)
        try:
            _run("mount", "-o", _SHELF.options, image, self._shelf)
        except OSError as error:
            shutil.rmtree(self._scratch)
            pytest.skip(f"loop mounts do not work here: {error}")
        self._blank = self._scratch / "blank"
        self._blank.mkdir()
        for name, kind in kinds.items():
            _make(self._blank / name, _FILE_SYSTEMS[kind])

    def path(self, name: str) -> Path:
        """Return the mount point of a disk."""
        return self._scratch / name

    def power_on(self, snapshot: Path | None = None) -> None:
        """Mount the disks as they were at a cut; None: blank ones."""
        for name, kind in self._kinds.items():
            image = self._shelf / name
            image.unlink(missing_ok=True)
            _copy(snapshot / name if snapshot else self._blank / name, image)
            _run("mount", "-t", kind, "-o", _FILE_SYSTEMS[kind].options, image, self.path(name))
            self._mounted.append(self.path(name))

    def power_off(self) -> None:
        """Unmount the disks and discard their contents, once no killed process uses them any more."""
        while self._mounted:
            wait_for(lambda: _unmounts(self._mounted[-1]), f"the end of those that use {self._mounted[-1]}")
            self._mounted.pop()

    def cut(self) -> Path:
        """Take a snapshot of all disks for `power_on`. The disks stay mounted."""
        self._cuts += 1
        snapshot = self._scratch / f"cut-{self._cuts}"
        snapshot.mkdir()
        with _frozen(self._shelf):
            for name in self._kinds:
                _copy(self._shelf / name, snapshot / name)
        return snapshot

    def close(self) -> None:
        self.power_off()
        # lazily: a mount namespace that another program made meanwhile has its own mount of each disk
        _run("umount", "--lazy", self._shelf)
        shutil.rmtree(self._scratch)


def can_make(kind: str) -> bool:
    """True if a program to create this kind of file system is installed."""
    return shutil.which(_FILE_SYSTEMS[kind].make[0]) is not None


def _require(kinds: Iterable[str]) -> None:
    """Skip the test where disks cannot be made."""
    if os.geteuid() != 0:
        pytest.skip("needs root, for loop mounts")
    for tool in ("mount", *(_FILE_SYSTEMS[kind].make[0] for kind in {"ext4", *kinds})):
        if shutil.which(tool) is None:
            pytest.skip(f"needs {tool}")


def _roomy(home: Path) -> Path:
    """Memory, where an fsync costs nothing; else the disk."""
    memory = Path("/dev/shm")
    return memory if memory.is_dir() and shutil.disk_usage(memory).free > _FREE_BYTES else home


def _sweep(folder: Path) -> None:
    """Remove the disks of test runs that were killed."""
    for scratch in folder.glob("disks-*"):
        lock = _lock(scratch)
        if lock is None:
            continue
        places = [line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines()]
        for place in reversed([place for place in places if place.startswith(f"{scratch}/")]):
            _unmounts(Path(place))
        shutil.rmtree(scratch, ignore_errors=True)
        os.close(lock)


def _lock(scratch: Path) -> int | None:
    """Lock the disks for this process; return the descriptor that holds the lock. None: they belong to another process
    that still runs. A process id would not show that: the other test may run in another namespace."""
    try:
        descriptor = os.open(scratch, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def _make(image: Path, system: _FileSystem) -> None:
    with image.open("wb") as file:
        file.truncate(system.size_bytes)
    _run(*system.make, image)
    _run("fallocate", "--dig-holes", image)  # the zeros of an empty log need not be copied at each cut


def _run(*command: object) -> None:
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    if done.returncode:
        raise OSError(f"{' '.join(done.args)}: {done.stderr.strip()}")


def _unmounts(folder: Path) -> bool:
    return subprocess.run(["umount", folder], capture_output=True).returncode == 0


@contextlib.contextmanager
def _frozen(folder: Path) -> Iterator[None]:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.ioctl(descriptor, _FIFREEZE, 0)
        try:
            yield
        finally:
            fcntl.ioctl(descriptor, _FITHAW, 0)
    finally:
        os.close(descriptor)


def _copy(source: Path, target: Path) -> None:
    """Copy a sparse file: only its data."""
    with source.open("rb") as reader, target.open("xb") as writer:
        size = os.fstat(reader.fileno()).st_size
        writer.truncate(size)
        position = 0
        while (position := _next_data(reader.fileno(), position)) is not None:
            end = os.lseek(reader.fileno(), position, os.SEEK_HOLE)
            os.lseek(writer.fileno(), position, os.SEEK_SET)
            while position < end:
                position += os.sendfile(writer.fileno(), reader.fileno(), position, end - position)


def _next_data(descriptor: int, position: int) -> int | None:
    try:
        return os.lseek(descriptor, position, os.SEEK_DATA)
    except OSError as error:
        if error.errno != errno.ENXIO:
            raise
        return None
