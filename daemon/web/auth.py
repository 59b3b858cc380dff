"""Authentication: the access token, which the first start creates, and the session cookie of a browser.

The file state/web-token, which only the daemon's user can read, contains the token. After the sign-in, a browser sends
a cookie instead: an expiry time, signed with the token. The cookie does not contain the token, and a new token ends all
sessions. Tokens and signatures are compared in constant time.
"""

import hashlib
import hmac
import os
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from pathlib import Path

from starlette.requests import HTTPConnection

from daemon.config.settings import Settings
from daemon.core import durable, regular_files
from daemon.core.errors import SetupError
from daemon.web.errors import WebError

COOKIE = "inboxd"
SESSION_SECONDS = 30 * 24 * 3600
_TOKEN_BYTES = 32  # of randomness
_MOST_TOKEN_BYTES = 4096  # of the file
_FEWEST_CHARACTERS = 16
_FAILURES = 10  # different wrong tokens that one address may send in `_FAILURE_SECONDS`
_FAILURE_SECONDS = 60.0
_MOST_ADDRESSES = 1000  # whose wrong tokens are remembered


def load_token(path: Path) -> str:
    """Read the token from `path`; if the file does not exist, create it with a new token.

    Raises:
        SetupError: the file cannot be read or created, other users may read it, or the token is too short or not
            printable ASCII.
    """
    try:
        durable.make_folder(path.parent, mode=0o700)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        return _read_token(path)
    except OSError as error:
        raise _unusable(path, f"cannot be created: {error.strerror}") from error
    token = secrets.token_urlsafe(_TOKEN_BYTES)
    with os.fdopen(descriptor, "wb") as file:
        file.write(token.encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())
    durable.fsync_folder(path.parent)
    return token


def _read_token(path: Path) -> str:
    try:
        with os.fdopen(regular_files.open_regular(path), "rb") as file:
            is_private = not os.fstat(file.fileno()).st_mode & 0o077
            token = file.read(_MOST_TOKEN_BYTES).decode("ascii", "replace").strip()
    except OSError as error:
        raise _unusable(path, f"cannot be read: {error.strerror}") from error
    if not is_private:
        raise _unusable(path, "may be read by other users")
    if len(token) < _FEWEST_CHARACTERS or not token.isascii() or not token.isprintable():
        raise _unusable(path, f"does not contain a token of at least {_FEWEST_CHARACTERS} characters")
    return token


def _unusable(path: Path, why: str) -> SetupError:
    return SetupError(f"The access token {path} {why}.", "Remove the file: `inboxd web` creates a new token.")


class Access:
    """Decides which requests the console answers."""

    def __init__(self, settings: Settings, *, clock: Callable[[], float] = time.time):
        self._token = load_token(settings.web_token).encode() if settings.web.token else None
        self._clock = clock
        self._failures: OrderedDict[str, dict[bytes, float]] = OrderedDict()  # hashes of wrong tokens, by address

    @property
    def needs_token(self) -> bool:
        return self._token is not None

    def is_allowed(self, connection: HTTPConnection) -> bool:
        """True if no token is needed, or the request has the token or the cookie.

        Raises:
            WebError: this address has sent too many wrong tokens.
        """
        if self._token is None:
            return True
        if any(map(self._is_session, _sent_cookies(connection))):
            return True
        sent = _sent_token(connection)
        return bool(sent) and self.is_token(sent, address_of(connection))

    def is_token(self, text: str, address: str) -> bool:
        """True if `text` is the access token.

        The right token is accepted even after too many wrong ones from the same address, which another program there
        or behind the same proxy may have sent.

        Raises:
            WebError: the token is wrong, and this address has sent too many different wrong tokens (429).
        """
        sent = text.encode("utf-8", "replace")
        if self._token is not None and hmac.compare_digest(sent, self._token):
            return True
        now = self._clock()
        recent = {each: at for each, at in self._failures.get(address, {}).items() if now - at < _FAILURE_SECONDS}
        if len(recent) >= _FAILURES:
            wait = str(int(_FAILURE_SECONDS - (now - min(recent.values()))) + 1)
            raise WebError(429, "too_many_attempts", "Too many wrong tokens.", f"Wait {wait} s.", {"Retry-After": wait})
        # equal tokens count once: a program that keeps sending an old token is not guessing: do not block others
        self._failures[address] = {**recent, hashlib.sha256(sent).digest(): now}
        self._failures.move_to_end(address)
        while len(self._failures) > _MOST_ADDRESSES:
            self._failures.popitem(last=False)
        return False

    def session(self) -> str:
        """The value of a new session cookie: `EXPIRY.SIGNATURE`, with the expiry in seconds since the epoch."""
        until = str(int(self._clock()) + SESSION_SECONDS)
        return f"{until}.{self._sign(until)}"

    def _is_session(self, cookie: str) -> bool:
        until, _, signature = cookie.partition(".")
        if not (until.isascii() and until.isdecimal() and len(until) <= 12 and signature.isascii()):
            return False
        return hmac.compare_digest(signature, self._sign(until)) and int(until) > self._clock()

    def _sign(self, until: str) -> str:
        assert self._token is not None
        return hmac.new(self._token, b"inboxd session until " + until.encode(), hashlib.sha256).hexdigest()


def address_of(connection: HTTPConnection) -> str:
    return connection.client.host if connection.client else "local"


def _sent_cookies(connection: HTTPConnection) -> Iterator[str]:
    """Yield the values of all cookies named `COOKIE`: another program on this host may have set one, too."""
    for header in connection.headers.getlist("cookie"):
        for pair in header.split(";"):
            name, _, value = pair.partition("=")
            if name.strip() == COOKIE:
                yield value.strip()


def _sent_token(connection: HTTPConnection) -> str:
    scheme, _, token = connection.headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else connection.headers.get("x-api-key", "")
