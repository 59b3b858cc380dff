"""Bank statements, receipts and invoices: from words on pages to verified rows of money. A library, not a processor.

`read_statements` reads words with positions, `from_page_answers` a model's answers in the form of `page_schema`.
`finish_statement`, `finish_receipt` and `finish_invoice` verify what was read, by a second reading where there is one,
and write it.
Knows nothing of engines. Amounts are `Decimal`, dates `datetime.date`; no check ever changes a value.

A name is imported from its module when it is first used: the daemon needs only the formats and the options.
"""

from importlib import import_module

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
