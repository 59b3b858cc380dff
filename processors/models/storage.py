"""The folder of downloaded weights: a file is there whole, under its name and beside its record, or it is not there.

What is on its way lies in a hidden scratch folder of the same file system, and gets its name by one rename once it is
durable. One fetch at a time, by `flock`; the next one sweeps what a killed one left. Knows no model and no engine.
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

Tell = Callable[[float, float | None, str], None]  # done, total, unit; as `Progress.loading`

_SCRATCH = ".fetch-"
_CHUNK_BYTES = 1 << 20
_TIMEOUT_SECONDS = 30.0  # without a byte
_LOCK_POLL_SECONDS = 0.5


class FetchError(Exception):
    """Weights could not be fetched; says why and what to do next."""

    exit_code = os.EX_SOFTWARE


class Unreachable(FetchError):
    """No source answers."""

    exit_code = os.EX_UNAVAILABLE


class Damaged(FetchError):
    """What came, or what is stored, is not what it should be."""

    exit_code = os.EX_DATAERR


class NoSource(FetchError):
    """The file or folder that was named as the source cannot be read."""

    exit_code = os.EX_NOINPUT


@dataclass(frozen=True, kw_only=True)
class Record:
    """Where stored weights came from; kept beside them as NAME.json."""

    name: str
    source: str  # a URL, or a package and its version
    sha256: str  # of the stored file
    licence: str
    bytes: int  # of the stored file

    @classmethod
    def read(cls, path: Path) -> "Record | None":
        """The record in `path`; None if there is none that can be read."""
        try:
            return cls(**json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return None


@contextmanager
def scratch(folder: Path, tell: Tell) -> Iterator[Path]:
    """A folder to fetch into, below `folder` and gone afterwards. Waits while another process has one."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                tell(0, None, "bytes")  # alive: another process is fetching
                time.sleep(_LOCK_POLL_SECONDS)
        for left_behind in folder.glob(f"{_SCRATCH}*"):
            shutil.rmtree(left_behind, ignore_errors=True)
        with tempfile.TemporaryDirectory(prefix=_SCRATCH, dir=folder) as own:
            yield Path(own)


def keep(fetched: Path, final: Path, record: Record, record_path: Path) -> None:
    """Give a fetched file its name, durably. The record first: a record without its file counts as nothing."""
    sync(fetched)
    write_record(record, record_path, fetched.parent)
    fetched.replace(final)
    sync(final.parent)


def write_record(record: Record, final: Path, own: Path) -> None:
    """Write the record by way of the scratch folder `own`."""
    draft = own / final.name
    draft.write_text(json.dumps(asdict(record), indent=1) + "\n", encoding="utf-8")
    sync(draft)
    draft.replace(final)


def sync(path: Path) -> None:
    """fsync(2) of a file or a folder."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def size_of(folder: Path) -> int:
    """Bytes of all files in a folder that others are changing."""

    def sizes() -> Iterator[int]:
        for path in folder.rglob("*"):
            with suppress(FileNotFoundError):  # it was moved
                yield path.stat().st_size

    return sum(sizes())


def download(url: str, sha256: str, target: Path, tell: Tell) -> None:
    """Stream `url` into `target` and check it.

    Raises:
        Unreachable: no answer, or it broke off.
        Damaged: another hash.
        OSError: `target` cannot be written; what came so far is left to the scratch folder's end.
    """
    digest, done = hashlib.sha256(), 0
    with _answer(url) as answer, target.open("wb") as file:
        length = answer.headers["Content-Length"]
        total = int(length) if length else None
        while chunk := _read(answer, url):
            file.write(chunk)
            digest.update(chunk)
            done += len(chunk)
            tell(done, total, "bytes")
    if total is not None and done < total:
        raise Unreachable(f"{url} broke off after {done} of {total} bytes")
    if digest.hexdigest() != sha256:
        raise Damaged(
            f"What came from {url} has another SHA-256 than it should; try again, perhaps on another network."
        )


def _answer(url: str) -> http.client.HTTPResponse:
    with _reaching(url):
        return urllib.request.urlopen(url, timeout=_TIMEOUT_SECONDS)


def _read(answer: http.client.HTTPResponse, url: str) -> bytes:
    with _reaching(url):
        return answer.read(_CHUNK_BYTES)


@contextmanager
def _reaching(url: str) -> Iterator[None]:
    """Only around the network: an OSError of the disk must not pass for one of the network."""
    try:
        yield
    except (OSError, http.client.HTTPException) as error:
        raise Unreachable(f"{url} cannot be reached ({getattr(error, 'reason', error)})") from error
