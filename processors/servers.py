"""What all clients of a server do alike: its key, its errors in its own words, how long it wants to be left alone."""

import os
from pathlib import Path
from typing import Any

from processors.base import Unavailable

BUSY = {429, 502, 503, 504}  # statuses of a server that may well answer a moment later
_MOST_SAID = 300  # characters of a server's error


def read_key(api_key_env: str | None, api_key_file: str | None) -> str | None:
    """The key in that environment variable, or in that file; None: neither is named.

    Raises:
        Unavailable: it is not there.
    """
    if api_key_env is not None:
        if key := os.environ.get(api_key_env, "").strip():
            return key
        raise Unavailable(f"The environment variable {api_key_env} with the API key is not set for inboxd.")
    if api_key_file is None:
        return None
    try:
        if key := Path(api_key_file).expanduser().read_text(encoding="ascii").strip():
            return key
    except (OSError, UnicodeDecodeError) as error:
        raise Unavailable(f"The API key in {api_key_file} cannot be read: {error}.") from error
    raise Unavailable(f"{api_key_file}, which should hold the API key, is empty.")


def asked_pause(response: Any) -> float | None:
    """Seconds, if the server names them (RFC 9110, 10.2.3; its other form, a date, is not read)."""
    written = response.headers.get("retry-after", "")
    return float(written) if written.isdigit() else None


def said(response: Any) -> str:
    """A server's error in its own words, as short text."""
    try:
        error = response.json()["error"]
        text = error["message"] if isinstance(error, dict) else str(error)
    except (ValueError, LookupError, TypeError):
        text = response.text
    return " ".join(text.split())[:_MOST_SAID] or response.reason_phrase
