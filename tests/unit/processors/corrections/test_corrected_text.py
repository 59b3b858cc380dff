"""A person corrects lines of text and segments of transcripts."""

import json
from pathlib import Path
from typing import Any

import pytest

from processors.corrections.changes import InvalidChange
from processors.corrections.write import write


def order(document: dict[str, Any], *changes: dict[str, Any]) -> dict[str, Any]:
    formats = ["json", "txt", "srt", "vtt", "tsv", "md"]
    return {"document": document, "stem": "d", "title": "d", "formats": formats, "changes": list(changes)}


def pages() -> dict[str, Any]:
    pieces = [
        {"text": "Helo", "confidence": 0.5, "box": [[1, 2], [5, 2], [5, 4], [1, 4]]},
        {"text": "Wrld", "confidence": 0.5, "box": [[6, 2], [9, 2], [9, 5], [6, 5]]},
    ]
    first = {"number": 1, "width": 10, "height": 10, "lines": [{"text": "Helo Wrld", "pieces": pieces}]}
    return {"file": "d.png", "pages": [first, {"number": 2, "lines": [{"text": "second"}]}]}


def test_corrected_line_is_one_piece_around_its_pieces(tmp_path: Path):
    made = write(order(pages(), {"page": 1, "line": 1, "text": "Hello World"}), tmp_path)
    assert made == {"files": ["d.txt", "d.json"], "review": []}
    assert (tmp_path / "d.txt").read_text() == "Hello World\n\fsecond\n"
    line = json.loads((tmp_path / "d.json").read_text())["pages"][0]["lines"][0]
    assert line["text"] == "Hello World"
    box = [[1, 2], [9, 2], [9, 5], [1, 5]]
    assert line["pieces"] == [{"text": "Hello World", "confidence": 1.0, "box": box}]


def recording() -> dict[str, Any]:
    words = [
        {"word": " Good", "start": 0.0, "end": 0.5, "probability": 0.9},
        {"word": " mourning", "start": 0.5, "end": 1.0, "probability": 0.3},
    ]
    segments = [
        {"id": 0, "start": 0.0, "end": 1.0, "text": " Good mourning", "words": words, "speaker": "Ann"},
        {"id": 1, "start": 1.0, "end": 3.0, "text": " to all."},
    ]
    return {"text": "Good mourning to all.", "segments": segments, "language": "en"}


def test_corrected_word_keeps_its_time(tmp_path: Path):
    made = write(order(recording(), {"segment": 1, "text": "Good morning"}), tmp_path)
    assert made["files"] == ["d.txt", "d.srt", "d.vtt", "d.tsv", "d.json", "d.md"]
    document = json.loads((tmp_path / "d.json").read_text())
    assert document["text"] == "Good morning to all."
    word = document["segments"][0]["words"][1]
    assert word == {"word": " morning", "start": 0.5, "end": 1.0, "probability": 1.0}
    assert (tmp_path / "d.txt").read_text() == "[Ann] Good morning\nto all.\n"
    assert "morning" in (tmp_path / "d.srt").read_text()
    assert (tmp_path / "d.vtt").read_text().startswith("WEBVTT")
    assert (tmp_path / "d.tsv").read_text() == "start\tend\ttext\n0\t1000\t[Ann] Good morning\n1000\t3000\tto all.\n"
    assert (tmp_path / "d.md").read_text() == "**0:00** [Ann] Good morning\n\n**0:01** to all.\n"


@pytest.mark.parametrize(
    ("options", "formats", "names"),
    [
        ({}, ["json", "en.srt", "en.vtt", "de.srt"], ["d.json", "d.en.srt", "d.en.vtt"]),
        ({"task": "both"}, ["json", "srt", "de.srt", "de.txt"], ["d.srt", "d.json"]),
    ],
)
def test_subtitles_named_by_language_are_corrected_but_not_translations(
    options: dict[str, Any], formats: list[str], names: list[str], tmp_path: Path
):
    given = order(recording(), {"segment": 1, "text": "Good morning"})
    assert write({**given, "formats": formats, "options": options}, tmp_path)["files"] == names
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(names)


def test_words_of_another_number_are_spread_over_the_segment(tmp_path: Path):
    write(order(recording(), {"segment": 1, "text": "A very good morning"}), tmp_path)
    words = json.loads((tmp_path / "d.json").read_text())["segments"][0]["words"]
    assert [word["word"] for word in words] == [" A", " very", " good", " morning"]
    assert (words[0]["start"], words[-1]["end"]) == (0.0, 1.0)
    assert all(word["start"] <= word["end"] for word in words)


@pytest.mark.parametrize(
    ("document", "change"),
    [
        (pages(), {"page": 1, "line": 2, "text": "x"}),
        (pages(), {"page": 3, "line": 1, "text": "x"}),
        (pages(), {"segment": 1, "text": "x"}),
        (recording(), {"segment": 3, "text": "x"}),
        (recording(), {"row": 1, "values": {}}),
    ],
)
def test_place_that_does_not_exist_is_refused(document: dict[str, Any], change: dict[str, Any], tmp_path: Path):
    with pytest.raises(InvalidChange):
        write(order(document, change), tmp_path)
    assert list(tmp_path.iterdir()) == []
