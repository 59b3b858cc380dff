"""Subtitle files of `subtitles.cues`: SubRip (.srt) and WebVTT (.vtt), with speakers and karaoke."""

from collections.abc import Iterator, Sequence
from html import escape
from itertools import groupby

from processors.whisper.track.segment import Segment, Word
from processors.whisper.track.subtitles import Cue, cues


def srt(segments: Sequence[Segment], label: str, karaoke: bool) -> str:
    """label: "" or a pattern for a speaker's name, written where the speaker changes. karaoke: every word is underlined
    while it is spoken."""
    blocks: list[str] = []
    for cue in _with_labels(cues(segments), label):
        for start, end, text in _underlined(*cue) if karaoke else [(cue[0].start, cue[0].end, _text(*cue))]:
            times = f"{_clock(start, ',')} --> {_clock(end, ',')}"
            blocks.append(f"{len(blocks) + 1}\n{times}\n{text.replace('-->', '->')}\n")
    return "\n".join(blocks)


def vtt(segments: Sequence[Segment], karaoke: bool) -> str:
    """Speakers as voice spans; karaoke: every word with a timestamp."""
    blocks = ["WEBVTT\n"]
    for cue in cues(segments):
        name = speaker_name(cue.segment)
        lines = (_timestamped(line, cue.start) if karaoke else _escaped(line) for line in cue.lines)
        voice = f"<v {escape(name, quote=False)}>" if name else ""
        times = f"{_clock(cue.start, '.')} --> {_clock(cue.end, '.')}"
        blocks.append(f"{times}\n{voice}" + "\n".join(line.strip() for line in lines) + "\n")
    return "\n".join(blocks)


def speaker_name(segment: Segment) -> str:
    """The speaker, or the number of the channel; "": neither is known."""
    return segment.speaker or ("" if segment.channel is None else str(segment.channel))


def _with_labels(found: Sequence[Cue], label: str) -> Iterator[tuple[Cue, str]]:
    for name, run in groupby(found, key=lambda cue: speaker_name(cue.segment)):
        for number, cue in enumerate(run):
            yield cue, label.format(name) if label and name and not number else ""


def _text(cue: Cue, label: str) -> str:
    return label + "\n".join(cue.text_lines)


def _underlined(cue: Cue, label: str) -> Iterator[tuple[float, float, str]]:
    """The cue once for each word, and between words without an underline."""
    at, words = cue.start, cue.words
    for number, word in enumerate(words):
        start = min(max(word.start, at), cue.end)
        end = min(max(word.end, start), cue.end)
        if start > at:
            yield at, start, _text(cue, label)
        if end > start:
            yield start, end, label + _marked(cue, number)
        at = end
    if cue.end > at:
        yield at, cue.end, _text(cue, label)


def _marked(cue: Cue, marked: int) -> str:
    lines, number = [], 0
    for line in cue.lines:
        text = ""
        for word in line:
            plain = word.word.strip()
            text += word.word.replace(plain, f"<u>{plain}</u>") if number == marked and plain else word.word
            number += 1
        lines.append(text.strip())
    return "\n".join(lines)


def _escaped(line: Sequence[Word]) -> str:
    return escape("".join(word.word for word in line), quote=False)


def _timestamped(line: Sequence[Word], start: float) -> str:
    parts = []
    for word in line:
        stamp = f"<{_clock(word.start, '.')}>" if word.start > start else ""
        space = word.word[: len(word.word) - len(word.word.lstrip())]
        parts.append(f"{space}{stamp}<c>{escape(word.word.strip(), quote=False)}</c>")
    return "".join(parts)


def _clock(seconds: float, mark: str) -> str:
    """ "00:01:02,500": hours, minutes, seconds, milliseconds."""
    rest, milliseconds = divmod(round(seconds * 1000), 1000)
    minutes, second = divmod(rest, 60)
    return f"{minutes // 60:02}:{minutes % 60:02}:{second:02}{mark}{milliseconds:03}"
