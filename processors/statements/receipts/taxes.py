"""The taxes of a receipt: by rate, checked against the net amount, the rate and the total. Pure."""

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from processors.statements.notation.words import TextLine
from processors.statements.receipts.amounts import Notation, find_cells, spaced
from processors.statements.receipts.keywords import find_role, names_tax
from processors.statements.receipts.records import TaxLine

_RATE = re.compile(r"(?<![\d.,])(\d{1,2}(?:[.,]\d{1,3})?) ?%|% ?(\d{1,2})(?![\d.,])")
_BARE_RATE = re.compile(r"(?<![\d.,])(\d{1,2}(?:[.,]\d{1,2})?)(?![\d.,])")
_HALF_TAX = re.compile(r"\b(?:C|S|UT)GST\b")  # India: the taxes of the center and of the state, always equal
_CENT = Decimal("0.011")
_HALF = Decimal("0.0061")  # a rounded half of a cent, and some more where net was rounded as well
_HUNDRED = Decimal(100)
_USUAL_RATES = {  # value-added taxes (OECD, "Consumption Tax Trends"); not for the euro, whose countries have too many
    "AUD": "10",
    "CAD": "5 13 14 15",
    "CHF": "2.6 3.8 8.1",
    "CZK": "12 21",
    "DKK": "25",
    "GBP": "5 20",
    "HUF": "5 18 27",
    "JPY": "8 10",
    "KRW": "10",
    "MXN": "8 16",
    "NOK": "12 15 25",
    "NZD": "15",
    "PLN": "5 8 23",
    "SEK": "6 12 25",
    "SGD": "9",
    "THB": "7",
    "TRY": "1 10 20",
    "ZAR": "15",
}


@dataclass
class Taxes:
    lines: list[TaxLine] = field(default_factory=list)
    total: Decimal | None = None
    confirmed_by: str = ""  # "" if no other figure confirms the total
    contradictions: list[str] = field(default_factory=list)  # lines whose figures contradict each other


def find_taxes(
    lines: Sequence[TextLine],
    height: float,
    notation: Notation,
    total: Decimal | None,
    printed: Sequence[Decimal],
    added: Decimal,
    items: Sequence[tuple[str, Decimal]],
    currency: str,
) -> Taxes:
    """The taxes on these lines, which are not items.

    `printed`: all amounts outside the items, one of which may be the net amount. `added`: what was added to the items
    as tax. `items`: their texts and prices.
    """
    tables: list[TaxLine] = []
    single: list[TaxLine] = []
    contradictions: list[str] = []
    single_texts: list[str] = []
    bases: list[tuple[str, Decimal]] = []  # taxed amounts, on a line of their own
    heads_tax = False
    base: tuple[Decimal, Decimal] | None = None  # an amount and the rate of the tax on the next line
    for line in lines:
        text = spaced(line, height)
        values = [abs(cell.value) for cell in find_cells(text, notation)]
        rate = find_rate(text)
        is_tax = names_tax(text)
        if not values:
            heads_tax = is_tax or (heads_tax and rate is not None)
            continue
        below = _below_base(values[0], base) if is_tax and not rate and len(values) == 1 else None
        base = (values[0], rate) if rate and len(values) == 1 else None
        if found := below or _by_columns(values, rate, text, loose=is_tax or heads_tax):
            tables.append(found)
        elif (
            (is_tax and rate and len(values) > 1)
            or (heads_tax and ((rate and not is_tax) or len(values) > 2))
            or (rate and len(values) > 2)
        ):
            contradictions.append(line.text)
        elif is_tax and find_role(text) == "net":
            bases.append((line.text, values[-1]))
        elif is_tax and find_role(text) not in ("total", "subtotal", "payment", "change", "information"):
            single.append(TaxLine(values[-1], rate))
            single_texts.append(line.text)
    halves = {match[0] for text in single_texts if (match := _HALF_TAX.search(text.upper()))}
    distinct = single if len(halves) > 1 else _without_repetition(single)
    taxes = _put_together(_distinct(tables), distinct, total, printed, added, items, currency)
    if tables:
        known = {line.tax for line in tables} | {taxes.total}
        parts = {part for line in tables for part in (line.net, line.gross)}
        contradictions += [text for text, base in bases if base not in {*known, *parts, total}]
        contradictions += [text for text, line in zip(single_texts, single, strict=True) if line.tax not in known]
    taxes.contradictions = contradictions
    return taxes


def _below_base(tax: Decimal, base: tuple[Decimal, Decimal] | None) -> TaxLine | None:
    """A tax below the taxed amount, with or without that amount, and its rate."""
    if base is None or not tax:
        return None
    amount, rate = base
    net = next((each for each in (amount, amount - tax) if _is_share(tax, each, rate)), None)
    return TaxLine(tax, rate, net, net + tax) if net else None


def find_rate(text: str) -> Decimal | None:
    """The percentage in a text."""
    match = _RATE.search(text)
    return Decimal((match[1] or match[2]).replace(",", ".")) if match else None


def _by_columns(values: Sequence[Decimal], rate: Decimal | None, text: str, *, loose: bool) -> TaxLine | None:
    """Net, tax and gross, or two of them and the rate, in any order."""
    if len(values) >= 2 and rate == 0 and max(values) in (values[-1], values[0]):
        return TaxLine(Decimal(0), rate, max(values), max(values))
    if len(values) >= 3:
        for net, tax, gross in itertools.permutations(values[-4:], 3):
            if net + tax == gross and 0 < tax < net and (rate is None or _is_share(tax, net, rate)):
                rates = [rate] if rate else [r for r in _bare_rates(text) if _is_share(tax, net, r)]
                return TaxLine(tax, next(iter(rates), None), net, gross) if rates or loose else None
    if len(values) >= 3 and (rate or loose):
        for net, tax in itertools.permutations(values, 2):
            rates = [rate] if rate else [each for each in _bare_rates(text) if each not in (net, tax)]
            if tax and (found := next((each for each in rates if _is_share(tax, net, each)), None)):
                return TaxLine(tax, found, net, net + tax)
            if tax and (found := next((each for each in rates if _is_share(tax, net - tax, each)), None)):
                return TaxLine(tax, found, net - tax, net)
    if len(values) == 2:
        for one, tax in itertools.permutations(values, 2):
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
    slack = Decimal(1) if tax.as_tuple().exponent == 0 else _HALF  # whole amounts are also rounded down
    return net > 0 and abs(net * rate / _HUNDRED - tax) <= slack


def _distinct(lines: Sequence[TaxLine]) -> list[TaxLine]:
    """The lines without repetitions, because some receipts print their table twice."""
    found: list[TaxLine] = []
    for line in lines:
        if line not in found:
            found.append(line)
    return found


def _put_together(
    tables: list[TaxLine],
    single: list[TaxLine],
    total: Decimal | None,
    printed: Sequence[Decimal],
    added: Decimal,
    items: Sequence[tuple[str, Decimal]],
    currency: str,
) -> Taxes:
    """Add up the taxes, without a line that is the sum of the others."""
    tables = _without_repetition(_without_sum(tables))
    if tables:
        tax = sum((line.tax for line in tables), Decimal(0))
        taxes = Taxes(tables, tax)
        gross = sum((line.gross for line in tables if line.gross is not None), Decimal(0))  # all have it
        taxes.confirmed_by = "net + tax = total" if gross == total else "each rate" if tax else ""
        if gross != total and total is not None and gross > total:
            taxes.confirmed_by = ""
        return taxes
    single = _without_bases(_without_sum(single), total)
    if not single:
        return Taxes()
    tax = sum((line.tax for line in single), Decimal(0))
    taxes = Taxes(single, tax)
    taxes.confirmed_by = _confirm(taxes, total, printed, added, currency) or _confirm_by_items(tax, total, items)
    return taxes


def confirm_tax(lines: Sequence[TaxLine], total: Decimal | None, printed: Sequence[Decimal], currency: str) -> str:
    """The evidence that confirms the sum of these taxes; "" if there is none. `printed`: amounts that may be the net
    amount."""
    tax = sum((line.tax for line in lines), Decimal(0))
    nets = [line.net for line in lines if line.net is not None]
    if len(nets) == len(lines) and total is not None and sum(nets, Decimal(0)) + tax == total:
        return "net + tax = total"
    return _confirm(Taxes(list(lines), tax), total, printed, Decimal(0), currency)


def _confirm_by_items(tax: Decimal, total: Decimal | None, items: Sequence[tuple[str, Decimal]]) -> str:
    """Confirm the tax by the rates beside the items, whose prices include the tax."""
    rated = [(rate, price) for text, price in items if (rate := find_rate(text))]
    if len({rate for rate, _ in rated}) == 1 and total is not None:
        rated = [(rated[0][0], total)]  # discounts as well
    included = sum((price * rate / (_HUNDRED + rate) for rate, price in rated), Decimal(0))
    return "the rates of the items" if rated and abs(included - tax) <= _HALF * len(rated) else ""


def _without_bases(lines: list[TaxLine], total: Decimal | None) -> list[TaxLine]:
    """The lines without the amounts on which the others are the tax."""
    bases = [
        base
        for base in lines
        for line in lines
        if line is not base and line.rate and line.tax < base.tax and total in (None, base.tax + line.tax)
        if _is_share(line.tax, base.tax, line.rate)
    ]
    return [line for line in lines if not any(line is base for base in bases)]


def _without_sum(lines: list[TaxLine]) -> list[TaxLine]:
    """The taxes without a line that is their sum."""
    for at, line in enumerate(lines):
        others = [other for number, other in enumerate(lines) if number != at]
        if len(others) > 1 and sum(other.tax for other in others) == line.tax and line.rate is None:
            return others
    return lines


def _without_repetition(lines: list[TaxLine]) -> list[TaxLine]:
    """One of two equal taxes, of which at most one has a rate: the same tax, printed twice."""
    if len(lines) == 2 and lines[0].tax == lines[1].tax and (lines[0].rate is None or lines[1].rate is None):
        return [lines[0] if lines[0].rate is not None else lines[1]]
    return lines


def _confirm(taxes: Taxes, total: Decimal | None, printed: Sequence[Decimal], added: Decimal, currency: str) -> str:
    if total is None or taxes.total is None or not 0 <= taxes.total < total:
        return ""
    if taxes.total == 0:  # as in Oregon, or at a rate of 0 %
        return "no tax" if currency == "USD" or all(line.rate == 0 for line in taxes.lines) else ""
    net = total - taxes.total
    if added and added == taxes.total:
        return "items + tax = total"
    if net in printed:
        return "net + tax = total"
    rates = [line.rate for line in taxes.lines]
    if all(rates):
        stacked = all(_is_share(line.tax, net, line.rate) for line in taxes.lines if line.rate)
        bases = sum((line.tax * _HUNDRED / line.rate for line in taxes.lines if line.rate), Decimal(0))
        is_whole = taxes.total.as_tuple().exponent == 0
        rounding = Decimal(100) if is_whole else Decimal("0.6")
        slack = sum((rounding / line.rate for line in taxes.lines if line.rate), Decimal(0))
        if stacked or abs(bases - net) <= slack:
            return "the rate"
    if len(taxes.lines) == 1 and rates[0] is None:
        usual = map(Decimal, _USUAL_RATES.get(currency, "").split())
        return "a usual rate" if any(_is_share(taxes.total, net, rate) for rate in usual) else ""
    return ""
