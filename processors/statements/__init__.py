"""Bank statements, receipts and invoices: from words on pages to verified rows of money. A library, not a processor.

`read_statements` reads words with positions, `from_page_answers` a model's answers in the form of `page_schema`.
`finish_statement`, `finish_receipt` and `finish_invoice` verify what was read, by a second reading where there is one,
and write it.
Knows nothing of engines. Amounts are `Decimal`, dates `datetime.date`; no check ever changes a value.
"""

from processors.statements.account.assembly import read_statements
from processors.statements.checks.verify import doubtful_pages, occurs, reasons, verify
from processors.statements.from_model import from_page_answers, page_schema, row_index
from processors.statements.invoices import Invoice, invoice_from_answers, invoice_schema, read_invoice
from processors.statements.invoices.outputs import finish_invoice
from processors.statements.layouts.recall import LayoutMemory
from processors.statements.layouts.store import LayoutStore
from processors.statements.notation.words import Box, PageFrame, PageWord, PageWords, split_words
from processors.statements.receipts import Receipt, read_receipt, receipt_from_answers, receipt_schema
from processors.statements.receipts.outputs import finish_receipt
from processors.statements.records import Place, Row, SecondReading, Statement, StatementDocument, Unread
from processors.statements.writing.csv_style import CsvOptions, CsvStyle
from processors.statements.writing.finish import finish_statement
from processors.statements.writing.finished import FinishedDocument
from processors.statements.writing.ledgers import write_beancount, write_qif
from processors.statements.writing.ofx import write_ofx
from processors.statements.writing.outputs import FORMATS, OPTIONAL_FORMATS, summarize_document
from processors.statements.writing.workbook import write_xlsx
from processors.statements.writing.writers import write_csv, write_json, write_markdown

__all__ = [
    "Box",
    "FORMATS",
    "OPTIONAL_FORMATS",
    "CsvOptions",
    "CsvStyle",
    "StatementDocument",
    "FinishedDocument",
    "Invoice",
    "PageFrame",
    "LayoutMemory",
    "LayoutStore",
    "PageWords",
    "Place",
    "Receipt",
    "Row",
    "SecondReading",
    "Statement",
    "Unread",
    "PageWord",
    "doubtful_pages",
    "finish_invoice",
    "finish_receipt",
    "finish_statement",
    "from_page_answers",
    "invoice_from_answers",
    "invoice_schema",
    "occurs",
    "page_schema",
    "read_invoice",
    "read_receipt",
    "read_statements",
    "reasons",
    "row_index",
    "receipt_from_answers",
    "receipt_schema",
    "split_words",
    "summarize_document",
    "verify",
    "write_beancount",
    "write_csv",
    "write_json",
    "write_markdown",
    "write_ofx",
    "write_qif",
    "write_xlsx",
]
