"""Speech to text by a server with OpenAI's `POST /v1/audio/transcriptions`: Speaches, vLLM, LocalAI and others.

Sends parts of the sound as 16-bit WAV of 16 kHz, only those with speech.
"""

import io
import math
import wave
from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Any

import httpx2
from whisper.utils import compression_ratio

from processors import wellformed
from processors.contract import JobError
from processors.remote.client import NOT_UNDERSTOOD, Server, error_text
from processors.whisper.audio.parts import SAMPLE_RATE_HZ, Sound
from processors.whisper.engines.whole_parts import WholePartEngine
from processors.whisper.options import WhisperOptions
from processors.whisper.track.engine import PartRequest, PartResult
from processors.whisper.track.segment import Segment, Word
from processors.whisper.weights import catalog

_NUMBERS = (
    "temperature",
    "avg_logprob",
    "compression_ratio",
    "no_speech_prob",
)  # NaN among them is reported by `review`
_OWN_NAMES = {each.name for each in fields(Segment)}


class ServerEngine(WholePartEngine):
    """The servers of one model. See `track.engine.Engine`."""

    name = "openai"
    is_elsewhere = True
    knows_english_only = False

    def __init__(self, server: Server, model: str):
        self.device_name = server.name
        self.made_by = {"engine": self.name, "model": model, "server": self.device_name}
        self._server, self._model = server, model

    @classmethod
    def load(cls, options: WhisperOptions) -> "ServerEngine":
        """The server of `options`, which must respond.

        Raises:
            Unavailable: it does not, or there is no API key.
        """
        server = Server(options, "speech server", "processors.whisper")
        server.models()
        return cls(server, options.model)

    def detect_language(self, samples: Sound, among: Sequence[str] = ()) -> tuple[None, None]:
        return None, None

    def transcribe_part(self, request: PartRequest) -> PartResult:
        """
        Raises:
            Unavailable: the server is unavailable or overloaded, rejects the API key, or lacks the model.
            JobError: it rejects this sound.
        """
        path = f"audio/{'translations' if request.options.task == 'translate' else 'transcriptions'}"
        fields: dict[str, object] = {"model": self._model, "temperature": str(request.options.temperatures[0])}
        if request.language and request.options.task != "translate":
            fields["language"] = request.language
        if request.prompt:
            fields["prompt"] = request.prompt
        timed: dict[str, object] = {"response_format": "verbose_json"}
        if request.options.word_timestamps:
            timed["timestamp_granularities[]"] = ["segment", "word"]
        file = _as_wav(request.samples)
        response = self._post(path, fields | timed, file, request)
        if response.status_code in NOT_UNDERSTOOD:
            response = self._post(path, fields | {"response_format": "json"}, file, request)
        if response.status_code != 200:
            raise self._rejection(response)
        try:
            return _read(_parsed(response), request)
        except _NoTranscriptionError as error:
            raise JobError(
                f"The response of the speech server {self.device_name} is not a transcription: {error}. Check its log, "
                "or set another `model` in [processors.whisper]."
            ) from error

    def _post(self, path: str, fields: dict[str, object], file: bytes, request: PartRequest) -> httpx2.Response:
        """The server's final response.

        Raises:
            Unavailable: it is unavailable or overloaded, or hangs.
        """
        files = {"file": ("sound.wav", file, "audio/wav")}
        return self._server.ask(
            lambda client: client.post(path, data=fields, files=files),
            is_transient=lambda response: False,
            alive=lambda: request.report(0.0),  # no progress, but restarts the timeout
        )

    def _rejection(self, response: httpx2.Response) -> JobError:
        """The error for a rejection of this sound, or of all requests."""
        match response.status_code:
            case 401 | 403:
                return self._server.unauthorized(response)
            case 404:
                return self._server.model_not_found(
                    response, f"{self._model}, or does not transcribe ({error_text(response)})"
                )
        return JobError(
            f"The speech server {self.device_name} rejected the sound: {response.status_code} {error_text(response)}"
        )


class _NoTranscriptionError(Exception):
    """The response of a server is not a transcription; the message gives the reason."""


def _as_wav(samples: Sound) -> bytes:
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE_HZ)
        file.writeframes((samples * 32767).astype("<i2").tobytes())
    return buffer.getvalue()


def _parsed(response: httpx2.Response) -> object:
    """
    Raises:
        _NoTranscriptionError: it is not JSON.
    """
    try:
        return wellformed.texts(response.json())
    except (ValueError, RecursionError) as error:
        raise _NoTranscriptionError("it is not JSON") from error


def _read(response: object, request: PartRequest) -> PartResult:
    """Parse a server's response. Missing or null text means no speech; missing segment values count as good.

    Raises:
        _NoTranscriptionError: it is not a transcription.
    """
    if not isinstance(response, dict) or not response.keys() & {"text", "segments"}:
        raise _NoTranscriptionError("it has no text")
    seconds = len(request.samples) / SAMPLE_RATE_HZ
    spoken = request.spoken or ()
    whole = {"start": spoken[0].start if spoken else 0.0, "end": spoken[-1].end if spoken else seconds}
    given = _segments_with_text(response)
    if not given and (text := _text_of(response)):
        given = [{"text": text, **whole}]
    segments = [_segment(each, number) for number, each in enumerate(given)]
    if request.options.word_timestamps:
        words = _usable(response.get("words"))
        segments = [
            _with_words(segment, _usable(each.get("words")) or _words_within(words, segment))
            for segment, each in zip(segments, given, strict=True)
        ]
    language = response.get("language")
    code = catalog.language_code(language.lower()) if isinstance(language, str) else None
    return PartResult(segments=segments, language=code)


def _segment(each: dict[str, Any], number: int) -> Segment:
    """
    Raises:
        _NoTranscriptionError: it has no times.
    """
    text, start = " " + _text_of(each), _time(each.get("start"))
    segment = Segment(
        id=number,
        seek=0,
        start=start,
        end=max(start, _time(each.get("end"))),
        text=text,
        compression_ratio=compression_ratio(text),
        extra={name: value for name, value in each.items() if name not in _OWN_NAMES and value is not None},
    )
    given: dict[str, Any] = {name: each[name] for name in _NUMBERS if isinstance(each.get(name), int | float)}
    if isinstance(each.get("tokens"), list):
        given["tokens"] = tuple(each["tokens"])
    if isinstance(each.get("language"), str):
        given["language"] = each["language"]
    return replace(segment, **given)


def _with_words(segment: Segment, words: Sequence[Word]) -> Segment:
    """Set the words of a segment. Without any, its text becomes one word, as subtitles consist of words."""
    whole = Word(word=segment.text, start=segment.start, end=segment.end, probability=1.0)
    return replace(segment, words=_spaced(words, segment.text) or (whole,))


def _segments_with_text(response: dict[str, object]) -> list[dict[str, Any]]:
    """
    Raises:
        _NoTranscriptionError: they are not segments.
    """
    segments = response.get("segments") or []
    if not isinstance(segments, list):
        raise _NoTranscriptionError("its segments are not a list")
    return [segment for segment in segments if _text_of(segment)]


def _text_of(value: object) -> str:
    """
    Raises:
        _NoTranscriptionError: the value or its text has the wrong type.
    """
    text = (value.get("text") or "") if isinstance(value, dict) else None
    if not isinstance(text, str):
        raise _NoTranscriptionError("a text or a segment has the wrong type")
    return text.strip()


def _time(value: Any) -> float:
    """
    Raises:
        _NoTranscriptionError: it is not a time.
    """
    try:
        seconds = float(value)
    except (ValueError, TypeError, OverflowError):
        seconds = math.nan
    if not math.isfinite(seconds):
        raise _NoTranscriptionError("a segment or a word has no times")
    return max(0.0, seconds)


def _usable(words: Any) -> list[Word]:
    """A server's words; none if a word lacks its times, because that word would be missing in the subtitles."""
    try:
        return [
            Word.from_json(
                {"probability": 1.0, **word, "word": str(word["word"])}
                | {"start": _time(word["start"]), "end": _time(word["end"])}
            )
            for word in words or ()
        ]
    except (LookupError, TypeError, _NoTranscriptionError):
        return []


def _words_within(words: Sequence[Word], segment: Segment) -> list[Word]:
    """The words whose temporal middle is in the segment."""
    return [word for word in words if segment.start <= (word.start + word.end) / 2 < segment.end]


def _spaced(words: Sequence[Word], text: str) -> tuple[Word, ...]:
    """The words, each with the space before it in the text, because some servers omit the spaces."""
    spaced, at = [], 0
    for word in words:
        bare = word.word.strip()
        found = text.find(bare, at)
        is_apart = found < 0 or text[found - 1 : found].isspace()
        spaced.append(replace(word, word=" " * is_apart + bare))
        at = at if found < 0 else found + len(bare)
    return tuple(spaced)
