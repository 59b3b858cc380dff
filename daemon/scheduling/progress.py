"""The progress of the workers, in loading and in their jobs. In memory only."""

from collections.abc import Mapping

from processors.contract import WorkProgress


class ProgressBoard:
    """The latest report of each worker on each of its jobs. Keyed by worker, because several may load one processor at
    the same time. Called by the main thread only."""

    def __init__(self) -> None:
        self._reports: dict[tuple[int, str | None], WorkProgress] = {}  # by worker and job; None: it is loading

    def report(self, worker: int, progress: WorkProgress) -> None:
        self._reports[worker, progress.job] = progress

    def of_job(self, worker: int, job: str) -> WorkProgress | None:
        return self._reports.get((worker, job))

    def of_loading(self, worker: int) -> WorkProgress | None:
        return self._reports.get((worker, None))

    def end_job(self, worker: int, job: str) -> None:
        self._reports.pop((worker, job), None)

    def end_loading(self, worker: int) -> None:
        self._reports.pop((worker, None), None)

    def end_worker(self, worker: int) -> None:
        self._reports = {key: progress for key, progress in self._reports.items() if key[0] != worker}

    def all(self) -> Mapping[tuple[int, str | None], WorkProgress]:
        """Every report, by worker and job (None: it is loading)."""
        return dict(self._reports)
