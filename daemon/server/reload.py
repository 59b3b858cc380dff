"""Reloads config.toml while the daemon runs. If config.toml is invalid, the daemon keeps its previous settings."""

import logging
from collections.abc import Callable

from daemon import config
from daemon.config.current import CurrentSettings
from daemon.core.errors import ConfigError, StartOver
from daemon.notify.systemd import Notifier
from daemon.server.status import Problems

log = logging.getLogger(__name__)


class Reloader:
    """Reloads config.toml. Called by the main thread only. `show_problem`: called with the reason for a refusal."""

    def __init__(
        self, settings: CurrentSettings, notifier: Notifier, problems: Problems, show_problem: Callable[[], None]
    ):
        self._settings = settings
        self._notifier = notifier
        self._problems = problems
        self._show_problem = show_problem

    def reload(self) -> list[str]:
        """Apply config.toml to everything that starts from now on. Return the names of the changed settings.

        Raises:
            ConfigError: config.toml is invalid or changes a setting that needs a restart, or a part failed to apply it.
                The daemon then keeps its previous settings.
        """
        self._notifier.reloading()
        try:
            changed = self._replace()
        except StartOver:
            raise
        except ConfigError as error:
            self._refuse(f"config.toml was changed and is not in force: {error}")
            raise
        except Exception as error:  # error boundary: a reload must never end a daemon
            log.debug("reload", exc_info=True)
            refusal = ConfigError(
                f"config.toml cannot be applied: {error}. The daemon keeps its previous settings.",
                "Undo the last change; `inboxd run --verbose` logs the details.",
            )
            self._refuse(str(refusal))
            raise refusal from error
        finally:
            self._notifier.ready()
        self._problems.config = None
        log.info("config.toml: %s", f"now in force: {', '.join(changed)}" if changed else "nothing has changed")
        return changed

    def _replace(self) -> list[str]:
        previous = self._settings.value
        new = config.load_again(previous)
        changed = config.changes(previous, new)
        self._settings.replace(new)
        return changed

    def _refuse(self, problem: str) -> None:
        self._problems.config = problem
        log.error("%s", problem)
        self._show_problem()  # at once: the person who reloads will check the status next
