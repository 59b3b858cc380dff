"""Files on a real Ray cluster of three nodes, and the loss of a node under work."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from ray_nodes import require_ray, three_nodes
from sandbox import Place, wait_for

CONFIG = """
[inbox]
text = "sleep"
settle_seconds = 0.1
[inbox.folders.rough]
text = "rough"
[recipes.sleep]
processor = "fakes.on_device"
[recipes.rough]
processor = "fakes.misbehaving"
[processors."fakes.on_device"]
device = "cpu"
run_seconds = 0.5
[processors."fakes.misbehaving"]
timeout = "60s"
[devices.cpu]
use = false
[cluster]
address = "127.0.0.2:{port}"
token_file = "{token_file}"
[retry]
backoff = "100ms"
[schedule]
probe = "1s"
"""


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[list, int, Path]]:
    require_ray()
    token_file = tmp_path_factory.mktemp("cluster") / "token"
    with three_nodes(token_file) as (started, port):
        yield started, port, token_file


@pytest.mark.slow
def test_files_run_on_the_nodes_and_survive_the_loss_of_one(nodes: tuple[list, int, Path], tmp_path: Path):
    started, port, token_file = nodes
    with Place(tmp_path, CONFIG.format(port=port, token_file=token_file)) as place:
        place.start()
        for number in range(12):
            place.drop(f"{number}.txt", f"file {number}")
        for number in range(12):
            assert place.ended(f"{number}.txt", 120)["state"] == "done"
        rows = place.rows("SELECT node, device FROM job_log")
        assert {row["node"] for row in rows} <= {"box1", "box2"} and all(row["device"].endswith(":cpu") for row in rows)
        shown = place.inboxd("cluster").stdout
        assert "box1 (127.0.0.2, 2 CPUs)" in shown and "box2:cpu: " in shown and "fakes.on_device" in shown
        listed = place.inboxd("models").stdout
        assert "box1: stored there: " in listed and "box2: stored there: " in listed

        place.drop("rough/poison.txt", "segfault")
        failed = place.ended("rough/poison.txt", 120)
        assert (failed["state"], failed["error_kind"], failed["attempts"]) == ("failed", "crashed", 3)

        (tmp_path / "inbox" / "rough").mkdir(exist_ok=True)
        place.drop("rough/lost.txt", "crash_once /\nhang")  # "/" is there, so it ends at once
        assert place.ended("rough/lost.txt", 60)["state"] == "done"
        place.drop("rough/frozen.txt", "hang")
        row = wait_for(lambda: _running(place, "rough/frozen.txt"), "the start", 60)
        node = next(each for each in started if each.name == row["node"])
        node.signal(signal.SIGSTOP)
        attempts = "SELECT outcome, finished_at - started_at AS took FROM attempts WHERE outcome = 'unavailable'"
        wait_for(lambda: place.rows(attempts), "the daemon to give the frozen node up", 15)
        again = wait_for(lambda: _running(place, "rough/frozen.txt", besides=node.name), "the start elsewhere", 60)
        assert again["node"] != node.name
        assert place.rows("SELECT charged FROM jobs WHERE name = 'frozen.txt'") == [{"charged": 0}]
        place.inboxd("cancel", again["id"])
        node.kill()
        place.verify()


def _running(place: Place, file: str, besides: str = "") -> dict | None:
    row = place.row(file)
    return row if row and row["state"] == "running" and row["node"] != besides else None


def test_cluster_that_cannot_be_reached_is_named_and_its_jobs_wait(tmp_path: Path):
    with Place(tmp_path, CONFIG.format(port=1, token_file=tmp_path / "token")) as place:
        place.drop("a.txt")
        done = place.drain(check=1, timeout=120)
        row = place.row("a.txt")
        assert row is not None and row["state"] == "queued" and "cannot be used yet" in row["waiting_for"], done.stderr
        assert "the Ray cluster cannot be used" in done.stderr
