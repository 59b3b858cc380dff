"""Bank statements, receipts and invoices: from words on pages to verified rows of money. A library, not a processor.

`read_statements` reads words with positions, `from_page_answers` a model's answers in the form of `page_schema`.
`finish_statement`, `finish_receipt` and `finish_invoice` verify what was read, by a second reading where there is one,
and write it.
Knows nothing of engines. Amounts are `Decimal`, dates `datetime.date`; no check ever changes a value.

A name is imported from its module when it is first used: the daemon needs only the formats and the options.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # the names of `_NAMES`; a test compares them
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
    from processors.statements.writing.csv_style import CsvStyle
    from processors.statements.writing.finish import finish_statement
    from processors.statements.writing.finished import FinishedDocument
    from processors.statements.writing.formats import FORMATS
    from processors.statements.writing.ledgers import write_beancount, write_qif
    from processors.statements.writing.ofx import write_ofx
    from processors.statements.writing.outputs import summarize_document
    from processors.statements.writing.workbook import write_xlsx
    from processors.statements.writing.writers import write_csv, write_json, write_markdown

_NAMES = {  # by module
    "account.assembly": ("read_statements",),
    "checks.verify": ("doubtful_pages", "occurs", "reasons", "verify"),
    "from_model": ("from_page_answers", "page_schema", "row_index"),
    "invoices": ("Invoice", "invoice_from_answers", "invoice_schema", "read_invoice"),
    "invoices.outputs": ("finish_invoice",),
    "layouts.recall": ("LayoutMemory",),
    "layouts.store": ("LayoutStore",),
    "notation.words": ("Box", "PageFrame", "PageWord", "PageWords", "split_words"),
    "receipts": ("Receipt", "read_receipt", "receipt_from_answers", "receipt_schema"),
    "receipts.outputs": ("finish_receipt",),
    "records": ("Place", "Row", "SecondReading", "Statement", "StatementDocument", "Unread"),
    "writing.csv_style": ("CsvStyle",),
    "writing.finish": ("finish_statement",),
    "writing.finished": ("FinishedDocument",),
    "writing.formats": ("FORMATS",),
    "writing.ledgers": ("write_beancount", "write_qif"),
    "writing.ofx": ("write_ofx",),
    "writing.outputs": ("summarize_document",),
    "writing.workbook": ("write_xlsx",),
    "writing.writers": ("write_csv", "write_json", "write_markdown"),
}
_MODULES = {name: module for module, names in _NAMES.items() for name in names}


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_MODULES])
