"""From what was read of a statement or a receipt to its result files: verify, read again in doubt, write, report.

Whoever reads the pages (OCR, a model) passes in how the second reading is made; everything after it is the same.
"""

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from processors import wellformed
from processors.contract import Work
from processors.statements.csv_style import DEFAULT_STYLE, CsvStyle
from processors.statements.outputs import summarize_document, summarize_receipt, write_document, write_receipt
from processors.statements.receipts import Receipt, verify_receipt
from processors.statements.records import SecondReading, StatementDocument
from processors.statements.verify import reasons, verify

# given the verified document; None: no page is read again
SecondReader = Callable[[StatementDocument], SecondReading | None]


@dataclass(frozen=True, kw_only=True)
class FinishedDocument:
    """A statement or a receipt, verified and written."""

    summary: str  # one line
    files: tuple[str, ...]  # names within `Work.outputs`; the first one is what a person opens
    reasons: tuple[str, ...]  # why a person should review it
    facts: Mapping[str, object]  # for result.json


def finish_statement(
    work: Work,
    document: StatementDocument,
    formats: Sequence[str],
    second_reader: SecondReader,
    *,
    min_confidence: float,
    csv_style: CsvStyle = DEFAULT_STYLE,
) -> FinishedDocument:
    """Verify the document, by its second reading where there is one, and write it.

    `min_confidence`: see `verify`.
    """
    verified = copy.deepcopy(document)
    verify(verified, min_confidence=min_confidence, today=date.today())
    if second := second_reader(verified):
        verified = document  # without the flags of the first verification
        verify(verified, second, min_confidence=min_confidence, today=date.today())
    summary, facts = summarize_document(verified)
    title = wellformed.text(work.source.name)
    files, lacking = write_document(verified, work.outputs, work.stem, formats, title=title, csv_style=csv_style)
    errors = second.errors if second else {}
    failed = [f"page {page}: the second reading failed: {error}" for page, error in errors.items()]
    return FinishedDocument(
        summary=summary, files=tuple(files), reasons=(*reasons(verified), *failed, *lacking), facts=facts
    )


def finish_receipt(
    work: Work,
    receipt: Receipt,
    formats: Sequence[str],
    texts: Mapping[int, str],
    *,
    min_confidence: float,
    csv_style: CsvStyle = DEFAULT_STYLE,
) -> FinishedDocument:
    """Verify the receipt and write it. `texts`: see `SecondReading`; `min_confidence`: see `verify_receipt`."""
    verify_receipt(receipt, texts, min_confidence=min_confidence)
    summary, facts = summarize_receipt(receipt)
    files = write_receipt(receipt, work.outputs, work.stem, formats, csv_style=csv_style)
    return FinishedDocument(summary=summary, files=tuple(files), reasons=tuple(receipt.reasons), facts=facts)
