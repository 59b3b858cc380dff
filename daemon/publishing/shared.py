"""What the parts of the publisher share."""

from collections.abc import Callable
from dataclasses import dataclass

from daemon.files.disk_retry import DiskRetry
from daemon.files.folders import Folders
from daemon.publishing.preparation import Preparations
from daemon.queue.store import Store


@dataclass(frozen=True, kw_only=True)
class Shared:
    store: Store
    folders: Folders
    disk_retry: DiskRetry
    preparations: Preparations
    is_busy_with: Callable[[str], bool]  # True while the background works on this job
