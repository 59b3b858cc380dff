"""The pure parts of the vision-language model's processor: judging, cutting, joining, reading numbers exactly."""

import json
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from tiny_vlm import drawing

from processors.vlm.assess import AssessedAnswer, Problem, assess, is_empty, json_span, value_probabilities
from processors.vlm.document.output import merge
from processors.vlm.extract import dumps, loads, schema_errors
from processors.vlm.page import PageAttempt, PageResult, Strategy, can_split, split
from processors.vlm.types import PageAnswer, PageRequest, StopReason

ROWS = {"type": "object", "properties": {"rows": {"type": "array", "items": {"type": "number"}}}, "required": ["rows"]}


def an_answer(text: str, stop_reason: StopReason = StopReason.STOP) -> PageAnswer:
    return PageAnswer(
        text=text,
        stop_reason=stop_reason,
        tokens=9,
        prompt_tokens=9,
        lowest_token_probability=0.9,
        size_seen=None,
    )


def problem(text: str, wanted: dict | None = None, stop_reason: StopReason = StopReason.STOP) -> Problem | None:
    request = PageRequest(image=None, prompt="?", token_limit=9, json_schema=wanted)
    return assess(request, an_answer(text, stop_reason)).problem


# ---------------------------------------------------------------------------------------------- judging


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
        "The clerk said: I cannot help with that.",
        "I cannot provide a receipt for this, but here is the invoice again." + " ".join(map(str, range(200))),
        "[no text]",
    ],
)
def test_letter_that_sounds_like_a_refusal_is_none(text):
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
def test_json_is_a_success_only_if_it_fits_and_says_something(text, found):
    assert problem(text, ROWS) is found


def test_loop_that_ran_into_the_limit_is_a_loop():
    assert problem("and so on " * 50, None, StopReason.LENGTH) is Problem.LOOP
    assert problem("and so on", None, StopReason.LENGTH) is Problem.CUT_OFF


@pytest.mark.parametrize("data", [{}, [], None, "", {"a": [], "b": {"c": None}, "d": " "}, [[], {}]])
def test_nothing_is_empty(data):
    assert is_empty(data)


@pytest.mark.parametrize("data", [0, False, {"a": 0}, [False], {"a": [{"b": "x"}]}])
def test_nought_and_no_are_values(data):
    assert not is_empty(data)


def an_attempt(*problems: Problem | None, strategy: Strategy = Strategy.PLAIN, text: str = "x") -> PageAttempt:
    parts = tuple(AssessedAnswer(answer=an_answer(text), problem=each) for each in problems)
    return PageAttempt(strategy=strategy, parts=parts)


def test_half_a_page_may_be_empty_and_a_whole_one_not():
    assert an_attempt(Problem.EMPTY, None).problem is None
    assert an_attempt(Problem.EMPTY, Problem.EMPTY).problem is Problem.EMPTY
    assert an_attempt(None, Problem.CUT_OFF).problem is Problem.CUT_OFF


def test_best_attempt_is_a_good_one_else_the_least_bad_and_longest():
    page = PageResult(number=1, attempts=(an_attempt(Problem.REFUSED), an_attempt(Problem.CUT_OFF, text="a")))
    assert page.best.problem is Problem.CUT_OFF
    page.attempts += (an_attempt(Problem.CUT_OFF, text="abc"),)
    assert page.best.text == "abc"
    page.attempts += (an_attempt(None),)
    assert page.best.problem is None


# ---------------------------------------------------------------------------------------------- cutting and joining


@pytest.mark.parametrize("name", ["statement-two", "statement-four"])
def test_page_is_cut_between_its_lines(name):
    image = drawing(name)
    upper, lower = split(image)
    assert upper.height + lower.height == image.height and 0.3 < upper.height / image.height < 0.7
    for row in (upper.crop((0, upper.height - 1, *upper.size)), lower.crop((0, 0, lower.width, 1))):
        darkest, lightest = row.convert("L").getextrema()
        assert lightest - darkest <= 24


def test_page_without_a_blank_row_is_cut_all_the_same():
    stripes = Image.radial_gradient("L").resize((200, 400))
    upper, lower = split(stripes)
    assert upper.height + lower.height == 400 and can_split(stripes)
    assert not can_split(stripes.resize((200, 100)))


def test_pages_are_joined_and_what_differs_is_told():
    pages = [
        ("page 1", {"holder": "Ann", "iban": None, "rows": [1], "bank": {"name": "A"}}),
        ("page 2", {"holder": "Bob", "iban": "X1", "rows": [2, 3], "bank": {"name": "", "city": "Ulm"}}),
        ("page 3", {"holder": "Ann", "iban": "X2", "rows": []}),
    ]
    merged = merge(pages)
    assert merged.data == {"holder": "Ann", "iban": "X1", "rows": [1, 2, 3], "bank": {"name": "A", "city": "Ulm"}}
    assert merged.conflicts == ["$.holder: Ann on page 1, Bob on page 2", "$.iban: X1 on page 2, X2 on page 3"]


def test_no_page_is_no_data():
    assert merge([]).data is None


# ---------------------------------------------------------------------------------------------- numbers and values

_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.decimals(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@settings(max_examples=40, deadline=None)
@given(_JSON)
def test_any_json_is_written_as_it_was_read(data):
    again = loads(dumps(data))
    assert again == data


def test_amounts_keep_their_noughts_and_all_their_digits():
    text = '{\n  "a": 895.50,\n  "b": 12345678901234567890.10,\n  "c": [],\n  "d": {}\n}'
    assert dumps(loads(text)) == text
    assert loads(text)["a"] == Decimal("895.50")


@settings(max_examples=40, deadline=None)
@given(_JSON)
def test_each_value_of_any_json_is_found_where_it_stands(data):
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


def test_answer_without_probabilities_has_none_of_its_values():
    assert value_probabilities('{"a": 1}', ()) == {}


def test_code_fence_is_left_out():
    text = '```json\n{"a": 1}\n```'
    start, end = json_span(text)
    assert json.loads(text[start:end]) == {"a": 1} and json_span("{}") == (0, 2)


def test_references_are_never_fetched():
    remote = {"type": "object", "properties": {"a": {"$ref": "http://127.0.0.1:9/a"}}}
    with pytest.raises(Exception, match="Unresolvable"):
        schema_errors({"a": 1}, remote)
