"""A daemon driven by hand whose workers are named by their numbers, and jobs by the names of their files."""

from typing import Any

from manual_daemon import ManualDaemon

from daemon.core.job import Job
from daemon.workers.supervisor import Worker
from processors.contract import FailureKind

TABLES: dict[str, Any] = {
    "inbox": {"text": "count", "settle_seconds": 0.0},
    "recipes": {"count": {"processor": "plaintext"}},
    "processors": {"plaintext": {"max_batch": 4, "keep_alive": 100}},
    "retry": {"attempts": 3, "backoff": 30, "backoff_max": 50},
    "schedule": {"probe": 10},
    "workers": {},
    "devices": {},
    "cluster": {},
}


class Bench(ManualDaemon):
    """See the module."""

    def drop(self, *names: str) -> None:
        for name in names:
            (self.settings.inbox / name).write_text(f"the file {name}")
        self.do("rescan")
        self.turn()

    def load(self, worker: int = 1, **facts: Any) -> None:
        super().load(worker, **facts)
        self.turn()

    def job(self, name: str) -> Job:
        (job,) = [self.store.get(row.id) for row in self.all_jobs() if row.name == name]
        return job

    def all_jobs(self) -> list[Job]:
        return [*self.store.open_jobs(), *self.store.failed()]

    def fail_file(self, name: str, kind: FailureKind = FailureKind.ERROR, worker: int = 1, **facts: Any) -> None:
        self.fail(worker, self.job(name), kind, **facts)

    def wait(self, seconds: float) -> None:
        self.clock.seconds += seconds
        self.turn()

    def worker(self, number: int = 1) -> Worker:
        found = self.workers.get(number)
        assert found is not None
        return found

    def begin(self, *names: str) -> None:
        """One batch of these files on worker 1."""
        self.drop(*names)
        self.load()
        assert len(self.worker().jobs) == len(names)
