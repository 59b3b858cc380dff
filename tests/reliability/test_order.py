"""The order of the system calls of a run is safe against a power cut at any instant; see syscall_order.py."""

import tempfile
from pathlib import Path

import many_files
import pytest
import submitted_file
from faults import Fault, ForkServer, calls
from syscall_order import Order
from three_files import check, lay


def _calls_of(server: ForkServer, home: Path, outbox: Path, fault: Fault) -> list[str]:
    place = lay(home, outbox)
    assert server.run(place, fault) == 0, place.log()
    if not fault.sabotage:
        check(place, "the run")
    return [call.replace(f"{outbox}", "outbox") for call in calls(place)]


def test_daemon_syncs_before_it_renames_and_commits_in_order(fork_server: ForkServer, tmp_path: Path):
    order = Order(_calls_of(fork_server, tmp_path / "one", tmp_path / "one" / "outbox", Fault()))
    assert order.violations == []
    assert order.renames == 7, "three drops, a sidecar, three results"


@pytest.mark.skipif(not Path("/dev/shm").is_dir(), reason="needs a second file system")
def test_daemon_syncs_copies_in_order_with_the_outbox_on_another_file_system(fork_server: ForkServer, tmp_path: Path):
    with tempfile.TemporaryDirectory(dir="/dev/shm") as shm:
        order = Order(_calls_of(fork_server, tmp_path / "two", Path(shm, "outbox"), Fault()))
    assert order.violations == []
    assert order.renames == 7


def test_worker_syncs_its_outputs_before_it_reports_them(fork_server: ForkServer, tmp_path: Path):
    seen = _calls_of(fork_server, tmp_path / "w", tmp_path / "w" / "outbox", Fault(in_worker=True))
    outputs = {call.split(" ", 1)[1] for call in seen if call.startswith("create outbox/.staging/")}
    assert len(outputs) == 1
    for output in outputs:
        changes = [number for number, call in enumerate(seen) if call in (f"write {output}", f"create {output}")]
        assert max(changes) < seen.index(f"fsync {output}")


@pytest.mark.parametrize(
    "sabotage",
    ["fsync_no_folder", "fsync_no_document", "fsync_no_drop", "fsync_no_commit", "release_before_done"]
    + ["rename_before_the_intent"],
)
def test_rig_detects_sabotage(sabotage: str, fork_server: ForkServer, tmp_path: Path):
    """Negative controls."""
    order = Order(_calls_of(fork_server, tmp_path / "x", tmp_path / "x" / "outbox", Fault(sabotage=sabotage)))
    assert order.violations


# ------------------------------------------------------------------------------------------- submitted files


def _submission_calls(server: ForkServer, home: Path, fault: Fault) -> list[str]:
    place = submitted_file.lay(home, home / "outbox")
    assert server.run(place, fault) == 0, place.log()
    if not fault.sabotage:
        submitted_file.check(place, "the run")
    return calls(place)


def test_submitted_file_is_synced_before_it_is_recorded(fork_server: ForkServer, tmp_path: Path):
    seen = _submission_calls(fork_server, tmp_path / "sent", Fault())
    order = Order(seen)
    assert order.violations == [] and order.renames == 5, "a dropped file, a submitted one and its folder, two results"
    home = f"inbox/.taken/{submitted_file.UPLOAD}.draft/a"
    sidecar = f"{home}/good.txt.toml"
    taken = next(number for number, call in enumerate(seen) if call.startswith(f"rename {home}/good.txt\t"))
    steps = [seen.index(f"{kind} {path}") for kind, path in (("create", sidecar), ("fsync", sidecar), ("fsync", home))]
    assert [*steps, taken] == sorted([*steps, taken]), "its options are durable before it is"


@pytest.mark.parametrize("sabotage", ["fsync_no_folder", "fsync_no_drop", "fsync_no_upload", "fsync_no_commit"])
def test_rig_detects_sabotage_of_a_submission(sabotage: str, fork_server: ForkServer, tmp_path: Path):
    """Negative controls."""
    assert Order(_submission_calls(fork_server, tmp_path / "x", Fault(sabotage=sabotage))).violations


# ------------------------------------------------------------------------------------------- groups

_THREADS = Fault(threads=8)


def _group_calls(server: ForkServer, home: Path, outbox: Path, fault: Fault = _THREADS) -> list[str]:
    place = many_files.lay(home, outbox)
    assert server.run(place, fault) == 0, place.log()
    if not fault.sabotage:
        many_files.check(place, "the run")
    return [call.replace(f"{outbox}", "outbox") for call in calls(place)]


def test_results_of_a_group_are_synced_and_committed_in_order(fork_server: ForkServer, tmp_path: Path):
    """They share commits and fsyncs; the test counts these, to prove that there are groups."""
    seen = _group_calls(fork_server, tmp_path / "many", tmp_path / "many" / "outbox")
    order = Order(seen)
    assert order.violations == [] and order.renames == 2 * many_files.COUNT
    commits, stagings = seen.count("fsync state/jobs.db-wal"), seen.count("fsync outbox/.staging")
    assert commits < many_files.COUNT and stagings < many_files.COUNT, "each result is published alone"


@pytest.mark.skipif(not Path("/dev/shm").is_dir(), reason="needs a second file system")
def test_group_is_copied_in_order_to_another_file_system(fork_server: ForkServer, tmp_path: Path):
    with tempfile.TemporaryDirectory(dir="/dev/shm") as shm:
        order = Order(_group_calls(fork_server, tmp_path / "two", Path(shm, "outbox")))
    assert order.violations == [] and order.renames == 2 * many_files.COUNT


@pytest.mark.parametrize(
    "sabotage",
    ["fsync_no_folder", "fsync_no_document_of_a_group", "fsync_no_drop", "fsync_no_folder_of_a_group"]
    + ["release_a_group_before_it_is_done", "rename_a_group_before_the_intents"],
)
def test_rig_detects_sabotage_of_groups(sabotage: str, fork_server: ForkServer, tmp_path: Path):
    """Negative controls."""
    fault = Fault(threads=8, sabotage=sabotage)
    assert Order(_group_calls(fork_server, tmp_path / "x", tmp_path / "x" / "outbox", fault)).violations
