"""The settings in force: one reference that all parts read, replaced as a whole when config.toml is reloaded."""

import logging
from collections.abc import Callable

from daemon.config.settings import Settings

log = logging.getLogger(__name__)


class CurrentSettings:
    """Holds the settings in force. Replaced by the main thread only; any thread may read `value`."""

    def __init__(self, settings: Settings):
        self._value = settings
        self._subscribers: list[Callable[[Settings], None]] = []

    @property
    def value(self) -> Settings:
        return self._value

    def subscribe(self, apply: Callable[[Settings], None]) -> None:
        """Call `apply` with the new settings whenever they are replaced: for parts that must act on a change."""
        self._subscribers.append(apply)

    def replace(self, settings: Settings) -> None:
        """Put `settings` into force in all parts. If a part fails to apply them, restore the previous ones in all, and
        raise its error."""
        previous = self._value
        try:
            self._apply(settings)
        except Exception:
            self._restore(previous)
            raise

    def _apply(self, settings: Settings) -> None:
        self._value = settings
        for apply in self._subscribers:
            apply(settings)

    def _restore(self, settings: Settings) -> None:
        try:
            self._apply(settings)
        except Exception:
            log.exception("Cannot restore the previous settings. Restart the daemon: systemctl restart inboxd.")
