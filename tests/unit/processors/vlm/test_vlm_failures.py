"""NaN and unexpected errors: each affects only its own page, and the review reports it in plain words."""

import json
import math

import numpy as np
import pytest
import tiny_vlm
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from tiny_vlm import DRAWINGS, READ, STATEMENT

from processors import wellformed
from processors.contract import FailureKind, Finished, Progress
from processors.vlm import AskOptions
from processors.vlm.assess import Problem, assess
from processors.vlm.document import review
from processors.vlm.engine import completion
from processors.vlm.engine.server import ServerEngine
from processors.vlm.extract import dumps, loads
from processors.vlm.options import VlmOptions
from processors.vlm.retry_ladder import PageAttempt, PageResult, Strategy
from processors.vlm.types import PageAnswer, PageRequest, StopReason


def strict(text: str) -> object:
    return json.loads(text, parse_constant=wellformed.refuse_constant)


def drawing(name: str) -> Image.Image:
    return Image.open(DRAWINGS / f"{name}.png").convert("RGB")


@pytest.fixture
def broken_numbers(vlm):
    """The model computes NaN: its weights are damaged, or float16 has overflowed."""
    hook = vlm._engine._model.lm_head.register_forward_hook(lambda module, given, out: torch.full_like(out, math.nan))
    yield
    hook.remove()


@pytest.mark.parametrize(
    "options", [{}, {"task": "extract", "json_schema": {"type": "object"}}, {"task": "bank-statement"}]
)
def test_page_whose_probabilities_are_nan_is_not_reported_as_empty(ask, broken_numbers, options):
    asked = ask(DRAWINGS / "line.png", None if options.get("task") else READ, **options)
    assert "probabilities are NaN" in asked.review and "empty" not in asked.review
    for path in asked.work.outputs.glob("*.json"):
        strict(path.read_text(encoding="utf-8"))
    about = asked.about_pages if options else asked.pages
    assert about[0]["lowest_token_probability"] is None and about[0]["problem"] == "not a number"
    assert asked.finished.details["lowest_token_probability"] is None


def an_answer(**more: object) -> PageAnswer:
    known = {"text": "12.00", "stop_reason": StopReason.STOP, "tokens": 3, "prompt_tokens": 7, "size_seen": None}
    return PageAnswer(**{"lowest_token_probability": 0.9, **known, **more})


@pytest.mark.parametrize(
    "wrong", [{"lowest_token_probability": math.nan}, {"token_probabilities": ((2, 0.9), (5, math.nan))}]
)
def test_nan_is_a_reason_and_null(wrong):
    part = assess(PageRequest(image=None, prompt="?", token_limit=9), an_answer(**wrong))
    assert part.problem is Problem.NOT_A_NUMBER
    attempt = PageAttempt(strategy=Strategy.PLAIN, parts=(part,))
    page = PageResult(number=1, source_size=(9, 9), attempts=(attempt,))
    assert "probabilities are NaN" in " ".join(review.reasons([page], AskOptions(prompt="?")))
    assert page.best.lowest_token_probability is None and part.answer.token_probabilities == ()


def completed(*logprobs: float | None) -> PageAnswer:
    tokens = [{"token": "1", "logprob": each} for each in logprobs]
    choice = {"message": {"content": "1" * len(tokens)}, "finish_reason": "stop", "logprobs": {"content": tokens}}
    return completion.read_completion({"choices": [choice]}, None, has_schema=True)


@pytest.mark.parametrize("logprobs", [(math.nan,), (-0.1, None), (None, -0.1), (-0.1, math.nan, -0.2)])
def test_nan_probabilities_of_a_server_are_not_confidence(logprobs):
    assert math.isnan(completed(*logprobs).lowest_token_probability)


def test_probability_of_zero_is_a_number():
    assert completed(-math.inf, -0.1).lowest_token_probability == 0.0


@pytest.mark.parametrize("text", ['{"a": NaN}', '{"a": [1, Infinity]}', '{"a": -Infinity}'])
def test_answer_with_nan_is_not_json(text):
    question = PageRequest(image=None, prompt="?", token_limit=9, json_schema={"type": "object"})
    assert assess(question, an_answer(text=text)).problem is Problem.UNPARSABLE
    with pytest.raises(ValueError, match="is not JSON"):
        loads(text)


def test_half_a_character_in_an_answer_can_be_written():
    data = loads(r'{"holder \ud83d": ["a\ude00b", "\ud83d\ude00"]}')
    assert data == {"holder \ufffd": ["a\ufffdb", "\U0001f600"]}
    dumps(data).encode()


def test_half_a_character_from_a_server_can_be_written():
    choice = {"message": {"content": "Rent \ud83d due", "refusal": None}, "finish_reason": "stop"}
    assert completion.read_completion({"choices": [choice]}, None, has_schema=False).text == "Rent \ufffd due"


@given(
    st.recursive(
        st.none() | st.floats() | st.text() | st.integers(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_any_value_is_written_as_json(value):
    written = wellformed.dumps(value, indent=1)
    written.encode("utf-8")
    strict(written)


@pytest.mark.parametrize(
    ("found", "text"),
    [
        ("\ud83d\ude00", "\U0001f600"),
        ("a\ud83d", "a\ufffd"),
        ("\ude00\ud83db", "\ufffd\ufffdb"),
        ("\udce9t\U0001f600", "\ufffdt\U0001f600"),
    ],
)
def test_text_is_made_valid(found, text):
    assert wellformed.text(found) == text


def test_numbers_of_numpy_are_written():
    assert wellformed.dumps({"a": np.float64("nan"), "b": np.float32(0.5)}, default=float) == '{"a": null, "b": 0.5}'


# ---------------------------------------------------------------------------------------------- unforeseen


@pytest.fixture
def fails_at(vlm, monkeypatch):
    """Make the model fail on pages of this width."""

    def fail(width: int) -> None:
        real = vlm._engine._chat.prepare

        def prepare(questions):
            if any(question.image is not None and question.image.width == width for question in questions):
                raise ValueError("absolute aspect ratio must be smaller than 200")
            return real(questions)

        monkeypatch.setattr(vlm._engine._chat, "prepare", prepare)

    return fail


def test_page_on_which_the_model_fails_fails_alone(vlm, tmp_path, fails_at):
    fails_at(120)
    pages = [drawing("line"), Image.new("RGB", (120, 84), "white"), drawing("lines-two")]
    pages[0].save(tmp_path / "three.tiff", save_all=True, append_images=pages[1:])
    outcomes = []
    for attempt in (1, 2):
        work = tiny_vlm.a_work(tmp_path / "three.tiff", tmp_path, AskOptions(prompt=READ, retries=0))
        object.__setattr__(work, "attempt", attempt)
        ((_, outcome),) = vlm.process([work], Progress(lambda reports: None))
        outcomes.append(outcome)
    first, second = outcomes
    assert first.kind is FailureKind.ERROR and "Internal error in the model" in first.message
    assert isinstance(second, Finished)
    (reason,) = second.review
    assert reason.startswith("Page 2 of 3") and "Internal error" in reason and "aspect" not in reason


def test_pages_of_other_jobs_are_answered(ask_all, tmp_path, fails_at):
    fails_at(120)
    Image.new("RGB", (120, 84), "white").save(tmp_path / "bad.png")
    bad, good = ask_all(
        (tmp_path / "bad.png", AskOptions(prompt=READ)), (DRAWINGS / "line.png", AskOptions(prompt=READ))
    )
    assert bad.failed.kind is FailureKind.ERROR and "aspect" not in bad.failed.message
    assert good.text


def test_lost_gpu_is_not_the_fault_of_a_page(vlm, monkeypatch):
    def prepare(questions):
        raise RuntimeError("CUDA error: an illegal memory access was encountered")

    monkeypatch.setattr(vlm._engine._chat, "prepare", prepare)
    with pytest.raises(RuntimeError, match="CUDA error"):
        vlm._engine.answer([PageRequest(image=drawing("line"), prompt="?", token_limit=9)], lambda: None)


def test_job_whose_files_cannot_be_written_fails_alone(vlm, tmp_path):
    works = [tiny_vlm.a_work(DRAWINGS / "line.png", tmp_path, AskOptions(prompt=READ)) for _ in range(2)]
    (works[0].outputs / "drop.md").mkdir()
    outcomes = {work.job: outcome for work, outcome in vlm.process(works, Progress(lambda reports: None))}
    assert isinstance(outcomes[works[0].job], IsADirectoryError) and isinstance(outcomes[works[1].job], Finished)


def test_amounts_without_a_second_reading_are_reported(ask, monkeypatch):
    from processors.vlm.document import statements

    def _ocr():
        raise RuntimeError("libGL.so.1: cannot open shared object file")

    monkeypatch.setattr(statements, "_ocr", _ocr)
    asked = ask(DRAWINGS / "statement-one.png", STATEMENT, task="bank-statement")
    assert "not verified by a second reading" in asked.review and "libGL" not in asked.review


@pytest.mark.parametrize(
    "body", ["[]", "null", '{"choices": null}', '{"choices": [{"message": {"content": 7}}]}', "{" * 9]
)
def test_unexpected_response_of_a_server_is_reported(body, monkeypatch):
    import httpx2

    engine = ServerEngine(VlmOptions(engine="openai", base_url="http://127.0.0.1:9/v1", model="tiny"))
    monkeypatch.setattr(engine, "_post", lambda sent: httpx2.Response(200, content=body))
    answer = engine.answer_one(PageRequest(image=None, prompt="?", token_limit=9))
    assert answer.error == "The server's response is not a chat completion. See the server's log."
    engine.close()


def test_unexpected_failure_of_a_document_does_not_affect_others(vlm, tmp_path, monkeypatch):
    from processors.vlm import prompts

    real = prompts.choose_prompt

    def choose_prompt(work, options, *more):
        if options.prompt == "fail":
            raise KeyError("form")
        return real(work, options, *more)

    monkeypatch.setattr(prompts, "choose_prompt", choose_prompt)
    works = [tiny_vlm.a_work(DRAWINGS / "line.png", tmp_path, AskOptions(prompt=each)) for each in ("fail", READ)]
    outcomes = [outcome for _, outcome in vlm.process(works, Progress(lambda reports: None))]
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["Finished", "KeyError"]
