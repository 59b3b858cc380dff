"""The result of one check of `inboxd doctor`: a verdict, what it found, and the command or change that fixes it."""

from collections.abc import Iterator

OK, WARN, FAIL = "ok", "warn", "FAIL"

Findings = Iterator[tuple[str, str, str]]


def shown_bytes(count: float) -> str:
    """An amount of memory or disk space, for people."""
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"
