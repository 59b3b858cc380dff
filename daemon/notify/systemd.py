"""Notifications to systemd: READY, STATUS, WATCHDOG, RELOADING, STOPPING; see sd_notify(3).

Sends nothing if systemd does not listen. Owns no timer: the main loop pings, so that systemd detects a loop that hangs.
"""

import logging
import os
import re
import socket
import time
from collections.abc import Mapping

log = logging.getLogger(__name__)

_MAX_STATUS_BYTES = 2048  # systemd ignores messages of more than 4096 bytes
_SEND_SECONDS = 1.0  # the longest that a manager that does not read may block the main loop


class Notifier:
    """Sends messages to the service manager. No method raises: an unresponsive manager must not stop the daemon."""

    def __init__(self, environment: Mapping[str, str] | None = None):
        environment = os.environ if environment is None else environment
        self.watchdog_seconds = _watchdog_seconds(environment)  # ping this often: half the limit; None: no watchdog
        self._status: str | None = None
        self._address = environment.get("NOTIFY_SOCKET", "")
        if self._address and not self._address.startswith(("/", "@")):
            log.warning("NOTIFY_SOCKET=%s is not a Unix socket; systemd gets no notifications.", self._address)
            self._address = ""

    @property
    def has_manager(self) -> bool:
        """True if a service manager wants notifications."""
        return bool(self._address)

    def ready(self) -> None:
        """Report that the daemon has started, or has finished a reload."""
        self._send("READY=1")

    def status(self, text: str) -> None:
        """Show `text`, one line, in `systemctl status`; sent only if it differs from the last one delivered."""
        text = " ".join(text.split()).encode(errors="replace")[:_MAX_STATUS_BYTES].decode(errors="ignore")
        if text != self._status and self._send(f"STATUS={text}"):
            self._status = text

    def reloading(self) -> None:
        """Report that a reload has begun; `ready` ends it. Type=notify-reload needs the time of its start."""
        self._send(f"RELOADING=1\nMONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}")

    def stopping(self, *, within_seconds: float) -> None:
        """Report that the daemon is stopping, which may take `within_seconds`."""
        self._send(f"STOPPING=1\nEXTEND_TIMEOUT_USEC={int(within_seconds * 1_000_000)}")

    def ping(self) -> None:
        """Report that the main loop is alive."""
        if self.watchdog_seconds is not None:
            self._send("WATCHDOG=1")

    def _send(self, message: str) -> bool:
        if not self._address:
            return False
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as manager:
                manager.settimeout(_SEND_SECONDS)
                manager.sendto(message.encode(errors="replace"), address)
        except (OSError, ValueError) as error:
            log.debug("cannot notify systemd (%r): %s", message, error)
            return False
        return True


def _watchdog_seconds(environment: Mapping[str, str]) -> float | None:
    """Half of WATCHDOG_USEC, as sd_watchdog_enabled(3) advises; None if unset, malformed or for another process."""
    limit, process = environment.get("WATCHDOG_USEC", ""), environment.get("WATCHDOG_PID", str(os.getpid()))
    if not re.fullmatch(r"0*[1-9][0-9]{0,18}", limit, re.ASCII) or process != str(os.getpid()):
        return None
    return int(limit) / 1_000_000 / 2
