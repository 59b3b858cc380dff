"""One job: transcribe its track, or each of its channels, and write the result files."""

from collections.abc import Callable

from processors.checkpoints import Checkpoints
from processors.contract import Finished, Progress, Work
from processors.whisper.audio import reader, vad
from processors.whisper.options import TranscribeOptions
from processors.whisper.track import checkpoints, review, transcript
from processors.whisper.track.engine import Engine
from processors.whisper.track.interleaving import Task
from processors.whisper.track.transcriber import TrackTranscriber

_EXCERPT_CHARACTERS = 200


def transcribe(work: Work, engine: Engine, detector: vad.Detector, progress: Progress) -> Task[Finished]:
    """Work on one job, as a generator whose requests `engine.run` answers.

    Raises:
        BadInput: the file is the cause.
        OSError: the outputs cannot be written.
    """
    options: TranscribeOptions = work.options
    saved = Checkpoints(work, {"checkpoints": checkpoints.VERSION, **engine.made_by})
    found = yield from checkpoints.resume(saved, _transcript(work, engine, detector, progress))
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


def _transcript(work: Work, engine: Engine, detector: vad.Detector, progress: Progress) -> Task[transcript.Transcript]:
    options: TranscribeOptions = work.options
    channels: list[int | None] = [None if options.channel == "mix" else options.channel]
    if options.channel == "each":
        with reader.open_track(work.source, options.track) as track:
            channels = list(range(1, track.channels + 1))
    found: list[transcript.Transcript] = []
    length: float | None = None
    for number, channel in enumerate(channels):
        with reader.open_track(work.source, options.track, channel) as track:
            report = _reporter(work, progress, length or track.declared_seconds, number, len(channels))
            found.append((yield from TrackTranscriber(engine, detector, options, report).transcribe(track)))
            length = track.decoded_seconds
    return found[0] if options.channel != "each" else transcript.merge(found)


def _reporter(
    work: Work, progress: Progress, length: float | None, number: int, channels: int
) -> Callable[[float], None]:
    """Reports the seconds done in one channel as a share of the complete work. length: of a channel, in seconds, if it
    is known."""

    def report(seconds: float) -> None:
        done = (seconds + number * (length or 0.0)) / channels
        progress.job(work, done=done, total=None if length is None else max(done, length), unit="seconds")

    return report
