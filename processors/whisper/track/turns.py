"""Turns of speakers, and the assignment of words to them. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby

import numpy as np

from processors.whisper.speakers import clustering
from processors.whisper.speakers.embeddings import Embedding, Voice
from processors.whisper.track.segment import Segment, Word
from processors.whisper.track.subtitles import words_of

_ALIKE = 0.85  # cosine similarity of two speakers that may be one
_SHORTEST_TURN_SECONDS = 0.5  # of a word that interrupts a sentence; a shorter one is a mistake


@dataclass(frozen=True, kw_only=True)
class Turn:
    """A stretch of one speaker."""

    start: float  # seconds
    end: float
    speaker: int  # counts from 1, in order of appearance


@dataclass(frozen=True, kw_only=True)
class Diarization:
    turns: tuple[Turn, ...] = ()
    alike: tuple[tuple[int, int], ...] = ()  # pairs of speakers that sound alike
    voices: tuple[Embedding, ...] = ()  # the mean voice of each speaker

    @property
    def speakers(self) -> int:
        return max((turn.speaker for turn in self.turns), default=0)


def diarize(voices: Sequence[Voice], count: clustering.Count) -> Diarization:
    """The turns in order, without overlap."""
    if not voices:
        return Diarization()
    labels, centroids = clustering.speakers(np.stack([voice.embedding for voice in voices]), count)
    numbers = {label: number for number, label in enumerate(dict.fromkeys(labels.tolist()), 1)}
    similar = centroids @ centroids.T
    pairs = [(one, other) for one in numbers for other in numbers if numbers[one] < numbers[other]]
    alike = tuple((numbers[one], numbers[other]) for one, other in pairs if similar[one, other] > _ALIKE)
    return Diarization(
        turns=tuple(_turns(voices, [numbers[label] for label in labels.tolist()])),
        alike=alike,
        voices=tuple(centroids[label] for label in numbers),
    )


def _turns(voices: Sequence[Voice], speakers: Sequence[int]) -> list[Turn]:
    """End each window where the next one begins or, at a change of speaker, halfway between their middles."""
    made: list[Turn] = []
    for number, (voice, speaker) in enumerate(zip(voices, speakers, strict=True)):
        start, end = voice.start, voice.end
        if number and voices[number - 1].end > start:
            start = _border(voices[number - 1], voice)
        if number + 1 < len(voices) and voices[number + 1].start < end:
            end = _border(voice, voices[number + 1])
        if made and made[-1].speaker == speaker and start - made[-1].end < 1e-6:
            made[-1] = replace(made[-1], end=end)
        else:
            made.append(Turn(start=start, end=end, speaker=speaker))
    return made


def _border(one: Voice, other: Voice) -> float:
    return (one.start + one.end + other.start + other.end) / 4


def assign(segments: Sequence[Segment], turns: Sequence[Turn], names: Sequence[str]) -> list[Segment]:
    """The segments with their speakers, split where the speaker changes. names: in order of appearance."""
    if not turns:
        return list(segments)
    split = [piece for segment in segments for piece in _split(segment, turns, names)]
    return [replace(piece, id=number) for number, piece in enumerate(split)]


def _split(segment: Segment, turns: Sequence[Turn], names: Sequence[str]) -> list[Segment]:
    words = words_of(segment)
    if not words:
        return [replace(segment, speaker=name_of(_speaker_at(segment.start, segment.end, turns), names))]
    speakers = _without_islands(words, [_speaker_at(word.start, word.end, turns) for word in words])
    pieces = []
    for speaker, run in groupby(zip(words, speakers, strict=True), key=lambda pair: pair[1]):
        own = tuple(word for word, _ in run)
        pieces.append(_piece(segment, own, name_of(speaker, names)))
    if len(pieces) == 1:
        return [replace(segment, speaker=pieces[0].speaker)]
    return [replace(pieces[0], start=segment.start), *pieces[1:-1], replace(pieces[-1], end=segment.end)]


def _piece(segment: Segment, words: tuple[Word, ...], name: str) -> Segment:
    text = "".join(word.word for word in words)
    timed = words if segment.words else None
    # The tokens belong to the complete segment.
    return replace(segment, start=words[0].start, end=words[-1].end, text=text, tokens=(), words=timed, speaker=name)


def _speaker_at(start: float, end: float, turns: Sequence[Turn]) -> int:
    """The speaker of most of this time; where nobody speaks, the nearest one."""
    best = max(turns, key=lambda turn: min(end, turn.end) - max(start, turn.start))
    return best.speaker


def _without_islands(words: Sequence[Word], speakers: list[int]) -> list[int]:
    """Assign a short word between words of one speaker to that speaker, too."""
    runs = [list(run) for _, run in groupby(range(len(words)), key=speakers.__getitem__)]
    found = list(speakers)
    for number, run in enumerate(runs):
        seconds = words[run[-1]].end - words[run[0]].start
        before = found[runs[number - 1][-1]] if number else None
        after = speakers[runs[number + 1][0]] if number + 1 < len(runs) else None
        beside = after if before is None else before  # None: there is only this run
        if beside is not None and seconds < _SHORTEST_TURN_SECONDS and (before == after or None in (before, after)):
            for place in run:
                found[place] = beside
    return found


def name_of(speaker: int, names: Sequence[str]) -> str:
    return (names[speaker - 1] if speaker <= len(names) else "") or f"Speaker {speaker}"
