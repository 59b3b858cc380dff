"""Corrected segments of a transcript."""

from collections.abc import Sequence
from pathlib import Path

from processors import wellformed
from processors.corrections.changes import InvalidChange, JsonObject, SegmentChange
from processors.whisper.track import subtitle_files
from processors.whisper.track.markdown import LABEL, labeled, markdown
from processors.whisper.track.segment import Segment

FORMATS = ("txt", "srt", "vtt", "tsv", "json", "md")


def correct(document: JsonObject, changes: Sequence[SegmentChange]) -> None:
    """Apply the changes to NAME.json of a recording. Words keep their times if their number is the same.

    Raises:
        InvalidChange: there is no such segment.
    """
    segments = document["segments"]
    for change in changes:
        if change.segment > len(segments):
            raise InvalidChange(f"There is no segment {change.segment}; the last one is {len(segments)}.")
        segment = segments[change.segment - 1]
        segment["text"] = f" {change.text.strip()}"
        _set_words(segment, change.text.split())
    document["text"] = "".join(segment["text"] for segment in segments).strip()


def _set_words(segment: JsonObject, words: Sequence[str]) -> None:
    timed = segment.get("words")
    if timed is None:
        return
    if len(timed) == len(words):
        segment["words"] = [
            {**old, "word": f" {new}", "probability": 1.0} for old, new in zip(timed, words, strict=True)
        ]
    else:
        segment["words"] = _spread(words, segment["start"], segment["end"])


def _spread(words: Sequence[str], start: float, end: float) -> list[dict[str, object]]:
    """Words over a time, each as long as it is in letters."""
    letters = [len(word) + 1 for word in words]
    scale = (end - start) / max(1, sum(letters))
    ends = [start + scale * sum(letters[: number + 1]) for number in range(len(words))]
    starts = [start, *ends[:-1]]
    return [
        {"word": f" {word}", "start": round(first, 2), "end": round(last, 2), "probability": 1.0}
        for word, first, last in zip(words, starts, ends, strict=True)
    ]


def own_formats(document: JsonObject, formats: Sequence[str], options: JsonObject) -> list[str]:
    """The formats in which the result has the transcript, such as "txt" or, with `language_in_name`, "en.srt"; without
    those of a translation."""
    language = "en" if options.get("task") == "translate" else document.get("language")
    named = [f"{language}.{form}" for form in ("srt", "vtt")] if str(language).isalpha() else []
    return [form for form in (*FORMATS, *named) if form in formats]


def write(document: JsonObject, folder: Path, stem: str, formats: Sequence[str]) -> list[str]:
    """Write the files; return their names."""
    segments = [Segment.from_json(segment) for segment in document["segments"]]
    contents = {
        "txt": lambda: "".join(f"{labeled(segment).text.strip()}\n" for segment in segments),
        "srt": lambda: subtitle_files.srt(segments, LABEL, karaoke=False),
        "vtt": lambda: subtitle_files.vtt(segments, karaoke=False),
        "tsv": lambda: "".join(["start\tend\ttext\n", *map(_tsv_row, segments)]),
        "md": lambda: markdown(segments),
        "json": lambda: wellformed.dumps(document, indent=1) + "\n",
    }
    for form in formats:
        (folder / f"{stem}.{form}").write_text(contents[form.rpartition(".")[2]](), encoding="utf-8")
    return [f"{stem}.{form}" for form in formats]


def _tsv_row(segment: Segment) -> str:
    """As the `whisper` command writes it: milliseconds, and no tab in the text."""
    text = labeled(segment).text.strip().replace("\t", " ")
    return f"{round(1000 * segment.start)}\t{round(1000 * segment.end)}\t{text}\n"
