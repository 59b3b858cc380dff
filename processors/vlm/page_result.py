"""What is known of a page: how it was read, in how many ways, and what was wrong with each. Pure."""

from dataclasses import dataclass
from enum import StrEnum

from processors.vlm.types import Answer, StopReason


class Problem(StrEnum):
    """Why an answer is no good. The least bad first: of several bad answers it is the one that is kept in front."""

    CUT_OFF = "cut off"  # at the token limit
    LOOP = "loop"  # the same over and over
    INVALID = "invalid"  # JSON that does not fit the schema
    UNPARSABLE = "unparsable"  # no JSON
    EMPTY = "empty"  # no text, or JSON without a single value
    REFUSED = "refused"
    NOT_A_NUMBER = "not a number"  # its probabilities are NaN
    ERROR = "error"  # the server could not answer, or the model failed on it
    NO_ROOM = "no room"


class Strategy(StrEnum):
    """How a page is asked; all but the first after an answer that was no good."""

    PLAIN = "plain"
    LONGER = "higher limit"
    HALVES = "two halves"
    REWORDED = "other words"


@dataclass(frozen=True, kw_only=True)
class Part:
    """One answer, judged."""

    answer: Answer
    problem: Problem | None = None
    detail: str = ""  # of the problem


@dataclass(frozen=True, kw_only=True)
class Reading:
    """A page asked in one way: one answer, or one for each half."""

    strategy: Strategy
    parts: tuple[Part, ...]

    @property
    def problem(self) -> Problem | None:
        found = [part.problem for part in self.parts]
        if Problem.EMPTY in found and None in found:  # half a page may well be empty
            found.remove(Problem.EMPTY)
        worst = [problem for problem in Problem if problem in found]
        return worst[-1] if worst else None

    @property
    def text(self) -> str:
        return "\n".join(part.answer.text for part in self.parts if part.answer.text)

    @property
    def lowest_token_probability(self) -> float | None:
        found = [part.answer.lowest_token_probability for part in self.parts]
        return min((probability for probability in found if probability is not None), default=None)

    @property
    def stop_reason(self) -> StopReason:
        reasons = [part.answer.stop_reason for part in self.parts]
        return next((reason for reason in reasons if reason is not StopReason.STOP), StopReason.STOP)


@dataclass(kw_only=True)
class PageRecord:
    """One page; the image itself is let go."""

    number: int  # from 1
    source_size: tuple[int, int] | None = None  # width, height before any reduction
    size: tuple[int, int] | None = None  # as it was handed to the engine
    dpi: float | None = None  # of a PDF page at that size
    notes: tuple[str, ...] = ()  # of the decoding: what was lost or changed
    error: str | None = None  # why it could not be decoded
    second_reading: str = ""  # the same page by its text layer or OCR, to verify amounts by; "": there is none
    second_reading_by: str = ""  # "text layer" or "OCR"
    second_reading_error: str = ""  # why it failed
    readings: tuple[Reading, ...] = ()  # in the order in which they were tried

    @property
    def reading(self) -> Reading | None:
        """The one that counts: without a problem, else the least bad and then the longest."""
        order = [None, *Problem]
        return min(self.readings, key=lambda reading: (order.index(reading.problem), -len(reading.text)), default=None)
