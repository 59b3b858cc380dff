"""One job: its tracks or channels heard, its result files written."""

from collections.abc import Callable
from typing import Any

from processors.checkpoints import Parts
from processors.contract import Finished, Progress, Work
from processors.whisper.audio import reader, vad
from processors.whisper.options import TranscribeOptions
from processors.whisper.track import checkpoints, review, transcript
from processors.whisper.track.interleaving import Ask
from processors.whisper.track.transcriber import Engine, Hearing

_EXCERPT_CHARACTERS = 200


def transcribe(work: Work, engine: Engine, detector: vad.Detector, progress: Progress, ask: Ask) -> Finished:
    """Work on one job.

    Raises:
        BadInput: the file is the cause.
        OSError: the outputs cannot be written.
    """
    options: Any = work.options
    found = _hear(work, engine, detector, progress, checkpoints.keeping(_parts(work, engine), ask))
    return Finished(
        files=transcript.write(found, work.outputs, work.stem, options),
        excerpt=found.text[:_EXCERPT_CHARACTERS],
        review=review.reasons(found, options),
        media_seconds=found.seconds,
        details={
            "way": options.way,
            **found.facts(),
            "sound_tracks": found.tracks,
            "dropped_as_invented": [segment.text.strip() for segment in found.dropped],
        },
    )


def _parts(work: Work, engine: Engine) -> Parts:
    return Parts(work, {"kept": checkpoints.VERSION, **engine.made_by})


def _hear(work: Work, engine: Engine, detector: vad.Detector, progress: Progress, ask: Ask) -> transcript.Transcript:
    options: TranscribeOptions = work.options
    channels: list[int | None] = [None if options.channel == "mix" else options.channel]
    if options.channel == "each":
        with reader.open_track(work.source, options.track) as track:
            channels = list(range(1, track.channels + 1))
    found: list[transcript.Transcript] = []
    length: float | None = None
    for number, channel in enumerate(channels):
        with reader.open_track(work.source, options.track, channel) as track:
            tell = _teller(work, progress, length or track.declared_seconds, number, len(channels))
            found.append(Hearing(engine, detector, options, ask, tell).transcribe(track))
            length = track.decoded_seconds
    return found[0] if options.channel != "each" else transcript.merge(found)


def _teller(
    work: Work, progress: Progress, length: float | None, number: int, channels: int
) -> Callable[[float], None]:
    """Tells of the seconds done in one channel as a share of the whole work. `length`: of a channel, if it is known."""

    def tell(seconds: float) -> None:
        done = (seconds + number * (length or 0.0)) / channels
        progress.job(work, done=done, total=None if length is None else max(done, length), unit="seconds")

    return tell
