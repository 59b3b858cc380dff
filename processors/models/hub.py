"""Vision-language models from their hub, each a folder: models/vlm/ORG--NAME/, with ORG--NAME.json beside it.

What is on its way lies in models/vlm/.part-ORG--NAME and is taken up again by the next fetch; the folder gets its name
by one rename once all of it is there. Only weights and plain data are fetched: never code.
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
from processors.models.storage import Record, Tell, Unreachable

FILES = ("*.json", "*.safetensors", "*.jinja", "*.txt", "*.model")

_PART = ".part-"
_NOTES = ".cache"  # where the hub client notes how far it got
_POLL_SECONDS = 0.5
_DISK_ERRORS = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EACCES, errno.EPERM, errno.EROFS, errno.EIO}


def is_name(name: str) -> bool:
    """Is it a name as hubs give them, such as "Qwen/Qwen2.5-VL-3B-Instruct"?"""
    return re.fullmatch(r"\w[\w.-]*/\w[\w.-]*", name, re.ASCII) is not None and "--" not in name and ".." not in name


def location(name: str, models: Path) -> Path:
    """Where `fetch` puts it."""
    return models / "vlm" / name.replace("/", "--")


def record_of(folder: Path) -> Path:
    """Where the record of a stored model is."""
    return folder.with_name(f"{folder.name}.json")


def find(name: str, models: Path) -> Path | None:
    """The folder of the stored model, or None."""
    folder = location(name, models)
    return folder if folder.is_dir() else None


def stored(models: Path) -> list[str]:
    """The names of all that is here."""
    folders = (path for path in (models / "vlm").glob("[!.]*--*") if path.is_dir())
    return sorted(path.name.replace("--", "/", 1) for path in folders)


def present(name: str, models: Path) -> Record | None:
    """The record of a stored model whose folder is there (not hashed: this is instant)."""
    folder = location(name, models)
    return Record.read(record_of(folder)) if folder.is_dir() else None


def fetch(name: str, models: Path, tell: Tell) -> Record:
    """Fetch what is not there; goes on where an interrupted fetch ended.

    Raises:
        Unreachable: the hub does not answer, has no such model, or does not give it out.
        OSError: the disk is full, or not to be written.
    """
    if record := present(name, models):
        return record
    final = location(name, models)
    with storage.scratch(final.parent, tell) as own:
        if record := present(name, models):  # by another process, meanwhile
            return record
        part = final.with_name(f"{_PART}{final.name}")
        revision = _download(name, part, tell)
        if not any(part.glob("*.safetensors")):
            raise Unreachable(f"{name} has no weights in safetensors form on the hub; choose another model.")
        for path in _files(part):
            storage.sync(path)
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
        storage.sync(final.parent)
    return record


def sha256_of(folder: Path) -> str:
    """One hash over the names and the hashes of all files, hidden ones left out."""
    digest = hashlib.sha256()
    for path in _files(folder):
        digest.update(f"{path.relative_to(folder).as_posix()} {storage.sha256_of(path)}\n".encode())
    return digest.hexdigest()


def _download(name: str, part: Path, tell: Tell) -> str:
    """Complete the folder `part`; returns the revision that it holds."""
    from huggingface_hub import HfApi, errors, snapshot_download

    try:
        about = HfApi().model_info(name, files_metadata=True)
        wanted = [file for file in about.siblings or () if any(Path(file.rfilename).match(form) for form in FILES)]
        with _watching(part, sum(file.size or 0 for file in wanted), tell):
            snapshot_download(name, revision=about.sha, local_dir=part, allow_patterns=list(FILES))
    except errors.GatedRepoError as error:
        raise Unreachable(
            f"{name} is given out only to those who accepted its terms: do so on the hub, set HF_TOKEN and try again."
        ) from error
    except errors.RepositoryNotFoundError as error:
        raise Unreachable(f"The hub has no model {name}, or hides it. Check its spelling, or set HF_TOKEN.") from error
    except (errors.HTTPError, errors.XetDownloadError, errors.EntryNotFoundError, OSError) as error:
        if isinstance(error, OSError) and error.errno in _DISK_ERRORS:
            raise
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise Unreachable(
            f"{name} could not be fetched from the hub ({reason}). Try again where there is a network: "
            f"it goes on where it ended. Or copy the model's folder to {part.with_name(part.name[len(_PART) :])}."
        ) from error
    return about.sha or "unknown revision"


@contextmanager
def _watching(part: Path, total: int, tell: Tell) -> Iterator[None]:
    """Tell how much of `total` bytes lies in `part`, until the block ends."""
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(_POLL_SECONDS):
            tell(min(total, storage.size_of(part)), total, "bytes")

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        ended.set()
        watcher.join()
    tell(total, total, "bytes")


def _files(folder: Path) -> list[Path]:
    """All files of a model; the hub client keeps its own notes in a hidden folder."""
    paths = (path for path in folder.rglob("*") if path.is_file())
    return sorted(path for path in paths if not any(name.startswith(".") for name in path.relative_to(folder).parts))
