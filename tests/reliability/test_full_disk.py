"""Real small file systems that fill up, become read-only, or go away under a running daemon."""

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from places import Place, wait_for

TOML = """
[paths]
outbox = "{outbox}"
state = "{state}"
[inbox]
text = "count"
settle_seconds = 0.0
[recipes.count]
processor = "plaintext"
"""


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """Mounts a tmpfs of 8 MiB: SQLite's log alone may take 4."""
    mounted: list[Path] = []

    def make(name: str) -> Path:
        folder = tmp_path / name
        folder.mkdir()
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "inboxd-test", folder], capture_output=True)
        if done.returncode:
            pytest.skip(f"needs the right to mount: {done.stderr.decode().strip()}")
        mounted.append(folder)
        return folder

    yield make
    for folder in mounted:
        subprocess.run(["umount", "-l", folder], capture_output=True)  # a test may have done it


def _fill(folder: Path) -> Path:
    """A file that takes all the room there is."""
    filler = folder / ".filler"
    with filler.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            return filler


def _problem(place: Place) -> str:
    import json

    return json.loads(place.inboxd("status", "--json").stdout)["storage_problem"] or ""


def _attempts(place: Place, file: str) -> tuple[int, int]:
    """How often it was tried, and how often that was charged."""
    row = place.rows(f"SELECT attempt, charged FROM jobs WHERE name = '{file}'")[0]
    return row["attempt"], row["charged"]


def test_result_waits_for_a_full_outbox_and_is_not_computed_again(make_place, mount):
    outbox = mount("out")
    place: Place = make_place(TOML.format(outbox=outbox, state="state"))
    place.outbox = outbox
    place.start()
    place.drop("first.txt")
    place.ended("first.txt")
    filler = _fill(outbox)
    place.drop("second.txt")
    assert "No space left" in wait_for(lambda: _problem(place), "the problem in the status")
    assert place.row("second.txt")["state"] in ("queued", "running")
    place.drop("third.txt")
    wait_for(lambda: place.row("third.txt"), "the third drop's row")
    filler.unlink()
    for file in ("second.txt", "third.txt"):
        assert place.ended(file)["state"] == "done"
        assert _attempts(place, file)[1] == 0
    wait_for(lambda: not _problem(place), "the end of the problem")
    place.verify()


def test_drops_wait_in_the_inbox_for_a_full_state_folder(make_place, mount):
    state = mount("st")
    place: Place = make_place(TOML.format(outbox="outbox", state=state))
    place.state = state
    daemon = place.start()
    filler = _fill(state)
    dropped = [f"{number}.txt" for number in range(30)]
    for file in dropped:
        place.drop(file)
    assert "job log" in wait_for(lambda: _problem(place), "the problem in the status") or "No space" in _problem(place)
    filler.unlink()
    for file in dropped:
        assert place.ended(file)["state"] == "done"
    assert daemon.poll() is None
    place.verify()


def test_outbox_that_is_remounted_read_only_is_waited_for(make_place, mount):
    outbox = mount("out")
    place: Place = make_place(TOML.format(outbox=outbox, state="state"))
    place.outbox = outbox
    place.start()
    subprocess.run(["mount", "-o", "remount,ro", outbox], check=True)
    place.drop("x.txt")
    assert "Read-only" in wait_for(lambda: _problem(place), "the problem in the status")
    subprocess.run(["mount", "-o", "remount,rw", outbox], check=True)
    assert place.ended("x.txt")["state"] == "done"
    assert _attempts(place, "x.txt")[1] == 0
    place.verify()


def test_outbox_that_is_unmounted_is_waited_for_and_nothing_is_written_below_it(make_place, mount, tmp_path: Path):
    outbox = mount("out")
    place: Place = make_place(TOML.format(outbox=outbox, state="state"))
    place.outbox = outbox
    place.start()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    subprocess.run(["mount", "--bind", outbox, elsewhere], check=True)
    try:
        subprocess.run(["umount", "-l", outbox], check=True)
        place.drop("x.txt")
        assert "its file system is away" in wait_for(lambda: _problem(place), "the problem in the status")
        assert os.listdir(outbox) == []
        subprocess.run(["mount", "--bind", elsewhere, outbox], check=True)
        assert place.ended("x.txt")["state"] == "done"
    finally:
        subprocess.run(["umount", "-l", elsewhere], check=True)
    place.verify()
