"""The Markdown of a transcript, and the speakers' labels in texts. Pure, without whisper: corrections use it, too."""

from collections.abc import Sequence
from dataclasses import replace

from processors.whisper.track import subtitle_files
from processors.whisper.track.segment import Segment

LABEL = "[{}] "  # of a speaker
_PAUSE_SECONDS, _PARAGRAPH_SECONDS = 2.0, 60.0  # a paragraph ends at a longer pause, or after this much text


def markdown(segments: Sequence[Segment]) -> str:
    """Paragraphs with their start times: a new one starts after a pause, at a change of channel, or after a minute."""
    paragraphs: list[str] = []
    started, last = 0.0, None
    for segment in segments:
        is_new = last is None or (
            segment.start - last.end > _PAUSE_SECONDS
            or segment.start - started > _PARAGRAPH_SECONDS
            or voice(segment) != voice(last)
        )
        if is_new:
            started = segment.start
            paragraphs.append(f"**{clock(started)}** ")
        paragraphs[-1] += (labeled(segment) if is_new else segment).text.strip() + " "
        last = segment
    return "\n\n".join(paragraph.strip() for paragraph in paragraphs) + ("\n" if paragraphs else "")


def labeled(segment: Segment) -> Segment:
    """The segment with its speaker or the number of its channel, if it has one, before its words."""
    name = subtitle_files.speaker_name(segment)
    if not name:
        return segment
    label, words = f" {LABEL.format(name).strip()}", segment.words
    if words:
        words = (replace(words[0], word=label + words[0].word), *words[1:])
    return replace(segment, text=label + segment.text, words=words)


def voice(segment: Segment) -> tuple[int | None, str | None]:
    """The channel and the speaker."""
    return segment.channel, segment.speaker


def clock(seconds: float) -> str:
    """ "1:02:03" or "2:03"."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
