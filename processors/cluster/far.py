"""The far half of a remote worker: runs on the node; the near half calls the methods of `FarHalf`.

The far half makes no decisions, and stores only the files of running jobs. It never calls the near half, which asks for
news (`receive`) and fetches files itself. After `SILENCE_SECONDS` without a call, the far half kills its worker,
removes its files and exits: after a partition of the network, the daemon has long given the same jobs to another
worker.

Calls may arrive in any order, and several at the same time.
"""

import os
import platform
import signal
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Literal

from processors import protocol
from processors.cluster.far_folder import FarFolder
from processors.cluster.far_worker import FarWorker
from processors.cluster.transfer import SMALL_BYTES, Arriving, Entry, SmallFile, digest_of, list_folder, read_chunk
from processors.contract import Unavailable

SILENCE_SECONDS = 25.0  # without a call, after which it ends; the near half gives up a silent far half sooner
POLL_SECONDS = 2.0  # the longest that `receive` waits for news
_LOOK_SECONDS = 0.5  # between two looks for new checkpoints
_MOST_LOG_BYTES = 256 * 1024  # of the worker's stderr, between two calls of `receive`
_END_SECONDS = 2.0


@dataclass(frozen=True, kw_only=True)
class Hello:
    """The answer of a far half to the first call."""

    version: str  # of inboxd
    python: str

    def check_version(self, node: str) -> None:
        """Raise `Unavailable` if this machine has another version of inboxd than the far half's node."""
        if self.version != (own := installed_version()):
            raise Unavailable(
                f"The node {node} has inboxd {self.version or 'of a checkout'}, and this machine "
                f"{own or 'a checkout'}: install the same version on both."
            )


@dataclass(frozen=True, kw_only=True)
class Event:
    """A line or exit of the worker. Numbers ascend by 1, so that the near half can ignore a repeated event."""

    number: int
    kind: Literal["line", "log", "exit"]
    data: bytes = b""  # the line, or a part of the worker's stderr
    exit_status: int = 0
    is_out_of_memory: bool = False

    def describe_exit(self) -> str:
        if self.exit_status >= 0:
            return f"exited with status {self.exit_status}"
        try:
            return f"was killed by {signal.Signals(-self.exit_status).name}"
        except ValueError:
            return f"was killed by signal {-self.exit_status}"


@dataclass(frozen=True, kw_only=True)
class News:
    """The events and changed files since the last call of `receive`."""

    events: list[Event]
    saved: dict[str, list[Entry]]  # by running job: its checkpoints, where they changed
    layouts: list[Entry] | None  # None: unchanged


@dataclass(kw_only=True)
class _Job:
    """A running job, and the checkpoints that were last reported to the near half."""

    folder: Path
    known: list[Entry] = field(default_factory=list)


def installed_version() -> str:
    """The version of inboxd on this machine; "": inboxd is not installed as a package."""
    try:
        return version("inboxd")
    except PackageNotFoundError:
        return ""


class FarHalf:
    """The methods that a near half may call: all public ones. Each may raise OSError or ValueError."""

    def __init__(self, above: Path | None = None, *, silence_seconds: float = SILENCE_SECONDS):
        self._folder = FarFolder(above)
        self._silence = silence_seconds
        self._worker = FarWorker(
            lambda line: self._note("line", line), lambda chunk: self._note("log", chunk), self._note_exit
        )
        self._events: list[Event] = []
        self._numbers = 0
        self._log_bytes = 0  # in `_events`
        self._new = threading.Condition()
        self._jobs: dict[str, _Job] = {}
        self._arriving: dict[Path, Arriving] = {}
        self._known_layouts: list[Entry] = []
        self._opening = threading.Lock()
        self._heard = time.monotonic()
        self._is_ended = False
        threading.Thread(target=self._watch, name="silence", daemon=True).start()

    # ---------------------------------------------------------------------------------------- the worker

    def hello(self) -> Hello:
        return Hello(version=installed_version(), python=platform.python_version())

    def start(
        self, processor: str, python: str | None, environment: Mapping[str, str], memory_max: str, folder: str
    ) -> None:
        """Start the worker process. memory_max: the option of the processor. folder: the working folder, if the node
        has it; see `FarWorker.start`.
        """
        self._worker.start(["processors.worker", processor], python, {**environment}, memory_max, folder)

    def start_models(self, arguments: list[str]) -> None:
        """Start `processors.models_cli`, which manages weights, instead of a worker."""
        self._worker.start(["processors.models_cli", *arguments], None, {}, "100%", os.curdir)

    def send(self, line: bytes) -> None:
        """Send a line to the worker."""
        self._worker.write(line)

    def close_input(self) -> None:
        """Close the worker's stdin: it exits after its current work."""
        self._worker.close()

    def receive(self, after: int) -> News:
        """Return the news since event number `after`; if there are none, wait up to about `POLL_SECONDS` for some."""
        until = time.monotonic() + POLL_SECONDS
        while True:
            with self._new:
                self._events = [event for event in self._events if event.number > after]
                self._log_bytes = sum(len(event.data) for event in self._events if event.kind == "log")
                events = [*self._events]
            news = News(events=events, saved=self._changed_checkpoints(), layouts=self._changed_layouts())
            if events or news.saved or news.layouts is not None or time.monotonic() > until:
                return news
            with self._new:
                if not any(event.number > after for event in self._events):
                    self._new.wait(min(_LOOK_SECONDS, POLL_SECONDS))

    # ---------------------------------------------------------------------------------------- files

    def begin(self, job: str, attempt: int, saved: list[str], files: list[SmallFile]) -> None:
        """Create the folders of an attempt, and write its small files. saved: the folders among its checkpoints."""
        folder = self._folder.of_job(job, attempt)
        for name in ("source", "sidecars", "outputs", *(os.path.join("checkpoints", each) for each in saved)):
            (folder / name).mkdir(parents=True, exist_ok=True)
        for file in files:
            with Arriving(self._path(job, attempt, file.path)) as arriving:
                arriving.put(0, file.content)
                arriving.commit(file.sha256, mtime_ns=file.mtime_ns, is_durable=False)

    def put(self, job: str, attempt: int, path: str, offset: int, chunk: bytes) -> None:
        """Write a chunk of a file of an attempt. offset: in bytes. job: "" for a layout, which all jobs share."""
        self._arrival(self._path(job, attempt, path)).put(offset, chunk)

    def commit(self, job: str, attempt: int, path: str, sha256: str, mtime_ns: int) -> None:
        """Verify a file after its last chunk, and rename it to its final name."""
        target = self._path(job, attempt, path)
        arriving = self._arrival(target)
        with self._opening:
            self._arriving.pop(target, None)
        arriving.commit(sha256, mtime_ns=mtime_ns, is_durable=False)

    def adopt(self, job: str, attempt: int, path: str, shared: str, size_bytes: int, mtime_ns: int) -> bool:
        """Use the file `shared`, from a folder that both machines have, so that the near half need not send it.

        Return False if the node cannot read that file, or if its size or time differs."""
        try:
            with Path(shared).open("rb") as file:
                facts = os.fstat(file.fileno())
        except OSError:
            return False
        if (facts.st_size, facts.st_mtime_ns) != (size_bytes, mtime_ns):
            return False
        self._path(job, attempt, path).symlink_to(shared)
        return True

    def run(self, works: list[dict[str, object]]) -> None:
        """Give the worker a batch whose files have arrived. Paths in `works` are relative to the attempt's folder."""
        for work in works:
            folder = self._folder.of_job(str(work["job"]), int(str(work["attempt"])))
            checkpoints = folder / "checkpoints"
            sidecars = work["sidecars"]
            assert isinstance(sidecars, dict)
            work["source"] = str(folder / str(work["source"]))
            work["outputs"] = str(folder / "outputs")
            work["sidecars"] = {kind: str(folder / path) for kind, path in sidecars.items()}
            work["checkpoints"] = None if work["checkpoints"] is None else str(checkpoints)
            work["layouts"] = None if work["layouts"] is None else str(self._folder.layouts)
            self._jobs[str(work["job"])] = _Job(folder=checkpoints, known=list_folder(checkpoints))
        self._known_layouts = list_folder(self._folder.layouts)
        self._worker.write(protocol.encode(protocol.Batch(works=works)))

    def read_small(self, job: str, attempt: int, paths: list[str]) -> list[bytes]:
        """Read several small files of an attempt."""
        return [read_chunk(self._path(job, attempt, path), 0, SMALL_BYTES) for path in paths]

    def read(self, job: str, attempt: int, path: str, offset: int) -> bytes:
        """Read a chunk of a file of an attempt, such as "outputs/NAME", from `offset` in bytes; b"" at its end."""
        return read_chunk(self._path(job, attempt, path), offset)

    def digest(self, job: str, attempt: int, path: str) -> str:
        """Compute the SHA-256 of a file of an attempt."""
        return digest_of(self._path(job, attempt, path))

    def list_saved(self, job: str, attempt: int) -> list[Entry]:
        """List the checkpoints of an attempt."""
        return list_folder(self._folder.of_job(job, attempt) / "checkpoints")

    def end(self, job: str, attempt: int) -> None:
        """Remove the files of an attempt that has ended."""
        self._jobs.pop(job, None)
        self._folder.remove_job(job, attempt)

    # ---------------------------------------------------------------------------------------- its own end

    def note_call(self) -> None:
        """Note that the near half is alive. `ray_link` calls this before each method."""
        self._heard = time.monotonic()

    def stop(self) -> None:
        """Kill the worker, and remove the files."""
        self._is_ended = True
        self._worker.kill()
        self._folder.remove()

    def _watch(self) -> None:
        while not self._is_ended:
            if time.monotonic() - self._heard > self._silence:
                self.stop()
                os._exit(1)
            time.sleep(min(1.0, self._silence / 4))

    # ---------------------------------------------------------------------------------------- helpers

    def _path(self, job: str, attempt: int, path: str) -> Path:
        folder = self._folder.of_job(job, attempt) if job else self._folder.layouts
        target = folder / path
        if not Path(os.path.normpath(target)).is_relative_to(folder):
            raise ValueError(f"{path!r} is outside its folder")
        return target

    def _arrival(self, path: Path) -> Arriving:
        with self._opening:
            if path not in self._arriving:
                self._arriving[path] = Arriving(path)
            return self._arriving[path]

    def _changed_checkpoints(self) -> dict[str, list[Entry]]:
        changed = {}
        for name, job in list(self._jobs.items()):
            if (found := list_folder(job.folder)) != job.known:
                job.known = changed[name] = found
        return changed

    def _changed_layouts(self) -> list[Entry] | None:
        if not self._jobs or (found := list_folder(self._folder.layouts)) == self._known_layouts:
            return None
        self._known_layouts = found
        return found

    def _note(self, kind: Literal["line", "log"], data: bytes) -> None:
        with self._new:
            if kind == "log":
                self._log_bytes += len(data)
                if self._log_bytes > _MOST_LOG_BYTES:
                    return
            self._append(Event(number=self._numbers + 1, kind=kind, data=data))

    def _note_exit(self, status: int, is_out_of_memory: bool) -> None:
        with self._new:
            number = self._numbers + 1
            self._append(Event(number=number, kind="exit", exit_status=status, is_out_of_memory=is_out_of_memory))

    def _append(self, event: Event) -> None:
        self._numbers = event.number
        self._events.append(event)
        self._new.notify_all()
