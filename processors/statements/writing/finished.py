"""What every finisher of documents returns."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class FinishedDocument:
    """A statement, a receipt or an invoice, verified and written."""

    summary: str  # one line
    files: tuple[str, ...]  # names within `Work.outputs`; the first one is what a person opens
    reasons: tuple[str, ...]  # why a person should review it
    facts: Mapping[str, object]  # for result.json
