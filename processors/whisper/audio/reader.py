"""Decode a file's sound track block by block with PyAV, each block at its time. Independent of speech.

"Sound" here is always float32, shape (n_samples,), mono, 16 kHz, in [-1, 1]: what Whisper was trained on, converted
like in openai-whisper's `load_audio` (through 16-bit integers, so that a stereo mix cannot overflow).
"""

import errno
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np

from processors.contract import BadInput
from processors.whisper.audio import container, duration, ending, tracks, wave_header
from processors.whisper.audio.clock import clock_of, timestamp
from processors.whisper.audio.frame_repair import FrameRepair
from processors.whisper.audio.low_frequency import LowFrequencyChannel
from processors.whisper.audio.parts import SAMPLE_RATE_HZ, Block, Sound

LOWEST_RATE_HZ = 1000  # a lower rate carries no speech (only up to 500 Hz); at 1 Hz, some kilobytes would be hours

_BLOCK_SAMPLES = 10 * SAMPLE_RATE_HZ
_SMALLEST_GAP_SECONDS = 0.02
_LARGEST_GAP_SECONDS = 600.0  # for one bad packet: its size is only an indication
_LONGEST_LOSS_SECONDS = 86_400.0  # without sound at one place
_LONGEST_SILENCE_SECONDS = 5.0  # silence that fills a gap; a longer gap separates parts, which Whisper gets one by one
_CONVERSION_ERRORS = (av.error.FFmpegError, ValueError)
_MAX_BAD_READS = 100  # unreadable places after which the rest of a file is skipped

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Interval:
    """A stretch of a track: undecodable sound, or speech without a transcript."""

    at_seconds: float
    seconds: float


class Track:
    """A sound track of an open file. Its attributes are complete once `blocks` has been read to its end."""

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
        self.number = container.streams.audio.index(stream) + 1  # of this one
        self.label, self.language = tracks.label(stream), tracks.language_of(stream)  # by the file's tags
        self.channels = stream.codec_context.channels or 1  # of this track
        self.rate_hz = stream.codec_context.sample_rate or 0  # 0: not known
        self.declared_seconds = declared_seconds  # where it ends; None: the file has no reliable duration
        self.form = container.format.name.split(",")[0]
        self.lacks_end = False  # the file ends within its data, or has no end mark although its format has one
        self.exceeds_header = False  # a WAV file with more sound than its header declares
        self.ends_unread = False  # FFmpeg cannot read the rest of the file
        self.decoded_seconds = 0.0  # so far, with gaps and a late start
        self.gaps: list[Interval] = []  # so far
        self.clock = clock_of(container)
        self.repair = FrameRepair(mixes=channel is None)
        self._low = LowFrequencyChannel()
        self._mixes_here = False  # FFmpeg cannot mix so many channels, or would omit one
        self._samples = 0  # position in the file

    @property
    def not_numbers(self) -> int:
        """The number of samples so far that were NaN or infinite, and were interpolated."""
        return self.repair.not_numbers

    @property
    def opposite_seconds(self) -> float:
        """See `FrameRepair`."""
        return self.repair.opposite_seconds

    def blocks(self) -> Iterator[Block]:
        """The sound, in blocks of about ten seconds.

        Raises:
            BadInput: nothing of it can be decoded.
        """
        waiting: list[Block] = []
        has_sound = False
        for piece in self._pieces():
            has_sound = True
            is_next = not waiting or piece.at == waiting[-1].at + len(waiting[-1])
            if waiting and (not is_next or sum(map(len, waiting)) >= _BLOCK_SAMPLES):
                yield _joined(waiting)
                waiting = []
            waiting.append(piece)
        if waiting:
            yield _joined(waiting)
        if not has_sound:
            raise BadInput(
                "No sound could be decoded from this file: it is empty after its header, or damaged. "
                "Play it to check, or export it again, and submit it once more."
            )

    def _pieces(self) -> Iterator[Block]:
        resampler = self._resampler()
        lost_seconds, good_bytes, good_seconds = 0.0, 0, 0.0
        for packet in self._packets():
            try:
                frames = packet.decode()
            except av.error.FFmpegError as error:
                log.debug("cannot decode a packet at %.2f s: %s", self.decoded_seconds, error)
                lost_seconds += _lost_seconds(packet, good_seconds / good_bytes if good_bytes else 0.0)
                continue
            good_bytes += packet.size
            for frame in frames:
                seconds = frame.samples / frame.sample_rate if frame.sample_rate else 0.0
                missing = self.clock.gap(timestamp(frame), seconds, self.decoded_seconds)
                if lost_seconds >= _SMALLEST_GAP_SECONDS:
                    missing = self._note_loss(missing if self.clock.is_reliable else lost_seconds, lost_seconds)
                lost_seconds = 0.0
                if missing > 0:
                    before = self.decoded_seconds
                    yield from self._sound(resampler.rest())
                    resampler = self._resampler()
                    yield from self._gap(max(0.0, missing - (self.decoded_seconds - before)))
                if self._channel is None and not self._mixes_here and self._low.is_microphone(frame):
                    yield from self._sound(resampler.rest())
                    self._mixes_here, resampler = True, _Resampler(is_mixed=False)
                try:
                    converted, resampler = self._converted(resampler, self.repair.repaired(frame))
                except _CONVERSION_ERRORS as error:  # channels or a rate that FFmpeg cannot convert
                    log.debug("cannot convert a frame at %.2f s: %s", self.decoded_seconds, error)
                    lost_seconds, resampler = lost_seconds + seconds, self._resampler()
                    continue
                good_seconds += seconds
                yield from self._sound(converted)
        if good_seconds:
            yield from self._sound(resampler.rest())

    def _note_loss(self, missing: float, lost: float) -> float:
        """Note that a place could not be decoded; return the seconds to leave out."""
        self.gaps.append(Interval(at_seconds=round(self.decoded_seconds, 3), seconds=round(missing or lost, 3)))
        return missing

    def _gap(self, seconds: float) -> Iterator[Block]:
        """Silence for a short gap. A long gap, or one at the start, only shifts the sound after it."""
        samples = round(min(seconds, _LONGEST_LOSS_SECONDS) * SAMPLE_RATE_HZ)
        if self._samples and samples < _LONGEST_SILENCE_SECONDS * SAMPLE_RATE_HZ:
            yield self._placed(np.zeros(samples, np.float32))
        else:
            self._advance(samples)

    def _converted(self, resampler: "_Resampler", frame: "av.AudioFrame") -> tuple[list["av.AudioFrame"], "_Resampler"]:
        """Convert a frame; return its sound and the resampler for the next frame: rate and channels may change."""
        try:
            return resampler.convert(frame), resampler
        except _CONVERSION_ERRORS:
            rest, resampler = resampler.rest(), self._resampler()
        try:
            return [*rest, *resampler.convert(frame)], resampler
        except _CONVERSION_ERRORS:
            if self._channel is not None or self._mixes_here:
                raise
            self._mixes_here = True
            resampler = self._resampler()
            return [*rest, *resampler.convert(frame)], resampler

    def _packets(self) -> Iterator["av.Packet[av.AudioStream]"]:
        """All packets of the track, including those after places that the demuxer cannot read."""
        for _ in range(_MAX_BAD_READS):
            try:
                yield from self._container.demux(self._stream)
                return
            except av.error.EOFError:
                return
            except av.error.InvalidDataError as error:
                log.debug("unreadable place at %.2f s: %s", self.decoded_seconds, error)
            except av.error.FFmpegError as error:
                if isinstance(error, OSError):
                    raise
                log.info("cannot read on at %.2f s: %s", self.decoded_seconds, error)
                self.ends_unread = True
                return

    def _sound(self, frames: list["av.AudioFrame"]) -> Iterator[Block]:
        for frame in frames:
            samples = frame.to_ndarray().reshape(-1, frame.layout.nb_channels)
            sound: Sound
            if self._channel is None:
                sound = samples.mean(axis=1, dtype=np.float32)
            else:
                sound = samples[:, min(self._channel, samples.shape[1]) - 1].astype(np.float32)
            yield self._placed(sound / np.float32(32768))

    def _resampler(self) -> "_Resampler":
        return _Resampler(is_mixed=self._channel is None and not self._mixes_here)

    def _placed(self, samples: Sound) -> Block:
        block = Block(self._samples, samples)
        self._advance(len(samples))
        return block

    def _advance(self, samples: int) -> None:
        self._samples += samples
        self.decoded_seconds = self._samples / SAMPLE_RATE_HZ


def _joined(blocks: list[Block]) -> Block:
    return Block(blocks[0].at, np.concatenate([block.samples for block in blocks]))


class _Resampler:
    """Converts frames to 16 bits and 16 kHz; is_mixed: to one channel; otherwise, the channels remain separate."""

    def __init__(self, *, is_mixed: bool):
        # Not planar (s16p): PyAV 18 crashes on frames of eight channels.
        self._resampler = av.AudioResampler(format="s16", layout="mono" if is_mixed else None, rate=SAMPLE_RATE_HZ)
        self._has_converted = False

    def convert(self, frame: "av.AudioFrame") -> list["av.AudioFrame"]:
        converted = self._resampler.resample(frame)
        self._has_converted = True
        return converted

    def rest(self) -> list["av.AudioFrame"]:
        """The sound that remains in the resampler; none if it has failed. PyAV 18 may crash if there was no frame
        before."""
        if not self._has_converted:
            return []
        try:
            return self._resampler.resample(None)
        except _CONVERSION_ERRORS:
            return []


@contextmanager
def open_track(
    path: Path, track: int | str = tracks.DEFAULT, channel: int | None = None, language: str | None = None
) -> Iterator[Track]:
    """A sound track of a file in any container that FFmpeg reads; one of its channels, or all mixed.

    track: its number, counted from 1, its language, or `tracks.DEFAULT`. language: preferred by the latter.

    Raises:
        BadInput: empty, neither sound nor video, no such sound track, or in an unsupported codec.
        OSError
    """
    if not path.stat().st_size:
        raise BadInput("This file is empty (0 bytes). If its copy was interrupted, submit it again.")
    chunk = wave_header.data_chunk(path)
    with path.open("rb") as file:
        try:
            opened = container.open_container(file, chunk)
        except (av.error.FFmpegError, ValueError, OSError) as error:
            if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL):  # EINVAL: seeks before its start
                raise
            log.info("cannot open %s: %s", path, error)
            raise BadInput(
                "Cannot read this as a sound or video file: it is of another type, or cut off. "
                "Play it to check, and submit it again."
            ) from error
        with opened:
            stream = _stream(opened, track, language)
            if channel is not None and channel > (stream.codec_context.channels or 1):
                raise BadInput(
                    f"The sound track has {stream.codec_context.channels} channel(s), so there is no channel "
                    f"{channel}. Correct `channel`."
                )
            found = Track(opened, stream, channel, duration.declared_seconds(opened, stream, path))
            found.exceeds_header = chunk is not None and chunk.goes_on
            found.lacks_end = ending.lacks_end(found.form, path)
            found.ends_unread = ending.is_followed_by_another(found.form, path)
            yield found


def _lost_seconds(packet: "av.Packet[av.AudioStream]", seconds_per_byte: float) -> float:
    """The duration of a bad packet's sound. A demuxer that lost synchronization returns many packets as one: then its
    size is a better estimate than its duration."""
    declared = float(packet.duration * packet.time_base) if packet.duration and packet.time_base else 0.0
    by_size = packet.size * seconds_per_byte
    return min(_LARGEST_GAP_SECONDS, by_size if by_size > 2 * declared else declared)


def _stream(container: "av.container.InputContainer", track: int | str, language: str | None) -> "av.AudioStream":
    streams = container.streams.audio
    if not streams:
        what = "This video has no sound track" if container.streams.video else "This file has no sound"
        raise BadInput(f"{what}, so there is nothing to transcribe.")
    stream = streams[tracks.choose(list(streams), track, language) - 1]
    if stream.codec_context is None:
        raise BadInput("The codec of this sound is not supported. Convert it to FLAC or MP3 and submit it again.")
    if 0 < (rate_hz := stream.codec_context.sample_rate or 0) < LOWEST_RATE_HZ:
        raise BadInput(f"This sound has {rate_hz} samples per second, too few for speech. Export it again at 16 kHz.")
    return stream
