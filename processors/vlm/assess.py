"""Assesses answers: finds problems and loops in an answer, and the probability of each of its values. Pure."""

import json
import math
import re
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np

from processors import wellformed
from processors.vlm.extract import schema_errors
from processors.vlm.types import PageAnswer, PageRequest, StopReason


class Problem(StrEnum):
    """The problems that an answer may have, least serious first; of several bad answers, the least bad is shown."""

    CUT_OFF = "cut off"  # at the token limit
    LOOP = "loop"  # repeats itself
    INVALID = "invalid"  # JSON that does not fit the schema
    UNPARSABLE = "unparsable"  # not JSON
    EMPTY = "empty"  # no text, or JSON without a single value
    REFUSED = "refused"
    NOT_A_NUMBER = "not a number"  # its probabilities are NaN
    ERROR = "error"  # the server could not answer, or the model failed on it
    NO_ROOM = "no room"


@dataclass(frozen=True, kw_only=True)
class AssessedAnswer:
    """An answer, and its problem, if it has one."""

    answer: PageAnswer
    problem: Problem | None = None
    detail: str = ""  # of the problem


@dataclass(frozen=True, kw_only=True)
class Loop:
    """Text that repeats itself."""

    unit: str  # what is repeated
    times: int


_BY_STOP_REASON = {
    StopReason.LENGTH: Problem.CUT_OFF,
    StopReason.LOOP: Problem.LOOP,
    StopReason.NO_ROOM: Problem.NO_ROOM,
    StopReason.REFUSED: Problem.REFUSED,
    StopReason.ERROR: Problem.ERROR,
}
_MAX_UNIT_CHARACTERS = 40  # of the repeated text that a message quotes
_LONGEST_REFUSAL = 500  # characters; a longer text is an answer that begins politely
_REFUSAL = re.compile(
    r"(i['’]?m (really |very |so )?sorry|sorry|i apologi[sz]e|unfortunately|as an ai|i can(no|['’])?t|i can not"
    r"|i['’]?m (un|not )able|i am (un|not )able|i do not|i don['’]t)\b.{0,200}?"
    r"\b(assist|help|unable|not able|can(no|['’])?t|can not|comply|provide|process|extract|view|see|access|identify)\b",
    re.IGNORECASE | re.DOTALL,
)
_FENCE = re.compile(r"\A\s*```[a-zA-Z]*\s*\n(?P<inside>.*?)\n?\s*```\s*\Z", re.DOTALL)
_LONGEST_UNIT = 400  # characters: a paragraph that is repeated
_FEWEST_REPEATS = 8  # real documents do not repeat a line so often in a row, except blank cells and dot leaders
_SHORTEST_LOOP = 160  # characters in all
_SHORTEST_RULE = 800  # the same for loops without a letter or digit: dot leaders, rules, empty table cells
_LONGEST_TOKEN_UNIT = 128
_ENDLESS_REPEATS = (
    24  # high, because it stops the answer: it must match only loops that would continue to the token limit
)
_ENDLESS_TOKENS = 256
_SPACE = re.compile(r"[ \t\n\r]*")
_DECODER = json.JSONDecoder()

ValueSpan = tuple[str, int, int]  # JSON pointer (RFC 6901), and where the value starts and ends


def assess(request: PageRequest, answer: PageAnswer) -> AssessedAnswer:
    """Find the problem that makes an answer unusable, if it has one."""
    if _is_not_a_number(answer):
        unknown = replace(answer, lowest_token_probability=None, token_probabilities=())
        return AssessedAnswer(answer=unknown, problem=Problem.NOT_A_NUMBER)
    if loop := _describe_loop(answer.text):  # even if the answer was cut off: a higher limit would not end the loop
        return AssessedAnswer(answer=answer, problem=Problem.LOOP, detail=loop)
    if problem := _BY_STOP_REASON.get(answer.stop_reason):
        return AssessedAnswer(answer=answer, problem=problem, detail=answer.error)
    if not answer.text:
        return AssessedAnswer(answer=answer, problem=Problem.EMPTY)
    if len(answer.text) <= _LONGEST_REFUSAL and _REFUSAL.match(answer.text):
        return AssessedAnswer(answer=answer, problem=Problem.REFUSED)
    if request.json_schema is None:
        return AssessedAnswer(answer=answer)
    return _assess_json(answer, request.json_schema)


def json_span(text: str) -> tuple[int, int]:
    """Return the start and end of the JSON in an answer, without a code fence around it."""
    fenced = _FENCE.match(text)
    return fenced.span("inside") if fenced else (0, len(text))


def _assess_json(answer: PageAnswer, wanted: Mapping[str, object]) -> AssessedAnswer:
    start, end = json_span(answer.text)
    try:
        data = json.loads(answer.text[start:end], parse_constant=wellformed.refuse_constant)
    except ValueError as error:
        return AssessedAnswer(answer=answer, problem=Problem.UNPARSABLE, detail=str(error))
    except RecursionError:
        return AssessedAnswer(answer=answer, problem=Problem.UNPARSABLE, detail="nested too deeply")
    if errors := schema_errors(data, wanted):
        return AssessedAnswer(answer=answer, problem=Problem.INVALID, detail="; ".join(errors))
    return AssessedAnswer(answer=answer, problem=Problem.EMPTY if is_empty(data) else None)


def is_empty(data: object) -> bool:
    """True if JSON data contains no value, only empty lists, empty texts and nulls."""
    if isinstance(data, Mapping):
        return all(map(is_empty, data.values()))
    if isinstance(data, list):
        return all(map(is_empty, data))
    return data is None or (isinstance(data, str) and not data.strip())


def _is_not_a_number(answer: PageAnswer) -> bool:
    """True if the model computed NaN, because of damaged weights or an overflow, so that the text is meaningless."""
    probabilities = (answer.lowest_token_probability, *(probability for _, probability in answer.token_probabilities))
    return any(each is not None and not math.isfinite(each) for each in probabilities)


def _describe_loop(text: str) -> str:
    loop = find_loop(text)
    return f'"{" ".join(loop.unit.split())[:_MAX_UNIT_CHARACTERS]}" {loop.times} times' if loop else ""


# ---------------------------------------------------------------------------------------------- repetition


def find_loop(text: str) -> Loop | None:
    """The first loop in `text`, by the shortest unit that repeats; None if there is none.

    A model that decodes greedily may repeat itself up to its limit. Only exact repetition counts: the rows of a
    statement or of an empty form are similar, but not the same.
    """
    letters = np.frombuffer(text.encode("utf-32-le"), dtype=np.uint32)
    for size in range(1, min(_LONGEST_UNIT, len(text) // 2) + 1):
        for start, end in _periodic_runs(letters, size):
            unit, length = text[start : start + size], end - start
            shortest = _SHORTEST_LOOP if any(map(str.isalnum, unit)) else _SHORTEST_RULE
            if length >= max(shortest, _FEWEST_REPEATS * size) and unit.strip():
                return Loop(unit=unit, times=length // size)
    return None


def is_endless(tokens: Sequence[int]) -> bool:
    """True if the end of `tokens` has repeated itself for so long that it will not stop."""
    tail = np.asarray(tokens[-_ENDLESS_REPEATS * _LONGEST_TOKEN_UNIT :])
    for size in range(1, _LONGEST_TOKEN_UNIT + 1):
        needed = max(_ENDLESS_TOKENS, _ENDLESS_REPEATS * size)
        if needed > len(tail):
            return False
        end = tail[-needed:]
        if np.array_equal(end[size:], end[:-size]):
            return True
    return False


def _periodic_runs(letters: np.ndarray, size: int) -> list[tuple[int, int]]:
    """Find runs in which a unit of `size` letters repeats at least once; return the (start, end) of each.

    letters: shape (n,), a number for each character.
    """
    same = np.concatenate(([False], letters[size:] == letters[:-size], [False]))
    edges = np.flatnonzero(same[1:] != same[:-1])
    return [
        (int(start), int(end) + size) for start, end in zip(edges[::2], edges[1::2], strict=True) if end - start >= size
    ]


# ---------------------------------------------------------------------------------------------- confidence


def value_probabilities(
    text: str, token_probabilities: Sequence[tuple[int, float]], start: int = 0
) -> dict[str, float]:
    """The probability of each value that is not a list or an object, by JSON pointer: the lowest of its tokens.

    The lowest token probability separates wrong answers from right ones (area under the ROC curve 0.95 on synthetic
    statements); a mean would hide a single wrong digit.

    token_probabilities: see `PageAnswer`. start: where the JSON, which must be valid, starts in `text`.
    """
    if not token_probabilities:
        return {}
    found, first = {}, 0
    for pointer, begin, end in _values(text, _skip(text, start), ""):
        end += text[begin] != '"'  # a number ends with the token of the character after it
        while first < len(token_probabilities) and token_probabilities[first][0] <= begin:
            first += 1
        last = first
        while last < len(token_probabilities) - 1 and token_probabilities[last][0] < end:
            last += 1
        own = token_probabilities[first : last + 1]
        found[pointer] = round(min((probability for _, probability in own), default=0.0), 4)
    return found


def _values(text: str, at: int, pointer: str) -> Generator[ValueSpan, None, int]:
    """Yield the values of the JSON at position `at`, in order; return the position after its end."""
    if text[at] == "{":
        return (yield from _members(text, at, pointer))
    if text[at] == "[":
        return (yield from _items(text, at, pointer))
    _, end = _DECODER.raw_decode(text, at)
    yield pointer, at, end
    return end


def _members(text: str, at: int, pointer: str) -> Generator[ValueSpan, None, int]:
    at = _skip(text, at + 1)
    while text[at] != "}":
        key, at = _DECODER.raw_decode(text, at)
        at = _skip(text, _skip(text, at) + 1)  # the colon
        name = key.replace("~", "~0").replace("/", "~1")
        at = _skip(text, (yield from _values(text, at, f"{pointer}/{name}")))
        at = _skip(text, at + 1) if text[at] == "," else at
    return at + 1


def _items(text: str, at: int, pointer: str) -> Generator[ValueSpan, None, int]:
    at, number = _skip(text, at + 1), 0
    while text[at] != "]":
        at = _skip(text, (yield from _values(text, at, f"{pointer}/{number}")))
        at = _skip(text, at + 1) if text[at] == "," else at
        number += 1
    return at + 1


def _skip(text: str, at: int) -> int:
    """The position after any whitespace from `at` on."""
    space = _SPACE.match(text, at)
    return space.end() if space else at
