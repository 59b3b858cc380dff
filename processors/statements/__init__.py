"""Bank statements, receipts and invoices: from words on pages to verified rows of money. A library, not a processor.

`read_statements` reads words with positions, `from_page_answers` a model's answers in the form of `page_schema`.
`finish_statement`, `finish_receipt` and `finish_invoice` verify what was read, by a second reading where there is one,
and write it.
Knows nothing of engines. Amounts are `Decimal`, dates `datetime.date`; no check ever changes a value.

A name is imported from its module when it is first used: the daemon needs only the formats and the options.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from processors.statements.account.assembly import read_statements as read_statements
    from processors.statements.checks.verify import doubtful_pages as doubtful_pages
    from processors.statements.checks.verify import occurs as occurs
    from processors.statements.checks.verify import reasons as reasons
    from processors.statements.checks.verify import verify as verify
    from processors.statements.from_model import from_page_answers as from_page_answers
    from processors.statements.from_model import page_schema as page_schema
    from processors.statements.from_model import row_index as row_index
    from processors.statements.invoices import Invoice as Invoice
    from processors.statements.invoices import invoice_from_answers as invoice_from_answers
    from processors.statements.invoices import invoice_schema as invoice_schema
    from processors.statements.invoices import read_invoice as read_invoice
    from processors.statements.invoices.outputs import finish_invoice as finish_invoice
    from processors.statements.layouts.recall import LayoutMemory as LayoutMemory
    from processors.statements.layouts.store import LayoutStore as LayoutStore
    from processors.statements.notation.words import Box as Box
    from processors.statements.notation.words import PageFrame as PageFrame
    from processors.statements.notation.words import PageWord as PageWord
    from processors.statements.notation.words import PageWords as PageWords
    from processors.statements.notation.words import split_words as split_words
    from processors.statements.receipts import Receipt as Receipt
    from processors.statements.receipts import read_receipt as read_receipt
    from processors.statements.receipts import receipt_from_answers as receipt_from_answers
    from processors.statements.receipts import receipt_schema as receipt_schema
    from processors.statements.receipts.outputs import finish_receipt as finish_receipt
    from processors.statements.records import Place as Place
    from processors.statements.records import Row as Row
    from processors.statements.records import SecondReading as SecondReading
    from processors.statements.records import Statement as Statement
    from processors.statements.records import StatementDocument as StatementDocument
    from processors.statements.records import Unread as Unread
    from processors.statements.writing.csv_style import CsvOptions as CsvOptions
    from processors.statements.writing.csv_style import CsvStyle as CsvStyle
    from processors.statements.writing.finish import finish_statement as finish_statement
    from processors.statements.writing.finished import FinishedDocument as FinishedDocument
    from processors.statements.writing.formats import FORMATS as FORMATS
    from processors.statements.writing.formats import OPTIONAL_FORMATS as OPTIONAL_FORMATS
    from processors.statements.writing.ledgers import write_beancount as write_beancount
    from processors.statements.writing.ledgers import write_qif as write_qif
    from processors.statements.writing.ofx import write_ofx as write_ofx
    from processors.statements.writing.outputs import summarize_document as summarize_document
    from processors.statements.writing.workbook import write_xlsx as write_xlsx
    from processors.statements.writing.writers import write_csv as write_csv
    from processors.statements.writing.writers import write_json as write_json
    from processors.statements.writing.writers import write_markdown as write_markdown

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
    "writing.csv_style": ("CsvOptions", "CsvStyle"),
    "writing.finish": ("finish_statement",),
    "writing.finished": ("FinishedDocument",),
    "writing.formats": ("FORMATS", "OPTIONAL_FORMATS"),
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
