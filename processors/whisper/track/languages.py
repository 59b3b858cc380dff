"""Which language is spoken where: a sound cut into stretches of one language each, at pauses."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from processors.whisper.audio import vad

_HEARD_SECONDS = 15.0  # of speech, at most, that are heard for one guess: more would hide a change, less is a bad guess
_WIDEST_GAP_SECONDS = 0.8  # a longer pause may be that of another speaker
_SURE = 0.6  # a guess less probable than this does not change the language


@dataclass(frozen=True, kw_only=True)
class Stretch:
    """A piece of a sound in which one language is spoken."""

    start: float  # seconds
    end: float
    language: str | None = None  # None: not known
    probability: float | None = None  # the least of those its windows were guessed with


def stretches(
    spoken: Sequence[vad.Span],
    seconds: float,
    detect: Callable[[vad.Span], tuple[str | None, float | None]],
    before: str | None,
) -> list[Stretch]:
    """The whole sound, in stretches that lie one behind the other and end in the pauses of what is `spoken`.

    `detect` hears a language and how probable it is; `before`: the language spoken before this sound, if any.
    """
    found: list[Stretch] = []
    for window in vad.windows(spoken, _HEARD_SECONDS, _WIDEST_GAP_SECONDS):
        language, probability = detect(window)
        last = found[-1].language if found else before
        if last is not None and probability is not None and probability < _SURE:
            language = last
        if found and language is not None and language == last:
            sure = [each for each in (found[-1].probability, probability) if each is not None]
            found[-1] = replace(found[-1], end=window.end, probability=min(sure, default=None))
        else:
            found.append(Stretch(start=window.start, end=window.end, language=language, probability=probability))
    return _filled(found, seconds)


def _filled(found: list[Stretch], seconds: float) -> list[Stretch]:
    """The same, with the pauses between them: each begins and ends in the middle of one."""
    if not found:
        return []
    middles = [(one.end + other.start) / 2 for one, other in zip(found, found[1:], strict=False)]
    starts, ends = [0.0, *middles], [*middles, seconds]
    return [replace(each, start=start, end=end) for each, start, end in zip(found, starts, ends, strict=True)]
