"""The folder of downloaded weights. Each file in it is complete and has a record beside it.

Incomplete downloads are in a hidden scratch folder on the same file system; one rename gives a durable file its name.
A lock (flock) allows one fetch at a time; the next fetch removes what a killed one left. Independent of models and
engines.
"""

import fcntl
import hashlib
import http.client
import json
import os
import shutil
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

ProgressCallback = Callable[[float, float | None, str], None]  # done, total, unit; as `Progress.loading`

_SCRATCH = ".fetch-"
_CHUNK_BYTES = 1 << 20
_TIMEOUT_SECONDS = 30.0  # without a byte
_LOCK_POLL_SECONDS = 0.5


class FetchError(Exception):
    """Weights could not be fetched. The message gives the reason and the next step."""

    exit_code = os.EX_SOFTWARE


class Unreachable(FetchError):
    """No source responds."""

    exit_code = os.EX_UNAVAILABLE


class Damaged(FetchError):
    """A download or a stored file does not match its checksum."""

    exit_code = os.EX_DATAERR


class NoSource(FetchError):
    """The file or folder that was named as the source cannot be read."""

    exit_code = os.EX_NOINPUT


@dataclass(frozen=True, kw_only=True)
class Record:
    """The source and checksum of stored weights, in NAME.json beside them."""

    name: str
    source: str  # a URL, or a package and its version
    sha256: str  # of the stored file
    licence: str
    bytes: int  # of the stored file

    @classmethod
    def of(cls, path: Path, *, name: str, source: str, licence: str) -> "Record":
        """The record of a file that is about to be stored; computes its checksum."""
        return cls(name=name, source=source, sha256=sha256_of(path), licence=licence, bytes=path.stat().st_size)

    @classmethod
    def read(cls, path: Path) -> "Record | None":
        """Read the record in `path`; None if it is missing or invalid."""
        try:
            return cls(**json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return None


def record_of(path: Path) -> Path:
    """Return the path of the record of the stored file `path`."""
    return path.with_suffix(".json")


def recorded(path: Path | None) -> Record | None:
    """Return the record of a stored file; None if it or its record is missing, or its size is another. The file is not
    hashed."""
    if path is None or not path.is_file():
        return None
    record = Record.read(record_of(path))
    return record if record is not None and path.stat().st_size == record.bytes else None


@contextmanager
def scratch(folder: Path, report: ProgressCallback) -> Iterator[Path]:
    """Create a temporary folder for a download, inside `folder`. Wait while another process has one."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                report(0, None, "bytes")  # alive: another process is fetching
                time.sleep(_LOCK_POLL_SECONDS)
        for leftover in folder.glob(f"{_SCRATCH}*"):
            shutil.rmtree(leftover, ignore_errors=True)
        with tempfile.TemporaryDirectory(prefix=_SCRATCH, dir=folder) as own:
            yield Path(own)


def store_once(
    final: Path,
    present: Callable[[], Record | None],
    make: Callable[[Path], tuple[Path, Record]],
    report: ProgressCallback,
) -> Record:
    """Return the record of a stored file. If it is missing, let `make` create it in a scratch folder, and move it to
    `final`; atomic and durable. Several processes may do this at once.

    Raises:
        FetchError, OSError: as `make`; nothing was stored.
    """
    if record := present():
        return record
    with scratch(final.parent, report) as own:
        if record := present():  # by another process, meanwhile
            return record
        made, record = make(own)
        commit(made, final, record, record_of(final))
    return record


def commit(fetched: Path, final: Path, record: Record, record_path: Path) -> None:
    """Move a downloaded file to its name, durably. The record is written first: without its file, it is ignored."""
    fsync(fetched)
    write_record(record, record_path, fetched.parent)
    fetched.replace(final)
    fsync(final.parent)


def write_record(record: Record, final: Path, own: Path) -> None:
    """Write the record atomically, through the scratch folder `own`."""
    draft = own / final.name
    draft.write_text(json.dumps(asdict(record), indent=1) + "\n", encoding="utf-8")
    fsync(draft)
    draft.replace(final)


def fsync(path: Path) -> None:
    """Call fsync(2) on a file or a folder."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def size_of(folder: Path) -> int:
    """Return the total bytes of the files in a folder that is changing."""

    def sizes() -> Iterator[int]:
        for path in folder.rglob("*"):
            with suppress(FileNotFoundError):  # it was moved
                yield path.stat().st_size

    return sum(sizes())


def download(url: str, sha256: str, target: Path, report: ProgressCallback) -> None:
    """Download `url` to `target` and check its hash.

    Raises:
        Unreachable: the server does not respond, or the connection ended early.
        Damaged: the hash is wrong.
        OSError: `target` cannot be written; the incomplete file stays until its scratch folder is removed.
    """
    digest, done = hashlib.sha256(), 0
    with _answer(url) as answer, target.open("wb") as file:
        length = answer.headers["Content-Length"]
        total = int(length) if length else None
        while chunk := _read(answer, url):
            file.write(chunk)
            digest.update(chunk)
            done += len(chunk)
            report(done, total, "bytes")
    if total is not None and done < total:
        raise Unreachable(f"the download from {url} ended after {done} of {total} bytes")
    if digest.hexdigest() != sha256:
        raise Damaged(f"The download from {url} has the wrong checksum. Try again, if possible on another network.")


def _answer(url: str) -> http.client.HTTPResponse:
    with _network_errors(url):
        answer: http.client.HTTPResponse = urllib.request.urlopen(url, timeout=_TIMEOUT_SECONDS)
    return answer


def _read(answer: http.client.HTTPResponse, url: str) -> bytes:
    with _network_errors(url):
        return answer.read(_CHUNK_BYTES)


@contextmanager
def _network_errors(url: str) -> Iterator[None]:
    """Convert network errors to `Unreachable`. Use it around network calls only, as disk errors are also OSErrors."""
    try:
        yield
    except (OSError, http.client.HTTPException) as error:
        raise Unreachable(f"cannot reach {url} ({getattr(error, 'reason', error)})") from error
