"""Nodes, actors, the head and the daemon die, and no file is lost, repeated or incomplete; see cluster_rig.py."""

import os
import random
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requires
from cluster_rig import Storm
from ray_nodes import free_port, load_nodes, require_ray
from sandbox import Place, wait_for

SEED = int(os.environ.get("INBOXD_SEED", random.SystemRandom().randrange(10**6)))
FILES = int(os.environ.get("INBOXD_FILES", 5_000))
MINUTES = float(os.environ.get("INBOXD_MINUTES", 120))  # of dropping files, at most


@pytest.mark.long
def test_cluster_under_fire_loses_and_repeats_nothing(tmp_path: Path):
    require_ray()
    verdict = Storm(home=tmp_path, seed=SEED, files=FILES, minutes=MINUTES).run()
    print(f"\n{verdict}")
    assert verdict.account.bad == 0, f"{verdict}\nrepeat with: INBOXD_SEED={SEED} INBOXD_FILES={FILES}"
    assert verdict.account.looks == verdict.account.files
    assert verdict.account.worn <= FILES / 100, "kills alone cost too many good files"
    assert max(verdict.given_up_seconds, default=0) < 15


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
JOBS = 150  # five minutes of work for one node: worth the start of a worker on another one


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

NAMESPACE, LINK, HERE, THERE = "inboxd-box1", "inboxd-cut", "10.231.7.1", "10.231.7.2"
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
def link() -> Iterator[None]:
    """A network namespace, and a link to it."""
    requires.program("ip")
    requires.network_namespace()
    if os.geteuid():
        pytest.skip("needs root, to name a network namespace")
    _ip("netns", "add", NAMESPACE)
    try:
        _ip("link", "add", LINK, "type", "veth", "peer", "name", "eth0", "netns", NAMESPACE)
        _ip("addr", "add", f"{HERE}/24", "dev", LINK)
        _ip("link", "set", LINK, "up")
        _ip("-n", NAMESPACE, "addr", "add", f"{THERE}/24", "dev", "eth0")
        for device in ("eth0", "lo"):
            _ip("-n", NAMESPACE, "link", "set", device, "up")
        yield
    finally:
        _ip("netns", "delete", NAMESPACE)


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True)


@pytest.mark.long
def test_worker_beyond_a_cut_link_is_given_up_here_and_ends_itself_there(link: None, tmp_path: Path):
    require_ray()
    sample, port, token_file = load_nodes(), free_port(), tmp_path / "token"
    sample.make_token(token_file)
    head = sample.start_node("head", port=port, token_file=token_file, is_head=True, cpus=0, host=HERE)
    prefix = ("ip", "netns", "exec", NAMESPACE)
    box = sample.start_node("box1", port=port, token_file=token_file, head=HERE, host=THERE, prefix=prefix)
    try:
        with Place(tmp_path, CUT.format(here=HERE, port=port)) as place:
            place.start()
            place.drop("a.txt", "hang")
            wait_for(lambda: (place.row("a.txt") or {}).get("state") == "running", "the start", 120)
            there = [pid for pid in box.pids() if b"processors.worker" in Path(f"/proc/{pid}/cmdline").read_bytes()]
            assert there
            _ip("link", "set", LINK, "down")
            cut = time.monotonic()
            wait_for(lambda: place.rows("SELECT 1 FROM attempts WHERE outcome = 'unavailable'"), "the end here", 15)
            given_up = time.monotonic() - cut
            wait_for(lambda: not any(Path(f"/proc/{pid}").exists() for pid in there), "the end there", 45)
            print(f"\ngiven up here after {given_up:.1f} s, ended there after {time.monotonic() - cut:.1f} s")
            assert place.rows("SELECT charged FROM jobs") == [{"charged": 0}]
    finally:
        for node in (box, head):
            node.kill()
