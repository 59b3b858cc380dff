"""Workers that crash, hang, flood the daemon, report nonsense and grow: none harms the daemon or other jobs."""

import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from rogue_workers import write_rogue
from sandbox import Place
from workers_rig import (
    NEIGHBORS,
    Aftermath,
    drop_neighbors,
    end_of_all,
    kill_all_but,
    live_through,
    make_toml,
    start_broken,
    stop,
)

from daemon.core import parallel

DONE, FAILED = {("done", None)}, {("failed", "crashed")}
# The outcome of the file of each program; other files are done. Where either may come first, both outcomes are valid.
ROGUES = {
    "garbage": FAILED,
    "half_line": FAILED,
    "long_line": FAILED,
    "silent_exit": FAILED,
    "wrong_shapes": DONE,
    "bad_text": {("failed", "error")},
    "unknown_jobs": FAILED,
    "progress_flood": DONE,
    "twice": DONE,
    "early": DONE,
    "closes_stdin": {("failed", "timeout")},
    "closes_stdout": {("failed", "timeout")},
    "no_such_file": {("failed", "error")},
    "stops_reading": DONE,
    "loaded_for_ever": FAILED,
}
PARKED = {"babbles": "broke the protocol", "crash_at_load": "no such library: libmissing.so"}
MISDEEDS = {
    "segfault": FAILED,
    "abort": FAILED,
    "exit 0": FAILED,
    "hang with-child": {("failed", "timeout")},
    "stop": {("failed", "timeout")},
    "escape {home}/escaped.pid": FAILED,
    "breed 6": {("failed", "timeout")},
    "close_pipes": FAILED,
    "scribble 10": DONE,
    "scribble 100000": FAILED,
    "stderr_lines {lines}": DONE,
    "stderr_line {megabytes}": DONE,
    "error_with_bytes": {("failed", "error")},
}


_PARKED_FILES = [f"{name}/0.txt" for name in PARKED]
_SHORT = {"megabytes": 40, "many": 5000, "lines": 5000}
_LONG = {"megabytes": 1000, "many": 1_000_000, "lines": 1_000_000}
_HANGING = ("hang", "stop", "breed")
_UNTIL_TIMEOUT = (
    *_HANGING,
    "closes_stdin",
    "closes_stdout",
)  # the others have enough time, however slow the machine is


def _place(home: Path, numbers: Mapping[str, int]) -> Place:
    """A place with a worker for each rogue program, for each misdeed that hangs, and for all other misdeeds."""
    recipes = {name: f'python = "{write_rogue(home, name, **numbers)}"' for name in [*ROGUES, "babbles"]}
    recipes |= {"misdeeds": "", "crash_at_load": "crash_at_load = true"}
    recipes |= {name: f'label = "{name}"' for name in _HANGING}
    quick, slow = (10, 60) if numbers is _LONG else (1, 30)
    timeouts = {name: quick if name in _UNTIL_TIMEOUT else slow for name in recipes} | {"stops_reading": 5}
    return Place(home, make_toml({name: f'timeout = "{timeouts[name]}s"\n{recipes[name]}' for name in recipes}))


def _ends(numbers: Mapping[str, int], home: Path, round_: int) -> dict[str, tuple[str, set]]:
    """The files of a round and their permitted outcomes: {file: (text, outcomes)}."""
    ends = {f"{name}/{round_}.txt": ("well", ends) for name, ends in ROGUES.items()}
    for number, (misdeed, how) in enumerate(MISDEEDS.items()):
        folder = misdeed.split()[0] if misdeed.startswith(_HANGING) else "misdeeds"
        ends[f"{folder}/{round_} {number}.txt"] = (misdeed.format(home=home, **numbers), how)
    return ends


@pytest.fixture(scope="module")
def aftermath(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Aftermath]:
    home = tmp_path_factory.mktemp("workers")
    place = _place(home, _SHORT)
    drops = {file: text for file, (text, _) in _ends(_SHORT, home, 0).items()}
    try:
        yield live_through(place, [drops | dict.fromkeys(_PARKED_FILES, "well")], _PARKED_FILES)
    finally:
        place.stop_all()


@pytest.mark.long
def test_daemon_uses_no_more_resources_after_many_rounds_of_faulty_workers(tmp_path: Path):
    """Each round sends a gigabyte without a newline, a million lines, and a million outcomes."""
    rounds, began = int(os.environ.get("INBOXD_WORKER_ROUNDS", "5")), time.monotonic()
    place, ends = _place(tmp_path, _LONG), [_ends(_LONG, tmp_path, number) for number in range(rounds)]
    drops = [{file: text for file, (text, _) in each.items()} for each in ends]
    try:
        aftermath = live_through(place, drops, [])
    finally:
        place.stop_all()
    wanted = {file: how for each in ends for file, (_, how) in each.items()}
    bad = [file for file, row in aftermath.rows.items() if aftermath.end_of(file) not in wanted.get(file, DONE)]
    before, after = aftermath.before, aftermath.after
    print(
        f"\nworkers: {rounds} rounds, {len(aftermath.rows)} files, {len(bad)} bad, {time.monotonic() - began:.0f} s; "
        f"daemon {before.resident_bytes / 1e6:.0f} -> {after.resident_bytes / 1e6:.0f} MB (peak "
        f"{after.peak_bytes / 1e6:.0f}), {before.files} -> {after.files} files, "
        f"{before.threads} -> {after.threads} threads, log {len(aftermath.log) / 1e3:.0f} kB"
    )
    assert not bad
    _check_burden(aftermath, peak_bytes=150_000_000)


@pytest.mark.parametrize("name", ROGUES)
def test_invalid_worker_program_fails_only_its_own_job(aftermath: Aftermath, name: str):
    assert aftermath.end_of(f"{name}/0.txt") in ROGUES[name], aftermath.rows[f"{name}/0.txt"]


@pytest.mark.parametrize("name", PARKED)
def test_jobs_of_a_worker_that_never_loads_are_parked_with_the_reason(aftermath: Aftermath, name: str):
    row = aftermath.rows[f"{name}/0.txt"]
    assert row["state"] == "queued" and PARKED[name] in row["waiting_for"], row


@pytest.mark.parametrize("misdeed", MISDEEDS)
def test_misbehavior_fails_only_its_own_job(aftermath: Aftermath, misdeed: str):
    number = list(MISDEEDS).index(misdeed)
    (row,) = [row for file, row in aftermath.rows.items() if file.endswith(f"/0 {number}.txt")]
    assert (row["state"], row["error_kind"]) in MISDEEDS[misdeed], row
    assert row["attempts"] == (1 if row["state"] == "done" else 2), row


def test_good_files_beside_faulty_workers_are_all_processed(aftermath: Aftermath):
    others = {file: row for file, row in aftermath.rows.items() if "/" not in file}
    assert len(others) == 3 * NEIGHBORS
    assert {row["state"] for row in others.values()} == {"done"}
    assert {row["attempts"] for row in others.values()} == {1}


def test_daemon_uses_no_more_memory_after_faulty_workers(aftermath: Aftermath):
    _check_burden(aftermath, peak_bytes=100_000_000)


def test_log_is_not_flooded_by_faulty_workers(aftermath: Aftermath):
    assert len(aftermath.log) < 300_000
    assert max(map(len, aftermath.log.splitlines())) < 5000


def test_message_of_a_failure_is_of_readable_length(aftermath: Aftermath):
    assert max(len(row["error"] or "") for row in aftermath.rows.values()) < 25_000


def test_file_that_crashes_a_batch_is_found_and_the_others_are_done(make_place):
    place = make_place(make_toml({"misdeeds": "max_batch = 8"}, attempts=3))
    for number in range(8):
        place.drop(f"misdeeds/{number}.txt", "segfault" if number == 5 else "well")
    place.drain(check=1)
    rows = [place.row(f"misdeeds/{number}.txt") for number in range(8)]
    assert [row["state"] for row in rows] == ["done"] * 5 + ["failed"] + ["done"] * 2
    charged = {row["name"]: row["charged"] for row in place.rows("SELECT name, charged FROM jobs")}
    assert charged.pop("5.txt") == 3 and set(charged.values()) == {0}, charged


_BATCH = 60  # of more than a kilobyte each, with such names: more than a pipe holds (64 KiB)


def _drop_a_batch_that_is_never_read(place: Place) -> list[str]:
    names = [f"{number} {'x' * 200}.txt" for number in range(_BATCH)]
    return [f"stops_reading/{place.drop(f'stops_reading/{name}', 'well').name}" for name in names]


def _stops_reading_toml(home: Path) -> str:
    rogue = write_rogue(home, "stops_reading")
    return make_toml({"stops_reading": f'python = "{rogue}"\ntimeout = "1s"\nmax_batch = {_BATCH}'})


def test_worker_that_stops_reading_does_not_block_the_daemon(make_place, tmp_path: Path):
    place = make_place(_stops_reading_toml(tmp_path))
    files = _drop_a_batch_that_is_never_read(place)
    daemon = place.start()
    end_of_all(place, [*files, *drop_neighbors(place, "beside")])
    assert {row["state"] for row in place.rows()} == {"done"}
    stop(daemon)


def test_rig_detects_a_daemon_that_waits_for_a_pipe(make_place, tmp_path: Path):
    """A negative control."""
    place = make_place(_stops_reading_toml(tmp_path))
    files = _drop_a_batch_that_is_never_read(place)
    daemon = start_broken(place, "main-thread-writes")
    with pytest.raises(pytest.fail.Exception):
        end_of_all(place, [*files, *drop_neighbors(place, "beside")], deadline=3.0)
    kill_all_but(place, daemon.pid)  # the program would outlive the daemon, because it does not end with its parent


def test_rig_detects_a_daemon_that_waits_for_the_end_of_the_output(make_place):
    """A negative control: a grandchild holds the pipe open."""
    place = make_place(make_toml({"misdeeds": 'timeout = "1s"'}))
    daemon = start_broken(place, "end-is-end-of-file")
    place.drop("misdeeds/x.txt", f"escape {place.home / 'escaped.pid'}")
    with pytest.raises(pytest.fail.Exception):
        end_of_all(place, ["misdeeds/x.txt"], deadline=4.0)
    kill_all_but(place, daemon.pid)


def _check_burden(aftermath: Aftermath, *, peak_bytes: int) -> None:
    before, after = aftermath.before, aftermath.after
    assert after.files == before.files
    assert after.threads <= before.threads + parallel.threads  # those are started when there is much work
    assert after.resident_bytes - before.resident_bytes < 60_000_000, (before, after)
    assert after.peak_bytes - before.peak_bytes < peak_bytes, (before, after)
