"""The duration that a file declares for its sound, read without decoding: shows whether the file is cut off."""

import math
import struct
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    import av

# Formats that store the duration of a track. For the others FFmpeg extrapolates it from the bit rate.
_DECLARING = {"mov", "flac", "aiff", "caf", "asf", "avi", "matroska"}
_MP3_COUNTS = (b"Xing", b"Info", b"VBRI")  # the header of an MP3 with its number of frames
_PROBE_BYTES = 4096


def declared_seconds(container: "av.container.InputContainer", stream: "av.AudioStream", path: Path) -> float | None:
    """The declared duration of the track; None if the file has none that is reliable."""
    form = container.format.name.split(",")[0]
    with path.open("rb") as file:
        if form == "wav":
            return _wav_seconds(file, stream)
        declares = form in _DECLARING or (form == "mp3" and _has_frame_count(file))
    if form == "matroska":
        return _clock_seconds(stream.metadata.get("DURATION", ""))
    return float(stream.duration * stream.time_base) if declares and stream.duration and stream.time_base else None


def _has_frame_count(file: BinaryIO) -> bool:
    start = file.read(10)
    tag = 0
    if start[:3] == b"ID3" and len(start) == 10:  # ID3v2: the size in four bytes of seven bits
        tag = 10 + sum(byte << shift for byte, shift in zip(start[6:], (21, 14, 7, 0), strict=True))
    file.seek(tag)
    probe = file.read(_PROBE_BYTES)
    return any(mark in probe for mark in _MP3_COUNTS)


def _wav_seconds(file: BinaryIO, stream: "av.AudioStream") -> float | None:
    """Compute the seconds from the size in the data header: FFmpeg reports no more than the bytes that are present."""
    head = file.read(_PROBE_BYTES)
    at = head.find(b"data", 12)
    bytes_per_second = (stream.codec_context.bit_rate or 0) / 8
    if head[:4] != b"RIFF" or at < 0 or at + 8 > len(head) or not bytes_per_second:
        return None
    (size,) = struct.unpack_from("<I", head, at + 4)
    # A streaming recorder does not know the size and writes 0 or (almost) the largest number.
    return size / bytes_per_second if 0 < size < 0x7FFF_0000 else None


def _clock_seconds(text: str) -> float | None:
    """Matroska's "00:01:02.500000000" in seconds."""
    try:
        hours, minutes, seconds = text.split(":")
        total = int(hours) * 3600 + int(minutes) * 60 + float(seconds)
    except (ValueError, OverflowError):
        return None
    return total if math.isfinite(total) else None
