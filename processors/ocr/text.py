"""The text of pages as result files (plain, Markdown, JSON with boxes), and the reasons to review it."""

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

from processors import wellformed
from processors.contract import Finished, Work
from processors.ocr import text_lines
from processors.ocr.markdown import to_markdown
from processors.ocr.options import ReadOptions
from processors.ocr.reading_order import Block
from processors.ocr.text_lines import TextBox

Source = Literal["OCR", "text layer", "text layer and OCR"]

_SUFFIXES = {"pdf": "searchable.pdf"}  # the original, which may be NAME.pdf, is in the same folder
_EXCERPT_CHARACTERS = 200
_LEVELS = 4  # of the JSON document: one row for each line of text
_UNKNOWN = "\ufffd"  # see `pages.text_layer`
_LEAST_DOUBTFUL = 4  # letters and digits of a line that is quoted in the review
_MOST_QUOTED, _QUOTED_CHARACTERS = 3, 60
_LEGIBLE_SCALE = 0.5  # of its pixels per side; a page that is reduced further may have lost its small print


@dataclass(frozen=True, kw_only=True)
class PageText:
    """One page as it was read, or why it could not be read."""

    number: int  # from 1
    lines: tuple[tuple[TextBox, ...], ...] = ()  # in reading order
    blocks: tuple[Block, ...] = ()  # the same as parts of the page; none: one part
    size: tuple[int, int] | None = None  # width, height of the image that contains the boxes
    rotation: int = 0  # degrees clockwise by which the page was rotated upright
    scale: float = 1.0  # factor from pixels of the source to pixels of the image
    notes: tuple[str, ...] = ()  # of the decoding
    error: str | None = None
    uncertain: tuple[TextBox, ...] = ()  # confidence too low to use
    source: Source = "OCR"
    warnings: tuple[str, ...] = ()  # about content that the text cannot contain
    unread: int = 0  # lines of ink that did not become text
    unknown: int = 0  # lines with letters that the model does not know
    is_by_small_models: bool = False  # they read at least a part of it

    @cached_property
    def text(self) -> str:
        if self.blocks:
            return "\n".join(block.text for block in self.blocks)
        return text_lines.format_lines(self.lines)

    @cached_property
    def confidence(self) -> float | None:
        """Mean over the characters, from 0 to 1; None without text."""
        boxes = [box for line in self.lines for box in line]
        characters = sum(len(box.text) for box in boxes)
        return sum(box.confidence * len(box.text) for box in boxes) / characters if characters else None


def finish_text(
    work: Work[ReadOptions],
    read: list[PageText],
    formats: Sequence[str],
    warnings: Sequence[str],
    writers: Mapping[str, Callable[[Path], object]],
) -> Finished:
    """Write the result files.

    `warnings`: about content of the file that is on no page; `writers`: of the other formats, such as a searchable PDF
    file.
    """
    contents: dict[str, Callable[[], str]] = {
        "txt": lambda: plain(read),
        "md": lambda: _markdown(read),
        "json": lambda: _json(work, read),
    }
    files = []
    for name in formats:
        path = work.outputs / f"{work.stem}.{_SUFFIXES.get(name, name)}"
        if name in writers:
            writers[name](path)
        else:
            path.write_text(contents[name](), encoding="utf-8")
        files.append(path.name)
    known = [page.confidence for page in read if page.confidence is not None]
    layers = [page.number for page in read if page.source == "text layer"]
    return Finished(
        files=tuple(files),
        excerpt=" ".join(plain(read).split())[:_EXCERPT_CHARACTERS],
        review=(
            *warnings,
            *review(read, work.options.min_confidence),
            *_unread(read),
            *_doubtful(read, work.options.min_confidence),
        ),
        pages=len(read),
        details={
            "mean_confidence": round(sum(known) / len(known), 4) if known else None,
            "uncertain_lines": sum(len(page.uncertain) for page in read),
            "pages_from_text_layer": layers,
            "pages_by_small_models": [page.number for page in read if page.is_by_small_models],
        },
    )


def review(read: Sequence[PageText], min_confidence: float, *, with_uncertain: bool = True) -> list[str]:
    """Return the reasons why a person should review the pages; `with_uncertain`: including lines that were not used."""
    reasons = []
    for page in read:
        if page.error:
            reasons.append(f"page {page.number} could not be read: {page.error}")
        elif page.confidence is None:
            reasons.append(f"page {page.number}: no text was found")
        elif page.confidence < min_confidence:
            reasons.append(f"page {page.number}: the text is uncertain (mean confidence {page.confidence:.2f})")
        reasons += [f"page {page.number}: {warning}" for warning in page.warnings]
        unknown = page.text.count(_UNKNOWN) if page.source != "OCR" else 0
        if unknown:
            noun = "character" if unknown == 1 else "characters"
            reasons.append(f"page {page.number}: {unknown} unreadable {noun} in the text layer")
        if struck := _struck(page):
            reasons.append(f"page {page.number}: words are struck out: {struck}")
        if page.uncertain and with_uncertain:
            reasons.append(f"page {page.number}: lines too uncertain to use: {len(page.uncertain)}")
        if page.scale < _LEGIBLE_SCALE:
            reasons.append(
                f"page {page.number} was {page.notes[0] if page.notes else 'reduced'}: small print may be lost"
            )
    return reasons


def _struck(page: PageText) -> str:
    """The words that are struck out, shortened; "" if there are none."""
    runs = [
        " ".join(box.text for box in run)
        for line in page.lines
        for is_struck, run in itertools.groupby(line, key=lambda box: box.is_struck)
        if is_struck
    ]
    more = "; …" if len(runs) > _MOST_QUOTED else ""
    return "; ".join(f'"{run[:_QUOTED_CHARACTERS]}"' for run in runs[:_MOST_QUOTED]) + more


def _unread(read: Sequence[PageText]) -> list[str]:
    """Lines that OCR detected, but could not read."""
    reasons = []
    for page in read:
        if page.unknown:
            reasons.append(f"page {page.number}: lines with letters that the OCR model does not know: {page.unknown}")
        if page.unread:
            reasons.append(f"page {page.number}: lines that look like writing, but yielded no text: {page.unread}")
    return reasons


def _doubtful(read: Sequence[PageText], min_confidence: float) -> list[str]:
    """Lines that OCR probably misread, on pages that are not uncertain as a whole."""
    reasons = []
    for page in read:
        if page.confidence is None or page.confidence < min_confidence:
            continue
        doubtful = [
            " ".join(box.text.split())[:_QUOTED_CHARACTERS]
            for line in page.lines
            for box in line
            if box.confidence < min_confidence and sum(map(str.isalnum, box.text)) >= _LEAST_DOUBTFUL
        ]
        if doubtful:
            noun = "line" if len(doubtful) == 1 else "lines"
            quoted = "; ".join(f'"{text}"' for text in doubtful[:_MOST_QUOTED])
            more = "; …" if len(doubtful) > _MOST_QUOTED else ""
            reasons.append(f"page {page.number}: {len(doubtful)} {noun} may be wrong: {quoted}{more}")
    return reasons


def plain(read: Sequence[PageText]) -> str:
    """The text of the pages, with a form feed between two pages."""
    return "\f".join(f"{page.text}\n" for page in read)


def _markdown(read: list[PageText]) -> str:
    if len(read) == 1:
        return f"{to_markdown(read[0].blocks)}\n"
    parts = [to_markdown(page.blocks, level=3) or page.error or "(no text)" for page in read]
    return "\n".join(f"## Page {page.number}\n\n{part}\n" for page, part in zip(read, parts, strict=True))


def _json(work: Work, read: list[PageText]) -> str:
    document: dict[str, object] = {"file": work.source.name, "pages": [_page(page) for page in read]}
    return wellformed.dumps(document, indent=1, levels=_LEVELS) + "\n"


def _page(page: PageText) -> dict[str, object]:
    return {
        "number": page.number,
        "width": page.size[0] if page.size else None,
        "height": page.size[1] if page.size else None,
        "turned": page.rotation,
        "source": page.source,
        "notes": list(page.notes),
        "error": page.error,
        "confidence": page.confidence and round(page.confidence, 4),
        "lines": [
            {
                "text": text_lines.format_lines([line]).strip(),
                "pieces": [
                    {
                        "text": box.text,
                        "confidence": round(box.confidence, 4),
                        "box": box.corners,
                        **({"struck": True} if box.is_struck else {}),
                    }
                    for box in line
                ],
            }
            for line in page.lines
        ],
        "uncertain": [{"text": box.text, "confidence": round(box.confidence, 4)} for box in page.uncertain],
    }
