"""What the daemon tells systemd: READY, STATUS, WATCHDOG, RELOADING, STOPPING; see sd_notify(3).

Says nothing where systemd does not listen. Owns no timer: the main loop pings, so that a loop that hangs is seen.
"""

import logging
import os
import re
import socket
import time
from collections.abc import Mapping

log = logging.getLogger(__name__)

_PATIENCE_SECONDS = 1.0  # a manager that does not read must not hold up the main loop for longer


class Notifier:
    """A voice to the service manager that started us. No method raises: a deaf manager must not stop the work."""

    def __init__(self, environment: Mapping[str, str] | None = None):
        environment = os.environ if environment is None else environment
        self.watchdog_seconds = _watchdog_seconds(environment)  # ping this often: half the limit; None: no watchdog
        self._status: str | None = None
        self._address = environment.get("NOTIFY_SOCKET", "")
        if self._address and not self._address.startswith(("/", "@")):
            log.warning("NOTIFY_SOCKET=%s is no Unix socket; systemd will hear nothing from us.", self._address)
            self._address = ""

    @property
    def is_heard(self) -> bool:
        """Is there a manager that listens?"""
        return bool(self._address)

    def ready(self) -> None:
        """The daemon has started, or has finished a reload."""
        self._send("READY=1")

    def status(self, text: str) -> None:
        """Show `text`, one line, in `systemctl status`; sent only if it differs from the last one that arrived."""
        text = " ".join(text.split())
        if text != self._status and self._send(f"STATUS={text}"):
            self._status = text

    def reloading(self) -> None:
        """The configuration is being read again; `ready` ends it. Type=notify-reload needs the time of its start."""
        self._send(f"RELOADING=1\nMONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}")

    def stopping(self, *, within_seconds: float) -> None:
        """The daemon has begun to stop; the manager is not to lose its patience before `within_seconds` are over."""
        self._send(f"STOPPING=1\nEXTEND_TIMEOUT_USEC={int(within_seconds * 1_000_000)}")

    def ping(self) -> None:
        """The main loop is alive."""
        if self.watchdog_seconds is not None:
            self._send("WATCHDOG=1")

    def _send(self, message: str) -> bool:
        if not self._address:
            return False
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as manager:
                manager.settimeout(_PATIENCE_SECONDS)
                manager.sendto(message.encode(errors="replace"), address)
        except (OSError, ValueError) as error:
            log.debug("systemd was not told %r: %s", message, error)
            return False
        return True


def _watchdog_seconds(environment: Mapping[str, str]) -> float | None:
    """Half of WATCHDOG_USEC, as sd_watchdog_enabled(3) advises; None if unset, malformed or not meant for us."""
    limit, process = environment.get("WATCHDOG_USEC", ""), environment.get("WATCHDOG_PID", str(os.getpid()))
    if not re.fullmatch(r"0*[1-9][0-9]{0,18}", limit, re.ASCII) or process != str(os.getpid()):
        return None
    return int(limit) / 1_000_000 / 2
