"""Speech to text by a server that speaks OpenAI's `POST /v1/audio/transcriptions`: Speaches, vLLM, LocalAI and others.

Goes to `base_url` and nowhere else: no proxy of the environment is used, no redirection followed. The sound is sent in
parts, as 16-bit WAV of 16 kHz, and only where somebody speaks in it. The API key is kept out of logs and results.
"""

import io
import logging
import time
import wave
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import httpx2
import numpy as np
from whisper.utils import compression_ratio

from processors.base import JobError, Unavailable
from processors.servers import BUSY, asked_pause, read_key, said
from processors.whisper import catalogue, sound
from processors.whisper.hearing import Answer, Question
from processors.whisper.options import WhisperOptions

_TRIES = 4  # of a request that the server may well answer a moment later
_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 0.5, 30.0
_CONNECT_SECONDS = 10.0
_NOT_UNDERSTOOD = {400, 415, 422, 501}  # what servers say to a parameter that they do not know
_CODES = {name: code for code, name in catalogue.LANGUAGES.items()}

log = logging.getLogger(__name__)


class RemoteEngine:
    """One server and model. See `hearing.Engine`."""

    name = "openai"

    def __init__(self, options: WhisperOptions, key: str | None):
        self.device_name = options.base_url or ""
        self.made_by = {"engine": self.name, "model": options.model, "server": self.device_name}
        self._model = options.model
        logging.getLogger("httpx2").setLevel(logging.WARNING)  # else a line for each request
        self._client = httpx2.Client(
            base_url=self.device_name,
            headers={"Authorization": f"Bearer {key}"} if key else {},
            timeout=httpx2.Timeout(options.request_timeout, connect=_CONNECT_SECONDS),
            trust_env=False,
            follow_redirects=False,
        )

    @classmethod
    def load(cls, options: WhisperOptions) -> "RemoteEngine":
        """The server of `options`, which must answer.

        Raises:
            Unavailable: it does not, or there is no key.
        """
        engine = cls(options, read_key(options.api_key_env, options.api_key_file))
        try:
            response = engine._client.get("models", timeout=_CONNECT_SECONDS)
        except httpx2.TransportError as error:
            raise Unavailable(engine._away(error)) from error
        if response.status_code in (401, 403):
            raise engine._refused(response)
        if response.status_code in BUSY:
            raise Unavailable(engine._away(f"{response.status_code} {said(response)}"))
        return engine

    def run(self, jobs: Sequence[Callable[[Any], Any]]) -> Iterator[tuple[int, Any | Exception]]:
        """One job behind the other."""
        for number, job in enumerate(jobs):
            try:
                outcome = job(None)
            except Exception as error:
                outcome = error
            yield number, outcome

    def detect(self, samples: np.ndarray) -> tuple[None, None]:
        return None, None

    def hear(self, question: Question) -> Answer:
        """
        Raises:
            Unavailable: the server is away, overloaded, refuses the key or does not know the model.
            JobError: it refuses this sound.
        """
        question.tell(0.0)
        path = f"audio/{'translations' if question.options.task == 'translate' else 'transcriptions'}"
        fields: dict[str, Any] = {"model": self._model, "temperature": str(question.options.temperatures[0])}
        if question.language and question.options.task != "translate":
            fields["language"] = question.language
        if question.prompt:
            fields["prompt"] = question.prompt
        timed = {"response_format": "verbose_json"}
        if question.options.word_timestamps:
            timed["timestamp_granularities[]"] = ["segment", "word"]
        file = _as_wav(question.samples)
        response = self._post(path, fields | timed, file)
        if response.status_code in _NOT_UNDERSTOOD:
            response = self._post(path, fields | {"response_format": "json"}, file)
        if response.status_code != 200:
            raise self._refused(response)
        try:
            return _read(response.json(), question)
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            raise JobError(f"The answer of {self.device_name} is no transcription ({error!r}).") from error

    def _post(self, path: str, fields: dict[str, Any], file: bytes) -> httpx2.Response:
        """The server's last word.

        Raises:
            Unavailable: it is away or overloaded.
        """
        pause, why = _FIRST_PAUSE_SECONDS, object()
        for left in reversed(range(_TRIES)):
            try:
                response = self._client.post(path, data=fields, files={"file": ("sound.wav", file, "audio/wav")})
            except httpx2.TransportError as error:
                why = error
            else:
                if response.status_code not in BUSY:
                    return response
                why = f"{response.status_code} {said(response)}"
                pause = asked_pause(response) or pause
            if left:
                time.sleep(min(pause, _LONGEST_PAUSE_SECONDS))
                pause *= 2
        raise Unavailable(self._away(why))

    def _refused(self, response: httpx2.Response) -> JobError:
        """What a final refusal means: for this sound, or for all."""
        match response.status_code:
            case 401 | 403:
                return Unavailable(
                    f"The speech server {self.device_name} refuses the API key ({said(response)}). Correct "
                    "`api_key_env` or `api_key_file` in [processors.whisper], or what they name."
                )
            case 404:
                return Unavailable(
                    f"The speech server {self.device_name} does not know {self._model}, or transcribes nothing "
                    f"({said(response)}). Correct `model` or `base_url` in [processors.whisper]."
                )
        return JobError(f"The speech server {self.device_name} says: {response.status_code} {said(response)}")

    def _away(self, why: object) -> str:
        return (
            f"The speech server {self.device_name} does not answer ({why}). Start it, or correct `base_url` in "
            "[processors.whisper]; the jobs wait."
        )


def _as_wav(samples: np.ndarray) -> bytes:
    held = io.BytesIO()
    with wave.open(held, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(sound.SAMPLE_RATE_HZ)
        file.writeframes((samples * 32767).astype("<i2").tobytes())
    return held.getvalue()


def _read(told: dict[str, Any], question: Question) -> Answer:
    """A server's answer; what it does not tell of a segment is taken to be good."""
    seconds = len(question.samples) / sound.SAMPLE_RATE_HZ
    spoken = question.spoken or ()
    whole = {"start": spoken[0].start if spoken else 0.0, "end": spoken[-1].end if spoken else seconds}
    given = told.get("segments") or ([{"text": told["text"], **whole}] if told["text"].strip() else [])
    words = told.get("words") or []
    segments = []
    for number, each in enumerate(given):
        text = " " + each["text"].strip()
        segment = {"id": number, "seek": 0, "tokens": [], "temperature": 0.0, "avg_logprob": 0.0, "no_speech_prob": 0.0}
        segment |= {"compression_ratio": compression_ratio(text)} | {k: v for k, v in each.items() if v is not None}
        segment |= {"start": float(each["start"]), "end": float(each["end"]), "text": text, "seek": 0}
        if question.options.word_timestamps:
            segment["words"] = each.get("words") or _words_within(words, segment)
        segments.append(segment)
    language = (told.get("language") or "").lower()
    return Answer(segments=segments, language=language if language in catalogue.LANGUAGES else _CODES.get(language))


def _words_within(words: list[dict[str, Any]], segment: dict[str, Any]) -> list[dict[str, Any]]:
    """The words of the answer whose middle lies in the segment."""
    found = []
    for word in words:
        if segment["start"] <= (word["start"] + word["end"]) / 2 < segment["end"]:
            found.append({"probability": 1.0, **word, "word": " " + word["word"].strip()})
    return found
