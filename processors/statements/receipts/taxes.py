"""The taxes of a receipt: by rate, checked against the net amount, the rate and the total. Pure."""

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from processors.statements.receipts.amounts import Notation, find_cells, spaced
from processors.statements.receipts.keywords import find_role, names_tax
from processors.statements.receipts.records import TaxLine
from processors.statements.words import TextLine

_RATE = re.compile(r"(?<![\d.,])(\d{1,2}(?:[.,]\d{1,3})?) ?%")
_BARE_RATE = re.compile(r"(?<![\d.,])(\d{1,2}(?:[.,]\d{1,2})?)(?![\d.,])")
_CENT = Decimal("0.011")
_HUNDRED = Decimal(100)
# value-added and sales taxes in force somewhere (OECD, "Consumption Tax Trends 2024"); a rate is evidence, no more
_KNOWN_RATES = tuple(
    map(
        Decimal,
        [
            "2.1",
            "2.5",
            "2.6",
            "3",
            "3.8",
            "4",
            "5",
            "5.5",
            "6",
            "7",
            "8",
            "8.1",
            "9",
            "9.5",
            "10",
            "11",
            "12",
            "13",
            "13.5",
            "14",
            "15",
            "16",
            "17",
            "18",
            "19",
            "20",
            "21",
            "22",
            "23",
            "24",
            "25",
            "25.5",
            "27",
        ],
    )
)


@dataclass
class Taxes:
    lines: list[TaxLine] = field(default_factory=list)
    total: Decimal | None = None
    confirmed_by: str = ""  # "" if no other figure confirms the total


def find_taxes(
    lines: Sequence[TextLine],
    height: float,
    notation: Notation,
    total: Decimal | None,
    printed: Sequence[Decimal],
    added: Decimal,
) -> Taxes:
    """The taxes on these lines, which are no items.

    `printed`: all amounts outside the items, one of which may be the net amount. `added`: what was added to the items
    as tax.
    """
    tables: list[TaxLine] = []
    single: list[TaxLine] = []
    heads_tax = False
    for line in lines:
        text = spaced(line, height)
        values = [abs(cell.value) for cell in find_cells(text, notation)]
        rate = _find_rate(text)
        is_tax = names_tax(text)
        if not values:
            heads_tax = is_tax or (heads_tax and rate is not None)
            continue
        if found := _by_columns(values, rate, text, loose=is_tax or heads_tax):
            tables.append(found)
        elif is_tax and find_role(text) not in ("total", "subtotal", "net", "payment", "change", "information"):
            single.append(TaxLine(values[-1], rate))
    return _put_together(_distinct(tables), _distinct(single), total, printed, added)


def _find_rate(text: str) -> Decimal | None:
    match = _RATE.search(text)
    return Decimal(match[1].replace(",", ".")) if match else None


def _by_columns(values: Sequence[Decimal], rate: Decimal | None, text: str, *, loose: bool) -> TaxLine | None:
    """Net, tax and gross, or two of them and the rate, in any order."""
    if len(values) >= 3:
        for net, tax, gross in itertools.permutations(values[-4:], 3):
            if net + tax == gross and 0 < tax < net and (rate is None or _is_share(tax, net, rate)):
                rates = [rate] if rate else [r for r in _bare_rates(text) if _is_share(tax, net, r)]
                return TaxLine(tax, next(iter(rates), None), net, gross) if rates or loose else None
    if len(values) >= 2:
        for one, tax in itertools.permutations(values[-3:], 2):
            for each in [rate] if rate else _bare_rates(text) if loose else []:
                if tax and _is_share(tax, one, each):
                    return TaxLine(tax, each, one, one + tax)
                if tax and _is_share(tax, one - tax, each):
                    return TaxLine(tax, each, one - tax, one)
    return None


def _bare_rates(text: str) -> list[Decimal]:
    found = [Decimal(each.replace(",", ".")) for each in _BARE_RATE.findall(text)]
    return [rate for rate in found if 0 < rate <= 30]


def _is_share(tax: Decimal, net: Decimal, rate: Decimal) -> bool:
    unit = Decimal("0.55") if tax.as_tuple().exponent == 0 else _CENT
    return net > 0 and abs(net * rate / _HUNDRED - tax) <= 2 * unit


def _distinct(lines: Sequence[TaxLine]) -> list[TaxLine]:
    """Without repetitions: some receipts print their table twice."""
    found: list[TaxLine] = []
    for line in lines:
        if line not in found:
            found.append(line)
    return found


def _put_together(
    tables: list[TaxLine], single: list[TaxLine], total: Decimal | None, printed: Sequence[Decimal], added: Decimal
) -> Taxes:
    """Sum up; a line that is the sum of the others is not counted again."""
    tables = _without_sum(tables)
    if tables:
        taxes = Taxes(tables, sum((line.tax for line in tables), Decimal(0)))
        gross = sum((line.gross for line in tables), Decimal(0))
        taxes.confirmed_by = "net + tax = total" if gross == total else "each rate"
        if gross != total and total is not None and gross > total:
            taxes.confirmed_by = ""
        return taxes
    single = _without_sum(single)
    if not single:
        return Taxes()
    taxes = Taxes(single, sum((line.tax for line in single), Decimal(0)))
    taxes.confirmed_by = _confirm(taxes, total, printed, added)
    return taxes


def _without_sum(lines: list[TaxLine]) -> list[TaxLine]:
    for at, line in enumerate(lines):
        others = [other for number, other in enumerate(lines) if number != at]
        if len(others) > 1 and sum(other.tax for other in others) == line.tax and line.rate is None:
            return others
    if len(lines) == 2 and lines[0].tax == lines[1].tax and (lines[0].rate is None or lines[1].rate is None):
        return [lines[0] if lines[0].rate is not None else lines[1]]
    return lines


def _confirm(taxes: Taxes, total: Decimal | None, printed: Sequence[Decimal], added: Decimal) -> str:
    if total is None or taxes.total is None or not 0 < taxes.total < total:
        return ""
    net = total - taxes.total
    if added and added == taxes.total:
        return "items + tax = total"
    if net in printed:
        return "net + tax = total"
    rates = [line.rate for line in taxes.lines]
    if all(rates):
        stacked = all(_is_share(line.tax, net, line.rate) for line in taxes.lines if line.rate)
        bases = sum((line.tax * _HUNDRED / line.rate for line in taxes.lines if line.rate), Decimal(0))
        slack = sum((Decimal("0.6") / line.rate for line in taxes.lines if line.rate), Decimal(0))
        if stacked or abs(bases - net) <= slack:
            return "the rate"
    if len(taxes.lines) == 1 and rates[0] is None:
        slack = Decimal("0.6") if taxes.total.as_tuple().exponent == 0 else Decimal("0.006")
        near = [rate for rate in _KNOWN_RATES if abs(net * rate / _HUNDRED - taxes.total) <= slack]
        return "a usual rate" if near else ""
    return ""
