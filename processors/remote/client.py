"""A client for servers with OpenAI's API: address, API key, retries and error messages.

It connects only to `base_url`: it uses no proxy from the environment and follows no redirects. The API key is sent in
a header and never appears in logs or results.
"""

import logging
import os
import time
from collections.abc import Callable
from pathlib import Path

import httpx2

from processors import wellformed
from processors.contract import Unavailable
from processors.remote import ServerOptions

BUSY = {429, 502, 503, 504}  # statuses of a server that may respond to a retry
NOT_UNDERSTOOD = {400, 415, 422, 501}  # statuses for a parameter that the server does not support
TRIES = 4  # requests in all, if the server may respond to a retry
_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 0.5, 30.0
_CONNECT_SECONDS = 10.0
_MAX_ERROR_CHARACTERS = 300  # characters of a server's error


class Server:
    """One server. For messages: `kind` describes it, and `table` is the table of config.toml with its options."""

    def __init__(self, options: ServerOptions, kind: str, table: str, max_connections: int | None = None):
        """
        Raises:
            Unavailable: the API key is missing.
        """
        key = _read_key(options.api_key_env, options.api_key_file)
        self.url = options.base_url or ""
        self._name, self._table = f"The {kind} {self.url}", table
        self._longest_seconds = options.request_timeout
        logging.getLogger("httpx2").setLevel(logging.WARNING)  # else a line for each request
        self._client = httpx2.Client(
            base_url=self.url,
            headers={"Authorization": f"Bearer {key}"} if key else {},
            timeout=httpx2.Timeout(options.request_timeout, connect=_CONNECT_SECONDS),
            limits=httpx2.Limits(max_connections=max_connections),
            trust_env=False,
            follow_redirects=False,
        )

    def close(self) -> None:
        self._client.close()

    def models(self) -> httpx2.Response:
        """Request the list of models, which not all servers have.

        Raises:
            Unavailable: the server does not respond, or rejects the API key.
        """
        try:
            response = self._client.get("models", timeout=_CONNECT_SECONDS)
        except httpx2.TransportError as error:
            raise self._unreachable(error) from error
        if response.status_code in (401, 403):
            raise self.unauthorized(response)
        if response.status_code in BUSY:
            raise self._unreachable(f"{response.status_code} {error_text(response)}")
        return response

    def ask(
        self,
        send: Callable[[httpx2.Client], httpx2.Response],
        is_transient: Callable[[httpx2.Response], bool],
        alive: Callable[[], None] = lambda: None,
    ) -> httpx2.Response:
        """Send a request and return the final response. Retry while the connection fails, the server is overloaded, or
        `is_transient` is true of its response.

        After the last try, a transient response is returned. Other exceptions of `send` are not caught. `alive` is
        called before each try.

        Raises:
            Unavailable: the server is unreachable or overloaded, or does not respond in time.
        """
        pause = _FIRST_PAUSE_SECONDS
        for left in reversed(range(TRIES)):
            alive()
            try:
                response = send(self._client)
            except httpx2.ReadTimeout as error:  # no retry: the server may still be working on it
                raise self._hangs() from error
            except httpx2.TransportError as error:
                why = error
            else:
                is_busy = response.status_code in BUSY
                if not is_busy and (not left or not is_transient(response)):
                    return response
                why = f"{response.status_code} {error_text(response)}"
                pause = _asked_pause(response) or pause
            if left:
                time.sleep(min(pause, _LONGEST_PAUSE_SECONDS))
                pause *= 2
        raise self._unreachable(why)

    def unauthorized(self, response: httpx2.Response) -> Unavailable:
        """Return the error for a rejected API key (401, 403)."""
        return Unavailable(
            f"{self._name} rejects the API key ({error_text(response)}). Correct `api_key_env` or `api_key_file` in "
            f"[{self._table}], or the key itself."
        )

    def model_not_found(self, what: str) -> Unavailable:
        """Return the error for an unknown model or address (404); `what` describes it."""
        return Unavailable(f"{self._name} does not know {what}. Correct `model` or `base_url` in [{self._table}].")

    def _hangs(self) -> Unavailable:
        return Unavailable(
            f"{self._name} did not respond within {self._longest_seconds:g} s. Check its log, or raise "
            f"`request_timeout` in [{self._table}]; the jobs wait."
        )

    def _unreachable(self, why: object) -> Unavailable:
        return Unavailable(
            f"{self._name} does not respond ({why}). Start it, or correct `base_url` in [{self._table}]; the jobs wait."
        )


def _read_key(api_key_env: str | None, api_key_file: str | None) -> str | None:
    """Read the API key from the environment variable or the file; None if neither is configured.

    Raises:
        Unavailable: the key is missing or unreadable.
    """
    if api_key_env is not None:
        if key := os.environ.get(api_key_env, "").strip():
            return key
        raise Unavailable(
            f"The environment variable {api_key_env}, which should contain the API key, is not set. Set it for inboxd."
        )
    if api_key_file is None:
        return None
    try:
        if key := Path(api_key_file).expanduser().read_text(encoding="ascii").strip():
            return key
    except OSError as error:
        raise Unavailable(f"Cannot read the API key in {api_key_file}: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise Unavailable(f"The API key in {api_key_file} is not ASCII. The file must contain only the key.") from error
    raise Unavailable(f"{api_key_file} is empty. Write the API key into it.")


def _asked_pause(response: httpx2.Response) -> float | None:
    """Return the seconds of a Retry-After header, or None (RFC 9110, 10.2.3; its other form, a date, is ignored)."""
    written = response.headers.get("retry-after", "")
    return float(written) if written.isascii() and written.isdigit() else None


def error_text(response: httpx2.Response) -> str:
    """Return the text of a server's error, shortened."""
    try:
        error = response.json()["error"]
        text = str(error["message"] or "") if isinstance(error, dict) else str(error)
    except (ValueError, LookupError, TypeError, RecursionError):
        text = response.text
    return wellformed.text(" ".join(text.split())[:_MAX_ERROR_CHARACTERS]) or response.reason_phrase
