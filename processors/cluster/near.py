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
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, NoReturn

from processors import parent, protocol
from processors.cluster.far import Event, Hello, News
from processors.cluster.link import FarError, Link, Lost
from processors.cluster.near_files import NearFiles, RemoteJob, Saved
from processors.cluster.near_jobs import NearJobs, failed_work
from processors.cluster.nodes import Target, decode_target
from processors.contract import FailureKind, Unavailable, WorkProgress
from processors.line_reader import LineReader

START_SECONDS = 60.0  # for Ray to start the actor: a node that cannot is parked
ANSWER_SECONDS = 10.0  # for news, which come after `far.POLL_SECONDS` at the latest: the node is frozen or cut off
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
        self._link: Link
        self._files: NearFiles
        self._jobs = NearJobs(messages_out, on_broken_pipe=lambda: end(1))
        self._layouts: Path | None = None
        self._is_closing = False
        self._deliveries: queue.SimpleQueue[Event | Saved | protocol.BatchDone] = queue.SimpleQueue()
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
        self._files = NearFiles(self._link, self._jobs.send, shared=self._target.shared)
        models = self._target.models or load.models
        self._link.call("send", protocol.encode(dataclasses.replace(load, models=models))).wait(ANSWER_SECONDS)
        for task in (self._receive, self._deliver):
            threading.Thread(target=self._guard, args=(task,), name=task.__name__.strip("_"), daemon=True).start()

    def _start(self) -> Link:
        target = self._target
        with self._jobs.pulse():
            link = self._connect(target, self._processor)
            hello = link.call("hello").wait(START_SECONDS)
        assert isinstance(hello, Hello)
        hello.check_version(target.node)
        environment = {"OMP_NUM_THREADS": str(target.threads)}
        # relative paths in the options start at the daemon's folder, which the node may have, too
        start = (self._processor, target.python, environment, target.memory_max, os.getcwd())
        link.call("start", *start).wait(START_SECONDS)
        return link

    def _give(self, batch: protocol.Batch) -> None:
        """Send the files of a batch, and then the batch."""
        jobs = [RemoteJob.of(work) for work in batch.works]
        self._jobs.add(jobs)
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
                self._deliveries.put(Saved(job, entries))
            if news.layouts is not None:
                self._deliveries.put(Saved(None, news.layouts))

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
                    self._jobs.send(done)
                case Saved(job=None, entries=entries):
                    if self._layouts is not None:
                        self._save(self._files.save_layouts, self._layouts, entries)
                case Saved(job=str(name), entries=entries):
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
            self._jobs.write(line)  # the daemon counts invalid lines
            return
        match message:
            case protocol.WorkerLoaded():
                self._jobs.is_loaded = True
                self._jobs.send(message)
            case protocol.LoadFailed():
                self._jobs.is_loaded = True  # so that `_end_all` sends no second report
                where = f"On the node {self._target.node}"
                self._jobs.send(dataclasses.replace(message, message=f"{where}: {message.message}"))
            case WorkProgress(job=None) | protocol.BatchDone():
                self._jobs.send(message)
            case WorkProgress():
                if self._jobs.find(message.job, message.attempt):
                    self._jobs.send(message)
            case protocol.WorkFinished():
                if job := self._jobs.find(message.job, message.attempt):
                    self._finish(job, message)
            case protocol.WorkFailed():
                if job := self._jobs.find(message.job, message.attempt):
                    self._save_all(job)
                    self._close(job, self._of_node(message))
            case _:
                self._jobs.write(line)

    def _finish(self, job: RemoteJob, finished: protocol.WorkFinished) -> None:
        try:
            self._files.download_outputs(job, finished.files)
        except OSError as error:
            self._fail(job, FailureKind.STORAGE, f"{error.strerror} ({error.filename or 'while writing the result'}).")
        except (FarError, ValueError) as error:
            self._fail(job, FailureKind.ERROR, f"Cannot fetch the result from the node {self._target.node}: {error}.")
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
        self._close(job, failed_work(job, kind, message))

    def _close(self, job: RemoteJob, outcome: protocol.WorkFinished | protocol.WorkFailed) -> None:
        """Report the outcome of a job, unless another thread has reported one."""
        if self._jobs.close(job, outcome):
            with contextlib.suppress(FarError):
                self._link.call("end", job.id, job.attempt)

    def _on_exit(self, event: Event) -> None:
        """End after an exit of the worker on the node. The far half is alive, so the worker's own work is the cause."""
        if self._is_closing and not self._jobs.all():
            self._quit(0)
        for job in self._jobs.all():
            self._save_all(job)
        node = self._target.node
        if event.is_out_of_memory:
            limit = f"memory_max ({self._target.memory_max}) of {self._processor}, or all that it has"
            self._end_all(FailureKind.OUT_OF_MEMORY, f"This needs more memory on the node {node} than {limit}.")
        last = self._tail.decode(errors="replace").strip().splitlines()[-1:] or [""]
        message = f"The worker process on the node {node} {event.describe_exit()}. {last[0]}"
        self._end_all(FailureKind.CRASHED, message.strip())

    def _lose(self, why: str) -> NoReturn:
        """Fail all jobs as UNAVAILABLE, because the far half, the node or the connection is gone."""
        log.error("%s", why)
        self._end_all(FailureKind.UNAVAILABLE, why)

    def _end_all(self, kind: FailureKind, message: str) -> NoReturn:
        """Fail the load, if it is not reported yet, and all jobs without an outcome; then end the process."""
        with self._jobs.ended(kind, message):
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


if __name__ == "__main__":
    main()
