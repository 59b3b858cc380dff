"""Segments of a transcript and their words, by the names of openai-whisper's JSON. Pure."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Self

FRAMES_PER_SECOND = 100  # of a spectrogram; the unit of `Segment.seek`


@dataclass(frozen=True, kw_only=True)
class Word:
    """One word with its times."""

    word: str  # with the space before it, if the text has one there
    start: float  # seconds; of the part while an engine works on it, then of the file
    end: float  # seconds
    probability: float | None  # 0 to 1; None: a server sent null
    extra: Mapping[str, object] = field(default_factory=dict)  # further values from a server

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """
        Raises:
            KeyError: a field is missing.
        """
        known = {name: values[name] for name in ("word", "start", "end", "probability")}
        return cls(**known, extra={name: value for name, value in values.items() if name not in known})

    def as_json(self) -> dict[str, object]:
        timed = {"word": self.word, "start": self.start, "end": self.end, "probability": self.probability}
        return {**timed, **self.extra}


@dataclass(frozen=True, kw_only=True)
class Segment:
    """Some words that belong together, about a sentence, with the model's data about them."""

    id: int = 0  # its number in the transcript
    seek: int = 0  # start of its window, in frames of 0.01 s
    start: float  # seconds; of the part while an engine works on it, then of the file
    end: float  # seconds
    text: str  # with the space before it
    tokens: tuple[int, ...] = ()
    temperature: float = 0.0
    avg_logprob: float = 0.0  # mean natural logarithm of the tokens' probabilities in its window
    compression_ratio: float = 1.0  # of the window's text, by zlib
    no_speech_prob: float = 0.0  # of its window, 0 to 1
    words: tuple[Word, ...] | None = None  # None: no word timestamps were requested
    speech_seconds: float | None = None  # speech that the voice detector found in it; None: it did not run
    spoken: tuple[tuple[float, float], ...] = ()  # starts and ends of that speech; not in JSON
    language: str | None = None  # a code, where the language may change; None: that of the transcript
    channel: int | None = None  # of a channel or a sound track, counted from 1; None: it is the only one
    speaker: str | None = None  # a name, or "Speaker 1"; None: not known
    extra: Mapping[str, object] = field(default_factory=dict)  # further values from a server

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """The segment from which `as_json` made these values.

        Raises:
            KeyError, TypeError: `as_json` never gave these values.
        """
        known = {name: value for name, value in values.items() if name in _NAMES}
        words = known.get("words")
        known["tokens"] = tuple(known.get("tokens", ()))
        known["words"] = None if words is None else tuple(map(Word.from_json, words))
        return cls(**known, extra={name: value for name, value in values.items() if name not in _NAMES})

    def as_json(self) -> dict[str, Any]:
        """openai-whisper's keys in its order, then those it does not have; without values that are not known."""
        values = (
            {name: getattr(self, name) for name in _MODEL_FIELDS} | {"tokens": list(self.tokens)} | dict(self.extra)
        )
        if self.words is not None:
            values["words"] = [word.as_json() for word in self.words]
        known = {name: getattr(self, name) for name in ("speech_seconds", "language", "channel", "speaker")}
        return values | {name: value for name, value in known.items() if value is not None}

    def within(self, seconds: float) -> Self:
        """The segment cut at the end of its part, which is `seconds` long."""
        return self._timed(lambda time: min(time, seconds))

    def not_before(self, seconds: float) -> Self:
        """The segment without times before this one."""
        return self._timed(lambda time: max(time, seconds))

    def moved(self, seconds: float) -> Self:
        """The segment with its times in the file; `seconds`: where its part begins there."""
        seek = self.seek + round(seconds * FRAMES_PER_SECOND)
        spoken = tuple((start + seconds, end + seconds) for start, end in self.spoken)
        return replace(self._timed(lambda time: time + seconds), seek=seek, spoken=spoken)

    def _timed(self, change: Callable[[float], float]) -> Self:
        """The segment and its words with changed starts and ends."""
        words = self.words and tuple(
            replace(word, start=change(word.start), end=change(word.end)) for word in self.words
        )
        return replace(self, start=change(self.start), end=change(self.end), words=words)


_NAMES = {each.name for each in fields(Segment)} - {"extra", "spoken"}
_MODEL_FIELDS = (
    *("id", "seek", "start", "end", "text", "tokens"),
    *("temperature", "avg_logprob", "compression_ratio", "no_speech_prob"),
)
