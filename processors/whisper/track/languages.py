"""Detect the language of a part of a sound, or cut it into stretches of one language each, at pauses."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from processors.whisper.audio import vad

_PROBE_SECONDS = 15.0  # of speech for one detection: more would hide a change of language, less would be unreliable
_MAX_GAP_SECONDS = 0.8  # after a longer pause another speaker may continue
_MIN_PROBABILITY = 0.6  # a detection below it does not change the language
SURE = 0.5  # of a language; below it, the detection tries other speech, and the review reports a guess
_MAX_PROBES = 3
_WINDOW_SECONDS = 30.0  # of Whisper's detection
_CHANGE_PROBABILITY, _CHANGE_SECONDS = 0.8, 5.0  # at which a later part with enough speech has another language

Guess = tuple[str | None, float | None]  # a code and its probability; None: the engine detects while transcribing


@dataclass(frozen=True, kw_only=True)
class Stretch:
    """A piece of a sound in one language."""

    start: float  # seconds
    end: float
    language: str | None = None  # a code; None: the engine detects it
    probability: float | None = None  # the lowest of its windows


def stretches(
    spoken: Sequence[vad.Span],
    seconds: float,
    detect: Callable[[vad.Span], Guess],
    before: str | None,
) -> list[Stretch]:
    """Consecutive stretches that cover the sound and end in pauses of speech.

    detect: returns a language and its probability. before: the language before this sound, if any.
    """
    found: list[Stretch] = []
    for window in vad.windows(spoken, _PROBE_SECONDS, _MAX_GAP_SECONDS):
        language, probability = detect(window)
        last = found[-1].language if found else before
        if last is not None and probability is not None and probability < _MIN_PROBABILITY:
            language = last
        if found and language is not None and language == last:
            known = [each for each in (found[-1].probability, probability) if each is not None]
            found[-1] = replace(found[-1], end=window.end, probability=min(known, default=None))
        else:
            found.append(Stretch(start=window.start, end=window.end, language=language, probability=probability))
    return _extended(found, seconds)


@dataclass(frozen=True, kw_only=True)
class PartLanguage:
    """The detected language of one part."""

    at_seconds: float
    language: str
    probability: float | None


def detect_first(starts: Sequence[float], detect: Callable[[float], Guess]) -> Guess:
    """The language of a part: by its first sound, as whisper does; while that is unsure, also by later speech.

    starts: seconds, in order. detect: the language of the half minute after a second.
    """
    best: Guess = (None, None)
    for start in starts[:_MAX_PROBES]:
        guess = detect(start)
        if best[0] is None or (guess[1] or 0.0) > (best[1] or 0.0):
            best = guess
        if best[1] is None or best[1] >= SURE:
            break
    return best


def probe_starts(first: float, spoken: Sequence[vad.Span]) -> list[float]:
    """Seconds at which to detect: the first sound, then speech after its half minute."""
    later = [window.start for window in vad.windows(spoken, _WINDOW_SECONDS)]
    return [first, *(start for start in later if start >= first + _WINDOW_SECONDS)]


def may_change(spoken_seconds: float) -> bool:
    """True if a part has enough speech to detect its language reliably."""
    return spoken_seconds >= _CHANGE_SECONDS


def changes(before: str, guess: Guess) -> bool:
    """True if a later part is in another language."""
    language, probability = guess
    return language not in (None, before) and (probability or 0.0) >= _CHANGE_PROBABILITY


def _extended(found: list[Stretch], seconds: float) -> list[Stretch]:
    """The same, extended to the middle of the pauses between them."""
    if not found:
        return []
    middles = [(one.end + other.start) / 2 for one, other in zip(found, found[1:], strict=False)]
    starts, ends = [0.0, *middles], [*middles, seconds]
    return [replace(each, start=start, end=end) for each, start, end in zip(found, starts, ends, strict=True)]
