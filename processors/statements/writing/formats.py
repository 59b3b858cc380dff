"""The formats in which documents can be written."""

from typing import Literal

Format = Literal["md", "csv", "xlsx", "json", "ofx", "qif", "beancount"]
FORMATS: dict[str, tuple[Format, ...]] = {  # by task; the first is what a person opens
    "bank-statement": ("md", "csv", "xlsx", "json", "ofx"),
    "receipt": ("md", "csv", "json"),
    "invoice": ("md", "csv", "json"),
}
OPTIONAL_FORMATS: dict[str, tuple[Format, ...]] = {
    "bank-statement": ("qif", "beancount")
}  # by task; written only if a recipe names them
