"""Hallucination filtering: text over silence, too fast for speech, in a loop, or known to be invented.

Pure: looks at text, times and speech. Engines decode a window with such a problem again at the next temperature; if it
remains, `transcriber` drops the text, or `review` reports it.
"""

import re
from collections.abc import Iterable, Sequence

from processors.whisper.audio import vad
from processors.whisper.track.segment import Segment

_MAX_CHARACTERS_PER_SECOND = 60  # fast English reaches 25
_MAX_WORDS_PER_SECOND = 12  # auctioneers reach 8
_MIN_SPEECH_SECONDS = 0.25
_MIN_REPEATS = 5  # of the same words in a row within a window: fewer are emphasis
_MAX_WORDS_REPEATED = 12
_MIN_WORDS_TWICE = 3
# Thai, kana, Chinese characters: no spaces between words there, so single characters count instead, and more of them.
_UNSPACED = r"[\u0e00-\u0e7f\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff]"
_WORDS = re.compile(rf"{_UNSPACED}|(?:(?!{_UNSPACED})\w)+")
_CHARACTERS_PER_WORD = 3
_MIN_SPEECH_SHARE = 0.3  # of a segment's time; with less speech, its text may be a hallucination

# Text that Whisper learned from subtitles and writes where nobody speaks, most often at the end.
_CREDITS = re.compile(
    r"amara\.org|subtitles? (by|made)|subtitled by|captions? by|transcri(bed|ption) by|"
    r"untertitel(ung)? (der|des|von|im)|sous-?titr(es|age)|subtítulos (realizados|por)|sottotitoli|"
    r"legendas? (por|pela)|napisy|(please )?(like and |don't forget to )?subscribe to|"
    r"ご視聴ありがとうございました|字幕|субтитры",
    re.IGNORECASE,
)
_POLITE = {
    "thank you",
    "thank you very much",
    "thanks for watching",
    "thank you for watching",
    "you",
    "bye",
    "bye bye",
}
_POLITE |= {
    "see you next time",
    "see you in the next video",
    "vielen dank",
    "merci",
    "gracias",
    "obrigado",
    "grazie",
}


def window_problem(text: str, spoken_seconds: float) -> str | None:
    """Return why the text of a window with this much speech is wrong; None if it may be right."""
    if not has_room(len(text), spoken_seconds) or len(text.split()) > _max(_MAX_WORDS_PER_SECOND, spoken_seconds):
        return "too much text for the time"
    if is_loop(text):
        return "the same words repeat"
    return None


def has_room(characters: int, seconds: float) -> bool:
    """True if this many characters can be spoken in that time."""
    return characters <= _max(_MAX_CHARACTERS_PER_SECOND, seconds)


def is_loop(text: str) -> bool:
    """True if the same words repeat over and over."""
    words, per_word = _words(text)
    for length in range(1, _MAX_WORDS_REPEATED * per_word + 1):
        run = 0
        for here, there in zip(words, words[length:], strict=False):
            run = run + 1 if here == there else 0
            if run >= max(length, per_word) * (_MIN_REPEATS - 1):
                return True
    return False


def ends_twice(text: str) -> bool:
    """True if the last words are repeated, at least three of them: fewer are emphasis."""
    words, per_word = _words(text)
    lengths = range(_MIN_WORDS_TWICE * per_word, _MAX_WORDS_REPEATED * per_word + 1)
    return any(len(words) >= 2 * many and words[-many:] == words[-2 * many : -many] for many in lengths)


def is_known_hallucination(text: str, seconds: float, spoken_seconds: float, is_last: bool) -> bool:
    """True if a segment has hardly any speech, and its text is of the kind that Whisper invents there: credits, or at
    the end of a sound also polite phrases."""
    if spoken_seconds - vad.PAD_SECONDS >= _MIN_SPEECH_SHARE * seconds:  # without the padding after the word before
        return False
    return is_credit(text) or (is_last and is_polite(text))


def is_polite(text: str) -> bool:
    """True if the text is one of the phrases that Whisper invents most often at the end of a sound."""
    return " ".join(re.findall(r"[\w']+", text.casefold())) in _POLITE


def is_credit(text: str) -> bool:
    """True if the text is a subtitle credit, which nobody says aloud."""
    return bool(_CREDITS.search(text))


def known(segments: Sequence[Segment]) -> Iterable[Segment]:
    """Segments with text that Whisper is known to invent."""
    for number, segment in enumerate(segments):
        seconds, is_last = segment.end - segment.start, number == len(segments) - 1
        spoken = seconds if segment.speech_seconds is None else segment.speech_seconds
        if is_credit(segment.text) or is_known_hallucination(segment.text, seconds, spoken, is_last):
            yield segment


def is_unspaced(text: str) -> bool:
    """True if the text is in a script without spaces between words."""
    return re.search(_UNSPACED, text) is not None


def _words(text: str) -> tuple[list[str], int]:
    """The words without punctuation, or the characters where words have no spaces; and how many make one word."""
    return _WORDS.findall(text.casefold()), _CHARACTERS_PER_WORD if is_unspaced(text) else 1


def _max(per_second: float, seconds: float) -> float:
    return per_second * max(seconds, _MIN_SPEECH_SECONDS)
