"""The text of documents: mail, web pages, Office and OpenDocument files, e-books, RTF, and plain text in any encoding.

    [inbox]
    text = "text"

Each file is read by a child process with limits of memory and time (see `child`), so that a decompression bomb fails
alone. Imported by the daemon to check its configuration, so nothing heavy is imported here.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import cast

from pydantic import Field

from processors.contract import (
    Finished,
    Kind,
    Loaded,
    NotReady,
    Options,
    Plan,
    Processor,
    Progress,
    RecipeOptions,
    Runnable,
    Work,
)
from processors.options import MAX_AT_ONCE
from processors.quantities import Memory, Seconds

__all__ = ["Text", "TextOptions", "processor"]

_EXCERPT_CHARACTERS = 200


class TextOptions(Options):
    """`[processors.text]`"""

    max_batch: int = Field(default=16, ge=1, le=MAX_AT_ONCE)
    max_memory: Memory = "1GB"  # of the process that reads one file
    max_seconds: Seconds = Field(default=120.0, gt=0)  # of CPU time, for one file


class TextRecipe(RecipeOptions):
    """`[recipes.NAME]`"""

    attachments: bool = True  # of an email message: write each to a file of the result, and read it


class Text(Processor[TextOptions, TextRecipe]):
    name = "text"
    kinds = frozenset({Kind.TEXT})
    Options = TextOptions
    Recipe = TextRecipe

    @classmethod
    def plan(cls, options: TextOptions, recipe: TextRecipe, models: Path) -> Plan:
        from processors import extras

        missing = extras.why_missing("documents", python=options.python)
        return NotReady(why=missing, lacks_extra=True) if missing else Runnable()

    def load(self, options: TextOptions, models: Path, progress: Progress) -> Loaded:
        from importlib.metadata import version

        from processors.text.attachments import AttachmentReader
        from processors.text.reader import Limits

        self._limits = Limits.of(options.max_memory, options.max_seconds)
        self._attachments = AttachmentReader(models, self._limits, progress)
        return Loaded(engine=f"kreuzberg {version('kreuzberg')}", model="none", device="cpu")

    def process_one(self, work: Work[TextRecipe], progress: Progress) -> Finished:
        from processors.text import reader

        found = reader.read(work, self._limits, progress, attachments=work.options.attachments)
        review = found.review
        if found.attachments:
            names = cast("Sequence[str]", found.facts.get("attachments", ()))
            attached = self._attachments.read(work, found.attachments, names, progress)
            with (work.outputs / found.text_file).open("a", encoding="utf-8") as file:
                file.writelines(attached.sections)
            review = tuple(dict.fromkeys((*review, *attached.review)))
        name = f"{work.stem}.{found.suffix}"
        (work.outputs / found.text_file).rename(work.outputs / name)
        return Finished(
            files=(name, *found.attachments),
            excerpt=" ".join(found.beginning.split())[:_EXCERPT_CHARACTERS],
            review=review,
            pages=1,
            details={"format": found.format, "characters": found.characters, **found.facts},
        )


processor = Text
