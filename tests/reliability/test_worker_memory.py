"""Memory runs out: the worker that uses too much is found and killed, and the daemon and other workers continue."""

import contextlib
import itertools
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from sandbox import Place, wait_for
from workers_rig import Aftermath, live_through, make_toml, start_broken, stop

_LIMIT = 'memory_max = "300MB"'
# folder: the options of its worker, its files, and their expected outcome
_CASES = {
    "greedy": (_LIMIT, ["allocate 2000"], ("failed", "out_of_memory")),
    "by_child": (_LIMIT, ["allocate_in_child 2000"], ("failed", "out_of_memory")),
    "batch": (f"{_LIMIT}\nmax_batch = 4", ["allocate 100"] * 4, ("done", None)),
    "reserves": (_LIMIT, ["reserve 1000000"], ("done", None)),  # reserves a terabyte of addresses, as CUDA does
    "modest": (_LIMIT, ["allocate 100"], ("done", None)),
}
_LOADING = {"loading": f"{_LIMIT}\nmegabytes_at_load = 2000"}


@pytest.fixture(scope="module")
def aftermath(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Aftermath]:
    recipes = {name: f'label = "{name}"\n{options}' for name, (options, _, _) in _CASES.items()} | _LOADING
    place = Place(tmp_path_factory.mktemp("memory"), make_toml(recipes))
    drops = {f"{name}/{number}.txt": text for name, case in _CASES.items() for number, text in enumerate(case[1])}
    try:
        yield live_through(place, [{**drops, "loading/0.txt": "well"}], ["loading/0.txt"], together="batch")
    finally:
        place.stop_all()


@pytest.mark.parametrize("name", _CASES)
def test_memory_limit_kills_only_the_worker_above_it(aftermath: Aftermath, name: str):
    _, texts, end = _CASES[name]
    assert {aftermath.end_of(f"{name}/{number}.txt") for number in range(len(texts))} == {end}


def test_failure_names_the_limit_and_how_to_raise_it(aftermath: Aftermath):
    row = aftermath.rows["greedy/0.txt"]
    assert all(part in row["error"] for part in ("more memory than the limit", "0.3 GB", "raise memory_max"))
    assert row["attempts"] == 2


def test_batch_that_needs_too_much_memory_is_halved_and_not_charged(aftermath: Aftermath):
    rows = [aftermath.rows[f"batch/{number}.txt"] for number in range(4)]
    attempts = sorted(row["attempts"] for row in rows)
    assert attempts in ([1, 1, 2, 2], [1, 1, 1, 2])  # the third or the fourth exceeded the limit, and was tried again
    assert [charged for name, charged in aftermath.charged.items() if name.startswith("batch/")] == [0] * 5


def test_jobs_of_a_model_that_needs_too_much_memory_are_parked_with_the_reason(aftermath: Aftermath):
    row = aftermath.rows["loading/0.txt"]
    assert row["state"] == "queued" and "raise memory_max" in row["waiting_for"]


def test_jobs_of_other_workers_are_all_done(aftermath: Aftermath):
    others = [row for file, row in aftermath.rows.items() if "/" not in file]
    assert {(row["state"], row["attempts"]) for row in others} == {("done", 1)}


def test_worker_is_killed_before_the_daemon_when_the_system_runs_out_of_memory(make_place):
    place = make_place(make_toml({"deeds": ""}))
    daemon = place.start()
    place.drop("deeds/x.txt", f"wait_for {place.home / 'go'}")
    running = wait_for(lambda: place.rows("SELECT worker_pid FROM attempts"), "the job to run")
    scores = [int(Path(f"/proc/{pid}/oom_score_adj").read_text()) for pid in (daemon.pid, running[0]["worker_pid"])]
    assert scores[1] == 500 > scores[0]
    (place.home / "go").touch()
    place.ended("deeds/x.txt")
    stop(daemon)


_GROUPS = (  # of version 1 and of version 2: the folder, and the files of the limits of memory and swap
    ("/sys/fs/cgroup/memory", "memory.limit_in_bytes", ("memory.memsw.limit_in_bytes", "250000000")),
    ("/sys/fs/cgroup", "memory.max", ("memory.swap.max", "0")),
)


@pytest.fixture
def small_group() -> Iterator[Path]:
    """Create a control group of 250 MB."""
    group = next(filter(None, itertools.starmap(_make_group, _GROUPS)), None)
    if group is None:
        pytest.skip("needs root, and a control group of memory that may have subgroups")
    yield group
    wait_for(lambda: _remove(group), "the end of the control group")


def _make_group(parent: str, limit: str, swap: tuple[str, str]) -> Path | None:
    group = Path(parent, f"inboxd-test-{os.getpid()}")
    try:
        group.mkdir()
        (group / limit).write_text("250000000")
    except OSError:
        _remove(group)
        return None
    with contextlib.suppress(OSError):  # the kernel does not account for swap
        (group / swap[0]).write_text(swap[1])
    return group


def _remove(group: Path) -> bool:
    try:
        group.rmdir()
    except OSError:
        return False
    return True


def test_kill_by_the_kernel_counts_as_out_of_memory_not_as_a_crash(make_place, small_group: Path):
    place = make_place(make_toml({"deeds": 'memory_max = "2GB"'}))
    place.drop("deeds/x.txt", "allocate 1000")
    place.drop("good.txt", "well")
    done = subprocess.run(
        ["sh", "-c", f"echo $$ > {small_group}/cgroup.procs && exec {sys.executable} -m daemon.cli run --drain"],
        cwd=place.home,
        env=place.environment(),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1, done.stderr
    row = place.row("deeds/x.txt")
    assert (row["error_kind"], place.row("good.txt")["state"]) == ("out_of_memory", "done"), row
    assert "The system ran out of memory" in row["error"]
    place.verify()


def test_rig_detects_a_daemon_that_does_not_measure_memory(make_place):
    """A negative control."""
    place = make_place(make_toml({"greedy": _LIMIT}))
    start_broken(place, "memory-is-not-looked-at")
    place.drop("greedy/0.txt", "allocate 600")
    assert place.ended("greedy/0.txt")["state"] == "done"
