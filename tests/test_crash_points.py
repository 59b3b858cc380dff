"""A SIGKILL before and after every rename, link, fsync and commit of the way of a file, and then a second start.

The points are not listed by hand: a run without a kill counts them, so a new call is a new point. The daemon and its
worker are the real ones; see crash_rig.py.
"""

import contextlib
import signal
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from crash_rig import COMMIT, run_daemon
from places import Place

from daemon import folders
from daemon.audit import Audit
from daemon.errors import UsageError

TEXT = """
    [paths]
    outbox = "{outbox}"
    [inbox]
    text = "count"
    settle_seconds = 0.0
    [recipes.count]
    processor = "plaintext"
"""


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


def _every_point(tmp_path: Path, outbox: Callable[[Path], Path], *, step: int, sabotage: bool = False) -> None:
    clean = _make(tmp_path / "clean", outbox(tmp_path / "clean"))
    status, points = run_daemon(clean.settings())
    assert status == 0
    _check(clean, "no kill")
    assert len(points) > 60 and f"after {COMMIT}" in points, points
    for number in range(1, len(points) + 1, step):
        home = tmp_path / str(number)
        place = _make(home, outbox(home))
        status, passed = run_daemon(place.settings(), kill_at=number)
        at = f"point {number}: {passed[-1]}"
        assert status == -signal.SIGKILL, at
        _verify(place, at)
        assert run_daemon(place.settings(), sabotage=sabotage)[0] == 0, at
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


def test_the_rig_sees_a_daemon_that_forgets_what_it_took(tmp_path: Path):
    """A negative control: without recovery's adoption of taken files, a kill after the take must be noticed."""
    with pytest.raises(AssertionError):
        _every_point(tmp_path, lambda home: home / "outbox", step=2, sabotage=True)
