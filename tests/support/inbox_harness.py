"""The intake on folders of its own: real files, a real database, and a watcher that receives no events."""

import queue
import time
from collections.abc import Callable
from pathlib import Path

from daemon import config
from daemon.config.current import CurrentSettings
from daemon.config.settings import Settings
from daemon.core.messages import Hashed
from daemon.files.disk_retry import DiskRetry
from daemon.files.folders import Folders
from daemon.intake.intake import Intake
from daemon.intake.watcher import Watcher
from daemon.queue.queries import now_us
from daemon.queue.store import Store

TOML = """
[inbox]
text = "count"
image = "ask"
settle_seconds = 2
[recipes.count]
processor = "plaintext"
"""


class InboxHarness:
    def __init__(self, home: Path, *, now_us: Callable[[], int] = now_us, toml: str = TOML):
        self._config = home / "config.toml"
        self._config.write_text(toml)
        settings = config.load(self._config)
        self._current = CurrentSettings(settings)
        self.folders = Folders(inbox=settings.inbox, outbox=settings.outbox, state=settings.state)
        self.folders.prepare()
        self.store = Store(settings.database)
        self.mailbox: queue.SimpleQueue[Hashed] = queue.SimpleQueue()
        self.disk_retry = DiskRetry(self.folders, self.store, clock=time.monotonic)
        post = self.mailbox.put
        self.intake = Intake(
            self._current, self.store, self.folders, self.disk_retry, Watcher(post), post, now_us=now_us
        )
        self._current.subscribe(self.intake.apply)
        self.path = settings.inbox

    @property
    def settings(self) -> Settings:
        return self._current.value

    def write(self, name: str, content: str | bytes = "text") -> Path:
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    def write_sparse(self, name: str, size_bytes: int) -> Path:
        path = self.write(name)
        with path.open("wb") as file:
            file.truncate(size_bytes)
        return path

    def configure(self, toml: str) -> None:
        self._config.write_text(toml)
        self._current.replace(config.load(self._config))

    def scan(self, now: float) -> int:
        self.intake.check_all(now)
        return self.intake.step(now)

    def files(self) -> list[str]:
        return sorted(job.path for job in self.store.open_jobs())

    def left(self, name: str) -> str:
        """Return why a file stays in the inbox; "" if nothing is reported about it."""
        return self.intake.left.get(self.path / name, "")

    def close(self) -> None:
        self.intake.stop()
        self.store.close()
