"""The formats of statements, receipts and invoices. Imported by the daemon: nothing heavy."""

FORMATS = {  # by task; the first is what a person opens
    "bank-statement": ("md", "csv", "xlsx", "json", "ofx"),
    "receipt": ("md", "csv", "json"),
    "invoice": ("md", "csv", "json"),
}
OPTIONAL_FORMATS = {"bank-statement": ("qif", "beancount")}  # by task; written only if a recipe names them
