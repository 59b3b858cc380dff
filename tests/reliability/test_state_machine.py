"""Random histories of store and folders, compared with a model of the expected state of each dropped content.

They consist of drops, renames, overwrites, deletions, all kinds of outcomes, outcomes that arrive late or twice,
commands, results that a user moves away, and simulated kills and disk errors at any durable call or commit. After each
step, every content is where the model allows, no result exists twice, rows and counts agree, and `inboxd verify` finds
no error.
"""

import collections
import os
import shutil
import tempfile
import uuid
from pathlib import Path

import pytest
from fuse import Died, Fuse
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)
from manual_daemon import InlineBackground, ManualDaemon, finished, is_odd

from daemon import config
from daemon.core import parallel, regular_files
from daemon.core.job import JobState
from daemon.publishing import completion, group, preparation
from daemon.publishing.finished_attempt import FinishedAttempt
from daemon.recovery.verify import Verification
from daemon.workers.supervisor import WorkerState
from processors.contract import FailureKind

TOML = """
[inbox]
text = "count"
settle_seconds = 1.0
[inbox.folders.unbound]
text = ""
[recipes.count]
processor = "plaintext"
max_batch = 6
[retry]
attempts = 3
backoff = "1s"
[schedule]
probe = "2s"
"""
NAMES = (
    "a.txt",
    "b.txt",
    "sub/a.txt",
    "sub/deep/c d.txt",
    "unbound/x.txt",
    "new\nline.txt",
    "n\udcff.txt",
    "failed/f.txt",
)
ACTIONS = (
    *(
        "drop",
        "drop",
        "drop",
        "submit",
        "turn",
        "turn",
        "turn",
        "finish_one",
        "finish_several",
        "fail_one",
        "go_on",
        "work",
    ),
    *("worker_dies", "end_batches", "answer_comes_late_or_twice", "cancel", "retry", "change_a_taken_file"),
    *("delete", "rename", "carry_a_result_away", "occupy_the_name_of_a_result"),
    *("will_die", "disk_will_fail", "die_now"),
)
REACHED: collections.Counter[str] = collections.Counter()  # how often each rule and state occurred, over all examples


@pytest.fixture(autouse=True)
def _one_thread(monkeypatch: pytest.MonkeyPatch):
    """The fuse counts calls: threads would make them come in another order each time."""
    monkeypatch.setattr(parallel, "threads", 1)


class Life(RuleBasedStateMachine):
    """One place, and the daemons that run on it one after the other."""

    def __init__(self) -> None:
        super().__init__()
        self.home = Path(tempfile.mkdtemp(prefix="life-", dir="/dev/shm" if Path("/dev/shm").is_dir() else None))
        (self.home / "config.toml").write_text(TOML)
        self.settings = config.load(self.home / "config.toml")
        self.now = 1000.0
        self.count = self.steps = 0
        self.in_inbox: dict[str, bytes] = {}  # path -> the content that the user put there last
        self.gone: set[bytes] = set()  # contents that the user has destroyed or moved away
        self.alive: set[bytes] = set()  # all others
        self.acknowledged: set[str] = set()  # jobs that the daemon has confirmed to a program
        self.old_answers: list = []
        self.fuse = Fuse()
        self.daemon = self._start()

    @initialize(inline_bytes=st.sampled_from((7, 2**24)))
    def start(self, inline_bytes: int) -> None:
        preparation.INLINE_BYTES = inline_bytes  # larger files are prepared in the background
        REACHED["examples"] += 1

    # one rule for all, because Hypothesis omits some rules in each example and would try too few combinations
    @rule(what=st.sampled_from(ACTIONS), pick=st.integers(0, 99), other=st.integers(0, 99))
    def act(self, what: str, pick: int, other: int) -> None:
        getattr(self, what)(pick, other)

    # ---------------------------------------------------------------------------------------- the user

    def drop(self, pick: int, other: int) -> None:
        self.count += 1
        name, is_empty = NAMES[pick % len(NAMES)], other % 10 == 0
        content = b"" if is_empty and b"" not in self.alive | self.gone else b"drop %d\n" % self.count
        path = self.settings.inbox / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists():
            self._destroy(path)
        path.write_bytes(content)
        if other % 3 == 0:  # its owner has a second name of it
            (self.home / f"second name {self.count}").hardlink_to(path)
        self.alive.add(content)
        REACHED["drop"] += 1

    def submit(self, pick: int, other: int) -> None:
        """Submit a file as a program does, and submit each file again for which there was no reply."""
        self.count += 1
        content = b"submitted %d\n" % self.count
        (self.settings.inbox / ".incoming" / str(uuid.UUID(int=self.count, version=4))).write_bytes(content)
        self.alive.add(content)
        self._submit_all(pick, {"upper": True} if other % 2 else {})

    def _submit_all(self, pick: int, options: dict[str, bool]) -> None:
        folder, _, name = NAMES[pick % 4].rpartition("/")
        for upload in sorted((self.settings.inbox / ".incoming").iterdir()):
            how = {"file": upload.name, "folder": folder, "file_name": name, "options": options}
            self._live(lambda how=how: self._acknowledge(self.daemon.ask("submit", **how)))

    def _acknowledge(self, answer: dict) -> None:
        REACHED["submitted" if answer["ok"] else "not submitted"] += 1
        if answer["ok"] and answer["waits_for"] is None:
            self.acknowledged.add(answer["job"])

    def _destroy(self, path: Path) -> None:
        content = path.read_bytes()
        path.unlink()
        self.alive.discard(content)
        self.gone.add(content)

    def delete(self, pick: int, other: int) -> None:
        if (path := self.settings.inbox / NAMES[pick % len(NAMES)]).exists():
            self._destroy(path)
            REACHED["delete"] += 1

    def rename(self, pick: int, other: int) -> None:
        source, target = (self.settings.inbox / NAMES[number % len(NAMES)] for number in (pick, other))
        if source.exists() and not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            source.rename(target)

    def carry_a_result_away(self, pick: int, other: int) -> None:
        results = self._results()
        if results:
            folder = sorted(results)[pick % len(results)]
            for content in results[folder]:
                self.alive.discard(content)
                self.gone.add(content)
            shutil.rmtree(folder)
            REACHED["carried away"] += 1

    def occupy_the_name_of_a_result(self, pick: int, other: int) -> None:
        name = ("a", "b", "sub/a", "failed/a", "failed/unbound/x")[pick % 5]
        (self.settings.outbox / name).mkdir(parents=True, exist_ok=True)

    def change_a_taken_file(self, pick: int, other: int) -> None:
        """A program that still had the file open continues to write while the job runs."""
        running = [job for worker in self.daemon.workers for job in worker.jobs.values()]
        if not running:
            return
        job = running[pick % len(running)]
        path = self.daemon.folders.taken.original(job.id).path
        old = path.read_bytes()
        path.write_bytes(old + b"more\n")
        self.alive.discard(old)
        self.alive.add(old + b"more\n")
        REACHED["changed while it ran"] += 1

    # ---------------------------------------------------------------------------------------- the daemon

    def _live(self, step, *arguments) -> None:
        """Run a step of the daemon, which a simulated kill may end."""
        try:
            step(*arguments)
        except Died:
            REACHED["died"] += 1
            self._begin_again()

    def _begin_again(self) -> None:
        self.daemon.die()
        self.daemon = self._reborn()

    def _start(self) -> ManualDaemon:
        return ManualDaemon(self.settings, self, background=InlineBackground())

    def monotonic(self) -> float:
        return self.now

    def now_us(self) -> int:
        return int(self.now * 1e6)

    def _reborn(self) -> ManualDaemon:
        while True:
            try:
                return self._start()
            except Died:
                REACHED["killed in recovery"] += 1

    def turn(self, pick: int, other: int) -> None:
        """Let the files in the inbox settle and be taken, load workers, and send them jobs."""
        for _ in range(2):
            self.now += 1.1
            self._live(self.daemon.check_inbox)
        self._live(self.daemon.compute_checksums)
        self._live(self.daemon.go_on)
        for worker in self.daemon.workers:
            if worker.state is WorkerState.LOADING:
                self._live(lambda worker=worker: self.daemon.load(worker.number, takes_more_jobs=is_odd(worker)))
        self._live(self.daemon.go_on)
        REACHED["joined"] += sum(worker.batches > 1 for worker in self.daemon.workers)

    def go_on(self, pick: int, other: int) -> None:
        self.now += (0.1, 1.0, 5.0, 60.0)[pick % 4]
        self._live(self.daemon.go_on)

    def work(self, pick: int, other: int) -> None:
        """Let correct workers finish their jobs."""
        for _ in range(3):
            self.now += 1.5
            self._live(self.daemon.compute_checksums)
            self._live(self.daemon.finish_all)

    def _pick(self, pick: int):
        pairs = [(worker, job) for worker in self.daemon.workers for job in worker.jobs.values()]
        return pairs[pick % len(pairs)] if pairs else (None, None)

    def finish_one(self, pick: int, other: int) -> None:
        worker, job = self._pick(pick)
        if job is not None:
            REACHED["finished"] += 1
            self.old_answers.append((worker.number, finished(self.daemon, job), job))
            self._live(self.daemon.finish, worker.number, job)

    def finish_several(self, pick: int, other: int) -> None:
        """Results that arrive together are published together."""
        workers = [worker for worker in self.daemon.workers if len(worker.jobs) > 1]
        if workers:
            worker = workers[pick % len(workers)]
            jobs = list(worker.jobs.values())
            REACHED["finished together"] += len(jobs)
            self.old_answers += [(worker.number, finished(self.daemon, job), job) for job in jobs]
            self._live(self.daemon.finish_together, worker.number, jobs)

    def fail_one(self, pick: int, other: int) -> None:
        kind = list(FailureKind)[other % len(FailureKind)]
        worker, job = self._pick(pick)
        if job is not None:
            REACHED[f"failed: {kind}"] += 1
            self.old_answers.append((worker.number, finished(self.daemon, job), job))
            self._live(self.daemon.fail, worker.number, job, kind)

    def end_batches(self, pick: int, other: int) -> None:
        for worker in self.daemon.workers:
            self._live(self.daemon.end_batch, worker.number)

    def worker_dies(self, pick: int, other: int) -> None:
        workers = list(self.daemon.workers)
        if workers:
            worker = workers[pick % len(workers)]
            self.old_answers += [(worker.number, finished(self.daemon, job), job) for job in worker.jobs.values()]
            if other % 2:
                worker.kill(FailureKind.TIMEOUT)
            REACHED["worker died"] += 1
            self._live(self.daemon.exit_worker, worker.number)

    def answer_comes_late_or_twice(self, pick: int, other: int) -> None:
        """It must change nothing, unless the same attempt still runs, or its result waits for a disk."""
        if not self.old_answers:
            return
        number, answer, job = self.old_answers[pick % len(self.old_answers)]
        row = self.daemon.store.get(job.id)
        is_current = row is not None and (row.attempt, row.lease) == (job.attempt, job.lease)
        is_current = is_current and row.state in (JobState.RUNNING, JobState.PUBLISHING)
        if is_current or self.fuse.left is not None:
            return
        REACHED["late answer"] += 1
        before = self._snapshot()
        self.daemon.receive(number, answer)
        late = FinishedAttempt(job=job, finished=answer, made_by={}, on_give_up=lambda error: None)
        self.daemon.publishing.publish_result(late)
        assert self.daemon.publishing.publish_results([late, late]) == [late, late]
        assert self.daemon.store.requeue(job, outcome="late") is None
        fields = {"outcome": JobState.DONE, "attempt_outcome": "late", "result_path": "late"}
        assert (
            self.daemon.store.intend(job, **fields) is None or row.state is JobState.QUEUED and row.lease == job.lease
        )
        assert self._snapshot() == before, "a late answer changed something"

    def _snapshot(self) -> tuple:
        rows = self.daemon.store._connection.exec_driver_sql("SELECT * FROM jobs ORDER BY id").all()
        return [tuple(row) for row in rows], sorted(map(str, self._results()))

    def cancel(self, pick: int, other: int) -> None:
        queued = [job for job in self.daemon.store.open_jobs() if job.state is JobState.QUEUED]
        if queued:
            REACHED["cancelled"] += 1
            self._live(self.daemon.guard, self.daemon.dispatcher.cancel, queued[pick % len(queued)])

    def retry(self, pick: int, other: int) -> None:
        failed = self.daemon.store.failed()
        if failed:
            job = failed[pick % len(failed)]
            try:
                self._live(self.daemon.guard, self.daemon.publishing.retry, job)
                REACHED["tried again"] += 1
            except Exception as error:
                assert type(error).__name__ == "OriginalGone", error

    # ---------------------------------------------------------------------------------------- failures

    def will_die(self, pick: int, other: int) -> None:
        self.fuse.light(1 + pick % 40)

    def disk_will_fail(self, pick: int, other: int) -> None:
        self.fuse.light(1 + pick % 20, 1 + other % 30)

    def die_now(self, pick: int, other: int) -> None:
        self.fuse.put_out()
        self._begin_again()

    # ---------------------------------------------------------------------------------------- invariants

    def _results(self) -> dict[Path, list[bytes]]:
        """Yield each visible result or failure, with the dropped contents in it."""
        found = {}
        for document in ("result.json", "error.json"):
            for path in self.settings.outbox.rglob(document):
                if ".staging" not in path.parts:
                    files = [file for file in path.parent.rglob("*") if file.is_file()]
                    contents = [
                        file.read_bytes() for file in files if file.name not in (document, "error.txt", "out.txt")
                    ]
                    found[path.parent] = contents
        return found

    @invariant()
    def every_content_is_where_it_may_be(self) -> None:
        results = collections.Counter(content for contents in self._results().values() for content in contents)
        taken = [path for path in (self.settings.inbox / ".taken").rglob("*") if path.is_file()]
        waiting = collections.Counter(
            path.read_bytes() for path in self.settings.inbox.rglob("*") if path.is_file() and path not in taken
        )
        held = collections.Counter(path.read_bytes() for path in taken if not path.name.startswith("."))
        for content in self.alive:
            assert results[content] <= 1, f"{content!r} is published {results[content]} times"
            assert waiting[content] + held[content] <= 1, f"{content!r} is there twice"
            assert results[content] + waiting[content] + held[content] >= 1, f"{content!r} is lost"
            assert not (waiting[content] and results[content]), f"{content!r} is published, and will be again"

    @invariant()
    def rows_agree(self) -> None:
        store = self.daemon.store
        counted = dict(store._connection.exec_driver_sql("SELECT state, count(*) FROM jobs GROUP BY state").all())
        assert store.counts() == counted
        for job in store.open_jobs():
            assert 0 <= job.charged <= 3, job
            REACHED[f"state {job.state}"] += 1
        for state in ("done", "failed", "cancelled"):
            REACHED[f"state {state}"] += counted.get(state, 0)

    @invariant()
    def acknowledged_jobs_are_recorded(self) -> None:
        for job_id in self.acknowledged:
            assert self.daemon.store.get(job_id) is not None, job_id

    @invariant()
    def verify_finds_nothing(self) -> None:
        self.steps += 1
        if self.steps % 4 == 0 and self.fuse.left is None and self.daemon.disk_retry.next_try() is None:
            verdict = Verification(self.daemon.folders, self.settings.database, is_running=False).run()
            findings = [finding for finding in verdict.findings if "has changed since it was taken" not in finding.what]
            assert not any(finding.is_error for finding in findings), findings

    def _is_quiet(self) -> bool:
        waiting = [path for path in self.settings.inbox.rglob("*") if path.is_file()]
        return not waiting and not self.daemon.store.open_jobs() and self.daemon.disk_retry.next_try() is None

    def teardown(self) -> None:
        self.fuse.put_out()
        try:
            for _ in range(60):
                self.now += 20.0
                self._submit_all(0, {})
                self.daemon.check_inbox()
                self.daemon.compute_checksums()
                self.daemon.finish_all()
                if self._is_quiet():
                    break
            self.every_content_is_where_it_may_be()
            rows = self.daemon.store.counts()
            assert set(rows) <= {"done", "failed", "cancelled"}, rows
            assert [path.name for path in (self.settings.inbox / ".taken").iterdir()] == []
            assert os.listdir(self.settings.outbox / ".staging") == []  # not locked here
            left = [path for path in self.settings.inbox.rglob("*") if path.is_file()]
            assert not left, left
        finally:
            preparation.INLINE_BYTES = regular_files.HASH_INLINE_BYTES
            self.daemon.store.close()
            self.fuse.remove()
            shutil.rmtree(self.home)


class GroupLife(Life):
    """Histories in which most results arrive together, for the negative controls of groups."""

    @rule(
        what=st.sampled_from(("drop", "turn", "finish_several", "worker_dies", "answer_comes_late_or_twice")),
        pick=st.integers(0, 99),
        other=st.integers(0, 99),
    )
    def act(self, what: str, pick: int, other: int) -> None:
        for number in range(4 if what == "drop" else 1):
            getattr(self, what)(pick + number, other)


def _run(machine: type[Life], *, examples: int, steps: int = 30, derandomize: bool = True) -> None:
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            derandomize=derandomize,
            database=None,
            print_blob=True,
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_random_histories_of_a_daemon_lose_and_repeat_nothing():
    _run(Life, examples=25)


def test_results_of_jobs_with_similar_ids_both_wait_for_the_disk():
    """A program chooses the ids of its uploads; those of the rig share their first digits."""
    life = Life()
    life.start(inline_bytes=7)
    acts = [("drop", 0, 0)] * 8 + [("submit", 10, 0), ("submit", 10, 39), ("turn", 0, 0)]
    acts += [("disk_will_fail", 0, 0), ("finish_one", 0, 0), ("finish_several", 0, 0)]
    for what, pick, other in acts:
        life.act(what=what, pick=pick, other=other)
        life.every_content_is_where_it_may_be()
        life.verify_finds_nothing()
    life.teardown()


def test_checksum_of_a_changed_file_is_computed_after_a_kill():
    """The daemon is killed between the commit that queues the job again and the one that records its new checksum."""
    life = Life()
    life.start(inline_bytes=7)
    for what, pick, other in (
        *(("drop", 0, 0), ("drop", 0, 0), ("turn", 0, 0), ("change_a_taken_file", 0, 0)),
        *(("will_die", 13, 0), ("fail_one", 0, 1)),
    ):
        life.act(what=what, pick=pick, other=other)
    life.now += 1.5
    life._live(life.daemon.finish_all)  # is killed
    life.every_content_is_where_it_may_be()
    assert [job.sha256 for job in life.daemon.store.open_jobs()] == [None]
    life.teardown()


@pytest.mark.long
def test_thousands_of_histories_lose_and_repeat_nothing():
    REACHED.clear()
    _run(Life, examples=int(os.environ.get("INBOXD_EXAMPLES", "10000")), derandomize=False)
    print("state machine:", ", ".join(f"{count} {what}" for what, count in sorted(REACHED.items())), "0 bad")


@pytest.mark.parametrize(
    "sabotage",
    ["no fence", "no fence in a group", "recovery adopts nothing", "done before the rename"]
    + ["done before the rename in a group"],
)
def test_machine_detects_sabotage(sabotage: str, monkeypatch: pytest.MonkeyPatch):
    """Negative controls."""
    import sqlalchemy as sa

    from daemon.queue import store
    from daemon.recovery import startup

    if sabotage == "no fence":
        monkeypatch.setattr(store, "_is_attempt", lambda job, *states: ("1",))
        monkeypatch.setattr(completion.Completion, "may_end", lambda self, job: True)
    elif sabotage == "no fence in a group":
        monkeypatch.setattr(store.Store, "held", lambda self, jobs, state: list(jobs))
    elif sabotage == "done before the rename in a group":
        monkeypatch.setattr(group.GroupPublisher, "_rename", lambda self, job: True)
    elif sabotage == "recovery adopts nothing":
        monkeypatch.setattr(startup.Recovery, "_sweep_or_adopt", lambda self, job_id: None)
    else:
        monkeypatch.setattr(completion.Completion, "_rename", lambda self, job: job)
    # AssertionError: an invariant; the others: a stale outcome names outputs that are gone, or ends an attempt twice
    with pytest.raises((AssertionError, ValueError, sa.exc.IntegrityError)):
        run_state_machine_as_test(
            GroupLife if "group" in sabotage else Life,
            settings=settings(
                max_examples=300,
                stateful_step_count=30,
                deadline=None,
                derandomize=True,
                database=None,
                phases=[Phase.generate],
                report_multiple_bugs=False,  # one is enough
                suppress_health_check=list(HealthCheck),
            ),
        )
