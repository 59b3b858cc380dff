"""Answers from an OpenAI-compatible server, a real process: requests, and every kind of failure."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fake_servers import KEY, FakeServer
from pydantic import ValidationError
from tiny_vlm import DRAWINGS, STATEMENT, STATEMENT_SCHEMA, TINY, Asked, a_work, answer, drawing

from processors import contract
from processors.contract import FailureKind, Progress, Runnable, Unavailable
from processors.remote import client
from processors.vlm import AskOptions, Vlm, VlmOptions

SCHEMA = json.loads(STATEMENT_SCHEMA.read_text())


@pytest.fixture(scope="module")
def server() -> Iterator[FakeServer]:
    """A server that describes the image and prompt it received."""
    server = FakeServer("model_server")
    yield server
    server.stop()


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorten the pauses between two tries."""
    monkeypatch.setattr(client, "_FIRST_PAUSE_SECONDS", 0.001)


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Vlm]:
    monkeypatch.setenv("TEST_KEY", KEY)

    def load(server: FakeServer, **options: Any) -> Vlm:
        given = {"engine": "openai", "base_url": f"{server.root}/v1", "model": "tiny", "api_key_env": "TEST_KEY"}
        processor = Vlm()
        loaded = processor.load(VlmOptions(**{**given, **options}), Path(), Progress(lambda message: None))
        assert (loaded.engine, loaded.device) == ("openai", f"{server.root}/v1")
        return processor

    return load


@pytest.fixture
def ask(load: Callable[..., Vlm], server: FakeServer, tmp_path: Path) -> Callable[..., Asked]:
    def ask(*behaviors: dict[str, Any], source: Path = DRAWINGS / "line.png", vlm: dict | None = None, **options: Any):
        server.behave(*behaviors)
        work = a_work(source, tmp_path, AskOptions(**{"prompt": "What is it?", "retries": 0, **options}))
        reports: list[contract.WorkProgress] = []
        ((_, outcome),) = load(server, **(vlm or {})).process([work], Progress(reports.append))
        return Asked(outcome, work, reports)

    return ask


def test_page_is_sent_with_its_prompt_and_answered(ask, server):
    asked = ask()
    assert asked.text == "I see 196 x 84. I was asked: What is it?"
    assert asked.finished.review == ()
    request = server.asked()["asked"][-1]
    assert (request["model"], request["max_tokens"], request["temperature"]) == ("tiny", 2048, 0)
    assert "response_format" not in request
    assert request["repetition_penalty"] == 1.0, "not that of the model's author"


def test_schema_is_sent_and_the_answer_validated(ask, server):
    asked = ask({"content": '{"transactions": 5}'}, task="extract", json_schema=SCHEMA)
    assert server.asked()["asked"][-1]["response_format"]["json_schema"]["schema"] == SCHEMA
    assert asked.finished.files == ("drop.pages.json",)
    assert "does not fit the schema ($.transactions: 5 is not of type 'array')" in asked.review


def test_json_in_a_code_fence_is_parsed(ask):
    asked = ask({"content": f"```json\n{answer('statement-one')}\n```"}, task="extract", json_schema=SCHEMA)
    assert asked.data == json.loads(answer("statement-one")) and asked.finished.review == ()


@pytest.mark.parametrize(
    ("behavior", "expected"),
    [
        ({"finish": "length", "content": "It is a"}, "the answer is cut off after 3 tokens"),
        ({"finish": "length", "content": "blah blah " * 90}, 'caught in a loop: "blah" '),
        ({"finish": "content_filter", "content": ""}, "the model refused"),
        ({"refusal": "I will not."}, "the model refused. I will not"),
        ({"content": "I'm sorry, but I can't assist with that request."}, "the model refused"),
        ({"content": ""}, "the answer is empty"),
    ],
    ids=["cut off", "loop", "filter", "refusal", "says no", "empty"],
)
def test_bad_answer_needs_review(behavior, expected, ask):
    assert expected in ask(behavior).review


def test_bad_answer_is_retried_in_other_words(ask, server):
    asked = ask({"content": "I'm sorry, I cannot help with that."}, {"content": "A line."}, retries=2)
    assert asked.text == "A line."
    assert "answered only on a retry (other words); the first answer was rejected (refused)" in asked.review
    assert server.asked()["asked"][-1]["prompt"].startswith("What is it?\n\nThis is a document of my own.")
    assert asked.pages[0]["asked"][0]["answers"] == ["I'm sorry, I cannot help with that."]


@pytest.mark.parametrize(
    "behavior", [{"status": 429, "retry_after": 0}, {"status": 503}, {"status": 500}, {"drop": True}]
)
def test_temporary_failure_is_retried(behavior, ask):
    assert ask(behavior, behavior).text.startswith("I see")


@pytest.mark.parametrize("behavior", [{"status": 429}, {"status": 503}, {"drop": True}])
def test_server_that_keeps_failing_is_unavailable(behavior, ask):
    with pytest.raises(Unavailable, match=r"does not respond \(.*Start it"):
        ask(*[behavior] * 8)


def test_page_that_the_server_cannot_answer_fails_alone(ask):
    asked = ask(*[{"status": 500, "says": "a bug"}] * 4)
    assert asked.failed.kind is FailureKind.ERROR and "failed 4 times: 500 a bug" in asked.failed.message


def test_page_that_takes_too_long_fails_alone_while_the_server_works(ask):
    asked = ask({"hang": True}, vlm={"request_timeout": 0.3})
    assert asked.failed.kind is FailureKind.ERROR and "Raise `request_timeout`" in asked.failed.message


def test_response_that_is_not_a_completion_is_reported(ask):
    asked = ask({"status": 200, "raw": '{"choices": []}'})
    assert asked.failed.kind is FailureKind.ERROR and "not a chat completion" in asked.failed.message


def test_prompt_too_long_for_the_server_is_bad_input(ask):
    refusal = {"status": 400, "says": "This model's maximum context length is 4096 tokens."}
    asked = ask(refusal)
    assert asked.failed.kind is FailureKind.BAD_INPUT and "too long" in asked.failed.message


@pytest.mark.parametrize("feature", ["response_format", "logprobs", "repetition_penalty"])
def test_server_that_lacks_a_feature_is_asked_without_it(feature, load, server, tmp_path):
    vlm = load(server)
    options = AskOptions(prompt=STATEMENT, task="extract", json_schema=SCHEMA)
    lacking = {"refuses": feature, "content": answer("statement-one")}
    for _ in range(2):
        server.behave(*[lacking] * 5)
        before = len(server.asked()["asked"])
        work = a_work(DRAWINGS / "statement-one.png", tmp_path, options)
        ((_, outcome),) = vlm.process([work], Progress(lambda message: None))
        assert Asked(outcome, work, []).data == json.loads(answer("statement-one"))
    assert len(server.asked()["asked"]) == before + 1  # it was remembered


def test_requests_are_concurrent_up_to_the_limit(ask, server, tmp_path):
    first, *rest = [drawing("line")] * 6
    first.save(tmp_path / "six.tiff", save_all=True, append_images=rest)
    together = {"together": 3}
    asked = ask(*[together] * 6, source=tmp_path / "six.tiff", vlm={"pages_at_once": 3})
    assert len(asked.pages) == 6 and server.asked()["most_at_once"] == 3


def test_finished_pages_survive_a_server_that_becomes_unavailable(load, server, tmp_path):
    drawing("line").save(tmp_path / "two.tiff", save_all=True, append_images=[drawing("shapes-one")])
    work = a_work(tmp_path / "two.tiff", tmp_path, AskOptions(prompt="What is it?"), checkpoints=tmp_path / "kept")
    server.behave({}, *[{"status": 503}] * 4)
    with pytest.raises(Unavailable):
        list(load(server, pages_at_once=1).process([work], Progress(lambda message: None)))
    server.behave()
    before = len(server.asked()["asked"])
    ((_, outcome),) = load(server).process([work], Progress(lambda message: None))
    assert [page["answer"][:16] for page in Asked(outcome, work, []).pages] == ["I see 196 x 84. ", "I see 168 x 168."]
    assert len(server.asked()["asked"]) == before + 1  # the second page alone


def test_page_that_fails_again_is_reported_missing_and_the_others_are_published(load, server, tmp_path):
    drawing("line").save(tmp_path / "two.tiff", save_all=True, append_images=[drawing("shapes-one")])
    first = a_work(tmp_path / "two.tiff", tmp_path, AskOptions(prompt="What is it?"), checkpoints=tmp_path / "kept")
    broken = [{"status": 500, "says": "a bug"}] * 4
    server.behave({}, *broken)
    ((_, outcome),) = load(server, pages_at_once=1).process([first], Progress(lambda message: None))
    assert Asked(outcome, first, []).failed.kind is FailureKind.ERROR
    server.behave(*broken)
    second = replace(first, attempt=2)
    ((_, outcome),) = load(server, pages_at_once=1).process([second], Progress(lambda message: None))
    asked = Asked(outcome, second, [])
    assert asked.text.startswith("<!-- page 1 of 2 -->\n\nI see 196 x 84.")
    assert asked.review == "Page 2 of 2: it was not answered: The model server failed 4 times: 500 a bug."


def test_summary_of_several_pages_is_made_from_those_of_each(ask, server, tmp_path):
    drawing("line").save(tmp_path / "two.tiff", save_all=True, append_images=[drawing("shapes-one")])
    pages = [{"content": "A bill of 12.34 by ACME."}, {"content": "The small print."}]
    asked = ask(*pages, {"content": "ACME bills 12.34."}, source=tmp_path / "two.tiff", task="summarize", prompt=None,
                vlm={"pages_at_once": 1})  # fmt: skip
    last = server.asked()["asked"][-1]
    assert last["images"] == 0 and last["prompt"].endswith(
        "[page 1]\nA bill of 12.34 by ACME.\n\n[page 2]\nThe small print."
    )
    assert asked.text == "ACME bills 12.34." and asked.finished.excerpt == "ACME bills 12.34."
    assert [page["answer"] for page in asked.pages] == ["A bill of 12.34 by ACME.", "The small print."]


def test_document_without_a_summary_fails(ask, tmp_path):
    drawing("line").save(tmp_path / "two.tiff", save_all=True, append_images=[drawing("shapes-one")])
    broken = [{"status": 500, "says": "a bug"}] * 4
    asked = ask({}, {}, *broken, source=tmp_path / "two.tiff", task="summarize", vlm={"pages_at_once": 1})
    assert asked.failed.kind is FailureKind.ERROR and "a bug" in asked.failed.message


def test_very_many_pages_are_summarized_level_by_level(ask, server, tmp_path):
    first, *rest = [drawing("line")] * 5
    first.save(tmp_path / "five.tiff", save_all=True, append_images=rest)
    long = [{"content": f"Page {number}. " + " ".join(map(str, range(2500)))} for number in range(5)]
    parts = [{"content": f"part {number}"} for number in range(3)]
    before = len(server.asked()["asked"])
    asked = ask(*long, *parts, {"content": "the whole"}, source=tmp_path / "five.tiff", task="summarize",
                vlm={"pages_at_once": 1})  # fmt: skip
    prompts = [request["prompt"] for request in server.asked()["asked"][before + 5 :]]
    assert [prompt.count("[page ") for prompt in prompts] == [2, 2, 1, 0]
    assert prompts[-1] == "What is it?\n\npart 0\n\npart 1\n\npart 2"
    assert asked.text == "the whole"


# ---------------------------------------------------------------------------------------------- keys and settings


def test_key_is_sent_and_never_written(ask, server, tmp_path):
    (tmp_path / "key").write_text(f"{KEY}\n")
    asked = ask(vlm={"api_key_env": None, "api_key_file": str(tmp_path / "key")})
    written = "".join(path.read_text() for path in asked.work.outputs.iterdir())
    assert KEY not in written + repr(asked.outcome)


def test_error_about_a_wrong_or_missing_key_shows_where_it_is_set(load, server, monkeypatch, tmp_path):
    with pytest.raises(Unavailable, match="rejects the API key .wrong key.. Correct `api_key_env`"):
        load(server, api_key_env=None)
    monkeypatch.delenv("TEST_KEY")
    with pytest.raises(Unavailable, match="TEST_KEY, which should contain the API key, is not set"):
        load(server)
    with pytest.raises(Unavailable, match="Cannot read the API key"):
        load(server, api_key_env=None, api_key_file=str(tmp_path / "nowhere"))


def test_server_that_is_not_there_is_unavailable_at_load(load):
    gone = FakeServer("model_server")
    gone.stop()
    with pytest.raises(Unavailable, match="does not respond"):
        load(gone)


def test_model_that_the_server_does_not_know_is_unavailable_and_names_those_it_has(ask):
    with pytest.raises(Unavailable, match="does not know tiny .gone.; it serves tiny"):
        ask(*[{"status": 404, "says": "gone"}] * 4)


@pytest.mark.parametrize(
    "wrong",
    [
        {"engine": "openai"},
        {"base_url": "http://localhost:1/v1"},
        {"engine": "openai", "base_url": "localhost:8000"},
        {"engine": "openai", "base_url": "http://user:password@localhost"},
        {"engine": "openai", "base_url": "http://localhost", "api_key_env": "A", "api_key_file": "b"},
    ],
)
def test_settings_of_a_server_that_cannot_work_are_refused_at_start(wrong):
    with pytest.raises(ValidationError):
        VlmOptions(**wrong)


def test_planning_does_not_contact_the_server(tmp_path):
    options = VlmOptions(engine="openai", base_url="http://127.0.0.1:9/v1")
    assert Vlm.plan(options, AskOptions(task="read"), tmp_path) == Runnable()


# ---------------------------------------------------------------------------------------------- a real model behind it


@pytest.mark.slow
def test_model_behind_a_server_answers_as_it_does_here(load, tmp_path):
    server = FakeServer("model_server", str(TINY))
    try:
        options = AskOptions(prompt=STATEMENT, task="extract", json_schema=SCHEMA)
        work = a_work(DRAWINGS / "statement-two.png", tmp_path, options)
        ((_, outcome),) = load(server).process([work], Progress(lambda message: None))
    finally:
        server.stop()
    asked = Asked(outcome, work, [])
    assert asked.data == json.loads(answer("statement-two")) and asked.finished.review == ()
    assert len(asked.about_pages[0]["value_probabilities"]) == 10
    assert 0.9 < asked.finished.details["lowest_token_probability"] <= 1
