"""The text of pages as result files: plain, Markdown, JSON with boxes; and why a person should look at it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from processors import wellformed
from processors.contract import Finished, Work
from processors.ocr import layout
from processors.ocr.layout import Piece

_EXCERPT_CHARACTERS = 200
_UNKNOWN = "\ufffd"  # see `pages.textlayer`
_LEGIBLE_SCALE = 0.5  # a page reduced to less than this share of its pixels a side may have lost its small print


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
    faint: tuple[Piece, ...] = ()  # confidence too low to use
    source: Literal["OCR", "text layer"] = "OCR"

    @property
    def text(self) -> str:
        return layout.text(self.lines)

    @property
    def confidence(self) -> float | None:
        """Mean over the characters, from 0 to 1; None without text."""
        pieces = [piece for line in self.lines for piece in line]
        characters = sum(len(piece.text) for piece in pieces)
        return sum(piece.confidence * len(piece.text) for piece in pieces) / characters if characters else None


def finish_text(work: Work, read: list[PageText], formats: Sequence[str]) -> Finished:
    contents = {"txt": plain(read), "md": _markdown(read), "json": _json(work, read)}
    files = []
    for name in formats:
        path = work.outputs / f"{work.stem}.{name}"
        path.write_text(contents[name], encoding="utf-8")
        files.append(path.name)
    known = [page.confidence for page in read if page.confidence is not None]
    layers = [page.number for page in read if page.source == "text layer"]
    return Finished(
        files=tuple(files),
        excerpt=" ".join(plain(read).split())[:_EXCERPT_CHARACTERS],
        review=tuple(review(read, work.options.min_confidence)),
        pages=len(read),
        details={
            "mean_confidence": round(sum(known) / len(known), 4) if known else None,
            "uncertain_lines": sum(len(page.faint) for page in read),
            "pages_from_text_layer": layers,
        },
    )


def review(read: Sequence[PageText], min_confidence: float, *, faint: bool = True) -> list[str]:
    """Why a person should look at the pages; `faint`: also because of lines that were not taken."""
    reasons = []
    for page in read:
        if page.error:
            reasons.append(f"page {page.number} could not be read: {page.error}")
        elif page.confidence is None:
            reasons.append(f"page {page.number}: no text was found")
        elif page.confidence < min_confidence:
            reasons.append(f"page {page.number}: the text is uncertain (mean confidence {page.confidence:.2f})")
        unknown = page.text.count(_UNKNOWN) if page.source == "text layer" else 0
        if unknown:
            noun = "character" if unknown == 1 else "characters"
            reasons.append(f"page {page.number}: {unknown} unreadable {noun} in the text layer")
        if page.faint and faint:
            reasons.append(f"page {page.number}: lines too uncertain to be taken: {len(page.faint)}")
        if page.scale < _LEGIBLE_SCALE:
            reasons.append(
                f"page {page.number} was {page.notes[0] if page.notes else 'reduced'}: small print may be lost"
            )
    return reasons


def plain(read: Sequence[PageText]) -> str:
    """The pages' texts, a form feed between two."""
    return "\f".join(f"{page.text}\n" for page in read)


def _markdown(read: list[PageText]) -> str:
    if len(read) == 1:
        return f"{read[0].text}\n"
    return "\n".join(f"## Page {page.number}\n\n{page.text or page.error or '(no text)'}\n" for page in read)


def _json(work: Work, read: list[PageText]) -> str:
    document: dict[str, Any] = {"file": work.source.name, "pages": [_page(page) for page in read]}
    return wellformed.dumps(document, indent=1) + "\n"


def _page(page: PageText) -> dict[str, Any]:
    return {
        "number": page.number,
        "width": page.size[0] if page.size else None,
        "height": page.size[1] if page.size else None,
        "turned": page.turned,
        "source": page.source,
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
        "uncertain": [{"text": piece.text, "confidence": round(piece.confidence, 4)} for piece in page.faint],
    }
