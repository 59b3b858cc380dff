"""Cut a sound into stretches of one language each, at pauses."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from processors.whisper.audio import vad

_PROBE_SECONDS = 15.0  # of speech, at most, for one detection: more would hide a change, less is unreliable
_MAX_GAP_SECONDS = 0.8  # after a longer pause another speaker may continue
_MIN_PROBABILITY = 0.6  # a detection below it does not change the language


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
    detect: Callable[[vad.Span], tuple[str | None, float | None]],
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


def _extended(found: list[Stretch], seconds: float) -> list[Stretch]:
    """The same, extended to the middle of the pauses between them."""
    if not found:
        return []
    middles = [(one.end + other.start) / 2 for one, other in zip(found, found[1:], strict=False)]
    starts, ends = [0.0, *middles], [*middles, seconds]
    return [replace(each, start=start, end=end) for each, start, end in zip(found, starts, ends, strict=True)]
