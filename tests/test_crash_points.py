"""A SIGKILL before and after every rename, link, fsync and commit of the way of a file, and then a second start.

The points are not listed by hand: a run without a kill counts them, so a new call is a new point. The daemon runs in a
fork of this process (its modules are loaded already); its worker is the real one.
"""

import contextlib
import os
import signal
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from places import Place

from daemon import config, durable, folders, store
from daemon.audit import Audit
from daemon.errors import UsageError
from daemon.recovery import Recovery
from daemon.service import Service

TEXT = """
    [paths]
    outbox = "{outbox}"
    [inbox]
    text = "count"
    settle_seconds = 0.0
    [recipes.count]
    processor = "plaintext"
"""
_CALLS = ("rename_noreplace", "fsync_folder", "write_file", "link_or_copy", "remove_tree", "remove_empty_folders")
_COMMIT = "commit"


class _Counter:
    """Kills this process at the n-th passage; 0: never."""

    def __init__(self, at: int, report: int):
        self._at = at
        self._report = report
        self._passed = 0

    def wrap(self, name: str, call: Callable) -> Callable:
        def wrapped(*arguments, **keywords):
            self._pass(f"before {name}")
            result = call(*arguments, **keywords)
            self._pass(f"after {name}")
            return result

        return wrapped

    def _pass(self, where: str) -> None:
        self._passed += 1
        os.write(self._report, f"{where}\n".encode())
        if self._passed == self._at:
            os.kill(os.getpid(), signal.SIGKILL)


def _run_daemon(settings: config.Settings, kill_at: int = 0) -> tuple[int, list[str]]:
    """A drain in a fork; its exit status (-9: killed) and the points it passed."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        status = 70
        with contextlib.suppress(BaseException):
            os.close(reader)
            sys.stderr = sys.stdout = open(os.devnull, "w")  # noqa: SIM115, PTH123 - until the fork ends
            counter = _Counter(kill_at, writer)
            for name in _CALLS:
                wrapped = counter.wrap(name, getattr(durable, name))
                setattr(durable, name, wrapped)
            leave = store._Transaction.__exit__
            store._Transaction.__exit__ = counter.wrap(_COMMIT, leave)
            Service(settings, drain=True).run()
            status = 0
        os._exit(status)
    os.close(writer)
    with os.fdopen(reader) as lines:
        points = lines.read().splitlines()
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status), points


def _make(home: Path, outbox: Path) -> Place:
    home.mkdir(parents=True)
    place = Place(home, TEXT.format(outbox=outbox))
    place.outbox = outbox
    place.drop("a/good.txt", "fine text")
    place.drop("bad.txt", b"\xff\xfe\xfd not text \x00")
    place.drop("b/latin.txt", "ä".encode("latin-1"))
    return place


def _check(place: Place, at: str) -> None:
    """Exactly one good result and two failures, each with its original; nothing anywhere else."""
    rows = {row["file"]: row for row in place.rows()}
    states = {file: row["state"] for file, row in rows.items()}
    assert states == {"a/good.txt": "done", "bad.txt": "failed", "b/latin.txt": "failed"}, at
    results = sorted(str(path.relative_to(place.outbox)) for path in place.outbox.rglob("*.json"))
    assert results == ["a/good/result.json", "failed/b/latin/error.json", "failed/bad/error.json"], at
    assert (place.outbox / "a" / "good" / "original" / "good.txt").read_text() == "fine text", at
    assert (place.outbox / "a" / "good" / "good.txt").read_text() == "fine text", at
    assert [path.name for path in (place.inbox / ".taken").iterdir()] == [".lock"], at
    assert list((place.outbox / ".staging").iterdir()) == [], at
    assert _files(place.inbox) == [".lock"], at


def _files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def _verify(place: Place, at: str) -> None:
    settings = place.settings()
    owned = folders.Folders(inbox=settings.inbox, outbox=settings.outbox, state=settings.state)
    with contextlib.suppress(UsageError):  # killed before the job log was made
        verdict = Audit(owned, settings.database, is_running=False).run()
        assert verdict.is_clean, (at, verdict.findings)


def _every_point(tmp_path: Path, outbox: Callable[[Path], Path], step: int) -> None:
    clean = _make(tmp_path / "clean", outbox(tmp_path / "clean"))
    status, points = _run_daemon(clean.settings())
    assert status == 0
    _check(clean, "no kill")
    assert len(points) > 60 and f"after {_COMMIT}" in points, points
    for number in range(1, len(points) + 1, step):
        home = tmp_path / str(number)
        place = _make(home, outbox(home))
        status, passed = _run_daemon(place.settings(), kill_at=number)
        at = f"point {number}: {passed[-1]}"
        assert status == -signal.SIGKILL, at
        _verify(place, at)
        assert _run_daemon(place.settings())[0] == 0, at
        _check(place, at)
        _verify(place, at)


def test_kill_at_every_third_point_loses_nothing(tmp_path: Path):
    _every_point(tmp_path, lambda home: home / "outbox", step=3)


@pytest.mark.long
def test_kill_at_every_point_loses_nothing(tmp_path: Path):
    _every_point(tmp_path, lambda home: home / "outbox", step=1)


@pytest.mark.long
@pytest.mark.skipif(not Path("/dev/shm").is_dir(), reason="needs a second file system")
def test_kill_at_every_point_with_the_outbox_on_another_file_system(tmp_path: Path):
    with tempfile.TemporaryDirectory(dir="/dev/shm") as shm:
        _every_point(tmp_path, lambda home: Path(shm) / home.name, step=1)


def test_the_rig_sees_a_daemon_that_forgets_to_record_its_intent(tmp_path: Path, monkeypatch):
    """A negative control: without recovery's adoption of taken files, a kill after the take must be noticed."""
    monkeypatch.setattr(Recovery, "_sweep_or_adopt", lambda self, job_id: None)
    with pytest.raises(AssertionError):
        _every_point(tmp_path, lambda home: home / "outbox", step=2)
