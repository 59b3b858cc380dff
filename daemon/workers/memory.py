"""How much memory there is, how much a worker holds, and whether the kernel ended one for it. Reads /proc, no more.

What counts is what cannot be dropped again: anonymous and shared memory, and what of it was swapped out (proc(5):
RssAnon, RssShmem, VmSwap). Mapped weights are left out, as the kernel drops them when it needs the room; so is address
space that is only reserved: CUDA takes terabytes of it, so a limit there (RLIMIT_AS) stops any worker with a GPU.
"""

from collections.abc import Iterator
from pathlib import Path

from processors.units import parse_size

_PROC = Path("/proc")
_HELD = (b"RssAnon:", b"RssShmem:", b"VmSwap:")
_HELD_IN_SHARES = (b"Pss_Anon:", b"Pss_Shmem:", b"SwapPss:")  # what forked processes share is counted once
_LOOK_SECONDS = (0.02, 1.0)  # between two looks at a worker: the nearer it is to its limit, the sooner
_FASTEST_GROWTH = 4e9  # bytes a second: what one process can touch, zeroed page by page


class Watch:
    """Looks at what one process and its descendants hold, as often as is needed to see it pass `limit` bytes."""

    def __init__(self, limit: int):
        self.next_look: float | None = 0.0  # of the monotonic clock; None: it has nothing to do, and is left alone
        self._limit = limit
        self._kernel_kills = _count_kernel_kills()

    def look(self, pid: int, now: float) -> int:
        """The bytes it holds if they are too many; 0 if they are not, or it is not yet time to look."""
        if self.next_look is None or now < self.next_look:
            return 0
        held = held_bytes(pid, self._limit)
        self._kernel_kills = _count_kernel_kills()
        shortest, longest = _LOOK_SECONDS
        self.next_look = now + min(longest, max(shortest, (self._limit - held) / _FASTEST_GROWTH))
        return held if held > self._limit else 0

    def has_kernel_killed(self) -> bool:
        """Has the kernel ended any process for want of memory since the last look?"""
        return _count_kernel_kills() > self._kernel_kills


def limit_bytes(memory_max: str) -> int:
    """The limit that an option `memory_max` stands for, here."""
    size = parse_size(memory_max)
    return size if isinstance(size, int) else int(size * total_bytes())


def total_bytes() -> int:
    """The memory of this machine, or as much of it as this process may use (its control group, in a container)."""
    found = [1024 * _numbers(_PROC / "meminfo", (b"MemTotal:",))]
    for line in _read(_PROC / "self" / "cgroup").decode(errors="replace").splitlines():
        _, controllers, group = line.split(":", 2)
        if controllers in ("", "memory"):
            found += _group_limits(Path("/sys/fs/cgroup", controllers, group.lstrip("/")))
    return min(found)


def held_bytes(pid: int, limit: int) -> int:
    """What a process and its descendants hold, above `limit` exactly; 0 once it has ended."""
    pids = [pid, *_descendants(pid)]
    held = sum(1024 * _numbers(_PROC / str(each) / "status", _HELD) for each in pids)
    if held <= limit or len(pids) == 1:
        return held
    return sum(1024 * _numbers(_PROC / str(each) / "smaps_rollup", _HELD_IN_SHARES) for each in pids)


def resident_bytes(pid: int, *, and_descendants: bool) -> int:
    """The memory that a process has in RAM (proc(5): VmRSS); what it shares with its descendants counts for each."""
    pids = [pid, *(_descendants(pid) if and_descendants else ())]
    return sum(1024 * _numbers(_PROC / str(each) / "status", (b"VmRSS:",)) for each in pids)


def _count_kernel_kills() -> int:
    """Since the system started; those in a control group that is full are among them."""
    return _numbers(_PROC / "vmstat", (b"oom_kill ",))


def _descendants(pid: int) -> Iterator[int]:
    """Those in the line of their parents: cheap, and all that a worker's own libraries start."""
    for thread in _names(_PROC / str(pid) / "task"):
        for child in _read(_PROC / str(pid) / "task" / thread / "children").split():
            yield int(child)
            yield from _descendants(int(child))


def _group_limits(group: Path) -> list[int]:
    """The limits on a control group and on those it lies in: version 2, and version 1."""
    limits = []
    for folder in (group, *group.parents):
        for name in ("memory.max", "memory.limit_in_bytes"):
            limits += [int(text) for text in [_read(folder / name).strip()] if text.isdigit()]
    return limits


def _numbers(path: Path, names: tuple[bytes, ...]) -> int:
    """The sum of the numbers in those lines that begin with one of `names`."""
    return sum(int(line.split()[1]) for line in _read(path).splitlines() if line.startswith(names))


def _names(folder: Path) -> list[str]:
    try:
        return [path.name for path in folder.iterdir()]
    except OSError:
        return []


def _read(path: Path) -> bytes:
    """Nothing if it is not there: a process may end at any time."""
    try:
        return path.read_bytes()
    except OSError:
        return b""
