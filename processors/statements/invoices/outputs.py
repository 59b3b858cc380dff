"""An invoice, verified, as files: CSV and JSON, and a Markdown summary to open first."""

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from decimal import Decimal
from pathlib import Path

from processors import wellformed
from processors.contract import Work
from processors.statements.invoices.records import Invoice, InvoiceLine
from processors.statements.invoices.verify import verify_invoice
from processors.statements.writing.csv_style import DEFAULT_STYLE, CsvStyle
from processors.statements.writing.csv_tables import escape_markdown, to_json, write_formats, write_table
from processors.statements.writing.finished import FinishedDocument

_HEADINGS = (
    *("supplier", "number", "date", "page", "description", "quantity", "unit", "unit_price", "discount"),
    *("tax_rate", "amount", "currency"),
)


def finish_invoice(
    work: Work,
    invoice: Invoice,
    formats: Sequence[str],
    texts: Mapping[int, str],
    *,
    min_confidence: float,
    csv_style: CsvStyle = DEFAULT_STYLE,
) -> FinishedDocument:
    """Verify the invoice and write it. `texts`: see `SecondReading`; `min_confidence`: see `verify_invoice`."""
    verify_invoice(invoice, texts, min_confidence=min_confidence)
    files = write_invoice(invoice, work.outputs, work.stem, formats, csv_style=csv_style)
    summary, facts = summarize_invoice(invoice)
    return FinishedDocument(summary=summary, files=tuple(files), reasons=tuple(invoice.reasons), facts=facts)


def write_invoice(
    invoice: Invoice, outputs: Path, stem: str, formats: Sequence[str], *, csv_style: CsvStyle = DEFAULT_STYLE
) -> list[str]:
    """Write one file per format; return their names."""
    csv: Callable[[Invoice, Path], None] = functools.partial(write_csv, style=csv_style)
    writers = {**_WRITERS, "csv": csv}
    return write_formats(invoice, outputs, stem, formats, writers)


def summarize_invoice(invoice: Invoice) -> tuple[str, dict[str, object]]:
    """A summary in one line, and facts for result.json."""
    gross = f"{invoice.gross} {invoice.currency}".strip() if invoice.gross is not None else "no gross amount"
    summary = (
        f"{invoice.supplier or 'no supplier'}, {invoice.number or 'no number'}, {invoice.date or 'no date'}, {gross}"
    )
    return summary, {
        "lines": len(invoice.lines),
        "number": invoice.number,
        "date": invoice.date and str(invoice.date),
        "due_date": invoice.due_date and str(invoice.due_date),
        "net": _text(invoice.net),
        "tax": _text(invoice.tax),
        "gross": _text(invoice.gross),
        "currency": invoice.currency,
        "iban": invoice.iban,
    }


def write_csv(invoice: Invoice, path: Path, style: CsvStyle = DEFAULT_STYLE) -> None:
    """One line per line of the invoice."""
    write_table(path, _HEADINGS, (_values(invoice, line) for line in invoice.lines), style)


def write_json(invoice: Invoice, path: Path) -> None:
    """The complete structure; amounts as strings, so that no program rounds them."""
    path.write_text(wellformed.dumps(asdict(invoice), indent=1, default=to_json) + "\n", encoding="utf-8")


def write_markdown(invoice: Invoice, path: Path) -> None:
    """The file that a person opens first."""
    lines = [f"# {escape_markdown(invoice.supplier) or 'Invoice'}", ""]
    if invoice.reasons:
        lines += ["**To review:**", "", *[f"- {escape_markdown(reason)}" for reason in invoice.reasons], ""]
    else:
        lines += ["Nothing is flagged.", ""]
    lines += ["| | |", "|---|---|", *[f"| {name} | {value} |" for name, value in _header(invoice)], ""]
    lines += ["| Description | Quantity | Unit price | Amount |", "|---|---|---|---|"]
    for line in invoice.lines:
        quantity = f"{_text(line.quantity) or ''} {escape_markdown(line.unit)}".strip()
        cells = (escape_markdown(line.description), quantity, _text(line.unit_price) or "", line.amount)
        lines.append(f"| {' | '.join(map(str, cells))} |")
    lines += [
        "",
        "| | |",
        "|---|---|",
        *[f"| {name} | {value} |" for name, value in _sums(invoice) if value is not None],
    ]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


_WRITERS: dict[str, Callable[[Invoice, Path], None]] = {"md": write_markdown, "json": write_json}


def _values(invoice: Invoice, line: InvoiceLine) -> list[object]:
    values = [invoice.supplier, invoice.number, invoice.date, line.page, line.description, line.quantity, line.unit]
    return [*values, line.unit_price, line.discount, line.tax_rate, line.amount, invoice.currency]


def _header(invoice: Invoice) -> list[tuple[str, str]]:
    return [
        ("Number", escape_markdown(invoice.number) or "not found"),
        ("Date", str(invoice.date or "not found")),
        *([("Due date", str(invoice.due_date))] if invoice.due_date else []),
        *([("Delivery date", str(invoice.delivery_date))] if invoice.delivery_date else []),
        ("Customer", escape_markdown(invoice.customer) or "not found"),
        ("IBAN", invoice.iban or "not found"),
        ("Currency", invoice.currency or "not found"),
    ]


def _sums(invoice: Invoice) -> list[tuple[str, Decimal | None]]:
    return [
        *[(escape_markdown(text) or "Adjustment", value) for text, value in invoice.adjustments],
        ("Net", invoice.net),
        *[(f"Tax {line.rate} %" if line.rate is not None else "Tax", line.tax) for line in invoice.taxes],
        ("**Gross**", invoice.gross),
        ("Withheld", invoice.withheld),
        ("Paid", invoice.paid),
        ("Due", invoice.due),
    ]


def _text(value: Decimal | None) -> str | None:
    return None if value is None else str(value)
