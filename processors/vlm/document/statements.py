"""Bank statements, receipts and invoices from the answers about their pages.

The page's text layer, or OCR of the same image, verifies the model's answer: each amount of the answer must occur in
it. OCR costs a few seconds per page on the CPU, and finds digits that the model has invented.
"""

import re
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from processors import statements
from processors.contract import Work
from processors.statements import FinishedDocument, SecondReading
from processors.vlm.assess import Problem
from processors.vlm.document.output import page_data, page_probabilities
from processors.vlm.options import AskOptions
from processors.vlm.retry_ladder import PageResult, Strategy

if TYPE_CHECKING:
    from processors.ocr.engine import RapidOcrEngine
    from processors.pages import Page

_LEAST_CHARACTERS = 20  # a text layer with fewer is a page number or a stamp
_POINTER = re.compile(r"(?:/other_accounts/(?P<account>\d+))?/(?:rows|items|lines)/(?P<row>\d+)/")


def read_again(page: "Page") -> tuple[str, str]:
    """Read the text of a page without the model; return the text, and its source: "text layer" or "OCR"."""
    if len(page.text.strip()) >= _LEAST_CHARACTERS:
        return page.text, "text layer"
    found = _ocr().read_upright(page.image)
    return "\n".join(box.text for box in [*found.boxes, *found.uncertain]), "OCR"


def finish(work: Work[AskOptions], pages: Sequence[PageResult]) -> FinishedDocument:
    """Put the answers together, verify and write them."""
    answers = [(page.number, data) for page in pages if (data := _data(page)) is not None]
    certainty: dict[tuple[int, int], float] = {}
    for page in pages:
        certainty |= _certainty(page)
    texts = {page.number: page.second_reading for page in pages if page.second_reading}
    formats, threshold, style = work.options.written_formats, work.options.threshold, work.options.csv_style
    if work.options.task == "receipt":
        receipt = statements.receipt_from_answers(answers, certainty, texts)
        return statements.finish_receipt(work, receipt, formats, texts, min_confidence=threshold, csv_style=style)
    if work.options.task == "invoice":
        invoice = statements.invoice_from_answers(answers, certainty, texts)
        return statements.finish_invoice(work, invoice, formats, texts, min_confidence=threshold, csv_style=style)
    document = statements.from_page_answers(answers, certainty, texts)
    document.pages = len(pages)
    for by in ("text layer", "OCR"):
        if numbers := [str(page.number) for page in pages if page.second_reading_by == by]:
            document.notes.append(f"read by a model; amounts compared with the {by} of page {', '.join(numbers)}")
    second = SecondReading(texts=texts)
    return statements.finish_statement(
        work, document, formats, lambda verified: second, min_confidence=threshold, csv_style=style
    )


def _data(page: PageResult) -> Any:
    return page_data(page.best).data if page.best else None


def _certainty(page: PageResult) -> dict[tuple[int, int], float]:
    """By page and row, the probability of the least certain value of the row."""
    best = page.best
    if best is None or best.problem not in (None, Problem.EMPTY):
        return {}
    if best.strategy is Strategy.HALVES:  # the rows of both halves are merged, so all get the lowest probability
        lowest = best.lowest_token_probability
        data = _data(page) or {}
        lists: list[tuple[int | None, Sequence[object]]] = [
            (None, data.get("rows") or data.get("items") or data.get("lines") or [])
        ]
        lists += [(at, other.get("rows") or []) for at, other in enumerate(data.get("other_accounts") or [])]
        places = [statements.row_index(at, number) for at, rows in lists for number in range(len(rows))]
        return {} if lowest is None else {(page.number, place): lowest for place in places}
    found: dict[tuple[int, int], float] = {}
    for pointer, probability in page_probabilities(best).items():
        if match := _POINTER.match(pointer):
            account = int(match["account"]) if match["account"] else None
            place = page.number, statements.row_index(account, int(match["row"]))
            found[place] = min(found.get(place, 1.0), probability)
    return found


@cache
def _ocr() -> "RapidOcrEngine":
    """The OCR engine, which is loaded for the first page without a text layer. Its package contains its models."""
    from processors.ocr.engine import RapidOcrEngine

    return RapidOcrEngine.load(None)
