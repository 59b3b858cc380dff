"""A client for servers with OpenAI's API: addresses, API key, retries and error messages.

It connects only to `base_url`: it uses no proxy from the environment and follows no redirects. The API key is sent in
a header and never appears in logs or results.
"""

import logging
import os
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TypeGuard

import httpx2

from processors import wellformed
from processors.contract import Unavailable
from processors.remote import ServerOptions
from processors.remote.endpoints import Endpoint, Endpoints

BUSY = {429, 502, 503, 504}  # statuses of a server that may respond to a retry
NOT_UNDERSTOOD = {400, 415, 422, 501}  # statuses for a parameter that the server does not support
TRIES = 4  # requests in all, if the server may respond to a retry
_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 0.5, 30.0
_CONNECT_SECONDS = 10.0
_MAX_ERROR_CHARACTERS = 300  # characters of a server's error


class SlowAnswer(Unavailable):  # noqa: N818 - as its parent
    """A server responds, but did not answer this request in time."""


class Server:
    """One server, or several with the same model, which share the requests. For messages: `kind` describes it, and
    `table` is the table of config.toml with its options."""

    def __init__(self, options: ServerOptions, kind: str, table: str, slots: int | None = None):
        """`slots`: maximum number of simultaneous requests to one server; None: no limit.

        Raises:
            Unavailable: the API key is missing.
        """
        key = _read_key(options.api_key_env, options.api_key_file)
        self.name = ", ".join(options.base_urls)
        self._kind, self._table = kind, table
        self._longest_seconds = options.request_timeout
        logging.getLogger("httpx2").setLevel(logging.WARNING)  # else a line for each request
        self._endpoints = Endpoints(
            [Endpoint(url, _connect(url, key, options.request_timeout), slots) for url in options.base_urls]
        )

    def close(self) -> None:
        for endpoint in self._endpoints.all:
            endpoint.client.close()

    def models(self) -> httpx2.Response:
        """Request the list of models, which not all servers have, from the first server that responds.

        Raises:
            Unavailable: none responds, or one rejects the API key.
        """
        outcomes = {}
        for endpoint in self._endpoints.all:
            outcome = outcomes[endpoint] = _models(endpoint)
            if _is_answer(outcome):
                if outcome.status_code in (401, 403):
                    raise self.unauthorized(outcome)
                return outcome
            self._endpoints.failed(endpoint)
        raise self._unreachable(outcomes)

    def ask(
        self,
        send: Callable[[httpx2.Client], httpx2.Response],
        is_transient: Callable[[httpx2.Response], bool],
        alive: Callable[[], None] = lambda: None,
    ) -> httpx2.Response:
        """Send a request to the least busy server and return the final response. Try another one while the connection
        fails or a server is overloaded; retry while all do, or while `is_transient` is true of the response.

        After the last try, a transient response is returned. Other exceptions of `send` are not caught. `alive` is
        called before each try.

        Raises:
            SlowAnswer: a server responds, but not to this request in time.
            Unavailable: no server is reachable, or all are overloaded.
        """
        hung: set[Endpoint] = set()
        pause = _FIRST_PAUSE_SECONDS
        for left in reversed(range(TRIES)):
            outcomes = self._ask_in_turn(send, alive, hung)
            *_, last = outcomes.values()
            if _is_answer(last) and (not left or not is_transient(last)):
                return last
            if len(hung) == len(self._endpoints.all):
                raise self._hangs()
            if left:
                pause = _asked_pause(outcomes.values()) or pause
                time.sleep(min(pause, _LONGEST_PAUSE_SECONDS))
                pause *= 2
        raise self._unreachable(outcomes)

    def _ask_in_turn(
        self, send: Callable[[httpx2.Client], httpx2.Response], alive: Callable[[], None], hung: set[Endpoint]
    ) -> "dict[Endpoint, _Outcome]":
        """Send a request to one server after the other, except `hung`, until one answers; the last outcome is its.
        One that does not respond in time joins `hung`: it may still be working on the request.

        Raises:
            SlowAnswer: a server did not answer in time, but responds otherwise.
        """
        outcomes: dict[Endpoint, _Outcome] = {}
        while True:
            with self._endpoints.next(without=hung | outcomes.keys()) as endpoint:
                if endpoint is None:
                    return outcomes
                alive()
                outcome = outcomes[endpoint] = _outcome(send, endpoint)
            if _is_answer(outcome):
                self._endpoints.answered(endpoint)
                return outcomes
            self._endpoints.failed(endpoint, _asked_pause([outcome]))
            if isinstance(outcome, httpx2.ReadTimeout):
                if isinstance(_models(endpoint), httpx2.Response):
                    raise self._slow(endpoint) from outcome
                hung.add(endpoint)

    def unauthorized(self, response: httpx2.Response) -> Unavailable:
        """Return the error for a rejected API key (401, 403)."""
        return Unavailable(
            f"{self._describe(response)} rejects the API key ({error_text(response)}). Correct `api_key_env` or "
            f"`api_key_file` in [{self._table}], or the key itself."
        )

    def model_not_found(self, response: httpx2.Response, what: str) -> Unavailable:
        """Return the error for an unknown model or address (404); `what` describes it."""
        return Unavailable(
            f"{self._describe(response)} does not know {what}. Correct `model` or `base_url` in [{self._table}]."
        )

    def _describe(self, response: httpx2.Response) -> str:
        """Name the server that sent a response."""
        asked = str(response.request.url)
        url = max((each.url for each in self._endpoints.all if asked.startswith(each.url)), key=len)
        return f"The {self._kind} {url}"

    def _slow(self, endpoint: Endpoint) -> SlowAnswer:
        return SlowAnswer(self._late(endpoint.url))

    def _hangs(self) -> Unavailable:
        return Unavailable(self._late(self.name))

    def _late(self, name: str) -> str:
        return (
            f"The {self._kind} {name} did not respond within {self._longest_seconds:g} s. Check its log, or raise "
            f"`request_timeout` in [{self._table}]; the jobs wait."
        )

    def _unreachable(self, outcomes: "Mapping[Endpoint, _Outcome]") -> Unavailable:
        reasons = {endpoint.url: _reason(outcome) for endpoint, outcome in outcomes.items()}
        advice = f"or correct `base_url` in [{self._table}]; the jobs wait."
        if len(self._endpoints.all) == 1:
            ((url, why),) = reasons.items()
            return Unavailable(f"The {self._kind} {url} does not respond ({why}). Start it, {advice}")
        listed = ", ".join(f"{url} ({why})" for url, why in reasons.items())
        return Unavailable(f"No {self._kind} responds: {listed}. Start one, {advice}")


_Outcome = httpx2.Response | httpx2.TransportError  # of a request


def _connect(url: str, key: str | None, request_timeout: float) -> httpx2.Client:
    return httpx2.Client(
        base_url=url,
        verify=not url.startswith("http://"),  # plain HTTP needs no certificates: 0.02 s of CPU time
        headers={"Authorization": f"Bearer {key}"} if key else {},
        timeout=httpx2.Timeout(request_timeout, connect=_CONNECT_SECONDS, pool=None),
        limits=httpx2.Limits(max_connections=None),
        trust_env=False,
        follow_redirects=False,
    )


def _outcome(send: Callable[[httpx2.Client], httpx2.Response], endpoint: Endpoint) -> _Outcome:
    try:
        return send(endpoint.client)
    except httpx2.TransportError as error:
        return error


def _models(endpoint: Endpoint) -> _Outcome:
    """Request the list of models; a response means that the server works."""
    return _outcome(lambda client: client.get("models", timeout=_CONNECT_SECONDS), endpoint)


def _is_answer(outcome: _Outcome) -> TypeGuard[httpx2.Response]:
    return isinstance(outcome, httpx2.Response) and outcome.status_code not in BUSY


def _reason(outcome: _Outcome) -> str:
    if isinstance(outcome, httpx2.Response):
        return f"{outcome.status_code} {error_text(outcome)}"
    return str(outcome) or type(outcome).__name__


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


def _asked_pause(outcomes: Iterable[_Outcome]) -> float | None:
    """Return the fewest seconds of the Retry-After headers, or None (RFC 9110, 10.2.3; dates are ignored)."""
    written = [each.headers.get("retry-after", "") for each in outcomes if isinstance(each, httpx2.Response)]
    return min((float(each) for each in written if each.isascii() and each.isdigit()), default=None)


def error_text(response: httpx2.Response) -> str:
    """Return the text of a server's error, shortened."""
    try:
        error = response.json()["error"]
        text = str(error["message"] or "") if isinstance(error, dict) else str(error)
    except (ValueError, LookupError, TypeError, RecursionError):
        text = response.text
    return wellformed.text(" ".join(text.split())[:_MAX_ERROR_CHARACTERS]) or response.reason_phrase
