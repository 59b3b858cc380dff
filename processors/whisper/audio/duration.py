"""How long a file says that its sound is, where it says so itself: read without decoding, to notice what is cut off."""

import math
import struct
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    import av

# The formats that write down how long the track is. Elsewhere FFmpeg extrapolates from the bit rate.
_DECLARING = {"mov", "flac", "aiff", "caf", "asf", "avi", "matroska"}
_MP3_COUNTS = (b"Xing", b"Info", b"VBRI")  # the header of an MP3 that says how many frames follow
_PROBE_BYTES = 4096


def declared_seconds(container: "av.container.InputContainer", stream: "av.AudioStream", path: Path) -> float | None:
    """How long the file says the track is; None where it says nothing that can be relied on."""
    form = container.format.name.split(",")[0]
    with path.open("rb") as file:
        if form == "wav":
            return _wav_seconds(file, stream)
        declares = form in _DECLARING or (form == "mp3" and _counts_frames(file))
    if form == "matroska":
        return _clock_seconds(stream.metadata.get("DURATION", ""))
    return float(stream.duration * stream.time_base) if declares and stream.duration and stream.time_base else None


def _counts_frames(file: BinaryIO) -> bool:
    start = file.read(10)
    tag = 0
    if start[:3] == b"ID3" and len(start) == 10:  # ID3v2: the size in four bytes of seven bits
        tag = 10 + sum(byte << shift for byte, shift in zip(start[6:], (21, 14, 7, 0), strict=True))
    file.seek(tag)
    probe = file.read(_PROBE_BYTES)
    return any(mark in probe for mark in _MP3_COUNTS)


def _wav_seconds(file: BinaryIO, stream: "av.AudioStream") -> float | None:
    """By the size in the header of the data, as FFmpeg trims what it reports to the bytes that are there."""
    head = file.read(_PROBE_BYTES)
    at = head.find(b"data", 12)
    bytes_per_second = (stream.codec_context.bit_rate or 0) / 8
    if head[:4] != b"RIFF" or at < 0 or at + 8 > len(head) or not bytes_per_second:
        return None
    (size,) = struct.unpack_from("<I", head, at + 4)
    # A recorder that streams cannot know the size and writes 0 or (nearly) the largest number.
    return size / bytes_per_second if 0 < size < 0x7FFF_0000 else None


def _clock_seconds(text: str) -> float | None:
    """Of Matroska's "00:01:02.500000000"."""
    try:
        hours, minutes, seconds = text.split(":")
        total = int(hours) * 3600 + int(minutes) * 60 + float(seconds)
    except (ValueError, OverflowError):
        return None
    return total if math.isfinite(total) else None
