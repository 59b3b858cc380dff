"""Reasons for a person to check a transcript. Pure: it assesses the transcript and changes nothing."""

import math
from collections.abc import Callable, Iterable
from itertools import groupby

from processors.whisper.options import TranscribeOptions
from processors.whisper.track import hallucinations, languages, sound_review, uncertainty
from processors.whisper.track.markdown import clock
from processors.whisper.track.places import MAX_PLACES, list_places, list_stretches
from processors.whisper.track.segment import Segment
from processors.whisper.track.transcript import Transcript
from processors.whisper.weights import catalog

_REPEATS = 4  # the same segment this often in a row is a loop, not emphasis
_BRIEF_SECONDS, _SURE_OF_BRIEF = 3.0, 0.8  # for less speech, the language must be more probable
# Mean of a text: with tiny.en clear English reaches -0.2 to -0.7, other languages -0.85 to -3.5.
_ENGLISH_LOGPROB, _ENGLISH_LOGPROB_OF_BRIEF = -0.8, -1.5
# Of the text: single windows of clear speech reach a no_speech_prob of 0.87 with small models.
_NO_VOICE_SHARE = 0.5
_VOICED_SHARE = 0.5  # of a segment
# Of detected speech, in languages that write letters: read English has 15, hurried English 20. If tiny.en is sure of
# faster speech, its text is right: of 14 such recordings with more probable words, none lost many words.
_FASTEST_CHARACTERS_PER_SECOND, _FASTEST_SECONDS, _FAST_LOGPROB = 26, 1.5, -0.37
# However slow, such a long stretch of read English has at least 10, because the detector omits pauses.
_SLOWEST_CHARACTERS_PER_SECOND, _SLOWEST_SECONDS = 6.5, 8.0


def reasons(found: Transcript, options: TranscribeOptions) -> tuple[str, ...]:
    """One sentence for each, the most important first; empty if there is none."""
    return tuple(reason for check in _CHECKS for reason in check(found, options))


def _empty(found: Transcript, options: TranscribeOptions) -> Iterable[str]:
    if found.has_words:
        return
    yield "No speech was found."
    if options.clips and options.clips[0][0] >= found.seconds:
        yield f"The sound ends at {clock(found.seconds)}, before the first clip starts: correct `clip_timestamps`."
    elif found.tracks > 1 and options.track != "all":
        yield f"inboxd transcribed only sound track {found.track} of {found.tracks}: `track` selects another."


def _hidden(found: Transcript, options: TranscribeOptions) -> Iterable[str]:
    for channel, places in found.hidden.items():
        seconds, at = sum(place.seconds for place in places), list_places(place.at_seconds for place in places)
        yield (
            f"Somebody speaks in channel {channel} for {seconds:.0f} s, at {at}, where "
            f'the mix of the {found.channels} channels has no text: set `channel = {channel}`, or "each".'
        )
    if found.at_once:
        seconds = sum(place.seconds for place in found.at_once)
        yield (
            f"Two people speak at once in different channels for {seconds:.0f} s, at "
            f"{list_places(p.at_seconds for p in found.at_once)}: words of one of them may be missing. "
            'Set `channel = "each"`.'
        )


def _untranscribed(found: Transcript, options: TranscribeOptions) -> Iterable[str]:
    if found.passed_over:
        seconds = sum(gap.seconds for gap in found.passed_over)
        places = list_places(gap.at_seconds for gap in found.passed_over)
        another = "" if options.multilingual else " If that is another language, set `multilingual = true`."
        yield f"Somebody seems to speak, but no words were recognized for {seconds:.0f} s, at {places}.{another}"


def _language(found: Transcript, options: TranscribeOptions) -> Iterable[str]:
    probability, is_brief = found.language_probability, 0 < found.spoken_seconds < _BRIEF_SECONDS
    limit = _SURE_OF_BRIEF if is_brief else languages.SURE
    if found.has_words and probability is not None and not probability >= limit:  # NaN is unsure
        sure = f" ({probability:.0%})" if math.isfinite(probability) else ""
        of = f" from {found.spoken_seconds:.1f} s of speech" if is_brief else ""
        what = f"{_name(found.language)}{sure}"
        wider = ", or add the right one to `languages`," if options.languages else ""
        yield f"The language is a guess{of}: {what}. If it is wrong, set `language`{wider} in the recipe."
    if found.has_words and options.languages and found.language not in options.languages:
        yield f"inboxd detected the language {_name(found.language)}, which is not one of `languages`."


def _name(language: str | None) -> str:
    return catalog.LANGUAGES.get(language or "", "unknown").title()


def _other_parts(found: Transcript, options: TranscribeOptions) -> Iterable[str]:
    """Parts whose language was detected, but not reliably enough to change it."""
    unsure = [
        part
        for part in found.language_parts
        if part.language != found.language
        and not languages.changes(found.language or "", (part.language, part.probability))
    ]
    if unsure:
        names = ", ".join(dict.fromkeys(_name(part.language) for part in unsure))
        places = list_places(part.at_seconds for part in unsure)
        yield f"Somebody may speak another language ({names}) at {places}: listen there."


def _english_only(found: Transcript, options: TranscribeOptions) -> Iterable[str]:
    if not (found.model_knows_english_only and found.has_words):
        return
    tag, is_brief = found.track_language, 0 < found.spoken_seconds < _BRIEF_SECONDS
    limit = _ENGLISH_LOGPROB_OF_BRIEF if is_brief else _ENGLISH_LOGPROB
    if tag not in (None, "en") or _mean_logprob(found) < limit:
        why = f"the file says {_name(tag)}" if tag not in (None, "en") else "it is unsure of most words"
        yield (
            f"The model knows only English, and {why}: if another language is spoken, the text is wrong. "
            "Set a model without `.en` in [processors.whisper]."
        )


def _mean_logprob(found: Transcript) -> float:
    """The mean log probability of the text, with each segment weighted by its length."""
    weights = sum(len(segment.text) for segment in found.segments)
    known = sum(len(s.text) * s.avg_logprob for s in found.segments if math.isfinite(s.avg_logprob))
    return known / weights if weights else 0.0


def _speakers(found: Transcript, options: TranscribeOptions) -> Iterable[str]:
    least, _ = options.speaker_count
    if options.finds_speakers and found.has_words and len(found.speakers) < least:
        yield f"inboxd could distinguish only {len(found.speakers)} of {least} speakers: check who speaks."
    if found.has_words:
        yield from found.speaker_doubts
    for one, other in found.alike:
        yield f"{one} and {other} sound alike: they may be one person, or their words may be mixed up."


def _loops(found: Transcript, options: TranscribeOptions) -> Iterable[str]:
    threshold = options.compression_ratio_threshold
    places = [s.start for s in found.segments if threshold and s.compression_ratio > threshold]
    for words, run in groupby(found.segments, key=lambda segment: segment.text.strip().casefold()):
        same = list(run)
        if words and len(same) >= _REPEATS:
            places.append(same[0].start)
    places += [segment.start for segment in found.segments if hallucinations.is_loop(segment.text)]
    if places:
        yield f"The text repeats itself at {list_places(places)}: Whisper may have been in a loop. Listen there."


def _uncertain(found: Transcript, options: TranscribeOptions) -> Iterable[str]:
    threshold, is_translation = options.logprob_threshold, options.task == "translate"
    if stretches := uncertainty.uncertain(found.segments, threshold, is_translation=is_translation):
        yield (
            f"The text of {list_stretches(stretches)} is uncertain: words may be wrong or missing there. Noise, echo, "
            "distortion, several people at once or another language may be the cause. Listen there."
        )


def _too_fast(found: Transcript, options: TranscribeOptions) -> Iterable[str]:
    if places := [segment.start for segment in found.segments if _is_too_fast(segment)]:
        yield (
            f"Somebody speaks very fast, at {list_places(places)}: words may be missing or wrong there. If they "
            "matter, submit the recording again at a lower speed."
        )


def _is_too_fast(segment: Segment) -> bool:
    seconds = segment.speech_seconds or 0.0
    is_fast = len(segment.text.strip()) > _FASTEST_CHARACTERS_PER_SECOND * seconds
    return seconds >= _FASTEST_SECONDS and is_fast and not segment.avg_logprob >= _FAST_LOGPROB


def _too_little(found: Transcript, options: TranscribeOptions) -> Iterable[str]:
    if places := [segment.start for segment in found.segments if _is_too_little(segment)]:
        yield (
            f"The text at {list_places(places)} is short for so much speech: words may be missing there, such as those "
            "of somebody far from the microphone. Listen there."
        )


def _is_too_little(segment: Segment) -> bool:
    seconds = segment.speech_seconds or 0.0
    is_short = len(segment.text.strip()) < _SLOWEST_CHARACTERS_PER_SECOND * seconds
    return seconds >= _SLOWEST_SECONDS and is_short and not hallucinations.is_unspaced(segment.text)


def _no_voice(found: Transcript, options: TranscribeOptions) -> Iterable[str]:
    threshold = options.no_speech_threshold
    doubted = [
        s for s in found.segments if threshold and s.no_speech_prob > threshold and s.text.strip() and not _is_voiced(s)
    ]
    if found.has_words and sum(len(s.text) for s in doubted) >= _NO_VOICE_SHARE * len(found.text):
        places = list_places(segment.start for segment in doubted)
        yield f"Perhaps nobody speaks at {places}: the text there may be invented. Listen there."


def _is_voiced(segment: Segment) -> bool:
    """True if the voice detector found speech in most of it."""
    return (segment.speech_seconds or 0.0) >= _VOICED_SHARE * (segment.end - segment.start)


def _known_hallucinations(found: Transcript, options: TranscribeOptions) -> Iterable[str]:
    if doubted := list(hallucinations.known(found.segments)):
        texts = ", ".join(f'"{segment.text.strip()}"' for segment in doubted[:MAX_PLACES])
        places = list_places(segment.start for segment in doubted)
        yield f"Whisper often invents text such as that at {places}: {texts}. Listen there."


def _dropped(found: Transcript, options: TranscribeOptions) -> Iterable[str]:
    worded = [segment for segment in found.dropped if any(map(str.isalnum, segment.text))]
    if found.has_words and worded:
        places = list_places(segment.start for segment in worded)
        yield f"inboxd omitted text where nobody speaks, at {places}: see `dropped` in the .json file."


_CHECKS: tuple[Callable[[Transcript, TranscribeOptions], Iterable[str]], ...] = (
    *sound_review.CHECKS,
    *(
        _empty,
        _hidden,
        _untranscribed,
        _language,
        _other_parts,
        _english_only,
        _speakers,
        _loops,
        _uncertain,
        _too_fast,
        _too_little,
        _no_voice,
        _known_hallucinations,
        _dropped,
    ),
)
