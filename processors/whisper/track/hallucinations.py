"""What cannot have been said: text over silence, faster than anybody speaks, in a loop, or known to be made up.

Pure: looks at text, times and where somebody speaks. A window whose text has such a problem is decoded again at the
next temperature; what stays is dropped by `hearing`, or named to a person by `review`.
"""

import re
from collections.abc import Iterable, Sequence

from processors.whisper.audio import vad
from processors.whisper.track.segment import Segment

_FASTEST_CHARACTERS_PER_SECOND = 60  # fast English reaches 25; more than this has no room in a window
_FASTEST_WORDS_PER_SECOND = 12  # auctioneers reach 8
_SHORTEST_SPEECH_SECONDS = 0.25
_LEAST_REPEATS = 5  # of the same words in a row within a window: fewer are emphasis
_MOST_WORDS_REPEATED = 12
_FEWEST_WORDS_TWICE = 3
# Thai, kana, Chinese characters: words are not spaced there, so single characters stand for them, and it takes more.
_UNSPACED = r"[\u0e00-\u0e7f\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff]"
_WORDS = re.compile(rf"{_UNSPACED}|(?:(?!{_UNSPACED})\w)+")
_CHARACTERS_FOR_A_WORD = 3
_HOLLOW_SHARE = 0.3  # of a segment's time in which somebody speaks: less, and it is hollow

# What Whisper writes where nobody speaks, most often at the end, as it learned it from subtitles.
_CREDITS = re.compile(
    r"amara\.org|subtitles? (by|made)|subtitled by|captions? by|transcri(bed|ption) by|"
    r"untertitel(ung)? (der|des|von|im)|sous-?titr(es|age)|subtítulos (realizados|por)|sottotitoli|"
    r"legendas? (por|pela)|napisy|(please )?(like and |don't forget to )?subscribe to|"
    r"ご視聴ありがとうございました|字幕|субтитры",
    re.IGNORECASE,
)
_POLITE = {"thank you", "thank you very much", "thanks for watching", "thank you for watching", "you", "bye", "bye bye"}
_POLITE |= {"see you next time", "see you in the next video", "vielen dank", "merci", "gracias", "obrigado", "grazie"}


def window_problem(text: str, spoken_seconds: float) -> str | None:
    """Why the text of a window, in which somebody speaks for so long, cannot be right; None: it may be."""
    if not has_room(len(text), spoken_seconds) or len(text.split()) > _most(_FASTEST_WORDS_PER_SECOND, spoken_seconds):
        return "more text than anybody could speak in that time"
    if is_loop(text):
        return "the same words again and again"
    return None


def has_room(characters: int, seconds: float) -> bool:
    """Can somebody have said so much in that time?"""
    return characters <= _most(_FASTEST_CHARACTERS_PER_SECOND, seconds)


def is_loop(text: str) -> bool:
    """Are some words said over and over?"""
    words, a_word = _words(text)
    for length in range(1, _MOST_WORDS_REPEATED * a_word + 1):
        run = 0
        for here, there in zip(words, words[length:], strict=False):
            run = run + 1 if here == there else 0
            if run >= max(length, a_word) * (_LEAST_REPEATS - 1):
                return True
    return False


def ends_twice(text: str) -> bool:
    """Are the last words said twice? At least three of them: fewer are emphasis."""
    words, a_word = _words(text)
    lengths = range(_FEWEST_WORDS_TWICE * a_word, _MOST_WORDS_REPEATED * a_word + 1)
    return any(len(words) >= 2 * many and words[-many:] == words[-2 * many : -many] for many in lengths)


def is_phantom(text: str, seconds: float, spoken_seconds: float, is_last: bool) -> bool:
    """Is a segment's text of the kind that Whisper makes up? Credits where hardly anyone speaks, and politeness at the
    end of a sound where hardly anyone speaks."""
    if spoken_seconds - vad.PAD_SECONDS >= _HOLLOW_SHARE * seconds:  # without what is kept behind the word before
        return False
    return is_credit(text) or (is_last and " ".join(re.findall(r"[\w']+", text.casefold())) in _POLITE)


def is_credit(text: str) -> bool:
    """Does it speak of subtitles, as nobody does aloud?"""
    return bool(_CREDITS.search(text))


def phantoms(segments: Sequence[Segment]) -> Iterable[Segment]:
    """Segments that Whisper is known to make up."""
    for number, segment in enumerate(segments):
        seconds, is_last = segment.end - segment.start, number == len(segments) - 1
        spoken = seconds if segment.speech_seconds is None else segment.speech_seconds
        if is_credit(segment.text) or is_phantom(segment.text, seconds, spoken, is_last):
            yield segment


def _words(text: str) -> tuple[list[str], int]:
    """The words of a text without punctuation, or its characters where words are not spaced; how many make one word."""
    is_unspaced = re.search(_UNSPACED, text) is not None
    return _WORDS.findall(text.casefold()), _CHARACTERS_FOR_A_WORD if is_unspaced else 1


def _most(per_second: float, seconds: float) -> float:
    return per_second * max(seconds, _SHORTEST_SPEECH_SECONDS)
