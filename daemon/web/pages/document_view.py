"""What the page of a job shows of each kind of document: statements, texts, transcripts."""

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal

from daemon.results import documents
from daemon.web.pages.formats import Formats, amount_of, clock_of


@dataclass(frozen=True, kw_only=True)
class PageBox:
    """A place on the shown page: corners in fractions of its width and height."""

    number: int
    points: str
    is_flagged: bool


@dataclass(frozen=True, kw_only=True)
class ShownRow:
    """A row of a statement."""

    number: int
    page: int
    date: str | None
    description: str
    reference: str
    debit: str | None
    credit: str | None
    balance: str | None
    flags: Sequence[str]
    box: documents.Box | None


@dataclass(frozen=True, kw_only=True)
class ShownPiece:
    """A piece of a line of text; with a number if it has a box."""

    number: int | None
    text: str
    is_uncertain: bool


def view(document: documents.Document | None, page: int, formats: Formats) -> dict[str, object]:
    """The values of the template for a document, of which `page` is shown."""
    match document:
        case documents.Statement():
            return _statement(document, page)
        case documents.TextPages():
            return _text_pages(document, page)
        case documents.Transcript():
            return _transcript(document, formats)
    return {}


# ---------------------------------------------------------------------------------------------- statements


def _statement(document: documents.Statement, page: int) -> dict[str, object]:
    every = [row for account in document.statements for row in account.rows]
    shown = [
        ShownRow(
            number=number,
            page=row.page,
            date=row.date,
            description=row.description,
            reference=row.reference,
            debit=row.debit,
            credit=row.credit,
            balance=row.balance,
            flags=row.flags,
            box=row.box,
        )
        for number, row in enumerate(every, 1)
    ]
    return {
        "rows": shown,
        "flagged": sum(bool(row.flags) for row in shown),
        "unread": document.unread,
        "has_open_checks": any(check.passed is False for each in document.statements for check in each.checks),
        "sums": [
            {
                "debits": _total(row.debit for row in account.rows),
                "credits": _total(row.credit for row in account.rows),
            }
            for account in document.statements
        ],
        "boxes": [
            PageBox(number=row.number, points=_corners(row.box), is_flagged=bool(row.flags))
            for row in shown
            if row.page == page and row.box is not None
        ],
    }


def _total(amounts: Iterable[str | None]) -> str:
    found = (amount_of(amount) for amount in amounts)
    return str(sum((amount for amount in found if amount is not None), Decimal("0.00")))


def _corners(box: documents.Box) -> str:
    left, top, right, bottom = box
    return f"{left},{top} {right},{top} {right},{bottom} {left},{bottom}"


# ---------------------------------------------------------------------------------------------- text


def _text_pages(document: documents.TextPages, page: int) -> dict[str, object]:
    """The text of the shown page, its pieces numbered as their boxes."""
    found = next((each for each in document.pages if each.number == page), None)
    if found is None or not found.width or not found.height:
        return {}
    lines: list[list[ShownPiece]] = []
    boxes: list[PageBox] = []
    for line in found.numbered_lines():
        pieces = []
        for number, piece in line:
            is_uncertain = piece.confidence is not None and piece.confidence < documents.UNCERTAIN_PIECE
            if number is not None:
                points = " ".join(f"{x / found.width:.5f},{y / found.height:.5f}" for x, y in piece.box)
                boxes.append(PageBox(number=number, points=points, is_flagged=is_uncertain))
            pieces.append(ShownPiece(number=number, text=piece.text, is_uncertain=is_uncertain))
        lines.append(pieces)
    return {"text_lines": lines, "boxes": boxes}


# ---------------------------------------------------------------------------------------------- transcripts


def _transcript(document: documents.Transcript, formats: Formats) -> dict[str, object]:
    speakers = sorted({segment.channel for segment in document.segments if segment.channel})
    anchors: set[str] = set()
    numbers = itertools.count(1)
    paragraphs = [_paragraph(segments, formats, anchors, numbers) for segments in document.paragraphs()]
    paragraphs += [_gap(gap) for gap in (*document.gaps, *document.passed_over)]
    lanes = [
        {
            "css": "b" if segment.channel == 2 or not speakers else "a",
            "start": segment.start,
            "width": max(0.0, segment.end - segment.start),
            "top": 12 if segment.channel == 2 else 1,
        }
        for segment in document.segments
    ]
    return {
        "paragraphs": sorted(paragraphs, key=lambda each: float(str(each["start"]))),
        "has_speakers": len(speakers) > 1,
        "lanes": lanes,
        "lane_seconds": max([document.seconds, *(segment.end for segment in document.segments), 0.1]),
        "gaps": [*document.gaps, *document.passed_over],
    }


def _paragraph(
    segments: Sequence[documents.Segment], formats: Formats, anchors: set[str], numbers: Iterator[int]
) -> dict[str, object]:
    """`anchors`: those of earlier paragraphs; gains its own. `numbers`: of the segments of the transcript."""
    return {
        "start": segments[0].start,
        "clock": clock_of(segments[0].start),
        "speaker": segments[0].channel,
        "is_gap": False,
        "parts": [
            {
                "start": each.start,
                "number": next(numbers),
                "anchor": _anchor(each, anchors),
                "text": each.spoken,
                "words": _words(each, formats),
            }
            for each in segments
        ],
    }


def _anchor(segment: documents.Segment, anchors: set[str]) -> str:
    """The anchor of the first segment that starts at its second; "" for another."""
    anchor = documents.anchor_of_second(segment.start)
    if anchor in anchors:
        return ""
    anchors.add(anchor)
    return anchor


def _gap(gap: documents.Gap) -> dict[str, object]:
    length = f"Speech from {clock_of(gap.start)} to {clock_of(gap.end)} has no text. Listen to it."
    words = [{"text": length, "is_uncertain": False, "sure": ""}]
    return {
        "start": gap.start,
        "clock": clock_of(gap.start),
        "speaker": None,
        "is_gap": True,
        "parts": [{"start": gap.start, "number": None, "anchor": "", "text": "", "words": words}],
    }


def _words(segment: documents.Segment, formats: Formats) -> list[dict[str, object]]:
    if not segment.words:
        return [{"text": segment.text.strip(), "is_uncertain": False, "sure": ""}]
    return [
        {
            "text": word.word,
            "is_uncertain": word.probability < documents.UNCERTAIN_WORD,
            "sure": formats.percent(word.probability) if word.probability < documents.UNCERTAIN_WORD else "",
        }
        for word in segment.words
    ]
