"""faster-whisper for the parts of sound tracks: CTranslate2's own arithmetic, int8 on a CPU. An optional extra."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from processors.contract import Unavailable
from processors.whisper.audio import vad
from processors.whisper.audio.parts import SAMPLE_RATE_HZ, Sound
from processors.whisper.engines.whole_parts import WholePartEngine
from processors.whisper.options import WhisperOptions
from processors.whisper.track.engine import PartRequest, PartResult
from processors.whisper.track.segment import Segment, Word

try:
    import faster_whisper
except ImportError as error:
    raise Unavailable('faster-whisper is not installed: run "pip install inboxd[faster-whisper]".') from error

_WINDOWS_AT_ONCE = 8
_MIN_REST_SECONDS = 1.0  # of speech without text that is transcribed again


class FasterWhisperEngine(WholePartEngine):
    """One loaded model. See `track.engine.Engine`."""

    name = "faster-whisper"

    def __init__(self, model: "faster_whisper.WhisperModel", options: WhisperOptions):
        self._model = model
        self._batched = faster_whisper.BatchedInferencePipeline(model)
        self.is_elsewhere = model.model.device != "cpu"
        self.device_name = f"{model.model.device} ({model.model.compute_type})"
        version = faster_whisper.__version__
        self.made_by = {"engine": self.name, "version": version, "model": options.model, "device": self.device_name}

    @classmethod
    def load(cls, options: WhisperOptions, models: Path) -> "FasterWhisperEngine":
        """The model of `options`: the path of a folder, or a name; that is in models/faster, or downloaded.

        Raises:
            Unavailable: there is no such device; or the weights are missing and cannot be downloaded, or are damaged.
        """
        stored = models / "faster" / options.model
        path = str(stored if stored.is_dir() else Path(options.model).expanduser())
        device, _, index = options.device.partition(":")
        kind = options.compute_type
        if kind == "auto":
            kind = "float16" if device == "cuda" else "default" if device == "auto" else "int8"
        try:
            model = faster_whisper.WhisperModel(
                path,
                device=device,
                device_index=int(index or 0),
                compute_type=kind,
                cpu_threads=options.threads or 0,
                download_root=str(models / "faster"),
            )
        except Exception as error:  # the library, its hub and CTranslate2 raise many types of exceptions
            raise Unavailable(
                f"faster-whisper cannot load {options.model}: {error} Set `model` to a folder with its weights, or "
                f"copy them to {stored}; see also `device` and `compute_type` in [processors.whisper]."
            ) from error
        return cls(model, options)

    @property
    def knows_english_only(self) -> bool:
        return not self._model.model.is_multilingual

    def detect_language(self, samples: Sound, among: Sequence[str] = ()) -> tuple[str, float | None]:
        if self.knows_english_only:
            return "en", None
        language, probability, all_of_them = self._model.detect_language(samples)
        if among:
            language, probability = max((each for each in all_of_them if each[0] in among), key=lambda each: each[1])
        return language, round(probability, 4)

    def transcribe_part(self, request: PartRequest) -> PartResult:
        options, spoken = request.options, request.spoken or ()
        if options.way == "fast":
            segments = self._by_clips(request, vad.windows(spoken))
        else:
            found, _ = self._model.transcribe(
                request.samples,
                condition_on_previous_text=options.condition_on_previous_text,
                hallucination_silence_threshold=options.hallucination_silence_threshold,
                **_arguments(request),
            )
            segments = self._collected(request, found)
        left = vad.outside(spoken, [(segment.start, segment.end) for segment in segments])
        left = [span for span in left if span.end - span.start >= _MIN_REST_SECONDS]
        if left:  # the library skips speech after a window's last timestamp
            segments = sorted([*segments, *self._by_clips(request, left)], key=lambda segment: segment.start)
        return PartResult(segments=segments)

    def _by_clips(self, request: PartRequest, clips: Sequence[vad.Span]) -> list[Segment]:
        """Transcribe clips of at most half a minute each, in one batch."""
        found, _ = self._batched.transcribe(
            request.samples,
            clip_timestamps=[{"start": clip.start, "end": clip.end} for clip in clips],
            batch_size=_WINDOWS_AT_ONCE,
            without_timestamps=False,
            **_arguments(request),
        )
        return self._collected(request, found)

    def _collected(self, request: PartRequest, found: Iterable["faster_whisper.transcribe.Segment"]) -> list[Segment]:
        """The library's segments; reports progress at each."""
        segments = []
        for segment in found:
            request.report(min(segment.end, len(request.samples) / SAMPLE_RATE_HZ))
            segments.append(_segment(segment))
        return segments


def _segment(found: "faster_whisper.transcribe.Segment") -> Segment:
    """Convert a segment; some of its numbers are numpy's."""
    words = found.words and tuple(
        Word(word=word.word, start=float(word.start), end=float(word.end), probability=float(word.probability))
        for word in found.words
    )
    return Segment(
        id=found.id,
        seek=found.seek,
        text=found.text,
        tokens=tuple(found.tokens),
        temperature=float(found.temperature or 0.0),
        words=None if words is None else tuple(words),
        start=float(found.start),
        end=float(found.end),
        avg_logprob=float(found.avg_logprob),
        compression_ratio=float(found.compression_ratio),
        no_speech_prob=float(found.no_speech_prob),
    )


def _arguments(request: PartRequest) -> dict[str, object]:
    options = request.options
    return {
        "language": request.language,
        "task": options.task,
        "beam_size": options.beam_size or 1,
        "best_of": options.best_of or 1,
        "patience": options.patience or 1,
        "length_penalty": 1 if options.length_penalty is None else options.length_penalty,
        "temperature": list(options.temperatures),
        "compression_ratio_threshold": options.compression_ratio_threshold,
        "log_prob_threshold": options.logprob_threshold,
        "no_speech_threshold": options.no_speech_threshold,
        "initial_prompt": options.initial_prompt if options.vocabulary else request.prompt,
        "hotwords": ", ".join(options.vocabulary) or None,
        "suppress_tokens": [int(token) for token in (options.suppress_tokens or "").split(",") if token],
        "word_timestamps": options.word_timestamps,
        "vad_filter": False,  # `transcriber` has its own
    }
