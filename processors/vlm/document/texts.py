"""The text of a document that has no pages, in parts that a model can read at once."""

from processors.contract import BadInput, Progress, Work
from processors.text import TextOptions, reader
from processors.vlm.prompts import MAX_TEXT_CHARACTERS

_MAX_PARTS = 1000
_BREAKS = ("\n\n", "\n", " ")  # where a text may be divided, the best first


def text_parts(work: Work, progress: Progress) -> tuple[list[str], tuple[str, ...]]:
    """The parts of a document's text, and the reasons for a review of that text.

    Raises:
        BadInput: the document cannot be read, or has no text.
        Unavailable: the library that reads this type of document is not installed.
    """
    defaults = TextOptions()
    limits = reader.Limits.of(defaults.max_memory, defaults.max_seconds)
    found = reader.read(work, limits, progress, attachments=False)
    path = work.outputs / found.text_file
    with path.open(encoding="utf-8") as file:
        text = file.read(MAX_TEXT_CHARACTERS * _MAX_PARTS + 1)
    path.unlink()
    if not text.strip():
        raise BadInput("No text was found in this file.")
    review = found.review
    if len(text) > MAX_TEXT_CHARACTERS * _MAX_PARTS:
        text = text[: MAX_TEXT_CHARACTERS * _MAX_PARTS]
        review += ("The text is too long: the model read only its beginning.",)
    return divide(text, MAX_TEXT_CHARACTERS), review


def divide(text: str, most: int) -> list[str]:
    """Divide a text into parts of at most `most` characters, between two paragraphs where that is possible."""
    parts, start = [], 0
    while len(text) - start > most:
        ends = (text.rfind(mark, start + most // 2, start + most) for mark in _BREAKS)
        end = next((end + 1 for end in ends if end >= 0), start + most)
        parts.append(text[start:end].strip())
        start = end
    parts.append(text[start:].strip())
    return [part for part in parts if part]
