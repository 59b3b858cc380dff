"""One page from its first question to an answer that is any good, or to the end of what can be tried. No I/O.

A bad answer is asked for again in another way (a model that decodes greedily would only say the same), by what was
wrong with it; every answer is kept.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from processors.vlm import prompts
from processors.vlm.assess.answer import judge
from processors.vlm.options import AskOptions
from processors.vlm.page import split
from processors.vlm.page_result import PageRecord, Problem, Reading, Strategy
from processors.vlm.types import Answer, Question

if TYPE_CHECKING:
    from PIL import Image

_REMEDIES = {
    Problem.CUT_OFF: (Strategy.LONGER, Strategy.HALVES, Strategy.REWORDED),
    Problem.LOOP: (Strategy.HALVES, Strategy.REWORDED),
    Problem.INVALID: (Strategy.REWORDED, Strategy.HALVES),
    Problem.UNPARSABLE: (Strategy.REWORDED, Strategy.HALVES),
    Problem.EMPTY: (Strategy.HALVES, Strategy.REWORDED),
    Problem.REFUSED: (Strategy.REWORDED,),
}
_HALVED = {"read", "extract", "bank-statement", "receipt"}  # what two halves say adds up to what the page says
_LONGER = 4  # times the token limit


class Course:
    """The questions about one page, or (without an image) about a text."""

    def __init__(self, record: PageRecord, image: "Image.Image | None", prompt: str, options: AskOptions):
        self.record = record
        self._image, self._prompt, self._options = image, prompt, options
        self.questions = self._ask(Strategy.PLAIN)
        self._strategy = Strategy.PLAIN

    @property
    def is_over(self) -> bool:
        return not self.questions

    def put(self, answers: Sequence[Answer]) -> None:
        """Take the answers to `questions`; there are new ones afterwards, unless the course is over."""
        parts = tuple(judge(question, answer) for question, answer in zip(self.questions, answers, strict=True))
        self.record.readings += (Reading(strategy=self._strategy, parts=parts),)
        remedy = self._remedy()
        if remedy is None:
            self.questions, self._image = [], None
        else:
            self.questions, self._strategy = self._ask(remedy), remedy

    def _remedy(self) -> Strategy | None:
        """What to try next; None: the last answer is good, or nothing is left to try."""
        problem, tried = self.record.readings[-1].problem, {reading.strategy for reading in self.record.readings}
        if len(self.record.readings) > self._options.retries:
            return None
        return next(
            (remedy for remedy in _REMEDIES.get(problem, ()) if remedy not in tried and self._may(remedy)), None
        )

    def _may(self, strategy: Strategy) -> bool:
        if strategy is not Strategy.HALVES:
            return True
        return self._options.task in _HALVED and self._image is not None and split.can_split(self._image)

    def _ask(self, strategy: Strategy) -> list[Question]:
        images = split.split(self._image) if strategy is Strategy.HALVES else (self._image,)
        prompt = self._prompt
        if strategy is Strategy.REWORDED:
            prompt = prompts.again(prompt, self._options.task)
        # what was cut off once is cut off again, whatever else is changed
        longer = strategy is Strategy.LONGER or any(
            reading.problem is Problem.CUT_OFF for reading in self.record.readings
        )
        limit = self._options.token_limit * (_LONGER if longer else 1)
        return [
            Question(image=image, prompt=prompt, token_limit=limit, json_schema=self._options.answer_schema)
            for image in images
        ]
