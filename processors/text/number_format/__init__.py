"""Values of spreadsheet cells as their number formats show them (ECMA-376, part 1, 18.8.31). Pure."""

from processors.text.number_format.formatting import show

__all__ = ["show"]
