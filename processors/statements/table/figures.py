"""Balances and totals as printed: which account each belongs to, and which of them opens or closes it. Pure."""

from collections.abc import Mapping

from processors.statements.notation.dates import PrintedDate
from processors.statements.notation.keywords import Column
from processors.statements.notation.words import unite
from processors.statements.table.accounts import AccountTracker
from processors.statements.table.amount_cells import AmountCell
from processors.statements.table.raw import RawDocument, RawFigure, RawRow


class FigureBuilder:
    """Adds figures to a document in the order in which they are printed."""

    def __init__(self, document: RawDocument, accounts: AccountTracker):
        self._document, self._accounts = document, accounts

    def add(
        self,
        page: int,
        name: str,
        cells: Mapping[Column, AmountCell] | Mapping[str, AmountCell],
        date: PrintedDate | None = None,
    ) -> None:
        """Add the amounts of one line. name: of the figure, or "standing" for a balance on a day, whose name the rows
        show. cells: by column, or by "" outside the columns."""
        money: dict[str, str] = {column: cell.text for column, cell in cells.items()}
        name = self._opening_or_closing(name, cells.get("balance") or next(iter(cells.values())))
        if name == "opening" and self._is_of_another_account(money):
            self._accounts.begin_other()
        elif name == "opening" and "" not in money:
            self._accounts.keep_title()
        elif name == "closing":
            self._accounts.numbered = ""  # the number of the next account is further below
        box = unite(cell.box for cell in cells.values() if cell.box)
        self._document.items.append(RawFigure(page, self._accounts.current, name, money, date, box))

    def _is_of_another_account(self, money: Mapping[str, str]) -> bool:
        """True for an opening balance that is not the closing balance printed last, or, in a table with another title,
        not that of the last row."""
        last = next((item for item in reversed(self._document.items) if isinstance(item, RawFigure)), None)
        is_closed = last is not None and last.name == "closing" and last.account == self._accounts.current
        if is_closed and last is self._document.items[-1] and not set(money.values()) & set(last.money.values()):
            return True
        own = [item for item in self._document.items if item.account == self._accounts.current]
        balances = [item.money["balance"].text for item in own if isinstance(item, RawRow) and "balance" in item.money]
        is_other = bool(balances) and "balance" in money and _digits(money["balance"]) != _digits(balances[-1])
        return is_other and self._accounts.has_other_title

    def _opening_or_closing(self, name: str, amount: AmountCell) -> str:
        """A balance "on" a day is the opening balance before the first row of its account, later the closing one.

        A second one with another amount before the first row is the closing balance in a summary.
        """
        if name != "standing":
            return name
        own = [item for item in self._document.items if item.account == self._accounts.current]
        is_other = any(
            isinstance(item, RawFigure) and item.name == "opening" and amount.text not in item.money.values()
            for item in own
        )
        return "closing" if is_other or any(isinstance(item, RawRow) for item in own) else "opening"


def _digits(text: str) -> str:
    return "".join(char for char in text if char.isdigit())
