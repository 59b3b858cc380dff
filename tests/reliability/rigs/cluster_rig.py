"""Failures in a Ray cluster: actors, their workers, nodes, the head and the daemon are killed at random instants, nodes
are frozen, and their links are cut for a while, while files are dropped.

Everything runs on this machine: each node is a group of processes (samples/nodes.py), in a network namespace where
links are cut (tests/support/cut_links.py). At the end, an intact cluster and one daemon run undisturbed, and the
outcome of each file is checked.
"""

import contextlib
import os
import random
import signal
import subprocess
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

from accounting import Account, reckon
from cut_links import CutLink, CutNetwork
from mixed_files import CONFIG, Dropper
from ray_nodes import free_port, load_nodes
from result_checks import examine, visible_results
from sandbox import Place, wait_for

WEIGHTS = {"text": 60, "fine": 30, "crash_once": 1, "large": 0.3, "twin": 2, "latin": 1, "error": 0.3, "segfault": 0.2}
# the relative frequency of each failure; the cluster ends with its head, and the start of a new head takes 20 s
EVENTS = {"worker": 5, "actor": 8, "near": 4, "daemon": 3, "node": 3, "freeze": 3, "cut": 3, "head": 0.5}
PEACE = (
    0.05,
    1.0,
)  # between two of them, as a multiple of the time from the start of a worker on a node to its first result
QUEUE = 60  # maximum number of waiting files
BURST = 12
FROZEN_SECONDS = (2.0, 30.0)
CUT_SECONDS = (2.0, 40.0)
SURE_SECONDS = 16.0  # from a freeze or a cut, within which the daemon must give the node up
SURVIVE_SECONDS = 45.0  # from the cut of a link, within which the workers that the daemon gave up must end
BOXES = 2
DRAIN_SECONDS = 600.0
CLUSTER = """
    [cluster]
    address = "{host}:{port}"
    token_file = "ray-token"
    [devices.cpu]
    use = false
"""


@dataclass(kw_only=True)
class Verdict:
    seed: int
    account: Account
    events: Counter[str]
    outcomes: Counter[str]  # of attempts
    nodes: Counter[str]  # attempts by node
    orphans: int  # near halves that still run at the end
    given_up_seconds: list[float]  # from the freeze or the cut of a node until none of its jobs runs
    survivors: int  # workers behind a cut link that the daemon gave up, and that did not end
    joined_seconds: list[float]  # from the start of a node under load until it has a job
    seconds: float

    def __str__(self) -> str:
        frozen, joined = (f"{max(each, default=0):.1f} s" for each in (self.given_up_seconds, self.joined_seconds))
        return "\n".join(
            [
                f"seed {self.seed}: {self.account.files} files in {self.seconds:.0f} s, {self.account.bad} bad "
                f"({self.account.lost} lost, {self.account.twice} twice, {self.account.partial} partial, "
                f"{self.account.stuck} stuck, {self.account.wrong} wrong), {self.account.worn} worn",
                f"events: {dict(self.events)}; attempts: {dict(self.outcomes)}; by node: {dict(self.nodes)}",
                f"frozen or cut off: {len(self.given_up_seconds)} nodes given up after at most {frozen}, "
                f"{self.survivors} workers there did not end; {self.orphans} near halves still ran",
                f"joined: {len(self.joined_seconds)} nodes, used after at most {joined}",
                *self.account.notes[:20],
            ]
        )


@dataclass(kw_only=True)
class Storm:
    """One place and one cluster."""

    home: Path
    seed: int
    files: int
    minutes: float = 600.0  # no more files are dropped after this time
    has_links: bool  # that can be cut
    events: dict[str, float] = field(default_factory=lambda: {**EVENTS})

    def __post_init__(self) -> None:
        self._rng = random.Random(self.seed)
        self._sample: ModuleType = load_nodes()
        self._port, self._token_file = free_port(), self.home / "ray-token"
        self._happened: Counter[str] = Counter()
        self._given_up: list[float] = []
        self._joined: list[float] = []
        self._survivors = self._orphans = 0
        self._awaited: dict[str, float] = {}  # nodes that have joined, and had no job yet: when (wall clock)
        self._network = CutNetwork() if self.has_links else None
        self._links: dict[str, CutLink] = {}  # of the nodes, by name
        self._host = self._network.address if self._network else self._sample.HOST
        config = CONFIG.format(outbox=self.home / "outbox", timeout="120s")
        config += CLUSTER.format(host=self._host, port=self._port)
        self._place = Place(self.home, config)
        self._dropper = Dropper(self._place.inbox, self.home / "markers", random.Random(self._rng.random()), WEIGHTS)
        self._head: Any = None
        self._boxes: list[Any] = []
        self._numbers = iter(range(1, 10**6))
        self._daemon: Any = None

    def run(self) -> Verdict:
        started = time.monotonic()
        try:
            self._start_cluster()
            self._daemon = self._place.start()
            tempo = self._measure_tempo()
            next_event, until = time.monotonic(), time.monotonic() + 60 * self.minutes
            while len(self._dropper.drops) < self.files and time.monotonic() < until:
                if self._unfinished() < QUEUE:
                    for _ in range(self._rng.randint(1, BURST)):
                        self._dropper.drop()
                if time.monotonic() > next_event:
                    self._strike()
                    next_event = time.monotonic() + tempo * self._rng.uniform(*PEACE)
                self._look_for_joined()
                time.sleep(0.2)
            self._drain()
        finally:
            self._kill_cluster()
            self._place.stop_all()
            self._orphans = self._wait_for_orphans()
            if self._network:
                self._network.close()
        results = [examine(path, self._place.state / "archive") for path in visible_results(self._place.outbox)]
        account = reckon(self._place, self._dropper.drops, results)
        rows = self._place.rows("SELECT outcome, node, count(*) AS n FROM attempts GROUP BY 1, 2")
        outcomes: Counter[str] = Counter()
        nodes: Counter[str] = Counter()
        for row in rows:
            outcomes[str(row["outcome"])] += row["n"]
            nodes[str(row["node"])] += row["n"]
        return Verdict(
            seed=self.seed,
            account=account,
            events=self._happened,
            outcomes=outcomes,
            nodes=nodes,
            given_up_seconds=self._given_up,
            survivors=self._survivors,
            orphans=self._orphans,
            joined_seconds=self._joined,
            seconds=time.monotonic() - started,
        )

    def _wait_for_orphans(self) -> int:
        """The number of near halves that outlive the daemon and the cluster."""
        until = time.monotonic() + SURVIVE_SECONDS
        while (left := self._near_halves()) and time.monotonic() < until:
            time.sleep(0.2)
        return len(left)

    def _near_halves(self) -> list[int]:
        pids = [int(path.name) for path in Path("/proc").glob("[1-9]*")]
        address = f"{self._host}:{self._port}"
        return [pid for pid in pids if "cluster.near" in (command := _command(pid)) and address in command]

    def _measure_tempo(self) -> float:
        """Seconds from the first file until its result, when a worker starts for it."""
        started = time.monotonic()
        self._dropper.drop("text")
        wait_for(lambda: self._unfinished() == 0, "the first result", 180)
        return time.monotonic() - started

    # ---------------------------------------------------------------------------------------- the cluster

    def _start_cluster(self) -> None:
        self._sample.make_token(self._token_file)
        self._head = self._start_node("head", is_head=True, cpus=0, host=self._host)
        for _ in range(BOXES):
            self._add_box()

    def _add_box(self) -> None:
        name = f"box{next(self._numbers)}"
        if self._network is None:
            self._boxes.append(self._start_node(name))
            return
        link = self._links[name] = self._network.add()
        self._boxes.append(self._start_node(name, head=self._host, host=link.address, prefix=link.prefix))

    def _start_node(self, name: str, **how: Any) -> Any:
        return self._sample.start_node(name, port=self._port, token_file=self._token_file, **how)

    def _kill_box(self, node: Any) -> None:
        self._boxes.remove(node)
        self._awaited.pop(node.name, None)
        node.kill()
        if self._network is not None:
            self._network.remove(self._links.pop(node.name))

    def _kill_cluster(self) -> None:
        if self._head is not None:
            self._head.kill()
        for node in [*self._boxes]:
            self._kill_box(node)

    # ---------------------------------------------------------------------------------------- events

    def _strike(self) -> None:
        """Cause one failure; count it if it affected anything."""
        event = self._rng.choices([*self.events], [*self.events.values()])[0]
        self._happened[event] += bool(getattr(self, f"_strike_{event}")())

    def _strike_actor(self) -> bool:
        return _kill_one(self._rng, self._of_boxes("ray::Remote"))

    def _strike_worker(self) -> bool:
        return _kill_one(self._rng, self._of_boxes("processors.worker"))

    def _strike_near(self) -> bool:
        return _kill_one(self._rng, [pid for pid in _children(self._daemon.pid) if "cluster.near" in _command(pid)])

    def _strike_daemon(self) -> bool:
        self._happened["daemon while actors run"] += bool(self._of_boxes("ray::Remote"))
        self._daemon.send_signal(signal.SIGKILL)
        self._daemon.wait()
        self._daemon = self._place.start()
        return True

    def _strike_node(self) -> bool:
        """Kill a node, and let another one join."""
        self._kill_box(self._rng.choice(self._boxes))
        self._add_box()
        self._awaited[self._boxes[-1].name] = time.time()
        return True

    def _strike_freeze(self) -> bool:
        """Freeze a node for a while, shorter or longer than the daemon waits for it."""
        node = self._rng.choice(self._boxes)
        if not self._running_on(node.name):
            return False
        node.signal(signal.SIGSTOP)
        self._isolate(node, self._rng.uniform(*FROZEN_SECONDS))
        node.signal(signal.SIGCONT)
        self._replace_if_ended(node)
        return True

    def _strike_cut(self) -> bool:
        """Cut the link of a node for a while. The workers that the daemon gave up must end there."""
        node = self._rng.choice(self._boxes)
        if not self._network or not self._running_on(node.name):
            return False
        seconds, cut = self._rng.uniform(*CUT_SECONDS), time.monotonic()
        there = [pid for pid in node.pids() if "processors.worker" in _command(pid)]
        self._links[node.name].cut()
        self._isolate(node, seconds)
        self._links[node.name].heal()
        while seconds > SURE_SECONDS and (left := _living(there)):
            if time.monotonic() > cut + SURVIVE_SECONDS:
                self._survivors += len(left)
                break
            time.sleep(0.1)
        self._replace_if_ended(node)
        return True

    def _isolate(self, node: Any, seconds: float) -> None:
        """Wait for `seconds`, and measure when the daemon gives up the jobs of the node."""
        began, given_up = time.monotonic(), seconds
        while (elapsed := time.monotonic() - began) < seconds:
            if given_up == seconds and not self._running_on(node.name):
                given_up = elapsed
            time.sleep(0.1)
        if seconds > SURE_SECONDS:
            self._given_up.append(given_up)

    def _replace_if_ended(self, node: Any) -> None:
        """Replace a node that Ray ends when it returns, because it was declared dead."""
        time.sleep(1)
        if not node.is_running:
            self._kill_box(node)
            self._add_box()

    def _strike_head(self) -> bool:
        self._kill_cluster()
        self._start_cluster()
        return True

    # ---------------------------------------------------------------------------------------- queries

    def _of_boxes(self, what: str) -> list[int]:
        return [pid for node in self._boxes for pid in node.pids() if what in _command(pid)]

    def _unfinished(self) -> int:
        rows = self._place.rows("SELECT count(*) AS n FROM jobs WHERE state IN ('done', 'failed')")
        return len(self._dropper.drops) - (rows[0]["n"] if rows else 0)

    def _running_on(self, node: str) -> int:
        rows = self._place.rows(f"SELECT count(*) AS n FROM jobs WHERE state = 'running' AND node = '{node}'")
        return rows[0]["n"] if rows else 0

    def _look_for_joined(self) -> None:
        for name, since in list(self._awaited.items()):
            rows = self._place.rows(f"SELECT min(started_at) / 1e6 AS at FROM attempts WHERE node = '{name}'")
            if rows and rows[0]["at"] is not None:
                self._joined.append(rows[0]["at"] - since)
                del self._awaited[name]

    def _drain(self) -> None:
        for node in [each for each in self._boxes if not each.is_running]:
            self._kill_box(node)
            self._add_box()
        self._place.inboxd("status", check=None)
        wait_for(lambda: self._unfinished() <= 0, f"the end of all jobs (seed {self.seed})", DRAIN_SECONDS)
        self._daemon.send_signal(signal.SIGTERM)
        self._daemon.wait()


def _kill_one(rng: random.Random, pids: list[int]) -> bool:
    """Kill one of these processes; False: there is none."""
    if not pids:
        return False
    with contextlib.suppress(ProcessLookupError):
        os.kill(rng.choice(pids), signal.SIGKILL)
        return True
    return False


def _living(pids: list[int]) -> list[int]:
    return [pid for pid in pids if "processors.worker" in _command(pid)]


def _children(pid: int) -> list[int]:
    done = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True)
    return [int(each) for each in done.stdout.split()]


def _command(pid: int) -> str:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    return ""
