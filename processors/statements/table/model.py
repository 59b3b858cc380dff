"""How to read the tables of a document: what is assumed before its words are read. Pure."""

from dataclasses import dataclass

from processors.statements.notation.conventions import Conventions
from processors.statements.table.headings import Heading
from processors.statements.table.row_lines import RowLines


@dataclass(frozen=True, kw_only=True)
class TableModel:
    """How to read the tables of a document."""

    headings: tuple[Heading, ...] = ()  # of all tables; empty: each has its own
    keeps_beside: bool = False  # tables side by side have their own headings nevertheless
    is_folded: bool = False  # the right column of a page continues the left one
    is_net: bool = False  # of three amounts in each row, the last one is the sum or the difference of the others
    balances_alone: bool = False  # a line with a balance and no other amount is not a row
    row_lines: RowLines = RowLines()
    conventions: Conventions = Conventions()  # of earlier documents of the same layout
