"""Measures memory: what the machine has, what a worker holds, and whether the kernel killed one for it. Reads /proc.

Counted is memory that the kernel cannot discard: anonymous and shared memory, also where it was swapped out (proc(5):
RssAnon, RssShmem, VmSwap). Mapped weights do not count, because the kernel discards them when it needs the room; nor
does address space that is only reserved: CUDA reserves terabytes, so a limit on it (RLIMIT_AS) stops any worker with a
GPU.
"""

from collections.abc import Iterator
from pathlib import Path

from processors.quantities import parse_size

_PROC = Path("/proc")
_HELD = (b"RssAnon:", b"RssShmem:", b"VmSwap:")
_HELD_IN_SHARES = (b"Pss_Anon:", b"Pss_Shmem:", b"SwapPss:")  # what forked processes share is counted once
_CHECK_SECONDS = (0.02, 1.0)  # between two checks of a worker: the nearer it is to its limit, the sooner
_FASTEST_GROWTH = 4e9  # bytes a second: as fast as one process can touch pages, which the kernel zeroes


class MemoryMonitor:
    """Checks what one process and its descendants hold, often enough to notice that it exceeds `limit` bytes."""

    def __init__(self, limit: int):
        self.next_check: float | None = 0.0  # of the monotonic clock; None: it is idle, and is not checked
        self._limit = limit
        self._kernel_kills = _count_kernel_kills()

    def check(self, pid: int, now: float) -> int:
        """Return the bytes it holds if they exceed the limit; 0 if they do not, or no check is due yet."""
        if self.next_check is None or now < self.next_check:
            return 0
        held = held_bytes(pid, self._limit)
        self._kernel_kills = _count_kernel_kills()
        shortest, longest = _CHECK_SECONDS
        self.next_check = now + min(longest, max(shortest, (self._limit - held) / _FASTEST_GROWTH))
        return held if held > self._limit else 0

    def has_kernel_killed(self) -> bool:
        """True if the kernel has killed a process for lack of memory since the last check."""
        return _count_kernel_kills() > self._kernel_kills


def limit_bytes(memory_max: str) -> int:
    """The value of an option `memory_max` in bytes, on this machine."""
    size = parse_size(memory_max)
    return size if isinstance(size, int) else int(size * total_bytes())


def total_bytes() -> int:
    """The memory of this machine, or the part of it that this process may use (its control group, in a container)."""
    found = [1024 * _numbers(_PROC / "meminfo", (b"MemTotal:",))]
    for line in _read(_PROC / "self" / "cgroup").decode(errors="replace").splitlines():
        _, controllers, group = line.split(":", 2)
        if controllers in ("", "memory"):
            found += _group_limits(Path("/sys/fs/cgroup", controllers, group.lstrip("/")))
    return min(found)


def held_bytes(pid: int, limit: int) -> int:
    """The memory that a process and its descendants hold in bytes, exact above `limit`; 0 once it has exited."""
    pids = [pid, *_descendants(pid)]
    held = sum(1024 * _numbers(_PROC / str(each) / "status", _HELD) for each in pids)
    if held <= limit or len(pids) == 1:
        return held
    return sum(1024 * _numbers(_PROC / str(each) / "smaps_rollup", _HELD_IN_SHARES) for each in pids)


def resident_bytes(pid: int, *, and_descendants: bool) -> int:
    """The memory that a process has in RAM (proc(5): VmRSS); memory shared with descendants counts for each."""
    pids = [pid, *(_descendants(pid) if and_descendants else ())]
    return sum(1024 * _numbers(_PROC / str(each) / "status", (b"VmRSS:",)) for each in pids)


def _count_kernel_kills() -> int:
    """The number since the system started, including those of a control group that was full."""
    return _numbers(_PROC / "vmstat", (b"oom_kill ",))


def _descendants(pid: int) -> Iterator[int]:
    """The children, their children …: cheap to find, and all that a worker's own libraries start."""
    for thread in _names(_PROC / str(pid) / "task"):
        for child in _read(_PROC / str(pid) / "task" / thread / "children").split():
            yield int(child)
            yield from _descendants(int(child))


def _group_limits(group: Path) -> list[int]:
    """The limits on a control group and on those above it, of cgroup versions 2 and 1."""
    limits = []
    for folder in (group, *group.parents):
        for name in ("memory.max", "memory.limit_in_bytes"):
            limits += [int(text) for text in [_read(folder / name).strip()] if text.isdigit()]
    return limits


def _numbers(path: Path, names: tuple[bytes, ...]) -> int:
    """The sum of the numbers in the lines that begin with one of `names`."""
    return sum(int(line.split()[1]) for line in _read(path).splitlines() if line.startswith(names))


def _names(folder: Path) -> list[str]:
    try:
        return [path.name for path in folder.iterdir()]
    except OSError:
        return []


def _read(path: Path) -> bytes:
    """The content of a file, empty if it is not there: a process may exit at any time."""
    try:
        return path.read_bytes()
    except OSError:
        return b""
