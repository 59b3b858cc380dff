"""What was read, as files: CSV, JSON, XLSX, OFX, QIF, beancount, and the summary."""
