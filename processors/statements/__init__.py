"""Bank statements and receipts: from words on pages to checked rows of money. A library, not a processor.

`read_statements` reads words with places, `from_page_answers` a model's answers in the form of `page_schema`. `compare`
holds them against a second reading, `check` verifies each statement, `reasons` says why a person should look, and the
writers write. Knows nothing of engines. Amounts are `Decimal`, dates `datetime.date`; no check ever changes a value.
"""

from processors.statements.assembly import read_statements
from processors.statements.comparison import compare
from processors.statements.from_model import from_page_answers, page_schema, receipt_from_answers, receipt_schema
from processors.statements.ofx import write_ofx
from processors.statements.outputs import FORMATS, summarize_document, summarize_receipt, write_document, write_receipt
from processors.statements.receipts import Receipt, read_receipt
from processors.statements.records import Anchor, Check, Document, Row, Statement, Unread
from processors.statements.verify import check, occurs, reasons
from processors.statements.words import PageWords, Word, split_words
from processors.statements.writers import write_csv, write_json, write_markdown, write_xlsx

__all__ = [
    "FORMATS",
    "Anchor",
    "Check",
    "Document",
    "PageWords",
    "Receipt",
    "Row",
    "Statement",
    "Unread",
    "Word",
    "check",
    "compare",
    "from_page_answers",
    "occurs",
    "page_schema",
    "read_receipt",
    "read_statements",
    "reasons",
    "receipt_from_answers",
    "receipt_schema",
    "split_words",
    "summarize_document",
    "summarize_receipt",
    "write_csv",
    "write_document",
    "write_json",
    "write_markdown",
    "write_ofx",
    "write_receipt",
    "write_xlsx",
]
