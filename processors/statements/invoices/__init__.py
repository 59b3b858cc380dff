"""Invoices: from words on pages to the supplier, the number, the dates, the lines, the taxes and the totals. Pure.

Arithmetic comes first: net, tax and gross are the figures that confirm each other, and the lines are the rows whose
amount is quantity × price and whose amounts add up. Words decide only where arithmetic leaves a choice, and every
figure that no other figure confirms becomes a reason for a review.
"""

from processors.statements.invoices.einvoice import MAX_BYTES, NAMES, prefer_einvoice
from processors.statements.invoices.from_model import invoice_from_answers, invoice_schema
from processors.statements.invoices.reader import read_invoice
from processors.statements.invoices.records import Invoice, InvoiceLine
from processors.statements.invoices.verify import verify_invoice

__all__ = [
    "MAX_BYTES",
    "NAMES",
    "Invoice",
    "InvoiceLine",
    "invoice_from_answers",
    "invoice_schema",
    "prefer_einvoice",
    "read_invoice",
    "verify_invoice",
]
