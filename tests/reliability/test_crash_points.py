"""A SIGKILL between every two changes of the disk, then a second one during the recovery from the first.

The points are not listed by hand: a library preloaded into the daemon counts the system calls on the daemon's folders,
so that each new call is a new point, whether it is Python's or SQLite's (see faults.c). A kill after the n-th call has
the same effect on the disk as one before the next call.
"""

import random
import shutil
import signal
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import flat_layout
import many_files
import pytest
import submitted_file
import three_files
from faults import Fault, ForkServer, changes
from three_files import verify

SEED = 7


def _every_point(
    server: ForkServer,
    tmp_path: Path,
    outbox: Callable[[Path], Path],
    *,
    step: int = 1,
    start: str = "",
    count: int | None = None,
    sabotage: str = "",
    files: ModuleType = three_files,
) -> None:
    """Kill a daemon at every `step`-th point, from the first one whose call begins with `start`; `count`: the maximum
    number of kills."""
    lay, check = files.lay, files.check
    clean = lay(tmp_path / "clean", outbox(tmp_path / "clean"))
    assert server.run(clean) == 0, clean.log()
    check(clean, "no kill")
    points = changes(clean)
    assert len(points) > 200, "the library does not record the daemon's calls"
    for kind in ("rename outbox/", "fsync state/jobs.db-wal", "unlink inbox/.taken", "mkdir", "write", "link"):
        assert any(kind in point for point in points), f"no point at {kind}"
    rounds, random_point = 0, random.Random(SEED)
    first = next(number for number, call in enumerate(points, 1) if call.startswith(start))
    for number in range(first, len(points), step)[:count]:
        rounds += 1
        home = tmp_path / str(number)
        place = lay(home, outbox(home))
        status = server.run(place, Fault(kill_at=2 * number))
        assert status == -signal.SIGKILL or files is many_files, (
            number
        )  # its groups may be larger than in the clean run
        at = f"point {number}: after {changes(place)[-1]}"
        verify(place, at)
        second = random_point.randrange(1, 200)  # after the last call of some runs, which are then not killed again
        status = server.run(place, Fault(kill_at=second, sabotage=sabotage))
        at += f", and {second} in the next run: after {changes(place)[-1]}"
        verify(place, at)
        if status == -signal.SIGKILL:
            status = server.run(place, Fault(sabotage=sabotage))
        assert status == 0, (at, place.log())
        check(place, at)
        verify(place, at)
        shutil.rmtree(home)
        shutil.rmtree(place.outbox, ignore_errors=True)
    print(f"crash points: {len(points)} calls, {rounds} kills and second kills, 0 bad, seed {SEED}")


def test_kill_between_changes_of_the_disk_loses_nothing(fork_server: ForkServer, tmp_path: Path):
    _every_point(fork_server, tmp_path, lambda home: home / "outbox", step=61)


@pytest.mark.long
def test_kill_at_every_point_loses_nothing(fork_server: ForkServer, tmp_path: Path):
    _every_point(fork_server, tmp_path, lambda home: home / "outbox")


@pytest.mark.long
@pytest.mark.skipif(not Path("/dev/shm").is_dir(), reason="needs a second file system")
def test_kill_at_every_point_with_the_outbox_on_another_file_system(fork_server: ForkServer, tmp_path: Path):
    with tempfile.TemporaryDirectory(dir="/dev/shm") as shm:
        _every_point(fork_server, tmp_path, lambda home: Path(shm) / home.name)


def test_kill_in_the_middle_of_a_group_loses_nothing(fork_server: ForkServer, tmp_path: Path):
    _every_point(fork_server, tmp_path, lambda home: home / "outbox", step=293, files=many_files)


@pytest.mark.long
def test_kill_at_many_points_of_groups_loses_nothing(fork_server: ForkServer, tmp_path: Path):
    _every_point(fork_server, tmp_path, lambda home: home / "outbox", step=5, files=many_files)


def test_kill_between_changes_of_the_disk_loses_nothing_of_flat_results(fork_server: ForkServer, tmp_path: Path):
    _every_point(
        fork_server,
        tmp_path,
        lambda home: home / "outbox",
        start="rename outbox/",
        step=23,
        files=flat_layout,
    )


@pytest.mark.long
def test_kill_at_every_point_loses_nothing_of_flat_results(fork_server: ForkServer, tmp_path: Path):
    _every_point(fork_server, tmp_path, lambda home: home / "outbox", files=flat_layout)


_OF_UPLOAD = f"mkdir inbox/.taken/{submitted_file.UPLOAD}"
_UNTIL_RECORDED = 18  # number of calls, from the first that a submission causes


def test_kill_while_a_submitted_file_is_taken_loses_nothing(fork_server: ForkServer, tmp_path: Path):
    _every_point(
        fork_server,
        tmp_path,
        lambda home: home / "outbox",
        start=_OF_UPLOAD,
        step=3,
        count=_UNTIL_RECORDED // 3,
        files=submitted_file,
    )


@pytest.mark.long
def test_kill_at_every_point_with_a_submitted_file_loses_nothing(fork_server: ForkServer, tmp_path: Path):
    _every_point(fork_server, tmp_path, lambda home: home / "outbox", files=submitted_file)


def test_rig_detects_a_daemon_that_adopts_no_submitted_file(fork_server: ForkServer, tmp_path: Path):
    start = f"rename inbox/.taken/{submitted_file.UPLOAD}.draft"
    with pytest.raises(AssertionError, match="point "):
        _every_point(
            fork_server,
            tmp_path,
            lambda home: home / "outbox",
            start=start,
            count=3,
            sabotage="forget_the_taken",
            files=submitted_file,
        )


def test_rig_detects_a_daemon_that_finishes_a_group_before_the_renames(fork_server: ForkServer, tmp_path: Path):
    with pytest.raises(AssertionError, match="point "):
        _every_point(
            fork_server,
            tmp_path,
            lambda home: home / "outbox",
            step=53,
            sabotage="finish_a_group_before_the_renames",
            files=many_files,
        )


@pytest.mark.parametrize(
    ("sabotage", "start"), [("forget_the_taken", "rename inbox/.taken"), ("finish_before_the_rename", "")]
)
def test_rig_detects_sabotage(sabotage: str, start: str, fork_server: ForkServer, tmp_path: Path):
    """Negative controls. `start`: the first call after which the broken daemon can lose something."""
    with pytest.raises(AssertionError, match="point "):
        _every_point(fork_server, tmp_path, lambda home: home / "outbox", step=5, start=start, sabotage=sabotage)
