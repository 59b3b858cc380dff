"""Assessment of an answer: its problems, repetition, and the probability of each value."""

import json
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from processors.vlm.assess import Problem, assess, find_loop, is_empty, is_endless, json_span, value_probabilities
from processors.vlm.extract import dumps
from processors.vlm.types import PageAnswer, PageRequest, StopReason

ROWS = {"type": "object", "properties": {"rows": {"type": "array", "items": {"type": "number"}}}, "required": ["rows"]}


def problem(text: str, wanted: dict | None = None, stop_reason: StopReason = StopReason.STOP) -> Problem | None:
    request = PageRequest(image=None, prompt="?", token_limit=9, json_schema=wanted)
    answer = PageAnswer(
        text=text, stop_reason=stop_reason, tokens=9, prompt_tokens=9, lowest_token_probability=0.9, size_seen=None
    )
    return assess(request, answer).problem


# ---------------------------------------------------------------------------------------------- problems


@pytest.mark.parametrize(
    "text",
    [
        "I'm sorry, but I can't assist with that.",
        "I am unable to process images.",
        "As an AI language model, I cannot view pictures.",
        "Unfortunately, I can’t help with identifying people.",
        "I cannot provide that information.",
    ],
)
def test_refusal_is_found(text):
    assert problem(text) is Problem.REFUSED


@pytest.mark.parametrize(
    "text",
    [
        "I'm sorry for your loss. With kind regards, Anna",
        "Sorry we missed you! Your parcel is at the depot.",
        "The clerk expected: I cannot help with that.",
        "I cannot provide a receipt for this, but here is the invoice again." + " ".join(map(str, range(200))),
        "[no text]",
    ],
)
def test_letter_that_sounds_like_a_refusal_is_not_one(text):
    assert problem(text) is None


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('{"rows": [1, 2.50]}', None),
        ('```json\n{"rows": [1]}\n```', None),
        ('{"rows": []}', Problem.EMPTY),
        ('{"rows": ["1"]}', Problem.INVALID),
        ('{"rows": [1E999]}', Problem.INVALID),
        ('{"rows": [1', Problem.UNPARSABLE),
        ("Here are the rows: 1, 2", Problem.UNPARSABLE),
        ("[" * 100_000, Problem.LOOP),
        ("", Problem.EMPTY),
    ],
)
def test_json_is_a_success_only_if_it_fits_and_has_values(text, found):
    assert problem(text, ROWS) is found


def test_loop_that_ran_into_the_limit_is_a_loop():
    assert problem("and so on " * 50, None, StopReason.LENGTH) is Problem.LOOP
    assert problem("and so on", None, StopReason.LENGTH) is Problem.CUT_OFF


@pytest.mark.parametrize("data", [{}, [], None, "", {"a": [], "b": {"c": None}, "d": " "}, [[], {}]])
def test_data_without_values_is_empty(data):
    assert is_empty(data)


@pytest.mark.parametrize("data", [0, False, {"a": 0}, [False], {"a": [{"b": "x"}]}])
def test_zero_and_false_count_as_values(data):
    assert not is_empty(data)


def test_code_fence_is_left_out():
    text = '```json\n{"a": 1}\n```'
    start, end = json_span(text)
    assert json.loads(text[start:end]) == {"a": 1} and json_span("{}") == (0, 2)


# ---------------------------------------------------------------------------------------------- repetition

STATEMENT = "\n".join(
    f"| 2024-{number % 12 + 1:02}-03 | CARD TESCO | {amount:.2f} | | |"
    for number, amount in enumerate(random.Random(1).choices(range(100), k=200))
)


@pytest.mark.parametrize(
    ("text", "unit"),
    [
        ("The end is near. " * 12, "The end is near. "),
        ("A report.\n" + "| 0.00 | 0.00 |\n" * 40, "| 0.00 | 0.00 |\n"),
        ("0" * 400, "0"),
        (STATEMENT + "\n" + "und so weiter " * 30 + "\n" + STATEMENT, "und so weiter "),
        ("All work and no play makes Jack a dull boy.\n" * 2 + "ha" * 120, "ha"),
    ],
)
def test_loop_is_found(text, unit):
    loop = find_loop(text)
    assert loop is not None
    assert sorted(loop.unit) == sorted(unit) and loop.times == pytest.approx(text.count(unit), abs=1)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        STATEMENT,
        "Total ............................................................ 12.00\n" * 5,
        "| | | |\n" * 40,
        "\n" * 3000,
        "No! " * 7,
        "Row, row, row your boat, gently down the stream.\n" * 3,
        "-" * 400,
    ],
    ids=["nothing", "letter", "statement", "leaders", "blank form", "blank lines", "emphasis", "refrain", "rule"],
)
def test_similar_text_is_not_a_loop(text):
    assert find_loop(text) is None


def test_endless_answer_is_detected_by_its_tokens():
    words = list(range(1000, 1200))
    assert is_endless(words + [1, 2, 3] * 100)
    assert is_endless([7] * 256)
    assert is_endless(list(range(100)) * 24)


def test_answer_that_may_still_end_continues():
    assert not is_endless([])
    assert not is_endless([7] * 255)
    assert not is_endless([1, 2, 3] * 80)
    assert not is_endless([7] * 300 + [8])
    assert not is_endless(list(range(100)) * 20)
    assert not is_endless(list(range(5000)))


# ---------------------------------------------------------------------------------------------- confidence

_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.decimals(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@settings(max_examples=40, deadline=None)
@given(_JSON)
def test_each_value_of_any_json_is_found(data):
    text = dumps(data)
    marks = [(end, end / (len(text) + 1)) for end in range(1, len(text) + 1)]  # a token for each letter
    found = value_probabilities(text, marks)
    assert len(found) == len(_leaves(data))
    assert all(0 < probability < 1 for probability in found.values())


def _leaves(data: object) -> list[object]:
    if isinstance(data, dict):
        return [leaf for value in data.values() for leaf in _leaves(value)]
    if isinstance(data, list):
        return [leaf for value in data for leaf in _leaves(value)]
    return [data]


def test_probability_of_a_value_is_that_of_its_least_probable_token():
    text = '{"a":12,"b/c":["x~y",null]}'
    tokens = [("{", 0.9), ('"a"', 0.8), (":1", 0.7), ("2", 0.6), (",", 0.3), ('"b/c":["', 0.95), ("x~", 0.5)]
    tokens += [('y"', 0.99), (",null", 0.85), ("]}", 0.2)]
    marks, end = [], 0
    for token, probability in tokens:
        end += len(token)
        marks.append((end, probability))
    assert "".join(token for token, _ in tokens) == text
    assert value_probabilities(text, marks) == {"/a": 0.3, "/b~1c/0": 0.5, "/b~1c/1": 0.2}  # 12 ends with the comma


def test_answer_without_probabilities_has_none_for_its_values():
    assert value_probabilities('{"a": 1}', ()) == {}
