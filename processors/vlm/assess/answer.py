"""Is an answer any good? Finds what must never pass for a success. Pure: it judges, and changes nothing."""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from processors import wellformed
from processors.vlm.assess import repetition
from processors.vlm.extract import schema
from processors.vlm.page_result import Part, Problem
from processors.vlm.types import Answer, Question, StopReason

_BY_STOP_REASON = {
    StopReason.LENGTH: Problem.CUT_OFF,
    StopReason.LOOP: Problem.LOOP,
    StopReason.NO_ROOM: Problem.NO_ROOM,
    StopReason.REFUSED: Problem.REFUSED,
    StopReason.ERROR: Problem.ERROR,
}
_MOST_UNIT_CHARACTERS = 40  # of what is repeated, quoted
_LONGEST_REFUSAL = 500  # characters; more is an answer that begins politely
_REFUSAL = re.compile(
    r"(i['’]?m (really |very |so )?sorry|sorry|i apologi[sz]e|unfortunately|as an ai|i can(no|['’])?t|i can not"
    r"|i['’]?m (un|not )able|i am (un|not )able|i do not|i don['’]t)\b.{0,200}?"
    r"\b(assist|help|unable|not able|can(no|['’])?t|can not|comply|provide|process|extract|view|see|access|identify)\b",
    re.IGNORECASE | re.DOTALL,
)
_FENCE = re.compile(r"\A\s*```[a-zA-Z]*\s*\n(?P<inside>.*?)\n?\s*```\s*\Z", re.DOTALL)


def judge(question: Question, answer: Answer) -> Part:
    """The answer with what is wrong with it."""
    if _is_not_a_number(answer):
        return Part(answer=replace(answer, lowest_token_probability=None, marks=()), problem=Problem.NOT_A_NUMBER)
    if loop := _loop(answer.text):  # also one that was cut off: more of it would not help
        return Part(answer=answer, problem=Problem.LOOP, detail=loop)
    if problem := _BY_STOP_REASON.get(answer.stop_reason):
        return Part(answer=answer, problem=problem, detail=answer.error)
    if not answer.text:
        return Part(answer=answer, problem=Problem.EMPTY)
    if len(answer.text) <= _LONGEST_REFUSAL and _REFUSAL.match(answer.text):
        return Part(answer=answer, problem=Problem.REFUSED)
    return _judge_json(answer, question.json_schema) if question.json_schema is not None else Part(answer=answer)


def json_span(text: str) -> tuple[int, int]:
    """Where the JSON of an answer stands: all of it, or what is inside a code fence around all of it."""
    fenced = _FENCE.match(text)
    return fenced.span("inside") if fenced else (0, len(text))


def _judge_json(answer: Answer, wanted: Mapping[str, Any]) -> Part:
    start, end = json_span(answer.text)
    try:
        data = json.loads(answer.text[start:end], parse_constant=wellformed.refuse_constant)
    except ValueError as error:
        return Part(answer=answer, problem=Problem.UNPARSABLE, detail=str(error))
    except RecursionError:
        return Part(answer=answer, problem=Problem.UNPARSABLE, detail="nested too deeply")
    if errors := schema.errors(data, wanted):
        return Part(answer=answer, problem=Problem.INVALID, detail="; ".join(errors))
    return Part(answer=answer, problem=Problem.EMPTY if is_void(data) else None)


def is_void(data: object) -> bool:
    """Is there no value in it at all: empty lists and texts, nulls?"""
    if isinstance(data, Mapping):
        return all(map(is_void, data.values()))
    if isinstance(data, list):
        return all(map(is_void, data))
    return data is None or (isinstance(data, str) and not data.strip())


def _is_not_a_number(answer: Answer) -> bool:
    """True if the model computed NaN (damaged weights or overflow): the text is meaningless."""
    probabilities = (answer.lowest_token_probability, *(probability for _, probability in answer.marks))
    return any(each is not None and not math.isfinite(each) for each in probabilities)


def _loop(text: str) -> str:
    loop = repetition.find(text)
    return f'"{" ".join(loop.unit.split())[:_MOST_UNIT_CHARACTERS]}" {loop.times} times' if loop else ""
