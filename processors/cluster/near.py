"""The near half of a remote worker: `python -m processors.cluster.near NAME TARGET`, a child of the daemon.

The near half uses `processors.protocol` on its pipes, as `processors.worker` does, while a far half does the work. Only
the near half accesses the daemon's folders. It discards messages about jobs that it does not have, or about other
attempts.

It has three threads. The main thread reads the daemon's messages and sends files. `receive` asks the far half for news,
and notices when the far half no longer answers. `deliver` fetches files, and passes the worker's messages on in order.
"""

import contextlib
import dataclasses
import logging
import os
import queue
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, NoReturn

from processors import parent, protocol
from processors.cluster.far import Event, Hello, News, installed_version
from processors.cluster.link import FarError, Link, Lost
from processors.cluster.near_files import NearFiles, RemoteJob
from processors.cluster.nodes import Target, decode_target
from processors.cluster.transfer import Entry
from processors.contract import FailureKind, Unavailable, WorkProgress
from processors.line_reader import LineReader

START_SECONDS = 60.0  # for Ray to start the actor: a node that cannot is parked
ANSWER_SECONDS = 10.0  # for news, which come after `far.POLL_SECONDS` at the latest: the node is frozen or cut off
_PULSE_SECONDS = 3.0
_TAIL_BYTES = 4096  # of the worker's stderr, for the reason of its exit

log = logging.getLogger(__name__)


def main() -> None:
    parent.die_with_parent()
    messages_out = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)  # from here on print() and C libraries write to stderr
    sys.stdout = sys.stderr
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    _, processor, target = sys.argv
    NearHalf(processor, decode_target(target), _connect, messages_out).serve(LineReader(sys.stdin.fileno()))


def _connect(target: Target, processor: str) -> Link:
    from processors.cluster import ray_link

    ray_link.connect(target.address, target.token_file)
    return ray_link.RayLink(target, processor)


@dataclasses.dataclass(frozen=True)
class _Saved:
    """Checkpoints of a job, or layouts, changed on the node."""

    job: str | None
    entries: list[Entry]


class NearHalf:
    """One remote worker. connect: makes the link to its far half, or raises `Unavailable`. end: ends this process."""

    def __init__(
        self,
        processor: str,
        target: Target,
        connect: Callable[[Target, str], Link],
        messages_out: BinaryIO,
        *,
        end: Callable[[int], NoReturn] = os._exit,
    ):
        self._processor, self._target, self._connect, self._end = processor, target, connect, end
        self._out = messages_out
        self._link: Link
        self._files: NearFiles
        self._jobs: dict[str, RemoteJob] = {}  # by id; without an outcome yet
        self._layouts: Path | None = None
        self._is_loaded = self._is_closing = self._is_ended = False
        self._state = threading.RLock()  # of the fields above, and of `_out`
        self._deliveries: queue.SimpleQueue[Event | _Saved | protocol.BatchDone] = queue.SimpleQueue()
        self._tail = b""

    # ---------------------------------------------------------------------------------------- the daemon's messages

    def serve(self, lines: LineReader) -> None:
        """Serve until stdin closes, and then until the far worker has exited."""
        try:
            while (line := lines.next(wait=True)) is not None:
                match protocol.decode(line):
                    case protocol.Load() as load:
                        self._load(load)
                    case protocol.Batch() as batch:
                        self._give(batch)
            self._is_closing = True
            if not hasattr(self, "_link"):
                self._end(0)
            self._link.call("close_input").wait(ANSWER_SECONDS)
        except Lost as error:
            self._lose(str(error))
        threading.Event().wait()  # `deliver` ends the process

    def _load(self, load: protocol.Load) -> None:
        try:
            self._link = self._start()
        except (Unavailable, FarError) as error:
            self._lose(str(error))
        self._files = NearFiles(self._link, self._send, shared=self._target.shared)
        models = self._target.models or load.models
        self._link.call("send", protocol.encode(dataclasses.replace(load, models=models))).wait(ANSWER_SECONDS)
        for task in (self._receive, self._deliver):
            threading.Thread(target=self._guard, args=(task,), name=task.__name__.strip("_"), daemon=True).start()

    def _start(self) -> Link:
        target = self._target
        with self._pulse():
            link = self._connect(target, self._processor)
            hello = link.call("hello").wait(START_SECONDS)
        assert isinstance(hello, Hello)
        if hello.version != (own := installed_version()):
            raise Unavailable(
                f"The node {target.node} has inboxd {hello.version or 'of a checkout'}, and this machine "
                f"{own or 'a checkout'}: install the same version on both."
            )
        environment = {"OMP_NUM_THREADS": str(target.threads)}
        # relative paths in the options start at the daemon's folder, which the node may have, too
        start = (self._processor, target.python, environment, target.memory_max, os.getcwd())
        link.call("start", *start).wait(START_SECONDS)
        return link

    def _give(self, batch: protocol.Batch) -> None:
        """Send the files of a batch, and then the batch."""
        jobs = [_job_of(work) for work in batch.works]
        with self._state:
            self._jobs |= {job.id: job for job in jobs}
        ready = []
        for job, work in zip(jobs, batch.works, strict=True):
            self._layouts = Path(str(work["layouts"])) if work["layouts"] is not None else None
            try:
                ready.append(self._files.upload(job, work))
            except (OSError, FarError) as error:
                self._fail(job, FailureKind.ERROR, f"Cannot send the file to the node {self._target.node}: {error}.")
        if ready:
            self._link.call("run", ready).wait(ANSWER_SECONDS)
        else:
            self._deliveries.put(protocol.BatchDone())

    # ---------------------------------------------------------------------------------------- news of the far half

    def _receive(self) -> None:
        number = 0
        while True:
            news = self._link.call("receive", number).wait(ANSWER_SECONDS)
            assert isinstance(news, News)
            for event in news.events:
                if event.number > number:
                    number = event.number
                    self._sort(event)
            for job, entries in news.saved.items():
                self._deliveries.put(_Saved(job, entries))
            if news.layouts is not None:
                self._deliveries.put(_Saved(None, news.layouts))

    def _sort(self, event: Event) -> None:
        """Pass progress and the log on at once; queue all else for `deliver`, because it may need files."""
        if event.kind == "log":
            self._tail = (self._tail + event.data)[-_TAIL_BYTES:]
            os.write(2, event.data)
        elif event.kind == "line" and b'"WorkProgress"' in event.data[:200]:
            self._pass_on(event.data)
        else:
            self._deliveries.put(event)

    def _deliver(self) -> None:
        while True:
            match self._deliveries.get():
                case protocol.BatchDone() as done:
                    self._send(done)
                case _Saved(job=None, entries=entries):
                    if self._layouts is not None:
                        self._save(self._files.save_layouts, self._layouts, entries)
                case _Saved(job=str(name), entries=entries):
                    if (job := self._jobs.get(name)) is not None:
                        self._save(self._files.save_checkpoints, job, entries)
                case Event(kind="exit") as event:
                    self._on_exit(event)
                case Event() as event:
                    self._pass_on(event.data)

    def _save(self, save: Callable[..., None], *arguments: object) -> None:
        """Save checkpoints or layouts. A failure is only logged: it costs the next attempt time, and nothing else."""
        try:
            save(*arguments)
        except (OSError, FarError, ValueError) as error:
            log.warning("cannot save what the node %s has finished: %s", self._target.node, error)

    def _pass_on(self, line: bytes) -> None:
        """Pass a message of the far worker on, after its files have been fetched."""
        try:
            message = protocol.decode(line)
        except ValueError:
            self._write(line)  # the daemon counts invalid lines
            return
        match message:
            case protocol.WorkerLoaded():
                self._is_loaded = True
                self._send(message)
            case protocol.LoadFailed():
                self._is_loaded = True  # so that `_end_all` sends no second report
                self._send(dataclasses.replace(message, message=f"On the node {self._target.node}: {message.message}"))
            case WorkProgress(job=None) | protocol.BatchDone():
                self._send(message)
            case WorkProgress():
                if self._has(message.job, message.attempt):
                    self._send(message)
            case protocol.WorkFinished():
                if job := self._has(message.job, message.attempt):
                    self._finish(job, message)
            case protocol.WorkFailed():
                if job := self._has(message.job, message.attempt):
                    self._save_all(job)
                    self._close(job, self._of_node(message))
            case _:
                self._write(line)

    def _has(self, name: str | None, attempt: int) -> RemoteJob | None:
        job = self._jobs.get(name or "")
        return job if job is not None and job.attempt == attempt else None

    def _finish(self, job: RemoteJob, finished: protocol.WorkFinished) -> None:
        try:
            self._files.download_outputs(job, finished.files)
        except OSError as error:
            self._fail(job, FailureKind.STORAGE, f"{error.strerror} ({error.filename or 'while writing the result'}).")
        except (FarError, ValueError) as error:
            self._fail(job, FailureKind.ERROR, f"Cannot fetch the result of the node {self._target.node}: {error}.")
        else:
            self._close(job, finished)

    def _save_all(self, job: RemoteJob) -> None:
        """Save the last checkpoints of a job that failed, for its next attempt."""
        try:
            entries = self._link.call("list_saved", job.id, job.attempt).wait(ANSWER_SECONDS)
        except FarError:
            return
        assert isinstance(entries, list)
        self._save(self._files.save_checkpoints, job, entries)

    def _of_node(self, failed: protocol.WorkFailed) -> protocol.WorkFailed:
        """Report a disk error of the node as UNAVAILABLE, so that the daemon does not wait for its own disks."""
        if failed.kind is not FailureKind.STORAGE:
            return failed
        message = f"The disk of the node {self._target.node} failed: {failed.message}"
        return dataclasses.replace(failed, kind=FailureKind.UNAVAILABLE, message=message)

    # ---------------------------------------------------------------------------------------- ends

    def _fail(self, job: RemoteJob, kind: FailureKind, message: str) -> None:
        self._close(job, protocol.WorkFailed(job=job.id, attempt=job.attempt, kind=kind, message=protocol.cut(message)))

    def _close(self, job: RemoteJob, outcome: protocol.WorkFinished | protocol.WorkFailed) -> None:
        """Report the outcome of a job, unless another thread has reported one."""
        with self._state:
            if self._is_ended or self._jobs.pop(job.id, None) is None:
                return
            self._send(outcome)
        with contextlib.suppress(FarError):
            self._link.call("end", job.id, job.attempt)

    def _on_exit(self, event: Event) -> None:
        """End after an exit of the worker on the node. The far half is alive, so the worker's own work is the cause."""
        if self._is_closing and not self._jobs:
            self._quit(0)
        for job in list(self._jobs.values()):
            self._save_all(job)
        node = self._target.node
        if event.is_out_of_memory:
            limit = f"memory_max ({self._target.memory_max}) of {self._processor}, or all that it has"
            self._end_all(FailureKind.OUT_OF_MEMORY, f"This needs more memory on the node {node} than {limit}.")
        last = self._tail.decode(errors="replace").strip().splitlines()[-1:] or [""]
        message = f"The worker process on the node {node} {_describe_status(event.exit_status)}. {last[0]}"
        self._end_all(FailureKind.CRASHED, message.strip())

    def _lose(self, why: str) -> NoReturn:
        """Fail all jobs as UNAVAILABLE, because the far half, the node or the connection is gone."""
        log.error("%s", why)
        self._end_all(FailureKind.UNAVAILABLE, why)

    def _end_all(self, kind: FailureKind, message: str) -> NoReturn:
        """Fail the load, if it is not reported yet, and all jobs without an outcome; then end the process."""
        with self._state:
            if not self._is_loaded:
                self._send(protocol.LoadFailed(kind=kind, message=protocol.cut(message)))
            for job in self._jobs.values():
                self._send(
                    protocol.WorkFailed(job=job.id, attempt=job.attempt, kind=kind, message=protocol.cut(message))
                )
            self._jobs.clear()
            self._is_loaded = self._is_ended = True
            self._quit(1)

    def _quit(self, status: int) -> NoReturn:
        if hasattr(self, "_link"):
            timer = threading.Timer(ANSWER_SECONDS, self._end, [status])
            timer.daemon = True
            timer.start()
            self._link.close()
        self._end(status)

    def _guard(self, task: Callable[[], None]) -> None:
        """Run the task of a thread; if it fails, end the process."""
        try:
            task()
        except Lost as error:
            self._lose(str(error))
        except Exception:  # of this program: the daemon reports the exit
            log.exception("the near half failed")
            self._end(1)

    # ---------------------------------------------------------------------------------------- writing

    @contextlib.contextmanager
    def _pulse(self) -> Iterator[None]:
        """Report progress to the daemon during the context, so that its timeout does not end a slow connection attempt,
        which has limits of its own.
        """
        is_over = threading.Event()

        def report() -> None:
            while not is_over.wait(_PULSE_SECONDS):
                self._send(WorkProgress(job=None, attempt=0, done=0, total=None, unit="nodes"))

        threading.Thread(target=report, name="pulse", daemon=True).start()
        try:
            yield
        finally:
            is_over.set()

    def _send(self, message: protocol.Message) -> None:
        self._write(protocol.encode(message))

    def _write(self, line: bytes) -> None:
        with self._state:
            try:
                protocol.write(self._out, line)
            except BrokenPipeError:  # the daemon was killed, perhaps before `die_with_parent`; Ray ends the far half
                self._end(1)


def _job_of(work: dict[str, object]) -> RemoteJob:
    saved = work["checkpoints"]
    return RemoteJob(
        id=str(work["job"]),
        attempt=int(str(work["attempt"])),
        outputs=Path(str(work["outputs"])),
        checkpoints=None if saved is None else Path(str(saved)),
    )


def _describe_status(status: int) -> str:
    if status >= 0:
        return f"exited with status {status}"
    try:
        return f"was killed by {signal.Signals(-status).name}"
    except ValueError:
        return f"was killed by signal {-status}"


if __name__ == "__main__":
    main()
