"""What is found in a document: its text as it is written, and what a person should know about it. No I/O but the text
file, to which the parts are written as they come."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

from processors import wellformed

MAX_CHARACTERS = 200_000_000
_BEGINNING = 2000  # characters
_UNWANTED = re.compile("[\x00-\x08\x0b\x0e-\x1f\x7f\ufdd0-\ufdef\ufffe\uffff]")
_MARKS = re.compile(r"[\s#|*_>-]+")  # of Markdown, without text
_ESCAPE = re.compile("\x1b\\[[0-9;]*[A-Za-z]")  # colors of terminals, in logs


@dataclass(kw_only=True)
class TextDocument:
    """The text of one file while it is being written."""

    file: TextIO
    folder: Path  # for attachments
    format: str = "text"
    suffix: str = "md"
    review: list[str] = field(default_factory=list)
    facts: dict[str, object] = field(default_factory=dict)  # for `Finished.details`
    attachments: list[str] = field(default_factory=list)  # paths relative to `folder`
    beginning: str = ""
    characters: int = 0
    removed: int = 0  # control characters
    unknown: int = 0  # U+FFFD
    is_cut: bool = False

    def write(self, text: str) -> None:
        """Add text, without control characters; nothing once it is too long."""
        text = _ESCAPE.sub("", wellformed.text(text)).replace("\r\n", "\n").replace("\r", "\n")
        text, removed = _UNWANTED.subn("", text)
        self.removed += removed
        if self.characters + len(text) > MAX_CHARACTERS:
            text, self.is_cut = text[: MAX_CHARACTERS - self.characters], True
        self.unknown += text.count("\ufffd")
        self.characters += len(text)
        if len(self.beginning) < _BEGINNING:
            self.beginning += text[:_BEGINNING].lstrip()
        self.file.write(text)

    def reasons(self) -> Iterator[str]:
        """The reasons for a review, once all is written."""
        yield from self.review
        if not _MARKS.sub("", self.beginning):
            yield "No text was found."
        if self.is_cut:
            yield f"The text is cut off after {MAX_CHARACTERS:,} characters."
        if self.removed:
            yield f"{self.removed:,} control characters, such as NUL bytes, were removed."
        if self.unknown:
            yield f"{self.unknown:,} characters could not be decoded; the text has U+FFFD in their places."

    def summary(self) -> Mapping[str, object]:
        """The same as JSON values, for the process that started this one."""
        return {
            "format": self.format,
            "suffix": self.suffix,
            "review": list(dict.fromkeys(self.reasons())),
            "facts": self.facts,
            "attachments": self.attachments,
            "beginning": self.beginning[:_BEGINNING],
            "characters": self.characters,
        }


def counted(count: int, noun: str) -> str:
    """Such as "1 row" or "2 rows"."""
    return f"{count} {noun}{'' if count == 1 else 's'}"
