"""Lost file events: floods, an overflowing queue, no free watches, file systems changed by other machines, folders that
disappear. The daemon must still take every file, and `inboxd status` must report the folders that it only polls.
"""

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from detection_rig import BUSY, TOML, WatchedPlace, Writer, check_overflow
from sandbox import wait_for
from three_files import verify

POLLING = TOML.replace('rescan = "1h"', 'rescan = "200ms"')
FILES = int(os.environ.get("INBOXD_FILES", "100000"))


@pytest.fixture
def make_watched_place(tmp_path: Path) -> Iterator:
    made = []

    def make(toml: str = TOML) -> WatchedPlace:
        made.append(WatchedPlace(tmp_path, toml))
        return made[-1]

    yield make
    for place in made:
        place.stop_all()


def enter(*options: str) -> list[str]:
    """The command that runs another one in separate namespaces; skips the test where there are none."""
    command = ["unshare", "--user", "--map-root-user", *options]
    if not shutil.which("unshare") or subprocess.run([*command, "true"], capture_output=True).returncode:
        pytest.skip("needs user namespaces")
    return command


# ---------------------------------------------------------------------------------------- floods


def flood(place: WatchedPlace, files: int) -> float:
    """Rename `files` into the inbox as fast as another process can, while a job runs; return the seconds until all are
    queued."""
    place.drop("first.txt", "wait_for never")
    place.start()
    wait_for(lambda: (place.row("first.txt") or {}).get("state") == "running", "the first job to run")
    with Writer(place.inbox) as writer:
        writer.do(f"away = {str(place.elsewhere)!r}")
        writer.do(f"for n in range({files}): open(f'{{away}}/{{n}}', 'w').write(f'fine {{n}}')")
        writer.do(f"for n in range({files}): os.rename(f'{{away}}/{{n}}', f'{{n}}.txt')")
        renamed = time.monotonic()
    wait_for(lambda: place.status()["jobs"].get("queued", 0) >= files, f"{files} files in the queue", 60 + files / 100)
    seconds = time.monotonic() - renamed
    names = {row["file"] for row in place.rows("SELECT file FROM job_log")}
    assert names == {f"{number}.txt" for number in range(files)} | {"first.txt"}
    assert place.rows("SELECT count(*) AS jobs FROM job_log") == [{"jobs": files + 1}]
    assert {path.name for path in place.inbox.iterdir()} == {".taken", ".incoming"}
    return seconds


def test_thousands_of_files_renamed_in_at_once_are_all_queued_once(make_watched_place):
    flood(make_watched_place(BUSY), 2000)


@pytest.mark.long
def test_flood_of_files_renamed_in_at_once_is_queued_to_the_last(make_watched_place):
    place = make_watched_place(BUSY)
    seconds = flood(place, FILES)
    lost = place.log().count("inotify lost events")
    place.stop_all()
    verify(place, "after the flood")
    print(
        f"\nflood: {FILES} files, {FILES} queued, 0 missed, 0 twice, the last {seconds:.1f} s after its rename "
        f"({FILES / seconds:.0f} files/s), {lost} times events were lost, 0 bad"
    )


def test_thousand_folders_moved_in_at_once_are_all_scanned(make_watched_place):
    place = make_watched_place(BUSY)
    tree = place.elsewhere / "tree"
    for number in range(1000):
        (tree / str(number)).mkdir(parents=True)
    for number in range(0, 1000, 7):
        (tree / str(number) / "file.txt").write_text("fine")
    place.drop("first.txt", "wait_for never")
    place.start()
    wait_for(lambda: (place.row("first.txt") or {}).get("state") == "running", "the first job to run")
    tree.rename(place.inbox / "tree")
    awaited = {f"tree/{number}/file.txt" for number in range(0, 1000, 7)}
    wait_for(lambda: awaited <= {row["file"] for row in place.rows()}, "a file from each seventh folder")
    (place.elsewhere / "late.txt").write_text("fine")
    (place.elsewhere / "late.txt").rename(place.inbox / "tree" / "999" / "late.txt")
    wait_for(lambda: place.row("tree/999/late.txt"), "a file put into a folder of the flood")
    assert len(place.rows()) == len(awaited) + 2


# ---------------------------------------------------------------------------------------- too few events


def test_events_the_kernel_drops_lose_no_file(make_watched_place):
    place = make_watched_place()
    daemon = place.start()
    check_overflow(place, daemon)
    place.stop(daemon)
    place.verify()


def test_rig_detects_a_daemon_that_ignores_lost_events(make_watched_place):
    """A negative control."""
    place = make_watched_place()
    daemon = place.start(sabotage="lost-events-are-not-reported")
    with pytest.raises(pytest.fail.Exception, match="did not come within"):
        check_overflow(place, daemon, deadline=3)


@pytest.mark.parametrize("limit", ["max_inotify_instances", "max_inotify_watches"])
def test_without_inotify_the_inbox_is_polled_and_status_reports_it(make_watched_place, limit: str):
    place = make_watched_place(POLLING)
    few = f"echo {'1' if 'watches' in limit else '0'} >/proc/sys/user/{limit}"
    daemon = place.start(inside=[*enter(), "sh", "-ec", f'{few}; exec "$@"', "sh"])
    place.drop("deep/er/a.txt", "polled")
    place.expect("deep", {"er/a.txt": b"polled"})
    problems = place.status()["watch_problems"]
    assert any("max_user_" in why for why in problems.values()), problems
    shown = " ".join(place.inboxd("status").stdout.split())
    assert "folders are only polled. Raise it: sysctl fs.inotify.max_user_" in shown
    place.stop(daemon)
    place.verify()


def test_file_system_that_others_change_is_polled_and_status_reports_it(make_watched_place):
    """The lower layer of an overlay sends no events when it changes outside the mount namespace."""
    place = make_watched_place(POLLING)
    for name in ("lower", "upper", "work"):
        (place.home / name).mkdir()
    inside = enter("--mount")
    options = "lowerdir=lower,upperdir=upper,workdir=work"
    mount = f"mount -t overlay overlay -o {options} {place.inbox}"
    if subprocess.run([*inside, "sh", "-c", mount], cwd=place.home, capture_output=True).returncode:
        pytest.skip("needs overlay mounts in a user namespace")
    daemon = place.start(inside=[*inside, "sh", "-ec", f'{mount}; exec "$@"', "sh"])
    assert "polled: overlay" in place.status()["watch_problems"].values()
    (place.home / "lower" / "from_below.txt").write_text("polled")
    assert place.original(place.ended("from_below.txt")) == b"polled"
    place.stop(daemon)


# ---------------------------------------------------------------------------------------- folders that disappear


def test_inbox_removed_and_created_again_is_watched(make_watched_place):
    place = make_watched_place(POLLING)
    place.start()
    place.drop("before.txt")
    place.ended("before.txt")
    shutil.rmtree(place.inbox)
    place.drop("after.txt", "made again")
    assert place.original(place.ended("after.txt")) == b"made again"
    place.verify()


@pytest.mark.parametrize("misdeed", ["wait_for", "read_after"])
def test_inbox_renamed_and_renamed_back_loses_nothing(make_watched_place, misdeed: str):
    place = make_watched_place()
    place.drop("retried/waits.txt", f"{misdeed} {place.home / 'go'}")
    daemon = place.start()
    wait_for(lambda: (place.row("retried/waits.txt") or {}).get("state") == "running", "the job to run")
    place.inbox.rename(place.elsewhere / "away")
    wait_for(lambda: "does not exist" in (place.status()["storage_problem"] or ""), "the daemon to notice")
    (place.home / "go").touch()  # the job ends meanwhile
    wait_for(lambda: not place.status()["running"], "the end of the job's work")
    (place.elsewhere / "away").rename(place.inbox)
    place.ended("retried/waits.txt")
    assert [row["charged"] for row in place.rows("SELECT charged FROM jobs")] == [0]
    place.drop("later.txt")
    place.ended("later.txt")
    assert {row["state"] for row in place.rows()} == {"done"}
    assert place.status()["pid"] == daemon.pid
    place.verify()
