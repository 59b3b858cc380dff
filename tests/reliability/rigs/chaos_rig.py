"""Rounds of kill -9 at random instants: of workers, of the daemon, of both, while files are dropped and results read.

A round is one place with a daemon that is killed repeatedly, a dropper (a thread) and a consumer (a process) that reads
each result as soon as it appears. At the end, one daemon runs undisturbed, and the outcome of each file is checked. All
random choices come from the seed of the round, but what a kill interrupts depends on the machine: a repeated round is
similar, not identical.
"""

import contextlib
import os
import queue
import random
import re
import shutil
import signal
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from accounting import Account, reckon
from killable_daemon import processes, run_daemon
from mixed_files import CONFIG, WEIGHTS, Dropper
from result_checks import consume, examine, mirrored, visible_results
from sandbox import Place, wait_for

FILES_AT_MOST = 4  # ordered before each instant
FLOOD, FLOOD_SHARE = 45, 0.02  # or this many, so that they are taken, and their results published, in groups
PEACE = 1.5  # the longest time between two kills, as a multiple of the time from a daemon's start to its first result
SOON = 0.1  # the same for a kill during the processing of a file
AT_ONCE = 0.01  # the same for a kill between a new file, or a result, and its row
TARGETS = {"worker": 7, "daemon": 2, "both": 1}  # the relative frequency of each target
INSTANTS = {"any": 4, "take": 2, "attempt": 2, "result": 2}  # when: at any time, or just after one of these
TIMEOUT_SECONDS = 1.5  # of the workers: the time until a hanging job is detected
DRAIN_SECONDS = 180.0  # a job that has not ended by then counts as stuck


@dataclass(kw_only=True)
class Verdict:
    """The findings of one round."""

    seed: int
    kills: Counter[str]  # by what was killed
    repaired: Counter[str]  # the actions of the recoveries, as named in the log
    consumer: dict[str, Any]
    account: Account
    seconds: float

    @property
    def bad(self) -> int:
        return self.account.bad

    def __str__(self) -> str:
        return "\n".join([f"seed {self.seed}: {self.bad} bad", *self.account.notes[:20]])


class Round:
    """One place with daemons that are killed."""

    def __init__(
        self,
        home: Path,
        *,
        seed: int,
        kills: int,
        outbox: Path,
        targets: Mapping[str, float] = TARGETS,
        instants: Mapping[str, float] = INSTANTS,
        weights: Mapping[str, float] = WEIGHTS,
        sabotage: str | None = None,
    ):
        self._rng = random.Random(seed)
        self._targets, self._instants = targets, instants
        self._seed, self._kills, self._sabotage = seed, kills, sabotage
        outbox.mkdir(parents=True)
        self._place = Place(home, CONFIG.format(outbox=outbox, timeout=f"{TIMEOUT_SECONDS}s"))
        self._place.outbox = outbox
        self._kept = outbox.with_name(outbox.name + ".kept")
        self._kept.mkdir()
        self._dropper = Dropper(self._place.inbox, home / "markers", random.Random(self._rng.random()), weights)
        self._orders: queue.SimpleQueue[int] = queue.SimpleQueue()  # how many files to drop; -1: no more
        self._tempo_seconds = 0.0
        self._daemon: Any = None
        self._deaths: list[str] = []  # by daemons that the rig did not kill
        self._killed: Counter[str] = Counter()

    def run(self) -> Verdict:
        """Kill `kills` times, then drain the inbox and check the outcome of each file."""
        started = time.monotonic()
        dropping = threading.Thread(target=self._drop_as_ordered)
        dropping.start()
        receiver, sender = processes.Pipe(duplex=False)
        stop = processes.Event()
        consumer = processes.Process(
            target=consume, args=(self._place.outbox, self._place.state / "archive", self._kept, stop, sender)
        )
        consumer.start()
        try:
            self._measure_tempo()
            while self._killed.total() < self._kills:
                self._ensure_daemon()
                is_flood = self._rng.random() < FLOOD_SHARE
                self._orders.put(FLOOD if is_flood else self._rng.randint(0, FILES_AT_MOST))
                self._wait_for_the_instant()
                self._kill()
            self._orders.put(-1)
            dropping.join()
            self._drain()
            stop.set()
            if not receiver.poll(60):
                raise AssertionError(f"the consumer does not end (seed {self._seed})")
            seen = receiver.recv()
        finally:
            self._orders.put(-1)
            for process in (self._daemon, consumer):
                if process is not None and process.is_alive():
                    process.kill()
        results = [*visible_results(self._place.outbox), *self._kept.iterdir()]
        found = [examine(result, self._place.state / "archive") for result in results]
        account = reckon(self._place, self._dropper.drops, found)
        for fault in seen["faults"]:
            account.note(fault, "partial")
        for death in self._deaths:
            account.note(death, "wrong")
        repaired = _repaired(self._place.log())
        seconds = time.monotonic() - started
        return Verdict(
            seed=self._seed, kills=self._killed, repaired=repaired, consumer=seen, account=account, seconds=seconds
        )

    def _measure_tempo(self) -> None:
        """Seconds from a daemon's start to its first result: the kills leave time for a few, however busy this machine
        is."""
        started = time.monotonic()
        self._dropper.drop("text")
        self._ensure_daemon()
        wait_for(lambda: self._place.rows("SELECT 1 FROM jobs WHERE state IN ('done', 'failed')"), "the first result")
        self._tempo_seconds = time.monotonic() - started

    def _drop_as_ordered(self) -> None:
        while (count := self._orders.get()) >= 0:
            for _ in range(count):
                self._dropper.drop()

    def _start_daemon(self, *, drain: bool) -> None:
        arguments = (self._place.config, self._place.home / "daemon.log", drain, self._sabotage)
        self._daemon = processes.Process(target=run_daemon, args=arguments)
        self._daemon.start()

    def _ensure_daemon(self) -> None:
        if self._daemon is not None and self._daemon.exitcode is None:
            return
        if self._daemon is not None and self._daemon.exitcode != -signal.SIGKILL:
            self._deaths.append(
                f"the daemon ended without a kill: {self._daemon.exitcode}\n{self._place.log()[-2000:]}"
            )
        self._start_daemon(drain=False)

    def _wait_for_the_instant(self) -> None:
        """Let a random time pass, after the event that the kill is to be close to."""
        when = self._rng.choices(list(self._instants), list(self._instants.values()))[0]
        until = time.monotonic() + PEACE * self._tempo_seconds
        results, taken = self._outbox_as_it_is(), self._taken()
        while time.monotonic() < until and (
            (when == "attempt" and not _has_entries(self._place.outbox / ".staging"))
            or (when == "take" and self._taken() <= taken)
            or (when == "result" and self._outbox_as_it_is() == results)
        ):
            time.sleep(0.0005)
        longest = {"any": PEACE, "attempt": SOON}.get(when, AT_ONCE)
        time.sleep(self._rng.uniform(0.0, longest * self._tempo_seconds))

    def _taken(self) -> set[str]:
        with contextlib.suppress(FileNotFoundError):
            return set(os.listdir(self._place.inbox / ".taken"))
        return set()

    def _outbox_as_it_is(self) -> list[int]:
        """A value that changes when a result becomes visible."""
        return [folder.stat().st_mtime_ns for folder in mirrored(self._place.outbox) if folder.is_dir()]

    def _kill(self) -> None:
        """Kill one worker, the daemon (whose workers then end, too), or all workers and the daemon together."""
        what = self._rng.choices(list(self._targets), list(self._targets.values()))[0]
        if what != "daemon":
            workers = _children(self._daemon.pid)
            if not workers:
                return  # there is none yet: try at the next instant
            for worker in workers if what == "both" else [self._rng.choice(workers)]:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(worker, signal.SIGKILL)
        if what != "worker":
            self._daemon.kill()
            self._daemon.join()
        self._killed[what] += 1

    def _drain(self) -> None:
        """Let one daemon finish the remaining jobs, after the last killed daemon has ended."""
        self._ensure_daemon()
        self._daemon.kill()
        self._daemon.join()
        self._start_daemon(drain=True)
        self._daemon.join(DRAIN_SECONDS)
        if self._daemon.exitcode is None:
            self._deaths.append(f"the drain did not end within {DRAIN_SECONDS:g} s")
            self._daemon.kill()
            self._daemon.join()
        elif self._daemon.exitcode != 0:
            self._deaths.append(f"the drain ended with {self._daemon.exitcode}\n{self._place.log()[-2000:]}")


def run_rounds(home: Path, *, seeds: Sequence[int], kills: int) -> list[Verdict]:
    """Run rounds one after the other; if there is a second file system, every second round has its outbox there."""
    verdicts = []
    for seed in seeds:
        is_far = seed % 2 and Path("/dev/shm").is_dir()
        site = home / str(seed)
        site.mkdir()
        outbox = Path(tempfile.mkdtemp(prefix="outbox-", dir="/dev/shm" if is_far else site))
        verdicts.append(Round(site, seed=seed, kills=kills, outbox=outbox / "outbox").run())
        if verdicts[-1].bad:
            break  # its folders remain, for an analysis
        shutil.rmtree(outbox)
        shutil.rmtree(site)
    return verdicts


def _children(pid: int) -> list[int]:
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except (FileNotFoundError, ProcessLookupError):
        return []


def _has_entries(folder: Path) -> bool:
    try:
        return any(entry.name != ".lock" for entry in os.scandir(folder))
    except FileNotFoundError:
        return False


def _repaired(log: str) -> Counter[str]:
    found: Counter[str] = Counter()
    for report in re.findall(r"recovered after an unclean shutdown: (.*)", log):
        found.update({name: int(count) for count, name in re.findall(r"(\d+) (\w+)", report)})
    return found
