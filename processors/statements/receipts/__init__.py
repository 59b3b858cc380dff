"""Receipts: from words on pages to the shop, the date, the items, the taxes and the total. Pure.

The total is the amount that the amounts before it add up to, whatever the word beside it; words only decide where
arithmetic leaves a choice, and what no other figure confirms becomes a reason for a review.
"""

from processors.statements.receipts.from_model import receipt_from_answers, receipt_schema
from processors.statements.receipts.reader import read_receipt
from processors.statements.receipts.records import Item, Receipt, TaxLine
from processors.statements.receipts.verify import verify_receipt

__all__ = ["Item", "Receipt", "TaxLine", "read_receipt", "receipt_from_answers", "receipt_schema", "verify_receipt"]
