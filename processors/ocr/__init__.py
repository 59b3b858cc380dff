"""OCR: the text of images and PDF pages in reading order, with boxes and confidences. Needs no download and no GPU.

The engine is RapidOCR, whose wheel carries its models; it is imported when the processor is loaded.
"""

import json
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from processors import pages
from processors.base import (
    BadInput,
    Finished,
    Kind,
    Loaded,
    Options,
    Processor,
    Progress,
    RecipeOptions,
    Work,
)
from processors.ocr import layout
from processors.ocr.layout import Piece
from processors.pages import Page

_EXCERPT_CHARACTERS = 200
_LEGIBLE_SCALE = 0.5  # a page reduced to less than this share of its pixels a side may have lost its small print

log = logging.getLogger(__name__)


class OcrOptions(Options):
    engine: Literal["rapidocr"] = "rapidocr"
    device: Literal["auto", "cpu"] = "auto"  # the CPU either way: a page takes one to three seconds there
    threads: int | None = Field(default=None, ge=1)  # None: this worker's share of the cores


class ReadOptions(RecipeOptions):
    formats: tuple[Literal["txt", "md", "json"], ...] = Field(default=("txt", "json"), min_length=1)
    dpi: int = Field(default=200, ge=50, le=600)  # of PDF pages as they are drawn
    max_pixels: int = Field(default=6_000_000, ge=100_000)  # a larger page is reduced
    min_confidence: float = Field(default=0.8, ge=0, le=1)  # a page whose mean is lower is to be looked at


@dataclass(frozen=True, kw_only=True)
class PageText:
    """One page as it was read, or why it could not be."""

    number: int  # from 1
    lines: tuple[tuple[Piece, ...], ...] = ()  # in reading order, each from left to right
    size: tuple[int, int] | None = None  # width, height of the image the boxes are in
    turned: int = 0  # degrees clockwise by which the page was turned to be upright
    scale: float = 1.0  # how many pixels one pixel of the source became
    notes: tuple[str, ...] = ()  # of the decoding
    error: str | None = None

    @property
    def text(self) -> str:
        return layout.text(self.lines)

    @property
    def confidence(self) -> float | None:
        """Mean over the characters, from 0 to 1; None without text."""
        pieces = [piece for line in self.lines for piece in line]
        characters = sum(len(piece.text) for piece in pieces)
        return sum(piece.confidence * len(piece.text) for piece in pieces) / characters if characters else None


class Ocr(Processor):
    name = "ocr"
    kinds = frozenset({Kind.IMAGE})
    Options = OcrOptions
    Recipe = ReadOptions

    def load(self, options: OcrOptions, models: Path, progress: Progress) -> Loaded:
        from processors.ocr.engine import Engine

        self._engine = Engine.load(options.threads)
        return Loaded(engine="rapidocr", model=self._engine.model_name, device="cpu")

    def process_one(self, work: Work, progress: Progress) -> Finished:
        """Read every page; one that cannot be decoded is told, and does not cost the others.

        Raises:
            BadInput: no page can be decoded.
        """
        options = work.options
        read: list[PageText] = []
        asked = {"max_pixels": options.max_pixels, "dpi": options.dpi, "password": pages.password_of(work)}
        with pages.open_pages(work.source, work.media_type, **asked) as opened:
            for number in range(1, opened.total + 1):
                try:
                    read.append(self._read(opened.read(number)))
                except BadInput as error:
                    if opened.total == 1:
                        raise
                    read.append(PageText(number=number, error=str(error)))
                progress.job(work, done=number, total=opened.total, unit="pages")
        if all(page.error for page in read):
            raise BadInput(read[0].error)
        return _finish(work, read)

    def _read(self, page: Page) -> PageText:
        pieces, image, turned = self._engine.read_upright(page.image)
        return PageText(
            number=page.number,
            lines=layout.lines(pieces),
            size=image.size,
            turned=turned,
            scale=page.scale,
            notes=page.notes,
        )


def _finish(work: Work, read: list[PageText]) -> Finished:
    contents = {"txt": _plain(read), "md": _markdown(read), "json": _json(work, read)}
    files = []
    for name in work.options.formats:
        path = work.outputs / f"{work.stem}.{name}"
        path.write_text(contents[name], encoding="utf-8")
        files.append(path.name)
    known = [page.confidence for page in read if page.confidence is not None]
    return Finished(
        files=tuple(files),
        excerpt=" ".join(_plain(read).split())[:_EXCERPT_CHARACTERS],
        review=tuple(_review(read, work.options.min_confidence)),
        pages=len(read),
        details={"mean_confidence": round(sum(known) / len(known), 4) if known else None},
    )


def _review(read: list[PageText], min_confidence: float) -> list[str]:
    reasons = []
    for page in read:
        if page.error:
            reasons.append(f"page {page.number} could not be read: {page.error}")
        elif page.confidence is None:
            reasons.append(f"page {page.number}: no text was found")
        elif page.confidence < min_confidence:
            reasons.append(f"page {page.number}: the text is uncertain (mean confidence {page.confidence:.2f})")
        if page.scale < _LEGIBLE_SCALE:
            reasons.append(
                f"page {page.number} was {page.notes[0] if page.notes else 'reduced'}: small print may be lost"
            )
    return reasons


def _plain(read: list[PageText]) -> str:
    """The pages' texts, a form feed between two."""
    return "\f".join(f"{page.text}\n" for page in read)


def _markdown(read: list[PageText]) -> str:
    if len(read) == 1:
        return f"{read[0].text}\n"
    return "\n".join(f"## Page {page.number}\n\n{page.text or page.error or '(no text)'}\n" for page in read)


def _json(work: Work, read: list[PageText]) -> str:
    document: dict[str, Any] = {"file": work.source.name, "pages": [_page(page) for page in read]}
    return json.dumps(document, ensure_ascii=False, indent=1) + "\n"


def _page(page: PageText) -> dict[str, Any]:
    return {
        "number": page.number,
        "width": page.size[0] if page.size else None,
        "height": page.size[1] if page.size else None,
        "turned": page.turned,
        "notes": list(page.notes),
        "error": page.error,
        "confidence": page.confidence and round(page.confidence, 4),
        "lines": [
            {
                "text": layout.text([line]).strip(),
                "pieces": [
                    {"text": piece.text, "confidence": round(piece.confidence, 4), "box": piece.box} for piece in line
                ],
            }
            for line in page.lines
        ],
    }


processor = Ocr
