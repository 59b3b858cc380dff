"""The rows between two printed balances, whose amounts must explain the change. Pure."""

from dataclasses import dataclass
from decimal import Decimal

from processors.statements.records import Row, Statement


@dataclass
class Link:
    """The rows between two printed balances; their amounts must explain the change."""

    rows: list[Row]
    before: Decimal
    after: Decimal
    where: str
    own: Row | None  # the row that carries `after`; None: a line of its own does
    factor: int  # -1 for a liability, whose balance rises with each debit

    @property
    def gap(self) -> Decimal:
        return self.after - self.before - self.factor * sum((row.change for row in self.rows), Decimal(0))


def find_links(statement: Statement) -> tuple[list[Link], list[Row]]:
    """The links, and the rows that no link covers."""
    anchors = sorted(statement.anchors, key=lambda anchor: anchor.at)
    factor = -1 if statement.is_liability else 1
    balance = statement.opening
    links, loose = list[Link](), list[Row]()
    between: list[Row] = []

    def close(after: Decimal, where: str, own: Row | None) -> None:
        nonlocal balance, between
        if balance is not None:
            links.append(Link(between, balance, after, where, own, factor))
        else:
            loose.extend(between)
        balance, between = after, []

    for number, row in enumerate([*statement.rows, None]):
        while anchors and (anchors[0].at <= number or row is None):
            anchor = anchors.pop(0)
            close(anchor.balance, f"at the {anchor.name} balance on page {anchor.page}", None)
        if row is not None:
            between.append(row)
            if row.balance is not None:
                close(row.balance, f"at the row of {row.date} on page {row.page}", row)
    return links, loose + between


def is_complete(statement: Statement) -> bool:
    """True if the opening and the closing balance are known, and all balances follow from the rows: none is missing."""
    links, loose = find_links(statement)
    is_closed = statement.opening is not None and statement.closing is not None
    return is_closed and bool(links) and not loose and all(link.gap == 0 for link in links)
