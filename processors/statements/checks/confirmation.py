"""How far the printed balances confirm the reading of a document, so that readings can be compared. Pure."""

from dataclasses import dataclass

from processors.statements.checks.links import find_links
from processors.statements.records import Row, Statement, StatementDocument

LEAST_LINKS = 3  # balances that must follow from the amounts before them to confirm a reading …
LEAST_ROWS = 5  # … or rows between an opening and a closing balance
FURTHER_ROW = 0.5  # the weight of each further row before one balance, because a balance for each row proves more
DOUBT = 0.3  # the cost of a row without date or direction, in confirmed rows
_CONTRADICTED = 0.02  # the value of a row whose balance does not follow: at least it was read
_UNREAD_AMOUNT = 0.2
_SURE_SHARE = 0.1  # of rows or lines that may lack a check


def rate(document: StatementDocument) -> float:
    """The degree to which a reading is confirmed: about the number of rows that follow from printed balances."""
    return sum(_rate(statement) for statement in document.statements) - _UNREAD_AMOUNT * _unread_amounts(document)


def most_possible(document: StatementDocument) -> float:
    """What `rate` comes to if all balances follow from the rows."""
    return sum(1 if row.balance is not None else FURTHER_ROW for row in document.rows)


def is_sure(document: StatementDocument) -> bool:
    """True if nothing contradicts a reading and nearly all of it is confirmed: no other can be better."""
    if not document.rows or _unread_amounts(document) > _SURE_SHARE * len(document.rows):
        return False
    if sum(map(_has_odd_amount, document.rows)) > _SURE_SHARE * len(document.rows):
        return False
    confirmed = [confirmation(statement) for statement in document.statements]
    return all(row.date for row in document.rows) and all(
        not each.contradicted and each.rows and each.loose <= max(1, _SURE_SHARE * (each.rows + each.loose))
        for each in confirmed
    )


def is_confirmed(statement: Statement) -> bool:
    """True if the arithmetic of a statement proves the assumed meaning of its columns."""
    found = confirmation(statement)
    enough = found.links >= LEAST_LINKS or (found.links and found.rows >= LEAST_ROWS)
    return bool(enough) and found.rows > found.contradicted


def is_plausible(statement: Statement) -> bool:
    """True for a statement of too few rows to be confirmed, if its balances follow from them."""
    found = confirmation(statement)
    return len(statement.rows) < LEAST_ROWS and bool(found.links) and not found.contradicted and not found.loose


@dataclass(frozen=True)
class Confirmation:
    links: int  # balances that follow from amounts before them
    rows: int  # between them
    weight: float  # of the rows; each further row before a balance weighs less than the first
    contradicted: int  # rows before balances that do not follow
    loose: int  # rows that no balance covers


def confirmation(statement: Statement) -> Confirmation:
    """What the printed balances show about a statement's rows."""
    links, loose = find_links(statement)
    good = [link for link in links if link.gap == 0 and any(row.change for row in link.rows)]
    bad = [link for link in links if link.gap != 0]
    rows = sum(len(link.rows) for link in good)
    weight = len(good) + FURTHER_ROW * (rows - len(good))
    return Confirmation(len(good), rows, weight, sum(max(1, len(link.rows)) for link in bad), len(loose))


def _rate(statement: Statement) -> float:
    found = confirmation(statement)
    undated = sum(row.date is None for row in statement.rows)
    undirected = sum((row.debit is None) == (row.credit is None) for row in statement.rows)
    odd = sum(map(_has_odd_amount, statement.rows))
    doubts = DOUBT * (undated + undirected + odd)
    return found.weight + 0.1 * found.loose + _CONTRADICTED * found.contradicted - doubts


def _has_odd_amount(row: Row) -> bool:
    return any("in an amount column" in flag for flag in row.flags)


def _unread_amounts(document: StatementDocument) -> int:
    return sum("amount" in each.why for each in document.unread)
