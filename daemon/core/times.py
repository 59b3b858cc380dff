"""Times of the database as text."""

from datetime import UTC, datetime
from typing import overload


@overload
def iso(microseconds: int) -> str: ...
@overload
def iso(microseconds: None) -> None: ...
@overload
def iso(microseconds: int | None) -> str | None: ...
def iso(microseconds: int | None) -> str | None:
    """A time of the database as ISO 8601 in UTC."""
    if microseconds is None:
        return None
    return datetime.fromtimestamp(microseconds / 1e6, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
