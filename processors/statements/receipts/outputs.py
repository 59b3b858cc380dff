"""A receipt, verified, as files: CSV and JSON, and a Markdown summary to open first."""

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from decimal import Decimal
from pathlib import Path

from processors import wellformed
from processors.contract import Work
from processors.statements.receipts.records import Receipt
from processors.statements.receipts.verify import verify_receipt
from processors.statements.writing.csv_style import DEFAULT_STYLE, CsvStyle
from processors.statements.writing.csv_tables import escape_markdown, to_json, write_formats, write_table
from processors.statements.writing.finished import FinishedDocument


def finish_receipt(
    work: Work,
    receipt: Receipt,
    formats: Sequence[str],
    texts: Mapping[int, str],
    *,
    min_confidence: float,
    csv_style: CsvStyle = DEFAULT_STYLE,
) -> FinishedDocument:
    """Verify the receipt and write it. `texts`: see `SecondReading`; `min_confidence`: see `verify_receipt`."""
    verify_receipt(receipt, texts, min_confidence=min_confidence)
    files = write_receipt(receipt, work.outputs, work.stem, formats, csv_style=csv_style)
    summary, facts = summarize_receipt(receipt)
    return FinishedDocument(summary=summary, files=tuple(files), reasons=tuple(receipt.reasons), facts=facts)


def write_receipt(
    receipt: Receipt, outputs: Path, stem: str, formats: Sequence[str], *, csv_style: CsvStyle = DEFAULT_STYLE
) -> list[str]:
    """Write one file per format; return their names."""
    csv: Callable[[Receipt, Path], None] = functools.partial(write_csv, style=csv_style)
    writers = {**_WRITERS, "csv": csv}
    return write_formats(receipt, outputs, stem, formats, writers)


def summarize_receipt(receipt: Receipt) -> tuple[str, dict[str, object]]:
    """A summary in one line, and facts for result.json."""
    line = f"{receipt.shop or 'no shop'}, {receipt.date or 'no date'}, {receipt.total or 'no total'}"
    return line, {
        "items": len(receipt.items),
        "total": receipt.total and str(receipt.total),
        "tax": receipt.tax and str(receipt.tax),
        "date": receipt.date and str(receipt.date),
        "currency": receipt.currency,
    }


def write_csv(receipt: Receipt, path: Path, style: CsvStyle = DEFAULT_STYLE) -> None:
    """One line per item."""
    rows = ([receipt.date, receipt.shop, each.description, each.price, receipt.currency] for each in receipt.items)
    write_table(path, ("date", "shop", "description", "price", "currency"), rows, style)


def write_json(receipt: Receipt, path: Path) -> None:
    path.write_text(wellformed.dumps(asdict(receipt), indent=1, default=to_json) + "\n", encoding="utf-8")


def write_markdown(receipt: Receipt, path: Path) -> None:
    lines = [f"# {escape_markdown(receipt.shop) or 'Receipt'}", ""]
    lines += [f"{receipt.date or 'date not found'}, total {receipt.total or 'not found'} {receipt.currency}", ""]
    if receipt.reasons:
        lines += ["**To review:**", "", *[f"- {reason}" for reason in receipt.reasons], ""]
    lines += ["| Item | Price |", "|---|---|"]
    lines += [f"| {escape_markdown(item.description)} | {item.price} |" for item in receipt.items]
    lines += [f"| **{name}** | {value} |" for name, value in _sums(receipt) if value is not None]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _sums(receipt: Receipt) -> list[tuple[str, Decimal | None]]:
    rates = [(f"Tax {line.rate} %", line.tax) for line in receipt.taxes if line.rate is not None]
    return [
        ("Subtotal", receipt.subtotal),
        *(rates if len(rates) > 1 else []),
        ("Tax", receipt.tax),
        ("Tip", receipt.tip),
        ("Rounding", receipt.rounding),
        ("Total", receipt.total),
        ("Paid in cash", receipt.paid),
        ("Change", receipt.change),
    ]


_WRITERS: dict[str, Callable[[Receipt, Path], None]] = {"md": write_markdown, "json": write_json}
