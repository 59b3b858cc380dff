"""The power is cut in the middle of a run: nothing is lost, duplicated or half-written.

See power_cut_rig.py. It cannot detect disks that report a flush too early, or that lose what they had written but not
flushed.
"""

import itertools
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from disks import Disks, can_make
from power_cut_daemons import DaemonServer
from power_cut_rig import LAYOUTS, Figures, PowerCuts

SEED = int(os.environ.get("INBOXD_SEED", "1"))
CUTS = int(os.environ.get("INBOXD_CUTS", "2000"))
CUTS_IN_A_RUN = 20


@pytest.fixture(scope="module")
def server() -> Iterator[DaemonServer]:
    made = DaemonServer()
    yield made
    made.stop()


@pytest.fixture
def make_rig(tmp_path: Path, server: DaemonServer) -> Iterator[Callable[..., PowerCuts]]:
    made: list[PowerCuts] = []

    def make(layout: str, *, seed: int = SEED, sabotage: str = "") -> PowerCuts:
        made.append(PowerCuts(tmp_path / "rig", server, layout, seed=seed, sabotage=sabotage))
        return made[-1]

    yield make
    for rig in made:
        rig.close()


@pytest.mark.parametrize("kind", ["ext4", "xfs", "btrfs"])
def test_disks_forget_what_was_not_made_durable(kind: str, tmp_path: Path):
    """A test of the rig: without this property, it could detect nothing."""
    disks = Disks(tmp_path, {"a": kind})
    try:
        disks.power_on()
        for name in ("kept", "forgotten"):
            with (disks.path("a") / name).open("wb") as file:
                file.write(b"content")
                file.flush()
                if name == "kept":
                    os.fsync(file.fileno())
        snapshot = disks.cut()
        assert (disks.path("a") / "forgotten").read_bytes() == b"content"
        disks.power_off()
        disks.power_on(snapshot)
        assert (disks.path("a") / "kept").read_bytes() == b"content"
        assert not (disks.path("a") / "forgotten").exists()
    finally:
        disks.close()


@pytest.mark.parametrize("layout", ["ext4", "two ext4"])
def test_power_cut_loses_nothing(layout: str, make_rig: Callable[..., PowerCuts]):
    make_rig(layout).run(3)


ARCHIVED, PUBLISHED, WITHDRAWN, FORGOTTEN = (
    "daemon.files.outbox:Outbox.archive_original",
    "daemon.files.outbox:Outbox.publish",
    "daemon.files.outbox:Outbox.withdraw",
    "daemon.queue.store:Store.forget_result",
)
BROKEN = {  # a missing fsync: the disks on which it shows, the function after which the daemon dies, and what is found
    "folders_unsynced": ("two ext4", "", "has no result"),
    "results_unsynced": ("two ext4", "", "has no result"),
    "documents_unsynced": ("ext4", "", "is incomplete"),
    "outputs_unsynced": ("ext4", "", "not as it was written"),
    "drops_unsynced": ("ext4", PUBLISHED, "has lost its original"),
    "commits_normal": ("ext4", PUBLISHED, "is missing"),
    "commits_off": ("ext4", PUBLISHED, "is missing"),
}


@pytest.mark.parametrize("sabotage", BROKEN)
def test_rig_detects_a_missing_fsync(sabotage: str, make_rig: Callable[..., PowerCuts]):
    """Negative controls: one cut shows each, after everything that should have made the files durable.

    If the kernel, short of memory, has already written the files, another cut shows the fault.
    """
    layout, death, symptom = BROKEN[sabotage]
    rig = make_rig(layout, sabotage=sabotage)
    with pytest.raises(AssertionError, match=symptom):
        for _ in range(5):
            rig.run_deaths(death, files=8)  # of which some were dropped without an fsync


@pytest.mark.long
@pytest.mark.parametrize("sabotage", BROKEN)
def test_cuts_at_random_instants_detect_a_missing_fsync(sabotage: str, make_rig: Callable[..., PowerCuts]):
    layout, _, symptom = BROKEN[sabotage]
    rig = make_rig(layout, sabotage=sabotage)
    with pytest.raises(AssertionError, match=f"{symptom}|is lost"):
        for _ in range(50):  # on a busy machine, few cuts come just after a result
            rig.run(3)


@pytest.mark.parametrize("kind", ["good", "not utf-8"])
def test_result_renamed_by_a_killed_daemon_is_made_durable_by_the_next(kind: str, make_rig: Callable[..., PowerCuts]):
    make_rig("two ext4").run_deaths(PUBLISHED, "", kind=kind)


def test_rig_detects_a_result_that_is_not_made_durable(make_rig: Callable[..., PowerCuts]):
    with pytest.raises(AssertionError, match="has no result"):
        make_rig("two ext4", sabotage="results_unsynced").run_deaths(PUBLISHED, "")


@pytest.mark.parametrize("deaths", [("", FORGOTTEN), ("", WITHDRAWN, FORGOTTEN)], ids=["retry", "killed in the retry"])
def test_retried_failure_does_not_reappear(deaths: tuple[str, ...], make_rig: Callable[..., PowerCuts]):
    make_rig("two ext4").run_deaths(*deaths, kind="no text", retry=True)


def test_original_of_a_failed_job_is_not_also_in_the_archive(make_rig: Callable[..., PowerCuts]):
    """The daemon dies five times in a row while it processes one file."""
    make_rig("ext4").run_deaths(*[ARCHIVED] * 5, "", folder="archived")


@pytest.mark.long
def test_many_power_cuts_lose_nothing(server: DaemonServer, tmp_path: Path, capsys: pytest.CaptureFixture):
    layouts = [layout for layout, kinds in LAYOUTS.items() if all(can_make(kind) for kind in kinds.values())]
    if not layouts:
        pytest.skip("needs mkfs.ext4, mkfs.xfs or mkfs.btrfs")
    total, started, runs = Figures(), time.monotonic(), itertools.count()
    while total.cuts < CUTS:
        number = next(runs)
        rig = PowerCuts(tmp_path / str(number), server, layouts[number % len(layouts)], seed=SEED + number)
        try:
            rig.run(min(CUTS_IN_A_RUN, CUTS - total.cuts))
        finally:
            rig.close()
            total += rig.figures
            (tmp_path / "figures.txt").write_text(f"{total}\n")  # in case it fails or is interrupted
    with capsys.disabled():
        print(
            f"\npower cuts on {', '.join(layouts)}: {total.cuts} cuts ({total.in_recovery} in a recovery), "
            f"{total.files} files, {total.checks} checks, 0 bad, {time.monotonic() - started:.0f} s, seed {SEED}"
        )
