"""Transfers files between the daemon's folders and the far half: originals, sidecars and earlier checkpoints to the
node; outputs, checkpoints and layouts back. The receiving side verifies the SHA-256 of each file.
"""

import contextlib
import hashlib
import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from processors.cluster.link import Link, Reply
from processors.cluster.transfer import (
    CHUNK_BYTES,
    SMALL_BYTES,
    Arriving,
    Entry,
    SmallFile,
    check_path,
    list_folder,
    remove_missing,
)
from processors.contract import WorkProgress
from processors.protocol import OutputFile

CALL_SECONDS = 60.0  # for one chunk, on a slow link; the near half notices the loss of a node sooner
_CALLS_AT_ONCE = 4  # chunks in transfer at the same time
_RESULT = ".result.json"  # this file marks the saved result of a step as complete, so it is fetched last


@dataclass(kw_only=True)
class RemoteJob:
    """An attempt that runs on the node."""

    id: str
    attempt: int
    outputs: Path
    checkpoints: Path | None
    saved: dict[str, Entry] = field(default_factory=dict)  # the checkpoints that are equal on both machines, by path

    @classmethod
    def of(cls, work: Mapping[str, object]) -> "RemoteJob":
        """The job of a work as `protocol.Batch` contains it."""
        saved = work["checkpoints"]
        return cls(
            id=str(work["job"]),
            attempt=int(str(work["attempt"])),
            outputs=Path(str(work["outputs"])),
            checkpoints=None if saved is None else Path(str(saved)),
        )


@dataclass(frozen=True)
class Saved:
    """The checkpoints of a job, or, without a job, layouts, which changed on the node."""

    job: str | None
    entries: list[Entry]


class NearFiles:
    """Transfers the files of one worker. send_progress: reports progress, so that the daemon's timeout does not end a
    long transfer. shared: a folder that the node has at the same path; "": none."""

    def __init__(self, link: Link, send_progress: Callable[[WorkProgress], None], *, shared: str = ""):
        self._link = link
        self._shared = os.path.realpath(shared) if shared else ""
        self._send_progress = send_progress
        self._layouts: dict[str, Entry] = {}  # by path; equal on both machines
        self._of_layouts = threading.Lock()  # uploads and downloads run on different threads

    # ---------------------------------------------------------------------------------------- uploads

    def upload(self, job: RemoteJob, work: Mapping[str, object]) -> dict[str, object]:
        """Send the files of a work; return the work as `FarHalf.run` takes it.

        Raises:
            Lost, FarError: as `link.Reply`.
            OSError: a file cannot be read.
        """
        source, sidecars = Path(str(work["source"])), work["sidecars"]
        assert isinstance(sidecars, dict)
        saved = list_folder(job.checkpoints) if job.checkpoints is not None else []
        folders = [entry.path for entry in saved if entry.is_folder]
        there = {kind: os.path.join("sidecars", kind, Path(path).name) for kind, path in sidecars.items()}
        sent = [(source, os.path.join("source", source.name)), *((Path(sidecars[kind]), there[kind]) for kind in there)]
        for entry in saved:
            if not entry.is_folder and job.checkpoints is not None:
                sent.append((job.checkpoints / entry.path, os.path.join("checkpoints", entry.path)))
                job.saved[entry.path] = entry
        small = _read_small(sent)
        self._link.call("begin", job.id, job.attempt, folders, small).wait(CALL_SECONDS)
        for path, name in sent[len(small) :]:
            if path != source or not self._is_read_there(job, path, name):
                self._send_file(job, path, name)
        if work["layouts"] is not None:
            self._upload_layouts(Path(str(work["layouts"])))
        return {**work, "source": os.path.join("source", source.name), "sidecars": there}

    def _is_read_there(self, job: RemoteJob, path: Path, name: str) -> bool:
        """True if the node can read the file itself, in the folder that both machines share."""
        real = Path(os.path.realpath(path))  # resolve the daemon's paths, which go through descriptors
        if not self._shared or not real.is_relative_to(self._shared):
            return False
        facts = real.stat()
        arguments = (job.id, job.attempt, name, str(real), facts.st_size, facts.st_mtime_ns)
        return bool(self._link.call("adopt", *arguments).wait(CALL_SECONDS))

    def _send_file(self, job: RemoteJob | None, path: Path, name: str) -> None:
        key = (job.id, job.attempt) if job is not None else ("", 0)
        digest = hashlib.sha256()
        facts = path.stat()

        def chunks() -> Iterator[Reply]:
            offset = 0
            with path.open("rb") as file:
                while chunk := file.read(CHUNK_BYTES):
                    digest.update(chunk)
                    yield self._link.call("put", *key, name, offset, chunk)
                    offset += len(chunk)
                    if job is not None and offset >= CHUNK_BYTES:
                        self._report(job, offset, facts.st_size, "bytes sent")

        for _ in _several(chunks()):
            pass
        self._link.call("commit", *key, name, digest.hexdigest(), facts.st_mtime_ns).wait(CALL_SECONDS)

    def _upload_layouts(self, folder: Path) -> None:
        with self._of_layouts:
            for entry in list_folder(folder):
                if entry != self._layouts.get(entry.path) and not entry.is_folder and "/" not in entry.path:
                    with contextlib.suppress(FileNotFoundError):  # removed since it was listed
                        self._send_file(None, folder / entry.path, entry.path)
                        self._layouts[entry.path] = entry

    # ---------------------------------------------------------------------------------------- downloads

    def download_outputs(self, job: RemoteJob, files: Sequence[OutputFile]) -> None:
        """Fetch the outputs of an attempt into its folder, and make them durable.

        Raises:
            Lost, FarError: as `link.Reply`.
            OSError: an output cannot be written.
            ValueError: an output was damaged in transfer.
        """
        total, done = sum(file["size_bytes"] for file in files), 0
        small = self._fetch_small(job, files) if total <= SMALL_BYTES else {}
        for file in files:
            name = check_path(file["name"])
            if name in small:
                with Arriving(job.outputs / name) as arriving:
                    arriving.put(0, small[name])
                    arriving.commit(file["sha256"])
                _sync_folders((job.outputs / name).parent, job.outputs)
                continue
            entry = Entry(path=name, size_bytes=file["size_bytes"], mtime_ns=0)
            path = job.outputs / name
            self._fetch((job.id, job.attempt), os.path.join("outputs", name), entry, path, sha256=file["sha256"])
            done += file["size_bytes"]
            if total > CHUNK_BYTES:
                self._report(job, done, total, "bytes received")
            _sync_folders(path.parent, job.outputs)

    def _fetch_small(self, job: RemoteJob, files: Sequence[OutputFile]) -> dict[str, bytes]:
        """Fetch all outputs with one call."""
        names = [check_path(file["name"]) for file in files]
        paths = [os.path.join("outputs", name) for name in names]
        contents = self._link.call("read_small", job.id, job.attempt, paths).wait(CALL_SECONDS)
        assert isinstance(contents, list)
        return dict(zip(names, contents, strict=True))

    def save_checkpoints(self, job: RemoteJob, present: Iterable[Entry]) -> None:
        """Make the checkpoints here equal to those on the node. A failure only makes the next attempt repeat work.

        Raises:
            Lost: as `link.Reply`.
        """
        if job.checkpoints is None:
            return
        entries = {check_path(entry.path): entry for entry in present}
        job.checkpoints.mkdir(parents=True, exist_ok=True)
        for entry in sorted(entries.values(), key=lambda entry: (os.path.basename(entry.path) == _RESULT, entry)):
            target = job.checkpoints / entry.path
            if entry.is_folder:
                target.mkdir(parents=True, exist_ok=True)
            elif not _is_scratch(entry.path) and entry != job.saved.get(entry.path):
                self._fetch((job.id, job.attempt), os.path.join("checkpoints", entry.path), entry, target)
                job.saved[entry.path] = entry
        remove_missing(job.checkpoints, entries)
        job.saved = {path: entry for path, entry in job.saved.items() if path in entries}

    def save_layouts(self, folder: Path, present: Iterable[Entry]) -> None:
        """Fetch the layouts that the worker on the node has learned or changed.

        Raises:
            Lost: as `link.Reply`.
        """
        with self._of_layouts:
            for entry in present:
                name = check_path(entry.path)
                if entry.is_folder or "/" in name or name.startswith(".") or entry == self._layouts.get(name):
                    continue
                folder.mkdir(mode=0o700, exist_ok=True)
                self._fetch(("", 0), name, entry, folder / name)
                self._layouts[name] = entry

    def _fetch(self, key: tuple[str, int], name: str, entry: Entry, target: Path, *, sha256: str | None = None) -> None:
        """Fetch a file from the node. sha256: digest of a file that no longer changes; None: ask the node for it."""
        digest = sha256 or str(self._link.call("digest", *key, name).wait(CALL_SECONDS))
        offsets = range(0, entry.size_bytes, CHUNK_BYTES)
        replies = (self._link.call("read", *key, name, offset) for offset in offsets)
        with Arriving(target) as arriving:
            for offset, chunk in zip(offsets, _several(replies), strict=True):
                assert isinstance(chunk, bytes)
                arriving.put(offset, chunk)
            arriving.commit(digest, mtime_ns=entry.mtime_ns or None)

    def _report(self, job: RemoteJob, done: int, total: int, unit: str) -> None:
        self._send_progress(WorkProgress(job=job.id, attempt=job.attempt, done=done, total=total, unit=unit))


def _read_small(files: Sequence[tuple[Path, str]]) -> list[SmallFile]:
    """Read files in their order, the original first, until the next one would exceed `SMALL_BYTES` in total.

    files: (path here, path on the node).
    """
    small: list[SmallFile] = []
    left = SMALL_BYTES
    for path, name in files:
        facts = path.stat()
        if facts.st_size > left:
            break
        content = path.read_bytes()
        left -= len(content)
        digest = hashlib.sha256(content).hexdigest()
        small.append(SmallFile(path=name, content=content, sha256=digest, mtime_ns=facts.st_mtime_ns))
    return small


def _several(replies: Iterable[Reply]) -> Iterator[object]:
    """Yield the values of calls in order, with up to `_CALLS_AT_ONCE` calls in progress."""
    waiting: deque[Reply] = deque()
    for reply in replies:
        waiting.append(reply)
        if len(waiting) >= _CALLS_AT_ONCE:
            yield waiting.popleft().wait(CALL_SECONDS)
    while waiting:
        yield waiting.popleft().wait(CALL_SECONDS)


def _is_scratch(path: str) -> bool:
    """True for a checkpoint that is still being written, and for the folder of an unfinished step."""
    return path.endswith(".part")


def _sync_folders(folder: Path, outputs: Path) -> None:
    """Sync the folders below `outputs`, from `folder` upward, to make the names in them durable. The daemon syncs
    `outputs` itself.
    """
    while folder != outputs and folder.is_relative_to(outputs):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        os.fsync(descriptor)
        os.close(descriptor)
        folder = folder.parent
