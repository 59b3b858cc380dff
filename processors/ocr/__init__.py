"""OCR: the text of images and PDF pages in reading order, and the rows of bank statements. No download, no GPU.

The engine is RapidOCR, whose wheel contains its models; it is imported when the processor is loaded. A good text layer
of a PDF page is used instead of OCR.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import Field, model_validator

from processors import malloc, pages, statements
from processors.contract import (
    MAX_PIXELS,
    MAX_THREADS,
    BadInput,
    Finished,
    GpuUse,
    Kind,
    Loaded,
    Options,
    Processor,
    Progress,
    Work,
)
from processors.ocr import downloaded_models, layout, reading_order
from processors.ocr.bundled_models import model_name
from processors.ocr.documents import finish_invoice, finish_receipt, finish_statement
from processors.ocr.hocr import to_hocr
from processors.ocr.layout import TextBox
from processors.ocr.page_reader import PageReader
from processors.ocr.searchable import write_pdf
from processors.ocr.text import PageText, finish_text
from processors.pages import Page

if TYPE_CHECKING:
    from processors.ocr.engine import RapidOcrEngine

_FORMATS = {  # by task; the first is what a person opens
    "read": {"default": ("txt", "json"), "known": ("txt", "md", "json", "pdf", "hocr")},
    **{
        task: {"default": formats, "known": (*formats, *statements.OPTIONAL_FORMATS.get(task, ()), "txt")}
        for task, formats in statements.FORMATS.items()
    },
}


class OcrOptions(Options):
    engine: Literal["rapidocr"] = "rapidocr"
    device: Literal["auto", "cpu"] = "auto"  # both mean the CPU: a page takes one to three seconds
    threads: int | None = Field(default=None, ge=1, le=MAX_THREADS)  # None: this worker's share of the cores


class ReadOptions(statements.CsvOptions):
    task: Literal["read", "bank-statement", "receipt", "invoice"] = "read"
    # empty: the task's defaults
    formats: tuple[Literal["txt", "md", "json", "pdf", "hocr", "csv", "xlsx", "ofx", "qif", "beancount"], ...] = ()
    dpi: int = Field(default=200, ge=50, le=600)  # at which PDF pages are rendered
    max_pixels: int = Field(default=6_000_000, ge=100_000, le=MAX_PIXELS)  # a larger page is reduced
    min_confidence: float = Field(default=0.8, ge=0, le=1)  # a page with a lower mean needs review
    min_row_confidence: float = Field(default=0.7, ge=0, le=1)  # of a statement's row: its least certain word
    text_layer: Literal["auto", "never"] = "auto"  # "never": use OCR even for PDF pages with a text layer
    languages: tuple[str, ...] = ()  # beyond those of the built-in model: see `downloaded_models.LANGUAGES`
    second_reading: Literal["auto", "always", "never"] = "auto"  # of a statement's pages; auto: if something disagrees
    remember_layouts: bool = True  # of statements whose balances confirm how they were read, for later statements

    @model_validator(mode="after")
    def _check_languages(self) -> "ReadOptions":
        if unknown := [name for name in self.languages if name not in downloaded_models.LANGUAGES]:
            known = ", ".join(sorted(downloaded_models.LANGUAGES))
            raise ValueError(
                f"no OCR model for {', '.join(unknown)}; choose from: {known}. "
                "Latin script, Chinese and Japanese need none"
            )
        return self

    @model_validator(mode="after")
    def _check_formats(self) -> "ReadOptions":
        known = _FORMATS[self.task]["known"]
        if wrong := [name for name in self.formats if name not in known]:
            raise ValueError(f'task "{self.task}" cannot write {", ".join(wrong)}; choose from: {", ".join(known)}')
        return self


class Ocr(Processor):
    name = "ocr"
    kinds = frozenset({Kind.IMAGE})
    Options = OcrOptions
    Recipe = ReadOptions

    @classmethod
    def gpu_use(cls, options: Options) -> GpuUse:
        return GpuUse.NONE

    def load(self, options: OcrOptions, models: Path, progress: Progress) -> Loaded:
        malloc.keep()
        self._threads, self._models = options.threads, models
        return Loaded(engine="rapidocr", model=model_name(), device="cpu")

    @cached_property
    def _engine(self) -> "RapidOcrEngine":
        """OCR, loaded when the first page needs it: a PDF file with a good text layer does not."""
        from processors.ocr.engine import RapidOcrEngine

        return RapidOcrEngine.load(self._threads)

    def _engine_with(self, others: Sequence[Path]) -> "RapidOcrEngine":
        self._engine.use(others)
        return self._engine

    def process_one(self, work: Work, progress: Progress) -> Finished:
        """Read every page; report those that cannot be decoded.

        Raises:
            BadInput: no page can be decoded.
        """
        try:
            return self._process(work, progress)
        finally:
            malloc.give_back()

    def _process(self, work: Work, progress: Progress) -> Finished:
        read, warnings = self._read_pages(work, progress)
        if all(page.error for page in read):
            raise BadInput(read[0].error)
        formats = work.options.formats or _FORMATS[work.options.task]["default"]
        match work.options.task:
            case "bank-statement":
                return finish_statement(work, read, formats, lambda again: self._read_again(work, again, progress))
            case "receipt":
                return finish_receipt(work, read, formats)
            case "invoice":
                return finish_invoice(work, read, formats)
            case _:
                writers = {
                    "pdf": lambda path: _write_pdf(work, read, path),
                    "hocr": lambda path: path.write_text(to_hocr(work.source.name, read), encoding="utf-8"),
                }
                return finish_text(work, read, formats, warnings, writers)

    def _read_pages(self, work: Work, progress: Progress) -> tuple[list[PageText], Sequence[str]]:
        """The pages, and whatever the file contains that is on none of them."""
        options, read = work.options, []
        others = downloaded_models.find_for(options.languages, self._models) if options.languages else ()
        self._reader = PageReader(lambda: self._engine_with(others), options.text_layer)
        with _opened(work) as opened:
            for number in range(1, opened.total + 1):
                was_rotated = bool(read and read[-1].rotation)
                try:
                    with _page_boundary(work, number):
                        read.append(self._read(opened.read(number), options, was_rotated))
                except BadInput as error:
                    if opened.total == 1:
                        raise
                    read.append(PageText(number=number, error=str(error)))
                progress.job(work, done=number, total=opened.total, unit="pages")
        return read, opened.warnings

    def _read_again(self, work: Work, doubtful: Sequence[PageText], progress: Progress) -> list[PageText]:
        """Read pages with a text layer by OCR, others from a smaller image, in which OCR makes different mistakes."""
        again = []
        with _opened(work) as opened:
            for number, first in enumerate(doubtful, start=1):
                try:
                    with _page_boundary(work, first.number):
                        image = opened.read(first.number).image
                        found = self._engine.read_again(image, first.rotation if first.source == "OCR" else None)
                        again.append(PageText(number=first.number, lines=layout.group_lines(found), size=image.size))
                except BadInput as error:
                    again.append(PageText(number=first.number, error=str(error)))
                progress.job(work, done=opened.total + number, total=opened.total + len(doubtful), unit="pages")
        return again

    def _read(self, page: Page, options: ReadOptions, was_rotated: bool) -> PageText:
        read_page = self._reader.read if options.task == "read" else self._reader.read_as_one
        return _in_order(*read_page(page, was_rotated), options.task)


def _in_order(page: PageText, boxes: Sequence[TextBox], task: str) -> PageText:
    """The page with its text: in reading order, or line by line, as the readers of tables need it."""
    if task != "read":
        return replace(page, lines=layout.group_lines(boxes))
    blocks = reading_order.order(boxes)
    return replace(page, blocks=blocks, lines=tuple(line.boxes for block in blocks for line in block.lines))


def _write_pdf(work: Work, read: Sequence[PageText], path: Path) -> None:
    with _opened(work) as opened:
        write_pdf(work, opened, read, path)


def _page_boundary(work: Work, number: int) -> AbstractContextManager[None]:
    """Error boundary of one page."""
    where = f"job {work.job} ({work.source.name}), page {number}"
    return pages.unexpected_as_bad_input(where, pages.UNREADABLE_PAGE)


def _opened(work: Work) -> "AbstractContextManager[pages.Pages]":
    """The pages of a file, opened with the options of its recipe."""
    options, password = work.options, pages.read_password(work)
    return pages.open_pages(
        work.source, work.media_type, max_pixels=options.max_pixels, dpi=options.dpi, password=password
    )


processor = Ocr
