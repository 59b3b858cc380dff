"""Receipts: from words on pages to the shop, the date, the items, the taxes and the total. Pure.

The total is the amount to which the amounts before it add up, whatever the word beside it. Words decide only where
arithmetic leaves a choice, and every figure that no other figure confirms becomes a reason for a review.
"""

from processors.statements.receipts.from_model import receipt_from_answers, receipt_schema
from processors.statements.receipts.reader import read_receipt
from processors.statements.receipts.records import Item, Receipt, TaxLine
from processors.statements.receipts.verify import verify_receipt

__all__ = ["Item", "Receipt", "TaxLine", "read_receipt", "receipt_from_answers", "receipt_schema", "verify_receipt"]
