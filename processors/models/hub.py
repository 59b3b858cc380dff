"""Vision-language models from their hub, each a folder: models/vlm/ORG--NAME/, with ORG--NAME.json beside it.

Incomplete downloads are in models/vlm/.part-ORG--NAME, and the next fetch resumes them. One rename gives the complete
folder its name. Only weights and plain data are downloaded, never code.
"""

import errno
import hashlib
import re
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from processors.models import storage
from processors.models.storage import ProgressCallback, Record, Unreachable

FILES = ("*.json", "*.safetensors", "*.jinja", "*.txt", "*.model")

_PART = ".part-"
_NOTES = ".cache"  # where the hub client records its progress
_POLL_SECONDS = 0.5
_DISK_ERRORS = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EACCES, errno.EPERM, errno.EROFS, errno.EIO}


def is_name(name: str) -> bool:
    """True if `name` has the form of a hub's names, such as "Qwen/Qwen3-VL-4B-Instruct"."""
    return re.fullmatch(r"\w[\w.-]*/\w[\w.-]*", name, re.ASCII) is not None and "--" not in name and ".." not in name


def location(name: str, models: Path) -> Path:
    """Return the folder where `fetch` stores the model."""
    return models / "vlm" / name.replace("/", "--")


def record_of(folder: Path) -> Path:
    """Return the path of a stored model's record."""
    return folder.with_name(f"{folder.name}.json")


def find(name: str, models: Path) -> Path | None:
    """Return the folder of the stored model, or None."""
    folder = location(name, models)
    return folder if folder.is_dir() else None


def stored(models: Path) -> list[str]:
    """Return the names of all stored models."""
    folders = (path for path in (models / "vlm").glob("[!.]*--*") if path.is_dir())
    return sorted(path.name.replace("--", "/", 1) for path in folders)


def present(name: str, models: Path) -> Record | None:
    """Return the record of a stored model, or None. The model's files are not hashed."""
    folder = location(name, models)
    return Record.read(record_of(folder)) if folder.is_dir() else None


def fetch(name: str, models: Path, report: ProgressCallback) -> Record:
    """Download a model unless it is stored; an interrupted download resumes.

    Raises:
        Unreachable: the hub does not respond, has no such model, or denies access to it.
        OSError: the disk is full or not writable.
    """
    if record := present(name, models):
        return record
    final = location(name, models)
    with storage.scratch(final.parent, report) as own:
        if record := present(name, models):  # by another process, meanwhile
            return record
        part = final.with_name(f"{_PART}{final.name}")
        revision = _download(name, part, report)
        if not any(part.glob("*.safetensors")):
            raise Unreachable(f"{name} has no safetensors weights on the hub. Choose another model.")
        for path in _files(part):
            storage.fsync(path)
        record = Record(
            name=name,
            source=f"hub {name} {revision}",
            sha256=sha256_of(part),
            licence="see its README on the hub",
            bytes=sum(path.stat().st_size for path in _files(part)),
        )
        shutil.rmtree(part / _NOTES, ignore_errors=True)
        storage.write_record(record, record_of(final), own)
        part.rename(final)
        storage.fsync(final.parent)
    return record


def sha256_of(folder: Path) -> str:
    """Hash the names and hashes of all files except hidden ones."""
    digest = hashlib.sha256()
    for path in _files(folder):
        digest.update(f"{path.relative_to(folder).as_posix()} {storage.sha256_of(path)}\n".encode())
    return digest.hexdigest()


def _download(name: str, part: Path, report: ProgressCallback) -> str:
    """Complete the folder `part`; return the revision of its content."""
    from huggingface_hub import HfApi, errors, snapshot_download
    from huggingface_hub.errors import HTTPError  # type: ignore[attr-defined]  # httpx's

    try:
        about = HfApi().model_info(name, files_metadata=True)
        wanted = [file for file in about.siblings or () if any(Path(file.rfilename).match(form) for form in FILES)]
        with _watching(part, sum(file.size or 0 for file in wanted), report):
            snapshot_download(name, revision=about.sha, local_dir=part, allow_patterns=list(FILES))
    except errors.GatedRepoError as error:
        raise Unreachable(f"{name} is gated: accept its terms on the hub, set HF_TOKEN and try again.") from error
    except errors.RepositoryNotFoundError as error:
        raise Unreachable(
            f"The hub has no model {name}, or it is private. Check its spelling, or set HF_TOKEN."
        ) from error
    except (HTTPError, errors.XetDownloadError, errors.EntryNotFoundError, OSError) as error:
        if isinstance(error, OSError) and error.errno in _DISK_ERRORS:
            raise
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise Unreachable(
            f"Could not download {name} from the hub ({reason}). Try again with a network connection: "
            f"the download resumes. Or copy the model's folder to {part.with_name(part.name[len(_PART) :])}."
        ) from error
    return about.sha or "unknown revision"


@contextmanager
def _watching(part: Path, total: int, report: ProgressCallback) -> Iterator[None]:
    """Report how many of `total` bytes are in `part`, until the block ends."""
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(_POLL_SECONDS):
            report(min(total, storage.size_of(part)), total, "bytes")

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        ended.set()
        watcher.join()
    report(total, total, "bytes")


def _files(folder: Path) -> list[Path]:
    """Return all files of a model, without the hub client's own files in a hidden folder."""
    paths = (path for path in folder.rglob("*") if path.is_file())
    return sorted(path for path in paths if not any(name.startswith(".") for name in path.relative_to(folder).parts))
