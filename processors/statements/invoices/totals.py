"""Net, tax and gross of an invoice: the figures that confirm each other, whatever the words beside them. Pure."""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from processors.statements.invoices.keywords import Role, find_invoice_role
from processors.statements.invoices.numbers import Number, NumberedLine, last_label
from processors.statements.receipts.taxes import Taxes

_PRODUCT_SCORE = 5.0  # of a column whose amounts are all quantity × price
_ROLE_SCORES = {  # of a candidate for the gross amount
    "total": 3.0,
    "due": 2.0,
    "payment": -1.0,
    "subtotal": -2.0,
    "net": -3.0,
    "tax": -4.0,
    "charge": -4.0,
    "discount": -5.0,
    "carried": -5.0,
    "information": -6.0,
    "withheld": -6.0,
    "rounding": -6.0,
}
_ADJUSTMENTS = ("discount", "charge", "rounding", "tip")  # roles of figures that may be between lines, net and gross
_BESIDE = 3  # lines: the net amount may be printed below the gross amount beside it
_MOST_ADJUSTMENTS = 3
_MOST_CONSIDERED = 8
_ABOVE = 2.5  # line heights: maximum distance of a label above its amount


@dataclass(frozen=True)
class Figure:
    """An amount outside the lines of the table."""

    at: int  # index of its line
    page: int
    label: str
    role: Role | None
    value: Decimal
    is_single: bool  # no other amount has its label


@dataclass(frozen=True)
class Adjusted:
    """A sum, and the figures added to it, with their signs."""

    added: tuple[tuple[Figure, Decimal], ...] = ()

    @property
    def change(self) -> Decimal:
        return sum((value for _, value in self.added), Decimal(0))


@dataclass
class Totals:
    net: Figure | Decimal | None = None
    tax: Decimal | None = None
    gross: Figure | None = None
    lines_give: str = ""  # "net" or "gross": what the lines add up to
    adjustments: tuple[tuple[Figure, Decimal], ...] = ()  # between the lines and net or gross
    after_net: tuple[tuple[Figure, Decimal], ...] = ()  # between net + tax and gross
    is_net_plus_tax: bool = False  # net + tax = gross, all three printed
    score: float = field(default=0.0)


def find_figures(lines: Sequence[NumberedLine], skipped: set[int], height: float) -> list[Figure]:
    """All amounts outside the rows of the table, with their labels."""
    return [
        Figure(at, line.line.page, label, find_invoice_role(label), amount.value, is_single)
        for at, line in enumerate(lines)
        if at not in skipped and not line.is_prose
        for amount, label, is_single in _label(lines, at, height)
    ]


def _label(lines: Sequence[NumberedLine], at: int, height: float) -> Iterator[tuple[Number, str, bool]]:
    """Each amount of a line, its label, and whether no other amount has this label."""
    line, start, last = lines[at], 0, ""
    for amount in line.amounts:
        last = last_label(line.text[start : amount.start]) or last
        start = amount.end
        above = "" if last else _label_above(lines, at, amount, height)
        yield amount, last or above or line.text[line.amounts[-1].end :].strip(), bool(above) or len(line.amounts) == 1


def _label_above(lines: Sequence[NumberedLine], at: int, amount: Number, height: float) -> str:
    """The words above an amount whose own line has none."""
    for other in reversed(lines[max(0, at - 2) : at]):
        if other.line.page != lines[at].line.page or lines[at].line.top - other.line.bottom > _ABOVE * height:
            return ""
        words = [word for word in other.line.words if word.left < amount.right and amount.left < word.right]
        if words and not other.amounts and any(char.isalpha() for word in words for char in word.text):
            return _with_neighbours(other, words[0].left, words[-1].right, height)
    return ""


def _with_neighbours(line: NumberedLine, left: float, right: float, height: float) -> str:
    for word in reversed(line.line.words):
        if word.right <= left and left - word.right < height:
            left = word.left
    for word in line.line.words:
        if word.left >= right and word.left - right < height:
            right = word.right
    return " ".join(word.text for word in line.line.words if word.left >= left and word.right <= right)


def solve(figures: Sequence[Figure], taxes: Taxes, lines: Decimal | None, products: float = 0.0) -> Totals:
    """The totals that are confirmed best.

    lines: what the lines of the table add up to; None: there are none. products: the share of them whose amount is
    quantity × price.
    """
    candidates = [_explain(gross, figures, tax, lines) for gross in figures for tax in _tax_options(figures, taxes)]
    likely = [one for one in candidates if one.score > 0]
    for one in likely:
        one.score += _PRODUCT_SCORE * products
    if not likely:
        return Totals()
    return max(likely, key=lambda one: (one.score, one.gross.value if one.gross else 0))


def _tax_options(figures: Sequence[Figure], taxes: Taxes) -> list[Decimal | None]:
    options = [taxes.total, *(figure.value for figure in figures if figure.role == "tax" and figure.is_single), None]
    return list(dict.fromkeys(options))


def _explain(gross: Figure, figures: Sequence[Figure], tax: Decimal | None, lines: Decimal | None) -> Totals:
    """The totals, assuming that this is the gross amount."""
    score = _ROLE_SCORES.get(gross.role or "", 0.0)
    before = [figure for figure in figures if figure.at < gross.at or figure is not gross]
    totals = Totals(gross=gross, tax=tax, score=score)
    if gross.value <= 0:
        return Totals()
    net = _find_net(gross, before, tax or Decimal(0), lines) if tax is not None else None
    if net:
        totals.net, extra = net
        totals.after_net = extra.added
        totals.is_net_plus_tax = True
        is_named = isinstance(totals.net, Figure) and totals.net.role in ("net", "subtotal")
        totals.score += 4.0 + is_named - 1.5 * len(extra.added)
    if lines is not None:
        _add_lines(totals, gross, before, tax, lines)
    if tax is None:
        totals.score -= 2.0 * any(figure.role == "tax" and figure.value for figure in figures)
    return totals


def _find_net(
    gross: Figure, figures: Sequence[Figure], tax: Decimal, lines: Decimal | None
) -> tuple[Figure | Decimal, Adjusted] | None:
    extras = [figure for figure in figures if figure.at <= gross.at and _may_adjust(figure)]
    for extra in _subsets(extras):
        wanted = gross.value - tax - extra.change
        added = {id(figure) for figure, _ in extra.added}
        alike = [
            figure
            for figure in figures
            if figure.value == wanted
            and figure is not gross
            and id(figure) not in added
            and figure.at <= gross.at + _BESIDE
        ]
        named = [figure for figure in alike if figure.role in ("net", "subtotal")]
        if (named or alike) and (not extra.added or named):
            return (named or alike)[-1], extra
        if lines is not None and wanted == lines and not extra.added:
            return wanted, extra
    return None


def _add_lines(totals: Totals, gross: Figure, figures: Sequence[Figure], tax: Decimal | None, lines: Decimal) -> None:
    """Explain net or gross by the lines of the table, discounts and charges."""
    extras = [figure for figure in figures if figure.at <= gross.at and _may_adjust(figure)]
    net = totals.net.value if isinstance(totals.net, Figure) else totals.net
    if net is None and tax is not None:
        net = gross.value - tax
    for name, wanted, gain in (("net", net, 4.0), ("gross", gross.value, 3.5)):
        for extra in _subsets([figure for figure in extras if figure.role != "rounding" or name == "gross"]):
            if wanted is not None and lines + extra.change == wanted and (name == "net" or totals.net or not tax):
                totals.lines_give = name
                totals.adjustments = extra.added
                totals.score += gain - 1.0 * len(extra.added)
                if totals.net is None:
                    totals.net = net if net is not None else gross.value
                return


def _subsets(figures: Sequence[Figure]) -> Iterator[Adjusted]:
    """None of these figures, one, two …, with both signs where that is possible; the fewest first."""
    considered = [figure for figure in figures if figure.value][:_MOST_CONSIDERED]
    for count in range(_MOST_ADJUSTMENTS + 1):
        for chosen in itertools.combinations(considered, count):
            for values in itertools.product(*[_signed(figure) for figure in chosen]):
                yield Adjusted(tuple(zip(chosen, values, strict=True)))


def _may_adjust(figure: Figure) -> bool:
    return figure.role in _ADJUSTMENTS or (figure.role is None and figure.is_single)


def _signed(figure: Figure) -> Sequence[Decimal]:
    if figure.role == "discount" and figure.value > 0:
        return (-figure.value,)
    return (figure.value,)
