"""The client of a server with OpenAI's API: where it is, its key, how often it is asked, and what its refusals mean.

Goes to `base_url` and nowhere else: no proxy of the environment is used, no redirection followed. The API key is sent
as its header, and kept out of logs and results.
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

BUSY = {429, 502, 503, 504}  # statuses of a server that may well answer a moment later
NOT_UNDERSTOOD = {400, 415, 422, 501}  # what servers say to a parameter that they do not know
TRIES = 4  # of a request that the server may well answer a moment later
_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 0.5, 30.0
_CONNECT_SECONDS = 10.0
_MOST_SAID = 300  # characters of a server's error


class Server:
    """One server; `kind` and `table` say in messages what it is, and which table of config.toml names it."""

    def __init__(self, options: ServerOptions, kind: str, table: str, most_connections: int | None = None):
        """
        Raises:
            Unavailable: there is no key.
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
            limits=httpx2.Limits(max_connections=most_connections),
            trust_env=False,
            follow_redirects=False,
        )

    def close(self) -> None:
        self._client.close()

    def models(self) -> httpx2.Response:
        """What it says of the models that it has; not all servers have such a list.

        Raises:
            Unavailable: it does not answer, or refuses the key.
        """
        try:
            response = self._client.get("models", timeout=_CONNECT_SECONDS)
        except httpx2.TransportError as error:
            raise self._away(error) from error
        if response.status_code in (401, 403):
            raise self.refused(response)
        if response.status_code in BUSY:
            raise self._away(f"{response.status_code} {said(response)}")
        return response

    def ask(
        self,
        send: Callable[[httpx2.Client], httpx2.Response],
        is_passing: Callable[[httpx2.Response], bool],
        alive: Callable[[], None] = lambda: None,
    ) -> httpx2.Response:
        """The server's last word: what it says when it is overloaded, or `is_passing`, is not, unless it goes on so.

        What `send` raises, but for a failed connection, ends it. `alive` is called before each try.

        Raises:
            Unavailable: it is away or overloaded, or took a request and gave no answer in time.
        """
        pause = _FIRST_PAUSE_SECONDS
        for left in reversed(range(TRIES)):
            alive()
            try:
                response = send(self._client)
            except httpx2.ReadTimeout as error:  # not asked again at once: it may still be at work on it
                raise self._hangs() from error
            except httpx2.TransportError as error:
                why = error
            else:
                is_busy = response.status_code in BUSY
                if not is_busy and (not left or not is_passing(response)):
                    return response
                why = f"{response.status_code} {said(response)}"
                pause = _asked_pause(response) or pause
            if left:
                time.sleep(min(pause, _LONGEST_PAUSE_SECONDS))
                pause *= 2
        raise self._away(why)

    def refused(self, response: httpx2.Response) -> Unavailable:
        """What it means that the server knows no such key (401, 403)."""
        return Unavailable(
            f"{self._name} refuses the API key ({said(response)}). Correct `api_key_env` or `api_key_file` in "
            f"[{self._table}], or what they name."
        )

    def lacks(self, what: str) -> Unavailable:
        """What it means that the server has no such model or address (404); `what`, in words."""
        return Unavailable(f"{self._name} does not know {what}. Correct `model` or `base_url` in [{self._table}].")

    def _hangs(self) -> Unavailable:
        return Unavailable(
            f"{self._name} gave no answer within {self._longest_seconds:g} s. Look whether it works, or raise "
            f"`request_timeout` in [{self._table}]; the jobs wait."
        )

    def _away(self, why: object) -> Unavailable:
        return Unavailable(
            f"{self._name} does not answer ({why}). Start it, or correct `base_url` in [{self._table}]; the jobs wait."
        )


def _read_key(api_key_env: str | None, api_key_file: str | None) -> str | None:
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
    except OSError as error:
        raise Unavailable(f"The API key in {api_key_file} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise Unavailable(f"The API key in {api_key_file} is not ASCII. The file must contain only the key.") from error
    raise Unavailable(f"{api_key_file}, which should hold the API key, is empty.")


def _asked_pause(response: httpx2.Response) -> float | None:
    """Seconds, if the server names them (RFC 9110, 10.2.3; its other form, a date, is not read)."""
    written = response.headers.get("retry-after", "")
    return float(written) if written.isascii() and written.isdigit() else None


def said(response: httpx2.Response) -> str:
    """A server's error in its own words, as short text."""
    try:
        error = response.json()["error"]
        text = str(error["message"] or "") if isinstance(error, dict) else str(error)
    except (ValueError, LookupError, TypeError, RecursionError):
        text = response.text
    return wellformed.text(" ".join(text.split())[:_MOST_SAID]) or response.reason_phrase
