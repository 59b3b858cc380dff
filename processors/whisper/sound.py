"""A file's first sound track, decoded bit by bit: PyAV in, float32 out. Knows nothing of speech.

"Sound" here is always float32, shape (n_samples,), mono, 16 kHz, in [-1, 1]: what Whisper was trained on, and made as
openai-whisper's `load_audio` makes it (16-bit integers in between, so that a stereo mix cannot overflow).
"""

import logging
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import av
import numpy as np

from processors.base import BadInput

SAMPLE_RATE_HZ = 16_000
LOWEST_RATE_HZ = 1000  # carries sound up to 500 Hz, no speech; at 1 Hz some kilobytes would be hours
PART_SECONDS = 600.0  # the longest piece kept in memory: 38 MB of samples, about 250 MB while its mel is computed
CUT_SECONDS = 30.0  # a piece is cut at the quietest place of its end, this long
PROBE_SECONDS = 0.2  # how long a place must be quiet to be cut at

_BLOCK_SAMPLES = 10 * SAMPLE_RATE_HZ
_SMALLEST_GAP_SECONDS = 0.02
_LARGEST_GAP_SECONDS = 600.0  # what one bad packet may stand for: its size is only a hint
_BAD_READS = 100  # unreadable places in a row after which the rest of a file is given up
# The formats that write down how long the track is. Elsewhere FFmpeg extrapolates from the bit rate.
_DECLARING = {"mov", "flac", "aiff", "caf", "asf", "avi", "matroska"}
_MP3_COUNTS = (b"Xing", b"Info", b"VBRI")  # the header of an MP3 that says how many frames follow
_PROBE_BYTES = 4096

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Gap:
    """A place that could not be decoded; silence stands there, so that what follows keeps its time."""

    at_seconds: float
    seconds: float


class Track:
    """The first sound track of an open file; read it once with `blocks`, then look at what was found."""

    def __init__(self, container: "av.container.InputContainer", declared_seconds: float | None):
        self._container = container
        self._stream = container.streams.audio[0]
        self.tracks = len(container.streams.audio)  # sound tracks in the file; only the first is read
        self.declared_seconds = declared_seconds  # None: the file does not say
        self.decoded_seconds = 0.0  # so far, gaps included
        self.gaps: list[Gap] = []  # so far

    def blocks(self) -> Iterator[np.ndarray]:
        """The sound, in blocks of about ten seconds.

        Raises:
            BadInput: nothing of it can be decoded.
        """
        waiting, samples = [], 0
        for piece in self._pieces():
            waiting.append(piece)
            samples += len(piece)
            if samples >= _BLOCK_SAMPLES:
                yield np.concatenate(waiting)
                waiting, samples = [], 0
        if waiting:
            yield np.concatenate(waiting)
        if not self.decoded_seconds:
            raise BadInput(
                "No sound could be decoded from this file: it is empty after its header, or damaged. "
                "Play it to check, or export it anew, and drop it again."
            )

    def _pieces(self) -> Iterator[np.ndarray]:
        resampler = _resampler()
        lost_seconds, good_bytes, good_seconds = 0.0, 0, 0.0
        for packet in self._packets():
            try:
                frames = packet.decode()
            except av.error.FFmpegError as error:
                log.debug("a packet at %.2f s cannot be decoded: %s", self.decoded_seconds, error)
                lost_seconds += _lost_seconds(packet, good_seconds / good_bytes if good_bytes else 0.0)
                continue
            if not frames:
                continue
            if lost_seconds >= _SMALLEST_GAP_SECONDS:
                self.gaps.append(Gap(at_seconds=round(self.decoded_seconds, 3), seconds=round(lost_seconds, 3)))
                yield self._count(np.zeros(round(lost_seconds * SAMPLE_RATE_HZ), np.float32))
            lost_seconds = 0.0
            good_bytes += packet.size
            for frame in frames:
                good_seconds += frame.samples / frame.sample_rate
                try:
                    resampled = resampler.resample(frame)
                except ValueError:  # the track changed its rate or its channels on the way
                    yield from self._sound(resampler.resample(None))
                    resampler = _resampler()
                    resampled = resampler.resample(frame)
                yield from self._sound(resampled)
        if good_seconds:
            yield from self._sound(resampler.resample(None))

    def _packets(self) -> Iterator["av.Packet"]:
        """All packets of the track; goes on behind places that the demuxer stumbles over."""
        for _ in range(_BAD_READS):
            try:
                yield from self._container.demux(self._stream)
                return
            except av.error.EOFError:
                return
            except av.error.InvalidDataError as error:
                log.debug("unreadable place at %.2f s: %s", self.decoded_seconds, error)

    def _sound(self, frames: list["av.AudioFrame"]) -> Iterator[np.ndarray]:
        for frame in frames:
            yield self._count(frame.to_ndarray().reshape(-1).astype(np.float32) / 32768)

    def _count(self, samples: np.ndarray) -> np.ndarray:
        self.decoded_seconds += len(samples) / SAMPLE_RATE_HZ
        return samples


@contextmanager
def open_track(path: Path) -> Iterator[Track]:
    """The first sound track of a file in any container that FFmpeg reads.

    The file is handed over open, and FFmpeg may open no other: a dropped playlist reads no file of this machine.

    Raises:
        BadInput: empty, neither sound nor video, no sound track, or in a codec that is not known here.
        OSError: the file cannot be read.
    """
    if not path.stat().st_size:
        raise BadInput("This file is empty (0 bytes). Was its copy interrupted? Drop it again.")
    with path.open("rb") as file:
        try:
            container = av.open(file, metadata_errors="replace", options={"protocol_whitelist": "none"})
        except (av.error.FFmpegError, ValueError) as error:
            log.info("%s cannot be opened: %s", path, error)
            raise BadInput(
                "This is no sound or video file that can be read: it is of another kind, or cut off. "
                "Play it to check, and drop it again."
            ) from error
        with container:
            _require_sound(container)
            yield Track(container, _declared_seconds(container, path))


def parts(blocks: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
    """The same sound in pieces of at most `PART_SECONDS`, cut where it is quiet."""
    longest = round(PART_SECONDS * SAMPLE_RATE_HZ)
    held: list[np.ndarray] = []
    for block in blocks:
        held.append(block)
        while sum(map(len, held)) > longest:
            sound = np.concatenate(held)
            cut = _quietest(sound[:longest])
            yield sound[:cut]
            held = [sound[cut:]]
    if held:
        yield np.concatenate(held)


def levels(sound: np.ndarray, step_seconds: float = 0.1) -> np.ndarray:
    """The loudness of each step: float32, shape (ceil(n_samples / step),), RMS in dB of full scale, at least -120."""
    step = round(step_seconds * SAMPLE_RATE_HZ)
    padded = np.pad(sound, (0, -len(sound) % step)).reshape(-1, step)
    power = np.einsum("ij,ij->i", padded, padded) / step
    return 10 * np.log10(np.maximum(power, 1e-12))


def _quietest(sound: np.ndarray) -> int:
    """Where to cut: the middle of the quietest place within the last `CUT_SECONDS`."""
    start = max(0, len(sound) - round(CUT_SECONDS * SAMPLE_RATE_HZ))
    place = int(np.argmin(levels(sound[start:], PROBE_SECONDS)))
    return min(len(sound), start + round((place + 0.5) * PROBE_SECONDS * SAMPLE_RATE_HZ))


def _resampler() -> "av.AudioResampler":
    return av.AudioResampler(format="s16", layout="mono", rate=SAMPLE_RATE_HZ)


def _lost_seconds(packet: "av.Packet", seconds_per_byte: float) -> float:
    """How long the sound of a bad packet was. A demuxer that lost its way hands over many packets as one: then its size
    says more than its duration."""
    declared = float(packet.duration * packet.time_base) if packet.duration and packet.time_base else 0.0
    by_size = packet.size * seconds_per_byte
    return min(_LARGEST_GAP_SECONDS, by_size if by_size > 2 * declared else declared)


def _require_sound(container: "av.container.InputContainer") -> None:
    if not container.streams.audio:
        what = "This video has no sound track" if container.streams.video else "There is no sound in this file"
        raise BadInput(f"{what}, so there is nothing to transcribe.")
    if container.streams.audio[0].codec_context is None:
        raise BadInput(
            "The sound is in a format (codec) that is not known here. Convert it to FLAC or MP3 and drop it again."
        )
    if 0 < (rate_hz := container.streams.audio[0].codec_context.sample_rate or 0) < LOWEST_RATE_HZ:
        raise BadInput(f"This sound has {rate_hz} samples a second, too few for speech. Export it anew and drop that.")


def _declared_seconds(container: "av.container.InputContainer", path: Path) -> float | None:
    """How long the file says the track is; None where it says nothing that can be relied on."""
    stream, form = container.streams.audio[0], container.format.name.split(",")[0]
    with path.open("rb") as file:
        if form == "wav":
            return _wav_seconds(file, stream)
        declares = form in _DECLARING or (form == "mp3" and _counts_frames(file))
    if form == "matroska":
        return _clock_seconds(stream.metadata.get("DURATION", ""))
    return float(stream.duration * stream.time_base) if declares and stream.duration else None


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
        return int(hours) * 3600 + int(minutes) * 60 + float(seconds)
    except ValueError:
        return None
