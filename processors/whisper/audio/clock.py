"""The position of decoded sound on the timeline of its file: late starts, gaps, and clocks that were reset. Pure.

A film's sound may start after its picture, and a recorder may have paused: subtitles must still fit.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import av

# Formats whose timestamps place the sound; in the others they only count samples.
_FROM_ZERO = {"matroska", "mov"}  # players show their timestamps unchanged
# players count from the earliest timestamp of such a file
_FROM_FIRST = {"mpegts", "mpeg", "flv", "asf", "ogg", "nut", "rm", "wtv"}
_LATEST_START_SECONDS = 600.0  # of a file: a later one is the clock of a live stream, and counts from there
_SMALLEST_START_SECONDS = 0.05  # encoders delay the sound by up to this
_JUMP_SECONDS = 0.05  # a longer time from a frame to the next one is a gap. Matroska rounds to milliseconds
_DRIFT_SECONDS = 0.5  # an inexact sample rate may fall behind by this before silence fills the difference
_RESET_SECONDS = 0.5  # after a larger step back, another recording follows in the same file
_LONGEST_GAP_SECONDS = {
    "mpegts": 3600.0,
    "mpeg": 3600.0,
    "flv": 3600.0,
}  # of a stream; after a larger jump, it was spliced
_LONGEST_GAP_OF_FILES = 86_400.0


class Clock:
    """The timestamps of one track."""

    def __init__(self, form: str, start_seconds: float):
        """form: FFmpeg's first name of the format. start_seconds: the earliest timestamp of all tracks."""
        self.is_reliable = form in _FROM_ZERO | _FROM_FIRST
        is_absolute = form in _FROM_ZERO and start_seconds < _LATEST_START_SECONDS
        self.origin = 0.0 if is_absolute else start_seconds  # timestamp of the file's time 0, in seconds
        self.resets: list[float] = []  # seconds of the file where the timestamps jump
        self._longest_gap = _LONGEST_GAP_SECONDS.get(form, _LONGEST_GAP_OF_FILES)
        self._next: float | None = None  # timestamp that the next frame should have, from `origin`
        self._shift = 0.0  # added to timestamps after a reset

    def gap(self, timestamp: float | None, duration: float, position: float) -> float:
        """Seconds without sound before a frame; all arguments in seconds.

        position: the end of the sound so far, in the file.
        """
        if not self.is_reliable or timestamp is None:
            self._next = None if self._next is None else self._next + duration
            return 0.0
        at, expected = timestamp - self.origin, self._next
        self._next = at + duration
        if expected is None:
            return at if _SMALLEST_START_SECONDS <= at <= self._longest_gap else 0.0
        jump, missing = at - expected, at + self._shift - position
        if jump < -_RESET_SECONDS or jump > self._longest_gap:
            self._shift = position - at
            self.resets.append(position)
            return 0.0
        is_gap = jump > _JUMP_SECONDS or missing > _DRIFT_SECONDS
        return missing if is_gap and missing > _JUMP_SECONDS else 0.0


def clock_of(container: "av.container.InputContainer") -> Clock:
    return Clock(container.format.name.split(",")[0], (container.start_time or 0) / 1_000_000)


def timestamp(frame: "av.AudioFrame") -> float | None:
    """Return the start of the track in seconds, as the file counts them."""
    return None if frame.pts is None or not frame.time_base else float(frame.pts * frame.time_base)
