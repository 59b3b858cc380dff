"""Subtitles that people can read: cues of two lines, cut at phrases, long enough to read them. Pure.

Limits after Netflix's Timed Text Style Guide (English) and the BBC's Subtitle Guidelines.
"""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from processors.whisper.track.segment import Segment, Word

MAX_LINE = 42  # columns; characters of East Asian scripts take two
MAX_LINES = 2
SHORTEST_SECONDS, LONGEST_SECONDS = 0.83, 7.0  # of a cue
GAP_SECONDS = 0.083  # between cues: two frames, so that the eye sees a change
MAX_PER_SECOND = 20.0  # columns, for adults

_PAUSE_SECONDS = 0.8  # ends a cue
_SHORT_PAUSE_SECONDS = 0.3  # ends one that is complete
_COMPLETE_COLUMNS = 28  # of a cue that ends with a sentence; a shorter cue may be joined with the next
_NEARBY_WORDS = 2  # from the place of a pause as estimated by the share of speech
_LEAD_SECONDS = 0.3  # by which a cue may start before its words, if it could not be read otherwise
_SENTENCE = re.compile(r"[.!?…。！？][\"'”’)\]]*$")
_CLAUSE = re.compile(r"[,;:–—、，；：][\"'”’)\]]*$")
# Words that begin a phrase: a line does not end in one.
_OPENING = frozenset(
    (
        *("a", "an", "the", "and", "or", "but", "nor", "so", "that", "which", "who", "whom", "whose", "when", "where"),
        *("while", "because", "if", "as", "than", "of", "to", "in", "on", "at", "by", "for", "from", "with", "into"),
        *("about", "after", "before", "is", "are", "was", "were", "be", "have", "has", "had", "will", "would", "can"),
        *("could", "my", "your", "his", "her", "its", "our", "their", "und", "oder", "aber", "dass", "der", "die"),
        *("das", "ein", "eine", "zu", "von", "mit", "et", "ou", "mais", "que", "qui", "le", "la", "les", "un", "une"),
        *("de", "du", "des", "y", "o", "pero", "el", "los"),
    )
)
_UNSPACED = re.compile(r"[\u0e00-\u0e7f\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff]")
_CLOSING = "、。，．！？）」』】,.!?)"  # does not begin a line


@dataclass(frozen=True, kw_only=True)
class Cue:
    """One subtitle."""

    start: float  # seconds
    end: float
    lines: tuple[tuple[Word, ...], ...]  # one or two
    segment: Segment  # of its first word: who speaks

    @property
    def words(self) -> tuple[Word, ...]:
        return tuple(word for line in self.lines for word in line)

    @property
    def text_lines(self) -> tuple[str, ...]:
        return tuple("".join(word.word for word in line).strip() for line in self.lines)


_Timed = tuple[Word, Segment]


def cues(segments: Sequence[Segment]) -> list[Cue]:
    """The subtitles of a transcript, in order of time; those of one channel do not overlap."""
    made = [_cue(words) for run in _runs(segments) for words in _divided(run)]
    channels = dict.fromkeys(cue.segment.channel for cue in made)
    timed = [cue for each in channels for cue in _timed([one for one in made if one.segment.channel == each])]
    return sorted((cue for cue in timed if any(cue.text_lines)), key=lambda cue: cue.start)


# ---------------------------------------------------------------------------------------------- words


def _runs(segments: Sequence[Segment]) -> Iterator[list[_Timed]]:
    """Words that may share a cue: of one speaker, without a pause."""
    run: list[_Timed] = []
    for segment in segments:
        for word in words_of(segment):
            if run and (_speaker(segment) != _speaker(run[-1][1]) or word.start - run[-1][0].end > _PAUSE_SECONDS):
                yield run
                run = []
            run.append((word, segment))
    if run:
        yield run


def _speaker(segment: Segment) -> tuple[int | None, str | None]:
    return segment.channel, segment.speaker


def words_of(segment: Segment) -> list[Word]:
    """The words of a segment; without word timestamps, each with its share of the speech."""
    if segment.words:
        return [piece for word in segment.words for piece in _pieces(word)]
    texts = re.findall(r"\s*\S+", segment.text)
    stretches = _stretches(segment)
    ends = [0, *_words_before_pauses(texts, stretches), len(texts)]
    found = []
    for (start, end), (first, last) in zip(stretches, pairwise(ends), strict=True):
        whole = Word(word=segment.text, start=start, end=end, probability=None)
        found += [piece for word in _shares(whole, texts[first:last]) for piece in _pieces(word)]
    return found


def _words_before_pauses(texts: Sequence[str], stretches: Sequence[tuple[float, float]]) -> list[int]:
    """The number of words before each pause: by the share of the speech, or where a phrase ends nearby."""
    found: list[int] = []
    lengths = [end - start for start, end in stretches]
    for number in range(1, len(stretches)):
        wanted = sum(map(width, texts)) * sum(lengths[:number]) / sum(lengths)
        nearest = min(range(len(texts) + 1), key=lambda count: abs(width("".join(texts[:count])) - wanted))
        nearby = range(max(nearest - _NEARBY_WORDS, found[-1] if found else 0), nearest + _NEARBY_WORDS + 1)
        places = [count for count in nearby if count <= len(texts)] or [found[-1]]
        found.append(max(places, key=lambda count: (_ending(texts, count), -abs(count - nearest))))
    return found


def _ending(texts: Sequence[str], count: int) -> int:
    """A score for ending a phrase after this many words."""
    last = texts[count - 1] if 0 < count < len(texts) else ""
    return 2 if _SENTENCE.search(last) else 1 if _CLAUSE.search(last) else 0


def _stretches(segment: Segment) -> list[tuple[float, float]]:
    """The speech in a segment without its short pauses; all of it if the voice detector found no speech or did not
    run."""
    found: list[tuple[float, float]] = []
    for start, end in segment.spoken:
        start, end = max(start, segment.start), min(end, segment.end)
        if found and start - found[-1][1] <= _PAUSE_SECONDS:
            found[-1] = (found[-1][0], end)
        elif start < end:
            found.append((start, end))
    if not found:
        return [(segment.start, segment.end)]
    if found[0][0] - segment.start <= _PAUSE_SECONDS:
        found[0] = (segment.start, found[0][1])
    if segment.end - found[-1][1] <= _PAUSE_SECONDS:
        found[-1] = (found[-1][0], segment.end)
    return found


def _shares(whole: Word, texts: Sequence[str]) -> list[Word]:
    """The texts of a word, each with its share of the time by its width."""
    total, at, found = sum(map(width, texts)) or 1, 0, []
    for text in texts:
        start, at = whole.start + (whole.end - whole.start) * at / total, at + width(text)
        end = whole.start + (whole.end - whole.start) * at / total
        found.append(replace(whole, word=text, start=start, end=end))
    return found


def _pieces(word: Word) -> list[Word]:
    """A word that fits on a line; characters of scripts without spaces one by one."""
    if _UNSPACED.search(word.word) and len(word.word.strip()) > 1:
        return _shares(word, re.findall(rf"\s*\S[{re.escape(_CLOSING)}]*", word.word))
    if width(word.word.strip()) <= MAX_LINE:
        return [word]
    text = word.word
    return _shares(word, [text[at : at + MAX_LINE - 2] for at in range(0, len(text), MAX_LINE - 2)])


def width(text: str) -> int:
    """Columns that a text takes."""
    return sum(2 if unicodedata.east_asian_width(each) in "WF" else not unicodedata.combining(each) for each in text)


def _width(words: Sequence[_Timed]) -> int:
    return width("".join(word.word for word, _ in words).strip())


# ---------------------------------------------------------------------------------------------- cuts


def _divided(run: list[_Timed]) -> Iterator[list[_Timed]]:
    """The words of each cue."""
    while run:
        fitting = _fitting(run)
        count = next((at for at in range(1, fitting + 1) if _is_complete(run, at)), None)
        if count is None:
            count = fitting if fitting == len(run) else _best_break(run, fitting)
        yield run[:count]
        run = run[count:]


def _fitting(run: list[_Timed]) -> int:
    """How many words fit into one cue; at least one."""
    count = 1
    while count < len(run):
        is_short = run[count][0].end - run[0][0].start <= LONGEST_SECONDS
        if not is_short or _line_break(run[: count + 1]) is None:
            break
        count += 1
    return count


def _is_complete(run: list[_Timed], count: int) -> bool:
    """True if a sentence ends here, and the next one does not belong to the same cue."""
    if not _SENTENCE.search(run[count - 1][0].word):
        return False
    if count == len(run):
        return True
    pause = run[count][0].start - run[count - 1][0].end
    return pause > _SHORT_PAUSE_SECONDS or _width(run[:count]) >= _COMPLETE_COLUMNS


def _best_break(run: list[_Timed], limit: int) -> int:
    """The number of words before the best place to end a cue, in its second half."""
    total = _width(run[:limit])
    places = [at for at in range(1, limit + 1) if _width(run[:at]) >= total / 2] or [limit]
    return max(places, key=lambda at: (_break_quality(run, at), at))


def _break_quality(run: list[_Timed], at: int) -> int:
    """A score for ending a line or a cue before word `at`."""
    before, after = run[at - 1][0], run[at][0]
    if _SENTENCE.search(before.word):
        return 4
    if _CLAUSE.search(before.word):
        return 3
    if after.start - before.end > _SHORT_PAUSE_SECONDS:
        return 2
    if _plain(before) in _OPENING:
        return -1
    return 1 if _plain(after) in _OPENING else 0


def _plain(word: Word) -> str:
    return word.word.strip().strip("\"'“”").casefold()


def _line_break(words: Sequence[_Timed]) -> int | None:
    """The number of words on the first line; all of them if one line suffices; None: two lines do not suffice."""
    if _width(words) <= MAX_LINE:
        return len(words)
    fits = [at for at in range(1, len(words)) if max(_width(words[:at]), _width(words[at:])) <= MAX_LINE]
    if not fits:
        return None

    def quality(at: int) -> int:
        return 10 * _break_quality(list(words), at) - abs(_width(words[:at]) - _width(words[at:]))

    return max(fits, key=quality)


def _cue(words: Sequence[_Timed]) -> Cue:
    at = _line_break(words) or len(words)
    lines = (tuple(word for word, _ in words[:at]), tuple(word for word, _ in words[at:]))
    first, last = words[0], words[-1]
    return Cue(start=first[0].start, end=last[0].end, lines=tuple(filter(None, lines)), segment=first[1])


# ---------------------------------------------------------------------------------------------- times


def _timed(made: Sequence[Cue]) -> list[Cue]:
    """The cues with times at which they can be read, as far as their neighbors leave room."""
    found: list[Cue] = []
    for number, cue in enumerate(made):
        following = made[number + 1].start - GAP_SECONDS if number + 1 < len(made) else float("inf")
        needed = max(SHORTEST_SECONDS, sum(map(width, cue.text_lines)) / MAX_PER_SECOND)
        end = min(max(cue.end, cue.start + needed), cue.start + LONGEST_SECONDS, following)
        earliest = max(0.0, found[-1].end + GAP_SECONDS if found else 0.0, cue.start - _LEAD_SECONDS)
        start = max(min(cue.start, end - needed), min(earliest, cue.start))
        found.append(replace(cue, start=start, end=max(end, start + GAP_SECONDS)))
    return found
