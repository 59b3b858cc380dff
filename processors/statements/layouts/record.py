"""A remembered layout: its fields, their limits, and whether two layouts are equivalent. Pure.

A layout contains no amount, account number or name of a holder. It stores the heading row of a page, the bank's own
name and addresses, and the positions of the columns.
"""

from datetime import date
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from processors.statements.notation.conventions import Conventions
from processors.statements.notation.keywords import Column
from processors.statements.table.headings import MONEY

VERSION = 1  # of the format; a file of another version is ignored
MAX_HEADINGS = 20
MAX_KEYS = 8
MAX_SEEN = 50
NAME = r"[a-z0-9][a-z0-9-]{0,47}"
_SAME_PLACE = 0.02  # of the page's width by which a column of the same layout may have moved

Edge = Annotated[float, Field(ge=-1, le=2, allow_inf_nan=False)]  # as a share of the page's width
Count = Annotated[int, Field(ge=0, le=10**9)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Span(_Part):
    """A text of the heading row, or a column, and where it is."""

    left: Edge
    right: Edge


class HeadingCell(Span):
    text: Annotated[str, Field(min_length=1, max_length=60)]  # as `headings.plain` writes it


class ColumnPlace(Span):
    column: Column


class Bank(_Part):
    """What identifies a bank."""

    name: Annotated[str, Field(max_length=60)] = ""  # for people
    # "iban:DE-37040044", "bic:…", "web:…", "name:…", "title:DIGEST"
    keys: Annotated[tuple[Annotated[str, Field(max_length=80)], ...], Field(max_length=MAX_KEYS)] = ()

    @property
    def readable_keys(self) -> tuple[str, ...]:
        return tuple(key for key in self.keys if not key.startswith("title:"))

    def is_same(self, other: "Bank") -> bool | None:
        """True if both are the same bank. None: too little is known about one of them."""
        if set(self.keys) & set(other.keys):
            return True
        kinds = [{key.split(":")[0] for key in each.keys} - {"title"} for each in (self, other)]
        return False if kinds[0] & kinds[1] else None


class RememberedLayout(_Part):
    """A layout that the arithmetic of at least one document confirmed."""

    version: Literal[1] = 1
    name: Annotated[str, Field(pattern=f"^{NAME}$")]
    bank: Bank
    headings: Annotated[tuple[HeadingCell, ...], Field(max_length=MAX_HEADINGS)]  # empty: the table has no heading row
    columns: Annotated[tuple[ColumnPlace, ...], Field(min_length=2, max_length=MAX_HEADINGS)]
    has_known_headings: bool  # the heading row is understood, so that the columns need not be known
    balances_alone: bool  # see `reading.TableModel`
    decimal_mark: Literal[".", ","] | None = None
    conventions: Conventions = Conventions()
    learned: date
    used: date  # the last time that a document had this layout
    confirmed: Count = 1  # documents
    seen: Annotated[tuple[Annotated[str, Field(max_length=16)], ...], Field(max_length=MAX_SEEN)] = ()  # their digests

    def covers(self, other: "RememberedLayout") -> bool:
        """True if this reads whatever `other` reads in the same way, and may have more columns.

        A column that has had only debits or only credits so far looks like a column of both.
        """
        marks = {self.decimal_mark, other.decimal_mark} - {None}
        return (
            len(marks) < 2
            and self.conventions.agrees(other.conventions)
            and all(any(_includes(own, each) for own in self._money()) for each in other._money())
        )

    def _money(self) -> list[ColumnPlace]:
        return [each for each in self.columns if each.column in MONEY]

    def confirmed_by(self, other: "RememberedLayout", *, is_richer: bool = False) -> "RememberedLayout":
        """This layout after a further document, whose own reading gave `other`, which may know more columns."""
        is_new = not set(other.seen) <= set(self.seen)
        shared = tuple(key for key in self.bank.keys if key in other.bank.keys)
        return self.model_copy(
            update={
                "bank": Bank(name=self.bank.name or other.bank.name, keys=shared or self.bank.keys or other.bank.keys),
                "headings": other.headings if is_richer else self.headings,
                "columns": other.columns if is_richer else self.columns,
                "has_known_headings": other.has_known_headings,
                "balances_alone": other.balances_alone,
                "decimal_mark": self.decimal_mark or other.decimal_mark,
                "conventions": other.conventions.completed_by(self.conventions),
                "used": max(self.used, other.used),
                "confirmed": self.confirmed + is_new,
                "seen": tuple(dict.fromkeys((*self.seen, *other.seen)))[-MAX_SEEN:],
            }
        )


def _includes(own: ColumnPlace, other: ColumnPlace) -> bool:
    is_side = other.column == "amount" and own.column in ("debit", "credit")
    return abs(own.right - other.right) <= _SAME_PLACE and (own.column == other.column or is_side)
