"""Runs daemons on disks whose power is cut, and checks the remaining files, before and after the recovery.

A run has blank disks, a producer, and a daemon that is sometimes killed and started again, and sometimes retries failed
jobs. Several cuts take snapshots of the disks, which the processes do not notice. Then each snapshot is mounted,
checked, and recovered by a drain; sometimes the power is cut during the recovery, too.
"""

import contextlib
import random
import shutil
import sqlite3
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from disk_state import ROWS, Remains, Site, read_disks
from disks import Disks
from power_cut_checks import Promises, after_recovery, at_start
from power_cut_daemons import DaemonServer, Order
from producer import Producer
from sandbox import wait_for

from daemon import config
from daemon.core.errors import InboxdError, UsageError
from daemon.files.folders import Folders
from daemon.recovery.verify import Verification
from daemon.server import control_socket

TEXT = """
    [paths]
    inbox = "{inbox}"
    outbox = "{outbox}"
    state = "{state}"
    [inbox]
    text = "shout"
    settle_seconds = 0.05
    [inbox.folders.archived]
    originals = "archive"
    [inbox.folders.deleted]
    originals = "delete"
    [recipes.shout]
    processor = "{processor}"
    upper = true
"""
LAYOUTS: Mapping[str, Mapping[str, str]] = {  # the outbox is on disk b, if there is one; all else on a
    "ext4": {"a": "ext4"},
    "two ext4": {"a": "ext4", "b": "ext4"},
    "xfs": {"a": "xfs"},
    "two xfs": {"a": "xfs", "b": "xfs"},
    "btrfs": {"a": "btrfs"},
    "two btrfs": {"a": "btrfs", "b": "btrfs"},
}
_EVENTS = ("queued", "queued by command", "running", "publishing", "done", "failed")
_PAUSE_SECONDS = 0.4  # maximum time before a cut
_EVENT_SECONDS = 1.0  # maximum time until the event that a cut waits for


@dataclass
class Figures:
    """The counts of a run."""

    cuts: int = 0
    in_recovery: int = 0
    files: int = 0
    checks: int = 0  # jobs checked, before and after each recovery

    def __iadd__(self, other: "Figures") -> "Figures":
        for name, count in vars(other).items():
            setattr(self, name, getattr(self, name) + count)
        return self


class PowerCuts:
    """One arrangement of disks, and daemons on it. `sabotage`: broken daemons, see `power_cut_daemons`."""

    def __init__(self, home: Path, server: DaemonServer, layout: str, *, seed: int, sabotage: str = ""):
        self.figures = Figures()
        self._name, self._seed = f"{layout}, seed {seed}", seed
        self._chance = random.Random(f"{seed} {layout}")
        self._server = server
        self._sabotage = sabotage
        home.mkdir()
        self._log = home / "daemon.log"
        self._kept = home / "bad"
        self._disks = Disks(home, LAYOUTS[layout])
        near, far = self._disks.path("a"), self._disks.path("b" if "b" in LAYOUTS[layout] else "a")
        self._site = Site(
            config=home / "config.toml", inbox=near / "inbox", outbox=far / "outbox", state=near / "state"
        )
        processor = "fakes.unsynced" if sabotage == "outputs_unsynced" else "plaintext"
        self._site.config.write_text(TEXT.format(**vars(self._site), processor=processor))

    def close(self) -> None:
        self._disks.close()

    def run(self, cuts: int) -> None:
        """One run with `cuts` cuts.

        Raises:
            AssertionError: a promise is broken; the snapshot is saved.
        """
        for snapshot, promises in self._live(cuts):
            self._check(snapshot, promises, self._chance.random() < 0.25)

    def run_deaths(
        self, *deaths: str, kind: str = "good", folder: str | None = None, files: int = 1, retry: bool = False
    ) -> None:
        """Drop files, run daemons one after the other, each of which kills itself after a function ("": not at all),
        and cut the power.

        kind, folder: of the files, see `Producer.drop`. retry: the second daemon retries the failed jobs.
        """
        self._disks.power_on()
        producer = Producer(self._site.inbox, self._chance)
        try:
            for _ in range(files):
                producer.drop(kind, folder)
            for number, death in enumerate(deaths, start=1):
                daemon = self._start(drain=not death, dies_after=death)
                if retry and number == 2:
                    self._retry_until_death(daemon)
                assert self._server.wait(daemon) == (-9 if death else 0), self._log.read_text()[-3000:]
            snapshot, promises = self._cut(producer)
        finally:
            self._disks.power_off()
        self._check(snapshot, promises, cut_again=False)

    # ---------------------------------------------------------------------------------------- the live run

    def _live(self, cuts: int) -> list[tuple[Path, Promises]]:
        self._disks.power_on()
        daemon = self._start()
        producer = Producer(self._site.inbox, random.Random(self._chance.random()))
        producer.start()
        made = []
        try:
            for _ in range(cuts):
                if self._chance.random() < 0.1:
                    self._server.kill(daemon)
                    daemon = self._start()
                if self._chance.random() < 0.25:
                    threading.Thread(target=self._retry_the_failed, daemon=True).start()
                self._await_moment(daemon)
                assert not self._server.has_ended(daemon), self._log.read_text()[-3000:]
                made.append(self._cut(producer))
        finally:
            producer.stop()
            self._server.kill(daemon)
            self._disks.power_off()
        self.figures.files += len(producer.drops)
        return made

    def _cut(self, producer: Producer) -> tuple[Path, Promises]:
        durable = frozenset(producer.promised)
        promises = Promises(drops=producer.drops, durable=durable, seen=_read(self._site.database))
        return self._disks.cut(), promises

    def _start(self, **how: Any) -> int:
        order = Order(config=str(self._site.config), log=str(self._log), sabotage=self._sabotage, **how)
        return self._server.start(order)

    def _retry_the_failed(self) -> bool:
        """Retry the failed jobs. False: the daemon did not respond, because it has been killed or is starting."""
        with contextlib.suppress(InboxdError, OSError):
            return bool(control_socket.ask(self._site.state / "inboxd.sock", "retry", failed=True)["retried"])
        return False

    def _retry_until_death(self, daemon: int) -> None:
        wait_for(lambda: self._retry_the_failed() or self._server.has_ended(daemon), "the end of a daemon")

    def _await_moment(self, daemon: int) -> None:
        """Wait for a random time, for the moment at which a job has just reached a certain state, or for the end of the
        daemon."""
        event = self._chance.choice((None, None, *_EVENTS))
        pause = self._chance.uniform(0, _PAUSE_SECONDS)
        last = _last_event(self._site.database) if event else 0
        until = time.monotonic() + (_EVENT_SECONDS if event else pause)
        while time.monotonic() < until and not self._server.has_ended(daemon):
            if event and _last_event(self._site.database, event) > last:
                return
            time.sleep(0.0005)

    # ---------------------------------------------------------------------------------------- after a cut

    def _check(self, snapshot: Path, promises: Promises, cut_again: bool) -> None:
        self.figures.cuts += 1
        again = None
        self._disks.power_on(snapshot)
        try:
            start = read_disks(self._site)
            self._assert_none(snapshot, "before the recovery", at_start(promises, start), start)
            daemon = self._start(drain=True)
            if cut_again:
                self._await_moment(daemon)
                seen = {**promises.seen, **_read(self._site.database)}
                again = self._disks.cut()
                self._server.kill(daemon)
            else:
                status = self._server.wait(daemon)
                end = read_disks(self._site)
                assert status == 0, f"{self._name}: the recovery ended with {status}: {self._log.read_text()[-3000:]}"
                self._assert_none(snapshot, "after the recovery", after_recovery(promises, start, end), end)
        finally:
            self._disks.power_off()
        if again:
            self.figures.in_recovery += 1
            self._check(again, replace(promises.and_all_of(start), seen=seen), cut_again=False)
        shutil.rmtree(snapshot)

    def _audit(self) -> list[str]:
        """Return the errors that `inboxd verify` finds."""
        settings = config.load(self._site.config)
        folders = Folders(inbox=settings.inbox, outbox=settings.outbox, state=settings.state)
        try:
            verdict = Verification(folders, settings.database, is_running=False).run()
        except (UsageError, FileNotFoundError):  # the power was cut before the job log or the folders were made
            return []
        return [f"verify: {finding.what}" for finding in verdict.findings if finding.is_error]

    def _assert_none(self, snapshot: Path, when: str, found: Iterable[str], remains: Remains) -> None:
        self.figures.checks += len(remains.rows)
        wrong = list(found) or self._audit()
        if wrong:
            with contextlib.suppress(OSError):  # the fault must still be reported
                shutil.move(snapshot, self._kept)
            raise AssertionError(
                f"{self._name}, cut {self.figures.cuts}, {when}: {len(wrong)} wrong; the disks as they were at the cut "
                f"are kept in {self._kept}; to repeat: INBOXD_SEED={self._seed} make powercut\n" + "\n".join(wrong[:10])
            )


def _read(database: Path) -> dict[str, dict[str, Any]]:
    """The rows of the job log, which any user may read while a daemon runs; none if there is no job log yet."""
    return {row["id"]: dict(row) for row in _query(database, ROWS)}


def _last_event(database: Path, event: str = "") -> int:
    rows = _query(database, "SELECT coalesce(max(id), 0) AS last FROM events WHERE event LIKE ? || '%'", event)
    return rows[0]["last"] if rows else 0


def _query(database: Path, query: str, *values: Any) -> list[sqlite3.Row]:
    try:
        connection = sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True, timeout=10)
    except sqlite3.OperationalError:
        return []
    connection.row_factory = sqlite3.Row
    try:
        return connection.execute(query, values).fetchall()
    except sqlite3.OperationalError:
        return []
    finally:
        connection.close()
