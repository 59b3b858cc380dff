"""Documents on the page of a job: statements, texts, transcripts."""

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from daemon.results import documents
from daemon.web.pages.formats import Formats, amount_of, clock_of

_MOST_ROWS = 150  # of a statement that is shown at once
_CHAPTER_SECONDS = 600.0  # between the linked places in a long recording
_LONG_SECONDS = 1200.0
_LANE_PARTS = 1000  # of the recording: shorter pauses cannot be seen


@dataclass(frozen=True, kw_only=True)
class PageBox:
    """A place on the shown page: corners in fractions of its width and height."""

    number: int
    points: str
    is_flagged: bool


@dataclass(frozen=True, kw_only=True)
class ShownRow:
    """A row of a statement. `query`: of the address where it is shown."""

    number: int
    query: str
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


@dataclass(frozen=True, kw_only=True)
class RowPage:
    """A page of a statement that has rows."""

    number: int
    rows: int
    flagged: int


def view(
    document: documents.Document | None, page: int, formats: Formats, *, all_rows: bool = False
) -> dict[str, object]:
    """The values of the template for a document. `page`: the page to show; `all_rows`: show the rows of all pages."""
    match document:
        case documents.Statement():
            return _statement(document, page, all_rows=all_rows)
        case documents.TextPages():
            return _text_pages(document, page)
        case documents.Transcript():
            return _transcript(document, formats)
    return {}


# ---------------------------------------------------------------------------------------------- statements


def first_page(document: documents.Document | None) -> int:
    """The page that is shown first: of a long statement, the first one that has rows."""
    if not isinstance(document, documents.Statement):
        return 1
    pages = _row_pages(document)
    return pages[0].number if _is_long(pages) else 1


def _is_long(pages: Sequence[RowPage]) -> bool:
    """True if only the rows of the shown page are shown, which then stay beside their picture."""
    return len(pages) > 1 and sum(page.rows for page in pages) > _MOST_ROWS


def _row_pages(document: documents.Statement) -> list[RowPage]:
    every = sorted((row for account in document.statements for row in account.rows), key=lambda row: row.page)
    pages = []
    for number, of_page in itertools.groupby(every, key=lambda row: row.page):
        flags = [bool(row.flags) for row in of_page]
        pages.append(RowPage(number=number, rows=len(flags), flagged=sum(flags)))
    return pages


def _statement(document: documents.Statement, page: int, *, all_rows: bool) -> dict[str, object]:
    every = [row for account in document.statements for row in account.rows]
    pages = _row_pages(document)
    is_long = _is_long(pages)
    shown = [
        ShownRow(
            number=number,
            query="" if not is_long else f"?page={row.page}",
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
        "is_long": is_long,
        "row_pages": pages if is_long else [],
        "rows_of_page": [row for row in shown if row.page == page] if is_long and not all_rows else shown,
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
    by_channel = sorted(document.segments, key=lambda segment: segment.channel or 0)
    voices = list(dict.fromkeys(segment.voice for segment in by_channel if segment.voice))
    anchors: set[str] = set()
    numbers = itertools.count(1)
    paragraphs = [_paragraph(segments, voices, formats, anchors, numbers) for segments in document.paragraphs()]
    paragraphs += [_gap(gap) for gap in (*document.gaps, *document.passed_over)]
    seconds = max([document.seconds, *(segment.end for segment in document.segments), 0.1])
    paragraphs.sort(key=lambda each: float(str(each["start"])))
    return {
        "paragraphs": paragraphs,
        "has_speakers": len(voices) > 1,
        "lanes": _lanes(document.segments, seconds, voices),
        "lane_seconds": seconds,
        "chapters": _chapters(paragraphs, seconds),
        "gaps": [*document.gaps, *document.passed_over],
    }


def _lanes(segments: Sequence[documents.Segment], seconds: float, voices: Sequence[str]) -> list[dict[str, object]]:
    """Bars that show who speaks when. Bars of one speaker that would touch each other are merged."""
    found: list[dict[str, object]] = []
    ends: dict[str, tuple[float, dict[str, object]]] = {}  # by speaker: its last bar
    for segment in segments:
        end, bar = ends.get(segment.voice, (0.0, {}))
        if bar and 0 <= segment.start - end < seconds / _LANE_PARTS:
            bar["width"] = max(0.0, segment.end - float(str(bar["start"])))
        else:
            is_second = _is_second(segment, voices)
            bar = {
                "css": "b" if is_second or not voices else "a",
                "start": segment.start,
                "width": max(0.0, segment.end - segment.start),
                "top": 12 if is_second else 1,
            }
            found.append(bar)
        ends[segment.voice] = (max(end, segment.end), bar)
    return found


def _is_second(segment: documents.Segment, voices: Sequence[str]) -> bool:
    """True for every second speaker, whose color and lane differ."""
    return segment.voice in voices and voices.index(segment.voice) % 2 == 1


def _chapters(paragraphs: Sequence[Mapping[str, object]], seconds: float) -> list[dict[str, object]]:
    """Places in a long recording, ten minutes apart: the clock, and the number of the paragraph."""
    if seconds < _LONG_SECONDS:
        return []
    found: list[dict[str, object]] = []
    due = 0.0
    for number, each in enumerate(paragraphs, 1):
        start = float(str(each["start"]))
        if start >= due:
            found.append({"clock": clock_of(start), "number": number})
            due = (start // _CHAPTER_SECONDS + 1) * _CHAPTER_SECONDS
    return found


def _paragraph(
    segments: Sequence[documents.Segment],
    voices: Sequence[str],
    formats: Formats,
    anchors: set[str],
    numbers: Iterator[int],
) -> dict[str, object]:
    """The values of one paragraph. voices: all speakers. anchors: of earlier paragraphs; this function adds its own.
    numbers: counts the segments of the transcript.
    """
    return {
        "start": segments[0].start,
        "clock": clock_of(segments[0].start),
        "speaker": segments[0].voice,
        "is_second": _is_second(segments[0], voices),
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
    """An anchor for the second at which a segment starts; "" if an earlier segment already has that anchor."""
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
        "speaker": "",
        "is_second": False,
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
