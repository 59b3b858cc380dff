"""An invoice from the words of its pages. Pure."""

import itertools
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal

from processors.statements.invoices.heading import find_cells, find_iban, find_invoice_dates, find_labelled, find_number
from processors.statements.invoices.numbers import NumberedLine, number_line, unglue
from processors.statements.invoices.parties import find_addressee, find_customer, find_supplier
from processors.statements.invoices.records import Invoice
from processors.statements.invoices.rows import drop_codes, read_lines
from processors.statements.invoices.table import Table, find_columns, find_product, find_table
from processors.statements.invoices.taxes import find_tax_lines
from processors.statements.invoices.totals import Figure, Totals, find_figures, solve
from processors.statements.notation.words import PageWords, TextLine, group_lines, line_height
from processors.statements.receipts.amounts import Notation, detect_notation, spaced
from processors.statements.receipts.currency import find_currency
from processors.statements.receipts.records import TaxLine
from processors.statements.receipts.taxes import Taxes, find_rate, find_taxes

_EXPLAIN_NOTHING = ("information", "carried", "payment", "withheld")


def read_invoice(pages: Sequence[PageWords]) -> Invoice:
    """One invoice, on one page or several; every uncertainty is among its reasons."""
    lines = [unglue(line) for page in pages for line in group_lines(page)]
    invoice = Invoice()
    if not lines:
        return invoice
    height = line_height(lines)
    texts = [line.text for line in lines]
    invoice.currency, source = find_currency(texts)
    invoice.currency_source = source if invoice.currency else ""
    invoice.reasons += [] if invoice.currency else [source]
    notation = detect_notation(spaced(line, height) for line in lines)
    numbered = [number_line(line, height, notation) for line in lines]
    table = find_table(numbered)
    _read_money(invoice, numbered, table, height, notation)
    _read_header(invoice, lines, table, height)
    return invoice


def _read_header(invoice: Invoice, lines: Sequence[TextLine], table: Table, height: float) -> None:
    rows = find_cells(lines, height)
    in_table = {*(row.at for row in table.rows), *table.headings, *table.texts, *table.carried}
    end = min(in_table, default=len(lines))
    labelled = [each for each in find_labelled(rows, height) if each.cell.line not in in_table]
    invoice.number, page = find_number(labelled, rows)
    _place(invoice, "number", page)
    dates = find_invoice_dates(labelled, rows, in_table, invoice.currency)
    invoice.date, invoice.due_date, invoice.delivery_date = dates.date, dates.due_date, dates.delivery_date
    invoice.pages |= dates.pages or {}
    invoice.reasons += [dates.doubt] if dates.doubt else []
    invoice.iban, page, wrong = find_iban(rows)
    _place(invoice, "iban", page)
    invoice.reasons += [f"the check digits of the IBAN {iban} are wrong" for iban in wrong]
    customer = find_customer(labelled, rows, height, end)
    supplier = find_supplier(labelled, rows, height, in_table, customer.name)
    if not customer.name:
        customer = find_addressee(rows, height, end, supplier.name)
        again = find_supplier(labelled, rows, height, in_table, customer.name)
        supplier = again if again.name == supplier.name else supplier
    invoice.customer, invoice.supplier = customer.name, supplier.name
    _place(invoice, "customer", customer.page)
    _place(invoice, "supplier", supplier.page)
    if supplier.name and not supplier.is_certain:
        invoice.reasons.append(f"the supplier is uncertain: {supplier.name!r} is the most likely name")


def _place(invoice: Invoice, name: str, page: int) -> None:
    if page:
        invoice.pages[name] = page


def _read_money(
    invoice: Invoice, lines: Sequence[NumberedLine], table: Table, height: float, notation: Notation
) -> None:
    rows = {row.at for row in table.rows}
    skipped = {*rows, *table.carried}
    first = min([*rows, *table.headings], default=0)
    figures = [figure for figure in find_figures(lines, skipped, height) if figure.at >= first]
    sign = _sign(figures)
    figures = [replace(figure, value=sign * figure.value) for figure in figures]
    printed = [figure.value for figure in figures]
    columns = find_columns(table)
    best, column, taxes = Totals(), columns[0] if columns else [], Taxes()
    for tax_lines in find_tax_lines(lines, skipped, first):

        def taxes_of(total: Decimal | None, tax_lines: Sequence[TextLine] = tax_lines) -> Taxes:
            return find_taxes(tax_lines, height, notation, total, printed, Decimal(0), [], invoice.currency)

        unconfirmed = taxes_of(None)
        for each in [*columns, None]:
            total = sign * sum((number.value for _, number in each), Decimal(0)) if each else None
            products = [bool(find_product(row.line, number, row.headings)) for row, number in each or ()]
            found = solve(figures, unconfirmed, total, sum(products) / len(products) if products else 0.0)
            if found.score > best.score:
                best, column = found, each or column
                taxes = taxes_of(found.gross.value if found.gross else None)
    invoice.lines = read_lines(table, column, lines)
    _set_totals(invoice, best, figures, sign, taxes)
    drop_codes(invoice)


def _sign(figures: Sequence[Figure]) -> int:
    """-1 for a credit note whose totals are negative."""
    totals = [figure.value for figure in figures if figure.role in ("total", "due", "net") and figure.value]
    return -1 if totals and sum(value < 0 for value in totals) > len(totals) / 2 else 1


def _set_totals(invoice: Invoice, totals: Totals, figures: Sequence[Figure], sign: int, taxes: Taxes) -> None:
    gross = totals.gross
    if gross is None:
        return
    invoice.gross = sign * gross.value
    _place(invoice, "gross", gross.page)
    _set_net(invoice, totals, sign)
    if totals.tax is not None:
        invoice.tax = sign * totals.tax
        lines = taxes.lines if taxes.total == totals.tax else [TaxLine(totals.tax, _rate_of(totals.tax, figures))]
        if taxes.lines and taxes.total != totals.tax:
            invoice.reasons.append(f"the taxes by rate add up to {taxes.total}, but the tax is {totals.tax}")
        invoice.taxes = [_signed_tax(line, sign, invoice, len(lines) == 1) for line in lines]
    invoice.adjustments = [(figure.label, sign * value) for figure, value in (*totals.adjustments, *totals.after_net)]
    if totals.lines_give:
        invoice.confirmed_by[totals.lines_give] = "the lines"
        invoice.confirmed_by["lines"] = f"they add up to {totals.lines_give}"
    if totals.is_net_plus_tax:
        invoice.confirmed_by.setdefault("net", "net + tax = gross")
        invoice.confirmed_by["gross"] = "net + tax = gross"
        invoice.confirmed_by["tax"] = taxes.confirmed_by or "net + tax = gross"
    elif totals.lines_give and taxes.confirmed_by:
        invoice.confirmed_by["tax"] = taxes.confirmed_by
    _set_payment(invoice, figures, sign)
    _report_others(invoice, totals, figures, sign)


def _set_net(invoice: Invoice, totals: Totals, sign: int) -> None:
    """Set the net amount, if it is printed as such, or if taxes show that the lines add up to it."""
    net = totals.net
    if isinstance(net, Figure):
        is_total = net.role == "net" or not totals.after_net or all(f.role == "rounding" for f, _ in totals.after_net)
        invoice.net = sign * net.value if is_total else None
        _place(invoice, "net", net.page if is_total else 0)
    elif net is not None and totals.tax is not None:
        invoice.net = sign * net


def _rate_of(tax: Decimal, figures: Sequence[Figure]) -> Decimal | None:
    """The rate printed beside a tax."""
    rates = [find_rate(figure.label) for figure in figures if figure.role == "tax" and figure.value == tax]
    return next(filter(None, rates), None)


def _signed_tax(line: TaxLine, sign: int, invoice: Invoice, is_only: bool) -> TaxLine:
    net = line.net
    if net is None and is_only and invoice.net is not None:
        net = sign * invoice.net
    gross = line.gross if line.gross is not None else net + line.tax if net is not None else None
    return TaxLine(
        sign * line.tax, line.rate, sign * net if net is not None else None, sign * gross if gross is not None else None
    )


def _set_payment(invoice: Invoice, figures: Sequence[Figure], sign: int) -> None:
    """Set the amounts that were withheld or already paid, and the amount due, by their differences."""
    gross = sign * (invoice.gross or 0)
    paid = [abs(figure.value) for figure in figures if figure.role == "payment"]
    withheld = [abs(figure.value) for figure in figures if figure.role == "withheld"]
    due = [figure.value for figure in figures if figure.role in ("due", "total", None) and figure.value != gross]
    due += [Decimal(0) for figure in figures if figure.role == "due" and figure.value == 0]
    for less, amount in itertools.product([*withheld, Decimal(0)], [*paid, sum(paid, Decimal(0))]):
        rest = gross - less - amount
        if rest in due and (amount or less):
            invoice.paid, invoice.due = sign * amount if paid else None, sign * rest
            invoice.withheld = sign * less if less else None
            invoice.confirmed_by |= dict.fromkeys(("paid", "withheld"), "gross less paid is due")
            return
    if withheld:
        invoice.withheld = sign * withheld[-1]
    if len(set(paid)) == 1:
        invoice.paid = sign * paid[0]
        if paid[0] == gross:
            invoice.confirmed_by["paid"] = "it is the gross amount"


def _report_others(invoice: Invoice, totals: Totals, figures: Sequence[Figure], sign: int) -> None:
    """Report totals that no other figure confirms."""
    known = {invoice.net, invoice.tax, invoice.gross, invoice.paid, invoice.due}
    known |= {part for line in invoice.taxes for part in (line.tax, line.net, line.gross)}
    known |= {sum((line.amount for line in invoice.lines), Decimal(0))}
    known |= {value for _, value in invoice.adjustments}
    products = [
        line.quantity * line.unit_price
        for line in invoice.lines
        if line.quantity is not None and line.unit_price is not None
    ]
    running = sum((line.amount for line in invoice.lines), Decimal(0))
    for _, value in invoice.adjustments:
        running += value
        known.add(running)
    if invoice.tax is None and any(figure.role == "tax" and figure.value for figure in figures):
        invoice.reasons.append("no other figure confirms a tax that is printed")
    known.add(sum(products, Decimal(0)))
    last = totals.gross.at if totals.gross else -1
    for figure in figures:
        is_sum = figure.role in ("total", "due", "net", "subtotal") or (figure.role == "tax" and figure.is_single)
        is_before = figure.is_single and figure.at <= last and figure.role not in _EXPLAIN_NOTHING
        if (is_sum or is_before) and figure.value and sign * figure.value not in known:
            invoice.reasons.append(
                f"page {figure.page}: no other figure confirms {figure.label!r} of {sign * figure.value}"
            )
