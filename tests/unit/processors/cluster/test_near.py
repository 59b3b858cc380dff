"""A remote worker without Ray: both halves, and real worker processes."""

import hashlib
import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from local_cluster import LocalLink, LocalReply, RemoteWorker
from sandbox import wait_for
from works import work_on

from processors import protocol
from processors.cluster import near, near_jobs
from processors.cluster.far import FarHalf
from processors.cluster.transfer import CHUNK_BYTES
from processors.contract import FailureKind, Work

pytestmark = pytest.mark.programs

Start = Callable[..., RemoteWorker]


@pytest.fixture
def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Start]:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(map(os.path.abspath, ["tests/support", "."])))
    started = []

    def start(processor: str, shared: Path | None = None, **options: object) -> RemoteWorker:
        (tmp_path / "node").mkdir(exist_ok=True)
        started.append(RemoteWorker(processor, tmp_path / "node", options, shared=shared))
        started[-1].next(protocol.WorkerLoaded)
        return started[-1]

    yield start
    for worker in started:
        worker.link.close()
    assert not list((tmp_path / "node").iterdir()), "the files of a job stay on the node"


def _work(tmp_path: Path, name: str, content: bytes, *, attempt: int = 1, **fields: Any) -> Work:
    source = tmp_path / "taken" / name
    source.parent.mkdir(exist_ok=True)
    source.write_bytes(content)
    job = hashlib.sha256(os.fsencode(name)).hexdigest()[:12]
    outputs = tmp_path / f"{job}.{attempt}"
    outputs.mkdir()
    fields = {"job": job, "attempt": attempt, "media_type": "text/plain", "stem": "stem", "recipe": "count", **fields}
    return work_on(source, outputs=outputs, **fields)


def _give(worker: RemoteWorker, *works: Work) -> None:
    worker.send(protocol.Batch(works=[protocol.work_to_wire(work) for work in works]))


def test_results_come_back_complete_whatever_the_name_and_size(start: Start, tmp_path: Path):
    worker = start("plaintext")
    large = b"a line of text\n" * (2 * CHUNK_BYTES // 15 + 7)
    odd = os.fsdecode(b"caf\xe9 \xff.txt")
    works = [
        _work(tmp_path, "large.txt", large, checkpoints=tmp_path / "saved"),
        _work(tmp_path, odd, b"two words", sidecars={"prompt": tmp_path / "x.prompt"}),
        _work(tmp_path, f"{'n' * 250}.txt", b"", checkpoints=tmp_path / "saved2"),
    ]
    (tmp_path / "x.prompt").write_text("a prompt")
    _give(worker, works[0])
    _give(worker, *works[1:])
    for work in works:
        finished = worker.next(protocol.WorkFinished)
        assert (finished.job, finished.attempt) == (work.job, 1)
        for file in finished.files:
            assert hashlib.sha256((work.outputs / file["name"]).read_bytes()).hexdigest() == file["sha256"]
        assert {path.name for path in work.outputs.iterdir()} == {file["name"] for file in finished.files}
        if work is not works[1]:
            worker.next(protocol.BatchDone)
    worker.close()
    assert worker.wait_for_end() == 0 and worker.link.is_closed


def test_worker_that_dies_on_the_node_is_reported_with_the_job_that_it_had(start: Start, tmp_path: Path):
    worker = start("fakes.misbehaving")
    _give(worker, _work(tmp_path, "a.txt", b"segfault"))
    failed = worker.next(protocol.WorkFailed)
    assert failed.kind is FailureKind.CRASHED and "box2 was killed by SIGSEGV" in failed.message
    assert worker.wait_for_end() == 1


def test_node_that_falls_silent_costs_its_jobs_no_attempt(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    worker = start("fakes.misbehaving")
    _give(worker, _work(tmp_path, "a.txt", b"hang"))
    wait_for(lambda: worker.link.far._jobs, "the start of the job")
    monkeypatch.setattr(near, "ANSWER_SECONDS", 0.5)
    worker.link.is_cut.set()
    failed = worker.next(protocol.WorkFailed)
    assert failed.kind is FailureKind.UNAVAILABLE and "did not answer" in failed.message
    assert worker.wait_for_end() == 1


def test_near_half_whose_daemon_was_killed_ends_when_its_node_is_lost(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    worker = start("fakes.misbehaving")
    _give(worker, _work(tmp_path, "a.txt", b"hang"))
    wait_for(lambda: worker.link.far._jobs, "the start of the job")
    monkeypatch.setattr(near, "ANSWER_SECONDS", 0.5)
    worker.lose_daemon()
    worker.link.is_cut.set()
    wait_for(lambda: worker.status is not None, "its end")


def test_checkpoints_are_fetched_as_they_are_made_and_sent_with_the_next_attempt(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    saved = tmp_path / "saved"
    worker = start("fakes.misbehaving")
    work = _work(tmp_path, "a.txt", b"pages 4", checkpoints=saved)
    _give(worker, work)
    wait_for(lambda: len([*saved.rglob("page-*.json")]) == 3, "the checkpoints")
    assert worker.next(protocol.WorkFailed).kind is FailureKind.CRASHED
    again = start("fakes.misbehaving")
    (tmp_path / "second").mkdir()
    fields = {**protocol.work_to_wire(work), "attempt": 2, "outputs": str(tmp_path / "second")}
    again.send(protocol.Batch(works=[fields]))
    assert again.next(protocol.WorkFinished).attempt == 2
    assert (tmp_path / "made.txt").read_text().split() == ["1", "2", "3", "4", "5"], "each page was made once"


@pytest.mark.parametrize(("method", "size"), [("put", 100_000), ("read", 100_000), ("begin", 9), ("read_small", 9)])
def test_file_that_is_damaged_in_transfer_fails(start: Start, tmp_path: Path, method: str, size: int):
    worker = start("plaintext")

    def damage(called: str, arguments: tuple[Any, ...]) -> tuple[Any, ...]:
        if called != method:
            return arguments
        if method == "put":
            return (*arguments[:-1], b"X" + arguments[-1][1:])
        if method == "begin":
            return (*arguments[:-1], [replace(arguments[-1][0], content=b"X")])
        next(worker.link.far._folder.path.glob("jobs/*/outputs/*")).write_bytes(b"other")
        return arguments

    worker.link.on_call = damage
    _give(worker, _work(tmp_path, "a.txt", b"x" * size))
    failed = worker.next(protocol.WorkFailed)
    assert failed.kind is FailureKind.ERROR and "damaged" in failed.message
    worker.next(protocol.BatchDone)


@pytest.mark.parametrize("is_same", [True, False])
def test_original_in_a_shared_folder_is_read_there_if_it_is_the_same(start: Start, tmp_path: Path, is_same: bool):
    worker, called = start("plaintext", shared=tmp_path / "taken"), []

    def note(method: str, arguments: tuple[Any, ...]) -> tuple[Any, ...]:
        called.append(method)
        return arguments if is_same or method != "adopt" else (*arguments[:-1], 1)

    worker.link.on_call = note
    (tmp_path / "fd").symlink_to(tmp_path / "taken")  # the daemon's paths lead through its descriptors
    work = _work(tmp_path, "large.txt", b"a line of text\n" * (CHUNK_BYTES // 15))
    _give(worker, replace(work, source=tmp_path / "fd" / "large.txt"), _work(tmp_path, "small.txt", b"a line"))
    assert work.job in {worker.next(protocol.WorkFinished).job for _ in range(2)}
    assert called.count("adopt") == 1 and ("put" in called) is not is_same
    worker.next(protocol.BatchDone)
    assert work.source.exists(), "it remains the daemon's"


def test_outcome_of_another_attempt_is_discarded(start: Start, tmp_path: Path):
    worker = start("fakes.sociable")
    _give(worker, work := _work(tmp_path, "a.txt", b"wait_for " + bytes(tmp_path / "go")))
    wait_for(lambda: worker.link.far._jobs, "the start of the job")
    late = protocol.WorkFailed(job=work.job, attempt=0, kind=FailureKind.ERROR, message="late")
    worker.link.far._note("line", protocol.encode(late))
    (tmp_path / "go").touch()
    assert worker.next(protocol.WorkFinished).attempt == 1


def test_far_half_ends_itself_without_calls(tmp_path: Path):
    if (child := os.fork()) == 0:
        FarHalf(tmp_path, silence_seconds=0.3)
        wait_for(lambda: False)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 1
    assert not list(tmp_path.iterdir())


def test_files_of_a_far_half_that_was_killed_are_removed_by_the_next_one(tmp_path: Path):
    if (child := os.fork()) == 0:
        FarHalf(tmp_path)
        os._exit(0)
    os.waitpid(child, 0)
    (left,) = tmp_path.iterdir()
    os.utime(left / "lock", (1, 1))
    half = FarHalf(tmp_path)
    assert left not in list(tmp_path.iterdir())
    half.stop()


def test_relative_paths_in_options_start_at_the_daemons_folder(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "weights").touch()
    monkeypatch.setattr(near.os, "getcwd", lambda: str(tmp_path / "home"))
    start("fakes.misbehaving", unavailable_until="weights")


def test_slow_connection_does_not_look_like_a_hanging_worker(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setattr(near_jobs, "_PULSE_SECONDS", 0.01)
    answers = threading.Event()

    class Slow(LocalLink):
        def call(self, method: str, *arguments: object) -> LocalReply:
            answers.wait(30)
            return super().call(method, *arguments)

    worker = RemoteWorker("plaintext", tmp_path, link=Slow(FarHalf(tmp_path)))
    progress = worker.messages.get(timeout=30)
    assert isinstance(progress, protocol.WorkProgress) and progress.job is None
    answers.set()
    worker.next(protocol.WorkerLoaded)
    worker.link.close()
