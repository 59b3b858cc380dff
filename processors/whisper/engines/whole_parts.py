"""Engines that transcribe a complete part of a track at once: the parts of several files take turns.

A long file delays a short one by at most one part, and a finished part survives a crash.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence

from processors.whisper.engines.fair_batches import FairBatches
from processors.whisper.track import interleaving
from processors.whisper.track.checkpoints import Requests
from processors.whisper.track.engine import PartRequest, PartResult
from processors.whisper.track.interleaving import ResultT, Task


class WholePartEngine:
    """Base of each `track.engine.Engine` of this kind; a subclass implements `transcribe_part`."""

    takes_more_jobs = True

    def transcribe_part(self, request: PartRequest) -> PartResult:
        raise NotImplementedError

    def run(
        self, tasks: Iterable[Task[ResultT]], more: Callable[[], Iterable[Task[ResultT]]] = tuple
    ) -> Iterator[tuple[int, ResultT | Exception]]:
        batches = FairBatches(self._transcribe_all, lambda request: None, limit=1)
        return interleaving.run(tasks, batches.answer, more)

    def transcribe(self, request: PartRequest) -> Requests[PartResult]:
        result: PartResult | Exception
        (result,) = yield [request]
        if isinstance(result, Exception):
            raise result
        return result

    def _transcribe_all(self, requests: Sequence[PartRequest]) -> list[PartResult | Exception]:
        """An error concerns one file only, and is raised in its job."""
        results: list[PartResult | Exception] = []
        for request in requests:
            try:
                results.append(self.transcribe_part(request))
            except Exception as error:
                results.append(error)
        return results
