"""Each system call on the daemon's folders fails, once or until its cause is gone: nothing is lost, no attempt is
charged, and work continues automatically. This includes the calls of SQLite and of workers (see faults.c).
"""

import collections
import errno
import itertools
import os
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import many_files
import pytest
import three_files
from faults import Fault, ForkServer, calls, cause_is_gone
from sandbox import Place, wait_for
from three_files import verify

UNTIL_GONE = 10**9
ERRORS = {  # the errors that each kind of call may report
    "create": (errno.ENOSPC, errno.EMFILE, errno.EACCES, errno.EROFS, errno.EIO),
    "open": (errno.EMFILE, errno.EIO, errno.EACCES),
    "read": (errno.EIO,),
    "stat": (errno.EIO, errno.EACCES),
    "write": (errno.ENOSPC, errno.EIO),
    "fsync": (errno.EIO, errno.ENOSPC),
    "mkdir": (errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EIO),
    "rename": (errno.ENOSPC, errno.EIO, errno.EROFS, errno.EACCES),
    "link": (errno.ENOSPC, errno.EIO, errno.EROFS, errno.EACCES),
    "unlink": (errno.EIO, errno.EROFS, errno.EACCES),
    "rmdir": (errno.EIO, errno.EACCES),
    "truncate": (errno.EIO, errno.ENOSPC),
}


def _faults(seen: list[str], *, in_worker: bool) -> Iterator[Fault]:
    """A fault for each call of a clean run, with the errors of its kind in turn."""
    turns = {kind: itertools.cycle(errors) for kind, errors in ERRORS.items()}
    for kind, count in collections.Counter(call.split(" ", 1)[0] for call in seen).items():
        for nth in range(1, count + 1):
            if kind in turns:
                yield Fault(call=kind, nth=nth, error=next(turns[kind]), in_worker=in_worker)


def _check_fault(server: ForkServer, place: Place, fault: Fault, files: ModuleType) -> float:
    """Run one fault; return the seconds from the end of its cause to the end of all work."""
    at = f"{fault.call} number {fault.nth} fails with {errno.errorcode[fault.error]}"
    server.start(place, fault)
    since = time.monotonic()
    if fault.count == UNTIL_GONE:
        wait_for(lambda: _failures(place) or _has_ended(place), f"{at}: the failure")
        cause_is_gone(place)
        since = time.monotonic()
    status = server.wait(place)
    seconds = time.monotonic() - since
    failed = [call for call in calls(place) if call.startswith("FAILED")]
    at += f": {failed[:1]}"
    if status != 0 and " ready: " not in place.log():  # it refused to start, and reported the reason
        assert "inboxd: " in place.log() and "Traceback" not in place.log(), (at, place.log())
        assert server.run(place) == 0, (at, place.log())
    else:
        assert status == 0, (at, place.log())
    files.check(place, f"{at}\n{place.log()}")
    verify(place, at)
    charged = place.rows("SELECT name, charged FROM jobs WHERE state = 'done' AND charged > 0")
    if not _is_denied_to_worker(fault, failed):
        assert not charged, (at, charged, place.log())
    _check_fsyncs(calls(place), at)
    return seconds


def _is_denied_to_worker(fault: Fault, failed: list[str]) -> bool:
    """True if a worker may not read an original: because that may be permanent, the attempt is charged."""
    return fault.in_worker and fault.error == errno.EACCES and failed[:1] != [] and "open inbox/.taken/" in failed[0]


def _failures(place: Place) -> int:
    return sum(call.startswith("FAILED") for call in calls(place))


def _has_ended(place: Place) -> bool:
    """True if the fault never occurred, because the run was shorter than the clean one."""
    return any("jobs.db-wal" in call and call.startswith("unlink") for call in calls(place)[-3:])


def _check_fsyncs(seen: list[str], at: str) -> None:
    """Check that, after a failed fsync, the same file is not fsynced again. (SQLite rewrites the frames of its log.)"""
    distrusted: set[str] = set()
    for call in seen:
        kind, _, path = call.partition(" ")
        if kind == "FAILED" and path.startswith("fsync ") and "jobs.db" not in path:
            distrusted.add(path.removeprefix("fsync "))
        elif kind in ("create", "rename", "unlink", "link"):
            distrusted.discard(path)
        elif kind == "fsync" and path in distrusted and Path(path).suffix in (".txt", ".json", ".prompt"):
            repeated = seen[seen.index(f"FAILED {call}") + 1 :].count(call)
            assert not repeated, f"{at}: {call} was tried again"


def _each_fault(
    server: ForkServer,
    tmp_path: Path,
    *,
    step: int,
    count: int,
    sabotage: str = "",
    files: ModuleType = three_files,
) -> None:
    lay = files.lay
    clean = lay(tmp_path / "clean", tmp_path / "clean" / "outbox")
    assert server.run(clean) == 0
    faults = list(_faults(calls(clean), in_worker=False))
    clean_worker = lay(tmp_path / "worker", tmp_path / "worker" / "outbox")
    assert server.run(clean_worker, Fault(in_worker=True)) == 0
    in_worker = list(_faults(calls(clean_worker), in_worker=True))
    assert len(faults) > 300 and len(in_worker) > 5, (len(faults), len(in_worker))
    done, slowest = 0, 0.0
    for number, fault in enumerate([*in_worker, *faults][::step]):
        place = lay(tmp_path / str(number), tmp_path / str(number) / "outbox")
        fault = Fault(**{**vars(fault), "count": count, "sabotage": sabotage})
        slowest = max(slowest, _check_fault(server, place, fault, files))
        done += 1
    print(
        f"injected errors: {done} faults of {len(faults) + len(in_worker)} calls, 0 bad, "
        f"slowest recovery {slowest:.1f} s"
    )


def test_call_that_fails_once_costs_nothing(fork_server: ForkServer, tmp_path: Path):
    _each_fault(fork_server, tmp_path, step=211, count=1)


def test_work_continues_once_calls_no_longer_fail(fork_server: ForkServer, tmp_path: Path):
    _each_fault(fork_server, tmp_path, step=223, count=UNTIL_GONE)


def test_call_that_fails_in_a_group_costs_nothing(fork_server: ForkServer, tmp_path: Path):
    _each_fault(fork_server, tmp_path, step=997, count=1, files=many_files)


@pytest.mark.long
@pytest.mark.parametrize("count", [1, UNTIL_GONE], ids=["once", "until its cause is gone"])
def test_many_calls_of_groups_may_fail(fork_server: ForkServer, tmp_path: Path, count: int):
    _each_fault(fork_server, tmp_path, step=23, count=count, files=many_files)


@pytest.mark.long
@pytest.mark.parametrize("count", [1, UNTIL_GONE], ids=["once", "until its cause is gone"])
def test_every_call_may_fail(fork_server: ForkServer, tmp_path: Path, count: int):
    _each_fault(fork_server, tmp_path, step=int(os.environ.get("INBOXD_FAULT_STEP", "1")), count=count)


@pytest.mark.parametrize("sabotage", ["charge_for_the_disk", "keep_nothing"])
def test_rig_detects_sabotage(sabotage: str, fork_server: ForkServer, tmp_path: Path):
    """Negative controls."""
    with pytest.raises(AssertionError, match="fails with|hangs"):
        _each_fault(fork_server, tmp_path, step=17, count=1, sabotage=sabotage)
