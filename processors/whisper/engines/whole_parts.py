"""Engines that hear a whole part of a sound as one: the parts of several files take turns.

So a long file keeps a short one waiting for one part at most, and a part that was heard survives a crash.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from processors.whisper.engines.fair_batches import Rounds
from processors.whisper.track import interleaving
from processors.whisper.track.segment import Segment
from processors.whisper.track.transcriber import Answer, Question


@dataclass(frozen=True)
class Turn:
    """One part that waits to be heard. See `kept.Asked`."""

    question: Question

    def digest(self) -> bytes:
        question = self.question
        digest = hashlib.blake2b(question.samples.tobytes())
        digest.update(repr((question.spoken, question.language, question.prompt)).encode())
        return digest.digest()

    def pack(self, answer: Answer | Exception) -> dict[str, Any] | None:
        if isinstance(answer, Exception):
            return None
        segments = [segment.as_json() for segment in answer.segments]
        try:
            json.dumps(segments, allow_nan=False)
        except ValueError:  # NaN: not worth saving
            return None
        return {"segments": segments, "language": answer.language}

    def unpack(self, kept: dict[str, Any]) -> Answer:
        return Answer(segments=[Segment.from_json(each) for each in kept["segments"]], language=kept["language"])


class InTurns:
    """The part of a `hearing.Engine` that is the same for those; theirs is `hear_now`."""

    joins = True

    def hear_now(self, question: Question) -> Answer:
        raise NotImplementedError

    def run(
        self, jobs: Iterable[interleaving.Job], more: Callable[[], Iterable[interleaving.Job]] = tuple
    ) -> Iterator[tuple[int, Any | Exception]]:
        rounds = Rounds(self._hear_all, lambda turn: None, most=1)
        return interleaving.run(jobs, rounds.answer, more)

    def hear(self, question: Question) -> Answer:
        (answer,) = question.ask([Turn(question)])
        if isinstance(answer, Exception):
            raise answer
        return answer

    def _hear_all(self, turns: Sequence[Turn]) -> list[Answer | Exception]:
        """What fails is the one file's own, and is raised in its thread."""
        answers: list[Answer | Exception] = []
        for turn in turns:
            try:
                answers.append(self.hear_now(turn.question))
            except Exception as error:
                answers.append(error)
        return answers
