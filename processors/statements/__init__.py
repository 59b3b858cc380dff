"""Bank statements and receipts: from words on pages to checked rows of money. A library, not a processor.

Pure but for the writers: knows nothing of engines. Amounts are `Decimal`, dates `datetime.date`.
"""
