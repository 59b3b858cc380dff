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
from detection_rig import BUSY, TOML, House, Writer, check_overflow
from sandbox import wait_for
from three_files import verify

POLLING = TOML.replace('rescan = "1h"', 'rescan = "200ms"')
FILES = int(os.environ.get("INBOXD_FILES", "100000"))


@pytest.fixture
def make_house(tmp_path: Path) -> Iterator:
    made = []

    def make(toml: str = TOML) -> House:
        made.append(House(tmp_path, toml))
        return made[-1]

    yield make
    for house in made:
        house.stop_all()


def enter(*options: str) -> list[str]:
    """The command that runs another one in separate namespaces; skips the test where there are none."""
    command = ["unshare", "--user", "--map-root-user", *options]
    if not shutil.which("unshare") or subprocess.run([*command, "true"], capture_output=True).returncode:
        pytest.skip("needs user namespaces")
    return command


# ---------------------------------------------------------------------------------------- floods


def flood(house: House, files: int) -> float:
    """Rename `files` into the inbox as fast as another process can, while a job runs; return the seconds until all are
    queued."""
    house.drop("first.txt", "wait_for never")
    house.start()
    wait_for(lambda: (house.row("first.txt") or {}).get("state") == "running", "the first job to run")
    with Writer(house.inbox) as writer:
        writer.do(f"away = {str(house.elsewhere)!r}")
        writer.do(f"for n in range({files}): open(f'{{away}}/{{n}}', 'w').write(f'fine {{n}}')")
        writer.do(f"for n in range({files}): os.rename(f'{{away}}/{{n}}', f'{{n}}.txt')")
        renamed = time.monotonic()
    wait_for(lambda: house.status()["jobs"].get("queued", 0) >= files, f"{files} files in the queue", 60 + files / 100)
    seconds = time.monotonic() - renamed
    names = {row["file"] for row in house.rows("SELECT file FROM job_log")}
    assert names == {f"{number}.txt" for number in range(files)} | {"first.txt"}
    assert house.rows("SELECT count(*) AS jobs FROM job_log") == [{"jobs": files + 1}]
    assert {path.name for path in house.inbox.iterdir()} == {".taken", ".incoming"}
    return seconds


def test_thousands_of_files_renamed_in_at_once_are_all_queued_once(make_house):
    flood(make_house(BUSY), 2000)


@pytest.mark.long
def test_flood_of_files_renamed_in_at_once_is_queued_to_the_last(make_house):
    house = make_house(BUSY)
    seconds = flood(house, FILES)
    lost = house.log().count("inotify lost events")
    house.stop_all()
    verify(house, "after the flood")
    print(
        f"\nflood: {FILES} files, {FILES} queued, 0 missed, 0 twice, the last {seconds:.1f} s after its rename "
        f"({FILES / seconds:.0f} files/s), {lost} times events were lost, 0 bad"
    )


def test_thousand_folders_moved_in_at_once_are_all_scanned(make_house):
    house = make_house(BUSY)
    tree = house.elsewhere / "tree"
    for number in range(1000):
        (tree / str(number)).mkdir(parents=True)
    for number in range(0, 1000, 7):
        (tree / str(number) / "file.txt").write_text("fine")
    house.drop("first.txt", "wait_for never")
    house.start()
    wait_for(lambda: (house.row("first.txt") or {}).get("state") == "running", "the first job to run")
    tree.rename(house.inbox / "tree")
    awaited = {f"tree/{number}/file.txt" for number in range(0, 1000, 7)}
    wait_for(lambda: awaited <= {row["file"] for row in house.rows()}, "a file from each seventh folder")
    (house.elsewhere / "late.txt").write_text("fine")
    (house.elsewhere / "late.txt").rename(house.inbox / "tree" / "999" / "late.txt")
    wait_for(lambda: house.row("tree/999/late.txt"), "a file put into a folder of the flood")
    assert len(house.rows()) == len(awaited) + 2


# ---------------------------------------------------------------------------------------- too few events


def test_events_the_kernel_drops_lose_no_file(make_house):
    house = make_house()
    daemon = house.start()
    check_overflow(house, daemon)
    house.stop(daemon)
    house.verify()


def test_rig_detects_a_daemon_that_ignores_lost_events(make_house):
    """A negative control."""
    house = make_house()
    daemon = house.start(sabotage="lost-events-are-not-reported")
    with pytest.raises(pytest.fail.Exception, match="did not arrive"):
        check_overflow(house, daemon, deadline=3)


@pytest.mark.parametrize("limit", ["max_inotify_instances", "max_inotify_watches"])
def test_without_inotify_the_inbox_is_polled_and_status_reports_it(make_house, limit: str):
    house = make_house(POLLING)
    few = f"echo {'1' if 'watches' in limit else '0'} >/proc/sys/user/{limit}"
    daemon = house.start(inside=[*enter(), "sh", "-ec", f'{few}; exec "$@"', "sh"])
    house.drop("deep/er/a.txt", "polled")
    house.expect("deep", {"er/a.txt": b"polled"})
    problems = house.status()["watch_problems"]
    assert any("max_user_" in why for why in problems.values()), problems
    shown = " ".join(house.inboxd("status").stdout.split())
    assert "folders are only polled. Raise it: sysctl fs.inotify.max_user_" in shown
    house.stop(daemon)
    house.verify()


def test_file_system_that_others_change_is_polled_and_status_reports_it(make_house):
    """The lower layer of an overlay sends no events when it changes outside the mount namespace."""
    house = make_house(POLLING)
    for name in ("lower", "upper", "work"):
        (house.home / name).mkdir()
    inside = enter("--mount")
    options = "lowerdir=lower,upperdir=upper,workdir=work"
    mount = f"mount -t overlay overlay -o {options} {house.inbox}"
    if subprocess.run([*inside, "sh", "-c", mount], cwd=house.home, capture_output=True).returncode:
        pytest.skip("needs overlay mounts in a user namespace")
    daemon = house.start(inside=[*inside, "sh", "-ec", f'{mount}; exec "$@"', "sh"])
    assert "polled: overlay" in house.status()["watch_problems"].values()
    (house.home / "lower" / "from_below.txt").write_text("polled")
    assert house.original(house.ended("from_below.txt")) == b"polled"
    house.stop(daemon)


# ---------------------------------------------------------------------------------------- folders that disappear


def test_inbox_removed_and_created_again_is_watched(make_house):
    house = make_house(POLLING)
    house.start()
    house.drop("before.txt")
    house.ended("before.txt")
    shutil.rmtree(house.inbox)
    house.drop("after.txt", "made again")
    assert house.original(house.ended("after.txt")) == b"made again"
    house.verify()


@pytest.mark.parametrize("misdeed", ["wait_for", "read_after"])
def test_inbox_renamed_and_renamed_back_loses_nothing(make_house, misdeed: str):
    house = make_house()
    house.drop("retried/waits.txt", f"{misdeed} {house.home / 'go'}")
    daemon = house.start()
    wait_for(lambda: (house.row("retried/waits.txt") or {}).get("state") == "running", "the job to run")
    house.inbox.rename(house.elsewhere / "away")
    wait_for(lambda: "does not exist" in (house.status()["storage_problem"] or ""), "the daemon to notice")
    (house.home / "go").touch()  # the job ends meanwhile
    wait_for(lambda: not house.status()["running"], "the end of the job's work")
    (house.elsewhere / "away").rename(house.inbox)
    house.ended("retried/waits.txt")
    assert [row["charged"] for row in house.rows("SELECT charged FROM jobs")] == [0]
    house.drop("later.txt")
    house.ended("later.txt")
    assert {row["state"] for row in house.rows()} == {"done"}
    assert house.status()["pid"] == daemon.pid
    house.verify()
