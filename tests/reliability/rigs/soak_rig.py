"""One daemon under mixed load for a long time, with every kind of disturbance, while its resources are measured:
descriptors, threads, memory, workers, the database's log.

The load is a random sequence of scenes. After each scene, a janitor reads and removes the results, as a user would:
whatever grows, grows in the daemon.
"""

import contextlib
import itertools
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from accounting import Account, reckon
from mixed_files import Dropper
from process_meters import Meters, Reading
from result_checks import Seen, examine
from sandbox import DEADLINE, Place, wait_for

from daemon.core.errors import NotRunning
from daemon.server import control_socket

OUTBOX_BYTES = 256 * 2**20
QUIET_SECONDS = 300.0  # a scene whose files are not done by then: something is stuck
_RETRIED = 0.05  # of the failed jobs


class Soak:
    """A place, its daemon, and the load on it."""

    def __init__(
        self, home: Path, toml: str, *, seed: int, flood: int, weights: Mapping[str, float], sabotage: str = ""
    ):
        self._rng = random.Random(seed)
        self._seed, self._flood = seed, flood
        self._place = Place(home, toml)
        self._place.outbox.mkdir()
        self._is_mounted = _mount_small(self._place.outbox)
        self._dropper = Dropper(self._place.inbox, home / "markers", random.Random(seed), weights)
        self._folders = itertools.count(1)
        self._seen: list[Seen] = []
        self._retried: set[str] = set()
        self.played: Counter[str] = Counter()
        with (home / "daemon.log").open("ab") as log:
            self._daemon = subprocess.Popen(
                [sys.executable, "-m", "killable_daemon", self._place.config, home / "daemon.log", sabotage],
                cwd=home,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
                stdout=log,
                stderr=log,
            )
        self._place.adopt(self._daemon)
        self.meters = Meters(self._daemon.pid, self._place.state / "jobs.db-wal")

    def run(self, seconds: float, *, sample_seconds: float, rest_seconds: float) -> Account:
        """Play scenes for this time, each at least once, and take a reading after some of them; see
        `_between_rests`."""

        def play() -> None:
            stop = threading.Event()
            sampling = threading.Thread(target=self.meters.sample_until, args=(stop, sample_seconds))
            sampling.start()
            until = time.monotonic() + seconds
            try:
                for scene in self._scenes():
                    self._play(scene)
                while time.monotonic() < until:
                    self._play(self._rng.choice(self._scenes()))
            finally:
                stop.set()
                sampling.join()

        return self._between_rests(play, rest_seconds)

    def run_floods(self, count: int, *, rest_seconds: float) -> Account:
        """Play this number of floods, with one reading after each. There are equally many jobs between two readings, so
        a leak per job grows equally in each quarter of the readings, however fast the machine was."""

        def play() -> None:
            for _ in range(count):
                self._play(self._flooded)
                self.meters.readings.append(self.meters.read())

        return self._between_rests(play, rest_seconds)

    def _between_rests(self, play: Callable[[], None], rest_seconds: float) -> Account:
        """Come to rest after a first scene, play, and come to rest again; then stop the daemon, and reckon.

        rest_seconds: how long the idle workers may take to be unloaded, and the rest to be as before.
        """
        self._wait_for(self._status, "the daemon's first answer")
        self._play(self._mixed)  # creates the objects that exist only after their first use
        self.meters.at_rest = self._come_to_rest(None, rest_seconds)
        play()
        self.meters.at_end = self._come_to_rest(self.meters.at_rest, rest_seconds)
        self._daemon.send_signal(signal.SIGTERM)
        status = self._daemon.wait(60)
        account = reckon(self._place, self._dropper.drops, self._seen)
        if status != 0:
            account.note(f"the daemon ended with {status}", "wrong")
        return account

    def close(self) -> None:
        self._place.stop_all()
        if self._is_mounted:
            subprocess.run(["umount", "--lazy", self._place.outbox], check=True)

    # ---------------------------------------------------------------------------------------- the scenes

    def _scenes(self) -> list[Callable[[], None]]:
        scenes = [self._mixed, self._folders_come_and_go, self._workers_killed, self._asked, self._hung_up]
        return [*scenes, self._flooded, *([self._outbox_full] if self._is_mounted else [])]

    def _play(self, scene: Callable[[], None]) -> None:
        """Play one scene until all its files are done, then let the janitor read and remove the results."""
        self.played[scene.__name__.removeprefix("_")] += 1
        scene()
        self._wait_for(self._is_quiet, f"the end of the scene {scene.__name__}", QUIET_SECONDS)
        self._clear_outbox()

    def _mixed(self) -> None:
        """Drop files of all kinds."""
        for _ in range(self._rng.randrange(5, 30)):
            self._dropper.drop()

    def _flooded(self) -> None:
        """Drop very many files at once."""
        for _ in range(self._flood):
            self._dropper.drop("text")

    def _folders_come_and_go(self) -> None:
        """Create and fill a folder, rename it with its remaining files, and remove it once it is empty."""
        first, second = f"new{next(self._folders)}", f"moved{next(self._folders)}"
        (self._place.inbox / first / "deep").mkdir(parents=True)
        for _ in range(10):
            self._dropper.drop("text", folder=self._rng.choice((first, f"{first}/deep")))
        (self._place.inbox / first).rename(self._place.inbox / second)
        self._wait_for(lambda: _is_without_files(self._place.inbox / second), "the taking from a renamed folder")
        shutil.rmtree(self._place.inbox / second)

    def _workers_killed(self) -> None:
        """Kill workers while they work."""
        for _ in range(10):
            self._dropper.drop(self._rng.choice(("text", "fine")))
        for _ in range(3):
            workers = self._wait_for(lambda: self.meters.workers() or self._is_quiet(), "workers")
            if workers is True:
                return
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._rng.choice(workers), signal.SIGKILL)

    def _asked(self) -> None:
        """Send valid and invalid commands to the control socket, and close connections early."""
        socket_path = self._place.state / "inboxd.sock"
        for command in ("status", "probe", "no such command"):
            control_socket.ask(socket_path, command)
        for question in (
            b"",
            b"{",
            b"no json\n",
            b'{"command": "status"}\n',
            b"x" * control_socket.MAX_REQUEST_BYTES + b"\n",
        ):
            with socket.socket(socket.AF_UNIX) as client, contextlib.suppress(BrokenPipeError):
                client.connect(str(socket_path))
                client.sendall(question)

    def _hung_up(self) -> None:
        """Send SIGHUP, which makes the daemon scan everything again."""
        self._dropper.drop("text")
        self._daemon.send_signal(signal.SIGHUP)

    def _outbox_full(self) -> None:
        """Fill the outbox for a while."""
        filler = self._place.outbox / ".filler"
        with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
            while True:
                file.write(b"\0" * 2**20)
        for _ in range(5):
            self._dropper.drop("text")
        self._wait_for(self._has_noticed, "the notice that the outbox is full")
        filler.unlink()

    def _has_noticed(self) -> bool:
        status = self._status()
        return bool(status and (status["storage_problem"] or status["waiting"]))

    # ---------------------------------------------------------------------------------------- the janitor

    def _clear_outbox(self) -> None:
        """Read and remove all results; retry some of the failed jobs instead, once each."""
        while True:
            retried = [seen.job for seen in self._read_and_remove()]
            for path in self._place.outbox.rglob("*"):
                if path.is_file() and path.name != ".lock" and not retried:
                    self._seen.append(Seen(path=str(path), faults=(f"{path} belongs to no result",)))
            for job in retried:
                answer = control_socket.ask(self._place.state / "inboxd.sock", "retry", job=job)
                assert answer["ok"], answer
            if not retried:
                return
            self._wait_for(self._is_quiet, "the end of the retried jobs", QUIET_SECONDS)

    def _read_and_remove(self) -> list[Seen]:
        """The failed results that remain, because their jobs are retried."""
        stay = []
        for document in list(self._place.outbox.rglob("*.json")):
            if document.name not in ("result.json", "error.json"):
                continue
            seen = examine(document.parent, self._place.state / "archive")
            if seen.state == "failed" and seen.job not in self._retried and self._rng.random() < _RETRIED:
                self._retried.add(seen.job)
                stay.append(seen)
            else:
                self._seen.append(seen)
                shutil.rmtree(document.parent)
        return stay

    # ---------------------------------------------------------------------------------------- waiting

    def _wait_for(self, condition: Callable[[], Any], what: str, deadline: float = DEADLINE) -> Any:
        def look() -> Any:
            assert self._daemon.poll() is None, f"seed {self._seed}: the daemon ended\n{self._place.log()[-3000:]}"
            return condition()

        return wait_for(look, f"{what} (seed {self._seed})", deadline)

    def _status(self) -> dict[str, Any] | None:
        try:
            return control_socket.ask(self._place.state / "inboxd.sock", "status")
        except NotRunning:
            return None

    def _is_quiet(self) -> bool:
        """True if the job of every dropped file has ended."""
        jobs = (self._status() or {"jobs": {}})["jobs"]
        return jobs.get("done", 0) + jobs.get("failed", 0) == len(self._dropper.drops) == sum(jobs.values())

    def _come_to_rest(self, like: Reading | None, seconds: float) -> Reading:
        """The readings once the workers have exited and, if that happens in time, once all values equal those of
        `like`."""
        until = time.monotonic() + seconds
        while True:
            reading = self.meters.read()
            if (not reading.workers and (like is None or reading.returns_to(like))) or time.monotonic() > until:
                return reading
            time.sleep(0.05)


def _is_without_files(folder: Path) -> bool:
    return not any(path.is_file() for path in folder.rglob("*"))


def _mount_small(folder: Path) -> bool:
    """Mount a small file system on `folder`; False: this user may not."""
    if os.geteuid() != 0:
        return False
    command = ["mount", "-t", "tmpfs", "-o", f"size={OUTBOX_BYTES}", "tmpfs", folder]
    return subprocess.run(command, capture_output=True).returncode == 0
