"""One job: transcribe its track, or each of its channels, and write the result files."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from processors.checkpoints import Checkpoints
from processors.contract import Finished, Progress, Work
from processors.whisper.audio import reader, tracks, vad
from processors.whisper.option_values import Format
from processors.whisper.options import TranscribeOptions
from processors.whisper.speakers.embeddings import VoiceEncoder
from processors.whisper.speakers.samples import VoiceSamples
from processors.whisper.track import checkpoints, hidden_speech, review, transcript
from processors.whisper.track.engine import Engine
from processors.whisper.track.interleaving import Task
from processors.whisper.track.transcriber import TrackTranscriber

_EXCERPT_CHARACTERS = 200
_TEXT: Format = "md"
_ENGLISH = "en"  # the language of Whisper's translations


@dataclass(frozen=True, kw_only=True)
class Models:
    """The parts that all jobs share."""

    engine: Engine
    detector: vad.Detector
    load_encoder: Callable[[], VoiceEncoder]  # of voices; may raise Unavailable
    voice_samples: VoiceSamples


def transcribe(work: Work[TranscribeOptions], models: Models, progress: Progress) -> Task[Finished]:
    """Work on one job, as a generator whose requests `engine.run` answers.

    Raises:
        BadInput: the file is the cause.
        OSError: the outputs cannot be written.
    """
    options = work.options
    saved = Checkpoints(work, {"checkpoints": checkpoints.VERSION, **models.engine.made_by})
    found, translation = yield from checkpoints.resume(saved, _transcripts(work, models, progress))
    if work.then and _TEXT not in options.formats:  # the text for the recipes in `then`, with times
        options = options.model_copy(update={"formats": (*options.formats, _TEXT)})
    files = transcript.write(found, work.outputs, work.stem, options)
    if translation is not None:
        files += transcript.write(translation, work.outputs, f"{work.stem}.{_ENGLISH}", _named(options))
    reasons = review.reasons(found, options)
    if translation is not None:
        reasons += review.reasons(translation, options.model_copy(update={"task": "translate"}))
    return Finished(
        files=files,
        excerpt=found.text[:_EXCERPT_CHARACTERS],
        review=tuple(dict.fromkeys(reasons)),
        media_seconds=found.seconds,
        details={
            "way": options.way,
            **found.facts(),
            "sound_tracks": found.tracks,
            "dropped_as_invented": [segment.text.strip() for segment in found.dropped],
        },
    )


def _named(options: TranscribeOptions) -> TranscribeOptions:
    """The options for a file whose name has its language already."""
    return options.model_copy(update={"language_in_name": False})


def _transcripts(
    work: Work[TranscribeOptions], models: Models, progress: Progress
) -> Task[tuple[transcript.Transcript, transcript.Transcript | None]]:
    """The transcript, and beside it the translation if there is one."""
    options = work.options
    if options.finds_speakers:  # languages may change from word to word
        options = options.model_copy(update={"word_timestamps": True})
    if options.task != "both":
        return (yield from _transcript(work, options, models, _Report(work, progress))), None
    first = options.model_copy(update={"task": "transcribe"})
    found = yield from _transcript(work, first, models, _Report(work, progress, passes=2))
    if found.language in (None, _ENGLISH) and not found.languages:
        return found, None
    second = options.model_copy(update={"task": "translate"} | _as_found(found, options))
    report = _Report(work, progress, done=1, passes=2)
    return found, replace((yield from _transcript(work, second, models, report)), language=_ENGLISH)


def _as_found(found: transcript.Transcript, options: TranscribeOptions) -> dict[str, object]:
    """Options of the same track and its language, if it has only one."""
    track = options.track if options.track == "all" else found.track
    return {"track": track} | ({} if found.languages else {"language": found.language, "languages": ()})


@dataclass(frozen=True, kw_only=True)
class _Source:
    """A source that is transcribed separately: a track, or one of its channels."""

    track: int | str
    channel: int | None = None  # None: all of them, mixed


def _transcript(
    work: Work, options: TranscribeOptions, models: Models, report: "_Report"
) -> Task[transcript.Transcript]:
    sources = _sources(work.source, options)
    encoder = models.load_encoder() if options.finds_speakers else None
    known = models.voice_samples.read(Path(options.voices), encoder) if options.voices and encoder else None
    found: list[transcript.Transcript] = []
    length: float | None = None
    for number, source in enumerate(sources):
        with reader.open_track(work.source, source.track, source.channel, options.only_language) as track:
            of_source = report.of(length or track.declared_seconds, number, len(sources))
            transcriber = TrackTranscriber(models.engine, models.detector, options, of_source, encoder, known)
            found.append((yield from transcriber.transcribe(track)))
            length = track.decoded_seconds
    if options.is_labeled and (len(found) > 1 or options.speaker_names):
        return transcript.merge(found, options.speaker_names)
    if options.channel == "mix" and (
        track.repair.has_different_channels or (track.channels > 1 and not found[0].has_words)
    ):
        return hidden_speech.noted(found[0], work.source, options, models.detector, of_source)
    return found[0]


def _sources(path: Path, options: TranscribeOptions) -> list[_Source]:
    if not options.is_labeled:
        return [_Source(track=options.track, channel=_channel(options))]
    track = tracks.DEFAULT if options.track == "all" else options.track
    with reader.open_track(path, track, language=options.only_language) as opened:
        if options.channel == "each":
            return [_Source(track=track, channel=channel) for channel in range(1, opened.channels + 1)]
        return [_Source(track=number, channel=_channel(options)) for number in range(1, opened.tracks + 1)]


def _channel(options: TranscribeOptions) -> int | None:
    """The channel that is transcribed, counted from 1; None: all of them, mixed or one by one."""
    return options.channel if isinstance(options.channel, int) else None


@dataclass(frozen=True)
class _Report:
    """Reports the seconds done as a share of the complete work: of every source, in every pass."""

    work: Work
    progress: Progress
    done: int = 0  # passes
    passes: int = 1

    def of(self, length: float | None, number: int, sources: int) -> Callable[[float], None]:
        """For one source. length: in seconds, if it is known. number: of the sources before it."""

        def report(seconds: float) -> None:
            finished = self.done * sources + number
            done = (seconds + finished * (length or 0.0)) / (sources * self.passes)
            total = None if length is None else max(done, length)
            self.progress.job(self.work, done=done, total=total, unit="seconds")

        return report
