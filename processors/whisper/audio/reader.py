"""Decode a file's sound track block by block with PyAV. Knows nothing of speech.

"Sound" here is always float32, shape (n_samples,), mono, 16 kHz, in [-1, 1]: what Whisper was trained on, converted
like in openai-whisper's `load_audio` (through 16-bit integers, so that a stereo mix cannot overflow).
"""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np

from processors.contract import BadInput
from processors.whisper.audio import duration

SAMPLE_RATE_HZ = 16_000
LOWEST_RATE_HZ = 1000  # carries sound up to 500 Hz, which is no speech; at 1 Hz some kilobytes would be hours
PART_SECONDS = 600.0  # the longest part in memory: 38 MB of samples, about 250 MB while its spectrogram is computed
CUT_SECONDS = 30.0  # a part is cut at the quietest place within the last so many seconds
PROBE_SECONDS = 0.2  # length of a quiet place

_BLOCK_SAMPLES = 10 * SAMPLE_RATE_HZ
_SMALLEST_GAP_SECONDS = 0.02
_LARGEST_GAP_SECONDS = 600.0  # for one bad packet: its size is only an indication
_LONGEST_LOSS_SECONDS = 86_400.0  # replaced by silence at one place
_FLOATS = {"flt", "fltp", "dbl", "dblp"}  # FFmpeg's sample formats that hold NaN and infinity
_CONVERSION_ERRORS = (av.error.FFmpegError, ValueError)
_MAX_PLANES = 7  # PyAV 18 crashes on frames of eight
_MAX_BAD_READS = 100  # unreadable places after which the rest of a file is skipped

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Interval:
    """A stretch of a track: undecodable sound, or speech without a transcript."""

    at_seconds: float
    seconds: float


class Track:
    """A sound track of an open file; read it once with `blocks`, then the attributes are complete."""

    def __init__(
        self,
        container: "av.container.InputContainer",
        stream: "av.AudioStream",
        channel: int | None,
        declared_seconds: float | None,
    ):
        self._container, self._stream = container, stream
        self._channel = channel  # counts from 1; None: all of them, mixed
        self.tracks = len(container.streams.audio)  # sound tracks in the file; only one is decoded
        self.channels = stream.codec_context.channels or 1  # of this track
        self.declared_seconds = declared_seconds  # None: the file has no reliable duration
        self.decoded_seconds = 0.0  # so far, including gaps
        self.gaps: list[Interval] = []  # so far
        self.not_numbers = 0  # samples that are NaN or infinite, so far; they become silence
        self._mixes_here = False  # FFmpeg cannot mix so many channels

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
                "Play it to check, or export it again, and submit it once more."
            )

    def _pieces(self) -> Iterator[np.ndarray]:
        resampler = self._resampler()
        lost_seconds, good_bytes, good_seconds = 0.0, 0, 0.0
        for packet in self._packets():
            try:
                frames = packet.decode()
            except av.error.FFmpegError as error:
                log.debug("cannot decode a packet at %.2f s: %s", self.decoded_seconds, error)
                lost_seconds += _lost_seconds(packet, good_seconds / good_bytes if good_bytes else 0.0)
                continue
            if not frames:
                continue
            if lost_seconds >= _SMALLEST_GAP_SECONDS:
                self.gaps.append(Interval(at_seconds=round(self.decoded_seconds, 3), seconds=round(lost_seconds, 3)))
                yield from self._silence(lost_seconds)
            lost_seconds = 0.0
            good_bytes += packet.size
            for frame in frames:
                seconds = frame.samples / frame.sample_rate if frame.sample_rate else 0.0
                try:
                    converted, resampler = self._converted(resampler, self._without_nan(frame))
                except _CONVERSION_ERRORS as error:  # channels or a rate that FFmpeg cannot convert
                    log.debug("cannot convert a frame at %.2f s: %s", self.decoded_seconds, error)
                    lost_seconds, resampler = lost_seconds + seconds, self._resampler()
                    continue
                good_seconds += seconds
                yield from self._sound(converted)
        if good_seconds:
            yield from self._sound(_rest(resampler))

    def _converted(
        self, resampler: "av.AudioResampler", frame: "av.AudioFrame"
    ) -> tuple[list["av.AudioFrame"], "av.AudioResampler"]:
        """Convert a frame; return its sound and the resampler for the next frame: rate and channels may change."""
        try:
            return resampler.resample(frame), resampler
        except _CONVERSION_ERRORS:
            rest, resampler = _rest(resampler), self._resampler()
        try:
            return [*rest, *resampler.resample(frame)], resampler
        except _CONVERSION_ERRORS:
            if self._channel is not None or self._mixes_here:
                raise
            self._mixes_here = True
            resampler = self._resampler()
            return [*rest, *resampler.resample(frame)], resampler

    def _without_nan(self, frame: "av.AudioFrame") -> "av.AudioFrame":
        """The frame, or a copy with 0 in place of NaN and infinite samples, which would silence a mix."""
        if frame.format.name not in _FLOATS or (frame.format.is_planar and frame.layout.nb_channels > _MAX_PLANES):
            return frame
        samples = frame.to_ndarray()
        are_numbers = np.isfinite(samples)
        if are_numbers.all():
            return frame
        self.not_numbers += int(samples.size - are_numbers.sum())
        samples = np.where(are_numbers, samples, samples.dtype.type(0))
        cleaned = av.AudioFrame.from_ndarray(samples, format=frame.format.name, layout=frame.layout)
        cleaned.sample_rate, cleaned.pts, cleaned.time_base = frame.sample_rate, frame.pts, frame.time_base
        return cleaned

    def _silence(self, seconds: float) -> Iterator[np.ndarray]:
        samples = round(min(seconds, _LONGEST_LOSS_SECONDS) * SAMPLE_RATE_HZ)
        for start in range(0, samples, _BLOCK_SAMPLES):
            yield self._count(np.zeros(min(_BLOCK_SAMPLES, samples - start), np.float32))

    def _packets(self) -> Iterator["av.Packet"]:
        """All packets of the track, also those after places that the demuxer cannot read."""
        for _ in range(_MAX_BAD_READS):
            try:
                yield from self._container.demux(self._stream)
                return
            except av.error.EOFError:
                return
            except av.error.InvalidDataError as error:
                log.debug("unreadable place at %.2f s: %s", self.decoded_seconds, error)

    def _sound(self, frames: list["av.AudioFrame"]) -> Iterator[np.ndarray]:
        for frame in frames:
            samples = frame.to_ndarray().reshape(-1, frame.layout.nb_channels)
            if self._channel is None:
                samples = samples.mean(axis=1, dtype=np.float32)
            else:
                samples = samples[:, min(self._channel, samples.shape[1]) - 1].astype(np.float32)
            yield self._count(samples / 32768)

    def _resampler(self) -> "av.AudioResampler":
        # Not planar (s16p): PyAV 18 crashes on frames of eight channels.
        is_mixed = self._channel is None and not self._mixes_here
        layout = "mono" if is_mixed else None  # None: the channels as they are
        return av.AudioResampler(format="s16", layout=layout, rate=SAMPLE_RATE_HZ)

    def _count(self, samples: np.ndarray) -> np.ndarray:
        self.decoded_seconds += len(samples) / SAMPLE_RATE_HZ
        return samples


def _rest(resampler: "av.AudioResampler") -> list["av.AudioFrame"]:
    """The sound left in the resampler; nothing if it has failed."""
    try:
        return resampler.resample(None)
    except _CONVERSION_ERRORS:
        return []


@contextmanager
def open_track(path: Path, track: int = 1, channel: int | None = None) -> Iterator[Track]:
    """A sound track, counted from 1, of a file in any container that FFmpeg reads; one of its channels, or all mixed.

    FFmpeg gets the open file and must not open another one: a submitted playlist cannot read files of this machine.

    Raises:
        BadInput: empty, neither sound nor video, no such sound track, or in an unsupported codec.
        OSError: the file cannot be read.
    """
    if not path.stat().st_size:
        raise BadInput("This file is empty (0 bytes). If its copy was interrupted, submit it again.")
    with path.open("rb") as file:
        try:
            container = av.open(file, metadata_errors="replace", options={"protocol_whitelist": "none"})
        except (av.error.FFmpegError, ValueError) as error:
            log.info("cannot open %s: %s", path, error)
            raise BadInput(
                "Cannot read this as a sound or video file: it is of another type, or cut off. "
                "Play it to check, and submit it again."
            ) from error
        with container:
            stream = _stream(container, track)
            if channel is not None and channel > (stream.codec_context.channels or 1):
                raise BadInput(
                    f"The sound track has {stream.codec_context.channels} channel(s), so there is no channel "
                    f"{channel}. Correct `channel`."
                )
            yield Track(container, stream, channel, duration.declared_seconds(container, stream, path))


@dataclass(frozen=True, kw_only=True)
class Part:
    """A part of a track, at most `PART_SECONDS` long."""

    at_seconds: float  # in the track
    samples: np.ndarray

    @property
    def seconds(self) -> float:
        return len(self.samples) / SAMPLE_RATE_HZ


def parts(blocks: Iterator[np.ndarray], clips: Sequence[tuple[float, float]] = ()) -> Iterator[Part]:
    """Join blocks to parts of at most `PART_SECONDS`, cut where it is quiet; only within `clips`, if there are any.

    `clips`: starts and ends in seconds, in order.
    """
    longest = round(PART_SECONDS * SAMPLE_RATE_HZ)
    held: list[np.ndarray] = []
    start, count = 0, 0  # of what is held, in samples
    for at, block in _within(blocks, clips):
        if held and at != start + count:  # another clip
            yield Part(at_seconds=start / SAMPLE_RATE_HZ, samples=np.concatenate(held))
            held, count = [], 0
        start = start if held else at
        held.append(block)
        count += len(block)
        while count > longest:
            sound = np.concatenate(held)
            cut = _quietest(sound[:longest])
            held, count = [sound[cut:].copy()], count - cut  # a copy: a view would keep all of it in memory
            yield Part(at_seconds=start / SAMPLE_RATE_HZ, samples=sound[:cut])
            start += cut
    if held:
        yield Part(at_seconds=start / SAMPLE_RATE_HZ, samples=np.concatenate(held))


def _within(blocks: Iterator[np.ndarray], clips: Sequence[tuple[float, float]]) -> Iterator[tuple[int, np.ndarray]]:
    """The sound within the clips, each block with the number of its first sample."""
    ranges = [(round(start * SAMPLE_RATE_HZ), end * SAMPLE_RATE_HZ) for start, end in clips] or [(0, float("inf"))]
    at = 0
    for block in blocks:
        for start, end in ranges:
            first, last = max(start, at), int(min(end, at + len(block)))
            if first < last:
                yield first, block[first - at : last - at]
        at += len(block)
        if at >= ranges[-1][1]:
            return


def levels(sound: np.ndarray, step_seconds: float = 0.1) -> np.ndarray:
    """The loudness of each step: float32, shape (ceil(n_samples / step),), RMS in dB of full scale, at least -120."""
    step = round(step_seconds * SAMPLE_RATE_HZ)
    whole = len(sound) // step * step
    steps, rest = sound[:whole].reshape(-1, step), sound[whole:]  # apart: avoids a second copy of ten minutes
    power = np.einsum("ij,ij->i", steps, steps) / step
    if len(rest):
        power = np.append(power, rest @ rest / step)
    return 10 * np.log10(np.maximum(power, 1e-12))


def _quietest(sound: np.ndarray) -> int:
    """The sample to cut at: the middle of the quietest place within the last `CUT_SECONDS`."""
    start = max(0, len(sound) - round(CUT_SECONDS * SAMPLE_RATE_HZ))
    place = int(np.argmin(levels(sound[start:], PROBE_SECONDS)))
    return min(len(sound), start + round((place + 0.5) * PROBE_SECONDS * SAMPLE_RATE_HZ))


def _lost_seconds(packet: "av.Packet", seconds_per_byte: float) -> float:
    """The duration of a bad packet's sound. A demuxer that lost synchronization returns many packets as one: then its
    size is a better estimate than its duration."""
    declared = float(packet.duration * packet.time_base) if packet.duration and packet.time_base else 0.0
    by_size = packet.size * seconds_per_byte
    return min(_LARGEST_GAP_SECONDS, by_size if by_size > 2 * declared else declared)


def _stream(container: "av.container.InputContainer", track: int) -> "av.AudioStream":
    streams = container.streams.audio
    if not streams:
        what = "This video has no sound track" if container.streams.video else "This file has no sound"
        raise BadInput(f"{what}, so there is nothing to transcribe.")
    if track > len(streams):
        raise BadInput(f"This file has no sound track {track}, only {len(streams)}: correct `track`.")
    stream = streams[track - 1]
    if stream.codec_context is None:
        raise BadInput("The codec of this sound is not supported. Convert it to FLAC or MP3 and submit it again.")
    if 0 < (rate_hz := stream.codec_context.sample_rate or 0) < LOWEST_RATE_HZ:
        raise BadInput(f"This sound has {rate_hz} samples per second, too few for speech. Export it again at 16 kHz.")
    return stream
