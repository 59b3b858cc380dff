"""The duration that a file declares for its sound, read without decoding: shows whether the file is cut off."""

import math
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from processors.whisper.audio import wave_header

if TYPE_CHECKING:
    import av

# Formats that store the duration of a track. For the others FFmpeg extrapolates it from the bit rate.
_DECLARING = {"mov", "flac", "aiff", "caf", "asf", "au", "matroska", "mxf", "tta", "wv"}
_XING_MARKS, _VBRI_MARK = (b"Xing", b"Info"), b"VBRI"  # of the headers of an MP3 with its number of frames
_XING_COUNTS_FRAMES = 1  # flag
_MPEG1_RATE_HZ, _MPEG1_SAMPLES, _MPEG2_SAMPLES = 32_000, 1152, 576  # its lowest rate; samples of a frame
_PROBE_BYTES = 4096


def declared_seconds(container: "av.container.InputContainer", stream: "av.AudioStream", path: Path) -> float | None:
    """The second at which the track ends as the file declares it; None if there is no reliable declaration."""
    form = container.format.name.split(",")[0]
    if form == "wav":
        chunk = wave_header.data_chunk(path)  # FFmpeg counts no more than the bytes that are present
        return None if chunk is None else chunk.seconds
    if form == "matroska":
        return _clock_seconds(stream.metadata.get("DURATION", ""))
    if form == "mp3":
        rate_hz = stream.codec_context.sample_rate or 0
        with path.open("rb") as file:
            return _counted_seconds(file, rate_hz) or _tagged_seconds(container.metadata, rate_hz)
    if not (form in _DECLARING and stream.duration and stream.time_base):
        return None
    if form == "asf" and len(container.streams) > 1:  # it declares the length of the longest stream
        return None
    start = stream.start_time or 0 if form == "mov" else 0  # its duration is the length of the track alone
    return float((start + stream.duration) * stream.time_base)


def _counted_seconds(file: BinaryIO, rate_hz: int) -> float | None:
    """The length of an MP3 by its number of frames. If the file is longer than that, FFmpeg guesses instead."""
    start = file.read(10)
    tag = 0
    if start[:3] == b"ID3" and len(start) == 10:  # ID3v2: the size in four bytes of seven bits
        tag = 10 + sum(byte << shift for byte, shift in zip(start[6:], (21, 14, 7, 0), strict=True))
    file.seek(tag)
    frames = _frame_count(file.read(_PROBE_BYTES))
    samples = _MPEG1_SAMPLES if rate_hz >= _MPEG1_RATE_HZ else _MPEG2_SAMPLES
    return frames * samples / rate_hz if frames and rate_hz else None


def _frame_count(probe: bytes) -> int:
    """The number of frames in the Xing or VBRI header of the first frame; 0: there is no such header."""
    for mark in _XING_MARKS:
        at = probe.find(mark)
        if at >= 0 and int.from_bytes(probe[at + 4 : at + 8]) & _XING_COUNTS_FRAMES:
            return int.from_bytes(probe[at + 8 : at + 12])
    at = probe.find(_VBRI_MARK)
    return int.from_bytes(probe[at + 14 : at + 18]) if at >= 0 else 0


def _tagged_seconds(tags: Mapping[str, str], rate_hz: int) -> float | None:
    """The length by the tags of an MP3: iTunes' number of samples, or ID3's milliseconds (id3v2.4.0-frames, 4.2.3)."""
    samples = milliseconds = 0
    with suppress(ValueError, IndexError):
        samples = int(tags.get("iTunSMPB", "").split()[3], 16)
    with suppress(ValueError):
        milliseconds = int(tags.get("TLEN", ""))
    return (samples / rate_hz if samples and rate_hz else milliseconds / 1000) or None


def _clock_seconds(text: str) -> float | None:
    """Convert a duration as Matroska writes it, such as "00:01:02.500000000", to seconds."""
    try:
        hours, minutes, seconds = text.split(":")
        total = int(hours) * 3600 + int(minutes) * 60 + float(seconds)
    except (ValueError, OverflowError):
        return None
    return total if math.isfinite(total) else None
