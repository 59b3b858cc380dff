"""What was heard in one file, and the result files made of it."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from whisper.utils import get_writer

from processors.whisper import TranscribeOptions
from processors.whisper.sound import Gap


@dataclass(frozen=True, kw_only=True)
class Transcript:
    """The text of one sound track, with the times of openai-whisper's segments."""

    segments: tuple[Mapping[str, Any], ...]  # as openai-whisper gives them, times in seconds of the whole file
    dropped: tuple[Mapping[str, Any], ...] = ()  # segments "heard" where there is silence, or no room for them
    language: str | None  # a code; None: nothing to hear, and none was set
    language_probability: float | None = None  # None: it was not guessed
    seconds: float  # decoded, gaps included
    declared_seconds: float | None = None  # by the file itself
    gaps: tuple[Gap, ...] = ()  # places that could not be decoded
    tracks: int = 1  # sound tracks in the file; the first one was read

    @property
    def text(self) -> str:
        return "".join(segment["text"] for segment in self.segments).strip()

    @property
    def has_words(self) -> bool:
        """Whisper writes " ." or "♪" where it hears nothing to write down."""
        return any(map(str.isalnum, self.text))


def write(transcript: Transcript, outputs: Path, stem: str, options: TranscribeOptions) -> tuple[str, ...]:
    """Write one file a format, each named `stem` and its format; returns their names in the order asked for."""
    return tuple(
        _write(transcript, outputs, f"{stem}.{form}", form, options) for form in dict.fromkeys(options.formats)
    )


def _write(transcript: Transcript, outputs: Path, name: str, form: str, options: TranscribeOptions) -> str:
    with (outputs / name).open("w", encoding="utf-8", newline="\n") as file:
        if form == "json":
            json.dump(_as_json(transcript), file, ensure_ascii=False, indent=1)
            file.write("\n")
        else:
            # The writer's own naming is not used: it cuts "talk.part 1" at the dot.
            get_writer(form, os.devnull).write_result({"segments": list(transcript.segments)}, file, _layout(options))
    return name


def _layout(options: TranscribeOptions) -> dict[str, Any]:
    names = ("highlight_words", "max_line_width", "max_line_count", "max_words_per_line")
    return {name: getattr(options, name) for name in names}


def _as_json(transcript: Transcript) -> dict[str, Any]:
    """openai-whisper's three keys, and what else is known."""
    return {
        "text": transcript.text,
        "segments": transcript.segments,
        "language": transcript.language,
        "language_probability": transcript.language_probability,
        "seconds": transcript.seconds,
        "declared_seconds": transcript.declared_seconds,
        "gaps": [vars(gap) for gap in transcript.gaps],
        "dropped": transcript.dropped,
    }
