"""One file: its pages, read one after the other, and the files of its result."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from processors import pages
from processors.contract import BadInput, Finished, Progress, Work
from processors.ocr import reading_order, text_lines
from processors.ocr.options import DEFAULT_FORMATS, ReadOptions
from processors.ocr.page_reader import PageReader
from processors.ocr.small_models import SmallModels
from processors.ocr.text import PageText, finish_text
from processors.ocr.text_lines import TextBox
from processors.pages import Page

if TYPE_CHECKING:
    from processors.ocr.engine import RapidOcrEngine


class FileReader:
    """Reads files with an engine, which is loaded when the first page needs it.

    `models`: the folder of downloaded models."""

    def __init__(self, engine: "Callable[[], RapidOcrEngine]", models: Path):
        self._engine, self._models = engine, models

    def _engine_with(
        self, options: ReadOptions, others: Sequence[Path], pulse: Callable[[], object]
    ) -> "RapidOcrEngine":
        engine = self._engine()
        engine.use(others, self._find_small_models(options))
        engine.pulse = pulse
        return engine

    def _find_models(self, languages: tuple[str, ...]) -> Sequence[Path]:
        from processors.ocr import downloaded_models  # imports an HTTP client

        return downloaded_models.find_for(languages, self._models)

    def _find_small_models(self, options: ReadOptions) -> SmallModels | None:
        """None for tables of amounts, which the usual models read: a wrong digit costs more there than the time."""
        from processors.ocr import downloaded_models, fast_model  # see above

        if options.task != "read" or options.small_models == "never":
            return None
        recognition, detection = (downloaded_models.find(name, self._models) for name in fast_model.NAMES)
        return SmallModels(recognition, detection) if recognition else None

    def process(self, work: Work[ReadOptions], progress: Progress) -> Finished:
        """Read every page, and write the files of the recipe; report pages that cannot be decoded.

        Raises:
            BadInput: no page can be decoded.
        """
        read, warnings = self._read_pages(work, progress)
        if all(page.error for page in read):
            raise BadInput(read[0].error or pages.UNREADABLE_PAGE)
        formats = work.options.formats or DEFAULT_FORMATS[work.options.task]
        if work.options.task != "read":
            return self._finish_document(work, read, formats, progress)
        writers: dict[str, Callable[[Path], object]] = {
            "pdf": lambda path: _write_pdf(work, read, path),
            "hocr": lambda path: _write_hocr(work, read, path),
        }
        return finish_text(work, read, formats, warnings, writers)

    def _finish_document(
        self, work: Work[ReadOptions], read: Sequence[PageText], formats: Sequence[str], progress: Progress
    ) -> Finished:
        from processors.ocr import documents  # takes longer to import than a page with a text layer takes to read

        match work.options.task:
            case "receipt":
                return documents.finish_receipt(work, read, formats)
            case "invoice":
                return documents.finish_invoice(work, read, formats)
        return documents.finish_statement(work, read, formats, lambda again: self._read_again(work, again, progress))

    def _read_pages(self, work: Work[ReadOptions], progress: Progress) -> tuple[list[PageText], Sequence[str]]:
        """The pages, and whatever the file contains that is on none of them."""
        options = work.options
        read: list[PageText] = []
        others = self._find_models(options.languages) if options.languages else ()
        with _opened(work) as opened:

            def pulse() -> None:
                progress.job(work, done=len(read), total=opened.total, unit="pages")

            self._reader = PageReader(lambda: self._engine_with(options, others, pulse), options.text_layer)
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

    def _read_again(self, work: Work[ReadOptions], doubtful: Sequence[PageText], progress: Progress) -> list[PageText]:
        """Read pages with a text layer by OCR, others from a smaller image, in which OCR makes different mistakes."""
        again = []
        with _opened(work) as opened:
            for number, first in enumerate(doubtful, start=1):
                try:
                    with _page_boundary(work, first.number):
                        image = opened.read(first.number).image
                        found = self._engine().read_again(image, first.rotation if first.source == "OCR" else None)
                        again.append(
                            PageText(number=first.number, lines=text_lines.group_lines(found), size=image.size)
                        )
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
        return replace(page, lines=text_lines.group_lines(boxes))
    blocks = reading_order.order(boxes)
    return replace(page, blocks=blocks, lines=tuple(line.boxes for block in blocks for line in block.lines))


def _write_pdf(work: Work[ReadOptions], read: Sequence[PageText], path: Path) -> None:
    from processors.ocr.searchable import write_pdf

    with _opened(work) as opened:
        write_pdf(work, opened, read, path)


def _write_hocr(work: Work[ReadOptions], read: Sequence[PageText], path: Path) -> None:
    from processors.ocr.hocr import to_hocr

    path.write_text(to_hocr(work.source.name, read), encoding="utf-8")


def _page_boundary(work: Work[ReadOptions], number: int) -> AbstractContextManager[None]:
    """Error boundary of one page."""
    where = f"job {work.job} ({work.source.name}), page {number}"
    return pages.unexpected_as_bad_input(where, pages.UNREADABLE_PAGE)


def _opened(work: Work[ReadOptions]) -> "AbstractContextManager[pages.Pages]":
    """The pages of a file, opened with the options of its recipe."""
    options, password = work.options, pages.read_password(work)
    return pages.open_pages(
        work.source, work.media_type, max_pixels=options.max_pixels, dpi=options.dpi, password=password
    )
