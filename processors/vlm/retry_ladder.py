"""The retry ladder of one page: from its first request to a good answer, or to the last strategy. No I/O.

After a bad answer, the ladder repeats the request with another strategy, which depends on the problem (a model that
decodes greedily would only repeat its answer). All answers are saved.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING

import numpy as np

from processors.vlm import prompts
from processors.vlm.assess import AssessedAnswer, Problem, assess
from processors.vlm.families import GENERAL, Family
from processors.vlm.options import AskOptions
from processors.vlm.regions import RegionImage
from processors.vlm.types import PageAnswer, PageRequest, StopReason

if TYPE_CHECKING:
    from PIL import Image


class Strategy(StrEnum):
    """A strategy for requesting a page; all but the first are retries after a bad answer."""

    PLAIN = "plain"
    LONGER = "higher limit"
    HALVES = "two halves"
    REWORDED = "other words"


_RETRIES: Mapping[Problem | None, tuple[Strategy, ...]] = {
    Problem.CUT_OFF: (Strategy.LONGER, Strategy.HALVES, Strategy.REWORDED),
    Problem.LOOP: (Strategy.HALVES, Strategy.REWORDED),
    Problem.INVALID: (Strategy.REWORDED, Strategy.HALVES),
    Problem.UNPARSABLE: (Strategy.REWORDED, Strategy.HALVES),
    Problem.EMPTY: (Strategy.HALVES, Strategy.REWORDED),
    Problem.REFUSED: (Strategy.REWORDED,),
}
_SPLITTABLE = {
    "read",
    "extract",
    "bank-statement",
    "receipt",
    "invoice",
}  # tasks in which the answers about two halves together answer for the page
_LONGER = 4  # times the token limit
_SMALLEST_SIDE = 84  # pixels: three of Qwen's tokens; a smaller half is useless
_MIDDLE = (0.3, 0.7)  # of the height, where a page may be split
_BLANK = 24  # of 255: maximum contrast (lightest minus darkest pixel) of a blank row


@dataclass(frozen=True, kw_only=True)
class PageAttempt:
    """The result of one strategy: one answer, or one for each half or region."""

    strategy: Strategy
    parts: tuple[AssessedAnswer, ...]

    @property
    def problem(self) -> Problem | None:
        found = [part.problem for part in self.parts]
        if None in found:  # one half or region of a page may be empty
            found = [problem for problem in found if problem is not Problem.EMPTY]
        worst = [problem for problem in Problem if problem in found]
        return worst[-1] if worst else None

    @property
    def text(self) -> str:
        between = "\n" if self.strategy is Strategy.HALVES else "\n\n"
        return between.join(part.answer.text for part in self.parts if part.answer.text)

    @property
    def lowest_token_probability(self) -> float | None:
        found = [part.answer.lowest_token_probability for part in self.parts]
        return min((probability for probability in found if probability is not None), default=None)

    @property
    def stop_reason(self) -> StopReason:
        reasons = [part.answer.stop_reason for part in self.parts]
        return next((reason for reason in reasons if reason is not StopReason.STOP), StopReason.STOP)


@dataclass(kw_only=True)
class PageResult:
    """The result of one page, without its image."""

    number: int  # from 1
    source_size: tuple[int, int] | None = None  # width, height before any reduction
    size: tuple[int, int] | None = None  # as it was passed to the engine
    dpi: float | None = None  # of a PDF page at that size
    notes: tuple[str, ...] = ()  # of the decoding: what was lost or changed
    error: str | None = None  # why it could not be decoded
    second_reading: str = ""  # the text of the page by its text layer or OCR, to verify amounts; "": there is none
    second_reading_by: str = ""  # "text layer" or "OCR"
    second_reading_error: str = ""  # why it failed
    page_text_error: str = ""  # why its text could not be sent beside its image, although the recipe requires it
    attempts: tuple[PageAttempt, ...] = ()  # in the order in which they were made

    @property
    def best(self) -> PageAttempt | None:
        """The attempt to use: one without a problem, else the one with the least serious; if equal, the longest."""
        order = [None, *Problem]
        return min(self.attempts, key=lambda attempt: (order.index(attempt.problem), -len(attempt.text)), default=None)


class RetryLadder:
    """The requests about one page, or (without an image) about a text."""

    def __init__(
        self,
        result: PageResult,
        image: "Image.Image | None",
        prompt: str,
        options: AskOptions,
        text: str = "",
        family: Family = GENERAL,
        regions: Sequence[RegionImage] = (),
    ):
        """text: what follows the prompt, about the complete page. regions: of the page, to be asked about instead."""
        self.result, self._family = result, family
        self._text, self._regions = text, regions
        self._image, self._prompt, self._options = image, prompt, options
        self.requests = self._requests(Strategy.PLAIN)
        self._strategy = Strategy.PLAIN

    @property
    def is_done(self) -> bool:
        return not self.requests

    def add_answers(self, answers: Sequence[PageAnswer]) -> None:
        """Add the answers to `requests`, and replace `requests` by those of the next strategy, if there is one."""
        parts = tuple(
            assess(request, self._convert(request, answer))
            for request, answer in zip(self.requests, answers, strict=True)
        )
        self.result.attempts += (PageAttempt(strategy=self._strategy, parts=parts),)
        strategy = self._next_strategy()
        if strategy is None:
            self.requests, self._image, self._regions = [], None, ()
        else:
            self.requests, self._strategy = self._requests(strategy), strategy

    def _convert(self, request: PageRequest, answer: PageAnswer) -> PageAnswer:
        """Convert the answer to Markdown, if the model writes pages in its own markup."""
        if self._options.task != "read" or request.json_schema is not None or not answer.text:
            return answer
        converted = self._family.convert(answer.text)
        self.result.notes = tuple(dict.fromkeys((*self.result.notes, *converted.notes)))
        return answer if converted.text == answer.text else replace(answer, text=converted.text, raw=answer.text)

    def _next_strategy(self) -> Strategy | None:
        """Return the next strategy; None if the last answer is good, or no strategy is left."""
        attempts = self.result.attempts
        if len(attempts) > self._options.retries:
            return None
        tried = {attempt.strategy for attempt in attempts}
        left = (each for each in _RETRIES.get(attempts[-1].problem, ()) if each not in tried and self._can_use(each))
        return next(left, None)

    def _can_use(self, strategy: Strategy) -> bool:
        if strategy is Strategy.REWORDED:
            return not self._family.only_reads  # such a model was trained with one prompt only
        if strategy is not Strategy.HALVES:
            return True
        return self._options.task in _SPLITTABLE and self._image is not None and can_split(self._image)

    def _requests(self, strategy: Strategy) -> list[PageRequest]:
        if self._regions and strategy in (Strategy.PLAIN, Strategy.LONGER):
            return [self._request(each.image, each.prompt, strategy) for each in self._regions]
        images: tuple[Image.Image | None, ...] = (self._image,)
        if strategy is Strategy.HALVES and self._image is not None:
            images = split(self._image)
        prompt = self._prompt
        if strategy is Strategy.REWORDED:
            prompt = prompts.reword(prompt, self._options.task)
        if strategy is not Strategy.HALVES:
            prompt += self._text
        return [self._request(image, prompt, strategy) for image in images]

    def _request(self, image: "Image.Image | None", prompt: str, strategy: Strategy) -> PageRequest:
        # once an answer was cut off, all later requests need the higher limit
        longer = strategy is Strategy.LONGER or any(
            attempt.problem is Problem.CUT_OFF for attempt in self.result.attempts
        )
        limit = self._options.token_limit * (_LONGER if longer else 1)
        return PageRequest(image=image, prompt=prompt, token_limit=limit, json_schema=self._options.answer_schema)


# ---------------------------------------------------------------------------------------------- halves


def can_split(image: "Image.Image") -> bool:
    return image.height >= 2 * _SMALLEST_SIDE


def split(image: "Image.Image") -> tuple["Image.Image", "Image.Image"]:
    """Cut an image into an upper and a lower half, at the blank row nearest to the middle, or at the row with the least
    contrast.
    """
    cut = _row_to_cut(np.asarray(image.convert("L")))
    return image.crop((0, 0, image.width, cut)), image.crop((0, cut, image.width, image.height))


def _row_to_cut(gray: np.ndarray) -> int:
    """The row at which to cut the page. gray: uint8, shape (height, width)."""
    height = len(gray)
    first, last = (int(height * share) for share in _MIDDLE)
    contrast = gray[first:last].max(axis=1).astype(int) - gray[first:last].min(axis=1)
    distance = np.abs(np.arange(first, last) - height / 2)
    blank = contrast <= _BLANK
    cost = np.where(blank, distance, height + contrast * height + distance)
    return first + int(cost.argmin())
