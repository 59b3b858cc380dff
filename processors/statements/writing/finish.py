"""From a statement as read to its result files: verify, read again if in doubt, write, report.

The reader of the pages (OCR, a model) passes in a function for the second reading; everything else is the same.
"""

import copy
from collections.abc import Callable, Sequence
from datetime import date

from processors import wellformed
from processors.contract import Work
from processors.statements.checks.verify import reasons, verify
from processors.statements.records import SecondReading, StatementDocument
from processors.statements.writing.csv_style import DEFAULT_STYLE, CsvStyle
from processors.statements.writing.finished import FinishedDocument
from processors.statements.writing.outputs import summarize_document, write_document

# given the verified document; None: no page is read again
SecondReader = Callable[[StatementDocument], SecondReading | None]


def finish_statement(
    work: Work,
    document: StatementDocument,
    formats: Sequence[str],
    second_reader: SecondReader,
    *,
    min_confidence: float,
    csv_style: CsvStyle = DEFAULT_STYLE,
) -> FinishedDocument:
    """Verify the document, with a second reading if there is one, and write it.

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
