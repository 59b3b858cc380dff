"""Nodes, actors, the head and the daemon die, and no file is lost, repeated or incomplete; see cluster_rig.py."""

import os
import random
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from cluster_rig import Storm
from cut_links import CutNetwork, why_no_cut_links
from ray_nodes import free_port, load_nodes, require_ray
from sandbox import Place, wait_for

SEED = int(os.environ.get("INBOXD_SEED", random.SystemRandom().randrange(10**6)))
FILES = int(os.environ.get("INBOXD_FILES", 5_000))
MINUTES = float(os.environ.get("INBOXD_MINUTES", 120))  # maximum time of dropping files


@pytest.mark.long
def test_failing_cluster_loses_and_repeats_nothing(tmp_path: Path):
    require_ray()
    why_no_cut = why_no_cut_links()
    storm = Storm(home=tmp_path, seed=SEED, files=FILES, minutes=MINUTES, has_links=not why_no_cut)
    verdict = storm.run()
    print(f"\n{verdict}{f'; no link was cut: {why_no_cut}' if why_no_cut else ''}")
    assert verdict.account.bad == 0, f"{verdict}\nrepeat with: INBOXD_SEED={SEED} INBOXD_FILES={FILES}"
    assert verdict.account.looks == verdict.account.files
    assert verdict.account.worn <= FILES / 100, "too many good files failed because of kills"
    assert max(verdict.given_up_seconds, default=0) < 15
    assert verdict.survivors == 0, "a worker did not end after its link was cut"
    assert verdict.orphans == 0, "a near half still runs after the daemon and the cluster have ended"
    if FILES >= 2_000:
        missing = {*storm.events, "daemon while actors run"} - {each for each, count in verdict.events.items() if count}
        assert missing <= ({"cut"} if why_no_cut else set()), "too few files for every event"
        assert verdict.joined_seconds, "no node joined under load"


# ---------------------------------------------------------------------------------------- a node that joins

JOIN = """
[inbox]
text = "sleep"
settle_seconds = 0.1
[recipes.sleep]
processor = "fakes.on_device"
[processors."fakes.on_device"]
device = "cpu"
run_seconds = 2
[workers]
at_once = 1
[devices.cpu]
use = false
[cluster]
address = "127.0.0.2:{port}"
token_file = "token"
"""
JOBS = 150  # five minutes of work for one node, enough to start a worker on another one


@pytest.mark.long
def test_node_that_joins_under_load_is_used_within_30_seconds(tmp_path: Path):
    require_ray()
    sample, port, token_file = load_nodes(), free_port(), tmp_path / "token"
    sample.make_token(token_file)
    nodes = [sample.start_node("head", port=port, token_file=token_file, is_head=True, cpus=0)]
    nodes.append(sample.start_node("box1", port=port, token_file=token_file))
    try:
        with Place(tmp_path, JOIN.format(port=port)) as place:
            place.start()
            for number in range(JOBS):
                place.drop(f"{number}.txt", f"file {number}")
            wait_for(lambda: place.rows("SELECT 1 FROM attempts WHERE outcome = 'finished'"), "the first result", 180)
            nodes.append(sample.start_node("box2", port=port, token_file=token_file))
            joined = time.monotonic()
            wait_for(lambda: place.rows("SELECT 1 FROM attempts WHERE node = 'box2'"), "a job on the new node", 30)
            print(f"\na node that joined had a job after {time.monotonic() - joined:.1f} s")
    finally:
        for node in nodes:
            node.kill()


# ---------------------------------------------------------------------------------------- a link that is cut

CUT = """
[inbox]
text = "rough"
settle_seconds = 0.1
[recipes.rough]
processor = "fakes.misbehaving"
[devices.cpu]
use = false
[cluster]
address = "{here}:{port}"
token_file = "token"
[schedule]
probe = "1s"
"""


@pytest.fixture
def network() -> Iterator[CutNetwork]:
    if why := why_no_cut_links():
        pytest.skip(why)
    made = CutNetwork()
    yield made
    made.close()


@pytest.mark.long
def test_worker_behind_a_cut_link_is_given_up_by_the_daemon_and_ends_on_its_node(network: CutNetwork, tmp_path: Path):
    require_ray()
    sample, port, token_file = load_nodes(), free_port(), tmp_path / "token"
    sample.make_token(token_file)
    here, link = network.address, network.add()
    head = sample.start_node("head", port=port, token_file=token_file, is_head=True, cpus=0, host=here)
    at = {"head": here, "host": link.address, "prefix": link.prefix}
    box = sample.start_node("box1", port=port, token_file=token_file, **at)
    try:
        with Place(tmp_path, CUT.format(here=here, port=port)) as place:
            place.start()
            place.drop("a.txt", "hang")
            wait_for(lambda: (place.row("a.txt") or {}).get("state") == "running", "the start", 120)
            there = [pid for pid in box.pids() if b"processors.worker" in Path(f"/proc/{pid}/cmdline").read_bytes()]
            assert there
            link.cut()
            cut = time.monotonic()
            wait_for(
                lambda: place.rows("SELECT 1 FROM attempts WHERE outcome = 'unavailable'"),
                "the daemon to give the worker up",
                15,
            )
            given_up = time.monotonic() - cut
            wait_for(
                lambda: not any(Path(f"/proc/{pid}").exists() for pid in there), "the worker to end on its node", 45
            )
            print(
                f"\ngiven up by the daemon after {given_up:.1f} s, "
                f"ended on its node after {time.monotonic() - cut:.1f} s"
            )
            assert place.rows("SELECT charged FROM jobs") == [{"charged": 0}]
    finally:
        for node in (box, head):
            node.kill()
